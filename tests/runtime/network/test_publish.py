"""Published ports, tried from wherever a client can be."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.model.container.spec import Port
from tests.support.eventually import eventually
from tests.support.netmachine import OUTSIDE, UPLINK, UPLINK6, Failed, Machine, machines

pytestmark = [pytest.mark.integration, pytest.mark.needs("root", "nft")]

WITHOUT_NFT = (
    "unshare",
    "-m",
    "sh",
    "-c",
    'mount --bind /dev/null "$(command -v nft)"; exec "$@"',
    "sh",
)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield from machines(tmp_path)


def test_a_published_port_answers_from_everywhere(machine: Machine) -> None:
    monitor = machine.monitor()
    web = machine.run(monitor, ports=(Port(80, 8080),))
    other = machine.run(monitor)

    answers = {
        "outside": machine.outside.ask(UPLINK, 8080),
        "own address": machine.here.ask(UPLINK, 8080),
        "loopback": machine.here.ask("127.0.0.1", 8080),
        "another container": other.space.ask(UPLINK, 8080),
        "itself": web.space.ask(UPLINK, 8080),
        "the gateway": web.space.ask("172.17.0.1", 8080),
        "the container": machine.here.ask(web.address, 80),
    }

    assert {who: answer.split()[0] for who, answer in answers.items()} == dict.fromkeys(
        answers, "web2"
    )


def test_the_container_sees_the_client_outside_and_the_gateway_for_the_machine(
    machine: Machine,
) -> None:
    machine.run(machine.monitor(), ports=(Port(80, 8080),))

    assert machine.outside.ask(UPLINK, 8080) == f"web2 {OUTSIDE}"
    assert machine.here.ask("127.0.0.1", 8080) == "web2 172.17.0.1"


def test_ipv6_is_published_to_a_container_without_ipv6(machine: Machine) -> None:
    machine.run(machine.monitor(), "tcp4:80", ports=(Port(80, 8080),))

    assert machine.outside.ask(UPLINK6, 8080) == "web2 172.17.0.1"
    assert machine.here.ask("::1", 8080) == "web2 172.17.0.1"


def test_udp_is_published_on_both_families(machine: Machine) -> None:
    machine.run(machine.monitor(), "udp:53", ports=(Port(53, 5353, "udp"),))

    assert machine.outside.ask(UPLINK, 5353, "udp") == f"web2 {OUTSIDE}"
    assert machine.here.ask("127.0.0.1", 5353, "udp") == "web2 172.17.0.1"
    assert machine.here.ask("::1", 5353, "udp") == "web2 172.17.0.1"
    assert machine.outside.ask(UPLINK6, 5353, "udp") == "web2 172.17.0.1"


def test_a_port_on_loopback_is_not_seen_from_outside(machine: Machine) -> None:
    web = machine.run(machine.monitor(), ports=(Port(80, 8080, "tcp", "127.0.0.1"),))

    assert machine.here.ask("127.0.0.1", 8080).startswith("web2 ")
    with pytest.raises(ConnectionRefusedError):
        machine.outside.ask(UPLINK, 8080)
    with pytest.raises(ConnectionRefusedError):
        machine.here.ask(UPLINK, 8080)
    assert web.endpoint["ports"] == [["127.0.0.1", 8080, 80, "tcp"]]


def test_nobody_outside_reaches_loopback_by_a_route_of_their_own(machine: Machine) -> None:
    machine.run(machine.monitor(), ports=(Port(80, 8080, "tcp", "127.0.0.1"),))
    machine.outside.sh(
        "sysctl -qw net.ipv4.conf.out0.route_localnet=1; ip addr del 127.0.0.1/8 dev lo;"
        f"ip route add 127.0.0.1/32 via {UPLINK} src {OUTSIDE}"
    )

    assert machine.outside.is_silent("127.0.0.1", 8080)


def test_what_is_not_published_is_refused_and_the_container_itself_out_of_reach(
    machine: Machine,
) -> None:
    web = machine.run(machine.monitor())
    machine.outside.sh(f"ip route add 172.17.0.0/16 via {UPLINK}")

    with pytest.raises(ConnectionRefusedError):
        machine.here.ask("127.0.0.1", 80)
    with pytest.raises(ConnectionRefusedError):
        machine.outside.ask(UPLINK, 80)
    assert machine.outside.is_silent(web.address, 80)


def test_containers_reach_outside_under_the_machines_address(machine: Machine) -> None:
    web = machine.run(machine.monitor())
    with machine.outside.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((OUTSIDE, 7000))
        server.listen()
        server.settimeout(5)
        with web.space.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.connect((OUTSIDE, 7000))
            accepted, (address, _) = server.accept()
            accepted.close()

    assert address == UPLINK


def test_many_ports_need_no_more_rules(machine: Machine) -> None:
    monitor = machine.monitor()
    machine.run(monitor)
    few = machine.table()
    machine.run(monitor, ports=tuple(Port(80, 8000 + n) for n in range(20)))
    many = machine.table()

    assert rules(many) == rules(few)
    assert machine.here.ask("127.0.0.1", 8019) == "web3 172.17.0.1"


def rules(table: str) -> list[str]:
    return table[table.index("chain ") :].splitlines()


def test_a_range_takes_the_first_free_port(machine: Machine) -> None:
    monitor = machine.monitor()
    port = Port(80, 8000, host_last=8005)
    machine.run(monitor, ports=(port,))
    second = machine.run(monitor, ports=(port,))

    assert {binding[1] for binding in second.endpoint["ports"]} == {8001}
    with pytest.raises(Failed, match="all host ports 8000 to 8001 are in use"):
        machine.run(monitor, ports=(Port(80, 8000, host_last=8001),))


def test_publish_all_takes_random_ports_for_what_is_exposed(machine: Machine) -> None:
    exposed = ((80, "tcp"), (53, "udp"))
    web = machine.run(machine.monitor(), publish_all=True, exposed=exposed)

    ports = web.endpoint["ports"]
    assert {(container, protocol) for _, _, container, protocol in ports} == set(exposed)
    (number,) = {host for _, host, container, _ in ports if container == 80}
    assert machine.here.ask("127.0.0.1", number) == "web2 172.17.0.1"


def test_a_port_in_use_names_the_container(machine: Machine) -> None:
    monitor = machine.monitor()
    machine.run(monitor, ports=(Port(80, 8080),))

    with pytest.raises(Failed) as refused:
        machine.run(monitor, ports=(Port(80, 8080),))

    assert refused.value.message == (
        "cannot publish port 8080/tcp: port 8080 is in use by container 'web2'"
    )
    assert machine.leases() == ["bridge/172.17.0.2"]


def test_a_port_in_use_names_the_program(machine: Machine) -> None:
    monitor = machine.monitor()
    with machine.here.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 8080))
        taken.listen()

        with pytest.raises(Failed) as refused:
            machine.run(monitor, ports=(Port(80, 8080),))

    comm = Path("/proc/self/comm").read_text().strip()
    assert refused.value.message == (
        f"cannot publish port 8080/tcp: port 8080 is in use by program '{comm}' (pid {os.getpid()})"
    )


def test_one_port_on_two_addresses_is_two_ports(machine: Machine) -> None:
    monitor = machine.monitor()
    machine.run(monitor, ports=(Port(80, 8080, "tcp", "127.0.0.1"),))
    machine.run(monitor, ports=(Port(80, 8080, "tcp", UPLINK),))

    assert machine.here.ask("127.0.0.1", 8080).startswith("web2 ")
    assert machine.outside.ask(UPLINK, 8080).startswith("web3 ")


def test_an_address_of_another_machine_is_refused(machine: Machine) -> None:
    with pytest.raises(Failed, match=r"this machine has no address 192\.0\.2\.77"):
        machine.run(machine.monitor(), ports=(Port(80, 8080, "tcp", "192.0.2.77"),))


def test_no_other_program_gets_a_published_port(machine: Machine) -> None:
    machine.run(machine.monitor(), ports=(Port(80, 8080),))

    with machine.here.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="Address already in use"):
            _listen(other, 8080)


def _listen(made: socket.socket, port: int) -> None:
    made.bind(("0.0.0.0", port))
    made.listen()


def test_disconnect_leaves_nothing_and_may_be_repeated(machine: Machine) -> None:
    monitor = machine.monitor()
    web = machine.run(monitor, ports=(Port(80, 8080), Port(53, 5353, "udp")))

    for _ in range(2):
        monitor.call("disconnect", container=web.id, endpoint=web.endpoint)

    assert machine.leases() == []
    assert machine.links() == ["runtime0"]
    assert "8080" not in machine.table()
    with pytest.raises(ConnectionRefusedError):
        machine.here.ask("127.0.0.1", 8080)
    with pytest.raises(ConnectionRefusedError):
        machine.here.ask("::1", 8080)
    again = machine.run(monitor, ports=(Port(80, 8080),))
    assert again.address == "172.17.0.2"


def test_a_flushed_table_is_whole_again_with_the_next_container(machine: Machine) -> None:
    monitor = machine.monitor()
    machine.run(monitor, ports=(Port(80, 8080),))
    machine.here.sh("nft flush ruleset")
    machine.run(monitor, ports=(Port(80, 8081),))

    assert machine.outside.ask(UPLINK, 8080) == f"web2 {OUTSIDE}"
    assert machine.outside.ask(UPLINK, 8081) == f"web3 {OUTSIDE}"


def test_a_port_that_a_dead_container_left_in_the_map_is_taken_over(machine: Machine) -> None:
    monitor = machine.monitor()
    machine.run(monitor)
    machine.here.sh("nft add element inet runtime ports4 '{ tcp . 8080 : 172.17.9.9 . 80 }'")
    machine.run(monitor, ports=(Port(80, 8080),))

    assert "172.17.9.9" not in machine.table()
    assert machine.outside.ask(UPLINK, 8080) == f"web3 {OUTSIDE}"


def test_heal_clears_what_a_killed_monitor_left(machine: Machine) -> None:
    doomed, healer = machine.monitor(), machine.monitor()
    dead = machine.run(doomed, ports=(Port(80, 8080),))
    alive = machine.run(healer, ports=(Port(80, 8081),))
    doomed.kill()

    found = healer.call("heal", live=[alive.id])

    assert found == [f"network 'bridge': {dead.address} of 'web3'"]
    assert machine.leases() == [f"bridge/{alive.address}"]
    assert "8080" not in machine.table()
    assert machine.links() == ["runtime0", alive.endpoint["host_interface"]]
    assert machine.here.ask("127.0.0.1", 8081) == "web4 172.17.0.1"


def test_heal_leaves_a_container_that_is_starting(machine: Machine) -> None:
    monitor = machine.monitor()
    web = machine.run(monitor)

    assert machine.monitor().call("heal", live=[]) == []
    assert machine.leases() == [f"bridge/{web.address}"]


def test_a_udp_client_that_never_stops_reaches_the_next_container(machine: Machine) -> None:
    monitor = machine.monitor()
    first = machine.run(monitor, "udp:53", ports=(Port(53, 5353, "udp"),))
    with machine.outside.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((UPLINK, 5353))
        client.send(b"who?")
        assert client.recv(100).startswith(b"web2 ")
        blocker = machine.run(monitor)  # so that the next one gets another address
        monitor.call("disconnect", container=first.id, endpoint=first.endpoint)
        machine.run(monitor, name="between")
        machine.run(monitor, "udp:53", name="next", ports=(Port(53, 5353, "udp"),))

        client.send(b"who?")

        assert client.recv(100) == f"next {OUTSIDE}\n".encode()
    assert blocker.address == "172.17.0.3"


def test_a_relay_that_dies_is_replaced(machine: Machine) -> None:
    monitor = machine.monitor()
    machine.run(monitor, ports=(Port(80, 8080),))
    (relay,) = children(monitor.pid)
    os.kill(relay, signal.SIGKILL)

    assert monitor.call("reap") is True
    assert machine.here.ask("::1", 8080) == "web2 172.17.0.1"


def test_a_relay_ends_with_its_monitor(machine: Machine) -> None:
    monitor = machine.monitor()
    machine.run(monitor, ports=(Port(80, 8080),))
    (relay,) = children(monitor.pid)
    comm = Path(f"/proc/{relay}/comm")
    eventually(lambda: comm.read_text() == "runtime-relay\n")

    monitor.kill()

    eventually(lambda: not Path(f"/proc/{relay}").exists())


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def test_without_nft_a_relay_publishes_and_it_is_said_once(machine: Machine) -> None:
    monitor = machine.monitor(WITHOUT_NFT)
    machine.run(monitor, "tcp:80", "udp:53", ports=(Port(80, 8080), Port(53, 5353, "udp")))
    remarks = monitor.call("remarks")
    machine.run(machine.monitor(WITHOUT_NFT), ports=(Port(80, 8081, "tcp", "127.0.0.1"),))

    for address in (UPLINK, "127.0.0.1", "::1", UPLINK6):
        assert machine.here.ask(address, 8080) == "web2 172.17.0.1"
        assert machine.here.ask(address, 5353, "udp") == "web2 172.17.0.1"
    assert machine.outside.ask(UPLINK, 8080) == "web2 172.17.0.1"
    assert machine.here.ask("127.0.0.1", 8081) == "web4 172.17.0.1"
    assert len(remarks) == 1
    assert remarks[0].startswith("nft is not installed: ports are published by a relay")
    assert monitor.call("remarks") == []


def test_the_relay_passes_much_both_ways_and_the_end_of_one(machine: Machine) -> None:
    machine.run(machine.monitor(), ports=(Port(80, 8080),))
    sent = bytes(range(256)) * 40_000  # 10 MB, more than all buffers on the way

    with machine.here.socket(socket.AF_INET6, socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect(("::1", 8080))
        sender = os.fork()
        if not sender:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            os._exit(0)
        received = b"".join(iter(lambda: client.recv(1 << 16), b""))
        os.waitpid(sender, 0)

    assert received == b"web2 172.17.0.1\n" + sent


def test_the_relay_resets_where_the_container_refuses(machine: Machine) -> None:
    machine.run(machine.monitor(), "tcp:81", ports=(Port(80, 8080),))

    with pytest.raises(ConnectionError):
        machine.here.ask("::1", 8080)


@pytest.mark.needs("iptables")
def test_docker_started_later_lets_our_packets_through(machine: Machine) -> None:
    monitor = machine.monitor()
    machine.run(monitor, ports=(Port(80, 8080),))
    machine.here.sh(
        "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A DOCKER-USER -j RETURN;"
        "iptables -I FORWARD -j DOCKER-USER"
    )
    for _ in range(2):
        machine.run(monitor)

    assert machine.outside.ask(UPLINK, 8080) == f"web2 {OUTSIDE}"
    listed = machine.here.sh("iptables -S DOCKER-USER").splitlines()
    assert len([line for line in listed if "-j ACCEPT" in line]) == 4  # once


@pytest.mark.parametrize("chain", ["ip filter FORWARD", "inet mine fw"])
def test_a_firewall_that_drops_is_told_once(machine: Machine, chain: str) -> None:
    table = chain.rpartition(" ")[0]
    hook = "{ type filter hook forward priority 0; policy drop; }"
    machine.here.sh(f"nft 'add table {table}; add chain {chain} {hook}'")
    monitor = machine.monitor()
    machine.run(monitor, ports=(Port(80, 8080),))
    (remark,) = monitor.call("remarks")
    machine.here.sh("nft delete table inet runtime")
    machine.run(monitor)

    assert remark.startswith("the firewall of this machine drops what it forwards (table ")
    assert monitor.call("remarks") == []
    assert machine.here.ask("127.0.0.1", 8080) == "web2 172.17.0.1"


def test_the_rules_are_those_that_nft_lists(machine: Machine) -> None:
    """The oracle: what nft prints of our table loads again, unchanged."""
    machine.run(machine.monitor(), ports=(Port(80, 8080),))
    table = machine.table()

    machine.here.sh("nft delete table inet runtime")
    done = subprocess.run(
        ["nsenter", f"--net=/proc/self/fd/{machine.here.fd}", "nft", "-f", "-"],
        pass_fds=[machine.here.fd],
        input=table,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert machine.table() == table
