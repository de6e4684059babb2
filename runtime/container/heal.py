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
from runtime.model.container import statuses
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest
from runtime.store import events, files
from runtime.store.containers import Containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Spec
    from runtime.model.container.state import State
    from runtime.store.layout import Layout

ALIVE = "alive"
_MARKER = "healed"  # in the run directory: this boot has been looked through
_SIGKILL = 9
_KILLED = 128 + _SIGKILL
_ENDING = 10.0  # seconds a killed process may take to go


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
        remarks += _clear(layout, containers, container_id)
    if first:
        remarks += _after_boot(layout, containers)
    if dead:
        from runtime.store.images import Images

        Images(layout).tidy()  # layers that a build was at
    if dead or first:
        from runtime.network.catalog import Catalog
        from runtime.network.networks import Networks
        from runtime.store.volumes import Volumes

        live = [name for name in _listed(f"{layout.run}/containers") if name not in dead]
        catalog = Catalog(layout)
        Networks(catalog).heal(live)
        unhealed = catalog.take_remarks()
        remarks += unhealed
        if unhealed:  # the next command is to look through everything again
            with suppress(FileNotFoundError):
                os.unlink(f"{layout.run}/{_MARKER}")
        Volumes(layout).heal()
    if any(name.startswith(files.TEMPORARY) for name in _listed(layout.containers)):
        _finish_removals(layout)
        containers.heal()
    return remarks


def is_alive(layout: Layout, container_id: str) -> bool:
    """Return whether the container has a monitor."""
    try:
        lock = locks.lock_existing(f"{layout.container_run(container_id)}/{ALIVE}", wait=False)
    except OSError:  # none, or no file: a monitor makes its own
        return False
    if lock is None:
        return True
    lock.release()
    return False


def believed(layout: Layout, spec: Spec, state: State) -> tuple[Spec, State]:
    """Return what is true of a container whose records say *spec* and *state*.

    A record is believed only together with a living monitor: on a full disk the end of a container
    may have been left unwritten.  Then it is written now, if the disk takes it.

    Raises:
        RuntimeFailure: it has been removed meanwhile.
    """
    if state.status not in statuses.NEEDS_MONITOR or is_alive(layout, spec.id):
        return spec, state
    containers = Containers(layout)
    spec, state = containers.look(spec.id)  # a monitor writes the end before it goes
    if state.status not in statuses.NEEDS_MONITOR or is_alive(layout, spec.id):
        return spec, state
    with suppress(OSError):  # a full disk: the next command tries again
        _clear(layout, containers, spec.id)
    spec, state = containers.look(spec.id)
    if state.status in statuses.NEEDS_MONITOR and not is_alive(layout, spec.id):
        state = _ended(state)
    return spec, state


def _listed(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _is_dead(layout: Layout, container_id: str) -> bool:
    """Return whether the run directory is one that a killed monitor left."""
    try:
        busy = locks.lock_existing(layout.lock(f"container-{container_id}"), wait=False)
    except OSError:
        # A start makes it before the run directory, a removal takes it away before.
        return not is_alive(layout, container_id)
    if busy is None:  # somebody is starting or removing it
        return False
    with busy:
        return not is_alive(layout, container_id)


def _clear(layout: Layout, containers: Containers, container_id: str) -> list[str]:
    """Undo everything of a container whose monitor is gone; return what could not be done."""
    remarks: list[str] = []
    with containers.lock(container_id):
        if is_alive(layout, container_id):  # started anew meanwhile
            return remarks
        try:
            loaded = containers.look(container_id)
        except RuntimeFailure:
            loaded = None  # its record was removed already
        _kill(container_id, loaded[1] if loaded else None)
        try:
            if loaded is not None:
                _record_end(layout, containers, *loaded)
            # A build's worker has its steps' files here: see `runtime.builder.steps.sandbox`.
            remains.clear_away(f"{layout.root}/build/work/{container_id}")
            remains.remove_run_directory(layout, container_id)
        except OSError as error:  # a full disk: the others are healed all the same
            remarks.append(_unhealed(container_id, error))
    with suppress(FileNotFoundError):
        if not os.path.isdir(layout.container(container_id)):
            os.unlink(layout.lock(f"container-{container_id}"))
    return remarks


def _record_end(layout: Layout, containers: Containers, spec: Spec, state: State) -> None:
    """Write that the container has ended, or remove it when it is to leave nothing."""
    if spec.auto_remove:
        remains.forget(layout, spec)
    elif state.status in statuses.NEEDS_MONITOR or (
        state.status == statuses.DAMAGED and spec.image_id
    ):
        # A state that a power failure left empty is no loss: nothing of the container runs.
        containers.save_state(spec.id, _ended(state))
        events.of_container(layout, spec, "die", exitCode=str(_KILLED))


def _unhealed(container_id: str, error: OSError) -> str:
    where = f" '{error.filename}':" if error.filename else ""
    return (
        f"cannot clear up after container {digest.short(container_id)}:{where} "
        f"{error.strerror or error}; the next command tries again"
    )


def _ended(state: State) -> State:
    return state.replace(
        status=statuses.EXITED,
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


def _after_boot(layout: Layout, containers: Containers) -> list[str]:
    """Correct the records that say something runs; remove what builds were at."""
    remarks: list[str] = []
    for worker_id in _listed(f"{layout.root}/build/work"):
        if not is_alive(layout, worker_id):
            remains.clear_away(f"{layout.root}/build/work/{worker_id}")
    for container_id in containers.list():
        with suppress(RuntimeFailure):  # removed meanwhile
            _, state = containers.look(container_id)
            if state.status in (*statuses.NEEDS_MONITOR, statuses.DAMAGED) and not is_alive(
                layout, container_id
            ):
                with suppress(OSError):  # a full disk: it only says again where we were
                    files.make_directories(layout.container_run(container_id))
                remarks += _clear(layout, containers, container_id)
    try:
        files.make_directories(layout.run)
        files.write(f"{layout.run}/{_MARKER}", b"", sync=False)
    except OSError as error:  # the next command looks through everything again
        if not files.is_no_room(error):
            raise
    return remarks


def _finish_removals(layout: Layout) -> None:
    """Remove the anonymous volumes of containers whose removal was interrupted."""
    for name in _listed(layout.containers):
        if name.startswith(files.TEMPORARY) and digest.is_hex(name[len(files.TEMPORARY) :]):
            spec = Containers(layout).retired_spec(f"{layout.containers}/{name}")
            if spec is not None:
                remains.remove_anonymous_volumes(layout, spec)
