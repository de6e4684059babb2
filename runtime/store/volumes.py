"""Named volumes: directories that outlive the containers that use them.

``volumes/NAME`` has ``_data`` and ``meta.json``.  Filling a fresh one from the image and mounting
it is `runtime.container`'s business.
"""

from __future__ import annotations

import os

from runtime.linux import locks, record_files
from runtime.model.container import names
from runtime.model.contexts import suppress
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.model.image import digest as digests
from runtime.store import events, files
from runtime.store.containers import Containers
from supervise.model import plain
from supervise.model.record import Record
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runtime.model.container.spec import Spec
    from runtime.store.layout import Layout


_LOCAL = {"driver": "local"}


class Volume(Record):
    """One volume."""

    name: str
    created: float  # wall clock seconds
    labels: Mapping[str, str] = {}
    anonymous: bool = False  # made for one container, which `rm -v` and `--rm` take along


class Volumes:
    """The volumes below one layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def path(self, name: str) -> str:
        """Return the directory to mount, whether the volume is there or not."""
        return f"{self._layout.volumes}/{name}/_data"

    def ensure(
        self,
        name: str = "",
        *,
        now: float,
        labels: Mapping[str, str] | None = None,
        anonymous: bool = False,
    ) -> tuple[Volume, bool]:
        """Return the volume *name* and whether it is fresh; an empty name makes an anonymous one.

        *anonymous* says so of a name that the caller made up.

        Raises:
            RuntimeFailure: *name* cannot be a name.
        """
        anonymous = anonymous or not name
        name = name or os.urandom(32).hex()
        names.check(name, "volume")
        files.make_directories(self._layout.volumes)
        with self._changing():
            if (found := self.find(name)) is not None:
                return found, False
            made = Volume(name, now, dict(labels or {}), anonymous)
            temporary = f"{self._layout.volumes}/{files.TEMPORARY}{name}"
            files.remove_tree(temporary)
            os.mkdir(temporary, 0o700)
            os.mkdir(f"{temporary}/_data")
            os.chmod(f"{temporary}/_data", 0o755)  # noqa: S103 - whatever the umask
            files.write_json(f"{temporary}/meta.json", plain.to_plain(made))
            os.rename(temporary, f"{self._layout.volumes}/{name}")
        events.emit(self._layout, "volume", "create", name, _LOCAL)
        return made, True

    def find(self, name: str) -> Volume | None:
        """Return the volume *name*, None when there is none."""
        if "/" in name or name.startswith("."):
            return None
        directory = f"{self._layout.volumes}/{name}"
        if not os.path.lexists(directory):
            return None
        hint = f"its files are used all the same; runtime volume rm {name} removes the volume"
        path = f"{directory}/meta.json"
        try:
            found = record_files.read_record(
                Volume, path, hint, problem=lambda each: _foreign(each, name)
            )
            failure = DamagedFailure(path, "it is missing", hint)
        except DamagedFailure as error:
            found, failure = None, error
        if found is not None:
            return found
        if not os.path.lexists(directory):
            return None  # removed meanwhile
        record_files.note(failure)
        # Its files are all there.  Nobody but us makes up names of 64 digits.
        return Volume(name, _made(directory), anonymous=len(name) == 64 and digests.is_hex(name))

    def get(self, name: str) -> Volume:
        """Return the volume *name*.

        Raises:
            RuntimeFailure: there is no such volume; suggests a name.
        """
        found = self.find(name)
        if found is None:
            near = closest(name, [volume.name for volume in self.list()])
            hint = f'did you mean "{near}"?' if near else ""
            raise RuntimeFailure(f"no such volume: {name}", hint, code=1)
        return found

    def list(self) -> tuple[Volume, ...]:
        """Return all volumes, by name."""
        try:
            listed = sorted(os.listdir(self._layout.volumes))
        except FileNotFoundError:
            return ()
        return tuple(found for name in listed if (found := self.find(name)) is not None)

    def remove(self, name: str) -> None:
        """Remove the volume and all that is in it.

        Raises:
            RuntimeFailure: there is no such volume, or a container uses it.
        """
        with self._changing():
            self.get(name)
            if users := self.users(name):
                shown = ", ".join(users)
                raise RuntimeFailure(
                    f"cannot remove volume '{name}': container {shown} uses it",
                    "remove the container first",
                    code=1,
                )
            doomed = f"{self._layout.volumes}/{files.TEMPORARY}{name}"
            files.remove_tree(doomed)
            os.rename(f"{self._layout.volumes}/{name}", doomed)
        events.emit(self._layout, "volume", "destroy", name, _LOCAL)
        files.remove_tree(doomed)

    def users(self, name: str) -> tuple[str, ...]:
        """Return the names of the containers that mount the volume, as far as is known."""
        return tuple(
            spec.name
            for spec in self._specs()
            if any(mount.kind == "volume" and mount.source == name for mount in spec.mounts)
        )

    def unused(self) -> tuple[Volume, ...]:
        """Return the volumes that no container mounts.

        There are none as long as a container's record cannot be read: it may mount any of them.
        """
        if not all(spec.image_id for spec in self._specs()):
            return ()
        return tuple(volume for volume in self.list() if not self.users(volume.name))

    def _specs(self) -> Iterator[Spec]:
        containers = Containers(self._layout)
        for container_id in containers.list():
            with suppress(RuntimeFailure):  # removed meanwhile
                yield containers.look(container_id)[0]

    def heal(self) -> None:
        """Remove what killed processes left half made or half removed."""
        if not os.path.isdir(self._layout.volumes):
            return
        with self._changing():
            for name in os.listdir(self._layout.volumes):
                if name.startswith(files.TEMPORARY):
                    files.remove_tree(f"{self._layout.volumes}/{name}")

    def _changing(self) -> locks.Lock:
        return locks.lock(self._layout.lock("volumes"))


def _made(directory: str) -> float:
    try:
        return os.lstat(directory).st_mtime
    except FileNotFoundError:  # removed meanwhile
        return 0.0


def _foreign(volume: Volume, name: str) -> str:
    """Return why that is not what the volume is, empty when it is."""
    if volume.name != name:
        return f"it is of another volume, {volume.name!r:.40}"
    return "" if record_files.is_time(volume.created) else "Volume has a time that no clock shows"
