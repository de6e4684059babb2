"""Patterns of COPY: Go's ``filepath.Match`` for sources, .dockerignore's rules for `--exclude`.

Pure.  `select` finds sources with it, `tree` leaves out what is excluded.
Sources: Go's path/filepath, and moby's ``patternmatcher``.
"""

from __future__ import annotations

import posixpath
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_WILD = frozenset("*?[")
_MOST_INSIDE = 3  # times `**` in the middle of a name
_MOST_REMEMBERED = 4096  # directories


class PatternError(ValueError):
    """The pattern means nothing: says why."""


def is_wild(pattern: str) -> bool:
    """Return whether *pattern* has a ``*``, ``?`` or ``[`` that no backslash takes the meaning of."""
    escaped = False
    for letter in pattern:
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter in _WILD:
            return True
    return False


def literal(pattern: str) -> str:
    """Return *pattern*, which has no wildcards, without its backslashes."""
    return re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL)


def component(pattern: str) -> re.Pattern[str]:
    """Return what one name of a path must match, for a pattern without slashes.

    Raises:
        PatternError: a bracket is not closed, or a backslash ends it.
    """
    return re.compile(_translate(pattern, deep=False) + r"\Z", re.DOTALL)


class Patterns:
    """Ordered patterns, the last that matches a path or a directory above it decides.

    ``!`` in front takes paths back in.  ``**`` stands for any number of directories.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Read *patterns*; empty ones mean nothing.

        Raises:
            PatternError: one is malformed; names it.
        """
        self._rules: list[tuple[bool, re.Pattern[str]]] = []  # (takes back in, expression)
        for written in patterns:
            pattern = written.strip()
            takes_back = pattern.startswith("!")
            pattern = pattern.removeprefix("!").strip()
            if not pattern:
                if takes_back:
                    raise PatternError("'!' alone takes nothing back in")
                continue
            pattern = posixpath.normpath(pattern).lstrip("/") or "."
            try:
                expression = re.compile(_translate(pattern, deep=True) + r"\Z", re.DOTALL)
            except (PatternError, re.error) as error:
                raise PatternError(f"'{written}': {error}") from None
            self._rules.append((takes_back, expression))
        self._any = re.compile(
            "|".join(f"(?:{rule.pattern})" for _, rule in self._rules), re.DOTALL
        )
        self._directories: dict[str, tuple[bool, ...]] = {}
        self.has_exceptions = any(takes_back for takes_back, _ in self._rules)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def excludes(self, path: str) -> bool:
        """Return whether *path*, relative and without ``.``, is matched."""
        above = self._held_above(path)
        if not above and not self._any.match(path):
            return False  # the common case costs one match, however many rules there are
        return self.decide(self.step(path, above))

    def _held_above(self, path: str) -> tuple[bool, ...]:
        """Return which rules hold for the directory of *path*, nothing for none; it is kept."""
        directory, slash, _ = path.rpartition("/")
        if not slash or not directory:
            return ()
        held = self._directories.get(directory)
        if held is None:
            held = self.step(directory, self._held_above(directory))
            held = held if any(held) else ()
            if len(self._directories) >= _MOST_REMEMBERED:
                self._directories.clear()
            self._directories[directory] = held
        return held

    def step(self, path: str, above: tuple[bool, ...]) -> tuple[bool, ...]:
        """Return which rules hold for *path*, when those of *above* hold for its directory."""
        if not above:
            return tuple([bool(rule.match(path)) for _, rule in self._rules])
        return tuple(
            [
                held or bool(rule.match(path))
                for held, (_, rule) in zip(above, self._rules, strict=True)
            ]
        )

    def decide(self, held: tuple[bool, ...]) -> bool:
        """Tell what the rules that hold for a path come to."""
        for holds, (takes_back, _) in zip(reversed(held), reversed(self._rules), strict=True):
            if holds:
                return not takes_back
        return False


def _translate(pattern: str, *, deep: bool) -> str:
    """Return the regular expression of *pattern*; *deep*: ``**`` crosses directories."""
    # What stands between two ``**``, and in it what stands between two ``*``.
    segments: list[list[list[str]]] = [[[]]]
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if letter == "*":
            if deep and pattern.startswith("*", at):
                at += 1
                at += pattern.startswith("/", at)
                segments.append([[]])
            else:
                segments[-1].append([])
            continue
        if letter == "?":
            expression = "[^/]"
        elif letter == "[":
            expression, at = _bracket(pattern, at)
        elif letter == "\\":
            if at == len(pattern):
                raise PatternError("a backslash ends it")
            expression = re.escape(pattern[at])
            at += 1
        else:
            expression = re.escape(letter)
        segments[-1][-1].append(expression)
    return _joined([["".join(chunk) for chunk in segment] for segment in segments])


def _joined(segments: list[list[str]]) -> str:
    """Return the expression of chunks with ``*`` between them, in segments with ``**`` between.

    What follows a star may lie as near as it can, for that leaves the most to the rest.  So it is
    never tried again (an atomic group): plain ``.*`` takes the length of the path to the power of
    the stars.  Only a ``**`` in the middle of a name needs to try again.
    """
    out, inside = [], 0
    last = len(segments) - 1
    for index, chunks in enumerate(segments):
        is_whole = chunks == [""] or chunks[-1].endswith("/")
        is_whole = is_whole or (index == last - 1 and segments[last] == [""])
        first, *others = chunks
        near = [f"(?>[^/]*?{chunk})" for chunk in others]
        if others and (index == last or not is_whole):
            near[-1] = f"[^/]*{others[-1]}"
        body = first + "".join(near)
        inside += index != last and not is_whole
        if index == 0:
            out.append(body)
        elif index == last:
            out.append(".*" if chunks == [""] else f"(?:.*/)?{body}")
        else:
            out.append(f"(?>(?:.*?/)??{body})" if is_whole else f"(?:.*/)?{body}")
    if inside > _MOST_INSIDE:
        raise PatternError(f"it has ** in the middle of a name more than {_MOST_INSIDE} times")
    return "".join(out)


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """Return the expression of the set that begins at *at*, after its bracket, and its end."""
    negated = pattern.startswith("^", at)
    at += negated
    ranges: list[str] = []
    while not (pattern.startswith("]", at) and ranges):
        low, at = _set_letter(pattern, at)
        high = low
        if pattern.startswith("-", at):
            high, at = _set_letter(pattern, at + 1)
        ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    return f"[{'^' * negated}{''.join(ranges)}]", at + 1


def _set_letter(pattern: str, at: int) -> tuple[str, int]:
    if pattern.startswith("\\", at):
        at += 1
    elif pattern.startswith(("-", "]"), at):
        raise PatternError(f"'{pattern[at]}' in brackets needs a backslash")
    if at >= len(pattern):
        raise PatternError("a bracket is not closed")
    return pattern[at], at + 1
