"""The control socket of a real PID 1: no bytes and no call end it, make a fault or leak."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.wire import api
from tests.support import attack, procfs
from tests.support.bench import Bench
from tests.support.control import RawClient
from tests.support.eventually import eventually
from tests.support.pid1 import Pid1

CONFIG = """
    control: {{socket: "{place}"}}
    services:
      web: {{command: [sleep, "3600"]}}
      talker: {{command: {{shell: "while echo more; do sleep 0.1; done"}}}}
      probed: {{command: [sleep, "3600"], ready: {{exec: ["false"], interval: 10ms}}}}
"""


class Target:
    """One PID 1 for all examples of a test; its socket is an abstract one, to be had from here."""

    def __init__(self, bench: Bench) -> None:
        self.place = f"@supervise-attack-{os.getpid()}"
        self.pid1: Pid1 = bench.supervise(CONFIG.format(place=self.place))
        eventually(self.answers)

    def connect(self) -> RawClient:
        return RawClient("\0" + self.place[1:])

    def answers(self) -> bool:
        client = self.connect()
        try:
            return "version" in client.call("Version")["parameters"]
        finally:
            client.close()

    def send(self, *parts: bytes) -> None:
        """Send *parts* as they are, and take whatever comes at once."""
        client = self.connect()
        with suppress(OSError):
            for part in parts:
                client.sock.sendall(part)
            client.sock.setblocking(False)
            client.sock.recv(65536)
        client.close()

    def is_sound(self) -> None:
        """The end of a test: nothing is held, nothing was a fault, everything still works."""
        eventually(self.answers)
        eventually(lambda: len(procfs.descriptors(self.pid1.pid)) < 30)
        assert int(procfs.status(self.pid1.pid)["VmRSS"].split()[0]) < 40 * 1024
        assert "fault" not in self.pid1.console
        assert "Traceback" not in self.pid1.console
        assert self.pid1.terminate() == 0


@pytest.fixture
def target(bench: Bench) -> Iterator[Target]:
    made = Target(bench)
    yield made
    made.is_sound()


METHODS = [
    f"{interface.name}.{method}"
    for interface in api.INTERFACES.values()
    for method in interface.methods
    if method != "Shutdown"
]
NAMES = sorted(
    {
        field.name
        for interface in api.INTERFACES.values()
        for method in interface.methods.values()
        for field in method.parameters
    }
)
RAW_NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", "9" * 5001, "-0.0", "1e-400", "0" * 50 + "1"]
HOSTILE_TEXTS = ["web", "talker", "", "\0", "\ud800", "\x1b[2J", "x" * 5000, "-1", "SIGKILL", "9" * 5001, "\u0661"]  # fmt: skip
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(HOSTILE_TEXTS)
    | st.sampled_from(RAW_NUMBERS).map(lambda number: f"@@{number}@@")
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=5,
)
services = st.just(["web"]) | st.just(["talker", "probed"]) | st.just(["web"] * 1000)
calls = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS) | st.sampled_from(HOSTILE_TEXTS),
        "parameters": st.dictionaries(st.sampled_from(NAMES), anything | services, max_size=4)
        | anything,
    },
    optional={"more": anything, "oneway": anything, "upgrade": anything},
)


def encoded(call: Any) -> bytes:
    """Return *call* as JSON, with the numbers that `json` would not write."""
    text = json.dumps(call)
    for number in RAW_NUMBERS:
        text = text.replace(f'"@@{number}@@"', number)
    return text.encode() + b"\0"


def test_no_call_is_more_than_pid_1_can_take(target: Target) -> None:
    @attack.fuzz(300)
    @given(some=st.lists(calls, min_size=1, max_size=3), cut=st.integers(1, 40))
    def fuzz(some: list[Any], cut: int) -> None:
        stream = b"".join(map(encoded, some))
        target.send(stream[:-cut], stream[-cut:])
        assert target.answers()

    fuzz()


def test_no_bytes_are_more_than_pid_1_can_take(target: Target) -> None:
    @attack.fuzz(150)
    @given(data=st.lists(st.binary(max_size=500) | calls.map(encoded), max_size=4), at=st.integers(0, 200), with_=st.binary(max_size=4))  # fmt: skip
    def fuzz(data: list[bytes], at: int, with_: bytes) -> None:
        stream = b"".join(data)
        target.send(stream[:at] + with_ + stream[at + len(with_) :])
        assert target.answers()

    fuzz()
