"""Run a short helper program: text in, text out.  For `nft` and CNI plugins.

`subprocess` does more and takes 14 ms to import, more than such a program runs.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import select

from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_ADMIN = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin")
_CHUNK = 65536


class ProgramOutput(Record):
    """What a program said and how it ended."""

    code: int  # its exit code; 128 + n after signal n
    out: bytes
    error: bytes


def find(name: str) -> str | None:
    """Return the path of the program *name* in PATH or where administrators' programs are."""
    listed = [entry for entry in os.environ.get("PATH", "").split(":") if entry.startswith("/")]
    for directory in (*listed, *_ADMIN):
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK):
            return path
    return None


def run(
    argv: list[str], text: bytes = b"", environment: Mapping[str, str] | None = None
) -> ProgramOutput:
    """Run ``argv[0]``, a path, with *text* as its standard input, and wait for its end.

    Raises:
        OSError: it cannot be executed.
    """
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
    (stdin_read, stdin_write), (out_read, out_write), (error_read, error_write) = pipes
    ours = [stdin_write, out_read, error_read]
    try:
        pid = os.posix_spawn(
            argv[0],
            argv,
            dict(os.environ if environment is None else environment),
            file_actions=[
                (os.POSIX_SPAWN_DUP2, stdin_read, 0),
                (os.POSIX_SPAWN_DUP2, out_write, 1),
                (os.POSIX_SPAWN_DUP2, error_write, 2),
            ],
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
        )
    except OSError:
        _close(ours)
        raise
    finally:
        _close([stdin_read, out_write, error_write])
    try:
        out, error = _talk(stdin_write, text, out_read, error_read)
    finally:
        _close([out_read, error_read])
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return ProgramOutput(code if code >= 0 else 128 - code, out, error)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _talk(owned_stdin: int, text: bytes, out_fd: int, error_fd: int) -> tuple[bytes, bytes]:
    """Write *text* and read both outputs to their ends, whichever the program likes first."""
    collected = {out_fd: bytearray(), error_fd: bytearray()}
    rest = memoryview(text)
    os.set_blocking(owned_stdin, False)
    waiting = select.poll()
    waiting.register(owned_stdin, select.POLLOUT)
    for fd in collected:
        waiting.register(fd, select.POLLIN)
    unfinished = 2
    while unfinished:
        for fd, _ in waiting.poll():
            if fd == owned_stdin:
                rest = _feed(fd, rest)
                if not rest:
                    waiting.unregister(fd)
                    os.close(fd)
                    owned_stdin = -1
                continue
            chunk = os.read(fd, _CHUNK)
            collected[fd] += chunk
            if not chunk:
                waiting.unregister(fd)
                unfinished -= 1
    if owned_stdin >= 0:
        os.close(owned_stdin)
    return bytes(collected[out_fd]), bytes(collected[error_fd])


def _feed(fd: int, rest: memoryview) -> memoryview:
    """Write what the pipe takes; return the rest, empty once the program stopped reading."""
    try:
        return rest[os.write(fd, rest) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[:0]  # it has its reasons, and its exit code says so
