"""Inside the emulated machine: runs the commands that come over a serial line, one at a time.

A request is a line of JSON, {"argv": […], "input": "", "timeout": 60}; so is the answer:
{"code": 0, "out": "", "err": ""}.  The first line it says is {"ready": true}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tty
from typing import Any


def main() -> None:
    line = os.open(sys.argv[1], os.O_RDWR)
    tty.setraw(line)
    requests = os.fdopen(os.dup(line), "rb")
    say(line, {"ready": True})
    for request in requests:
        say(line, run(json.loads(request)))


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Run one command; 124 is a timeout, as timeout(1) has it."""
    try:
        done = subprocess.run(
            asked["argv"],
            input=asked["input"],
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=asked["timeout"],
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return {"code": 124, "out": str(late.stdout), "err": f"timeout: {late.stderr!r}"}
    except OSError as error:
        return {"code": 127, "out": "", "err": str(error)}
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr}


def say(line: int, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode() + b"\n"
    while data:
        data = data[os.write(line, data) :]


main()
