"""A container's streams: pipes and terminals, from our end to the program's and back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox
from tests.support.tars import directory
from tests.support.terminal import CTRL_C, Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("streams"))
    made.import_tar("busybox", busybox(directory("data")))
    yield made
    made.close()


def on(terminal: Terminal, runtime: Runtime, *arguments: str) -> subprocess.Popen[bytes]:
    """Start `runtime` on *terminal*, as the leader of its session."""
    return subprocess.Popen(
        ["setsid", "--ctty", "--wait", *runtime.command(*arguments)],
        env=runtime.environment,
        stdin=terminal.device,
        stdout=terminal.device,
        stderr=terminal.device,
    )


def test_input_reaches_the_command_to_its_end(runtime: Runtime) -> None:
    text = "line\n" * 100_000

    done = runtime.run("-i", "busybox", "md5sum", text=text)

    whole = subprocess.run(["md5sum"], input=text, capture_output=True, text=True, check=True)
    assert done.stdout == whole.stdout


def test_output_comes_whole_and_on_its_stream(runtime: Runtime) -> None:
    script = "seq 100000; echo error >&2"

    done = runtime.run("busybox", "sh", "-c", script)

    assert done.stdout.split() == [str(number) for number in range(1, 100_001)]
    assert done.stderr == "error\n"


def test_a_reader_that_leaves_does_not_hang_us(runtime: Runtime) -> None:
    command = " ".join(
        f"'{word}'" for word in runtime.command("run", "--name", "yes", "busybox", "yes")
    )

    done = subprocess.run(
        ["sh", "-c", f"{command} | head -1"],
        env=runtime.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert done.stdout == "y\n"
    assert "Up" in runtime("ps", "--filter", "name=yes").stdout  # as with docker: it goes on
    runtime("rm", "--force", "yes")


def test_a_terminal_has_our_size_and_follows_it(runtime: Runtime) -> None:
    terminal = Terminal(rows=33, columns=77)
    process = on(
        terminal, runtime, "run", "--rm", "-it", "--name", "term", "--net", "none", "busybox", "sh"
    )

    terminal.wait_for("/ # ")
    terminal.type("stty size; tty\n")
    terminal.wait_for("33 77")
    terminal.wait_for("/dev/pts/0")
    terminal.resize(44, 88)
    terminal.type("stty size\n")
    terminal.wait_for("44 88")
    terminal.type("sleep 100\n")
    eventually(lambda: runtime("exec", "term", "pidof", "sleep", check=False).stdout)
    terminal.type(CTRL_C)
    terminal.type("echo in'terr'upted; exit 5\n")
    terminal.wait_for("interrupted")

    assert process.wait(15) == 5
    terminal.hang_up()


def test_detach_keys_leave_it_running(runtime: Runtime) -> None:
    terminal = Terminal()
    process = on(
        terminal, runtime, *("run", "-it", "--name", "left", "--net", "none"), "busybox", "sh"
    )
    terminal.wait_for("/ # ")
    terminal.type("echo he'llo'\n")
    terminal.wait_for("hello")

    terminal.type("\x10\x11")

    assert process.wait(15) == 0
    assert runtime("exec", "left", "echo", "still here").stdout == "still here\n"
    runtime("rm", "--force", "left")


def test_an_executed_shell_has_a_terminal(runtime: Runtime) -> None:
    container = runtime.start("--net", "none", "busybox", "sleep", "1000")
    terminal = Terminal(rows=12, columns=34)
    options = ("-e", "A=b c", "-w", "/data", "-u", "app")
    process = on(terminal, runtime, "exec", "-it", *options, container, "sh")

    terminal.wait_for("$ ")
    terminal.type('stty size; pwd; id -un; echo "<$A>"; exit 6\n')

    for expected in ("12 34", "/data", "app", "<b c>"):
        terminal.wait_for(expected)
    assert process.wait(15) == 6
    runtime("rm", "--force", container)
