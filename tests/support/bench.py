"""The test bench: starts PID 1s for one test and sees that nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support import procfs
from tests.support.eventually import eventually
from tests.support.pid1 import Pid1, Stdout
from tests.support.scripts import ROOT


class Bench:
    """Makes `Pid1`s that share a directory; `close` ends them and checks for leaks."""

    def __init__(self, directory: Path, search_path: str) -> None:
        self.directory = directory
        self.search_path = search_path
        self._started: list[Pid1] = []
        self._beside: list[subprocess.Popen[bytes]] = []
        self._descriptors = procfs.descriptors()
        self._children = set(procfs.children(os.getpid()))

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return what a container runtime would give: little, and nothing of the test's own."""
        base = {"PATH": self.search_path, "HOME": str(self.directory), "LANG": "C.UTF-8"}
        return base | dict(extra or {})

    def as_user(self, user: int, group: int, *more: str) -> tuple[str, ...]:
        """Return the prefix that runs a command as a user who has no passwd row; for root.

        *more* are further options of setpriv.  The test's directory is that user's.
        """
        os.chown(self.directory, user, group)
        identity = (f"--reuid={user}", f"--regid={group}", "--clear-groups")
        return (*self.opened_up(), "setpriv", *more, *identity)

    def opened_up(self) -> tuple[str, ...]:
        """Return the prefix that lets every user reach the test's directory and programs."""
        interpreter = (sys.base_prefix, sys.prefix, str(ROOT))
        needed = (*interpreter, self.search_path.partition(":")[0], str(self.directory))
        return ("open_up.sh", *dict.fromkeys(needed), "--")

    def write(self, name: str, text: str) -> Path:
        """Write a file into the test's directory, dedented."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def file(self, name: str) -> str:
        """Return the text of a file in the test's directory; OSError until it is there."""
        return (self.directory / name).read_text()

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        stdin: int | None = None,
        stdout: Stdout | int = "read",
    ) -> Pid1:
        """Start *command* as PID 1 and return at once."""
        pid1 = Pid1(
            command,
            directory=self.directory,
            environment=self.environment(environment),
            prefix=prefix,
            stdin=stdin,
            stdout=stdout,
        )
        self._started.append(pid1)
        return pid1

    def supervise(
        self,
        config: str | None = None,
        *,
        main: Sequence[str] = (),
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        stdin: int | None = None,
        stdout: Stdout | int = "read",
        faults: Sequence[str] = (),
    ) -> Pid1:
        """Start `supervise` with the text of a configuration, wait until SIGTERM is safe.

        *main* is the main command; *options* come before it; *faults* are those that
        programs/faulty_pid1.py is to inject.
        """
        program = ["faulty_pid1.py", *faults, "--faults-end"] if faults else ["supervise"]
        command = [*program, *options]
        if config is not None:
            command += ["-c", str(self.write("supervise.yaml", config))]
        if main:
            command += ["--", *main]
        pid1 = self.start(
            command, environment=environment, prefix=prefix, stdin=stdin, stdout=stdout
        )
        pid1.wait_up()
        return pid1

    def start_config(self, config: str) -> Pid1:
        """Start `supervise` with the text of a configuration and return at once."""
        path = self.write("supervise.yaml", config)
        return self.start(["supervise", "-c", str(path)])

    def run_beside(self, pid1: Pid1, *argv: str, until: str) -> None:
        """Run *argv* beside *pid1* and leave it running once it has said *until*."""
        said = self.directory / f"beside-{len(self._beside)}"
        with said.open("wb") as output:
            process = subprocess.Popen(
                [*pid1.enter(), *argv],
                env=pid1.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._beside.append(process)
        eventually(lambda: until in said.read_text())

    def close_all(self) -> None:
        """End what was started, so that a test may go on with the next."""
        for process in self._beside:  # they may hold a PID 1 that is to be closed
            for child in procfs.children(process.pid):  # nsenter waits for what it runs
                os.kill(child, signal.SIGKILL)
            process.wait()
        self._beside.clear()
        while self._started:
            self._started.pop().close()

    def close(self) -> None:
        """End what was started.

        Raises:
            AssertionError: a child, a descriptor or a mount is left behind.
        """
        self.close_all()
        children = set(procfs.children(os.getpid())) - self._children
        assert not children, f"processes left behind: {[procfs.row(pid) for pid in children]}"
        descriptors = procfs.descriptors()
        left = {fd: name for fd, name in descriptors.items() if fd not in self._descriptors}
        assert not left, f"descriptors left open: {left}"
        mounts = Path("/proc/self/mounts").read_text()
        assert str(self.directory) not in mounts, "a mount is left behind"
