"""Where the injected PID 1 is in a container, how it is called and what it is told.

Nothing here looks at the disk; `runtime.container.bundle.ensure` makes what lies at these places.
"""

from __future__ import annotations

DIRECTORY = ".supervise"
PYTHON = f"/{DIRECTORY}/lib/python"  # beside its libraries, and not on anybody's PATH
COMMANDS = f"/{DIRECTORY}/bin"
SUPERVISECTL = f"{COMMANDS}/supervisectl"
# What --services gives is mounted on one of these.
SERVICES_FILE = f"/{DIRECTORY}/services.yaml"
SERVICES_DIRECTORY = f"/{DIRECTORY}/services.d"
# Where PID 1 has its control socket: nothing of it is to be found in the image's own files.
RUN_DIRECTORY = f"/{DIRECTORY}/run"
# Variables that the dynamic loader of PID 1 would obey: moved aside, given back to its children.
ASIDE = "SUPERVISE_ASIDE_"
_LOADERS = ("LD_", "GLIBC_TUNABLES")


def environment(variables: dict[str, str]) -> dict[str, str]:
    """Return what PID 1 gets: nothing its own loader would obey, our commands last in PATH."""
    passed = {}
    for name, value in variables.items():
        passed[f"{ASIDE}{name}" if name.startswith(_LOADERS) else name] = value
    if "PATH" in passed:
        passed["PATH"] = f"{passed['PATH']}:{COMMANDS}"
    return passed


def without_loaders(variables: dict[str, str]) -> dict[str, str]:
    """Return the variables but those that the loader of a program of ours would obey."""
    return {name: value for name, value in variables.items() if not name.startswith(_LOADERS)}
