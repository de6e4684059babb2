"""What stands for this machine's own root file system in the cache: ``FROM host``."""

from __future__ import annotations

import os

from runtime.model.image import digest as digests

# Whatever installs, removes or configures something touches one of these.
_TELLING = (
    *("/etc", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/local/bin", "/usr/local/lib", "/opt"),
    *("/var/lib/dpkg/status", "/var/lib/rpm", "/lib/apk/db/installed", "/var/lib/pacman/local"),
    *("/etc/machine-id", "/etc/passwd", "/etc/group"),
)


def stamp() -> str:
    """Return a word that changes when software of this machine does; not with every file."""
    found = []
    for path in _TELLING:
        try:
            found.append(f"{path} {os.stat(path).st_mtime_ns}")
        except OSError:
            found.append(path)
    return digests.digest_of("\n".join(found).encode())
