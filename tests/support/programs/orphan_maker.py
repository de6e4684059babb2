#!/usr/bin/env python3
"""orphan_maker.py COUNT: make COUNT orphans that die at once, as fast as this machine can.

Each child's parent does not wait for it and dies in the end, so that all become PID 1's: the dead
at once, in one burst a parent.  Prints "made COUNT" when the last parent is gone.
"""

import os
import sys

A_PARENT = 500  # children of one parent: more parents would fork more, fewer hold more zombies

left = int(sys.argv[1])
while left:
    batch = min(left, A_PARENT)
    parent = os.fork()
    if not parent:
        for _ in range(batch):
            if not os.fork():
                os._exit(0)
        os._exit(0)
    os.waitpid(parent, 0)
    left -= batch
print(f"made {sys.argv[1]}", flush=True)
