"""Clearing up after processes that were killed, at the next command.

A container's run directory is made before anything else of a start and removed after everything
else, so whoever was killed half-way left one, with the lock ``alive`` free.  What such a
container had is found by its id: processes, cgroup, leases, record.  After a reboot the run
directory is gone altogether, and every record that says "running" is wrong.
"""

from __future__ import annotations

import os
import time

from runtime.container import remains
from runtime.linux import locks
from runtime.model import digest
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.model.spec import Spec
from runtime.store import events, files
from runtime.store.containers import Containers
from supervise.model import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.state import State
    from runtime.store.layout import Layout

ALIVE = "alive"
_MARKER = "healed"  # in the run directory: this boot has been looked through
_SIGKILL = 9
_KILLED = 128 + _SIGKILL
_ENDING = 10.0  # seconds a killed process may take to go
_LIVING = ("running", "paused", "restarting", "removing")


def heal(layout: Layout) -> list[str]:
    """Clear up what no living monitor answers for; costs some system calls a running container.

    Returns what a person should know: what could not be cleared, and is tried again next time.
    """
    remarks: list[str] = []
    directory = f"{layout.run}/containers"
    names = _listed(directory)
    for name in [name for name in names if name.startswith(files.TEMPORARY)]:
        names.remove(name)
        remains.clear_away(f"{directory}/{name}")
    dead = [name for name in names if _is_dead(layout, name)]
    first = not os.path.exists(f"{layout.run}/{_MARKER}")
    containers = Containers(layout)
    for container_id in dead:
        _clear(layout, containers, container_id)
    if first:
        _after_boot(layout, containers)
    if dead:
        from runtime.store.images import Images

        Images(layout).tidy()  # layers that a build was at
    if dead or first:
        from runtime.network.catalog import Catalog
        from runtime.network.networks import Networks
        from runtime.store.volumes import Volumes

        live = [name for name in _listed(f"{layout.run}/containers") if name not in dead]
        networks = Catalog(layout)
        Networks(networks).heal(live)
        remarks = networks.take_remarks()
        if remarks:  # the next command is to look through everything again
            with suppress(FileNotFoundError):
                os.unlink(f"{layout.run}/{_MARKER}")
        Volumes(layout).heal()
    if any(name.startswith(files.TEMPORARY) for name in _listed(layout.containers)):
        _finish_removals(layout)
        containers.heal()
    return remarks


def is_alive(layout: Layout, container_id: str) -> bool:
    """Tell whether the container has a monitor."""
    try:
        lock = locks.lock_existing(f"{layout.container_run(container_id)}/{ALIVE}", wait=False)
    except FileNotFoundError:
        return False
    if lock is None:
        return True
    lock.release()
    return False


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _is_dead(layout: Layout, container_id: str) -> bool:
    """Tell whether the run directory is one that a killed monitor left."""
    try:
        busy = locks.lock_existing(layout.lock(f"container-{container_id}"), wait=False)
    except FileNotFoundError:
        # A start makes it before the run directory, a removal takes it away before.
        return not is_alive(layout, container_id)
    if busy is None:  # somebody is starting or removing it
        return False
    with busy:
        return not is_alive(layout, container_id)


def _clear(layout: Layout, containers: Containers, container_id: str) -> None:
    """Undo everything of a container whose monitor is gone."""
    with containers.lock(container_id):
        if is_alive(layout, container_id):  # started anew meanwhile
            return
        try:
            loaded = containers.load(container_id)
        except RuntimeFailure:
            loaded = None  # its record was removed already
        _kill(container_id, loaded[1] if loaded else None)
        if loaded is not None:
            spec, state = loaded
            if spec.auto_remove:
                remains.forget(layout, spec)
            elif state.status in _LIVING:
                containers.save_state(container_id, _ended(state))
                events.of_container(layout, spec, "die", exitCode=str(_KILLED))
        # A build's worker has its steps' files here: see `runtime.build.sandbox`.
        remains.clear_away(f"{layout.root}/build/work/{container_id}")
        remains.remove_run_directory(layout, container_id)
    with suppress(FileNotFoundError):
        if not os.path.isdir(layout.container(container_id)):
            os.unlink(layout.lock(f"container-{container_id}"))


def _ended(state: State) -> State:
    return state.replace(
        status="exited",
        exit_code=_KILLED,
        error="its monitor was killed, or the machine went down",
        finished=time.time(),
        pid=0,
        monitor_pid=0,
        endpoints=(),
    )


def _kill(container_id: str, state: State | None) -> None:
    """End the container's processes and remove its cgroup."""
    from runtime.linux import cgroups, processes

    group = cgroups.of(container_id)
    if state is not None and state.pid and processes.exists(state.pid, state.pid_started):
        with suppress(ProcessLookupError):
            os.kill(state.pid, _SIGKILL)
    end = time.monotonic() + _ENDING
    while group.processes() and time.monotonic() < end:
        group.kill()
        time.sleep(0.001)
    group.remove()


def _after_boot(layout: Layout, containers: Containers) -> None:
    """Correct the records that say something runs; remove what builds were at."""
    for worker_id in _listed(f"{layout.root}/build/work"):
        if not is_alive(layout, worker_id):
            remains.clear_away(f"{layout.root}/build/work/{worker_id}")
    for container_id in containers.list():
        with suppress(RuntimeFailure):  # removed meanwhile
            if containers.state(container_id).status in _LIVING and not is_alive(
                layout, container_id
            ):
                files.make_directories(layout.container_run(container_id))
                _clear(layout, containers, container_id)
    files.make_directories(layout.run)
    files.write(f"{layout.run}/{_MARKER}", b"", sync=False)


def _finish_removals(layout: Layout) -> None:
    """Remove the anonymous volumes of containers whose removal was interrupted."""
    for name in _listed(layout.containers):
        if name.startswith(files.TEMPORARY) and digest.is_hex(name[len(files.TEMPORARY) :]):
            found = files.read_json(f"{layout.containers}/{name}/spec.json")
            if found is not None:
                remains.remove_anonymous_volumes(layout, plain.from_plain(Spec, found))
