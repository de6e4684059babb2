"""What a container's life is at: docker's words, and the sets of them that matter.

Plain strings and no enum: `enum` costs 6 ms of each `runtime run`.  Which becomes
which: `runtime.model.container.lifecycle`.
"""

from __future__ import annotations

CREATED = "created"  # never ran, or its start failed
RUNNING = "running"
PAUSED = "paused"  # its processes are frozen
RESTARTING = "restarting"  # it ended, and starts again after a delay
REMOVING = "removing"
EXITED = "exited"
DEAD = "dead"  # its removal failed
DAMAGED = "damaged"  # its record cannot be read; never on disk

EVERY = (CREATED, RESTARTING, RUNNING, REMOVING, PAUSED, EXITED, DEAD)  # all that a record says
HAS_PROCESS = frozenset({RUNNING, PAUSED})
ALIVE = frozenset({*HAS_PROCESS, RESTARTING})
NEEDS_MONITOR = frozenset({*ALIVE, REMOVING})  # without a living monitor, not true
