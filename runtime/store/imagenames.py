"""The names of images as tags.json has them: full references, and what people read of them."""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference
from runtime.store import host


def full(name: str) -> str:
    """Return the full reference of *name*, which may have a digest when a registry gave it."""
    found = reference.parse(name)
    if found.digest:
        return f"{found.name}@{found.digest}"
    if found.familiar_name == host.NAME:
        raise RuntimeFailure(f"cannot name an image '{name}': 'host' always means this machine")
    return str(reference.parse_tagged(name))


def is_name(text: str) -> bool:
    """Return whether *text* of tags.json is a reference: no image has another name."""
    try:
        reference.parse(text)
    except RuntimeFailure:
        return False
    return True


def familiar(name: str) -> str:
    """Return the full reference *name* as docker shows it."""
    return reference.parse(name).familiar
