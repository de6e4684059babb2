"""What a person, or a program, is told while a build runs: four ways to show the same events.

`PlainBuildProgress` prints lines as BuildKit's plain progress does, `JsonBuildProgress` one object a line, `QuietBuildProgress` nothing;
the view on a terminal is `runtime.builder.live_view`.  A step is known by (stage, number within it).
"""

from __future__ import annotations

import json
import os
import time

from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Key: TypeAlias = tuple[int, int]

_TAIL = 8192  # bytes of output that a quiet build shows when it fails
_LONGEST_LINE = 65536  # bytes without an end that are kept for more


class BuildProgress:
    """Events in; shows nothing."""

    is_live = False  # `tick` wants to be called now and then

    def started(self, key: Key, stage: str, said: dict[str, Any]) -> None:
        """Hear that a step begins: its place in its stage, its text."""

    def output(self, key: Key, stream: int, data: bytes) -> None:
        """Hear what a step's command wrote to stdout (1) or stderr (2)."""

    def finished(self, key: Key, seconds: float, *, cached: bool) -> None:
        """Hear that a step is done."""

    def failed(self, key: Key, reason: str) -> None:
        """Hear that a step, and with it the build, failed."""

    def remark(self, text: str) -> None:
        """Hear of something worth a line."""

    def exported(self, image_id: str, names: list[str], seconds: float) -> None:
        """Hear that the image is there."""

    def tick(self) -> None:
        """Show what time it is."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class QuietBuildProgress(BuildProgress):
    """Says nothing until something fails: then what the step wrote last."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_terminal = os.isatty(fd)
        self._tails: dict[Key, bytes] = {}

    def output(self, key: Key, stream: int, data: bytes) -> None:  # noqa: ARG002 - both alike
        """Keep the end of it."""
        self._tails[key] = (self._tails.get(key, b"") + data)[-_TAIL:]

    def finished(self, key: Key, seconds: float, *, cached: bool) -> None:  # noqa: ARG002
        """Forget what the step wrote."""
        self._tails.pop(key, None)

    def failed(self, key: Key, reason: str) -> None:  # noqa: ARG002 - it is said by others
        """Write what was kept."""
        tail = self._tails.pop(key, b"")
        if self._is_terminal:
            reader = OutputLines()
            lines = [*reader.feed(tail), *reader.flush()]
            tail = "".join(f"{without_sequences(line)}\n" for line in lines).encode()
        write_all(self._fd, tail)


class OutputLines:
    """Splits one stream into lines, which end in newlines or carriage returns."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """Return the lines that *data* completes."""
        parts = (self._rest + data).replace(b"\r\n", b"\n").split(b"\n")
        self._rest = parts.pop()
        if len(self._rest) > _LONGEST_LINE:
            parts.append(self._rest)
            self._rest = b""
        return [_shown(part) for part in parts]

    def flush(self) -> list[str]:
        """Return what is left without an end."""
        rest, self._rest = self._rest, b""
        return [_shown(rest)] if rest else []


def _shown(line: bytes) -> str:
    """Return what a terminal would show of a line that was written over by carriage returns."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")


def without_sequences(line: str) -> str:
    """Return *line* without what would move the cursor or change colours."""
    kept = []
    letters = iter(line)
    for letter in letters:
        if letter == "\x1b":
            if next(letters, "") == "[":
                for end in letters:
                    if end.isalpha():
                        break
        elif letter == "\t":
            kept.append("    ")
        elif letter.isprintable():
            kept.append(letter)
    return "".join(kept)


