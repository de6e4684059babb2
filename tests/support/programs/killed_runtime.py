#!/usr/bin/env python3
"""killed_runtime.py STEP ARGUMENTS: `runtime`, one process of which dies at the step STEP.

Like kill -9: nothing is cleaned up and nobody is told.  The names of the steps are where
`runtime.linux.failpoints.reached` is called.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from runtime.linux import failpoints

STEP = sys.argv.pop(1)


def reached(name: str) -> None:
    """Die at the step asked for."""
    if name == STEP:
        os.kill(os.getpid(), signal.SIGKILL)
        os._exit(137)  # PID 1 of a namespace does not hear its own signals


failpoints.reached = reached  # before anybody imports the name

from runtime.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
