"""Command lines by docker's rules: a verb's table of options, argv → `Arguments`, help text.

A table is written as its own help shows it, one option a line:

    -a, --all             Show all containers
    -f, --filter filter   Only those that match
        --time int        Seconds to wait (default 10)

A word after the name says what value it takes; only ``int`` is checked here.  Every option may be
repeated: `Arguments.text` takes the last, `Arguments.many` all.  ``--net, --network`` has two long
names, of which help shows the second.  Indented further, a line goes on with the text above it.
"""

from __future__ import annotations

from supervise.model.record import Record
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEFT = 6  # an option's line is indented no further
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})  # Go's strconv.ParseBool
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class UsageError(Exception):
    """The command line makes no sense; *code* is docker's exit code for it."""

    def __init__(self, message: str, hint: str = "", code: int = 125) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


class Option(Record):
    """One option."""

    name: str  # without the dashes
    short: str = ""  # one letter
    also: str = ""  # another long name, which help leaves out
    kind: str = ""  # string, int, list, …; empty: a boolean
    text: tuple[str, ...] = ()  # help, a line each

    @property
    def shown(self) -> str:
        """Return ``-a, --all``, as docker's messages name it."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Verb(Record):
    """One verb: what may stand after it."""

    name: str  # as docker's own help names it first: "image ls"
    operands: str  # synopsis without the options: "IMAGE [COMMAND] [ARG...]"
    summary: str
    table: str = ""  # see the module
    least: int = 0  # operands
    most: int | None = None
    stops: bool = False  # at the first operand: what follows belongs to the container
    about: str = ""  # more help
    refused: Mapping[str, str] = {}  # docker's options that we lack, and why

    def options(self) -> tuple[Option, ...]:
        """Return what the table says, in its order."""
        return parse_table(self.table)

    @property
    def synopsis(self) -> str:
        """Return the line that follows ``Usage:``."""
        parts = ["runtime", self.name, "[OPTIONS]" if self.table else "", self.operands]
        return " ".join(part for part in parts if part)


class Arguments(Record):
    """A command line that makes sense."""

    values: Mapping[str, tuple[str, ...]]  # long name → what was given, in order
    operands: tuple[str, ...]
    stopped: bool = False  # ``--`` stood before the first operand

    def given(self, name: str) -> bool:
        """Return whether the option was on the command line."""
        return name in self.values

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean; the last one counts."""
        found = self.values.get(name)
        return found[-1] in _TRUE if found else default

    def text(self, name: str, default: str = "") -> str:
        """Return the value; the last one counts."""
        found = self.values.get(name)
        return found[-1] if found else default

    def number(self, name: str, default: int = 0) -> int:
        """Return the value of an ``int``."""
        found = self.values.get(name)
        return int(found[-1]) if found else default

    def many(self, name: str) -> tuple[str, ...]:
        """Return all values, in order."""
        return self.values.get(name, ())


def parse_table(table: str) -> tuple[Option, ...]:
    """Return the options of a table; raises ValueError on a line that is not an option."""
    found: list[Option] = []
    for line in table.strip("\n").splitlines():
        head, _, text = line.strip().partition("  ")
        if not head.startswith("-") or len(line) - len(line.lstrip()) > _LEFT:
            last = found.pop()
            found.append(last.replace(text=(*last.text, line.strip())))
            continue
        short = ""
        if head[1] != "-":
            short, head = head[1], head[2:].removeprefix(", ")
        also = ""
        if ", " in head:
            also, _, head = head.partition(", ")
        name, _, kind = head.partition(" ")
        if not name.startswith("--") or " " in kind:
            raise ValueError(f"'{line}' is no option's line")
        lines = (text.strip(),) if text else ()
        found.append(Option(name[2:], short, also[2:], kind, lines))
    return tuple(found)


def parse(verb: Verb, argv: Sequence[str]) -> Arguments:
    """Return what *argv*, which is what follows the verb, asks for.

    ``--help`` anywhere among the options gives Arguments with "help", unchecked.

    Raises:
        UsageError: it makes no sense; code 125 for options, 1 for the number of operands.
    """
    options = (*verb.options(), Option("help"))
    by_name = {option.name: option for option in options}
    by_name.update((option.also, option) for option in options if option.also)
    by_short = {option.short: option for option in options if option.short}
    values: dict[str, list[str]] = {}
    operands: list[str] = []
    words = list(argv)
    at, stopped = 0, False
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--":
            stopped = not operands
            operands += words[at:]
            break
        if word == "-" or not word.startswith("-"):
            operands.append(word)
            if verb.stops:
                operands += words[at:]
                break
        elif word.startswith("--"):
            _refuse(verb, word[2:].partition("=")[0])
            at = _take_long(word[2:], words, at, by_name, values)
        else:
            at = _take_short(word[1:], words, at, by_short, values)
    if "help" not in values:
        _check_operands(verb, operands)
    kept = {name: tuple(given) for name, given in values.items()}
    return Arguments(kept, tuple(operands), stopped)


