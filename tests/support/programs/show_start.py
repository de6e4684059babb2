#!/usr/bin/env python3
"""Print as JSON how this process was started: what it inherits and where it stands."""

import json
import os
import resource
import sys
from pathlib import Path


def read(name: str) -> str:
    """Return the text of a file in /proc/self."""
    return Path("/proc/self", name).read_text()


def descriptors() -> dict[int, str]:
    """Return what each open descriptor points at; the one of the listing itself is gone."""
    numbers = os.listdir("/proc/self/fd")
    links = {int(number): f"/proc/self/fd/{number}" for number in numbers}
    return {number: os.readlink(link) for number, link in links.items() if os.path.lexists(link)}


status = dict(line.split(":\t", 1) for line in read("status").splitlines())
facts = {
    "pid": os.getpid(),
    "ppid": os.getppid(),
    "session": os.getsid(0),
    "group": os.getpgrp(),
    "blocked": int(status["SigBlk"], 16),
    "cwd": os.getcwd(),
    "umask": int(status["Umask"], 8),
    "uid": os.getresuid(),
    "gid": os.getresgid(),
    "groups": sorted(os.getgroups()),
    "no_new_privileges": status["NoNewPrivs"].strip(),
    "capabilities": status["CapEff"].strip(),
    "nofile": resource.getrlimit(resource.RLIMIT_NOFILE),
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "oom_score_adj": int(read("oom_score_adj")),
    "cpus": sorted(os.sched_getaffinity(0)),
    "descriptors": descriptors(),
    "environment": dict(os.environ),
    "arguments": sys.argv[1:],
}
target = os.environ.get("SHOW_START_FILE")
if target:
    Path(f"{target}.new").write_text(json.dumps(facts))
    Path(f"{target}.new").rename(target)
else:
    print(json.dumps(facts), flush=True)
