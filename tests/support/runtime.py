"""`runtime` as a person calls it, with a store and a network namespace of its own."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtime.linux import cgroups
from runtime.model.container.state import State
from runtime.store.containers import Containers
from runtime.store.images import Images
from runtime.store.layout import Layout
from runtime.store.rootfs import import_rootfs
from tests.support.eventually import eventually
from tests.support.netmachine import Namespace
from tests.support.scripts import PROGRAMS, ROOT
from tests.support.tars import Member, directory, file, make_tar, symlink

_MAIN = "import sys; from runtime.cli.main import main; sys.exit(main())"
PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n"
GROUP = "root:x:0:\napp:x:1001:\nextra:x:2000:app,other\n"


def busybox(*more: Member) -> bytes:
    """Return a root file system with a static busybox, and *more*, as a tar."""
    program = Path("/bin/busybox").read_bytes()
    listed = subprocess.run(["busybox", "--list"], capture_output=True, text=True, check=True)
    applets = sorted({*listed.stdout.split(), "sh"} - {"busybox"})
    return make_tar(
        directory("bin"),
        directory("etc"),
        directory("tmp", 0o1777),
        directory("root", 0o700),
        file("etc/passwd", PASSWD.encode()),
        file("etc/group", GROUP.encode()),
        file("bin/busybox", program, 0o755),
        *(symlink(f"bin/{name}", "busybox") for name in applets),
        *more,
    )


class Runtime:
    """One store; commands on it.  `close` removes every container and, its own, the namespace."""

    def __init__(self, directory: Path, network: Namespace | None = None) -> None:
        self.root = directory / "root"
        self.layout = Layout(str(self.root))
        self._borrows_network = network is not None
        self.network = network or Namespace()
        self.network.sh("ip link set lo up")

    def command(self, *arguments: str, program: list[str] | None = None) -> list[str]:
        """Return the command line for *arguments*."""
        enter = ["nsenter", f"--net=/proc/{self.network.pid}/ns/net"]
        runtime = program or [sys.executable, "-c", _MAIN]
        return [*enter, *runtime, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that lead to this tree and this store."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": "/root",
            "PYTHONPATH": str(ROOT),
            "RUNTIME_ROOT": str(self.root),
        }

    def __call__(
        self,
        *arguments: str,
        check: bool = True,
        text: str | None = None,
        timeout: float = 60.0,
        program: list[str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run the command with *text* as its input; when *check*, it must succeed."""
        done = subprocess.run(
            self.command(*arguments, program=program),
            env=self.environment,
            input=text or "",
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=timeout,
            check=False,
        )
        said = f"runtime {' '.join(arguments)}: {done.returncode}: {done.stderr}{done.stdout}"
        assert not check or done.returncode == 0, said
        return done

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a container without network and remove it."""
        return self("run", "--rm", "--net", "none", *arguments, **options)

    def start(self, *arguments: str) -> str:
        """Start a container in the background and return its id."""
        return self("run", "--detach", *arguments).stdout.strip()

    def killed_at(self, step: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command with one of its processes dying at *step*."""
        program = [sys.executable, str(PROGRAMS / "killed_runtime.py"), step]
        return self(*arguments, program=program, check=False)

    def popen(
        self, *arguments: str, variables: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[bytes]:
        """Start the command, with more *variables* around it, and do not wait for it."""
        environment = {**self.environment, **(variables or {})}
        return subprocess.Popen(self.command(*arguments), env=environment, **options)

    def import_tar(self, name: str, data: bytes) -> None:
        """Make an image of a root file system."""
        import_rootfs(Images(self.layout), io.BytesIO(data), name, now=1_700_000_000.0)

    def state(self, container_id: str) -> State:
        """Return what the container's monitor has written about it."""
        return Containers(self.layout).state(container_id)

    def containers(self) -> list[str]:
        """Return the ids that `runtime ps -a` accounts for."""
        return self("ps", "--all", "--quiet", "--no-trunc").stdout.split()

    def remains(self, container_id: str) -> list[str]:
        """Return what is left of a container that is not to be there any more."""
        groups = [d for d in cgroups.of(container_id).directories() if os.path.exists(d)]
        places = [
            self.root / "containers" / container_id,
            self.root / f"containers/.tmp-{container_id}",
            self.root / f"run/containers/{container_id}",
        ]
        leases = list((self.root / "run").glob(f"network/leases/*/*{container_id[:12]}*"))
        return [*groups, *(str(place) for place in (*places, *leases) if place.exists())]

    def links(self) -> list[str]:
        """Return the names of the veths in the network namespace."""
        return [link["ifname"] for link in self.network.json("ip -j link show type veth")]

    def leases(self) -> list[Path]:
        """Return the files of all leases."""
        found = (self.root / "run/network/leases").rglob("*")
        return [path for path in found if path.is_file() and not path.name.startswith(".")]

    def processes(self) -> list[int]:
        """Return the commands and monitors of this store that are alive."""
        mark = f"RUNTIME_ROOT={self.root}\0".encode()
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):  # it has ended meanwhile
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def settle(self) -> None:
        """Wait until no monitor is there any more, at work or idle."""
        running = self.root / "run/containers"  # not there where nothing ever ran
        eventually(lambda: not running.exists() or os.listdir(running) == [])
        eventually(lambda: self.processes() == [])

    def close(self) -> None:
        """Remove every container and the network namespace."""
        for container_id in self.containers():
            self("rm", "--force", "--volumes", container_id, check=False)
        self.settle()
        if not self._borrows_network:
            self.network.close()
