"""The containers there are: what each is (`Spec`) and how it fares (`State`), on disk.

``containers/ID`` has spec.json, state.json, and upper/ and work/ of its overlay; names are links
in ``containers/.names``.  A container appears by one rename, with its name taken, and disappears
by another.  Starting and clearing up after it is `runtime.container`'s business.
"""

from __future__ import annotations

import os

from runtime.linux import locks, record_files
from runtime.model import jsontext
from runtime.model.container import names, statuses
from runtime.model.container.spec import Spec
from runtime.model.container.state import State
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.model.image import digest as digests
from runtime.store import events, files
from supervise.model import plain
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.store.layout import Layout

_ID_DIGITS = 64
_NAMES = ".names"
_TRIES = 64  # at a name that is free
_RESERVED = 2048  # bytes of a state at least: the end of a container is written on a full disk too


def new_id() -> str:
    """Return a fresh container id: 64 hexadecimal digits, not all of the first 12 decimal.

    All-decimal short ids would look like numbers to those who use them as host names.
    """
    while True:
        made = os.urandom(_ID_DIGITS // 2).hex()
        if not made[: digests.SHORT].isdecimal():
            return made


class Containers:
    """The containers below one layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def create(self, spec: Spec, state: State | None = None) -> Spec:
        """Write a new container and take its name; an empty name is replaced by a free one.

        Raises:
            RuntimeFailure: the name is in use, or none.
        """
        directory = self._layout.container(spec.id)
        temporary = f"{self._layout.containers}/{files.TEMPORARY}{spec.id}"
        files.make_directories(f"{self._layout.containers}/{_NAMES}")
        with self._changing():
            name = self.reserve_name(spec.id, spec.name)
            spec = spec.replace(name=name)
            os.mkdir(temporary, 0o700)
            for inner in ("upper", "work"):
                os.mkdir(f"{temporary}/{inner}")
                # Whatever the umask: the upper directory's mode is that of the container's "/".
                os.chmod(f"{temporary}/{inner}", 0o755)  # noqa: S103
            files.write_json(f"{temporary}/spec.json", plain.to_plain(spec), sync=False)
            files.write(f"{temporary}/state.json", _encode(state or State()), sync=False)
            os.rename(temporary, directory)
        events.of_container(self._layout, spec, "create")
        return spec

    def load(self, container_id: str) -> tuple[Spec, State]:
        """Return the container's Spec and State.

        Raises:
            RuntimeFailure: it has been removed.
        """
        return self.spec(container_id), self.state(container_id)

    def spec(self, container_id: str) -> Spec:
        """Return what the container is; raises as `load`."""
        found = self._spec_at(self._layout.container(container_id), container_id)
        if found is None:
            raise self._unknown_id(container_id)
        return found

    def state(self, container_id: str) -> State:
        """Return the container's State; raises as `load`."""
        path = f"{self._layout.container(container_id)}/state.json"
        found = record_files.read_record(
            State, path, self._way_out(container_id), problem=_impossible
        )
        if found is None:
            raise self._unknown_id(container_id)
        return found

    def look(self, container_id: str) -> tuple[Spec, State]:
        """Return what `load` does, with `statuses.DAMAGED` where a record cannot be read.

        What is known all the same is the id, the name, and the age.  The command line says
        which file it is.

        Raises:
            RuntimeFailure: it has been removed.
        """
        try:
            spec = self.spec(container_id)
        except DamagedFailure as failure:
            record_files.note(failure)
            return self._stand_in(container_id), State(
                status=statuses.DAMAGED, error=failure.message
            )
        try:
            return spec, self.state(container_id)
        except DamagedFailure as failure:
            record_files.note(failure)
            return spec, State(status=statuses.DAMAGED, error=failure.message)

    def save_state(self, container_id: str, state: State) -> None:
        """Replace the container's State atomically.

        On a full disk the file that is there is written over: it has the room.
        Not forced to the disk: after a power failure no process of it is alive anyway.
        """
        path = f"{self._layout.container(container_id)}/state.json"
        try:
            files.write(path, _encode(state), sync=False)
        except IsADirectoryError:  # a damaged record
            files.remove_tree(path)
            files.write(path, _encode(state), sync=False)
        except OSError as error:
            if not files.is_no_room(error):
                raise
            try:
                files.overwrite(path, _encode(state))
            except OSError:
                files.overwrite(path, _encode(state.replace(health_log=())))

    def save_spec(self, spec: Spec) -> None:
        """Replace what the container is: `update` changes limits and restart policy."""
        path = f"{self._layout.container(spec.id)}/spec.json"
        files.write_json(path, plain.to_plain(spec))

    def list(self) -> tuple[str, ...]:
        """Return the ids of all containers, in no order."""
        return tuple(n for n in self._names_in(self._layout.containers) if len(n) == _ID_DIGITS)

    def find(self, reference: str) -> str:
        """Return the id of the container with this id, name, or only id that starts so.

        Raises:
            RuntimeFailure: no container matches (suggests a name), or several do.
        """
        known = self.list()
        if reference in known:
            return reference
        named = self._named(reference)
        if named in known:
            return named
        found = [i for i in known if i.startswith(reference)] if reference else []
        if len(found) > 1:
            shown = ", ".join(sorted(digests.short(i) for i in found))
            raise RuntimeFailure(f"'{reference}' is the start of several ids: {shown}", code=1)
        if not found:
            raise _unknown(reference, self._names_in(f"{self._layout.containers}/{_NAMES}"))
        return found[0]

    def remove(self, container_id: str) -> None:
        """Remove the container's files.  It must not run, and its root must not be mounted.

        Raises:
            OSError: EXDEV or EBUSY: something is mounted below it after all.
        """
        doomed = self.retire(container_id)
        if doomed is not None:
            self.remove_retired(doomed)

    def retire(self, container_id: str) -> str | None:
        """Hide the container and its name at once; its files are still to be removed.

        Return what `remove_retired` takes, None when another process was faster.
        """
        try:
            return self._retire(container_id)
        except OSError as error:
            if not files.is_no_room(error):
                raise
        # The disk takes not even another name: what the container wrote goes first.
        directory = self._layout.container(container_id)
        for name in os.listdir(directory):
            if name not in ("spec.json", "state.json"):
                files.remove_tree(f"{directory}/{name}")
        return self._retire(container_id)

    def _retire(self, container_id: str) -> str | None:
        doomed = f"{self._layout.containers}/{files.TEMPORARY}{container_id}"
        with self._changing():
            try:
                os.rename(self._layout.container(container_id), doomed)
            except FileNotFoundError:
                return None
            self._release_names(container_id)
        spec = self.retired_spec(doomed)
        events.of_container(self._layout, spec or self._stand_in(container_id), "destroy")
        self._unlink(self._layout.lock(f"container-{container_id}"))
        return doomed

    def retired_spec(self, doomed: str) -> Spec | None:
        """Return what a retired container was, None when that is gone or cannot be read."""
        try:
            return self._spec_at(doomed, os.path.basename(doomed).removeprefix(files.TEMPORARY))
        except DamagedFailure as failure:
            record_files.note(failure)
            return None

    def remove_retired(self, doomed: str) -> None:
        """Remove the files; another process may be doing the same."""
        while os.path.lexists(doomed):
            try:
                files.remove_tree(doomed)
            except FileNotFoundError:  # the other one was faster with an entry
                continue

    def rename(self, container_id: str, name: str) -> None:
        """Give the container another name.

        Raises:
            RuntimeFailure: it is in use, or none.
        """
        with self._changing():
            spec = self.spec(container_id)
            self.reserve_name(container_id, name)
            renamed = spec.replace(name=name)
            self.save_spec(renamed)
            self._unlink(self._name(spec.name))
        events.of_container(self._layout, renamed, "rename", oldName=spec.name)

    def lock(self, container_id: str) -> locks.Lock:
        """Wait for the right to start, stop or remove the container, and hold it."""
        return locks.lock(self._layout.lock(f"container-{container_id}"))

    def reserve_name(self, container_id: str, name: str) -> str:
        """Reserve *name* for *container_id* and return it; if empty, a free one.

        The caller holds the lock of `create`, `remove` and `rename`.

        Raises:
            RuntimeFailure: another container has it, or it is no name.
        """
        if name:
            names.check(name, "container")
            if not self._take(name, container_id):
                other = digests.short(self._named(name))
                raise RuntimeFailure(
                    f'Conflict. The container name "/{name}" is already in use by container {other}',
                    f"runtime rm {name}, or runtime rename {name} OTHER",
                )
            return name
        for _ in range(_TRIES):
            made = names.invent(int.from_bytes(os.urandom(8), "big"))
            if self._take(made, container_id):
                return made
        made = f"{made}_{digests.short(container_id)}"
        self._take(made, container_id)
        return made

    def users_of_image(self, image_id: str) -> tuple[tuple[Spec, State], ...]:
        """Return the containers made from the image."""
        found = [loaded for i in self.list() if (loaded := self._look_if_there(i)) is not None]
        return tuple((spec, state) for spec, state in found if spec.image_id == image_id)

    def heal(self) -> None:
        """Remove what killed processes left half made or half removed."""
        if not os.path.isdir(self._layout.containers):
            return
        with self._changing():
            left = [n for n in os.listdir(self._layout.containers) if n.startswith(files.TEMPORARY)]
            for name in self._names_in(f"{self._layout.containers}/{_NAMES}"):
                if not os.path.isdir(self._layout.container(self._named(name))):
                    self._unlink(self._name(name))
        # Who is removing one at the moment does not mind help.
        for name in left:
            self.remove_retired(f"{self._layout.containers}/{name}")

    # -- inside

    def _changing(self) -> locks.Lock:
        return locks.lock(self._layout.lock("containers"))

    def _look_if_there(self, container_id: str) -> tuple[Spec, State] | None:
        try:
            return self.look(container_id)
        except RuntimeFailure:
            return None  # removed meanwhile

    def _take(self, name: str, container_id: str) -> bool:
        other = self._named(name)
        if other and os.path.isdir(self._layout.container(other)):
            return False
        self._unlink(self._name(name))  # a container that was killed before it was there
        os.symlink(container_id, self._name(name))
        return True

    def _named(self, name: str) -> str:
        try:
            return os.readlink(self._name(name))
        except OSError:  # no such name, or no name at all
            return ""

    def _release_names(self, container_id: str) -> None:
        for name in self._names_in(f"{self._layout.containers}/{_NAMES}"):
            if self._named(name) == container_id:
                self._unlink(self._name(name))

    def _name(self, name: str) -> str:
        return f"{self._layout.containers}/{_NAMES}/{name.replace('/', '-')}"

    def _names_in(self, directory: str) -> tuple[str, ...]:
        try:
            return tuple(n for n in os.listdir(directory) if not n.startswith("."))
        except FileNotFoundError:
            return ()

    def _unlink(self, path: str) -> None:
        try:
            os.unlink(path)
        except FileNotFoundError:
            return

    def _spec_at(self, directory: str, container_id: str) -> Spec | None:
        return record_files.read_record(
            Spec,
            f"{directory}/spec.json",
            self._way_out(container_id),
            problem=lambda spec: _foreign(spec, container_id),
        )

    def _stand_in(self, container_id: str) -> Spec:
        """Return what is known of a container whose record cannot be read."""
        directory = self._layout.container(container_id)
        listed = self._names_in(f"{self._layout.containers}/{_NAMES}")
        name = next((n for n in listed if self._named(n) == container_id), "")
        try:
            created = os.lstat(directory).st_mtime
        except FileNotFoundError:
            created = 0.0
        return Spec(container_id, name or digests.short(container_id), "", "", (), created=created)

    def _unknown_id(self, container_id: str) -> RuntimeFailure:
        """Return what to say of a container without its record: removed, or damaged."""
        directory = self._layout.container(container_id)
        for name in ("spec.json", "state.json"):
            path = f"{directory}/{name}"
            # In this order: a container that is being removed disappears as a whole.
            if not os.path.lexists(path) and os.path.lexists(directory):
                return DamagedFailure(path, "it is missing", self._way_out(container_id))
        return _unknown(digests.short(container_id), ())

    def _way_out(self, container_id: str) -> str:
        return f"runtime rm -f {digests.short(container_id)} removes the container"


def _encode(state: State) -> bytes:
    text = jsontext.dumps(plain.to_plain(state))
    return f"{text:<{_RESERVED - 1}}\n".encode()


def _impossible(state: State) -> str:
    """Return why no monitor can have written that, empty when one can."""
    if state.status not in statuses.EVERY:
        return f"State has 'status' as {state.status!r:.40}: another version wrote it"
    pids = (state.pid, state.monitor_pid)
    if not all(0 <= pid < 1 << 31 for pid in pids):
        return "State has a pid that no process has"
    if not all(record_files.is_time(each) for each in (state.started, state.finished)):
        return "State has a time that no clock shows"
    return ""


def _foreign(spec: Spec, container_id: str) -> str:
    """Return why that is not what the container is, empty when it is."""
    if spec.id != container_id:
        return f"it is of another container, {spec.id!r:.20}"
    return "" if record_files.is_time(spec.created) else "Spec has a time that no clock shows"


def _unknown(reference: str, known: tuple[str, ...]) -> RuntimeFailure:
    near = closest(reference, known)
    hint = f'did you mean "{near}"?' if near else ""
    return RuntimeFailure(f"no such container: {reference}", hint, code=1)
