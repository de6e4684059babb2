"""Which function is behind which verb.  `runtime.cli.main` imports its module when it is called.

A function ``rm`` in module ``images`` has its table in ``images.RM``; a ``_`` at its end, which
keeps it apart from what it shadows, is not part of the table's name.
"""

from __future__ import annotations

INDEX = {
    "create": "run.create_",
    "run": "run.run",
    "container create": "run.create_",
    "container run": "run.run",
}
GROUPS = {
    "container": "Containers",
    "image": "Images",
    "network": "Networks",
    "system": "The store as a whole",
    "volume": "Volumes",
}


def aliases(target: str) -> tuple[str, ...]:
    """Return every name of one function's verb, the short ones first."""
    found = [name for name, place in INDEX.items() if place == target]
    return tuple(sorted(found, key=lambda name: (" " in name, name)))
