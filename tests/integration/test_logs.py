"""Logs of real services under a real PID 1: corner cases 28 to 32 and 35 (see also descriptors)."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import signal
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.bench import Bench
from tests.support.eventually import eventually
from tests.support.pid1 import Pid1

pytestmark = pytest.mark.integration

SERVICES = [f"s{number}" for number in range(10)]
COUNT = 100_000


def choir(logs: str, count: int = COUNT) -> str:
    """Return ten services that write *count* lines each at the same time, and end."""
    return "services:\n" + "".join(
        f"  {name}: {{command: [chatter.py, {name}, '{count}', '{4001 + 97 * place}'],"
        f" type: oneshot, restart: 'no', logs: {logs}}}\n"
        for place, name in enumerate(SERVICES)
    )


def expected(name: str, count: int = COUNT) -> list[str]:
    return [f"{name} {number} {'x' * (number % 83)}" for number in range(count)]


def by_service(lines: Iterable[str]) -> dict[str, list[str]]:
    """Sort prefixed lines by the service that wrote them."""
    found = defaultdict(list)
    for line in lines:
        name, _, text = line.partition(" | ")
        found[name.strip()].append(text)
    return found


def test_a_million_lines_of_ten_services_arrive_once_and_whole(bench: Bench) -> None:
    pid1 = bench.supervise(choir("{}"))

    assert pid1.wait(120) == 0, pid1.stream("stderr")

    found = by_service(pid1.stream("stdout").decode().splitlines())
    assert found == {name: expected(name) for name in SERVICES}


def test_a_million_lines_in_one_rotated_file_arrive_once_and_whole(bench: Bench) -> None:
    path = bench.directory / "logs" / "all.log"
    pid1 = bench.supervise(choir(f"{{file: {path}, max_size: 8m, keep: 100}}"))

    assert pid1.wait(120) == 0, pid1.stream("stderr")

    files = sorted(
        path.parent.iterdir(), key=lambda file: -int(file.suffix[1:].replace("log", "0"))
    )
    assert len(files) > 5
    assert all(file.stat().st_size <= 8 << 20 for file in files)
    text = "".join(file.read_text() for file in files)
    assert by_service(text.splitlines()) == {name: expected(name) for name in SERVICES}


def test_lines_are_valid_json_when_ten_services_write_at_once(bench: Bench) -> None:
    pid1 = bench.supervise("logs: {format: json}\n" + choir("{}", 5000))

    assert pid1.wait(60) == 0, pid1.stream("stderr")

    found = defaultdict(list)
    for line in pid1.stream("stdout").splitlines():
        one = json.loads(line)
        found[one["service"]].append(one["message"])
    assert found == {name: expected(name, 5000) for name in SERVICES}


def test_rotated_files_are_compressed_by_children_that_are_reaped(bench: Bench) -> None:
    path = bench.directory / "web.log"
    pid1 = bench.supervise(f"""
        exit: never
        services:
          web: {{command: [chatter.py, web, '20000'], restart: 'no',
                 logs: {{format: raw, file: {path}, max_size: 200k, keep: 20, compress: true}}}}
    """)
    pid1.wait_state("web", "exited")

    def all_packed() -> bool:
        names = {file.name for file in bench.directory.glob("web.log*")}
        return (
            "web.log.1.gz" in names
            and not names & {"web.log.1", "web.log.gz.tmp"}
            and (all(name.endswith((".gz", ".log")) for name in names))
        )

    eventually(all_packed)
    eventually(lambda: pid1.zombies() == [])
    packed = sorted(bench.directory.glob("web.log.*.gz"), key=lambda f: -int(f.suffixes[-2][1:]))
    text = b"".join(gzip.decompress(file.read_bytes()) for file in packed) + path.read_bytes()
    assert text.decode().splitlines() == expected("web", 20_000)
    assert pid1.terminate() == 0


def test_sigusr1_reopens_log_files_for_logrotate(bench: Bench) -> None:
    path = bench.directory / "web.log"
    pid1 = bench.supervise(f"""
        services:
          web: {{command: {{shell: 'while :; do echo line; sleep 0.01; done'}},
                 logs: {{format: raw, file: {path}}}}}
    """)
    eventually(lambda: "line" in path.read_text())
    path.rename(bench.directory / "web.log.moved")

    pid1.signal(signal.SIGUSR1)

    assert eventually(lambda: "line" in path.read_text())
    assert pid1.terminate() == 0


def test_raw_services_write_to_the_descriptors_of_pid_1(bench: Bench) -> None:
    pid1 = bench.supervise("""
        logs: {format: raw}
        services:
          web: {command: {shell: "printf 'no newline'; exec sleep 3600"}}
    """)
    pid1.wait_for("no newline")

    service = eventually(lambda: pid1.find("sleep", "3600"))[0].pid
    for fd in (1, 2):
        assert os.readlink(f"/proc/{service}/fd/{fd}") == os.readlink(f"/proc/{pid1.pid}/fd/{fd}")


def test_last_words_come_before_the_news_of_the_end(bench: Bench) -> None:
    read_end, write_end = os.pipe()
    says_bye = "trap 'echo bye; printf half; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    pid1 = bench.supervise(
        f'services: {{web: {{command: {{shell: "{says_bye}"}}}}}}', stdout=write_end
    )
    os.close(write_end)
    with os.fdopen(read_end, "rb", buffering=0) as console:
        seen = b""
        while b"| up\n" not in seen:
            chunk = console.read(65536)
            assert chunk, f"it ended: {seen!r}"
            seen += chunk
        pid1.signal(signal.SIGTERM)
        seen += console.readall()

    # The shell may mention that its sleep was terminated.
    lines = [line for line in seen.splitlines() if b"Terminated" not in line]
    end = lines.index(b"web       | bye")
    assert lines[end + 1] == b"web       | half"
    assert lines[end + 2].startswith(b"supervise | Stopped web")
    assert pid1.wait() == 0


def test_what_is_written_in_the_last_moment_is_not_lost(bench: Bench) -> None:
    pid1 = bench.supervise("services: {web: {command: [chatter.py, web, '50000'], restart: 'no'}}")

    pid1.wait(60)

    found = by_service(pid1.stream("stdout").decode().splitlines())
    assert found == {"web": expected("web", 50_000)}


def test_a_terminal_gets_colours_and_a_pipe_does_not(bench: Bench) -> None:
    config = "services: {web: {command: [echo, hello], type: oneshot}}"
    master, terminal = pty.openpty()

    on_terminal = bench.supervise(config, stdout=terminal)
    on_terminal.wait()
    on_pipe = bench.supervise(config)
    on_pipe.wait()

    assert re.search(rb"\x1b\[0;\d+mweb +\|\x1b\[0m hello\r\n", os.read(master, 65536))
    assert "\x1b" not in on_pipe.console
    os.close(master)
    os.close(terminal)


def test_a_log_file_in_a_read_only_directory_is_said_and_survived(bench: Bench) -> None:
    pid1 = bench.supervise("""
        services:
          web: {command: {shell: 'echo hello; exec sleep 3600'}, logs: {file: /proc/no.log}}
    """)

    pid1.wait_for("Cannot write '/proc/no.log' for web: No such file or directory")
    assert pid1.status()["web"]["state"] == "running"
    assert "hello" in pid1.ctl("logs", "web").stdout
    assert pid1.terminate() == 0


def test_memory_stays_bounded_while_nobody_reads(bench: Bench) -> None:
    config = "services:\n" + "".join(
        f"  {name}: {{command: ['yes', '{name}'], logs: {{format: {form}, on_stall: {stall}}}}}\n"
        for name, form, stall in (
            ("a", "prefix", "block"),
            ("b", "json", "block"),
            ("c", "prefix", "drop"),
            ("d", "json", "drop"),
        )
    )
    pid1 = bench.supervise(config, stdout="stalled")
    pid1.wait_state("d", "running")
    eventually(lambda: pid1.stalled_bytes() >= 65536 - 4096)
    before = resident_kib(pid1)
    written = lines_read(pid1)

    eventually(lambda: lines_read(pid1) > written + 50_000_000)

    assert resident_kib(pid1) < before + 8 * 1024
    assert pid1.terminate() == 0


def resident_kib(pid1: Pid1) -> int:
    status = Path(f"/proc/{pid1.init()}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])  # type: ignore[index]


def lines_read(pid1: Pid1) -> int:
    """Return how many bytes PID 1 has read: a service that is dropped is read all the time."""
    io = Path(f"/proc/{pid1.init()}/io").read_text()
    return int(re.search(r"rchar: (\d+)", io)[1])  # type: ignore[index]


def test_an_orphan_keeps_its_voice_after_its_service(bench: Bench) -> None:
    pid1 = bench.supervise("""
        exit: never
        services:
          web:
            command:
              shell: "setsid sh -c 'while ! test -e go; do sleep 0.02; done; echo late' & echo early"
            restart: 'no'
            kill_mode: process
    """)
    pid1.wait_state("web", "exited")
    assert pid1.lines_of("web") == ["early"]

    (bench.directory / "go").touch()

    eventually(lambda: pid1.lines_of("web") == ["early", "late"])
    assert pid1.terminate() == 0
