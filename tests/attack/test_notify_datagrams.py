"""sd_notify: a service that sends anything at all harms itself, not PID 1 or its neighbours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from supervise.wire import notify
from tests.support import attack, procfs
from tests.support.bench import Bench
from tests.support.eventually import eventually

keys = st.sampled_from(["READY", "STATUS", "MAINPID", "BARRIER", "X", ""]) | st.text(max_size=5)
lines = st.tuples(keys, st.text(max_size=20) | st.just("9" * 5001)).map("=".join)
datagrams = st.lists(lines, max_size=20).map(
    lambda some: "\n".join(some).encode("utf-8", "replace")
)


@attack.fuzz(300)
@given(datagram=st.binary(max_size=5000) | datagrams)
def test_what_is_understood_of_any_datagram_can_be_shown(datagram: bytes) -> None:
    """READY is there when a line says so; no text of it can drive a terminal or end a line."""
    found = notify.parse(datagram)

    assert found.ready == (b"READY=1" in datagram.split(b"\n"))
    for text in (found.status or "", *(value for _, value in found.unsupported)):
        assert text.isprintable()
        text.encode()


HOSTILE = """
    services:
      hostile:
        command: [hostile_notifier.py, "{seconds}"]
        ready: {{notify: true}}
        start_timeout: 1h
      honest:
        command: [notify.py, --stay, "-", READY=1, STATUS=all well]
        ready: {{notify: true}}
"""


def test_a_flood_of_hostile_datagrams_costs_nobody_else(bench: Bench) -> None:
    pid1 = bench.supervise(HOSTILE.format(seconds=attack.SECONDS))
    pid1.wait_for("begun")
    pid1.status()
    descriptors = set(procfs.descriptors(pid1.pid))

    eventually(lambda: pid1.status()["honest"]["ready"])
    assert not pid1.status()["hostile"]["ready"]
    pid1.wait_for("hostile   | over", timeout=attack.SECONDS + 30)
    eventually(lambda: pid1.status()["hostile"]["ready"], timeout=30)

    assert "over" in pid1.status()["hostile"]["detail"]
    assert "all well" in pid1.status()["honest"]["detail"]
    eventually(lambda: set(procfs.descriptors(pid1.pid)) <= descriptors)
    assert int(procfs.status(pid1.pid)["VmRSS"].split()[0]) < 40 * 1024
    assert "Traceback" not in pid1.console
    assert "fault" not in pid1.console
    assert pid1.terminate() == 0
