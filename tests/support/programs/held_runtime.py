#!/usr/bin/env python3
"""held_runtime.py STEP ARGUMENTS: `runtime`, one process of which never goes on after STEP.

As where a file system does not answer: the process hears SIGKILL alone.  It is called "held" then.
The names of the steps are where `runtime.linux.failpoints.reached` is called.
"""

import ctypes
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from runtime.linux import failpoints

STEP = sys.argv.pop(1)
PR_SET_NAME = 15
LIBC = ctypes.CDLL(None)


def reached(name: str) -> None:
    """Stay for ever at the step asked for."""
    if name == STEP:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        LIBC.prctl(PR_SET_NAME, b"held", 0, 0, 0)
        while True:
            signal.pause()


failpoints.reached = reached  # before anybody imports the name

from runtime.cli.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
