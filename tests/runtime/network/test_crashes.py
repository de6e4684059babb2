"""Killed at any step, or two hundred at once: nothing is left that no lease accounts for."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.model.container.spec import Port
from tests.support.netmachine import Failed, Machine, machines

pytestmark = [pytest.mark.integration, pytest.mark.needs("root", "nft")]

# Every call that changes something outside the process: netlink, files, sockets, processes.
CHANGES = ("sendto", "link", "rename", "unlink", "bind", "clone", "pwrite64", "mkdir")
PORTS = (Port(80, 8080), Port(53, 5353, "udp"))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    yield from machines(tmp_path)


def killed_at(call: str, turn: int) -> list[str]:
    """Return the command that runs another and kills it at its *turn*-th *call*."""
    inject = f"inject={call}:signal=KILL:when={turn}"
    return ["strace", "-qq", "-o", "/dev/null", "-e", inject]


@pytest.mark.needs("strace")
@pytest.mark.parametrize("call", CHANGES)
def test_a_monitor_killed_at_any_step_leaves_nothing_that_heal_does_not_find(
    machine: Machine, call: str
) -> None:
    healer = machine.monitor()
    healer.call("create", name="app")
    keeper = machine.run(healer, network="app")
    expected = machine.links()
    survived, turn = False, 0
    while not survived:
        turn += 1
        doomed = machine.monitor(killed_at(call, turn))
        web = machine.container("tcp:80", network="app", ports=PORTS)
        try:
            endpoint = doomed.call("connect", spec=web.plain, pid=web.pid)
            doomed.call("disconnect", container=web.id, endpoint=endpoint)
            survived = True
        except (Failed, BrokenPipeError):
            doomed.process.wait(10)  # strace, which has reaped it then
            doomed.kill()
        healer.call("heal", live=[keeper.id])

        assert machine.leases() == [f"app/{keeper.address}"], f"turn {turn}"
        assert machine.links() == expected, f"turn {turn}"
        assert "8080" not in machine.table(), f"turn {turn}"
        assert "5353" not in machine.table(), f"turn {turn}"
        assert web.name not in machine.hosts(keeper), f"turn {turn}"
        assert not list(Path(machine.root).rglob(".tmp-*")), f"turn {turn}"
        web.space.process.kill()

    assert turn > 1  # it was killed at least once
    again = machine.run(healer, network="app", ports=PORTS)
    assert machine.here.ask("127.0.0.1", 8080) == f"{again.name} 172.18.0.1"


def test_many_starts_and_ends_at_once_leave_nothing(machine: Machine) -> None:
    monitors = [machine.monitor() for _ in range(4)]
    spaces = [machine.container("tcp:80") for _ in range(4)]

    def live(index: int) -> int:
        for turn in range(25):
            number = 1000 + index * 100 + turn
            container = spaces[index]
            spec = {**container.plain, "id": f"{number:012x}" + "e" * 52}
            spec["ports"] = [{"container": 80, "host": number}]
            endpoint = monitors[index].call("connect", spec=spec, pid=container.pid)
            monitors[index].call("disconnect", container=spec["id"], endpoint=endpoint)
        return index

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(live, range(4))) == [0, 1, 2, 3]

    assert machine.leases() == []
    assert machine.links() == ["runtime0"]
    assert "elements" not in machine.table().split("map ports4_at")[0]
    assert not list(Path(machine.root).rglob(".tmp-*"))
