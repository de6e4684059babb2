"""The three commands as files, as pip installs them, whether or not the package is installed."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).resolve().parent / "programs"

_SCRIPT = """\
#!{python}
import sys
sys.path.insert(0, {root!r})
from {module} import main
sys.exit(main())
"""
_COMMANDS = {
    "supervise": "supervise.__main__",
    "supervisectl": "supervise.cli.supervisectl",
    "runtime": "runtime.cli.main",
}


def write_scripts(directory: Path, root: Path = ROOT) -> Path:
    """Write the commands into *directory*, executable, and return it.

    They run the packages below *root*.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)  # other users run them too
    for name, module in _COMMANDS.items():
        script = directory / name
        script.write_text(_SCRIPT.format(python=sys.executable, root=str(root), module=module))
        script.chmod(0o755)
    return directory


def search_path(scripts: Path) -> str:
    """Return a PATH with our commands, the test programs and this interpreter first."""
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return f"{scripts}:{PROGRAMS}:{Path(sys.executable).parent}:{system}"
