"""`supervise` as PID 1 of Docker containers, in an image where pip installed it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker import Docker
from tests.support.eventually import eventually
from tests.support.scripts import PROGRAMS
from tests.support.terminal import CTRL_C, CTRL_Z, Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "docker", "mmdebstrap")]

ALL_UP = {"db": "running", "worker": "running", "web": "running"}
DB_STOPS_IN = 0.3  # seconds: what the image's slowest service takes


def up(docker: Docker, container: str) -> bool:
    """Return whether the image's three services run."""
    return ALL_UP.items() <= docker.states(container).items()


def test_the_daemon_runs_what_is_not_ours(docker: Docker, base: str) -> None:
    done = docker("run", "--rm", "--network=none", base, "sh", "-c", "exit 7", check=False)

    assert done.returncode == 7


def test_three_services_run_and_stop_in_reverse_order_in_time(docker: Docker, image: str) -> None:
    durations = []
    for _ in range(3):
        container = docker.run(image)
        eventually(lambda c=container: up(docker, c))  # type: ignore[misc]
        start = time.monotonic()
        docker("stop", container)
        durations.append(time.monotonic() - start)

    assert min(durations) < DB_STOPS_IN + 0.5
    assert docker.inspect(container)["State"]["ExitCode"] == 0
    downs = re.findall(r"\| (\w+) down$", docker.logs(container), re.MULTILINE)
    assert downs == ["worker", "db"]


def test_the_web_server_is_ready_when_the_status_says_so(docker: Docker, image: str) -> None:
    container = docker.run(image)
    # Until the boot is over there is no socket to ask.
    eventually(lambda: docker.ctl(container, "wait", "web", "--for", "ready").returncode == 0)

    fetch = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/').status)"

    assert docker("exec", container, "python3", "-c", fetch).stdout == "200\n"


def test_dockers_healthcheck_is_supervisectl_health(docker: Docker, image: str) -> None:
    check = ("--health-cmd=supervisectl health", "--health-interval=1s")

    container = docker.run(*check, image)

    eventually(lambda: docker.inspect(container)["State"]["Health"]["Status"] == "healthy")


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_a_main_command_runs_beside_the_services(docker: Docker, image: str, code: int) -> None:
    run = ("run", "--rm", "--network=none", image, "sh", "-c", f"exit {code}")

    assert docker(*run, check=False).returncode == code


def test_docker_kill_sends_the_main_command_any_signal(docker: Docker, image: str) -> None:
    program = "import signal; print('the main command', flush=True); print('got', signal.sigwait({10, 12, 34}))"
    mask = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, {10, 12, 34})"
    container = docker.run(image, "python3", "-c", f"{mask}; {program}")
    eventually(lambda: "the main command" in docker.logs(container))

    docker("kill", "--signal=34", container)

    eventually(lambda: not docker.inspect(container)["State"]["Running"])
    assert "got 34" in docker.logs(container)


def test_under_docker_init_it_works_without_complaint(docker: Docker, image: str) -> None:
    container = docker.run("--init", image)

    eventually(lambda: up(docker, container))
    assert "docker-init" in docker("top", container).stdout
    docker("stop", container)

    assert docker.inspect(container)["State"]["ExitCode"] == 0
    assert len(complaints(docker.logs(container))) <= 1


def test_any_user_on_a_read_only_root_without_capabilities(docker: Docker, image: str) -> None:
    container = docker.run("--user=12345:0", "--read-only", "--cap-drop=ALL", image)

    eventually(lambda: up(docker, container))
    docker("stop", container)

    assert docker.inspect(container)["State"]["ExitCode"] == 0
    assert len(complaints(docker.logs(container))) <= 1


def complaints(logs: str) -> list[str]:
    """Return our own lines that are neither the first nor about a service's ordinary life."""
    ours = [line for line in logs.splitlines() if line.startswith("supervise ")]
    words = ("cannot", "not permitted", "denied", "without", "warning", "error", "refused")
    return [line for line in ours if any(word in line.lower() for word in words)]


def test_an_image_without_a_shell(docker: Docker, bare_image: str) -> None:
    container = docker.run(bare_image)
    assert docker("exec", container, "sh", check=False).returncode != 0

    eventually(lambda: docker.states(container) == {"web": "running"})
    docker("stop", container)

    assert docker.inspect(container)["State"]["ExitCode"] == 0
    assert len(complaints(docker.logs(container))) <= 1


