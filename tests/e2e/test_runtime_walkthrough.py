"""The network scenes a person tries first, from the command line to the answer on the wire.

Each runs on a machine of its own: a network namespace with an outside, and a mount namespace in
which /etc/hosts is a copy.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.netmachine import (
    OUTSIDE,
    PATIENCE,
    PROGRAMS,
    UPLINK,
    UPLINK6,
    Machine,
    Namespace,
    machines,
)
from tests.support.runtime import Runtime, busybox
from tests.support.tars import directory, file

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox", "nft")]

_PAGE = "the page\n"
_START = "#!/bin/sh\ncd /srv\nexec httpd -f -vv -p 8080\n"
_WITHOUT_NFT = 'mount --bind /dev/null "$(command -v nft)"; exec "$@"'
# A CNI plugin that takes nothing back.
_STUBBORN = """\
#!/bin/sh
cat > /dev/null
if [ "$CNI_COMMAND" = DEL ]; then
  echo '{"cniVersion": "1.0.0", "code": 100, "msg": "it is mine"}'
  exit 1
fi
echo '{"cniVersion": "1.0.0", "interfaces": [], "ips": [{"address": "10.7.0.2/24"}]}'
"""
_WEB = ("web", "/opt/start.sh")  # image, command


class OnMachine(Runtime):
    """`runtime` on a machine of its own, whose /etc/hosts may be written to."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        super().__init__(directory, machine.here)
        self.hosts = directory / "hosts"
        self.hosts.write_text("127.0.0.1\tlocalhost\n")
        self.plugins = directory / "net.d"
        self.plugins.mkdir()
        script = 'mount --bind "$0" /etc/hosts && echo up && exec sleep infinity'
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script, str(self.hosts)],
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"up\n"

    def command(self, *arguments: str, program: list[str] | None = None) -> list[str]:
        entered, *rest = super().command(*arguments, program=program)
        return [entered, f"--mount=/proc/{self._holder.pid}/ns/mnt", *rest]

    @property
    def environment(self) -> dict[str, str]:
        path = f"/usr/lib/cni:{self.plugins.parent}"
        return {**super().environment, "CNI_CONF_DIR": str(self.plugins), "CNI_PATH": path}

    def configure(self, configuration: dict[str, Any]) -> None:
        """Write a CNI configuration whose leases stay in our directory."""
        text = json.dumps(configuration)
        ipam = f'"host-local", "dataDir": "{self.plugins}/ipam"'
        self.plugins.joinpath(f"{configuration['name']}.conflist").write_text(
            text.replace('"host-local"', ipam)
        )

    def close(self) -> None:
        super().close()
        self._holder.kill()
        self._holder.communicate()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    yield from machines(tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="module")
def store(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnMachine]:
    made = OnMachine(machine, tmp_path_factory.mktemp("walk"))
    server = (directory("opt"), directory("srv"), file("srv/index.html", _PAGE.encode()))
    start = file("opt/start.sh", _START.encode(), 0o755)
    made.import_tar("web", busybox(*server, start))
    yield made
    made.close()


@pytest.fixture
def runtime(store: OnMachine) -> Iterator[OnMachine]:
    yield store
    for container_id in store.containers():
        store("rm", "--force", container_id)
    for network in store("network", "ls", "-q", "--filter", "type=custom").stdout.split():
        store("network", "rm", network)


