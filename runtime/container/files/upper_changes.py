"""What a container's own files change in its image: added, changed, deleted.

Read from the overlay's upper directory, beside the lower ones; no mount, no look at the rest.
Places that the runtime made for its mounts are not counted, as docker does not.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from functools import partial

from runtime.linux import beneath
from runtime.linux.descent import Descent, is_gone
from runtime.model.contexts import suppress
from runtime.wire import whiteout
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
ADDED, CHANGED, DELETED = "A", "C", "D"
_OURS = frozenset({
    *("dev", "proc", "sys", ".supervise", ".supervise-run", ".dockerenv"),
    *("etc/hosts", "etc/hostname", "etc/resolv.conf"),
})  # fmt: skip


class Change(Record):
    """One path."""

    kind: str  # A, C or D
    path: str  # absolute


def changes(upper: str, lowers: Sequence[str], mounted: Iterable[str] = ()) -> list[Change]:
    """Return the changes, by path; *lowers* top first, *mounted* are the targets of mounts.

    The container may go on: what it takes away meanwhile may or may not be seen.
    """
    ours = _OURS | {target.strip("/") for target in mounted}
    with ExitStack() as stack:
        opened = [_open_root(stack, each) for each in (upper, *lowers)]
        found = _Comparison(opened[0], opened[1:], ours).run()
    return sorted(found, key=lambda change: change.path)


def _open_root(stack: ExitStack, path: str) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd


class _ChangeLevel:
    """One directory of the upper ones on the way down."""

    def __init__(self, lowers: list[int], before: int, verdict: Callable[[bool], None]) -> None:
        self.names: list[bytes] = []  # still to be looked at, the first last
        self.lowers = lowers  # the roots in which a directory of this path is seen, top first
        self.before = before  # changes found before it
        self.verdict = verdict  # gets, at the end, whether there are any in it


class _Comparison:
    """One walk over the upper directory, beside the lower ones."""

    def __init__(self, upper_fd: int, lower_fds: list[int], ours: frozenset[str]) -> None:
        self._walk = Descent(upper_fd)
        self._lower_fds = lower_fds
        self._ours = ours
        self._found: list[Change] = []
        self._levels: list[_ChangeLevel] = []
        self._beside: list[int] = []  # the lower directories beside the open one

    def run(self) -> list[Change]:
        try:
            self._begin(self._lower_fds, lambda _: None)
            while self._levels:
                level = self._levels[-1]
                if level.names:
                    self._entry(level, level.names.pop())
                    continue
                self._levels.pop()
                level.verdict(len(self._found) > level.before)
                if self._levels:
                    self._ascend()
        finally:
            self._close_beside()
            self._walk.close()
        return self._found

    def _begin(self, lowers: list[int], verdict: Callable[[bool], None]) -> None:
        """Begin with the directory that is open."""
        level = _ChangeLevel(lowers, len(self._found), verdict)
        self._levels.append(level)
        self._open_beside(lowers)
        level.names = self._walk.names()
        if _is_opaque(self._walk.fd):
            self._gone(level.names)
            level.lowers = []
            self._close_beside()

    def _ascend(self) -> None:
        if not self._walk.leave():
            self._levels[-1].names.clear()
            return
        self._open_beside(self._levels[-1].lowers)

    def _open_beside(self, lowers: list[int]) -> None:
        self._close_beside()
        for root_fd in lowers:
            self._beside.append(beneath.open_real(root_fd, self._walk.path, _DIRECTORY))

    def _close_beside(self) -> None:
        while self._beside:
            os.close(self._beside.pop())

    def _entry(self, level: _ChangeLevel, name: bytes) -> None:
        try:
            status = os.stat(name, dir_fd=self._walk.fd, follow_symlinks=False)
        except FileNotFoundError:
            return  # the container has removed it
        inner = self._walk.inner(name)
        path = os.fsdecode(inner)
        if whiteout.is_overlay_whiteout(status.st_mode, status.st_rdev):
            self._found.append(Change(DELETED, f"/{path}"))
            return
        if path in self._ours and self._is_empty(name, status):
            return
        below, first = self._seen_below(level, name)
        is_directory = stat.S_ISDIR(status.st_mode)
        if first is None:
            on_the_way = is_directory and any(each.startswith(f"{path}/") for each in self._ours)
            added = partial(self._add, ADDED, path)
            if not on_the_way:
                added()
            if is_directory and self._walk.enter(name):
                # Made on the way to a mount, it counts if something else is in it.
                self._begin([], added if on_the_way else lambda _: None)
            return
        same = is_directory and stat.S_ISDIR(first.st_mode)
        differs = not same or _differs(status, first)
        if is_directory and self._walk.enter(name):
            changed = partial(self._add, CHANGED, path)
            self._begin(below if same else [], lambda inside: changed(differs or inside))
        else:
            self._add(CHANGED, path, differs)

    def _add(self, kind: str, path: str, applies: object = "always") -> None:
        if applies:
            self._found.append(Change(kind, f"/{path}"))

    def _seen_below(
        self, level: _ChangeLevel, name: bytes
    ) -> tuple[list[int], os.stat_result | None]:
        """Return (roots in which a directory *name* is seen, the state of the topmost *name*)."""
        roots: list[int] = []
        first: os.stat_result | None = None
        for root_fd, directory_fd in zip(level.lowers, self._beside, strict=True):
            try:
                status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if whiteout.is_overlay_whiteout(status.st_mode, status.st_rdev):
                break
            first = first or status
            if not stat.S_ISDIR(status.st_mode):
                break
            roots.append(root_fd)
            if _is_opaque(f"/proc/self/fd/{directory_fd}/{os.fsdecode(name)}"):
                break
        return roots, first

    def _gone(self, names: list[bytes]) -> None:
        """Add what an opaque directory, the open one, hides; *names* are in it."""
        level = self._levels[-1]
        hidden = {os.fsencode(name) for fd in self._beside for name in os.listdir(fd)}
        for name in hidden.difference(names):
            if self._seen_below(level, name)[1] is not None:
                path = os.fsdecode(self._walk.inner(name))
                self._found.append(Change(DELETED, f"/{path}"))

    def _is_empty(self, name: bytes, status: os.stat_result) -> bool:
        if not stat.S_ISDIR(status.st_mode):
            return stat.S_ISREG(status.st_mode) and status.st_size == 0
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=self._walk.fd)
        except OSError as error:
            if is_gone(error):
                return False
            raise
        try:
            return not os.listdir(fd)
        finally:
            os.close(fd)


def seen_below(lowers: list[str], name: str) -> list[str]:
    """Return the paths of *name* in the lower directories that are seen, top first."""
    found: list[str] = []
    for directory in lowers:
        place = f"{directory}/{name}"
        try:
            status = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if whiteout.is_overlay_whiteout(status.st_mode, status.st_rdev):
            break
        if not stat.S_ISDIR(status.st_mode):
            return found or [place]
        found.append(place)
        if _is_opaque(place):
            break
    return found


def _differs(ours: os.stat_result, theirs: os.stat_result) -> bool:
    """Return whether a directory that is in both has other owners or another mode."""
    return (ours.st_mode, ours.st_uid, ours.st_gid) != (
        theirs.st_mode,
        theirs.st_uid,
        theirs.st_gid,
    )


def _is_opaque(directory: str | int) -> bool:
    with suppress(OSError):  # ENODATA: it is not
        return os.getxattr(directory, whiteout.OPAQUE_XATTR) == whiteout.OPAQUE_VALUE
    return False
