"""blake2b-256, as the plan uses it for files and variables.

``hashlib`` loads OpenSSL, 4 ms; the interpreter's own ``_blake2`` takes 1.5 ms.
"""

from __future__ import annotations

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b


def of_bytes(data: bytes) -> str:
    """Return the digest of *data*, 64 hexadecimal digits."""
    return blake2b(data, digest_size=32).hexdigest()


def of_variable(value: str | None) -> str:
    """Return what stands for an environment variable's *value*; "" when it is not set."""
    return "" if value is None else of_bytes(value.encode("utf-8", "surrogateescape"))


def of_names(names: list[str]) -> str:
    """Return the digest of a listing: the files a glob or a directory expanded to."""
    return of_bytes("\0".join(names).encode("utf-8", "surrogateescape"))
