"""`cp`: files between a container and this machine, by docker's rules."""

from __future__ import annotations

import os
import stat
import sys

from runtime.cli.containers import changes, lookup
from runtime.container.files import file_view, transfer
from runtime.language.commandline import Verb
from runtime.linux import beneath, capabilities
from runtime.model.container import idmap
from runtime.model.errors import RuntimeFailure
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout

CP = Verb(
    "cp",
    "CONTAINER:PATH|PATH|- CONTAINER:PATH|PATH|-",
    "Copy files between a container and this machine",
    """
  -a, --archive       Keep owners, not root's
  -L, --follow-link   Copy what the source leads to when it is a symbolic link
  -q, --quiet         Say nothing about sockets left out
""",
    least=2,
    most=2,
    about="""
'-' as the source reads a tar archive from stdin and unpacks it in a directory of the container,
'-' as the destination writes one to stdout.  'DIR/.' means what is in DIR.  A running container
is seen as it sees itself; of a stopped one the files and volumes.""",
)
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class _Side(Record):
    """One end of a copy."""

    path: bytes
    root_fd: int = -1  # of the container; -1: this machine

    @property
    def shown(self) -> str:
        """Return the path for messages."""
        return os.fsdecode(self.path)

    def open(self, path: bytes, flags: int) -> int:
        """Open *path*; a container's own links never lead out of it."""
        if self.root_fd < 0:
            return os.open(path or b".", flags | os.O_CLOEXEC)
        return beneath.open_in_root(self.root_fd, path, flags)

    def split(self) -> tuple[bytes, bytes]:
        """Return (directory, last component) of the path; the component is empty for a root."""
        parent, _, name = self.path.rstrip(b"/").rpartition(b"/")
        return parent or (b"/" if self.path.startswith(b"/") else b"."), name

    @property
    def means_contents(self) -> bool:
        """Return whether the path means what is in a directory."""
        return self.path.rstrip(b"/") in (b"", b".") or self.path.endswith((b"/.", b"/.."))


def cp(layout: Layout, words: Arguments) -> int:
    """Copy; one side is in a container."""
    source, target = map(_split, words.operands)
    if source[0] and target[0]:
        raise RuntimeFailure("copying between containers is not supported", code=1)
    if not source[0] and not target[0]:
        raise RuntimeFailure(
            "must specify at least one container source", "write it CONTAINER:PATH", code=1
        )
    spec, state = lookup.one(layout, source[0] or target[0])
    shift = idmap.shift_of(spec)
    if target[0] and shift:
        capabilities.make_files_as(shift)
    root_fd = file_view.open_root(layout, spec, state)
    keep, follow = words.flag("archive"), words.flag("follow-link")
    here = source if target[0] else target
    inside = _Side(_absolute((target if target[0] else source)[1]), root_fd)
    outside = _Side(os.fsencode(here[1]))
    try:
        if here[1] == "-":
            if target[0]:
                return _unpack(inside, keep=keep, shift=shift)
            return _pack(inside, follow=follow, shift=shift)
        ends = (outside, inside) if target[0] else (inside, outside)
        copier = transfer.Copier(
            keep_owner=keep,
            from_shift=0 if target[0] else shift,
            to_shift=shift if target[0] else 0,
            is_out=not target[0],
        )
        _copy(*ends, copier, follow=follow)
    except OSError as error:
        what = (
            f" '{os.fsdecode(error.filename)}'" if isinstance(error.filename, str | bytes) else ""
        )
        raise RuntimeFailure(f"cannot copy:{what} {error.strerror}", code=1) from error
    except RecursionError as error:
        raise RuntimeFailure("cannot copy: the directories are too deep", code=1) from error
    for name in copier.left_out if not words.flag("quiet") else ():
        sys.stderr.write(f"runtime: left out '{name}': it is a socket\n")
    return 0


def _split(text: str) -> tuple[str, str]:
    """Return (container or nothing, path): what starts with / or . is a path of this machine."""
    container, colon, path = text.partition(":")
    if not colon or text.startswith((".", "/")) or "/" in container:
        return "", text
    return container, path


