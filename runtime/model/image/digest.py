"""Digests as images name them: ``sha256:`` and 64 hexadecimal digits.

Hashing itself is `digest_of`; streams are hashed where they are read (`runtime.store.feed`).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Hash(Protocol):
        """What hashlib's objects do."""

        def update(self, data: bytes | memoryview, /) -> None:
            """Add *data*."""

        def hexdigest(self) -> str:
            """Return the digits of what has been added."""


PREFIX = "sha256:"
SHORT = 12  # hexadecimal digits that docker shows
_HEX = frozenset("0123456789abcdef")


def is_hex(text: str) -> bool:
    """Return whether *text* is lower-case hexadecimal and not empty."""
    return bool(text) and _HEX.issuperset(text)


def is_digest(text: str) -> bool:
    """Return whether *text* is a whole ``sha256:`` digest."""
    return text.startswith(PREFIX) and len(text) == 71 and is_hex(text[7:])


def hex_of(digest: str) -> str:
    """Return the digits of *digest*, which is a file's name in the store.

    Raises:
        ValueError: it is not a sha256 digest, so it must not become part of a path.
    """
    if not is_digest(digest):
        raise ValueError(f"'{digest}' is not a sha256 digest")
    return digest[7:]


def short(digest: str) -> str:
    """Return the twelve digits that a person reads."""
    return digest.removeprefix(PREFIX)[:SHORT]


def digest_of(data: bytes) -> str:
    """Return the digest of *data*."""
    return PREFIX + new_hash(data).hexdigest()


def new_hash(data: bytes = b"") -> Hash:
    """Return a running SHA-256 over *data*; it lets other threads run while it works.

    OpenSSL's, 1330 MB/s with SHA-NI where Python's own makes 400; imported when first needed.
    """
    from hashlib import sha256

    return sha256(data)
