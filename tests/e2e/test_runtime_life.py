"""What happens to a container from inside and outside: streams, ends, limits, PID 1."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.linux import cgroups
from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox
from tests.support.tars import directory, file, symlink

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

_SERVICES = """\
services:
  db:
    command: {shell: "trap 'echo db down; exit 0' TERM; echo db up; sleep 3600 & wait"}
  worker:
    command: {shell: "trap 'echo worker down; exit 0' TERM; echo worker up; sleep 3600 & wait"}
    depends_on: [db]
  web:
    command: [httpd, -f, -p, "127.0.0.1:8080"]
    depends_on: [worker]
    ready: {tcp: "127.0.0.1:8080", interval: 50ms}
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("life"))
    made.import_tar(
        "busybox",
        busybox(
            directory("data"),
            file("data/file", b"of the image\n", 0o640),
            symlink("data/link", "file"),
            file("crlf", b"#!/bin/sh\r\n", 0o755),
        ),
    )
    made.import_tar("scratch", scratch())
    yield made
    made.close()


def scratch() -> bytes:
    """Return a root file system with one static program and nothing else."""
    from tests.support.tars import make_tar

    return make_tar(file("echo", Path("/bin/busybox").read_bytes(), 0o755))


# -- PID 1


@pytest.mark.parametrize(
    "options",
    [(), ("--read-only",), ("-u", "1234"), ("--cap-drop", "ALL", "-u", "1234", "--read-only")],
)
@pytest.mark.parametrize(
    ("image", "command"),
    [("busybox", ("echo", "fine")), ("scratch", ("/echo", "fine")), ("host", ("echo", "fine"))],
)
def test_supervise_is_pid_1_of_any_image(
    runtime: Runtime, image: str, command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    done = runtime.run("--security-opt", "no-new-privileges", *options, image, *command)

    assert done.stdout == "fine\n"
    assert done.stderr == ""


def test_pid_1_maps_nothing_of_the_image(runtime: Runtime) -> None:
    done = runtime.run("host", "cat", "/proc/1/maps", "/proc/1/comm")

    mapped = {line.split()[-1] for line in done.stdout.splitlines() if ".so" in line}
    assert len(mapped) > 3
    assert {path for path in mapped if not path.startswith("/.supervise/")} == set()
    assert done.stdout.endswith("\nsupervise\n")


def test_without_init_the_command_is_pid_1(runtime: Runtime) -> None:
    assert runtime.run("--no-init", "busybox", "sh", "-c", "echo $$").stdout == "1\n"


def test_what_the_images_loader_is_told_reaches_its_programs_alone(runtime: Runtime) -> None:
    done = runtime.run(
        *("-e", "LD_PRELOAD=/no/such.so", "-e", "LD_LIBRARY_PATH=/data", "busybox"),
        *("sh", "-c", 'echo $LD_PRELOAD $LD_LIBRARY_PATH; tr "\\0" "\\n" < /proc/1/environ'),
    )

    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "/no/such.so /data"
    assert "\nLD_" not in done.stdout


def test_ctl_runs_our_program_whatever_the_container_has_in_its_path(
    runtime: Runtime, tmp_path: Path
) -> None:
    services = tmp_path / "services.yaml"
    services.write_text("services: {web: {command: sleep 1000, user: '1000:1000'}}\n")
    container = runtime.start(
        *("--net", "none", "--services", str(services), "--tmpfs", "/w:exec,mode=1777"),
        *("-e", "PATH=/w:/bin", "-e", "LD_PRELOAD=/w/planted.so", "busybox"),
    )
    plant = "printf '#!/bin/sh\\nid > /w/ran\\n' > /w/supervisectl; chmod 755 /w/supervisectl"
    runtime("exec", "-u", "1000:1000", container, "/bin/sh", "-c", plant)

    done = runtime("ctl", container, "status")
    planted = runtime("exec", container, "supervisectl", check=False)

    assert done.stdout.splitlines()[1].split()[:2] == ["web", "running"]
    assert "planted.so" not in done.stderr
    assert planted.returncode == 0
    assert runtime("exec", container, "/bin/cat", "/w/ran").stdout.startswith("uid=0")
    runtime("rm", "--force", container)


def test_ctl_of_an_image_with_an_init_of_its_own_looks_where_images_have_programs(
    runtime: Runtime,
) -> None:
    runtime.import_tar("own-init", busybox(file("init", b'#!/bin/sh\nexec sh "$@"\n', 0o755)))
    plant = "printf '#!/bin/sh\\nid\\n' > /w/supervisectl; chmod 755 /w/supervisectl; sleep 1000"
    container = runtime.start(
        *("--net", "none", "--tmpfs", "/w:exec,mode=1777", "-e", "PATH=/w:/bin"),
        *("--entrypoint", "/init", "own-init", "-c", plant),
    )
    eventually(lambda: runtime("exec", container, "test", "-x", "/w/supervisectl").returncode == 0)

    done = runtime("ctl", container, "status", check=False)

    assert done.returncode == 127
    assert "cannot start 'supervisectl': it is in no directory of $PATH" in done.stderr
    runtime("rm", "--force", container)


def test_three_services_in_an_unmodified_image(runtime: Runtime, tmp_path: Path) -> None:
    services = tmp_path / "services.yaml"
    services.write_text(_SERVICES)
    container = runtime.start("--net", "none", "--services", str(services), "busybox")

    def up() -> bool:
        shown = json.loads(
            runtime("ctl", container, "status", "--json", check=False).stdout or "[]"
        )
        return [row["state"] for row in shown] == ["running"] * 3

    eventually(up)
    assert "web" in runtime("exec", container, "supervisectl", "status").stdout
    runtime("stop", container)

    logs = runtime("logs", container).stdout
    assert [logs.index(f"{name} up") for name in ("db", "worker")] == sorted(
        logs.index(f"{name} up") for name in ("db", "worker")
    )
    assert logs.index("worker down") < logs.index("db down")
    assert runtime.state(container).exit_code == 0
    assert runtime("diff", container).stdout == ""
    runtime("rm", container)


# -- failures


@pytest.mark.parametrize("init", ["--init", "--no-init"])
@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("nosuch", 127, "in no directory of $PATH"),
        ("/no/such", 127, "there is no such file"),
        ("/etc/passwd", 126, "permission denied"),
        ("/data", 126, "it is a directory"),
        ("/crlf", 127, "carriage return"),
    ],
)
def test_a_program_that_cannot_start_says_why(
    runtime: Runtime, init: str, command: str, code: int, words: str
) -> None:
    done = runtime.run(init, "busybox", command, check=False)

    assert done.returncode == code
    assert words in done.stderr