class PlainBuildProgress(BuildProgress):
    """Lines: ``#5 [build 2/4] RUN make``, ``#5 0.31 output``, ``#5 DONE 1.2s``, ``#5 CACHED``.

    What a command writes goes into a file or pipe as it came, as BuildKit has it: colours are of
    use there.  A terminal gets it as the view shows it.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_terminal = os.isatty(fd)
        self._numbers: dict[Key, int] = {}
        self._texts: dict[Key, str] = {}
        self._begun: dict[Key, float] = {}
        self._lines: dict[tuple[Key, int], OutputLines] = {}
        self._last: int | None = None

    def started(self, key: Key, stage: str, said: dict[str, Any]) -> None:
        """Print which step begins."""
        self._numbers[key] = len(self._numbers) + 1
        self._begun[key] = time.monotonic()
        self._texts[key] = printable(f"{place(stage, said)} {one_line(said['text'])}")
        self._say(key, self._texts[key])

    def output(self, key: Key, stream: int, data: bytes) -> None:
        """Print whole lines, with the seconds since the step began."""
        reader = self._lines.setdefault((key, stream), OutputLines())
        self._print(key, reader.feed(data))

    def _print(self, key: Key, lines: list[str]) -> None:
        seconds = time.monotonic() - self._begun[key]
        for line in lines:
            shown = without_sequences(line) if self._is_terminal else line
            self._say(key, f"{seconds:.3f} {shown}")

    def _flush(self, key: Key) -> None:
        for stream in (1, 2):
            if (reader := self._lines.pop((key, stream), None)) is not None:
                self._print(key, reader.flush())

    def finished(self, key: Key, seconds: float, *, cached: bool) -> None:
        """Print how long it took."""
        self._flush(key)
        self._say(key, "CACHED" if cached else f"DONE {seconds:.1f}s")
        self._write("\n")

    def failed(self, key: Key, reason: str) -> None:
        """Print why."""
        if key in self._numbers:
            self._flush(key)
            self._say(key, f"ERROR: {printable(reason)}")

    def remark(self, text: str) -> None:
        """Print it."""
        self._write(f"{printable(text)}\n")

    def exported(self, image_id: str, names: list[str], seconds: float) -> None:
        """Print what there is now."""
        number = len(self._numbers) + 1
        self._write(f"#{number} image {image_id}\n")
        for name in names:
            self._write(f"#{number} named {printable(name)}\n")
        self._write(f"#{number} DONE {seconds:.1f}s\n")

    def _say(self, key: Key, text: str) -> None:
        number = self._numbers[key]
        # Lines of parallel steps: name the step again where another one's came between.
        if self._last not in (None, number) and text != self._texts[key]:
            self._write(f"#{number} {self._texts[key]}\n")
        self._last = number
        self._write(f"#{number} {text}\n")

    def _write(self, text: str) -> None:
        write_all(self._fd, text.encode(errors="surrogateescape"))


class JsonBuildProgress(BuildProgress):
    """One object a line; docs/runtime/build.md lists them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def started(self, key: Key, stage: str, said: dict[str, Any]) -> None:
        """Write a step.started."""
        self._event(
            "step.started", key, step_of_stage=stage, total=said["total"], instruction=said["text"]
        )

    def output(self, key: Key, stream: int, data: bytes) -> None:
        """Write a step.output, as it came: a line may be in several."""
        name = "stdout" if stream == 1 else "stderr"
        self._event("step.output", key, stream=name, data=data.decode(errors="backslashreplace"))

    def finished(self, key: Key, seconds: float, *, cached: bool) -> None:
        """Write a step.finished."""
        self._event("step.finished", key, seconds=seconds, cached=cached)

    def failed(self, key: Key, reason: str) -> None:
        """Write a step.failed."""
        self._event("step.failed", key, reason=reason)

    def remark(self, text: str) -> None:
        """Write a remark."""
        self._write({"event": "remark", "text": text})

    def exported(self, image_id: str, names: list[str], seconds: float) -> None:
        """Write an image.written."""
        document = {"event": "image.written", "id": image_id, "names": names, "seconds": seconds}
        self._write(document)

    def _event(self, event: str, key: Key, **more: Any) -> None:
        self._write({"event": event, "stage": key[0], "step": key[1], **more})

    def _write(self, document: dict[str, Any]) -> None:
        document["time"] = round(time.time(), 6)
        write_all(self._fd, json.dumps(document).encode() + b"\n")


def place(stage: str, said: dict[str, Any]) -> str:
    """Return ``[build 2/4]``."""
    name = f"{stage} " if stage else ""
    return f"[{name}{said['step']}/{said['total']}]"


def one_line(text: str) -> str:
    """Return an instruction as one line."""
    first, newline, _ = text.strip().partition("\n")
    return f"{first} …" if newline else first


def write_all(fd: int, data: bytes) -> None:
    """Write all of *data*."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