def _absolute(path: str) -> bytes:
    """Return the path in the container: a relative one is below its root."""
    return os.fsencode(path if path.startswith("/") else f"/{path}")


def _open_source(source: _Side, *, follow: bool) -> tuple[int, bytes]:
    """Return (the object, its name)."""
    _, name = source.split()
    follows = follow or source.means_contents or source.path.endswith(b"/")
    flags = os.O_PATH | (0 if follows else os.O_NOFOLLOW)
    try:
        fd = source.open(source.path, flags)
    except FileNotFoundError:
        where = "in the container" if source.root_fd >= 0 else "on this machine"
        raise RuntimeFailure(
            f"cannot copy '{source.shown}': there is no such file {where}", code=1
        ) from None
    if source.path.endswith(b"/") and not _is_directory(fd):
        raise RuntimeFailure(f"cannot copy '{source.shown}': it is no directory", code=1)
    return fd, name


def _is_directory(fd: int) -> bool:
    return stat.S_ISDIR(os.fstat(fd).st_mode)


def _copy(source: _Side, target: _Side, copier: transfer.Copier, *, follow: bool) -> None:
    """Copy by the table in docker's documentation of cp."""
    source_fd, name = _open_source(source, follow=follow)
    is_directory = _is_directory(source_fd)
    try:
        there = target.open(target.path, os.O_PATH)
    except FileNotFoundError:
        _copy_to_new(source_fd, target, copier, is_directory=is_directory)
        return
    if _is_directory(there):
        if is_directory and (source.means_contents or not name):
            copier.copy_contents(source_fd, there)
        else:
            copier.copy(source_fd, there, name)
        return
    if is_directory:
        raise RuntimeFailure(f"cannot copy a directory to '{target.shown}': it is a file", code=1)
    parent, last = target.split()
    parent_fd = target.open(parent, _DIRECTORY)
    if stat.S_ISLNK(os.stat(last, dir_fd=parent_fd, follow_symlinks=False).st_mode):
        copier.overwrite(source_fd, there)
    elif not stat.S_ISREG(os.fstat(there).st_mode):
        raise RuntimeFailure(
            f"cannot overwrite '{target.shown}': it is neither a file nor a directory", code=1
        )
    else:
        copier.copy(source_fd, parent_fd, last)


def _copy_to_new(
    source_fd: int, target: _Side, copier: transfer.Copier, *, is_directory: bool
) -> None:
    parent, name = target.split()
    if not is_directory and target.path.endswith((b"/", b"/.")):
        raise RuntimeFailure(f"no such directory: '{target.shown}'", "make it first", code=1)
    if name == b".":
        parent, name = _Side(parent).split()
    try:
        parent_fd = target.open(parent, _DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        raise RuntimeFailure(
            f"no such directory: '{os.fsdecode(parent)}'", "make it first", code=1
        ) from None
    copier.copy(source_fd, parent_fd, name)


def _pack(source: _Side, *, follow: bool, shift: int) -> int:
    if os.isatty(1):
        raise RuntimeFailure("cannot write an archive to a terminal", "… > FILE", code=1)
    fd, name = _open_source(source, follow=follow)
    shown = b"." if source.means_contents else name
    transfer.pack(fd, shown, changes.writer(1), id_shift=shift)
    return 0


def _unpack(target: _Side, *, keep: bool, shift: int) -> int:
    from runtime.cli.images.archives import Stream
    from runtime.store.compression import CompressionError
    from runtime.store.feed import Feed

    try:
        os.close(target.open(target.path, _DIRECTORY))
    except (FileNotFoundError, NotADirectoryError):
        raise RuntimeFailure(
            f"cannot unpack to '{target.shown}': there is no such directory", code=1
        ) from None
    extractor = transfer.Extractor(target.root_fd, target.path, keep_owner=keep, id_shift=shift)
    try:
        with Feed(Stream(0)) as feed:
            extractor.run(feed)
    except (ValueError, CompressionError) as error:
        raise RuntimeFailure(f"cannot unpack standard input: {error}", code=1) from error
    return 0
