"""Starts that never end: whoever asks for their end gets it, and nothing outlives its launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.linux import procfs
from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox
from tests.support.scripts import PROGRAMS
from tests.support.tars import Member, directory, file, symlink

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

# One before the network is there, one where the image's files are read, one as the user.
STEPS = ("init-mounts", "init-go", "init-user")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("hanging"))
    made.import_tar("busybox", busybox())
    made.run("busybox", "true")  # the bundle is there
    yield made
    made.close()


def held_program(step: str) -> list[str]:
    return [sys.executable, str(PROGRAMS / "held_runtime.py"), step]


def start_held(runtime: Runtime, step: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a command one process of which is held, and return when it is."""
    with open("/dev/zero", "rb") as endless:  # what is typed must not hold a signal up
        command = subprocess.Popen(
            runtime.command(*words, program=held_program(step)),
            env=runtime.environment,
            stdin=endless,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    eventually(lambda: len(held(runtime)) == 1)
    return command


def held(runtime: Runtime) -> list[int]:
    return [pid for pid in runtime.processes() if procfs.command_of(pid) == "held"]


def assert_nothing_is_left(runtime: Runtime) -> None:
    eventually(lambda: held(runtime) == [])
    runtime.settle()
    assert runtime.leases() == []


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_run_ends_a_start_that_hangs(runtime: Runtime, step: str, number: int) -> None:
    command = start_held(runtime, step, "run", "--rm", "-i", "busybox", "true")

    command.send_signal(number)
    _, said = command.communicate(timeout=30)

    assert command.returncode == 128 + number
    assert b"it was told to end while it was being started" in said
    assert_nothing_is_left(runtime)
    assert runtime.containers() == []


@pytest.mark.parametrize("words", [("stop",), ("kill",), ("rm", "-f"), ("restart", "-t", "0")])
@pytest.mark.parametrize("detached", [True, False])
def test_a_command_ends_a_start_that_hangs(
    runtime: Runtime, words: tuple[str, ...], detached: bool
) -> None:
    options = ("-d",) if detached else ()
    command = start_held(runtime, "init-go", "run", *options, "--name", "web", "busybox", "true")

    done = runtime(*words, "web")
    _, said = command.communicate(timeout=30)

    assert done.stdout == "web\n"
    assert command.returncode == 128 + (9 if words == ("kill",) else 15)
    assert b"it was told to end while it was being started" in said
    if words != ("rm", "-f"):
        eventually(lambda: runtime("rm", "web", check=False).returncode == 0)
    assert_nothing_is_left(runtime)


@pytest.mark.parametrize("words", [("start",), ("rm",)])
def test_what_cannot_be_done_to_a_start_is_said_and_not_waited_for(
    runtime: Runtime, words: tuple[str, ...]
) -> None:
    command = start_held(runtime, "init-go", "run", "--name", "web", "busybox", "true")

    done = runtime(*words, "web", check=False)
    runtime("rm", "-f", "web")
    command.communicate(timeout=30)

    assert done.returncode == 1
    assert "being started" in done.stderr
    assert_nothing_is_left(runtime)


def test_a_signal_that_ends_nothing_waits_for_the_program(runtime: Runtime) -> None:
    """The process is held before it is ours; here it only matters that the start goes on."""
    command = start_held(runtime, "init-go", "run", "--name", "web", "busybox", "true")

    runtime("kill", "-s", "WINCH", "web")

    assert len(held(runtime)) == 1
    runtime("rm", "-f", "web")
    command.communicate(timeout=30)
    assert_nothing_is_left(runtime)


@pytest.mark.parametrize("step", STEPS)
def test_the_first_process_dies_with_its_launcher(runtime: Runtime, step: str) -> None:
    command = start_held(runtime, step, "run", "--user", "app", "--name", "web", "busybox", "true")
    [process] = held(runtime)
    found = procfs.stat(process)
    assert found is not None

    os.kill(found.parent, signal.SIGKILL)

    eventually(lambda: held(runtime) == [])
    command.communicate(timeout=30)
    runtime("rm", "web")
    assert_nothing_is_left(runtime)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("step", ["exec-entered", "exec-user"])
def test_an_exec_that_hangs_dies_with_its_command(runtime: Runtime, number: int, step: str) -> None:
    container = runtime.start("--net", "none", "busybox", "sleep", "1000")
    command = start_held(runtime, step, "exec", "--user", "app", container, "true")

    command.send_signal(number)
    command.communicate(timeout=30)

    eventually(lambda: held(runtime) == [])
    runtime("rm", "-f", container)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_hangs_leaves_nobody_when_it_is_ended(
    runtime: Runtime, number: int, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM busybox\nUSER app\nRUN true\n")
    command = start_held(runtime, "init-user", "build", "--no-cache", str(tmp_path))

    command.send_signal(number)
    command.communicate(timeout=30)

    eventually(lambda: runtime.processes() == [])
    runtime("ps")  # clears up after the one that was killed
    assert_nothing_is_left(runtime)


def test_a_detached_exec_outlives_its_command(runtime: Runtime) -> None:
    container = runtime.start("--net", "none", "busybox", "sleep", "1000")

    runtime("exec", "-d", container, "sh", "-c", "sleep 0.2; touch /done; sleep 1000")

    eventually(lambda: runtime("exec", container, "ls", "/done", check=False).returncode == 0)
    runtime("rm", "-f", container)


# -- what an image may put in place of a file


ODD = {
    "fifo": ("a FIFO", Member("", tarfile.FIFOTYPE, mode=0o777)),
    "device": ("a character device", Member("", tarfile.CHRTYPE, mode=0o777, device=(1, 5))),
    "link": ("a character device", symlink("", "/dev/zero")),
    "directory": ("a directory", directory("")),
}


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest) -> tuple[str, str, Member]:
    """Return (name, what it is, an entry of an archive) of something that is no regular file."""
    return request.param, *ODD[request.param]


def image_with(runtime: Runtime, *members: Member) -> str:
    """Make an image with *members* in place of what a usual one has; return its name."""
    runtime.import_tar("odd", busybox(*members))
    return "odd"


def test_users_are_not_read_from_what_is_no_file(
    runtime: Runtime, odd: tuple[str, str, Member]
) -> None:
    _, is_what, member = odd
    image = image_with(runtime, *(member._replace(name=f"etc/{n}") for n in ("passwd", "group")))

    by_number = runtime.run("-u", "5:6", image, "grep", "Uid", "/proc/self/status")
    by_name = runtime.run("-u", "app", image, "true", check=False)
    by_group = runtime.run("-u", "5:app", image, "true", check=False)

    assert by_number.stdout.split() == ["Uid:", "5", "5", "5", "5"]
    assert (by_name.returncode, by_group.returncode) == (125, 125)
    assert (
        f"user 'app' is not in /etc/passwd: it is {is_what}, not a regular file" in by_name.stderr
    )
    assert f"group 'app' is not in /etc/group: it is {is_what}, not a" in by_group.stderr


def test_a_build_does_not_read_users_from_what_is_no_file(
    runtime: Runtime, odd: tuple[str, str, Member], tmp_path: Path
) -> None:
    image = image_with(runtime, odd[2]._replace(name="etc/passwd"))
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nUSER app\nRUN true\n")
    by_name = runtime("build", "--no-cache", str(tmp_path), check=False)
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nUSER 5\nRUN true\nWORKDIR /new\n")

    runtime("build", "--no-cache", str(tmp_path))

    assert by_name.returncode == 1
    assert "user 'app' is not in /etc/passwd: it is" in by_name.stderr


def test_a_list_of_users_without_an_end_is_refused(runtime: Runtime) -> None:
    image = image_with(runtime, file("etc/passwd", b"#" * (4 << 20) + b"\napp:x:1:1::/:\n"))

    done = runtime.run("-u", "app", image, "true", check=False)

    assert done.returncode == 125
    assert "/etc/passwd cannot be used: it is larger than 4 MiB" in done.stderr


@pytest.mark.parametrize("init", ["--no-init", "--init"])
def test_a_program_that_is_no_file_is_not_executed(
    runtime: Runtime, odd: tuple[str, str, Member], init: str
) -> None:
    _, is_what, member = odd
    image = image_with(runtime, member._replace(name="program"))

    done = runtime.run(init, image, "/program", check=False)

    assert done.returncode == 126
    assert f"cannot start '/program': it is {is_what}, not a regular file" in done.stderr


@pytest.mark.parametrize("init", ["--no-init", "--init"])
def test_an_interpreter_that_is_no_file_is_not_waited_for(runtime: Runtime, init: str) -> None:
    fifo = Member("interpreter", tarfile.FIFOTYPE, mode=0o777)
    image = image_with(runtime, fifo, file("script", b"#!/interpreter\n", 0o755))

    done = runtime.run(init, image, "/script", check=False)

    assert done.returncode in (126, 127)
    assert "cannot" in done.stderr


def test_a_container_cannot_hold_up_those_who_enter_it(runtime: Runtime) -> None:
    check = ("--health-cmd", "true", "--health-interval", "100ms")
    container = runtime.start("--net", "none", *check, "busybox", "sleep", "1000")
    spoil = "for f in /etc/passwd /etc/group /program; do rm -f $f; mkfifo -m 777 $f; done"

    runtime("exec", container, "sh", "-c", spoil)
    entered = runtime("exec", container, "stat", "-c", "%u", "/proc/self")
    by_name = runtime("exec", "-u", "app", container, "true", check=False)
    program = runtime("exec", container, "/program", check=False)

    assert entered.stdout == "0\n"
    assert "user 'app' is not in /etc/passwd: it is a FIFO" in by_name.stderr
    assert (program.returncode, "it is a FIFO" in program.stderr) == (126, True)
    eventually(lambda: runtime.state(container).health == "healthy")
    runtime("rm", "-f", container)
