"""`supervisectl logs`: kept lines and lines to come, looking as they do on the console."""

from __future__ import annotations

import binascii
import sys
from contextlib import suppress

from supervise.cli import render
from supervise.cli.connect import connect
from supervise.cli.exitcodes import DONE
from supervise.wire import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from supervise.cli.arguments import Arguments

    Entry = dict[str, Any]  # the API's LogEntry
    Renderer = Callable[[bytes, float, str, int], bytes]  # `supervise.wire.lines.Render`


def logs(given: Arguments) -> int:
    """Run the verb."""
    client = connect(given)
    names = list(given.operands)
    if not names:
        names = [service["name"] for service in client.call("Status")["services"]]
    # A prefix keeps the width of all services asked for, so that lines to come are aligned too.
    printer = Printer(given, max(map(len, names), default=0))
    answers = client.stream(
        "Logs",
        services=list(given.operands) or None,
        lines=given.get("lines"),
        since=given.get("since"),
        follow=given.flag("follow") or None,
    )
    for answer in answers:
        assert answer is not None
        for entry in answer["entries"]:
            printer.print(entry)
        printer.flush()
        if answer["dropped"]:
            render.say(f"{answer['dropped']} lines were left out: they came faster than read")
    return DONE


class Printer:
    """Writes entries to the standard output or error, in the format asked for."""

    def __init__(self, given: Arguments, width: int) -> None:
        self._format = given.get("format") or "prefix"
        self._timestamps = given.flag("timestamps")
        self._width = width
        self._streams: dict[str, BinaryIO] = {
            "stdout": sys.stdout.buffer,
            "stderr": sys.stderr.buffer,
        }
        self._coloured = {
            "stdout": render.wants_colour(sys.stdout),
            "stderr": render.wants_colour(sys.stderr),
        }
        self._renderers: dict[tuple[str, str], Renderer] = {}
        self._last = "stdout"

    def print(self, entry: Entry) -> None:
        """Write one entry."""
        key = (entry["service"], entry["stream"])
        renderer = self._renderers.get(key)
        if renderer is None:
            renderer = self._renderers[key] = self._renderer(*key)
        end = b"" if entry.get("partial") else b"\n"
        text = renderer(message_bytes(entry) + end, entry["time"], entry["stream"], entry["pid"])
        if self._timestamps:
            text = lines.utc(entry["time"]).encode() + b" " + text
        if entry["stream"] != self._last:
            self._streams[self._last].flush()  # both may be one terminal: keep the order
            self._last = entry["stream"]
        self._streams[self._last].write(text)

    def flush(self) -> None:
        """Hand on what was written."""
        for stream in self._streams.values():
            stream.flush()

    def _renderer(self, service: str, stream: str) -> Renderer:
        if self._format == "json":
            return lines.json_renderer(service)
        if self._format == "logfmt":
            return lines.logfmt_renderer(service)
        if self._format == "raw":
            return lines.render_raw
        prefix = render.prefix(service, self._width, colour=self._coloured[stream])
        return lines.prefix_renderer(prefix.encode())


def message_bytes(entry: Entry) -> bytes:
    """Return exactly what the service wrote, without its newline."""
    if entry["raw"]:
        with suppress(binascii.Error):  # no base64: the message says it as well as it can
            return binascii.a2b_base64(entry["raw"])
    message: str = entry["message"]
    return message.encode("utf-8", "replace")
