"""A log file of PID 1: appended to, rotated between lines, reopened on request.

Whatever the disk does (full, read-only, gone) costs lines, which are counted and announced, and
never PID 1.  A path that is a FIFO or a device becomes an outlet.  `archive` has the older files.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress

from supervise.daemon.logs import sinks
from supervise.daemon.logs.archive import LogArchive
from supervise.linux import directory
from supervise.wire.lines import count_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.logs.compressor import Compressor
    from supervise.daemon.logs.sinks import Announce, Outlet
    from supervise.daemon.loop import CallbackOwner, Loop
    from supervise.model.service import LogSettings

_NEWLINE = 10
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT
# The way out of a directory that is not trusted as far as its links and other people's files go.
_WAY_OUT = "name the file itself in logs.file, or have the directory belong to root (chmod go-w)"


class LogFile:
    """One path, one writer; several services may share it.

    A regular file takes what it is given at once, so it is never full.
    """

    def __init__(
        self,
        path: str,
        service: str,
        logs: LogSettings,
        *,
        loop: Loop,
        compressor: Compressor,
        announce: Announce,
    ) -> None:
        self.path = path
        self._service = service  # the first to ask for it, named where no other is to blame
        self.holder: object | None = None
        self.trouble = sinks.Trouble(loop, path, announce)
        self._loop = loop
        self._announce = announce
        self._logs = logs
        self._archive = LogArchive(compressor, self._cannot_compress)
        self._archive_trouble = sinks.Trouble(loop, path, announce)
        self._name = ""  # in the archive's directory
        self._fd = -1
        self._outlet: Outlet | None = None  # in place of _fd, when the path is no regular file
        self._is_ours = True  # nobody else can have put there what is at the path
        self._size = 0
        self._midline = False  # the last byte is not the end of a line: raw output
        self._mend = False  # and never will be: end it before the next block
        self._born = 0.0  # when the file's first line was written, on the loop's clock
        self._retry_at = float("-inf")
        self._rotate_at = float("-inf")  # not before: the last try was refused
        self.configure(logs)

    # -- the sink

    @property
    def full(self) -> bool:
        """Return whether its reader does not keep up; only a FIFO or a device has one.

        A FIFO where others may write never holds a service up: they could have put it there.
        """
        return self._outlet is not None and self._is_ours and self._outlet.full

    def when_drained(self, callback: Callable[[], None], owner: CallbackOwner | None) -> None:
        """Run *callback* once from the loop when there is room again."""
        if self._outlet is not None:
            self._outlet.when_drained(callback, owner)
        else:
            self._loop.call_soon(callback, owner)

    def write(self, block: bytes, service: str) -> None:
        """Append *block*; what cannot be written is counted and lost."""
        resting = self.trouble.reason and self._loop.now() < self._retry_at
        if resting or not self._open(service):
            self.trouble.lost += count_lines(block)
        elif self._outlet is not None:
            self._write_out(self._outlet, block, service)
        elif self._is_due(len(block)):
            self._write_and_rotate(block, service)
        else:
            self._append(block, service)

    def finish(self, deadline: float) -> None:
        """Write what is queued, waiting until *deadline* (monotonic seconds) at most."""
        if self._outlet is not None and self._is_ours:
            self._outlet.finish(deadline)

    # -- its life

    def configure(self, logs: LogSettings) -> None:
        """Rotate, keep and compress by *logs* from here on."""
        self._logs = logs
        self._archive.keep = logs.keep
        self._archive.compress = logs.compress
        self._archive.max_size = logs.max_size
        if self._fd >= 0:
            self._archive.heal()

    def open(self) -> None:
        """Open the file ahead of the first line, so that trouble is known when a service starts."""
        self._open(self._service)

    def reopen(self) -> None:
        """Open the path anew, after somebody else moved the file; keep the old one if refused."""
        self._retry_at = float("-inf")
        old_fd, old_outlet = self._fd, self._outlet
        self._fd, self._outlet = -1, None
        if not self._open(self._service):
            self._fd, self._outlet = old_fd, old_outlet
            return
        self.holder = None
        _close(old_fd, old_outlet)

    def close(self) -> None:
        """Close it; the path is nobody's from here on."""
        _close(self._fd, self._outlet)
        self._fd, self._outlet = -1, None
        self._archive.close()

    # -- opening

    def _open(self, service: str) -> bool:
        """Return whether there is something to write to; begins the trouble if not."""
        if self._fd >= 0 or self._outlet is not None:
            return True
        try:
            fd = self._open_path()
            status = os.fstat(fd)
        except OSError as error:
            self._refused(error, b"", service)
            return False
        if stat.S_ISREG(status.st_mode):
            self._fd = fd
            self._size = status.st_size
            self._mend = self._midline = status.st_size > 0 and self._ends_midline(status)
            self._born = self._loop.now() - self._age(status)
            self._archive.heal()
        else:
            self._outlet = sinks.owning_outlet(self._loop, self.path, fd, self._announce)
        return True

    def _open_path(self) -> int:
        """Open the file where its path leads, and settle the older ones beside it.

        Raises:
            OSError: it cannot be opened, or may not be what it says; see `directory`.
        """
        held, name = directory.find(self.path, make=True)
        try:
            fd = held.open_file(name, _FLAGS)
        except BaseException:
            held.close()
            raise
        self._name = name
        self._is_ours = held.is_ours
        self._archive.settle(held, name)
        return fd

    def _ends_midline(self, status: os.stat_result) -> bool:
        """Return whether the file's last byte is not a newline; False when it cannot be read."""
        try:
            fd = self._archive.directory.open_regular_file(self._name, os.O_RDONLY)
        except OSError:
            return False
        try:
            # Not by name: that may be another file by now.
            same = os.path.samestat(os.fstat(fd), status)
            return same and os.pread(fd, 1, status.st_size - 1) != b"\n"
        except OSError:
            return False
        finally:
            os.close(fd)

    def _age(self, status: os.stat_result) -> float:
        """Return how many seconds ago the file's first line was written, as well as can be told.

        No file system call says when a file was made, but the file before it was written to last
        just before that.
        """
        if status.st_size == 0:
            return 0.0
        began = status.st_mtime
        before = self._archive.newest_mtime()
        if before is not None:
            began = min(began, before)
        return max(0.0, time.time() - began)

    # -- writing

    def _write_out(self, outlet: Outlet, block: bytes, service: str) -> None:
        if outlet.full and not self._is_ours:
            reason = "nobody reads the FIFO, in a directory that others may write to"
            self.trouble.begin(reason, count_lines(block), service)
            return
        if self.trouble.reason:
            self.trouble.end()
        outlet.write(block, service)

    def _append(self, block: bytes, service: str) -> None:
        if self._mend:
            block = b"\n" + block
        view = memoryview(block)
        while view:
            try:
                written = os.write(self._fd, view)
            except OSError as error:
                done = len(block) - len(view)
                if done:
                    self._midline = block[done - 1] != _NEWLINE
                # The newline that mends is no line of anybody's.
                lost = block[max(done, int(self._mend)) :]
                self._mend = self._midline
                self._refused(error, lost, service)
                return
            view = view[written:]
            self._size += written
        self._mend = False
        self._midline = block[-1] != _NEWLINE
        if self.trouble.reason:
            self.trouble.end()

    def _refused(self, error: OSError, block: bytes, service: str) -> None:
        self._retry_at = self._loop.now() + sinks.RETRY_INTERVAL
        lost = count_lines(block) if block else 0
        self.trouble.begin(_reason_of(error), lost, service)

    # -- rotation

    def _is_due(self, size: int) -> bool:
        """Return whether *size* more bytes make the file too big, or it is too old."""
        return (self._is_too_big(size) or self._is_too_old()) and (
            self._loop.now() >= self._rotate_at
        )

    def _is_too_big(self, size: int) -> bool:
        limit = self._logs.max_size
        return limit is not None and self._size + size > limit

    def _is_too_old(self) -> bool:
        limit = self._logs.max_age
        return limit is not None and self._size > 0 and self._loop.now() - self._born >= limit

    def _write_and_rotate(self, block: bytes, service: str) -> None:
        """Append *block* in parts that end with a line, with a new file between them."""
        while block and self._is_due(len(block)):
            cut = self._cut(block)
            if cut:
                self._append(block[:cut], service)
                block = block[cut:]
            if self.trouble.reason:
                self.trouble.lost += count_lines(block) if block else 0
                return
            if block and not self._midline:
                self._rotate(service)
        if block:
            self._append(block, service)

    def _cut(self, block: bytes) -> int:
        """Return how much of *block* still belongs into this file; 0 for nothing."""
        cut = 0
        if not self._is_too_old() and self._logs.max_size is not None:
            cut = block.rfind(b"\n", 0, max(0, self._logs.max_size - self._size)) + 1
        if cut == 0 and (self._midline or self._size == 0):
            # The line that was begun here ends here; a line bigger than a file has one alone.
            cut = block.find(b"\n") + 1 or len(block)
        return cut

    def _rotate(self, service: str) -> None:
        """Begin a new file; when that is refused, go on with the old one and try again later."""
        self._rotate_at = self._loop.now() + sinks.ANNOUNCE_INTERVAL
        try:
            if self._truncated_by_others():
                return
            if self._logs.keep == 0:
                os.ftruncate(self._fd, 0)
            else:
                self._begin_new_file()
        except OSError as error:
            reason = f"not rotated, it grows on: {sinks.reason_of(error)}"
            self._archive_trouble.begin(reason, 0, service)
            return
        self._archive_trouble.end()
        self._rotate_at = float("-inf")
        self._size = 0
        self._midline = self._mend = False
        self._born = self._loop.now()

    def _truncated_by_others(self) -> bool:
        """Return whether the file is smaller than what was written: logrotate's copytruncate."""
        size = os.fstat(self._fd).st_size
        if size >= self._size:
            return False
        self._size = size
        self._born = self._loop.now()
        self._rotate_at = float("-inf")
        return True

    def _begin_new_file(self) -> None:
        with suppress(FileNotFoundError):  # moved or removed by others: a new one all the same
            self._archive.take()
        try:
            fd = self._archive.directory.open_regular_file(self._name, _FLAGS)
        except OSError:
            # The descriptor is still good: let the file have its name back and go on with it.
            self._archive.give_back()
            raise
        os.close(self._fd)
        self._fd = fd

    def _cannot_compress(self, reason: str) -> None:
        self._archive_trouble.begin(f"not compressed: {reason}", 0, self._service)


def _reason_of(error: OSError) -> str:
    reason = sinks.reason_of(error)
    return f"{reason} ({_WAY_OUT})" if isinstance(error, directory.UnsafeFileError) else reason


def _close(fd: int, outlet: Outlet | None) -> None:
    if fd >= 0:
        os.close(fd)
    if outlet is not None:
        outlet.close()
