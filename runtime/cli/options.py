"""Command lines as docker has them, from a table: what argparse would cost 9 ms for.

Short options cluster (``-it``) and take their value behind them or as the next word; long ones
take ``--name value`` or ``--name=value``; a flag may be given a truth (``--rm=false``).
"""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure
from runtime.model.suggest import closest
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

FLAG, VALUE, LIST = "flag", "value", "list"
_TRUTHS = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


class Option(Record):
    """One option."""

    names: tuple[str, ...]  # "-e", "--env"
    kind: str = FLAG
    value: str = ""  # what its value is called in the help
    help: str = ""

    @property
    def key(self) -> str:
        """Return its long name without dashes: what `Words` files it under."""
        return max(self.names, key=len).lstrip("-")


class Verb(Record):
    """One verb's command line."""

    name: str
    arguments: str  # as the synopsis shows them
    summary: str
    options: tuple[Option, ...] = ()
    mixed: bool = True  # options may follow arguments; not where a command of another follows
    usage_code: int = 125


class Words:
    """What was given: options by their long name, and the rest."""

    def __init__(self) -> None:
        self.flags: dict[str, bool] = {}
        self.values: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        self.rest: list[str] = []

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Tell whether the flag was given."""
        return self.flags.get(key, default)

    def value(self, key: str, default: str = "") -> str:
        """Return an option's value."""
        return self.values.get(key, default)

    def given(self, key: str) -> bool:
        """Tell whether the option with a value was given, even an empty one."""
        return key in self.values

    def list(self, key: str) -> list[str]:
        """Return all values of an option that may be repeated."""
        return self.lists.get(key, [])


class HelpWanted(Exception):  # noqa: N818 - not an error
    """``--help`` was among the words."""


def parse(verb: Verb, words: Sequence[str]) -> Words:
    """Return what *words* ask of *verb*.

    Raises:
        RuntimeFailure: an option that it does not have, a value missing.
        HelpWanted: help is to be shown.
    """
    table = {name: option for option in verb.options for name in option.names}
    found = Words()
    todo = list(words)
    while todo:
        word = todo.pop(0)
        if word == "--":
            found.rest += todo
            break
        if not word.startswith("-") or word == "-":
            found.rest.append(word)
            if not verb.mixed:
                found.rest += todo
                break
        elif word.startswith("--"):
            _long(verb, table, word, todo, found)
        else:
            _short(verb, table, word, todo, found)
    return found


def _long(verb: Verb, table: dict[str, Option], word: str, todo: list[str], found: Words) -> None:
    name, equals, value = word.partition("=")
    if name == "--help":
        raise HelpWanted
    option = table.get(name)
    if option is None:
        raise _unknown(verb, table, name)
    if option.kind == FLAG:
        if equals and value.lower() not in _TRUTHS:
            raise _usage(verb, f"{name} is true or false, not '{value}'")
        found.flags[option.key] = _TRUTHS[value.lower()] if equals else True
    else:
        _store(option, value if equals else _next(verb, name, todo), found)


def _short(verb: Verb, table: dict[str, Option], word: str, todo: list[str], found: Words) -> None:
    letters = word[1:]
    while letters:
        name, letters = f"-{letters[0]}", letters[1:]
        option = table.get(name)
        if option is None:
            if name == "-h":
                raise HelpWanted
            raise _unknown(verb, table, name)
        if option.kind == FLAG:
            if letters.startswith("="):
                found.flags[option.key] = _TRUTHS.get(letters[1:].lower(), True)
                return
            found.flags[option.key] = True
        else:
            _store(option, letters.removeprefix("=") or _next(verb, name, todo), found)
            return


def _store(option: Option, value: str, found: Words) -> None:
    if option.kind == LIST:
        found.lists.setdefault(option.key, []).append(value)
    else:
        found.values[option.key] = value


def _next(verb: Verb, name: str, todo: list[str]) -> str:
    if not todo:
        raise _usage(verb, f"{name} needs a value")
    return todo.pop(0)


def _unknown(verb: Verb, table: dict[str, Option], name: str) -> RuntimeFailure:
    near = closest(name, table)
    also = f"; did you mean {near}?" if near else ""
    return _usage(verb, f"no such option: {name}{also}")


def _usage(verb: Verb, message: str) -> RuntimeFailure:
    return RuntimeFailure(message, f"see runtime {verb.name} --help", code=verb.usage_code)


def too_many(verb: Verb) -> RuntimeFailure:
    """Return what to raise when the arguments are not those of the synopsis."""
    return _usage(verb, f"runtime {verb.name} takes {verb.arguments or 'no arguments'}")


def help_text(verb: Verb) -> str:
    """Return what ``--help`` shows."""
    lines = [f"usage: runtime {verb.name} [OPTIONS] {verb.arguments}".rstrip(), "", verb.summary]
    if verb.options:
        lines += ["", "options:"]
    heads = [", ".join(o.names) + (f" {o.value}" if o.value else "") for o in verb.options]
    width = min(max(map(len, heads), default=0), 28)
    for head, option in zip(heads, verb.options, strict=True):
        gap = f"\n{'':<{width + 4}}" if len(head) > width else "  "
        lines.append(f"  {head:<{width}}{gap}{option.help}")
    return "\n".join(lines) + "\n"
