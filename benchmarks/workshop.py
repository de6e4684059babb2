"""Makes what a run needs: compiled test programs, virtual environments, a scratch file system.

Everything lies below one directory outside the project (`--work`).  Programs and environments are
kept between runs under names that hold the hash of what they were made from.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.records import BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).resolve().parent.parent
_SOURCES = PROJECT / "benchmarks" / "programs"
_BARE = ("-nostdlib", "-ffreestanding", "-fno-builtin", "-fno-asynchronous-unwind-tables")
# What supervisors run lies apart: it is not counted as part of a supervisor.
_FLAGS = {
    "services/service": _BARE,
    "services/flood": _BARE,
    "services/orphans": (),
    "services/answer": (),
    "tools/ask": (),
    "tools/launch": (),
    "tools/drain": (),
    "tools/bare": (),
}

_CLONE_NEWNS = 0x00020000
_MS_REC = 0x4000
_MS_PRIVATE = 1 << 18


class Workshop:
    """The directories of one run."""

    def __init__(self, root: Path, python: str) -> None:
        self.root = root
        self.python = python
        self.scratch = root / "scratch"
        self.stores = root / "engines"
        root.mkdir(parents=True, exist_ok=True)
        self.scratch.mkdir(exist_ok=True)
        self._programs = self._compiled()
        self._environments: dict[tuple[str, str], Path] = {}  # by extra and revision

    def program(self, name: str) -> str:
        """Return the path of a program that supervisors run."""
        return f"{self.services}/{name}"

    def tool(self, name: str) -> str:
        """Return the path of a program that they do not run."""
        return str(self._programs / "tools" / name)

    @property
    def services(self) -> str:
        """Return the directory of the programs that supervisors run."""
        return str(self._programs / "services")

    def bare_python(self) -> Path:
        """Return the script of the Python floor."""
        return _SOURCES / "bare.py"

    def real_python(self) -> str:
        """Return the interpreter itself, past shims and the links of virtual environments."""
        return os.path.realpath(self.python)

    def kept(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return what *make* writes to the path it is given; made once and kept between runs."""
        path = self.root / name
        if not path.exists():
            unfinished = self.root / f"{name}.unfinished"
            make(unfinished)
            unfinished.rename(path)
        return path

    def mount_scratch(self) -> None:
        """Give this process, and all it starts, a tmpfs of its own for samples.

        In a private mount namespace, so that it is gone when the run ends, however it ends.
        Needs CAP_SYS_ADMIN.
        """
        libc = ctypes.CDLL(None, use_errno=True)
        steps = (
            libc.unshare(_CLONE_NEWNS),
            libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None),
        )
        if any(steps):
            reason = os.strerror(ctypes.get_errno())
            raise BenchmarkError(f"cannot make a mount namespace: {reason}; root?")
        self._mount_memory(self.scratch)

    def mount_stores(self) -> None:
        """Keep the engines' stores in memory too, in the namespace of `mount_scratch`."""
        self.stores.mkdir(exist_ok=True)
        self._mount_memory(self.stores)

    def _mount_memory(self, place: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tmpfs", bytes(place), b"tmpfs", ctypes.c_ulong(0), b"mode=755"):
            reason = os.strerror(ctypes.get_errno())
            raise BenchmarkError(f"cannot mount a tmpfs on '{place}': {reason}; root?")

    def sample_directory(self) -> Path:
        """Return a fresh empty directory with a short name: sockets live in it."""
        return Path(tempfile.mkdtemp(prefix="s", dir=self.scratch))

    def supervise_environment(self, extra: str = "", revision: str = "") -> Path:
        """Return a venv with this project installed by pip from a copy of the working tree.

        With *extra*, one of the package's extras, its dependencies are there too; with *revision*,
        a git commit, that commit instead of the working tree.  The tree is looked at once a run:
        what changes meanwhile is for the next.
        """
        wanted = (extra, revision)
        if wanted not in self._environments:
            if revision:
                with tempfile.TemporaryDirectory(dir=self.root) as tree:
                    _check_out(revision, tree)
                    self._environments[wanted] = self._installed(extra, Path(tree), revision)
            else:
                self._environments[wanted] = self._installed(extra, PROJECT)
        return self._environments[wanted]

    def peer_environment(self, package: str) -> Path:
        """Return a venv with *package* from PyPI."""
        venv = self.root / f"venv-{package}"
        if not (venv / "done").exists():
            self._venv(venv, package)
        return venv

    def _installed(self, extra: str, tree: Path, revision: str = "") -> Path:
        sources = [tree / "pyproject.toml", tree / "README.md"]
        for name in ("docs/share", "runtime", "supervise"):
            found = (tree / name).rglob("*")
            sources += sorted(p for p in found if p.is_file() and p.suffix != ".pyc")
        digest = hashlib.sha256(sys.version.encode())
        for source in sources:
            digest.update(str(source.relative_to(tree)).encode() + b"\0" + source.read_bytes())
        kind = "-".join(word for word in ("before" if revision else "", extra) if word)
        prefix = f"venv-supervise-{kind}-" if kind else "venv-supervise-"
        venv = self.root / f"{prefix}{digest.hexdigest()[:12]}"
        if not (venv / "done").exists():
            for older in self.root.glob(f"{prefix}????????????"):
                shutil.rmtree(older)
            with tempfile.TemporaryDirectory(dir=self.root) as copy:
                # pip builds in place and would leave build/ and an egg-info in the project.
                for source in sources:
                    target = Path(copy) / source.relative_to(tree)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, target)
                self._venv(venv, f"{copy}[{extra}]" if extra else copy)
        return venv

    def _venv(self, venv: Path, what: str) -> None:
        shutil.rmtree(venv, ignore_errors=True)
        _run([self.python, "-m", "venv", str(venv)])
        pip = [str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        _run([*pip, "install", "--quiet", what])  # pip byte-compiles what it installs
        (venv / "done").touch()

    def _compiled(self) -> Path:
        digest = hashlib.sha256(repr(_FLAGS).encode())
        for source in sorted(_SOURCES.iterdir()):
            digest.update(source.read_bytes())
        programs = self.root / f"programs-{digest.hexdigest()[:12]}"
        if not programs.exists():
            with tempfile.TemporaryDirectory(dir=self.root) as fresh:
                for name, flags in _FLAGS.items():
                    target = Path(fresh) / name
                    target.parent.mkdir(exist_ok=True)
                    source = _SOURCES / f"{target.name}.c"
                    common = ["gcc", "-O2", "-Wall", "-fno-stack-protector", "-static"]
                    _run([*common, *flags, "-o", str(target), str(source)])
                shutil.copytree(fresh, programs)
        return programs


def _check_out(revision: str, tree: str) -> None:
    """Write the files of a commit of this project into *tree*.

    Raises:
        BenchmarkError: git knows no such commit.
    """
    archive = f"{tree}/tree.tar"
    _run(["git", "-C", str(PROJECT), "archive", "--output", archive, revision])
    _run(["tar", "-x", "-f", archive, "-C", tree])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"cannot run '{' '.join(command)}': {done.stderr.strip()}")
