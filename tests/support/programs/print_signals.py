#!/usr/bin/env python3
"""Print the number of every signal that arrives, one a line; arguments are those that end it.

Signals are waited for, not handled, so that none is lost and their order of arrival is kept.
"""

import signal
import sys

last = {int(argument) for argument in sys.argv[1:]}
catchable = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
signal.pthread_sigmask(signal.SIG_BLOCK, catchable)
print("ready", flush=True)
while True:
    number = int(signal.sigwait(catchable))
    print(f"got {number}", flush=True)
    if number in last:
        sys.exit(0)
