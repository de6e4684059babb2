"""How layers say "gone": names in tar streams, marks in overlayfs directories.

In a tar stream an empty file ``.wh.NAME`` hides NAME of the layers below, and ``.wh..wh..opq``
hides all of its directory (OCI image-spec, layer.md).  In overlayfs the first is a character
device 0:0, the second the attribute trusted.overlay.opaque (kernel, overlayfs.rst).
"""

from __future__ import annotations

PREFIX = b".wh."
META_PREFIX = b".wh..wh."  # aufs' own files; all but the opaque mark mean nothing here
OPAQUE = b".wh..wh..opq"
OPAQUE_XATTR = "trusted.overlay.opaque"
OPAQUE_VALUE = b"y"
# Attributes by which overlayfs speaks to itself.  From a tar stream they could point anywhere.
OWN_XATTRS = ("trusted.overlay.", "user.overlay.")


def hidden_by(name: bytes) -> bytes | None:
    """Return the name that the whiteout *name* (no slash) hides, None if it is no whiteout."""
    if name.startswith(PREFIX) and not name.startswith(META_PREFIX):
        return name[len(PREFIX) :]
    return None


def is_overlay_whiteout(mode: int, rdev: int) -> bool:
    """Return whether an inode with this st_mode and st_rdev is overlayfs' whiteout."""
    return mode & 0o170000 == 0o020000 and rdev == 0


def is_own_xattr(name: str) -> bool:
    """Return whether the attribute *name* is overlayfs' own."""
    return name.startswith(OWN_XATTRS)
