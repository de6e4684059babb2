"""A Docker daemon of the tests' own, as Debian ships it, and images made without a registry.

The daemon's data, its sockets and its containers lie below one directory and go with it.  They are
in memory, about 600 MB, because ten thousand files take half a minute to remove from a disk.  It
has no bridge and no rules in the host's packet filter: containers get ``--network none`` or
``host``.  In a network namespace of its own it has a bridge and publishes ports there, by its
proxy.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually
from tests.support.netmachine import Namespace
from tests.support.scripts import ROOT

_START_TIMEOUT = 60.0  # seconds
_SUITE = "bookworm"
_PACKAGES = "python3,python3-pip,python3-venv"
_DEBIAN_PYTHON = "3.11"  # what bookworm's python3 is: the wheels must fit it


class Docker:
    """One daemon; `close` ends it and its containers."""

    def __init__(self, directory: Path, network: Namespace | None = None) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", str(directory)], check=True
        )
        self._socket = f"unix://{directory}/docker.sock"
        configuration = directory / "daemon.json"
        configuration.write_text("{}")  # not the machine's /etc/docker/daemon.json
        self._log = (directory / "log").open("wb")
        enter = ["nsenter", f"--net=/proc/{network.pid}/ns/net"] if network else []
        bridge = [] if network else ["--bridge=none"]
        self._daemon = subprocess.Popen(
            [
                *(*enter, "dockerd", f"--host={self._socket}", f"--config-file={configuration}"),
                *(f"--data-root={directory}/data", f"--exec-root={directory}/exec"),
                *(f"--pidfile={directory}/pid", *bridge),
                *("--iptables=false", "--ip6tables=false"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            eventually(self._answers, timeout=_START_TIMEOUT)
        except AssertionError:
            self.close()
            raise AssertionError(f"dockerd: {(directory / 'log').read_text()[-2000:]}") from None

    def _answers(self) -> bool:
        assert self._daemon.poll() is None, "dockerd ended"
        return self("version", check=False).returncode == 0

    def __call__(
        self,
        *arguments: str,
        check: bool = True,
        timeout: float = 120.0,
        buildkit: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run the docker command; raises AssertionError with its words when *check* and it fails.

        *buildkit*: a build is that builder's, as Debian's docker has it; else the classic one's.
        """
        environment = self.environment()
        if buildkit:
            # Debian's own client has it built in; a newer one wants a plugin.
            environment |= {"DOCKER_BUILDKIT": "1", "PATH": f"/usr/bin:{environment['PATH']}"}
        done = subprocess.run(
            [*self.command(), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=timeout,
            check=False,
        )
        if check:
            shown = f"docker {' '.join(arguments)}: {done.returncode}"
            assert done.returncode == 0, f"{shown}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def command(self) -> list[str]:
        """Return the words that reach this daemon."""
        return ["docker", f"--host={self._socket}"]

    def environment(self) -> dict[str, str]:
        """Return the environment of the docker command: the plain builder, nobody's settings."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "DOCKER_BUILDKIT": "0",
            "TERM": "xterm",
        }

    def build(self, tag: str, context: Path) -> str:
        """Build the Dockerfile in *context* without network and return *tag*."""
        self("build", "--network=none", "--tag", tag, str(context), timeout=300)
        return tag

    def run(self, *arguments: str) -> str:
        """Start a container in the background, without network, and return its id."""
        return self("run", "--detach", "--network=none", *arguments).stdout.strip()

    def ctl(self, container: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run supervisectl in *container*; never raises for its exit code."""
        return self("exec", container, "supervisectl", *arguments, check=False)

    def states(self, container: str) -> dict[str, str]:
        """Return the state of every service, empty while supervise does not answer."""
        answer = self.ctl(container, "status", "--json")
        rows = json.loads(answer.stdout or "[]")
        return {row["name"]: row["state"] for row in rows}

    def logs(self, container: str) -> str:
        """Return what the container has written."""
        done = self("logs", container)
        return done.stdout + done.stderr

    def inspect(self, container: str) -> dict[str, Any]:
        """Return `docker inspect` of one container."""
        found: dict[str, Any] = json.loads(self("inspect", container).stdout)[0]
        return found

    def has_image(self, tag: str) -> bool:
        """Return whether *tag* is there."""
        return self("image", "inspect", tag, check=False).returncode == 0

    def close(self) -> None:
        """Remove every container and end the daemon."""
        if self._daemon.poll() is None:
            containers = self("ps", "--all", "--quiet", check=False).stdout.split()
            if containers:
                self("rm", "--force", *containers, check=False)
            self._daemon.send_signal(signal.SIGTERM)
        self._daemon.wait(_START_TIMEOUT)
        self._log.close()
        # dockerd leaves its network namespaces mounted.
        subprocess.run(["umount", "--recursive", str(self.directory)], check=True)


def cache_directory() -> Path:
    """Return where what is dear to make is kept between runs."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(root) / "supervise-tests"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def base_tarball() -> Path:
    """Return the root of a small Debian with Python and pip, made once by mmdebstrap."""
    key = hashlib.sha256(f"{_SUITE} {_PACKAGES} {platform.machine()}".encode()).hexdigest()[:12]
    tarball = cache_directory() / f"{_SUITE}-{key}.tar"
    if not tarball.exists():
        unfinished = tarball.with_suffix(f".{os.getpid()}.tar")
        subprocess.run(
            [
                *("mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}"),
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                *(_SUITE, str(unfinished)),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )
        unfinished.rename(tarball)
    return tarball


def wheelhouse(directory: Path) -> Path:
    """Download into *directory* what `pip install .` needs inside the image, and return it."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    needed = [*project["build-system"]["requires"], "wheel", *project["project"]["dependencies"]]
    machine = platform.machine()
    platforms = [f"--platform=manylinux2014_{machine}", f"--platform=manylinux_2_28_{machine}"]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--only-binary=:all:", f"--python-version={_DEBIAN_PYTHON}", *platforms),
            *(f"--dest={directory}", *needed),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return directory


def copy_project(directory: Path) -> Path:
    """Copy into *directory* what a user's `pip install .` would see, and return it."""
    directory.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, directory)
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("docs/share", "supervise", "runtime"):
        shutil.copytree(ROOT / name, directory / name, ignore=ignore)
    return directory