def test_an_unknown_user_is_said(runtime: Runtime) -> None:
    done = runtime.run("-u", "nobody-here", "busybox", "true", check=False)

    assert done.returncode == 125
    assert "user 'nobody-here' is not in /etc/passwd" in done.stderr


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)]
)
def test_the_exit_code_is_the_commands(runtime: Runtime, script: str, code: int) -> None:
    assert runtime.run("busybox", "sh", "-c", script, check=False).returncode == code


# -- ends


def test_a_stop_that_had_to_kill_says_which_handler_was_missing(runtime: Runtime) -> None:
    container = runtime.start("--net", "none", "--no-init", "busybox", "sleep", "1000")

    done = runtime("stop", "--time", "1", container)

    assert "PID 1 'sleep' has no handler for SIGTERM, waited 1 s, then killed it" in done.stderr
    assert runtime.state(container).exit_code == 137
    runtime("rm", container)


def test_a_stop_sends_the_containers_own_signal(runtime: Runtime) -> None:
    script = "trap 'echo interrupted; exit 3' INT; echo ready; sleep 1000 & wait"
    container = runtime.start(
        *("--net", "none", "--no-init", "--stop-signal", "INT", "busybox", "sh", "-c", script)
    )
    eventually(lambda: "ready" in runtime("logs", container).stdout)

    runtime("stop", container)

    assert runtime("logs", container).stdout == "ready\ninterrupted\n"
    assert runtime.state(container).exit_code == 3
    runtime("rm", container)