def test_20_000_orphans_of_an_exec_are_reaped(docker: Docker, image: str) -> None:
    container = docker.run("--pids-limit=-1", image)
    eventually(lambda: up(docker, container))
    source = (PROGRAMS / "orphan_maker.py").read_text()

    made = docker("exec", container, "python3", "-I", "-S", "-c", source, "20000")

    assert "made 20000" in made.stdout
    zombies = (
        "import glob; print(sum(') Z ' in open(f).read() for f in glob.glob('/proc/[0-9]*/stat')))"
    )
    eventually(lambda: docker("exec", container, "python3", "-c", zombies).stdout == "0\n")
    assert up(docker, container)


def test_what_called_setsid_gets_sigterm_at_docker_stop(docker: Docker, image: str) -> None:
    container = docker.run(image)
    eventually(lambda: up(docker, container))
    daemon = r"trap 'echo told >/told; exit 0' TERM; echo \$\$ >/pid; sleep 3600 & wait"
    docker("exec", container, "sh", "-c", f'setsid sh -c "{daemon}" >/dev/null 2>&1 &')
    eventually(lambda: docker("exec", container, "cat", "/pid", check=False).stdout)

    docker("stop", container)

    assert docker("cp", f"{container}:/told", "-", check=False).returncode == 0


def test_a_client_that_reads_nothing_stalls_neither_status_nor_stop(
    docker: Docker, image: str
) -> None:
    run = ("run", "--name=stalled", "--network=none", "--log-driver=none", image)
    client = subprocess.Popen(
        [*docker.command(), *run, "yes", "a line that fills every buffer on its way"],
        env=docker.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: up(docker, "stalled"))
    eventually(
        lambda: docker("top", "stalled", "-eo", "pid,wchan:20,cmd").stdout.count("pipe_write")
    )
    pid1 = docker.inspect("stalled")["State"]["Pid"]

    stop = subprocess.Popen([*docker.command(), "stop", "stalled"], env=docker.environment())

    # dockerd's own answer waits for the client to read (with tini as PID 1 too): PID 1 counts.
    eventually(lambda: not Path(f"/proc/{pid1}").exists(), timeout=8.0)
    client.kill()
    client.communicate()
    assert stop.wait(30) == 0
    assert docker.inspect("stalled")["State"]["ExitCode"] == 143


def test_a_killed_service_is_back(docker: Docker, image: str) -> None:
    container = docker.run(image)
    eventually(lambda: up(docker, container))

    docker.ctl(container, "signal", "KILL", "worker")

    eventually(lambda: "worker up\n" * 2 in re.sub(r".*\| ", "", _worker_lines(docker, container)))
    eventually(lambda: up(docker, container))


def _worker_lines(docker: Docker, container: str) -> str:
    lines = docker.logs(container).splitlines(keepends=True)
    return "".join(line for line in lines if "worker up" in line)


@pytest.fixture
def shell(docker: Docker, image: str) -> Iterator[Terminal]:
    """A person at `docker run -it IMAGE bash`."""
    terminal = Terminal()
    run = (
        "run",
        "--rm",
        "--interactive",
        "--tty",
        "--network=none",
        "--env=PS1=ready> ",
        "--env=TERM=dumb",
    )
    bash = (image, "bash", "--norc", "--noprofile")
    client = subprocess.Popen(
        ["setsid", "--ctty", *docker.command(), *run, *bash],
        env=docker.environment(),
        stdin=terminal.device,
        stdout=terminal.device,
        stderr=terminal.device,
    )
    terminal.release_device()
    terminal.wait_for("ready> ")
    terminal.client = client
    yield terminal
    client.kill()
    client.wait()
    terminal.close()


def test_docker_run_it_has_job_control(shell: Terminal) -> None:
    shell.type("sh -c 'echo first job; exec sleep 3600'\n")
    shell.wait_for("\nfirst job\n")
    shell.type(CTRL_C)
    shell.type("echo interrupted $?\n")
    shell.wait_for("interrupted 130")

    shell.type("sh -c 'echo second job; exec sleep 3600'\n")
    shell.wait_for("\nsecond job\n")
    shell.type(CTRL_Z)
    shell.wait_for("Stopped")
    shell.type("kill %1; wait; echo ended $?\n")

    shell.wait_for("ended")
    assert "job control" not in shell.screen


def test_docker_run_it_passes_the_window_size_on(shell: Terminal) -> None:
    shell.resize(33, 99)
    shell.type("\n")

    def resized() -> bool:
        shell.type("stty size\n")
        return "33 99" in shell.screen

    eventually(resized)


def test_docker_run_it_ends_with_the_shells_code(shell: Terminal) -> None:
    shell.type("exit 9\n")

    assert shell.client is not None
    assert shell.client.wait(15) == 9
