"""JSON text ↔ values by the interpreter's own C code, without the module `json` around it.

`json` is 350 lines of Python on top of `_json`; importing it costs 7 ms and 1.3 MB, for it brings
`re` and `enum`, and a start of a container reads and writes some ten small documents.  Where
`_json` is missing or refuses the text, `json` does the work or says what is wrong.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_native: Any = None  # an interpreter may lack it
try:
    import _json
except ImportError:
    pass
else:
    _native = _json

_BLANK = " \t\n\r"
_DEEPEST = 100  # lists and objects in one another, of a document that somebody else wrote
_LARGEST = 16 << 20  # bytes of one
_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class _ScannerContext:
    """What `_json.make_scanner` asks its caller about: the same as `json.JSONDecoder` has."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = _CONSTANTS.__getitem__


def _refuse(value: object) -> object:
    raise TypeError(f"a {type(value).__name__} has no JSON form")


_scan = _native and _native.make_scanner(_ScannerContext)


def loads(text: str | bytes) -> Any:
    """Return the value that *text* says; bytes are UTF-8.

    Raises:
        ValueError: it is no JSON; says where.
    """
    if _scan is not None:
        try:
            read = text if isinstance(text, str) else text.decode()
            start = len(read) - len(read.lstrip(_BLANK))
            value, end = _scan(read, start)
        except (StopIteration, ValueError):
            return _loads_slowly(text)
        if not read[end:].strip(_BLANK):
            return value
    return _loads_slowly(text)


def document(data: bytes | str, most: int = _LARGEST) -> Any:
    """Return the value of a document that somebody else wrote: a registry, an archive, an image.

    What Go's encoding/json refuses is refused, and what could not be written again.

    Raises:
        ValueError: it has more than *most* bytes, is no JSON, is nested too deep, or has numbers
            or letters that there are not.
    """
    if len(data) > most:
        raise ValueError(f"it has more than {most} bytes")
    try:
        value = loads(data)
    except RecursionError:
        raise ValueError(f"it is nested more than {_DEEPEST} deep") from None
    text = data if isinstance(data, str) else data.decode()
    # The common case costs four searches in C.
    if text.count("[") + text.count("{") > _DEEPEST:
        _check_depth(value)
    if "NaN" in text or "Infinity" in text:
        _check_numbers(text)
    if "\\u" in text:
        _check_letters(value)
    return value


def dumps(value: object) -> str:
    """Return *value* as one line of ASCII, like `json.dumps`; mappings must have text as keys.

    Raises:
        TypeError: it has no JSON form.
    """
    if _native is None:
        import json

        return json.dumps(value)
    encoder = _native.make_encoder(
        {},  # what is being written: a value that contains itself is refused
        _refuse,
        _native.encode_basestring_ascii,
        None,  # no indentation
        ": ",
        ", ",
        False,  # noqa: FBT003 - sorted: positions are all it takes
        False,  # noqa: FBT003 - other keys than text skipped
        True,  # noqa: FBT003 - NaN and the infinities written
    )
    return "".join(encoder(value, 0))


def quoted(text: str) -> str:
    """Return *text* as a JSON string with every letter as it is."""
    if _native is None:
        import json

        return json.dumps(text, ensure_ascii=False)
    found: str = _native.encode_basestring(text)
    return found


def escaped(text: str) -> str:
    """Return JSON *text* with an escape for whatever could drive a terminal; it says the same.

    The standard asks that of C0 alone: DEL, C1 and marks of direction are letters to it.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escape(ord(c)) for c in text)


def _escape(number: int) -> str:
    if number < 0x10000:
        return f"\\u{number:04x}"
    high, low = divmod(number - 0x10000, 0x400)  # two halves, as UTF-16 has it
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(_DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"it is nested more than {_DEEPEST} deep")


def _check_numbers(text: str) -> None:
    import json

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no number")

    json.loads(text, parse_constant=refuse)


def _check_letters(value: Any) -> None:
    import json

    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a letter: one surrogate without the other") from None


def _loads_slowly(text: str | bytes) -> Any:
    import json

    return json.loads(text)
