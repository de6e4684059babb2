"""What a container's start must not import: it costs each start and stays in each monitor."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"argparse", "collections", "contextlib", "enum", "functools", "json", "logging", "re"}
HEAVY |= {
    "asyncio",
    "dataclasses",
    "shutil",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "typing",
}


def test_what_run_imports_stays_light() -> None:
    program = (
        "import sys; before = set(sys.modules); import runtime.cli.main, runtime.cli.containers.run;"
        "import runtime.linux.cgroup_v1, runtime.linux.cgroup_v2, runtime.network.networks;"
        "print(*sorted(set(sys.modules) - before))"
    )

    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True
    )

    assert HEAVY & set(done.stdout.split()) == set()
