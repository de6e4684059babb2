"""Go's ``fmt``: how a value is shown (``%v``), how `printf` formats it.

Nothing in a format is an error: what does not fit is said in the result, as Go says it,
``%!d(string=x)``.  Widths and precisions have Go's bounds, `Sprintf` of everything a bound of ours.
"""

from __future__ import annotations

from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LONGEST = 8 * 1024 * 1024  # characters that one call may make
_WIDEST = 1_000_000  # Go's bound for a width and a precision
_DIGITS = "0123456789"
_PLAIN_DIGITS = 6  # before the point; more have an exponent


class TooLongError(ValueError):
    """A text would be longer than `LONGEST`."""

    def __init__(self) -> None:
        super().__init__(f"the text is longer than {LONGEST} characters")


def show(value: Any) -> str:
    """Return *value* as Go prints it (``%v``)."""
    if value is None:
        return "<no value>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, dict):
        shown = (f"{key}:{show(value[key])}" for key in sorted(value) if not callable(value[key]))
        return f"map[{' '.join(shown)}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(show, value))}]"
    return _float(value) if isinstance(value, float) else str(value)


def _float(value: float) -> str:
    """Return the shortest digits that mean *value*, as ``%g``: an exponent from 1e6 on."""
    if value != value:  # noqa: PLR0124 - NaN alone is not itself
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value).removesuffix(".0")
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    if not exponent and len(whole) <= _PLAIN_DIGITS:
        return text
    digits = (whole + fraction).rstrip("0")
    power = int(exponent or 0) + len(whole) - 1
    point = "." if len(digits) > 1 else ""
    return f"{'-' if value < 0 else ''}{digits[0]}{point}{digits[1:]}e{power:+03d}"


def quote(text: str) -> str:
    """Return *text* as ``%q`` does: in quotes, on one line, without control characters."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(escaped)}"'


def printf(form: str, *values: Any) -> str:
    """Return *form* with *values* in the place of its verbs.

    Raises:
        TooLongError: it would be too long.
    """
    run = _Run(form, values)
    run.all()
    return "".join(run.out)


class _Directive:
    """What stands between ``%`` and the verb."""

    def __init__(self) -> None:
        self.flags: set[str] = set()
        self.width: int | None = None
        self.precision: int | None = None


class _Run:
    """One call of `printf`."""

    def __init__(self, form: str, values: tuple[Any, ...]) -> None:
        self.form = form
        self.values = values
        self.at = 0  # in the form
        self.next = 0  # of the values
        self.out: list[str] = []
        self._room = LONGEST

    def all(self) -> None:
        """Go through the form."""
        while self.at < len(self.form):
            percent = self.form.find("%", self.at)
            end = len(self.form) if percent < 0 else percent
            self._say(self.form[self.at : end])
            self.at = end + 1
            if percent >= 0:
                self._directive()
        if rest := self.values[self.next :]:
            shown = ", ".join(_typed(value) for value in rest)
            self._say(f"%!(EXTRA {shown})")

    def _say(self, text: str) -> None:
        self._room -= len(text)
        if self._room < 0:
            raise TooLongError
        self.out.append(text)

    def _directive(self) -> None:
        found = _Directive()
        while self._peek() and self._peek() in "+- #0":
            found.flags.add(self._take())
        found.width = self._number("BADWIDTH")
        if found.width is not None and found.width < 0:
            found.width = -found.width
            found.flags.add("-")
        if self._peek() == ".":
            self.at += 1
            is_given = self._peek() == "*"
            found.precision = self._number("BADPREC", least=0)
            if found.precision is None and not is_given:
                found.precision = 0
        verb = self._take()
        if not verb:
            self._say("%!(NOVERB)")
        elif verb == "%":
            self._say("%")
        elif self.next >= len(self.values):
            self._say(f"%!{verb}(MISSING)")
        else:
            value = self.values[self.next]
            self.next += 1
            self._say(_format(verb, found, value))

    def _number(self, bad: str, *, least: int = -_WIDEST) -> int | None:
        """Return a width or precision: digits, or ``*`` for the next value; None for neither."""
        if self._peek() == "*":
            self.at += 1
            value = self.values[self.next] if self.next < len(self.values) else None
            self.next = min(self.next + 1, len(self.values))
            if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _WIDEST:
                return value
            self._say(f"%!({bad})")
            return None
        number: int | None = None
        while self._peek() and self._peek() in _DIGITS:
            if number is not None and number > _WIDEST:
                self.at = len(self.form)  # Go reads no further
                return None
            number = (number or 0) * 10 + int(self._take())
        return number

    def _peek(self) -> str:
        return self.form[self.at : self.at + 1]

    def _take(self) -> str:
        letter = self._peek()
        self.at += 1
        return letter


def _format(verb: str, how: _Directive, value: Any) -> str:
    """Return *value* in the form of one verb, filled up to its width."""
    if verb == "T":
        return _fill(type_name(value), how)
    if isinstance(value, list | tuple) and verb != "p":
        return f"[{' '.join(_format(verb, how, item) for item in value)}]"
    text = _plain(verb, how, value)
    if text is not None:
        if isinstance(value, int) and how.precision is not None and verb not in "cqU":
            how.flags.discard("0")  # the precision says how many digits there are
        return _fill(text, how, is_number=_is_number(value) and verb not in "cqU")
    if value is None:
        return f"%!{verb}(<nil>)"
    return f"%!{verb}({type_name(value)}={_format('v', how, value)})"


def _plain(verb: str, how: _Directive, value: Any) -> str | None:
    """Return *value* in the form of one verb, None for a verb that is not one of its type's."""
    if isinstance(value, bool):
        return show(value) if verb in "tv" else None
    if isinstance(value, int):
        return _integer("d" if verb == "v" else verb, how, value)
    if isinstance(value, float):
        return _fraction("g" if verb == "v" else verb, how, value)
    if isinstance(value, str):
        return _text("s" if verb == "v" else verb, how, value)
    if value is None:
        return "<nil>" if verb == "v" else None
    return show(value) if verb in "sv" else None


