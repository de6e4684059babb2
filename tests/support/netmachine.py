"""A machine of its own for network tests: a namespace with an uplink to another, "the outside".

Nothing here touches the interfaces of the real machine.  Namespaces are held by sleeping
processes, so that they go with them.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from runtime.linux import netns
from runtime.model.container.spec import Spec
from supervise.model.plain import to_plain
from tests.support.eventually import eventually

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests/support/programs"
OUTSIDE, OUTSIDE6 = "192.0.2.1", "2001:db8::1"
UPLINK, UPLINK6 = "192.0.2.2", "2001:db8::2"
PATIENCE = 5.0  # seconds a connection may take; those that fail are refused at once
SILENCE = 1.0  # seconds after which a dropped packet counts as dropped


class Failed(Exception):  # noqa: N818 - as RuntimeFailure, whose words it has
    """What a monitor said it cannot do."""

    def __init__(self, message: str, hint: str, code: int) -> None:
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code


class Namespace:
    """A network namespace, kept by a process in it."""

    def __init__(self, argv: Sequence[str] = ("sleep", "infinity"), *, unshare: str = "-n") -> None:
        # Without --fork, unshare becomes the program itself: the pid is the one in the namespace.
        self.process = subprocess.Popen(
            ["unshare", unshare, *argv],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.pid = self.process.pid
        ours = os.readlink("/proc/self/ns/net")
        eventually(lambda: os.readlink(f"/proc/{self.pid}/ns/net") != ours)
        self.fd = netns.open_of(self.pid)

    def sh(self, command: str) -> str:
        """Run a command line in there and return what it printed."""
        done = subprocess.run(
            ["nsenter", f"--net=/proc/self/fd/{self.fd}", "sh", "-c", command],
            pass_fds=[self.fd],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def json(self, command: str) -> Any:
        """Run ``ip -j …`` in there."""
        return json.loads(self.sh(command) or "[]")

    def socket(self, family: int, kind: int) -> socket.socket:
        """Return a socket of this namespace."""
        with netns.Inside(self.fd):
            return socket.socket(family, kind)

    def ask(self, address: str, port: int, protocol: str = "tcp", source: str = "") -> str:
        """Return what the server at *address* answers a client in here."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with self.socket(family, kind) as made:
            made.settimeout(PATIENCE)
            if source:
                made.bind((source, 0))
            made.connect((address, port))
            if protocol == "udp":
                made.send(b"who?")
            return made.recv(1000).decode().strip()

    def is_silent(self, address: str, port: int, protocol: str = "tcp") -> bool:
        """Return whether nothing at all comes back."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with self.socket(family, kind) as made:
            made.settimeout(SILENCE)
            try:
                made.connect((address, port))
                made.send(b"who?")
                made.recv(1000)
            except TimeoutError:
                return True
            return False

    def close(self) -> None:
        """End the process that holds it."""
        self.process.kill()
        self.process.communicate()
        os.close(self.fd)


class Monitor:
    """tests/support/programs/network_monitor.py in a machine."""

    def __init__(self, machine: Machine, prefix: Sequence[str]) -> None:
        fd = machine.here.fd
        self.process = subprocess.Popen(
            [
                *("nsenter", f"--net=/proc/self/fd/{fd}", *prefix),
                *(sys.executable, str(PROGRAMS / "network_monitor.py"), machine.root),
            ],
            pass_fds=[fd],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **machine.environment},
        )
        self._read()

    @property
    def pid(self) -> int:
        return self.process.pid

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Have it call one method; raises `Failed` with what it says."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, arguments]) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        answer = json.loads(self.process.stdout.readline() or '{"failure": "the monitor died"}')
        if "failure" in answer:
            raise Failed(answer["failure"], answer.get("hint", ""), answer.get("code", 0))
        return answer["value"]

    def kill(self) -> None:
        """Let it die without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()


class Container:
    """A server in its own namespace, and the spec under which it is connected."""

    def __init__(self, number: int, ports: Sequence[str], options: dict[str, Any]) -> None:
        self.id = f"{number:012x}" + "c" * 52
        self.name = options.pop("name", f"web{number}")
        self.spec = Spec(self.id, self.name, "image", "sha256:0", ("server",), **options)
        argv = [sys.executable, str(PROGRAMS / "who_asks.py"), self.name, *ports]
        self.space = Namespace(argv)
        self.endpoint: dict[str, Any] = {}
        assert self.space.process.stdout is not None
        assert self.space.process.stdout.readline() == "up\n"

    @property
    def pid(self) -> int:
        return self.space.pid

    @property
    def address(self) -> str:
        return str(self.endpoint["address"])

    @property
    def plain(self) -> dict[str, Any]:
        return to_plain(self.spec)


class Machine:
    """The machine, its outside, and everything started on it."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.environment: dict[str, str] = {}
        self.here, self.outside = Namespace(), Namespace()
        self._made: list[Monitor | Container] = []
        self.here.sh(
            f"ip link set lo up; ip link add up0 type veth peer out0 netns {self.outside.pid};"
            f"ip addr add {UPLINK}/24 dev up0; ip addr add {UPLINK6}/64 dev up0 nodad;"
            f"ip link set up0 up; ip route add default via {OUTSIDE};"
            f"ip route add default via {OUTSIDE6}"
        )
        self.outside.sh(
            f"ip link set lo up; ip addr add {OUTSIDE}/24 dev out0;"
            f"ip addr add {OUTSIDE6}/64 dev out0 nodad; ip link set out0 up"
        )
        # A link has carrier and a neighbour before the first packet is sent.
        eventually(lambda: self.here.json("ip -j link show up0")[0]["operstate"] == "UP")
        eventually(lambda: self.outside.json("ip -j link show out0")[0]["operstate"] == "UP")

    def monitor(self, prefix: Sequence[str] = ()) -> Monitor:
        """Start a monitor; *prefix* is a command that starts it."""
        made = Monitor(self, prefix)
        self._made.append(made)
        return made

    def container(self, *ports: str, **options: Any) -> Container:
        """Start a server; connect it with `Monitor.call`, or use `run`."""
        made = Container(len(self._made) + 1, ports or ("tcp:80",), options)
        self._made.append(made)
        return made

    def run(self, monitor: Monitor, *ports: str, **options: Any) -> Container:
        """Start a server and connect it."""
        made = self.container(*ports, **options)
        made.endpoint = monitor.call("connect", spec=made.plain, pid=made.pid)
        return made

    def hosts(self, container: Container) -> str:
        """Return the container's /etc/hosts."""
        return Path(self.root, "containers", container.id, "hosts").read_text()

    def table(self) -> str:
        """Return our table as nft shows it, "" without one."""
        return self.here.sh("nft list table inet runtime 2>/dev/null || true")

    def links(self) -> list[str]:
        """Return the interfaces of the machine but lo and the uplink."""
        names = [link["ifname"] for link in self.here.json("ip -j link")]
        return [name for name in names if name not in {"lo", "up0"}]

    def leases(self) -> list[str]:
        """Return the lease files, as NETWORK/ADDRESS."""
        top = Path(self.root, "run/network/leases")
        return sorted(str(path.relative_to(top)) for path in top.glob("*/*"))

    def close(self) -> None:
        for made in reversed(self._made):
            made.close() if isinstance(made, Monitor) else made.space.close()
        self.here.close()
        self.outside.close()


def machines(root: Path) -> Iterator[Machine]:
    """Yield a machine and end all that ran on it: the body of a fixture."""
    made = Machine(root)
    try:
        yield made
    finally:
        made.close()
