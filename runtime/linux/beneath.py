"""Opening paths that must not leave a directory, whatever symbolic links lie on the way.

openat2(2) does it in the kernel (Linux 5.6); where it is missing or forbidden, a walk with
O_NOFOLLOW does the same as long as no process moves directories meanwhile.
"""

from __future__ import annotations

import errno
import os

from supervise.linux import prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

O_PATH = os.O_PATH
_NR_OPENAT2 = 437  # one number on every machine
_MOST_LINKS = 40  # MAXSYMLINKS of the kernel
_WALK = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_MOST_AT_ONCE = 4000  # bytes of a path in one system call: less than PATH_MAX
_REAL = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS

_openat2: Callable[[int, bytes, int, int, int], int] | None = None
_missing: bool | None = None  # None: not asked yet


def openat2(directory_fd: int, path: bytes, flags: int, resolve: int, mode: int = 0) -> int:
    """Open *path* as *flags* and *resolve* (RESOLVE_…) say, in one system call.

    Raises:
        OSError: ENOSYS: an older kernel; EPERM: a seccomp filter; EXDEV: *path* leaves what
            *resolve* allows; ELOOP: it has a link where none is allowed; else as open(2).
    """
    global _openat2
    if _openat2 is None:
        _openat2 = _make_openat2()
    return _openat2(directory_fd, path, flags | os.O_CLOEXEC, mode, resolve)


def open_in_root(root_fd: int, path: bytes, flags: int, mode: int = 0) -> int:
    """Open *path* as a process would whose root directory is *root_fd*.

    Absolute links and ``..`` stay inside.  The last component is followed too, unless *flags*
    has O_NOFOLLOW.

    Raises:
        OSError: as open(2).
    """
    if _has_openat2():
        return openat2(root_fd, path or b".", flags, RESOLVE_IN_ROOT, mode)
    return _walk(root_fd, path, flags, mode)


def open_real(root_fd: int, path: bytes, flags: int) -> int:
    """Open *path* below *root_fd*, however long, if no component is a link, a dot or two.

    Raises:
        OSError: ELOOP or ENOTDIR: there is a link; else as open(2).
    """
    above = root_fd
    try:
        while len(path) > _MOST_AT_ONCE:
            cut = path.rfind(b"/", 0, _MOST_AT_ONCE)
            deeper = _open_real(above, path[:cut], O_PATH | os.O_DIRECTORY)
            if above != root_fd:
                os.close(above)
            above, path = deeper, path[cut + 1 :]
        return _open_real(above, path, flags)
    finally:
        if above != root_fd:
            os.close(above)


def _open_real(root_fd: int, path: bytes, flags: int) -> int:
    if _has_openat2():
        return openat2(root_fd, path or b".", flags | os.O_NOFOLLOW, _REAL)
    above = root_fd
    names = path.split(b"/") if path else [b"."]
    try:
        for name in names[:-1]:
            deeper = os.open(name, O_PATH | _WALK, dir_fd=above)
            if above != root_fd:
                os.close(above)
            above = deeper
        return os.open(names[-1], flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    finally:
        if above != root_fd:
            os.close(above)


def _has_openat2() -> bool:
    """Return whether openat2(2) may be called: asked once, of a directory that is always there.

    An open of somebody's file cannot answer: EPERM is also what an immutable file says, and a
    container that has one must not choose how the next path is resolved.
    """
    global _missing
    if _missing is None:
        try:
            os.close(openat2(-1, b"/", O_PATH | os.O_DIRECTORY, 0))
            _missing = False
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM):
                raise
            _missing = True
    return not _missing


