"""Sizes, times, cpu counts and ulimits as people write them, as numbers.

Every function raises ValueError with a sentence's end ("'12q' is no size …") that the caller puts
its option's name in front of.
"""

from __future__ import annotations

from supervise.model import numerals

_UNITS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
RLIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc"),
    *("rss", "rtprio", "rttime", "sigpending", "stack", "as"),
)
UNLIMITED = -1
_MINIMUM_MEMORY = 6 * 1024 * 1024  # docker's: a container does not start with less


_MOST = 2**63 - 1  # what the kernel and Go count to


def size(text: str) -> int:
    """Return the bytes in ``64m``, ``1g``, ``10MiB``, ``1.5gb``: powers of 1024."""
    word = text.strip().lower()
    for ending in ("ib", "b"):
        if len(word) > len(ending) and word.endswith(ending) and word[-len(ending) - 1].isalpha():
            word = word[: -len(ending)]
    number, unit = (word[:-1], word[-1]) if word[-1:].isalpha() else (word, "")
    amount = _fraction(number)
    if unit not in _UNITS or not 0 <= amount * 1024 ** _UNITS[unit] <= _MOST // 2:
        raise ValueError(f"'{text}' is no size such as 64m or 1g")
    return int(amount * 1024 ** _UNITS[unit])


def _fraction(text: str) -> float:
    """Return a number as people write it, -1 for what is none: digits of other scripts, ``1_0``."""
    try:
        return float(text) if text.isascii() and "_" not in text else -1.0
    except ValueError:
        return -1.0


def memory(text: str) -> int:
    """Return the bytes of a memory limit; below 6 MiB nothing starts."""
    found = size(text)
    if found < _MINIMUM_MEMORY:
        raise ValueError(f"'{text}' is less than the 6m that a container needs")
    return found


def memory_swap(text: str) -> int:
    """Return the bytes of memory and swap together, -1 for no limit."""
    return UNLIMITED if text == "-1" else size(text)


def cpus(text: str) -> float:
    """Return a number of processors such as 0.5."""
    found = _fraction(text)
    if not 0.01 <= found <= 100_000:
        raise ValueError(f"'{text}' is no number of cpus such as 0.5 or 2 (at least 0.01)")
    return found


def whole(text: str, least: int = 0) -> int:
    """Return a whole number not below *least*."""
    number = numerals.whole(text.removeprefix("-"))
    found = least - 1 if number is None else -number if text.startswith("-") else number
    if found < least:
        raise ValueError(f"'{text}' is no whole number from {least} up")
    return found


def processors(text: str) -> str:
    """Return a list of processors or memory nodes such as ``0-2,7``, checked."""
    for part in text.split(","):
        first, dash, last = part.partition("-")
        low, high = numerals.whole(first), numerals.whole(last if dash else first)
        if low is None or high is None or high < low:
            raise ValueError(f"'{text}' is no list such as 0-2,7")
    return text


def ulimit(text: str) -> tuple[str, tuple[int, int]]:
    """Return (name, (soft, hard)) of ``nofile=1024:2048`` or ``core=0``; -1 is unlimited."""
    name, equals, values = text.partition("=")
    name = name.lower().removeprefix("rlimit_")
    soft_text, colon, hard_text = values.partition(":")
    if name not in RLIMITS or not equals:
        raise ValueError(f"'{text}' is no limit such as nofile=1024:2048; {', '.join(RLIMITS)}")
    soft = _rlimit(text, soft_text)
    hard = _rlimit(text, hard_text) if colon else soft
    if hard != UNLIMITED and (soft > hard or soft == UNLIMITED):
        raise ValueError(f"'{text}': the soft limit {soft} is above the hard limit {hard}")
    return name, (soft, hard)


def _rlimit(text: str, value: str) -> int:
    if value in ("-1", "unlimited"):
        return UNLIMITED
    number = numerals.whole(value)
    if number is None:
        raise ValueError(f"'{text}': '{value}' is no number; -1 is unlimited")
    return number
