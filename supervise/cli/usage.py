"""The text of ``--help``, for the whole and for a verb."""

from __future__ import annotations

from supervise.cli import verbs
from supervise.cli.exitcodes import MEANINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WIDTH = 80


def text(verb: verbs.Verb | None) -> str:
    """Return the help of *verb*, or of the whole."""
    return "\n".join(_verb(verb) if verb else _whole()) + "\n"


def synopsis(verb: verbs.Verb) -> str:
    """Return ``supervisectl stop [OPTIONS] SERVICE… | --all``."""
    options = " [OPTIONS]" if verb.options else ""
    operands = f" {verb.operands}" if verb.operands else ""
    return f"{verbs.PROGRAM} {verb.name}{options}{operands}"


def spelling(option: verbs.Option) -> str:
    """Return ``-n, --lines N``."""
    short = f"-{option.short}, " if option.short else ""
    value = f" {option.metavar}" if option.metavar else ""
    return f"{short}--{option.name}{value}"


def _whole() -> list[str]:
    return [
        f"Usage: {verbs.PROGRAM} [--socket PATH] VERB …",
        "",
        "Controls a running supervise, the PID 1 of a container.",
        "",
        "Verbs:",
        *_columns((verb.name, verb.summary) for verb in verbs.VERBS),
        "",
        "Options:",
        *_columns((spelling(option), option.help) for option in verbs.GLOBAL),
        "",
        "Exit codes:",
        *_columns((str(code), meaning) for code, meaning in MEANINGS.items()),
        "",
        f"Of one verb: {verbs.PROGRAM} VERB --help",
    ]


def _verb(verb: verbs.Verb) -> list[str]:
    lines = [f"Usage: {synopsis(verb)}", "", f"{verb.summary}."]
    for note in verb.notes:
        lines += ["", *wrap(note, _WIDTH)]
    if verb.examples:
        lines += ["", *(f"    {example}" for example in verb.examples)]
    options = (*verb.options, *verbs.GLOBAL)
    lines += ["", "Options:", *_columns((spelling(o), o.help) for o in options)]
    return lines


def _columns(pairs: Iterable[tuple[str, str]]) -> list[str]:
    rows: Sequence[tuple[str, str]] = list(pairs)
    size = max(len(left) for left, _ in rows)
    lines = []
    for left, right in rows:
        first, *others = wrap(right, _WIDTH - size - 4) or [""]
        lines.append(f"  {left.ljust(size)}  {first}")
        lines += [" " * (size + 4) + other for other in others]
    return lines


def wrap(paragraph: str, width: int) -> list[str]:
    """Return *paragraph* in lines of at most *width* columns."""
    lines: list[str] = []
    for word in paragraph.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
