"""The numbered files beside a log file: shifted, compressed, thrown away, healed after a crash.

Beside ``x.log`` stand ``x.log.1`` (the newest) to ``x.log.N``, each plain or with ``.gz``.  Two
names exist for moments: ``x.log.0`` between two renames, ``x.log.gz.tmp`` while a file is being
compressed.  Each step is one rename or unlink, so a crash leaves something `heal` can finish.
`logfile` decides when to rotate.

All of it happens in the one directory that `settle` was given, so what its names lead to elsewhere
does not matter: somebody else's links are renamed and removed, never followed.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.logs.compressor import Compressor
    from supervise.linux.directory import Directory

_FORMS = ("", ".gz")
# Numbers looked at for files too many: whoever may write there must not keep us at it for ever.
_SURPLUS = 1000
_PACKED_MODE = 0o640
# What is far larger than we rotate at was made so by somebody else: reading it could take days.
_FAR_TOO_LARGE = 4  # times max_size
_ALWAYS_PACKED = 64 << 20  # bytes
_LARGEST_PACKED = 4 << 30  # bytes, where no max_size says what is far too large
_SPARSE = 64  # so many times larger than the disk space it takes


class LogArchive:
    """What was rotated away from one log file.

    *on_trouble* is told why a file could not be compressed; it stays as it is then.
    """

    def __init__(self, compressor: Compressor, on_trouble: Callable[[str], None]) -> None:
        self._directory: Directory | None = None
        self._name = ""
        self.keep = 0
        self.compress = False
        self.max_size: int | None = None  # bytes at which the log is rotated
        self._compressor = compressor
        self._on_trouble = on_trouble
        self._waiting: set[int] = set()  # numbers of plain files that are to be compressed
        self._packing: int | None = None  # the one that is, wherever it was shifted to meanwhile
        self._busy = False  # a child writes to the temporary file
        self._times = (0, 0)  # of the file that is being compressed, in ns
        self._packed_fd = -1  # the temporary file
        self._closed = False

    def settle(self, owned_directory: Directory, name: str) -> None:
        """Work beside the log file *name* of *owned_directory* from here on."""
        if self._directory is not None:
            self._directory.close()
        self._directory, self._name = owned_directory, name

    @property
    def directory(self) -> Directory:
        """Return where the log file is; only after `settle`."""
        assert self._directory is not None
        return self._directory

    def take(self) -> None:
        """Move the log file away as number 1; the next open makes a new one.

        Raises:
            OSError: it cannot be moved (a read-only directory, a mount point); nothing changed.
        """
        # Moved aside first: if that is refused, no older file has lost its place.
        self.directory.rename(self._name, self._numbered(0))
        self._shift()
        self.directory.rename(self._numbered(0), self._numbered(1))
        if self.compress:
            self._waiting.add(1)
            self._compressor.enqueue(self._pack)

    def give_back(self) -> None:
        """Undo `take` as far as the log file goes: no new one could be opened."""
        self._waiting.discard(1)
        self.directory.rename(self._numbered(1), self._name)

    def newest_mtime(self) -> float | None:
        """Return when the newest archived file was written to last, in wall clock seconds."""
        for form in _FORMS:
            found = self.directory.look(self._numbered(1, form))
            if found is not None:
                return found.st_mtime
        return None

    def heal(self) -> None:
        """Finish what a crash interrupted and apply `keep` and `compress` to what is there."""
        if not self._busy:
            self.directory.remove(self._temporary)
        if self.keep and self._is_there(0):
            with suppress(OSError):  # then it stays for the next time
                self._shift()
                self.directory.rename(self._numbered(0), self._numbered(1))
        for number in range(1, self.keep + 1):
            plain = self._is_there(number)
            if plain and self._is_there(number, ".gz"):
                # The compressed file gets its name when it is complete.
                self.directory.remove(self._numbered(number))
            elif plain and self.compress and number != self._packing:
                self._waiting.add(number)
        for number in range(self.keep + 1, self.keep + 1 + _SURPLUS):
            if not self._drop(number):
                break
        if self._waiting:
            self._compressor.enqueue(self._pack)

    def close(self) -> None:
        """Forget what waits; the child that runs ends for nothing."""
        self._closed = True
        self._waiting = set()
        if self._directory is not None:
            self._directory.close()

    @property
    def _temporary(self) -> str:
        return f"{self._name}.gz.tmp"

    def _numbered(self, number: int, form: str = "") -> str:
        return f"{self._name}.{number}{form}"

    def _is_there(self, number: int, form: str = "") -> bool:
        return self.directory.look(self._numbered(number, form)) is not None

    def _shift(self) -> None:
        """Give every archived file the next number; the last falls off."""
        self._drop(self.keep)
        for number in range(self.keep - 1, 0, -1):
            for form in _FORMS:
                with suppress(FileNotFoundError):
                    self.directory.rename(
                        self._numbered(number, form), self._numbered(number + 1, form)
                    )
        self._waiting = {number + 1 for number in self._waiting if number < self.keep}
        if self._packing is not None:
            self._packing = self._packing + 1 if self._packing < self.keep else None

    def _drop(self, number: int) -> bool:
        """Remove a number in both forms; return whether there was one."""
        removed = [self.directory.remove(self._numbered(number, form)) for form in _FORMS]
        return any(removed)

    def _pack(self) -> bool:
        """Start compressing the newest file that waits and can be; a job of the compressor."""
        while self._waiting and not self._busy:
            number = min(self._waiting)
            self._waiting.discard(number)
            if self._pack_number(number):
                return True
        return False

    def _pack_number(self, number: int) -> bool:
        source = target = -1
        try:
            # Descriptors, not names: both files may be renamed while the child works.
            source = self.directory.open_regular_file(self._numbered(number), os.O_RDONLY)
            found = os.fstat(source)
            limit = self._check_size(found)
            # No reader more than the plain file has.
            mode = _PACKED_MODE & found.st_mode
            target = self.directory.make_file(self._temporary, mode | 0o200)
            self._compressor.run(source, target, self._packed, limit=limit)
        except OSError as error:
            self._forget_packed(target)
            self._on_trouble(error.strerror or str(error))
            return False
        finally:
            if source >= 0:
                os.close(source)
        self._times, self._packed_fd = (found.st_atime_ns, found.st_mtime_ns), target
        self._packing = number
        self._busy = True
        return True

    def _check_size(self, found: os.stat_result) -> int:
        """Return how many bytes a file with this status may have to be packed.

        Raises:
            OSError: EFBIG: it has more, or is sparse; it stays as it is.
        """
        limit = _LARGEST_PACKED
        if self.max_size is not None:
            limit = max(_FAR_TOO_LARGE * self.max_size, _ALWAYS_PACKED)
        if found.st_size > limit:
            reason = f"it has {found.st_size >> 20} MiB, far more than it is rotated at"
            raise OSError(errno.EFBIG, reason)
        if found.st_size > max(_ALWAYS_PACKED, _SPARSE * 512 * found.st_blocks):
            raise OSError(errno.EFBIG, f"its {found.st_size >> 20} MiB are all but holes")
        return limit

    def _forget_packed(self, fd: int) -> None:
        """Remove the temporary file, where it was made."""
        if fd >= 0:
            os.close(fd)
            self.directory.remove(self._temporary)

    def _packed(self, reason: str) -> None:
        """Put the compressed file in the place of the plain one."""
        number, self._packing, self._busy = self._packing, None, False
        fd, self._packed_fd = self._packed_fd, -1
        if self._closed:
            os.close(fd)
            return  # the path may be another's; it heals
        if number is None or reason:
            self._forget_packed(fd)
            if reason:
                self._on_trouble(reason)
        else:
            try:
                os.utime(fd, ns=self._times)
                self.directory.rename(self._temporary, self._numbered(number, ".gz"))
            except OSError as error:
                self._on_trouble(error.strerror or str(error))
            else:
                self.directory.remove(self._numbered(number))
            os.close(fd)
        if self._waiting:
            self._compressor.enqueue(self._pack)
