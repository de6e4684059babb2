"""A service that is removed takes everything along that PID 1 held for it."""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.daemon.events import Events
from supervise.daemon.logs.console import Console
from supervise.daemon.logs.relay import LogRelay
from supervise.model.exitstatus import Exited
from supervise.model.service import (
    ExitPolicy,
    HealthCheck,
    LogSettings,
    OnStall,
    Probe,
    Ready,
    ServiceSpec,
)
from tests.support import procfs
from tests.support.fake_kernel import Program
from tests.support.simulation import Simulation, after, booted, service
from tests.support.virtual_loop import VirtualLoop

SCRIPTS = {
    "talker": Program(output=b"one\ntwo\n"),
    "well": Program(output=b"fine\n", runs=0.1),
    "broken": Program(runs=0.1, ends=Exited(1)),
    "forked": Program(confirms=0.1),
    "absent": Program(fails=2),
    "slow": Program(),
}


@pytest.fixture
def null() -> Iterator[int]:
    fd = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
    yield fd
    os.close(fd)


def generation(number: int, directory: Path) -> list[ServiceSpec]:
    """Return services with fresh names; in turns every way to hold something of PID 1's."""
    probed = Ready(Probe(exec=("slow",)), interval=1.0)
    check = HealthCheck(Probe(exec=("broken",)), interval=0.1)
    file = LogSettings(file=str(directory / f"{number}.log"), on_stall=OnStall.DROP)
    talker = service(f"talker-{number}", command=("talker",), logs=file, healthcheck=check)
    others = (
        {"command": ("talker",), "ready": probed, "start_timeout": 60.0},
        {"command": ("broken",)},
        {"command": ("absent",), "depends_on": after(talker.name)},
        {"command": ("forked",), "stop_command": ("slow",)},
        {"command": ("slow",), "depends_on": after("nobody", required=False)},
    )
    return [talker, service(f"other-{number}", **others[number % len(others)])]


def living() -> Counter[str]:
    """Count the objects of our own classes that can be reached."""
    gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    found = Counter(
        kind.__name__ for kind in kinds if str(kind.__module__).startswith("supervise.")
    )
    del found["Timer"]  # the heap drops cancelled ones in bulk: who is armed is counted
    return found


def forget_what_the_test_keeps(simulation: Simulation) -> None:
    kernel = simulation.kernel
    for kept in (simulation.heard, simulation.adopted, kernel.history, kernel.started):
        kept.clear()
    for more in (kernel.signals, kernel.specs, kernel.forgotten, kernel._failures):
        more.clear()
    kernel._verdicts = {fd: each for fd, each in kernel._verdicts.items() if each[0] >= 0}


def test_a_thousand_applies_of_new_names_leave_nothing_behind(null: int, tmp_path: Path) -> None:
    def relay(loop: VirtualLoop, events: Events) -> LogRelay:
        made = LogRelay(loop, Console(loop, null, null, {}), events.announce)
        events.subscribe(made.event)
        return made

    def apply(numbers: range) -> tuple[Counter[str], int, dict[int, str]]:
        for number in numbers:
            simulation.apply(*generation(number, tmp_path))
            assert simulation.relay is not None
            simulation.relay.follow([f"other-{number}"], lambda _: None)()
            simulation.run(0.3 if number % 3 else 0.0)
        simulation.apply(service("last"))
        simulation.run(100.0)  # graces end, and with them what survived its stop command
        forget_what_the_test_keeps(simulation)
        return living(), simulation.loop.pending_timers(), procfs.descriptors()

    with booted(SCRIPTS, relay=relay, exit_policy=ExitPolicy.NEVER) as simulation:
        earlier = apply(range(300))  # the backlog of events is full from here on

        later = apply(range(300, 1000))

        assert list(simulation.supervisor.services) == ["last"]
        assert later[0] - earlier[0] == Counter()
        assert later == earlier