def fetch(space: Namespace, address: str, port: int = 8080) -> str:
    """Return the page that a web server gives a client in *space*."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with space.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(PATIENCE)
        made.connect((address, port))
        made.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: made.recv(65536), b""))
    return answer.partition(b"\r\n\r\n")[2].decode()


def is_refused(space: Namespace, address: str, port: int = 8080) -> bool:
    try:
        fetch(space, address, port)
    except ConnectionRefusedError:
        return True
    return False


def await_page(space: Namespace, address: str, port: int = 8080) -> None:
    """Wait until the server listens: before that its machine refuses, or a relay resets."""

    def answers() -> bool:
        try:
            return fetch(space, address, port) == _PAGE
        except (ConnectionRefusedError, ConnectionResetError):
            return False

    eventually(answers)


def address_of(runtime: Runtime, container: str, network: str = "bridge") -> str:
    found = json.loads(runtime("inspect", container).stdout)[0]["NetworkSettings"]["Networks"]
    return str(found[network]["IPAddress"])


def test_an_unpublished_port_is_refused(machine: Machine, runtime: OnMachine) -> None:
    container = runtime.start(*_WEB)
    await_page(machine.here, address_of(runtime, container))

    assert is_refused(machine.here, "127.0.0.1")
    assert is_refused(machine.here, UPLINK)
    assert is_refused(machine.outside, UPLINK)


def test_a_published_port_answers_from_everywhere(machine: Machine, runtime: OnMachine) -> None:
    container = runtime.start("-p", "8080:8080", *_WEB)
    await_page(machine.here, address_of(runtime, container))

    assert fetch(machine.here, "127.0.0.1") == _PAGE
    assert fetch(machine.here, UPLINK) == _PAGE
    assert fetch(machine.outside, UPLINK) == _PAGE
    assert fetch(machine.here, "::1") == _PAGE
    assert fetch(machine.outside, UPLINK6) == _PAGE
    logged = runtime("logs", container)
    assert "172.17.0.1" in logged.stdout + logged.stderr
    assert OUTSIDE in logged.stdout + logged.stderr


def test_a_published_port_is_refused_again_when_its_container_has_ended(
    machine: Machine, runtime: OnMachine
) -> None:
    container = runtime.start("-p", "8080:8080", *_WEB)
    await_page(machine.here, "127.0.0.1")

    runtime("stop", container)

    assert is_refused(machine.here, "127.0.0.1")
    assert is_refused(machine.outside, UPLINK)


def test_a_restarted_container_has_its_port_again_at_once(
    machine: Machine, runtime: OnMachine
) -> None:
    """The server closes first: its side of the connections is remembered for a minute."""
    container = runtime.start("-p", "8080:8080", *_WEB)
    for address in ("127.0.0.1", "::1"):
        await_page(machine.here, address)

    runtime("restart", "--time", "0", container)

    for address in ("127.0.0.1", "::1"):
        await_page(machine.here, address)


def test_udp_is_published_on_both_families(machine: Machine, runtime: OnMachine) -> None:
    served = ("-v", f"{PROGRAMS}:/programs:ro", "host", "python3", "/programs/who_asks.py")
    container = runtime.start("-p", "5353:53/udp", *served, "dns", "udp:53")
    eventually(lambda: "up" in runtime("logs", container).stdout)

    assert machine.here.ask("127.0.0.1", 5353, "udp") == "dns 172.17.0.1"
    assert machine.here.ask("::1", 5353, "udp") == "dns 172.17.0.1"
    assert machine.outside.ask(UPLINK, 5353, "udp") == f"dns {OUTSIDE}"
    assert machine.outside.ask(UPLINK6, 5353, "udp") == "dns 172.17.0.1"


def test_etc_hosts_is_the_containers_own_in_bridge_mode_and_the_machines_in_host_mode(
    machine: Machine, runtime: OnMachine
) -> None:
    with runtime.hosts.open("a") as file_:
        file_.write("192.0.2.77\tnotes.example\n")
    container = runtime.start("web", "sleep", "1000")

    bridged = runtime("exec", container, "cat", "/etc/hosts").stdout
    host = runtime("run", "--rm", "--net", "host", "web", "cat", "/etc/hosts").stdout

    assert f"172.17.0.2\t{container[:12]}\n" in bridged
    assert "notes.example" not in bridged
    assert host == runtime.hosts.read_text()
    assert "notes.example" in host


def test_containers_on_a_network_of_ones_own_reach_each_other_by_name(
    machine: Machine, runtime: OnMachine
) -> None:
    runtime("network", "create", "shop")
    runtime("run", "-d", "--net", "shop", "--name", "server", *_WEB)
    runtime("run", "-d", "--net", "shop", "--name", "client", "web", "sleep", "1000")
    await_page(machine.here, address_of(runtime, "server", "shop"))

    fetched = ("wget", "-qO-", "http://server:8080/index.html")
    got = runtime("exec", "client", *fetched).stdout
    other = runtime("run", "--rm", "--dns", "127.0.0.1", "web", *fetched, check=False)

    assert got == _PAGE
    assert other.returncode == 1
    assert "bad address" in other.stderr


def test_a_macvlan_container_has_an_address_on_the_wire(
    machine: Machine, runtime: OnMachine
) -> None:
    wire = ("--subnet", "192.0.2.0/24", "--ip-range", "192.0.2.128/25", "--gateway", OUTSIDE)
    runtime("network", "create", "-d", "macvlan", "-o", "parent=up0", *wire, "wire")
    container = runtime.start("--net", "wire", *_WEB)

    await_page(machine.outside, "192.0.2.128")

    assert address_of(runtime, container, "wire") == "192.0.2.128"
    logged = runtime("logs", container)
    assert OUTSIDE in logged.stdout + logged.stderr


@pytest.mark.needs("cni", "iptables")
def test_a_cni_bridge_with_portmap_publishes(machine: Machine, runtime: OnMachine) -> None:
    ipam = {"type": "host-local", "ranges": [[{"subnet": "10.22.0.0/16"}]]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    route = {"routes": [{"dst": "0.0.0.0/0"}]}
    plugins = [{**bridge, "ipam": {**ipam, **route}}, portmap]
    runtime.configure({"cniVersion": "1.0.0", "name": "cluster", "plugins": plugins})
    container = runtime.start("--net", "cni:cluster", "-p", "8080:8080", *_WEB)

    await_page(machine.outside, UPLINK)

    assert address_of(runtime, container, "cni:cluster") == "10.22.0.2"
    hosts = runtime("exec", container, "cat", "/etc/hosts").stdout
    assert f"10.22.0.2\t{container[:12]}\n" in hosts


@pytest.mark.needs("cni")
def test_a_cni_macvlan_is_on_the_wire(machine: Machine, runtime: OnMachine) -> None:
    ipam = {"type": "host-local", "subnet": "192.0.2.0/24", "rangeStart": "192.0.2.50"}
    plugins = [{"type": "macvlan", "master": "up0", "ipam": ipam}]
    runtime.configure({"cniVersion": "1.0.0", "name": "wire", "plugins": plugins})
    runtime.start("--net", "cni:wire", *_WEB)

    await_page(machine.outside, "192.0.2.50")


def test_what_a_killed_monitor_left_and_cannot_be_cleared_is_said_until_it_can(
    runtime: OnMachine,
) -> None:
    plugin = runtime.plugins.parent / "stubborn"
    plugin.write_text(_STUBBORN)
    plugin.chmod(0o755)
    plugins = [{"type": "stubborn"}]
    runtime.configure({"cniVersion": "1.0.0", "name": "held", "plugins": plugins})
    container = runtime.start("--net", "cni:held", "web", "sleep", "1000")
    state = runtime.state(container)

    os.kill(state.monitor_pid, signal.SIGKILL)
    eventually(lambda: not os.path.exists(f"/proc/{state.pid}"))
    said = runtime("ps").stderr
    still = runtime("ps").stderr
    plugin.write_text(_STUBBORN.replace("exit 1", "exit 0"))
    again = runtime("ps").stderr

    assert (still, again) == (said, "")
    assert "cannot disconnect from 'cni:held': plugin 'stubborn': it is mine" in said
    assert runtime.leases() == []


def test_without_nft_ports_are_published_all_the_same_and_it_is_said_once(
    machine: Machine, runtime: OnMachine
) -> None:
    without = ["unshare", "--mount", "sh", "-c", _WITHOUT_NFT, "sh", sys.executable]
    program = [*without, "-c", "import sys; from runtime.cli.main import main; sys.exit(main())"]

    done = runtime("run", "-d", "-p", "8080:8080", *_WEB, program=program)
    await_page(machine.here, "127.0.0.1")

    assert done.stderr.count("nft is not installed") == 1
    assert fetch(machine.here, UPLINK) == _PAGE
    assert fetch(machine.outside, UPLINK) == _PAGE


def test_the_outside_sees_the_machine_not_the_container(
    machine: Machine, runtime: OnMachine
) -> None:
    argv = [sys.executable, str(PROGRAMS / "who_asks.py"), "outside", "tcp:80"]
    enter = ["nsenter", f"--net=/proc/{machine.outside.pid}/ns/net"]
    with subprocess.Popen([*enter, *argv], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        said = runtime("run", "--rm", "web", "nc", OUTSIDE, "80", text="").stdout
        server.kill()

    assert said == f"outside {UPLINK}\n"
    assert runtime.leases() == []
