"""A network namespace of the run's own, with an address like a machine's: engines write rules."""

from __future__ import annotations

import ctypes
import os
import subprocess

from benchmarks.records import BenchmarkError

ADDRESS = "192.0.2.2"  # "the host's address"
_CLONE_NEWNET = 0x40000000
_COMMANDS = f"""
ip link set lo up
ip link add up0 type veth peer name out0
ip address add {ADDRESS}/24 dev up0
ip link set up0 up
ip link set out0 up
ip route add default via 192.0.2.1
"""


def enter() -> None:
    """Put this process, and all it starts, there.  Needs CAP_SYS_ADMIN, and `ip`."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET):
        reason = os.strerror(ctypes.get_errno())
        raise BenchmarkError(f"cannot make a network namespace: {reason}; root?")
    subprocess.run(["sh", "-ec", _COMMANDS], check=True)
