"""`import`, `load`, `save`: images from files and to files."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing

from runtime.cli import output
from runtime.language import commit_change
from runtime.language.commandline import Verb
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.store import events
from runtime.store import load as loading
from runtime.store import save as saving
from runtime.store.archive import open_archive, open_stream
from runtime.store.images import Images
from runtime.store.rootfs import import_rootfs
from supervise.linux import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.language.commandline import Arguments
    from runtime.store.archive import ArchiveFile
    from runtime.store.layout import Layout

IMPORT = Verb(
    "import",
    "FILE|- [REPOSITORY[:TAG]]",
    "Make an image of a root file system's tar archive, compressed or not",
    """
  -c, --change list      A Dockerfile instruction for it: CMD, ENV, USER, …
  -m, --message string   What its history says
""",
    least=1,
    most=2,
)
LOAD = Verb(
    "load",
    "",
    "Take images from an archive: docker save's, an OCI layout's, or its directory",
    """
  -i, --input string   Read this file or directory, not stdin
  -q, --quiet          Do not say which layer is read
""",
    most=0,
)
SAVE = Verb(
    "save",
    "IMAGE [IMAGE...]",
    "Write images to an archive that docker, podman and skopeo read",
    """
      --compress        Compress the layers
      --format string   docker-archive (default), oci-archive, or oci-dir
  -o, --output string   Write to this file or directory, not stdout
""",
    least=1,
)
_FORMATS = ("docker-archive", "oci-archive", "oci-dir")


class Stream:
    """A descriptor as what `import_rootfs` reads."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes, none at the end."""
        return os.read(self._fd, size)


def import_(layout: Layout, words: Arguments) -> int:
    """Make an image of a tar archive and print its id."""
    path, *names = words.operands
    if path.startswith(("http://", "https://")):
        raise RuntimeFailure(
            f"cannot import '{path}': urls are not read", f"curl -L {path} | runtime import - …", 1
        )
    fd = 0 if path == "-" else _open(path)
    image = import_rootfs(
        Images(layout),
        Stream(fd),
        names[0] if names else "",
        now=time.time(),
        message=words.text("message", f"Imported from {path}"),
        change=lambda config: commit_change.apply(config, words.many("change")),
        what="standard input" if path == "-" else f"'{path}'",
    )
    events.emit(layout, "image", "import", image.id, {"name": names[0] if names else image.id})
    output.say(image.id)
    return 0


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise RuntimeFailure(f"cannot open '{path}': {error.strerror}", code=1) from None


def load(layout: Layout, words: Arguments) -> int:
    """Take all images of an archive."""
    images = Images(layout)
    os.makedirs(layout.images, 0o700, exist_ok=True)
    with closing(_archive(layout, words)) as archive:
        for loaded in loading.load(
            images, archive, now=time.time(), progress=_progress(quiet=words.flag("quiet"))
        ):
            for name, old in loaded.replaced:
                output.say(
                    f"The image {name} already exists, renaming the old one with ID {old} "
                    "to empty string"
                )
            if not loaded.names:
                output.say(f"Loaded image ID: {loaded.image.id}")
            for name in loaded.names:
                output.say(f"Loaded image: {name}")
            shown = next(iter(loaded.names), loaded.image.id)
            events.emit(layout, "image", "load", loaded.image.id, {"name": shown})
    return 0


def _archive(layout: Layout, words: Arguments) -> ArchiveFile:
    path = words.text("input")
    if path:
        try:
            return open_archive(path, layout.images)
        except RuntimeFailure as failure:
            failure.code = 1  # no container was to run
            raise
    if os.isatty(0):
        raise RuntimeFailure(
            "cannot load from a terminal", "runtime load -i FILE, or a file as stdin", code=1
        )
    return open_stream(os.dup(0), layout.images, "standard input")


def _progress(*, quiet: bool) -> Callable[[str], None]:
    def tell(diff_id: str) -> None:
        if not quiet and os.isatty(2):
            sys.stderr.write(f"{digests.short(diff_id)}: Loading layer\n")

    return tell


def save(layout: Layout, words: Arguments) -> int:
    """Write images to an archive."""
    images = Images(layout)
    form = words.text("format", "docker-archive")
    path = words.text("output")
    if form not in _FORMATS:
        raise RuntimeFailure(f"--format: '{form}' is none of {', '.join(_FORMATS)}", code=1)
    if form == "oci-dir" and not path:
        raise RuntimeFailure("--format oci-dir needs --output DIRECTORY", code=1)
    if not path and os.isatty(1):
        raise RuntimeFailure(
            "cannot save to a terminal", "runtime save -o FILE, or a file as stdout", code=1
        )
    try:
        chosen = saving.choose(images, words.operands)
    except RuntimeFailure as failure:
        failure.code = 1
        raise
    compress = words.flag("compress")
    if form == "oci-dir":
        saving.write_directory(images, chosen, path, compress=compress)
        return 0
    kind = form.removesuffix("-archive")
    if not path:
        saving.write_tar(images, chosen, _writer(1), form=kind, compress=compress)
        return 0
    _save_file(path, lambda fd: saving.write_tar(
        images, chosen, _writer(fd), form=kind, compress=compress
    ))  # fmt: skip
    return 0


def _save_file(path: str, write: Callable[[int], None]) -> None:
    """Write a file as a whole or not at all; a link keeps leading to it.

    It takes the name of what is there: of /dev/null, it would be the machine's.
    """
    path = os.path.realpath(path)
    temporary = f"{path}.tmp-{os.getpid()}"
    try:
        if os.path.lexists(path):
            regular.check(os.lstat(path), path)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write(fd)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        finally:
            os.close(fd)
    except OSError as error:
        raise RuntimeFailure(f"cannot write '{path}': {error.strerror}", code=1) from error


def _writer(fd: int) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    return write
