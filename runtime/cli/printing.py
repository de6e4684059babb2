"""The standard streams of the command: text for people cannot drive their terminal.

`main` puts a `ScreenedStream` in the place of each before a verb runs, so that a verb needs to do
nothing for it.  What others wrote, in an image, a container, a server's answer or a file's name, is
shown as `supervise.model.printable` shows it: on stderr always, on stdout when it is a terminal; a
program that reads stdout gets every byte, as from ls(1).  Bytes that are meant for the terminal
(`logs`) go through ``buffer``, controls of our own through `write_own`.
"""

from __future__ import annotations

import sys

from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

_LAYOUT = "\n\t"


class ScreenedStream:
    """A text stream; attributes that are not here are those of the stream below."""

    def __init__(self, stream: TextIO, *, always: bool) -> None:
        self._stream = stream
        self._always = always

    @property
    def screens(self) -> bool:
        """Return whether foreign text is shown, not passed: asked late, for it costs a call."""
        if not self._always:
            self._always = self._stream.isatty()
            if not self._always:
                return False
        return True

    def write(self, text: str) -> int:
        """Write *text* without what drives a terminal."""
        return self.write_own(printable(text, keep=_LAYOUT) if self.screens else text)

    def write_own(self, text: str) -> int:
        """Write *text*, whose control characters are ours."""
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:  # half a pair of UTF-16, or a letter that the encoding has not
            encoding = self._stream.encoding
            return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def install() -> None:
    """Put screened streams in the place of the standard ones; idempotent."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, ScreenedStream):
            continue
        if stream is None:  # its descriptor was closed: the exit code still counts
            stream = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115 - to the end
        if name == "stdout" and getattr(stream, "encoding", "") == "utf-8":
            # A name that is not UTF-8 leaves as it came.
            getattr(stream, "reconfigure", lambda **_: None)(errors="surrogateescape")
        setattr(sys, name, ScreenedStream(stream, always=name == "stderr"))


def screen(text: str, *, keep: str = _LAYOUT) -> str:
    """Return *text* as stdout shows what is not ours; for text that `write_own` then writes."""
    stream: object = sys.stdout
    screens = isinstance(stream, ScreenedStream) and stream.screens
    return printable(text, keep=keep) if screens else text


def write_own(text: str, stream: TextIO | None = None) -> None:
    """Write *text* to *stream*, or stdout: its control characters are ours or the caller's."""
    target: Any = stream or sys.stdout
    getattr(target, "write_own", target.write)(text)