def _fill(text: str, how: _Directive, *, is_number: bool = False) -> str:
    missing = (how.width or 0) - len(text)
    if missing <= 0:
        return text
    if missing > LONGEST:
        raise TooLongError
    if "-" in how.flags:
        return text + " " * missing
    if "0" not in how.flags or text in ("+Inf", "-Inf", "NaN"):
        return " " * missing + text
    sign = text[:1] if is_number and text[:1] in "+- " else ""
    return sign + "0" * missing + text[len(sign) :]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _signed(text: str, how: _Directive) -> str:
    if text[:1] in "+-":
        return text
    return f"+{text}" if "+" in how.flags else f" {text}" if " " in how.flags else text


def _integer(verb: str, how: _Directive, value: int) -> str | None:
    """Return an integer, None for a verb that is not an integer's."""
    if verb in "cqU":
        return _letter(verb, value)
    if verb not in "bdoOxX":
        return None
    digits = format(abs(value), "o" if verb == "O" else verb)
    if how.precision is not None:
        digits = digits.rjust(how.precision, "0")
    prefix = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}.get(verb, "") if "#" in how.flags else ""
    prefix = "0o" if verb == "O" else prefix
    return _signed(f"{'-' if value < 0 else ''}{prefix}{digits}", how)


def _letter(verb: str, number: int) -> str:
    if verb == "U":
        return f"U+{number:04X}" if number >= 0 else f"U+{number + 2**64:X}"
    letter = chr(number) if 0 <= number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"
    if verb == "c":
        return letter
    shown = letter.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{printable(shown)}'"


def _fraction(verb: str, how: _Directive, value: float) -> str | None:
    """Return a fraction, None for a verb that is not a fraction's."""
    if verb not in "eEfFgG":
        return None
    if value != value or abs(value) == float("inf"):  # noqa: PLR0124 - NaN alone is not itself
        return show(value)
    if verb in "gG" and how.precision is None:
        text = _float(value)
        return _signed(text.upper() if verb == "G" else text, how)
    kind = "f" if verb == "F" else verb
    if (how.precision or 0) > LONGEST:
        raise TooLongError
    return _signed(f"{value:.{6 if how.precision is None else how.precision}{kind}}", how)


def _text(verb: str, how: _Directive, value: str) -> str | None:
    """Return a text, None for a verb that is not a text's."""
    if verb in "sq":
        cut = value if how.precision is None else value[: how.precision]
        return cut if verb == "s" else quote(cut)
    if verb in "xX":
        data = value.encode(errors="surrogateescape" if value.isascii() else "replace")
        cut_data = data if how.precision is None else data[: how.precision]
        digits = cut_data.hex()
        if "#" in how.flags and digits:
            digits = f"0x{digits}"
        return digits.upper() if verb == "X" else digits
    return None


def _typed(value: Any) -> str:
    return "<nil>" if value is None else f"{type_name(value)}={show(value)}"


def type_name(value: Any) -> str:
    """Return Go's name for the type of *value*, ``%T``."""
    if value is None:
        return "<nil>"
    names = {bool: "bool", int: "int", float: "float64", str: "string"}
    if type(value) in names:
        return names[type(value)]
    return "map[string]interface {}" if isinstance(value, dict) else "[]interface {}"
