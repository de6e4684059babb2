"""Ids of a container that was made with --userns: inside they begin at 0, outside at a shift.

Also of file capabilities, which name the root that they count for (capabilities(7), version 3).
"""

from __future__ import annotations

import struct

from runtime.model.container import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Spec

_CAPABILITY = struct.Struct("<6I")  # magic and flags, permitted, inheritable, twice; root id
_VERSION_2, _VERSION_3, _VERSION = 0x02000000, 0x03000000, 0xFF000000


def shift_of(spec: Spec) -> int:
    """Return what the container's id 0 is outside."""
    return defaults.MAPPED_FIRST if spec.user_namespace else 0


def inside(number: int, shift: int) -> int:
    """Return what an id outside is in the container; one that is not its own stays."""
    return number - shift if number >= shift else number


def capabilities_inside(value: bytes, shift: int) -> bytes:
    """Return a file's security.capability as the container's own root would have written it."""
    if not shift or len(value) != _CAPABILITY.size:
        return value
    *fields, root = _CAPABILITY.unpack(value)
    if fields[0] & _VERSION != _VERSION_3 or root != shift:
        return value
    flags = fields[0] & ~_VERSION
    return struct.pack("<5I", _VERSION_2 | flags, *fields[1:])
