"""Did you mean …: the known word that a mistyped or shortened one stands for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 128  # a word longer than this is no typing mistake


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the entry of *known* that differs from *word* by few slips, None if there is none.

    A slip is a letter left out, put in, replaced, or two neighbours swapped: one is allowed in
    words of up to four letters, else two.
    """
    if not 0 < len(word) <= _LONGEST:
        return None
    lower = word.lower()
    best, best_slips = None, 2 if len(word) <= 4 else 3
    for candidate in known:
        slips = _slips(lower, candidate.lower(), best_slips)
        if slips < best_slips:
            best, best_slips = candidate, slips
    return best


def abbreviated(word: str, known: Iterable[str]) -> str | None:
    """Return the shortest entry of *known* that *word* abbreviates, None if there is none.

    ``cmd`` stands for ``command``, ``stop_grace`` for ``stop_grace_period``: the same first
    letter, and the others in order.
    """
    lower = word.lower()
    if not 3 <= len(word) <= _LONGEST:
        return None
    found = [c for c in known if len(c) > len(word) and _is_abbreviation(lower, c.lower())]
    return min(found, key=len, default=None)


def _is_abbreviation(word: str, candidate: str) -> bool:
    letters = iter(candidate)
    return candidate[0] == word[0] and all(letter in letters for letter in word)


def _slips(a: str, b: str, limit: int) -> int:
    """Return the optimal string alignment distance of *a* and *b*, *limit* if it is not less."""
    if abs(len(a) - len(b)) >= limit or len(set(a) ^ set(b)) >= 2 * limit:
        return limit
    before: list[int] = []
    above = list(range(len(b) + 1))
    for i, letter in enumerate(a, start=1):
        row = [i]
        for j, other in enumerate(b, start=1):
            slips = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                slips = min(slips, before[j - 2] + 1)
            row.append(slips)
        if min(row) >= limit:
            return limit
        before, above = above, row
    return min(above[-1], limit)
