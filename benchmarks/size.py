"""How large the package is: the wheel, and the layer of an image that pip installs it in.

    python -m benchmarks.size [--write docs/installation.md]

Installs into a directory of its own with this interpreter; what it depends on comes from the
package index.  docs/installation.md has the figures, and a test compares the wheel with them.
"""

from __future__ import annotations

import argparse
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks.workshop import PROJECT

BEGIN = "<!-- From here written by `python -m benchmarks.size --write docs/installation.md`. -->"
END = "<!-- To here. -->"
# What a checkout has beside the package, and what tools leave there.
_BESIDE = ("tests", "benchmarks", "configs", "build", "dist")


class WheelLayer(NamedTuple):
    """What one way to install adds to an image."""

    what: str
    files: int
    size: int  # bytes of its tar archive
    compiled: int  # bytes of byte-compiled modules in it
    packed: int  # bytes, by gzip


def build_wheel(directory: Path) -> Path:
    """Build the wheel from a copy of the working tree and return it."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place)  # setuptools builds in place and leaves a build/ there
        for path in PROJECT.iterdir():
            if path.name in _BESIDE or path.name.startswith("."):
                continue
            if path.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, copy / path.name, ignore=ignore)
            else:
                shutil.copy(path, copy)
        _pip("wheel", "--no-deps", f"--wheel-dir={directory}", str(copy))
    (wheel,) = directory.glob("supervise-*.whl")
    return wheel


def layer(what: str, wheel: Path, *options: str) -> WheelLayer:
    """Install *wheel* and measure what that adds."""
    with tempfile.TemporaryDirectory() as place:
        _pip(
            "install",
            *options,
            "--ignore-installed",
            f"--root={place}",
            "--prefix=/usr",
            str(wheel),
        )
        files = [path for path in Path(place).rglob("*") if path.is_file()]
        plain, packed = io.BytesIO(), io.BytesIO()
        for stream, mode in ((plain, "w"), (packed, "w:gz")):
            with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
                archive.add(place, arcname=".")
        compiled = sum(path.stat().st_size for path in files if path.suffix == ".pyc")
        return WheelLayer(what, len(files), len(plain.getvalue()), compiled, len(packed.getvalue()))


def _pip(*words: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words],
        check=True,
        stdin=subprocess.DEVNULL,
        env={"PIP_ROOT_USER_ACTION": "ignore", "HOME": str(Path.home()), "PATH": "/usr/bin:/bin"},
    )


def table() -> str:
    """Return the figures as they stand in docs/installation.md."""
    with tempfile.TemporaryDirectory() as place:
        wheel = build_wheel(Path(place))
        size = wheel.stat().st_size
        layers = (
            layer("`pip install --no-deps`", wheel, "--no-deps"),
            layer("`pip install`, with what it depends on", wheel),
        )
    version = ".".join(map(str, sys.version_info[:3]))
    lines = [
        BEGIN,
        "",
        f"The wheel has {size / 1000:.0f} kB. Layers by CPython {version}, MB of 10^6 bytes:",
        "",
        "| layer | files | unpacked | of that byte-compiled | packed by gzip |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in layers:
        sizes = (f"{number / 1e6:.1f}" for number in (row.size, row.compiled, row.packed))
        lines.append(f"| {row.what} | {row.files} | {' | '.join(sizes)} |")
    return "\n".join([*lines, "", END])


def stated(page: str) -> float:
    """Return how many kB the page says that the wheel has."""
    return float(page.partition("The wheel has ")[2].partition(" kB")[0])


def main() -> None:
    """Print the figures, or write them into the page."""
    parser = argparse.ArgumentParser(description="Measure the wheel and the layers it makes.")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    page = parser.parse_args().write
    made = table()
    if page is None:
        print(made)
        return
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(before + made + rest.partition(END)[2])


if __name__ == "__main__":
    main()
