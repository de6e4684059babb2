"""Our interpreter stays busy as long as a container could write to it: CVE-2019-5736.

A program in a container may be ``#!/proc/self/exe`` and so run the interpreter of the command that
entered, take hold of the file, and write to it once nobody runs it (until then: ETXTBSY).  The
container's monitor runs it for the container's life; but after an upgrade of Python it runs another
file than commands do.  Then a process that does nothing else stays.
"""

from __future__ import annotations

import os
import select

from runtime.container.start import becoming
from runtime.linux import locks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_OURS = "/proc/self/exe"


def keep(run_directory: str, monitor_pid: int, target: int) -> None:
    """Keep our interpreter busy until the process of the pidfd *target* has ended.

    Costs two system calls when the monitor runs the same one.

    Raises:
        OSError: no process can be forked.
    """
    ours = os.stat(_OURS)
    if os.path.samestat(ours, _status(f"/proc/{monitor_pid}/exe")):
        return
    lock = locks.try_lock(f"{run_directory}/busy-{ours.st_dev}-{ours.st_ino}")
    if lock is None:
        return  # another command's keeper does it
    pid = os.fork()
    if pid == 0:
        _stay(lock.fd, target)
    lock.release()
    os.waitpid(pid, 0)


def _status(path: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError:  # it has just ended, and the container with it
        return os.stat("/")


def _stay(lock_fd: int, target: int) -> NoReturn:
    """Leave the command and wait for the end of *target*; never returns."""
    try:
        os.setsid()
        os.chdir("/")
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        becoming.close_all_but((lock_fd, target))
        if os.fork() == 0:
            poll = select.poll()
            poll.register(target, select.POLLIN)
            poll.poll()
    finally:
        os._exit(0)
