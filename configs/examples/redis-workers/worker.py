"""Take jobs from the list `jobs` until told to stop; a job is a number of milliseconds to work.

While it is worked on, a job is in a list of the worker's own: whoever is killed finds it there.
"""

import os
import signal
import time

import redis

name = os.environ["NAME"]
mine = f"at work:{name}"
stopping = []  # holds the signal once there was one
signal.signal(signal.SIGTERM, lambda number, _frame: stopping.append(number))
queue = redis.Redis(decode_responses=True)

while queue.lmove(mine, "jobs", "RIGHT", "RIGHT"):
    print("put back what it was killed at", flush=True)
while not stopping:
    job = queue.blmove("jobs", mine, 1, "RIGHT", "LEFT")  # waits a second at most
    if job:
        time.sleep(int(job) / 1000)
        with queue.pipeline() as step:
            step.lrem(mine, 1, job).hincrby("done", name, 1).execute()
        print("done", job, flush=True)
