"""Fork a container's monitor from the command that starts it."""

from __future__ import annotations

import _socket
import gc
import os

from runtime.container.heal import ALIVE
from runtime.container.monitor.monitor import Monitor
from runtime.container.start import becoming
from runtime.linux import locks
from runtime.linux.failpoints import reached
from runtime.model.container.spec import Spec
from runtime.model.errors import RuntimeFailure
from runtime.store import files
from runtime.store.containers import Containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from runtime.store.layout import Layout


def spawn(layout: Layout, spec: Spec) -> _socket.socket:
    """Fork the monitor of a container that is on disk and start it; return the attached client's end.

    The first frame on it is STARTED or FAILED.

    Raises:
        RuntimeFailure: it has a monitor already, or the disk takes no directory for it.
    """
    run = layout.container_run(spec.id)
    try:
        files.make_directories(layout.locks)
        # So that no other command takes the fresh directory for remains.
        with Containers(layout).lock(spec.id):
            files.make_directories(run)
            alive = locks.try_lock(f"{run}/{ALIVE}")
    except OSError as error:
        raise RuntimeFailure(
            f"cannot start '{spec.name}': '{error.filename or run}' {error.strerror or error}"
        ) from error
    if alive is None:
        raise RuntimeFailure(f"container '{spec.name}' is running already", code=1)
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    reached("before-monitor")
    gc.freeze()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _become(layout, spec, theirs, alive)
    theirs.close()
    alive.release()
    return ours


def _become(layout: Layout, spec: Spec, client: _socket.socket, alive: locks.Lock) -> NoReturn:
    """Leave the command's session and be the monitor; never returns."""
    code = 1
    try:
        os.setsid()
        os.chdir("/")
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        # A pipe of the command's caller would never see its end.
        becoming.close_all_but((null, client.fileno(), alive.fd))
        Monitor(layout, spec, client).run()
        code = 0
    finally:
        os._exit(code)
