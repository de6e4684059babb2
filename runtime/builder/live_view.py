"""The build as a terminal shows it: steps under way in place, with their last lines of output.

A step that is done becomes a line of its own above them and is never touched again, so that what
has scrolled away is right too.  `frame` is pure; `View` writes to the terminal.
"""

from __future__ import annotations

import os
import time

from runtime.builder.build_progress import (
    BuildProgress,
    OutputLines,
    one_line,
    place,
    without_sequences,
    write_all,
)
from supervise.model.printable import printable
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from runtime.builder.build_progress import Key

_SHOWN = 4  # lines of output below a step
_KEPT = 100  # lines of output that a failure shows
_CLEAR_LINE, _UP, _CLEAR_BELOW = "\x1b[2K", "\x1b[{}A", "\x1b[J"
_DIM, _BOLD, _GREEN, _RED, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"
_SMALLEST = (20, 4)  # columns, rows


class Running(Record):
    """One step under way."""

    title: str
    seconds: float
    lines: tuple[str, ...] = ()  # the last ones of its output


def frame(running: Sequence[Running], columns: int, rows: int) -> list[str]:
    """Return the lines that show *running*, none longer than the terminal is wide."""
    shown = []
    room = rows - 1 - len(running)
    for step in running:
        seconds = f"{step.seconds:.1f}s"
        title = _cut(f" ● {step.title}", columns - len(seconds) - 1)
        shown.append(f"{_BOLD}{title:{columns - len(seconds) - 1}}{_PLAIN}{seconds}")
        below = step.lines[-min(_SHOWN, max(0, room)) :] if room > 0 else ()
        shown += [f"{_DIM}{_cut(f'   │ {line}', columns - 1)}{_PLAIN}" for line in below]
        room -= len(below)
    return shown[: rows - 1]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


class _Step:
    """What is known of a step."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.begun = time.monotonic()
        self.lines: list[str] = []
        self.readers = {1: OutputLines(), 2: OutputLines()}


class View(BuildProgress):
    """The view of one build."""

    is_live = True

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._steps: dict[Key, _Step] = {}  # those under way
        self._drawn = 0  # lines of the last frame
        self._begun = time.monotonic()

    def started(self, key: Key, stage: str, said: dict[str, Any]) -> None:
        """Show one more step."""
        self._steps[key] = _Step(printable(f"{place(stage, said)} {one_line(said['text'])}"))
        self.tick()

    def output(self, key: Key, stream: int, data: bytes) -> None:
        """Keep the lines for the next frame."""
        step = self._steps[key]
        step.lines += [without_sequences(line) for line in step.readers[stream].feed(data)]
        del step.lines[:-_KEPT]

    def finished(self, key: Key, seconds: float, *, cached: bool) -> None:
        """Let the step become a line that stays."""
        step = self._steps.pop(key)
        tail = "CACHED" if cached else f"{seconds:.1f}s"
        self._settle(f"{_GREEN} ✔{_PLAIN} ", step.title, tail)

    def failed(self, key: Key, reason: str) -> None:  # noqa: ARG002 - it is said in the end
        """Show all that is kept of the step's output."""
        step = self._steps.pop(key, None)
        if step is None:
            return
        for reader in step.readers.values():
            step.lines += [without_sequences(line) for line in reader.flush()]
        self._settle(f"{_RED} ✘{_PLAIN} ", step.title, "")
        self._above([f"   │ {line}" for line in step.lines])

    def remark(self, text: str) -> None:
        """Show a line that stays."""
        self._above([printable(text)])

    def exported(self, image_id: str, names: list[str], seconds: float) -> None:  # noqa: ARG002 - the whole build's time is what a person waited
        """Show what there is now."""
        whole = time.monotonic() - self._begun
        self._above([f"image {image_id}", *(f"named {printable(name)}" for name in names)])
        self._above([f"built in {whole:.1f}s"])

    def tick(self) -> None:
        """Draw the steps under way anew."""
        self._write(self._erased() + self._frame())

    def close(self) -> None:
        """Take the steps under way off the screen."""
        self._steps.clear()
        self._write(self._erased())

    def _settle(self, mark: str, title: str, tail: str) -> None:
        columns, _ = self._size()
        room = columns - len(tail) - 4
        self._above([f"{mark}{_cut(title, room):{room}}{tail}".rstrip()])

    def _above(self, lines: Sequence[str]) -> None:
        text = "".join(f"{line}\r\n" for line in lines)
        self._write(self._erased() + text + self._frame())

    def _frame(self) -> str:
        now = time.monotonic()
        running = [
            Running(step.title, now - step.begun, tuple(step.lines[-_SHOWN:]))
            for step in self._steps.values()
        ]
        lines = frame(running, *self._size())
        self._drawn = len(lines)
        return "".join(f"{_CLEAR_LINE}{line}\r\n" for line in lines)

    def _erased(self) -> str:
        if not self._drawn:
            return ""
        drawn, self._drawn = self._drawn, 0
        return _UP.format(drawn) + "\r" + _CLEAR_BELOW

    def _size(self) -> tuple[int, int]:
        try:
            columns, rows = os.get_terminal_size(self._fd)
        except OSError:  # --progress tty into something that is none
            columns, rows = 80, 24
        return max(columns, _SMALLEST[0]), max(rows, _SMALLEST[1])

    def _write(self, text: str) -> None:
        if text:
            write_all(self._fd, text.encode(errors="replace"))
