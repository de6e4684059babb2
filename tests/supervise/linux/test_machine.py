"""What `supervise --version` says about the machine."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.isolated import isolated
from tests.support.scripts import ROOT


@isolated
def test_this_process_and_machine_are_described() -> None:
    from supervise.linux import machine

    facts = dict(machine.facts())

    assert facts["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert facts["kernel"] == " ".join((os.uname().sysname, os.uname().release, os.uname().machine))
    assert facts["user"].startswith(f"{os.getuid()}:{os.getgid()}, capabilities 0")
    assert facts["cgroup"].startswith(("version 1", "version 2", "not mounted"))


def test_what_is_missing_is_named_with_what_is_done_without_it() -> None:
    command = [sys.executable, "-I", "-S", "-c"]  # without site-packages there is no PyYAML
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from supervise.linux import machine"

    done = subprocess.run(
        [*command, f"{program}; print(machine.missing())"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "PyYAML: only compiled plans can be read" in done.stdout


def test_the_first_line_of_the_version_is_for_scripts() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "supervise", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    first, *rest = done.stdout.splitlines()
    assert first.split(" ")[0] == "supervise"
    assert all(": " in line for line in rest)
