"""The arguments of an instruction, by the shape its kind has: nothing is expanded or checked here.

Source: BuildKit's `frontend/dockerfile/parser` (line_parsers.go, split_command.go).
"""

from __future__ import annotations

import json
import re

from runtime.dockerfile.dockerfile_error import DockerfileError
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_SPACES = re.compile(r"[\t\v\f\r ]+")


class Words(Record):
    """The arguments of one instruction.

    For ENV and LABEL they come in threes: key, value, "=" or "" (the form without it).
    """

    words: tuple[str, ...]
    json: bool = False  # they were a JSON array


def split_command(line: str) -> tuple[str, tuple[str, ...], str]:
    """Return the instruction's name, its `--flags` and the rest of *line*."""
    name, *more = _SPACES.split(line.strip(), maxsplit=1)
    if not more:
        return name, (), ""
    flags, rest = _split_flags(more[0])
    return name, flags, rest.strip()


def _split_flags(line: str) -> tuple[tuple[str, ...], str]:
    flags: list[str] = []
    at = 0
    while True:
        while at < len(line) and line[at].isspace():
            at += 1
        if not line.startswith("--", at):
            return tuple(flags), line[at:]
        word, at = _flag(line, at)
        if word == "--":
            return tuple(flags), line[at:]
        flags.append(word)


def _flag(line: str, at: int) -> tuple[str, int]:
    """Return the flag at *at* without its quotes, and where it ends."""
    word, quote = [], ""
    while at < len(line):
        letter = line[at]
        if not quote and letter.isspace():
            break
        at += 1
        if letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote = letter
        elif letter == "\\":
            word.append(line[at : at + 1])
            at += 1
        else:
            word.append(letter)
    return "".join(word), at


def read(name: str, rest: str, escape: str) -> Words:
    """Return the arguments in *rest* of the instruction *name*, which is in lower case.

    An unknown instruction has no shape; `instructions` refuses it.

    Raises:
        DockerfileError: without a line: `ENV NAME` alone, or an array of other than strings.
    """
    if not rest:
        return Words(())
    if name in ("add", "copy", "volume"):
        return _json(rest) or Words(tuple(_SPACES.split(rest)))
    if name in ("cmd", "entrypoint", "run", "shell"):
        return _json(rest) or Words((rest,))
    if name in ("env", "label"):
        return Words(_pairs(name.upper(), rest, escape))
    if name == "arg":
        return Words(tuple(_quoted_words(rest, escape)))
    if name in ("expose", "from"):
        return Words(tuple(_SPACES.split(rest)))
    if name == "healthcheck":
        return _healthcheck(rest)
    if name in ("maintainer", "stopsignal", "user", "workdir"):
        return Words((rest,))
    return Words(())


def _healthcheck(rest: str) -> Words:
    kind, *command = rest.split(maxsplit=1)
    if not command:
        return Words((kind,))
    words = _json(command[0]) or Words((command[0],))
    return words.replace(words=(kind, *words.words))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON: RFC 8259 section 6


def _json(rest: str) -> Words | None:
    """Return the array that *rest* is, None for any other text."""
    if not rest.startswith("["):
        return None
    try:
        found = json.loads(rest, parse_constant=_refuse_constant)
    except ValueError:
        return None
    except RecursionError:
        found = [[]]
    if all(isinstance(word, str) for word in found):
        return Words(tuple(_without_surrogates(word) for word in found), json=True)
    raise DockerfileError(
        "the array holds something other than strings", hint='write every word as "word"'
    )


def _without_surrogates(word: str) -> str:
    return word.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _pairs(name: str, rest: str, escape: str) -> tuple[str, ...]:
    words = _quoted_words(rest, escape)
    if not words:
        return ()
    if "=" not in words[0]:
        key, *value = _SPACES.split(rest, maxsplit=1)
        if not value:
            raise DockerfileError(
                f"{name} {key} has no value", hint=f"write {name} {key}=value; an empty one: {key}="
            )
        return (key, value[0], "")
    result: list[str] = []
    for word in words:
        if "=" not in word:
            raise DockerfileError(
                f"'{word}' is not of the form name=value",
                hint="a value with spaces is quoted or its spaces are escaped",
            )
        key, _, text = word.partition("=")
        result += (key, text, "=")
    return tuple(result)


def _quoted_words(rest: str, escape: str) -> list[str]:
    """Split *rest* at spaces outside quotes; quotes and escapes stay in the words."""
    words: list[str] = []
    word, quote, at = "", "", 0
    while at < len(rest):
        letter = rest[at]
        at += 1
        if not quote and letter.isspace():
            if word:
                words.append(word)
            word = ""
            continue
        if letter == escape and quote != "'":
            if at == len(rest):
                break  # an escape character at the very end has no effect
            word += letter
            letter = rest[at]
            at += 1
        elif letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote = letter
        word += letter
    return [*words, word] if word else words
