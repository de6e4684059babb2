"""Command lines → verb, options, operands.

argparse with 18 subparsers costs 10 ms of the 40 that `supervisectl status` may take (measured,
CPython 3.11); this reads the same command lines from the table in `supervise.cli.verbs`.
"""

from __future__ import annotations

from supervise.cli import verbs
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class UsageError(Exception):
    """The command line makes no sense; *verb* is the one whose help helps, if it got that far."""

    def __init__(self, message: str, verb: str | None = None) -> None:
        super().__init__(message)
        self.verb = verb


class Arguments(Record):
    """A command line that makes sense."""

    verb: verbs.Verb | None  # None: help about the whole
    options: Mapping[str, Any]  # keyed by long name; flags True, values converted; only those given
    operands: tuple[str, ...]

    def get(self, option: str) -> Any:
        """Return an option's value, None when it was not given."""
        return self.options.get(option)

    def flag(self, option: str) -> bool:
        """Return whether a flag was given."""
        return option in self.options


def parse(argv: list[str]) -> Arguments:
    """Return what *argv*, without the program's name, asks for.

    Options may stand before and after operands; ``--`` ends them.

    Raises:
        UsageError: it makes no sense.
    """
    words = list(argv)
    options: dict[str, Any] = {}
    operands: list[str] = []
    verb: verbs.Verb | None = None
    while words:
        word = words.pop(0)
        if word == "--" and verb is not None:
            operands += words
            break
        if word.startswith("-") and len(word) > 1:
            _take_option(word, words, verb, options)
        elif verb is None:
            verb = _verb(word)
        else:
            operands.append(word)
    if "help" not in options:
        _check(verb, options, operands)
    return Arguments(verb, options, tuple(operands))


def _verb(word: str) -> verbs.Verb:
    if word in verbs.BY_NAME:
        return verbs.BY_NAME[word]
    if word in verbs.REFUSED:
        raise UsageError(f"cannot {word}: {verbs.REFUSED[word]}")
    raise UsageError(f"there is no verb '{word}'{_did_you_mean(word, verbs.BY_NAME)}")


def _take_option(
    word: str, words: list[str], verb: verbs.Verb | None, options: dict[str, Any]
) -> None:
    known = (*(verb.options if verb else ()), *verbs.GLOBAL)
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        option = next((o for o in known if o.name == name), None)
        given = value if equals else None
    else:
        option = next((o for o in known if o.short == word[1]), None)
        given = word[2:] or None
        if option is not None and not option.metavar and given is not None:
            words.insert(0, f"-{given}")  # -fn 5
            given = None
    if option is None:
        raise _unknown(word, known, verb)
    if not option.metavar:
        if given is not None:
            raise UsageError(f"--{option.name} takes no value", _name(verb))
        options[option.name] = True
        return
    if given is None:
        if not words:
            raise UsageError(f"{word} needs a value: {option.metavar}", _name(verb))
        given = words.pop(0)
    options[option.name] = _convert(option, given, verb)


def _unknown(word: str, known: tuple[verbs.Option, ...], verb: verbs.Verb | None) -> UsageError:
    shown = word.partition("=")[0] if word.startswith("--") else word[:2]
    hint = _did_you_mean(shown, [f"--{option.name}" for option in known])
    where = f"{verb.name} has no option" if verb else "there is no option"
    return UsageError(f"{where} '{shown}'{hint}", _name(verb))


def _convert(option: verbs.Option, text: str, verb: verbs.Verb | None) -> Any:
    what = f"--{option.name} {text}"
    if option.choices and text not in option.choices:
        hint = _did_you_mean(text, option.choices) or f": one of {', '.join(option.choices)}"
        raise UsageError(f"{what}: there is no '{text}'{hint}", _name(verb))
    if option.kind in ("count", "exit code"):
        if not (text.isascii() and text.isdecimal()) or len(text) > 9:
            raise UsageError(f"{what}: is no number", _name(verb))
        if option.kind == "exit code" and int(text) > 255:
            raise UsageError(f"{what}: is not between 0 and 255", _name(verb))
        return int(text)
    if option.kind in ("duration", "moment"):
        import time

        from supervise.cli import durations
        from supervise.model import quantities

        if option.kind == "duration":
            seconds = quantities.parse_span(text)
        else:
            seconds = durations.parse_moment(text, time.time())
        if seconds is None:
            example = "10s, 500ms, 1m30s" if option.kind == "duration" else "10m, 2024-05-01T12:00"
            raise UsageError(f"{what}: is no {option.kind}, such as {example}", _name(verb))
        return seconds
    return text


def _check(verb: verbs.Verb | None, options: Mapping[str, Any], operands: list[str]) -> None:
    if verb is None:
        raise UsageError("what shall it do?  Name a verb")
    if len(operands) < verb.least:
        raise UsageError(f"{verb.name} needs more: {verb.operands}", verb.name)
    if verb.most is not None and len(operands) > verb.most:
        extra = operands[verb.most]
        raise UsageError(f"{verb.name} does not know what to do with '{extra}'", verb.name)
    if not any(option.name == "all" for option in verb.options):
        return
    named = len(operands) > verb.least
    if named and "all" in options:
        raise UsageError(f"{verb.name} takes services or --all, not both", verb.name)
    if not named and "all" not in options:
        raise UsageError(f"{verb.name} needs services, or --all", verb.name)


def _name(verb: verbs.Verb | None) -> str | None:
    return verb.name if verb else None


def _did_you_mean(word: str, known: Any) -> str:
    from supervise.model import suggest

    found = suggest.closest(word, known)
    return f"; did you mean '{found}'?" if found else ""