def test_signals_are_passed_on_to_the_container(runtime: Runtime) -> None:
    script = "trap 'echo got it; exit 4' TERM; echo ready; sleep 1000 & wait"
    process = runtime.popen(
        *("run", "--rm", "--no-init", "--net", "none", "busybox", "sh", "-c", script),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"

    process.send_signal(signal.SIGTERM)

    assert process.communicate(timeout=15)[0] == b"got it\n"
    assert process.returncode == 4


def test_a_failing_container_is_tried_three_times(runtime: Runtime) -> None:
    container = runtime.start(
        *("--net", "none", "--restart", "on-failure:3", "busybox", "sh", "-c", "echo try; exit 2")
    )

    eventually(lambda: runtime.state(container).status == "exited")

    state = runtime.state(container)
    assert (state.restarts, state.exit_code) == (3, 2)
    assert runtime("logs", container).stdout == "try\n" * 4
    runtime("rm", container)


def test_a_stop_ends_a_container_that_always_restarts(runtime: Runtime) -> None:
    container = runtime.start("--net", "none", "--restart", "always", "busybox", "false")
    eventually(lambda: runtime.state(container).restarts > 1)

    runtime("stop", container)

    assert runtime.state(container).status == "exited"
    runtime("rm", container)


def test_what_was_written_survives_a_restart(runtime: Runtime) -> None:
    script = "cat /kept 2>/dev/null; echo before >> /kept"
    runtime("run", "--name", "again", "--net", "none", "busybox", "sh", "-c", script)

    done = runtime("start", "--attach", "again")

    assert done.stdout == "before\n"
    runtime("rm", "again")


# -- limits


def test_memory_is_limited_and_its_end_is_known(runtime: Runtime) -> None:
    container = runtime.start(
        *("--net", "none", "-m", "16m", "--no-init", "busybox"),
        *("sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1"),
    )

    eventually(lambda: runtime.state(container).status == "exited")

    assert runtime.state(container).oom_killed
    assert runtime.state(container).exit_code == 137
    runtime("rm", container)


def test_limits_are_what_was_asked_for(runtime: Runtime) -> None:
    container = runtime.start(
        *("--net", "none", "-m", "64m", "--cpus", "0.5", "--pids-limit", "20"),
        *("--cpu-shares", "512", "--cpuset-cpus", "0", "busybox", "sleep", "1000"),
    )
    group = cgroups.of(container)
    found = {
        os.path.basename(path): Path(path).read_text().strip()
        for directory in group.directories()
        for path in (f"{directory}/{name}" for name in os.listdir(directory))
        if os.path.basename(path)
        in ("memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us", "cpu.shares", "cpuset.cpus")
    }

    assert found == {
        "memory.limit_in_bytes": str(64 << 20),
        "pids.max": "20",
        "cpu.cfs_quota_us": "50000",
        "cpu.shares": "512",
        "cpuset.cpus": "0",
    }
    refused = runtime(
        "exec", container, "sh", "-c", "for i in $(seq 40); do sleep 9 & done", check=False
    )
    assert "can't fork" in refused.stderr
    runtime("rm", "--force", container)


def test_a_paused_container_stands_still_and_can_be_stopped(runtime: Runtime) -> None:
    container = runtime.start("--net", "none", "busybox", "sh", "-c", "while :; do echo; done")

    runtime("pause", container)
    before = (runtime.root / "containers" / container / "log.json").stat().st_size
    assert runtime.state(container).status == "paused"
    refused = runtime("exec", container, "true", check=False)
    after = (runtime.root / "containers" / container / "log.json").stat().st_size
    runtime("stop", "--time", "5", container)

    assert (refused.returncode, "paused" in refused.stderr) == (1, True)
    assert after - before <= 1 << 20  # what was in the pipe
    assert runtime.state(container).status == "exited"
    runtime("rm", container)


def test_a_memory_of_many_small_logs_is_bounded(runtime: Runtime) -> None:
    container = runtime.start(
        *("--net", "none", "--log-opt", "max-size=20k", "--log-opt", "max-file=2"),
        *("busybox", "seq", "20000"),
    )
    eventually(lambda: runtime.state(container).status == "exited")

    sizes = [
        path.stat().st_size for path in (runtime.root / "containers" / container).glob("log.json*")
    ]
    assert len(sizes) == 2
    assert max(sizes) <= 20 * 1024
    runtime("rm", container)


# -- files


def test_a_fresh_volume_has_what_the_image_has(runtime: Runtime) -> None:
    for options in (("-v", "fresh:/data"), ("-v", "fresh:/data:ro")):
        done = runtime.run(*options, "busybox", "sh", "-c", "ls -l /data; cat /data/link")
        assert "-rw-r-----" in done.stdout
        assert done.stdout.endswith("of the image\n")
    assert runtime.run("-v", "bare:/data:nocopy", "busybox", "ls", "/data").stdout == ""
    runtime("volume", "rm", "fresh", "bare")


def test_read_only_means_everything_but_mounts(runtime: Runtime) -> None:
    script = "touch /x; touch /tmp/y && echo tmp; touch /data/z && echo data"

    done = runtime.run(
        *("--read-only", "--tmpfs", "/tmp:size=1m", "-v", "rw:/data", "busybox"),
        *("sh", "-c", script),
    )

    assert done.stdout == "tmp\ndata\n"
    assert "/x: Read-only file system" in done.stderr
    runtime("volume", "rm", "rw")


def test_nothing_written_over_the_host_survives(runtime: Runtime) -> None:
    marker = f"/root/written-{os.getpid()}"

    done = runtime.run("host", "sh", "-c", f"echo x > {marker}; cat {marker}")

    assert done.stdout == "x\n"
    assert not os.path.exists(marker)


@pytest.mark.parametrize(
    ("options", "first"),
    [((), "0 0 4294967295"), (("--userns", "mapped"), "0 1879048192 65536")],
)
def test_a_mapped_root_is_nobody_outside(
    runtime: Runtime, options: tuple[str, ...], first: str
) -> None:
    container = runtime.start("--net", "none", *options, "busybox", "sleep", "1000")

    shown = runtime(
        "exec", container, "sh", "-c", "id -u; touch /new /data/new; cat /proc/1/uid_map"
    )
    status = Path(f"/proc/{runtime.state(container).pid}/status").read_text()
    as_user = runtime("exec", "-u", "app", container, "id").stdout

    outside = int(first.split()[1])
    assert shown.stdout.split() == ["0", *first.split()]
    assert f"Uid:\t{outside}\t{outside}" in status
    assert as_user.startswith("uid=1000(app) gid=1001(app)")
    written = runtime.root / "containers" / container / "upper/new"
    assert written.stat().st_uid == outside
    runtime("rm", "--force", container)


def test_namespaces_are_shared_when_asked(runtime: Runtime) -> None:
    one = runtime.start("--net", "none", "--name", "one", "busybox", "sleep", "1000")
    kinds = "for kind in net ipc pid; do readlink /proc/self/ns/$kind; done"

    shared = runtime(
        *("run", "--rm", "--net", "container:one", "--ipc", "container:one"),
        *("--pid", "container:one", "busybox", "sh", "-c", f"{kinds}; ps"),
    ).stdout
    host = runtime(
        *("run", "--rm", "--net", "host", "--ipc", "host", "--pid", "host", "--uts", "host"),
        *("busybox", "sh", "-c", f"{kinds}; hostname"),
    ).stdout

    pid = runtime.state(one).pid
    theirs = [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("net", "ipc", "pid")]
    assert shared.split()[:3] == theirs
    assert "sleep 1000" in shared
    net = os.readlink(f"/proc/{runtime.network.pid}/ns/net")
    own = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("ipc", "pid")]
    assert host.split() == [net, *own, platform.node()]
    runtime("rm", "--force", "one")


def test_a_monitor_is_small(runtime: Runtime) -> None:
    container = runtime.start("--net", "none", "busybox", "sleep", "1000")
    status = Path(f"/proc/{runtime.state(container).monitor_pid}/status").read_text()

    resident = int(status.split("VmRSS:")[1].split()[0])  # KiB

    assert resident < 24 * 1024
    runtime("rm", "--force", container)
