"""Env files, ``NAME=value`` lines, as docker compose reads them.

Blank lines and comments; ``export``; single quotes (as they are), double quotes (escapes and
variables), no quotes (variables; a comment begins after a blank and '#'); quoted values may span
lines; a name alone passes supervise's own value on.  No file is opened here.
"""

from __future__ import annotations

from supervise.config.yaml.interpolate import InterpolationError
from supervise.model.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.config.yaml.decoder import Decoder

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$$"}
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-[]")


class _BadLineError(Exception):
    """One line that cannot be read."""

    def __init__(self, offset: int, what: str, hint: str) -> None:
        super().__init__(what)
        self.offset = offset
        self.what = what
        self.hint = hint


def parse(decoder: Decoder, text: str, file: str) -> dict[str, str | None]:
    """Return the variables in *text*; None passes a value on.  Problems go to *decoder*."""
    values: dict[str, str | None] = {}
    interpolator = decoder.interpolator
    interpolator.local = {}
    position = 0
    while position < len(text):
        try:
            position, name, value = _entry(decoder, text, position)
            if name:
                values[name] = value
                if value is not None:
                    interpolator.local[name] = value
        except _BadLineError as bad:
            line = text.count("\n", 0, bad.offset) + 1
            column = bad.offset - text.rfind("\n", 0, bad.offset)
            decoder.problems.report(Problem(file, line, column, "", bad.what, bad.hint))
            position = _line_end(text, position) + 1
    interpolator.local = {}
    interpolator.unset.clear()
    return values


def _entry(decoder: Decoder, text: str, start: int) -> tuple[int, str, str | None]:
    """Return where the entry at *start* ends, its name ("" for none) and its value."""
    end = _line_end(text, start)
    line = text[start:end]
    stripped = line.strip()
    if not stripped or stripped.startswith("#"):
        return end + 1, "", None
    offset = start + len(line) - len(line.lstrip())
    if stripped.startswith(("export ", "export\t")):
        offset += 7
        offset += len(text[offset:end]) - len(text[offset:end].lstrip())
    name_end = offset
    while name_end < end and text[name_end] in _NAME:
        name_end += 1
    name = text[offset:name_end]
    rest = text[name_end:end].lstrip()
    if name and (not rest or rest.startswith("#")):
        return end + 1, name, None
    if not name or rest[0] not in "=:":
        what = f"{text[offset:end].strip()[:40]!r} is not NAME=value"
        raise _BadLineError(offset, what, "write NAME=value, or # before a comment")
    value_start = end - len(rest) + 1
    while value_start < end and text[value_start] in " \t":
        value_start += 1
    return _value(decoder, text, value_start, end, name)


def _value(
    decoder: Decoder, text: str, start: int, end: int, name: str
) -> tuple[int, str, str | None]:
    quote = text[start : start + 1]
    if quote not in ("'", '"') or start >= end:
        raw = text[start:end]
        comment = min((at for at in (raw.find(" #"), raw.find("\t#")) if at >= 0), default=None)
        raw = "" if raw.startswith("#") else raw[:comment]
        return end + 1, name, _expand(decoder, raw.strip(), start)
    raw, close = _quoted(text, start)
    end = _line_end(text, close)
    trailing = text[close:end].strip()
    if trailing and not trailing.startswith("#"):
        raise _BadLineError(
            close, f"{trailing[:40]!r} stands behind the closing quote", "delete it"
        )
    return end + 1, name, raw if quote == "'" else _expand(decoder, raw, start)


def _quoted(text: str, start: int) -> tuple[str, int]:
    """Return what the quotes at *start* hold and where they end, the escapes of "" undone."""
    quote = text[start]
    parts: list[str] = []
    position = start + 1
    while position < len(text):
        character = text[position]
        if character == quote:
            return "".join(parts), position + 1
        if character == "\\" and quote == '"' and text[position + 1 : position + 2] in _ESCAPES:
            parts.append(_ESCAPES[text[position + 1]])
            position += 2
        elif character == "\\" and quote == "'" and text[position + 1 : position + 2] == "'":
            parts.append("'")
            position += 2
        else:
            parts.append(character)
            position += 1
    raise _BadLineError(start, f"the quote {quote} is not closed", f"add the closing {quote}")


def _expand(decoder: Decoder, raw: str, offset: int) -> str:
    try:
        value = decoder.interpolator.expand(raw)
    except InterpolationError as error:
        raise _BadLineError(offset, error.what, error.hint) from None
    if "\0" in value:
        raise _BadLineError(offset, "holds a NUL byte, which no variable can", "delete it")
    return value


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end
