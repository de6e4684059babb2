"""Where a configuration is: what was asked for, or the first that is found.

Lean, because PID 1 asks before it decides whether YAML must be read at all.
"""

from __future__ import annotations

import os

from supervise.model.errors import ConfigError, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE = "SUPERVISE_CONFIG"
DEFAULTS = ("/etc/supervise/supervise.yaml", "/etc/supervise.yaml", "./supervise.yaml")


def find(paths: Sequence[str] | None, environ: Mapping[str, str], cwd: str) -> list[str]:
    """Return the files and directories to read, as the user knows them.

    Raises:
        ConfigError: nothing was asked for and nothing is there.
    """
    if paths:
        return list(paths)
    if environ.get(VARIABLE):
        return [environ[VARIABLE]]
    for candidate in DEFAULTS:
        if os.path.exists(os.path.join(cwd, candidate)):
            return [candidate]
    looked = f"${VARIABLE}, {', '.join(DEFAULTS)}"
    raise ConfigError(
        (
            Problem(
                "supervise",
                0,
                0,
                "",
                "cannot find a configuration",
                f"looked at {looked}; name one with -c FILE",
            ),
        )
    )


def absolute(path: str, cwd: str) -> str:
    """Return *path* as an absolute path, tidied where that cannot change what it names."""
    joined = os.path.join(cwd, path)
    # With a symbolic link before it, "x/.." is not the directory that x is in.
    return joined if ".." in joined.split("/") else os.path.normpath(joined)


def listing(directory: str) -> list[str]:
    """Return the names of the ``*.yaml`` files in *directory*, in order; raises OSError."""
    return sorted(
        name
        for name in os.listdir(directory)
        if name.endswith(".yaml") and not name.startswith(".")
    )


def matches(pattern: str) -> list[str]:
    """Return the files that *pattern*, an absolute path, names; sorted."""
    from glob import glob  # 1 ms, and only where a pattern is used

    return sorted(path for path in glob(pattern) if os.path.isfile(path))
