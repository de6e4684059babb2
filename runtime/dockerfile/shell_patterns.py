"""The patterns of `${V#p}`, `${V%p}` and `${V/p/r}`: `*`, `?` and what is escaped."""

from __future__ import annotations

import re

from runtime.dockerfile.dockerfile_error import DockerfileError


def without_prefix(pattern: str, value: str, *, greedy: bool) -> str:
    """Return *value* without what *pattern* matches at its beginning, the longest if *greedy*."""
    found = _compile(pattern, greedy=greedy).match(value)
    return value[found.end() :] if found else value


def without_suffix(pattern: str, value: str, *, greedy: bool) -> str:
    """Return *value* without what *pattern* matches at its end, the longest if *greedy*."""
    # Read backwards a suffix is a prefix: the shortest match is then what comes first.
    return without_prefix(_reversed(pattern), value[::-1], greedy=greedy)[::-1]


def replaced(pattern: str, replacement: str, value: str, *, everywhere: bool) -> str:
    """Return *value* with the first, or every, longest match of *pattern* replaced."""
    compiled = _compile(pattern, greedy=True)
    return compiled.sub(lambda _found: replacement, value, count=0 if everywhere else 1)


def _pieces(pattern: str) -> list[str]:
    """Split *pattern* into letters and escaped letters, the escape still on them."""
    pieces, at = [], 0
    while at < len(pattern):
        width = 2 if pattern[at] == "\\" else 1
        pieces.append(pattern[at : at + width])
        at += width
    return pieces


def _reversed(pattern: str) -> str:
    return "".join(reversed(_pieces(pattern)))


def _compile(pattern: str, *, greedy: bool) -> re.Pattern[str]:
    """Return *pattern* as a regular expression.

    What stands between two `*` may lie as near as it can: that leaves the most to the rest.  So
    it is never tried again (an atomic group), and a match takes no more than the lengths of
    pattern and value multiplied, where plain `.*.*.*` would take that to the power of the stars.
    """
    segments: list[list[str]] = [[]]
    for piece in _pieces(pattern):
        if piece == "*":
            segments.append([])
        else:
            segments[-1].append(_letter(piece, pattern))
    first, *middle = ["".join(segment) for segment in segments]
    if not middle:
        return re.compile(first)
    near = "".join(f"(?>.*?{segment})" for segment in middle[:-1])
    return re.compile(f"{first}{near}{'.*' if greedy else '.*?'}{middle[-1]}")


def _letter(piece: str, pattern: str) -> str:
    """Return the expression of a piece of *pattern* that is no `*`."""
    if piece == "?":
        return "."
    if piece == "\\":
        raise DockerfileError(f"the pattern '{pattern}' ends in an escape character")
    if len(piece) == 2:
        # } and / are escaped for the sake of ${…} around them, the rest for the pattern's.
        if piece[1] not in "*?\\}/":
            raise DockerfileError(f"'{piece}' in the pattern '{pattern}' escapes nothing")
        return re.escape(piece[1])
    return re.escape(piece)
