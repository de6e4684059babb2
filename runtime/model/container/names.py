"""Names for containers that were given none: ``quiet_turing``; and which names are allowed."""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_REST = _FIRST | frozenset("_.-")
_ADJECTIVES = (
    *("able", "agile", "amber", "avid", "bold", "brave", "brisk", "calm", "clever", "cosmic"),
    *("crisp", "curious", "deft", "eager", "early", "fair", "fond", "frank", "gentle", "glad"),
    *("golden", "happy", "hardy", "humble", "keen", "kind", "lively", "loyal", "lucid", "merry"),
    *("modest", "neat", "nimble", "noble", "patient", "placid", "proud", "quick", "quiet"),
    *("rapid", "ready", "serene", "sharp", "silent", "sleek", "smart", "spry", "steady", "stoic"),
    *("sunny", "swift", "tidy", "upbeat", "vivid", "warm", "wise", "witty", "zesty"),
)
_SURNAMES = (
    *("allen", "babbage", "backus", "banach", "bartik", "bell", "bohr", "boole", "borg", "carson"),
    *("cerf", "church", "clarke", "curie", "darwin", "dijkstra", "einstein", "elion", "euclid"),
    *("euler", "faraday", "fermat", "fermi", "feynman", "galileo", "gauss", "germain", "goldberg"),
    *("goodall", "hamilton", "hawking", "hertz", "hodgkin", "hopper", "hypatia", "johnson"),
    *("joliot", "kepler", "knuth", "lamarr", "lamport", "leavitt", "liskov", "lovelace", "maxwell"),
    *("mccarthy", "meitner", "mendel", "mirzakhani", "newton", "noether", "pascal", "pasteur"),
    *("perlman", "planck", "poincare", "ramanujan", "ride", "ritchie", "rubin", "shannon"),
    *("sinoussi", "snyder", "tesla", "thompson", "torvalds", "turing", "volta", "wiles", "yalow"),
)


def invent(number: int) -> str:
    """Return the name that belongs to *number*; a random one gives a random name."""
    number, adjective = divmod(number, len(_ADJECTIVES))
    number, surname = divmod(number, len(_SURNAMES))
    return f"{_ADJECTIVES[adjective]}_{_SURNAMES[surname]}"


def check(name: str, what: str) -> None:
    """Make sure that *name* can be a container's or a volume's; *what* is in the message.

    Raises:
        RuntimeFailure: it cannot; docker's rule.
    """
    if len(name) < 2 or name[0] not in _FIRST or not _REST.issuperset(name):
        rule = "two or more letters, digits, '_', '.', '-', the first one a letter or digit"
        raise RuntimeFailure(f"'{name}' is not a name for a {what}: it must be {rule}")
