"""What a container's own files change in its image: added, changed, deleted.

Read from the overlay's upper directory, beside the lower ones; no mount, no look at the rest.
Places that the runtime made for its mounts are not counted, as docker does not.
"""

from __future__ import annotations

import os
import stat

from runtime.model.contexts import suppress
from runtime.wire import whiteout
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    """Return the changes, by path; *lowers* top first, *mounted* are the targets of mounts."""
    found: list[Change] = []
    ours = _OURS | {target.strip("/") for target in mounted}
    _directory(upper, "", list(lowers), ours, found)
    return sorted(found, key=lambda change: change.path)


def _directory(
    upper: str, path: str, lowers: list[str], ours: frozenset[str], found: list[Change]
) -> bool:
    """Add what is in one directory; return whether anything was.

    *lowers* are the directories of the same name below, those that are seen.
    """
    before = len(found)
    directory = f"{upper}/{path}" if path else upper
    opaque = _is_opaque(directory)
    if opaque:
        _gone(directory, path, lowers, found)
        lowers = []
    for name in sorted(os.listdir(directory)):
        inner = f"{path}/{name}" if path else name
        _entry(upper, inner, seen_below(lowers, name), ours, found)
    return len(found) > before


def _entry(
    upper: str, path: str, below: list[str], ours: frozenset[str], found: list[Change]
) -> None:
    place = f"{upper}/{path}"
    status = os.lstat(place)
    if whiteout.is_overlay_whiteout(status.st_mode, status.st_rdev):
        found.append(Change(DELETED, f"/{path}"))
        return
    is_directory = stat.S_ISDIR(status.st_mode)
    if path in ours and _is_empty(place, status):
        return
    if not below:
        if is_directory and any(each.startswith(f"{path}/") for each in ours):
            # Made on the way to a mount, unless something else is in it.
            if _directory(upper, path, [], ours, found):
                found.append(Change(ADDED, f"/{path}"))
            return
        found.append(Change(ADDED, f"/{path}"))
        if is_directory:
            _directory(upper, path, [], ours, found)
        return
    same = is_directory and stat.S_ISDIR(os.lstat(below[0]).st_mode)
    inside = False
    if is_directory:
        lowers = [each for each in below if stat.S_ISDIR(os.lstat(each).st_mode)] if same else []
        inside = _directory(upper, path, lowers, ours, found)
    if not same or inside or _differs(status, os.lstat(below[0])):
        found.append(Change(CHANGED, f"/{path}"))


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


def _gone(directory: str, path: str, lowers: list[str], found: list[Change]) -> None:
    """Add what an opaque directory hides."""
    names: set[str] = set()
    for lower in lowers:
        names.update(os.listdir(lower))
    base = f"/{path}/" if path else "/"
    found += [
        Change(DELETED, base + name)
        for name in sorted(names)
        if seen_below(lowers, name) and not os.path.lexists(f"{directory}/{name}")
    ]


def _differs(ours: os.stat_result, theirs: os.stat_result) -> bool:
    """Return whether a directory that is in both has other owners or another mode."""
    return (ours.st_mode, ours.st_uid, ours.st_gid) != (
        theirs.st_mode,
        theirs.st_uid,
        theirs.st_gid,
    )


def _is_empty(place: str, status: os.stat_result) -> bool:
    if stat.S_ISDIR(status.st_mode):
        return not os.listdir(place)
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def _is_opaque(directory: str) -> bool:
    with suppress(OSError):  # ENODATA: it is not
        return os.getxattr(directory, whiteout.OPAQUE_XATTR) == whiteout.OPAQUE_VALUE
    return False
