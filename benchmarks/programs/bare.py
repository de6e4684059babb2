"""bare.c in Python: what the interpreter costs before anybody adds a supervisor to it.

`python -I -S bare.py FILE [PREFIX]`; with a prefix the lines that are copied get it.  Not a
model of how supervise works: no configuration, no state, no error handling.
"""

import os
import select
import sys
from signal import (
    SIGCHLD,
    SIGPIPE,
    SIGTERM,
    SIGUSR1,
    SIGXFSZ,
    set_wakeup_fd,
    signal,
)

CHUNK = 1 << 16

prefix = sys.argv[2].encode() if len(sys.argv) > 2 else b""
with open(sys.argv[1]) as file:
    commands = [line.split() for line in file]
pids: dict[int, int] = {}
pipes: dict[int, int] = {}
stopping = False

wake_read, wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
set_wakeup_fd(wake_write, warn_on_full_buffer=False)
for number in (SIGCHLD, SIGTERM, SIGUSR1):
    signal(number, lambda *_: None)
epoll = select.epoll()
epoll.register(wake_read, select.EPOLLIN)


def start(index: int, write_fd: int) -> None:
    """Start one service by vfork."""
    pid = os.posix_spawn(
        commands[index][0],
        commands[index],
        os.environ,
        setsid=True,
        setsigmask=(),
        setsigdef=(SIGPIPE, SIGXFSZ),
        file_actions=[(os.POSIX_SPAWN_DUP2, write_fd, 1)],
    )
    pids[pid] = index


def collect() -> None:
    """Reap whatever ended, restart what is ours."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        index = pids.pop(pid, None)
        if index is not None and not stopping:
            start(index, writers[index])
    if stopping and not pids:
        os._exit(0)


def copy(read_fd: int) -> None:
    """Copy what is there, with the prefix; a partial line is not treated apart."""
    data = os.read(read_fd, CHUNK)
    if prefix:
        data = data.replace(b"\n", b"\n" + prefix)
    while data:
        data = data[os.write(1, data) :]


writers = []
for index in range(len(commands)):
    read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
    writers.append(write_fd)
    epoll.register(read_fd, select.EPOLLIN)
    start(index, write_fd)
if prefix:
    os.write(1, prefix)
while True:
    for fd, _events in epoll.poll():
        if fd != wake_read:
            copy(fd)
            continue
        for byte in os.read(wake_read, 4096):
            if byte == SIGTERM:
                stopping = True
            if byte != SIGCHLD:
                for pid in pids:
                    os.kill(pid, byte)
        collect()
