#!/usr/bin/env python3
"""turned_clock.py FILE -- ARGUMENTS: `supervise` on a machine whose clock is set back an hour.

The wall clock (time.time) jumps back when FILE appears.  Setting the machine's real clock would
turn it for everything else on the machine; the monotonic clock cannot be turned at all.
"""

import importlib
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

HOUR = 3600.0  # seconds
file = os.path.abspath(sys.argv[1])  # PID 1 changes its directory
sys.argv[1:] = sys.argv[3:]
real_time = time.time
time.time = lambda: real_time() - (HOUR if os.path.exists(file) else 0.0)
sys.exit(importlib.import_module("supervise.__main__").main())
