"""Did you mean …: the known word nearest to a mistyped one."""

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


def _slips(a: str, b: str, limit: int) -> int:
    """Return the optimal string alignment distance of *a* and *b*, *limit* if it is not less."""
    if abs(len(a) - len(b)) >= limit:
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
