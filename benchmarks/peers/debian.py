"""Versions of programs that do not tell them, from Debian's package database."""

from __future__ import annotations

import subprocess


def package_version(package: str) -> str:
    """Return the installed version of *package*, or "unknown" where there is no dpkg."""
    try:
        done = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", package],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
