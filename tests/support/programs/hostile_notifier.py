#!/usr/bin/env python3
"""hostile_notifier.py SECONDS: send $NOTIFY_SOCKET what no service should, then READY=1 and stay.

Random bytes, keys without end, forged senders, descriptors by the hundred, barriers that are none.
"""

import os
import random
import signal
import socket
import struct
import sys
import time

END = time.monotonic() + float(sys.argv[1])
TARGET = os.environ["NOTIFY_SOCKET"]
ADDRESS = "\0" + TARGET[1:] if TARGET.startswith("@") else TARGET
SCM_CREDENTIALS = 2
chosen = random.Random(1)
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
null = os.open("/dev/null", os.O_RDWR)
KEYS = [b"READY", b"STATUS", b"MAINPID", b"FDSTORE", b"BARRIER", b"WATCHDOG_USEC", b"", b"\0", b"="]


def line() -> bytes:
    key = chosen.choice([*KEYS, chosen.randbytes(chosen.randint(0, 30))])
    value = chosen.choice(
        [b"1", b"0", b"9" * 5001, b"\xff\xfe", b"\x1b]0;x\x07", b"\0", b"", b"=" * 99]
    )
    return key + b"=" + value


def datagram() -> bytes:
    match chosen.randrange(4):
        case 0:
            return chosen.randbytes(chosen.choice([0, 1, 100, 4096, 150_000]))
        case 1:
            return b"\n" * chosen.choice([1, 4096, 100_000])
        case 2:
            return b"STATUS=" + chosen.randbytes(60_000)
        case _:
            lines = [line() for _ in range(chosen.randint(1, 50))]
            return b"\n".join(each for each in lines if not each.startswith(b"READY"))


def ancillary() -> list[tuple[int, int, bytes]]:
    match chosen.randrange(4):
        case 0:
            count = chosen.choice([1, 2, 250])
            rights = struct.pack(f"{count}i", *[null] * count)
            return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]
        case 1:
            forged = struct.pack("3i", 1, 0, 0)
            return [(socket.SOL_SOCKET, SCM_CREDENTIALS, forged)]
        case _:
            return []


print("begun", flush=True)
while time.monotonic() < END:
    try:
        sock.sendmsg([datagram()], ancillary(), socket.MSG_DONTWAIT, ADDRESS)
    except OSError:  # its queue is full, the datagram is too long, or we may not be somebody else
        continue
sock.sendto(b"STATUS=over\nREADY=1", ADDRESS)
print("over", flush=True)
signal.pause()