def help_text(verb: Verb, aliases: Sequence[str] = ()) -> str:
    """Return what ``--help`` prints: docker's layout, from the table."""
    parts = [f"Usage:  {verb.synopsis}", verb.summary]
    if verb.about:
        parts.append(verb.about.strip("\n"))
    if len(aliases) > 1:
        parts.append("Aliases:\n  " + ", ".join(f"runtime {alias}" for alias in aliases))
    if verb.table:
        parts.append("Options:\n" + _render(verb.options()))
    return "\n\n".join(parts) + "\n"


def _render(options: Sequence[Option]) -> str:
    heads = []
    for option in options:
        short = f"-{option.short}, " if option.short else "    "
        heads.append(f"{short}--{option.name} {option.kind}".rstrip())
    width = max(map(len, heads)) + 3
    lines = []
    for head, option in zip(heads, options, strict=True):
        text = option.text or ("",)
        lines.append(f"  {head:{width}}{text[0]}".rstrip())
        lines += [f"  {'':{width}}{more}" for more in text[1:]]
    return "\n".join(lines)


def _refuse(verb: Verb, name: str) -> None:
    """Refuse an option of docker's with the reason; options are never accepted and ignored."""
    if name in verb.refused:
        raise UsageError(f"--{name} is not supported: {verb.refused[name]}")


def _take_long(
    word: str,
    words: list[str],
    at: int,
    known: Mapping[str, Option],
    values: dict[str, list[str]],
) -> int:
    name, equals, value = word.partition("=")
    option = known.get(name)
    if option is None:
        near = closest(name, known)
        raise UsageError(f"unknown flag: --{name}", f"did you mean --{near}?" if near else "")
    if equals:
        _keep(option, value, values)
    elif not option.kind:
        _keep(option, "true", values)
    elif at < len(words):
        _keep(option, words[at], values)
        return at + 1
    else:
        raise UsageError(f"flag needs an argument: --{name}")
    return at


def _take_short(
    letters: str,
    words: list[str],
    at: int,
    known: Mapping[str, Option],
    values: dict[str, list[str]],
) -> int:
    """Read ``-it``, ``-p8080:80``, ``-d=false``: docker's pflag."""
    rest = letters
    while rest:
        letter, rest = rest[0], rest[1:]
        option = known.get(letter)
        if option is None and letter == "h":
            option = Option("help")
        if option is None:
            raise UsageError(f"unknown shorthand flag: '{letter}' in -{letters}")
        if rest.startswith("=") and (option.kind or len(rest) > 1):
            _keep(option, rest[1:], values)
            return at
        if not option.kind:
            _keep(option, "true", values)
        elif rest:
            _keep(option, rest, values)
            return at
        elif at < len(words):
            _keep(option, words[at], values)
            return at + 1
        else:
            raise UsageError(f"flag needs an argument: '{letter}' in -{letters}")
    return at


def _keep(option: Option, value: str, values: dict[str, list[str]]) -> None:
    reason = ""
    if not option.kind and value not in _TRUE and value not in _FALSE:
        reason = "it is true or false"
    elif option.kind == "int" and not _is_whole(value):
        reason = "it is no whole number"
    if reason:
        raise UsageError(f'invalid argument "{value}" for "{option.shown}" flag: {reason}')
    values.setdefault(option.name, []).append(value)


def _is_whole(value: str) -> bool:
    digits = value[1:] if value[:1] in ("-", "+") else value
    return digits.isascii() and digits.isdecimal() and len(digits) < 19


def _check_operands(verb: Verb, operands: Sequence[str]) -> None:
    least, most, count = verb.least, verb.most, len(operands)
    if least <= count and (most is None or count <= most):
        return
    if most == 0:
        message = "accepts no arguments"
    elif least == most:
        message = f"requires {least} argument{'s' if least > 1 else ''}"
    elif count < least:
        message = f"requires at least {least} argument{'s' if least > 1 else ''}"
    else:
        message = f"accepts at most {most} argument{'s' if most != 1 else ''}"
    raise UsageError(f"'runtime {verb.name}' {message}", f"Usage:  {verb.synopsis}", code=1)