def make_directories(root_fd: int, path: bytes, mode: int) -> int:
    """Return the directory *path* below *root_fd*, open, made where it is missing.

    Links on the way are the root's own.  What is made has *mode*, whatever the umask.

    Raises:
        FileExistsError: a link on the way leads nowhere.
        OSError: as open(2) and mkdir(2).
    """
    flags = os.O_RDONLY | os.O_DIRECTORY
    try:
        return open_in_root(root_fd, path, flags)
    except FileNotFoundError:
        parts = _components(path)[::-1]
    # One component after the other: a path of 4 kB has 2000 of them, and to begin at the root for
    # each would be two million steps.
    above = os.dup(root_fd)
    for depth, name in enumerate(parts, start=1):
        try:
            fd = _open_or_make(root_fd, above, b"/".join(parts[:depth]), name, mode)
        finally:
            os.close(above)
        above = fd
    return above


def _open_or_make(root_fd: int, above: int, path: bytes, name: bytes, mode: int) -> int:
    """Return the directory *name* in *above*, which is *path*, open."""
    try:
        if name != b"..":
            return os.open(name, os.O_RDONLY | _WALK, dir_fd=above)
    except FileNotFoundError:
        os.mkdir(name, dir_fd=above)
        fd = os.open(name, os.O_RDONLY | _WALK, dir_fd=above)
        os.fchmod(fd, mode)
        return fd
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
    try:
        return open_in_root(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None


def open_child_directory(parent_fd: int, name: bytes) -> int:
    """Open the directory *name*, one component, in *parent_fd*, if nothing is mounted there.

    Raises:
        OSError: EXDEV: something is mounted on it; ELOOP or ENOTDIR: it is no directory.
    """
    flags = os.O_RDONLY | _WALK
    if _has_openat2():
        return openat2(parent_fd, name, flags, RESOLVE_NO_XDEV | RESOLVE_BENEATH)
    fd = os.open(name, flags, dir_fd=parent_fd)
    if os.fstat(fd).st_dev != os.fstat(parent_fd).st_dev:
        os.close(fd)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    return fd


def _walk(root_fd: int, path: bytes, flags: int, mode: int) -> int:
    """Resolve *path* component by component; see path_resolution(7)."""
    stack = [os.dup(root_fd)]  # open directories from the root down
    todo = _components(path)
    links = 0
    try:
        while todo:
            name = todo.pop()
            if name == b"..":
                if len(stack) > 1:
                    os.close(stack.pop())
                continue
            last = not todo
            target = None if last and flags & os.O_NOFOLLOW else _link(stack[-1], name)
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                if target.startswith(b"/"):
                    while len(stack) > 1:
                        os.close(stack.pop())
                todo += _components(target)
            elif last:
                return os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=stack[-1])
            else:
                stack.append(os.open(name, O_PATH | _WALK, dir_fd=stack[-1]))
        return os.open(b".", flags | os.O_CLOEXEC, mode, dir_fd=stack[-1])
    finally:
        for fd in stack:
            os.close(fd)


def _components(path: bytes) -> list[bytes]:
    """Return the components of *path*, last first."""
    return [name for name in path.split(b"/") if name not in (b"", b".")][::-1]


def _link(directory_fd: int, name: bytes) -> bytes | None:
    """Return where the symbolic link *name* points, None if it is not a link."""
    try:
        return os.readlink(name, dir_fd=directory_fd)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _make_openat2() -> Callable[[int, bytes, int, int, int], int]:
    import ctypes

    class OpenHow(ctypes.Structure):
        """struct open_how of openat2(2)."""

        _fields_ = (
            ("flags", ctypes.c_uint64),
            ("mode", ctypes.c_uint64),
            ("resolve", ctypes.c_uint64),
        )

    how = OpenHow()
    pointer = ctypes.byref(how)
    number, size = ctypes.c_long(_NR_OPENAT2), ctypes.c_size_t(ctypes.sizeof(how))
    syscall = prctl.libc().syscall

    def call(directory_fd: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
        how.flags, how.mode, how.resolve = flags, mode, resolve
        fd: int = syscall(number, ctypes.c_long(directory_fd), path, pointer, size)
        if fd < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), os.fsdecode(path))
        return fd

    return call
