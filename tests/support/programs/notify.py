#!/usr/bin/env python3
"""notify.py SOCKET TEXT…: send sd_notify datagrams to SOCKET ("-": $NOTIFY_SOCKET), then end.

With `--stay` in front it sleeps for ever afterwards.
"""

import os
import signal
import socket
import sys

arguments = sys.argv[1:]
stay = arguments[0] == "--stay"
target, *texts = arguments[1:] if stay else arguments
if target == "-":
    target = os.environ["NOTIFY_SOCKET"]
if target.startswith("@"):
    target = "\0" + target[1:]
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
    for text in texts:
        sender.sendto(text.encode(), target)
if stay:
    signal.pause()
