"""What a terminal gets to see: aligned tables, colours where they are wanted, log prefixes."""

from __future__ import annotations

import os
import sys

from supervise.model.numerals import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

RED, GREEN, YELLOW, DIM, BOLD = "31", "32", "33", "2", "1"
STATE_COLOURS = {
    "running": GREEN,
    "exited": DIM,
    "stopped": DIM,
    "failed": RED,
    "backoff": YELLOW,
    "starting": YELLOW,
    "stopping": YELLOW,
    "waiting": YELLOW,
    "healthy": GREEN,
    "unhealthy": RED,
}
_GAP = "  "


def wants_colour(stream: TextIO) -> bool:
    """Return whether *stream* is a terminal whose user wants colours; see https://no-color.org."""
    dumb = os.environ.get("TERM", "") == "dumb"
    return stream.isatty() and not os.environ.get("NO_COLOR") and not dumb


def width_of(stream: TextIO) -> int | None:
    """Return the columns of the terminal, None when *stream* is none and lines may be long."""
    if not stream.isatty():
        return None
    columns = whole(os.environ.get("COLUMNS", ""))
    if columns:
        return columns
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def paint(text: str, colour: str | None, *, on: bool = True) -> str:
    """Return *text* in *colour* if colours are *on*."""
    return f"\x1b[{colour}m{text}\x1b[0m" if on and colour and text.strip() else text


def table(
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    width: int | None = None,
    colour: bool = False,
) -> list[str]:
    """Return *rows*, the first being the head, as aligned lines.

    Columns in *right* are right-aligned.  The last column is cut to fit *width*.  With *colour*
    the head is bold and words of `STATE_COLOURS` have theirs.
    """
    last = len(rows[0]) - 1
    sizes = [max(len(row[i]) for row in rows) for i in range(last)]
    room = None if width is None else max(1, width - sum(sizes) - len(_GAP) * last)
    rendered = []
    for number, row in enumerate(rows):
        cells = [
            c.rjust(n) if i in right else c.ljust(n)
            for i, (c, n) in enumerate(zip(row, sizes, strict=False))
        ]
        cells.append(row[last] if room is None else shorten(row[last], room))
        if colour:
            cells = [paint(c, BOLD if number == 0 else STATE_COLOURS.get(c.strip())) for c in cells]
        rendered.append(_GAP.join(cells).rstrip())
    return rendered


def shorten(text: str, room: int) -> str:
    """Return *text* in at most *room* columns, with an ellipsis where it was cut."""
    return text if len(text) <= room else text[: room - 1] + "…"


def prefix(name: str, width: int, *, colour: bool) -> str:
    """Return ``name | `` as the console shows it, aligned to *width*."""
    from supervise.wire import lines  # with the colours; only `logs` needs them

    padded = name.ljust(width)
    if not colour:
        return f"{padded} | "
    # The name decides, as on the console; the reset is for a service that left its colours on.
    return f"\x1b[0;{lines.colour_of(name)}m{padded} |\x1b[0m "


def say(message: str) -> None:
    """Write one line to the standard error, under our name."""
    sys.stderr.write(f"supervisectl: {message}\n")
