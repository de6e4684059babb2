"""The numbered files beside a log file: shifted, compressed, thrown away, healed after a crash.

Beside ``x.log`` stand ``x.log.1`` (the newest) to ``x.log.N``, each plain or with ``.gz``.  Two
names exist for moments: ``x.log.0`` between two renames, ``x.log.gz.tmp`` while a file is being
compressed.  Each step is one rename or unlink, so a crash leaves something `heal` can finish.
`logfile` decides when to rotate.
"""

from __future__ import annotations

import os
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.daemon.logs.compressor import Compressor

_FORMS = ("", ".gz")


class Archive:
    """What was rotated away from one log file.

    *on_trouble* is told why a file could not be compressed; it stays as it is then.
    """

    def __init__(
        self,
        path: str,
        compressor: Compressor,
        on_trouble: Callable[[str], None],
    ) -> None:
        self.path = path
        self.keep = 0
        self.compress = False
        self._compressor = compressor
        self._on_trouble = on_trouble
        self._waiting: set[int] = set()  # numbers of plain files that are to be compressed
        self._packing: int | None = None  # the one that is, wherever it was shifted to meanwhile
        self._busy = False  # a child writes to the temporary file
        self._closed = False

    def take(self) -> None:
        """Move the log file away as number 1; the next open makes a new one.

        Raises:
            OSError: it cannot be moved (a read-only directory, a mount point); nothing changed.
        """
        # Moved aside first: if that is refused, no older file has lost its place.
        os.rename(self.path, self._numbered(0))
        self._shift()
        os.rename(self._numbered(0), self._numbered(1))
        if self.compress:
            self._waiting.add(1)
            self._compressor.enqueue(self._pack)

    def give_back(self) -> None:
        """Undo `take` as far as the log file goes: no new one could be opened."""
        self._waiting.discard(1)
        os.rename(self._numbered(1), self.path)

    def newest_mtime(self) -> float | None:
        """Return when the newest archived file was written to last, in wall clock seconds."""
        for form in _FORMS:
            with suppress(OSError):  # not there, or not to be seen
                return os.stat(self._numbered(1, form)).st_mtime
        return None

    def heal(self) -> None:
        """Finish what a crash interrupted and apply `keep` and `compress` to what is there."""
        if not self._busy:
            _remove(self._temporary)
        if self.keep and os.path.exists(self._numbered(0)):
            with suppress(OSError):  # then it stays for the next time
                self._shift()
                os.rename(self._numbered(0), self._numbered(1))
        for number in range(1, self.keep + 1):
            plain = os.path.exists(self._numbered(number))
            if plain and os.path.exists(self._numbered(number, ".gz")):
                # The compressed file gets its name when it is complete.
                _remove(self._numbered(number))
            elif plain and self.compress and number != self._packing:
                self._waiting.add(number)
        number = self.keep + 1
        while self._drop(number):
            number += 1
        if self._waiting:
            self._compressor.enqueue(self._pack)

    def close(self) -> None:
        """Forget what waits; the child that runs ends for nothing."""
        self._closed = True
        self._waiting = set()

    @property
    def _temporary(self) -> str:
        return f"{self.path}.gz.tmp"

    def _numbered(self, number: int, form: str = "") -> str:
        return f"{self.path}.{number}{form}"

    def _shift(self) -> None:
        """Give every archived file the next number; the last falls off."""
        self._drop(self.keep)
        for number in range(self.keep - 1, 0, -1):
            for form in _FORMS:
                with suppress(FileNotFoundError):
                    os.rename(self._numbered(number, form), self._numbered(number + 1, form))
        self._waiting = {number + 1 for number in self._waiting if number < self.keep}
        if self._packing is not None:
            self._packing = self._packing + 1 if self._packing < self.keep else None

    def _drop(self, number: int) -> bool:
        """Remove a number in both forms; return whether there was one."""
        removed = [_remove(self._numbered(number, form)) for form in _FORMS]
        return any(removed)

    def _pack(self) -> bool:
        """Start compressing the newest file that waits; a job of the compressor."""
        if not self._waiting or self._busy:
            return False
        number = min(self._waiting)
        self._waiting.discard(number)
        opened: list[int] = []
        try:
            # Descriptors, not names: both files may be renamed while the child works.
            opened.append(os.open(self._numbered(number), os.O_RDONLY | os.O_CLOEXEC))
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            opened.append(os.open(self._temporary, flags, 0o640))
            self._compressor.run(opened[0], opened[1], self._packed)
        except OSError as error:
            _remove(self._temporary)
            self._on_trouble(error.strerror or str(error))
            return False
        finally:
            for fd in opened:
                os.close(fd)
        self._packing = number
        self._busy = True
        return True

    def _packed(self, reason: str) -> None:
        """Put the compressed file in the place of the plain one."""
        number, self._packing, self._busy = self._packing, None, False
        if self._closed:
            return  # the path may be another's; it heals
        if number is None or reason:
            _remove(self._temporary)
            if reason:
                self._on_trouble(reason)
        else:
            plain = self._numbered(number)
            try:
                times = os.stat(plain)
                os.utime(self._temporary, ns=(times.st_atime_ns, times.st_mtime_ns))
                os.rename(self._temporary, self._numbered(number, ".gz"))
                os.unlink(plain)
            except OSError as error:
                self._on_trouble(error.strerror or str(error))
        if self._waiting:
            self._compressor.enqueue(self._pack)


def _remove(path: str) -> bool:
    """Remove *path*; return whether it was there and could be."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
