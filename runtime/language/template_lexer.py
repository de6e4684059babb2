"""A Go template's text → words: literal text, and what stands between ``{{`` and ``}}``."""

from __future__ import annotations

import json

from runtime.language.template_functions import TemplateError
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MARKS = {"|": "pipe", "(": "open", ")": "shut", ",": "comma", "=": "assign", ":=": "declare"}
_NAMED = {"true": True, "false": False, "nil": None}
_SPACE = " \t\r\n"
_DIGITS = "0123456789"


class Word(Record):
    """One word."""

    kind: (
        str  # text start close | literal name field variable | pipe open shut comma assign declare
    )
    text: str
    line: int
    value: Any = None  # of a literal
    fields: tuple[str, ...] = ()  # of .A.B, $x.A.B
    glued: bool = False  # no blank stands before it: (…).A


def split(text: str) -> list[Word]:
    """Return the words of *text*.

    Raises:
        TemplateError: an action or a string does not end.
    """
    words: list[Word] = []
    at, line, trims = 0, 1, False
    while True:
        start = text.find("{{", at)
        literal = text[at:] if start < 0 else text[at:start]
        shown = literal.lstrip(_SPACE) if trims else literal
        if start >= 0 and text[start + 2 : start + 3] == "-" and _is_space(text, start + 3):
            shown = shown.rstrip(_SPACE)
        if shown:
            words.append(Word("text", shown, line))
        line += literal.count("\n")
        if start < 0:
            return words
        at, trims = _action(text, start + 2, line, words)
        line += text.count("\n", start, at)


def _action(text: str, at: int, line: int, words: list[Word]) -> tuple[int, bool]:
    """Read one action; return (where it ends, whether white space behind it goes)."""
    if text[at : at + 1] == "-" and _is_space(text, at + 1):
        at += 1
    if text.startswith("/*", _after_space(text, at)):
        return _comment(text, at, line)
    words.append(Word("start", "{{", line))
    while True:
        before = at
        at = _after_space(text, at)
        if at >= len(text):
            raise TemplateError(f"template: :{line}: unclosed action")
        if text.startswith("}}", at):
            words.append(Word("close", "}}", line))
            return at + 2, False
        if text.startswith("-}}", at) and before < at:
            words.append(Word("close", "}}", line))
            return at + 3, True
        word, at = _word(text, at, line)
        words.append(word.replace(glued=True) if before == at - len(word.text) else word)


def _comment(text: str, at: int, line: int) -> tuple[int, bool]:
    end = text.find("*/", at)
    after = text[end + 2 :] if end >= 0 else ""
    trimmed = after.lstrip(_SPACE)
    if trimmed.startswith("-}}"):
        return len(text) - len(trimmed) + 3, True
    if trimmed.startswith("}}"):
        return len(text) - len(trimmed) + 2, False
    raise TemplateError(f"template: :{line}: unclosed comment")


def _word(text: str, at: int, line: int) -> tuple[Word, int]:
    letter = text[at]
    if text.startswith(":=", at):
        return Word("declare", ":=", line), at + 2
    if letter in _MARKS:
        return Word(_MARKS[letter], letter, line), at + 1
    if letter in '"`':
        return _string(text, at, line)
    end = at + 1
    while end < len(text) and (text[end].isalnum() or text[end] in "_."):
        end += 1
    found = text[at:end]
    if letter == ".":
        if found[1:2] in _DIGITS and found[1:2]:
            return _with_exponent(text, at, end, line)
        return Word("field", found, line, fields=_fields(found[1:])), end
    if letter == "$":
        name, _, rest = found[1:].partition(".")
        return Word("variable", name, line, fields=_fields(rest)), end
    if letter in _DIGITS or letter in "+-":
        return _with_exponent(text, at, end, line)
    if found in _NAMED:
        return Word("literal", found, line, _NAMED[found]), end
    if letter.isalpha() or letter == "_":
        return Word("name", found, line), end
    raise TemplateError(f'template: :{line}: unexpected "{letter}" in command')


def _string(text: str, at: int, line: int) -> tuple[Word, int]:
    quote, end = text[at], at + 1
    while end < len(text) and text[end] != quote:
        end += 2 if text[end] == "\\" and quote == '"' else 1
    found = text[at : end + 1]
    if end >= len(text):
        raise TemplateError(f"template: :{line}: unterminated quoted string")
    if quote == "`":
        return Word("literal", found, line, found[1:-1]), end + 1
    try:
        return Word("literal", found, line, json.loads(found, strict=False)), end + 1
    except ValueError:
        raise TemplateError(f"template: :{line}: invalid syntax: {found}") from None


def _with_exponent(text: str, at: int, end: int, line: int) -> tuple[Word, int]:
    """Read the number from *at*; what looked like a word's *end* may be the sign in ``1e-5``."""
    if text[end - 1] in "eE" and text[end : end + 1] in ("+", "-") and "x" not in text[at:end]:
        end += 1
        while text[end : end + 1].isalnum():
            end += 1
    return _number(text[at:end], line), end


def _number(found: str, line: int) -> Word:
    """Read a number as Go does: integers have 64 bits, fractions end."""
    if not (found.isascii() and any(map(str.isdigit, found))):
        raise TemplateError(f'template: :{line}: bad number syntax: "{found}"')
    try:
        number = int(found, 0)
    except ValueError:
        return Word("literal", found, line, _fraction(found, line))
    if not -(2**63) <= number < 2**64:
        raise TemplateError(f'template: :{line}: integer overflow: "{found}"')
    return Word("literal", found, line, number)


def _fraction(found: str, line: int) -> float:
    try:
        value = float(found)
    except ValueError:
        raise TemplateError(f'template: :{line}: bad number syntax: "{found}"') from None
    if abs(value) == float("inf"):
        raise TemplateError(f'template: :{line}: illegal number syntax: "{found}"')
    return value


def _fields(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(".") if part)


def _after_space(text: str, at: int) -> int:
    while _is_space(text, at):
        at += 1
    return at


def _is_space(text: str, at: int) -> bool:
    return at < len(text) and text[at] in _SPACE
