"""Records on disk: one reader for all kinds, whatever lies in their place.

A record is a small regular file of ours.  Power failures, full disks and hands leave others: empty,
cut, of another kind, of a newer version, a directory, a FIFO.  `read_record` never hangs, never
reads without end, and raises one exception that names the file.  Who lists many records goes on
with the others: `note` tells the command line once, which says it.
"""

from __future__ import annotations

import errno
import os
import stat

from runtime.model import jsontext
from runtime.model.contexts import suppress
from runtime.model.errors import DamagedFailure
from supervise.model import plain
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    R = TypeVar("R", bound=Record)

TEMPORARY = ".tmp-"  # in front of the name of a file that is being written
LARGEST = 16 << 20  # bytes of one record
_LATEST = 1e11  # seconds: a date of four digits
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})  # a disk that takes none

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_noted: set[str] = set()  # paths
_listeners: list[Callable[[DamagedFailure], object]] = []


def read(path: str, hint: str = "", *, largest: int = LARGEST) -> bytes | None:
    """Return the whole file, None when there is none.

    Raises:
        DamagedFailure: it is no regular file, is larger than a record, or cannot be read; says
            *hint* as the way out.
    """
    fd = open_file(path, hint)
    if fd < 0:
        return None
    try:
        size = min(os.fstat(fd).st_size, largest)
        data = b""
        while len(data) <= largest and (more := os.read(fd, size + 1)):
            data += more
    except OSError as error:
        raise DamagedFailure(path, _reason(error), hint) from error
    finally:
        os.close(fd)
    if len(data) > largest:
        raise DamagedFailure(path, f"it is larger than {largest >> 20} MiB", hint)
    return data


def open_file(path: str, hint: str = "") -> int:
    """Return a descriptor of the regular file, -1 when there is none; raises as `read`."""
    try:
        fd = os.open(path, _FLAGS)
    except FileNotFoundError:
        return -1
    except OSError as error:  # ELOOP: a link, ENXIO: a socket, ENOTDIR: its directory is a file
        raise DamagedFailure(path, _kind_at(path) or _reason(error), hint) from error
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise DamagedFailure(path, f"it is {_kind(mode)}", hint)


def open_to_write(path: str, flags: int, mode: int) -> int:
    """Return a descriptor of the regular file, made when it is missing.

    What is there and is no regular file is moved aside: opening a FIFO would wait for a reader, a
    link would lead elsewhere.
    """
    flags |= os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(path, flags, mode)
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
            raise
    else:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
    note(DamagedFailure(path, _kind_at(path), "it is moved aside", verb="write"))
    os.rename(path, f"{path}.damaged-{os.getpid()}")
    return os.open(path, flags, mode)


def read_value(path: str, hint: str = "") -> Any:
    """Return the JSON value in the file, None when there is no file; raises as `read`."""
    data = read(path, hint)
    if data is None:
        return None
    if not data.strip(b" \t\r\n\0"):
        raise DamagedFailure(path, "it is empty", hint)
    try:
        return jsontext.loads(data)
    # The interpreter's own reader has all three for what nests too deep or ends too early.
    except (ValueError, RecursionError, SystemError) as error:
        raise DamagedFailure(path, f"it is not JSON: {error}", hint) from error


def read_record(
    cls: type[R], path: str, hint: str = "", *, problem: Callable[[R], str] | None = None
) -> R | None:
    """Return the *cls* in the file, None when there is no file; raises as `read`.

    *problem* returns why a record cannot be, empty when it can.
    """
    found = read_value(path, hint)
    if found is None and not os.path.lexists(path):
        return None
    try:
        record = plain.from_plain(cls, found)
    except ValueError as error:
        raise DamagedFailure(path, str(error), hint) from error
    if problem is not None and (reason := problem(record)):
        raise DamagedFailure(path, reason, hint)
    return record


def is_time(seconds: float) -> bool:
    """Return whether *seconds* of the wall clock can be shown as a date."""
    return 0 <= seconds < _LATEST


def write(path: str, data: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Replace *path* with *data* atomically: a reader sees the old or the new, whole.

    With *sync* it also survives a power failure once this returns.

    Raises:
        OSError: ENOSPC and so on; *path* is as it was.
    """
    directory, name = os.path.split(path)
    temporary = f"{directory}/{TEMPORARY}{name}-{os.getpid()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        try:
            write_all(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # what killed processes left is removed later
            os.unlink(temporary)
        if isinstance(error, OSError):  # write(2) and fsync(2) know no name
            raise OSError(error.errno, error.strerror, path) from error
        raise
    if sync:
        _sync_directory(directory)


def _sync_directory(directory: str) -> None:
    """Have the name survive too; a file system that cannot is no reason to fail: it is there."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of *data*, however many calls it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def note(failure: DamagedFailure) -> None:
    """Report a record that is skipped to the command line, once a file."""
    if failure.path not in _noted:
        _noted.add(failure.path)
        for listener in _listeners:
            listener(failure)


def listen(listener: Callable[[DamagedFailure], object]) -> None:
    """Call *listener* with each damaged record that is passed over from now on."""
    _listeners[:] = [listener]
    _noted.clear()


def _kind_at(path: str) -> str:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return ""
    return "" if stat.S_ISREG(mode) else f"it is {_kind(mode)}"


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "no regular file")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
