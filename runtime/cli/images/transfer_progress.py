"""How pull and push are shown: a line a layer that changes on a terminal, plain lines elsewhere.

Each class is what `runtime.registry.pull.TransferProgress` describes; threads call it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import suppress

from runtime.cli import printing
from runtime.model import jsontext, units
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from runtime.registry.pull import TransferProgress

_MOVES = frozenset({"Downloading", "Extracting", "Pushing"})  # with how far it is
_FRAME = 0.1  # seconds between two pictures
_BAR = 30  # columns
_FORMS = ("auto", "plain", "json", "quiet")


def choose(form: str, stream: TextIO, *, quiet: bool) -> TransferProgress:
    """Return what shows progress on *stream*, as ``--progress`` and ``-q`` say.

    Raises:
        RuntimeFailure: *form* is none.
    """
    if form not in _FORMS:
        raise RuntimeFailure(f"--progress: '{form}' is none of {', '.join(_FORMS)}", code=1)
    if quiet or form == "quiet":
        return Silent()
    if form == "json":
        return JsonTransferProgress(stream)
    if form == "auto" and stream.isatty() and os.environ.get("TERM") != "dumb":
        return Bars(stream)
    return LineTransferProgress(stream)


class Silent:
    """Says nothing."""

    def say(self, text: str) -> None:
        """Hear one sentence about the whole."""

    def layer(self, digest: str, status: str, done: int = 0, total: int = 0) -> None:
        """Hear what happens to one layer."""


class LineTransferProgress:
    """One line whenever something else happens to a layer, as docker writes into a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: dict[str, str] = {}
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print it."""
        with self._lock:
            self._print(text)

    def layer(self, digest: str, status: str, done: int = 0, total: int = 0) -> None:
        """Print what is new; how far it is changes too often for a line each."""
        del done, total
        with self._lock, suppress(BrokenPipeError):  # `say` tells the main thread
            if status not in _MOVES and self._last.get(digest) != status:
                self._print(f"{digests.short(digest)}: {status}")
            self._last[digest] = status

    def _print(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()


class JsonTransferProgress:
    """One JSON object a line, for programs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print ``{"status": …}``."""
        with self._lock:
            self._print({"status": text})

    def layer(self, digest: str, status: str, done: int = 0, total: int = 0) -> None:
        """Print ``{"id": …, "status": …}``, with ``progressDetail`` while it moves."""
        now = time.monotonic()
        with self._lock, suppress(BrokenPipeError):
            before, when = self._shown.get(digest, ("", 0.0))
            is_whole = bool(total) and done >= total
            if before == status and now - when < _FRAME and not is_whole:
                return
            self._shown[digest] = status, now
            found: dict[str, object] = {"status": status, "id": digests.short(digest)}
            if total:
                found["progressDetail"] = {"current": done, "total": total}
            self._print(found)

    def _print(self, value: dict[str, object]) -> None:
        text = jsontext.escaped(json.dumps(value, ensure_ascii=False))
        self._stream.write(f"{text}\n")
        self._stream.flush()


class Bars:
    """A line a layer, each overwritten as it changes; what is above them stays."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._layers: dict[str, tuple[str, int, int]] = {}
        self._drawn = 0  # lines on the screen that are ours
        self._when = 0.0
        self._is_stale = False  # the last numbers are not on the screen
        self._ticker: threading.Thread | None = None
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print it below the layers, which stay as they are."""
        with self._lock:
            self._draw()
            printing.write_own(f"{printable(text)}\n", self._stream)
            self._stream.flush()
            self._layers, self._drawn, self._ticker = {}, 0, None

    def layer(self, digest: str, status: str, done: int = 0, total: int = 0) -> None:
        """Show it, at most ten times a second while nothing but a number changes."""
        with self._lock, suppress(OSError):  # a terminal that was closed
            before = self._layers.get(digest)
            self._layers[digest] = status, done, total
            now = time.monotonic()
            self._is_stale = True
            if before is None or before[0] != status or now - self._when >= _FRAME:
                self._when = now
                self._draw()
            if self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
                self._ticker.start()

    def _tick(self) -> None:
        """Draw what `layer` left out, until the layers are done with."""
        mine = threading.current_thread()
        while self._ticker is mine:
            with self._lock, suppress(OSError):
                if self._ticker is mine and self._is_stale:
                    self._draw()
            time.sleep(_FRAME)

    def _draw(self) -> None:
        if not self._layers:
            return
        columns, rows = self._size()
        lines = [self._line(digest, columns) for digest in self._layers]
        lines = lines[-max(1, rows - 1) :]  # what has scrolled away cannot be drawn again
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        text = up + "".join(f"\r{printable(line)}\x1b[K\n" for line in lines)
        printing.write_own(text, self._stream)
        self._stream.flush()
        self._drawn, self._is_stale = len(lines), False

    def _line(self, digest: str, columns: int) -> str:
        status, done, total = self._layers[digest]
        text = f"{digests.short(digest)}: {status}"
        if status in _MOVES and total:
            size = f"{units.human_size(done, 3)}/{units.human_size(total, 3)}"
            filled = min(_BAR, _BAR * done // total)
            bar = ("=" * filled + ">").ljust(_BAR + 1)[: _BAR + 1]
            whole = f"{text:<24} [{bar}] {size}"
            text = whole if len(whole) < columns else f"{text} {size}"
        return text[: max(1, columns - 1)]

    def _size(self) -> tuple[int, int]:
        try:
            found = os.get_terminal_size(self._stream.fileno())
        except OSError:
            return 80, 24
        return found.columns or 80, found.lines or 24


def standard(*, errors: bool = False) -> TextIO:
    """Return where progress goes: stdout, or stderr where stdout is the container's."""
    return sys.stderr if errors else sys.stdout
