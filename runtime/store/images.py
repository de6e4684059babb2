"""The images there are: names, configurations, layers.  Reading takes no lock.

``tags.json`` maps full references to ids (``docker.io/library/debian:latest``, and
``…@sha256:DIGEST`` for what came from a registry); ``records/HEX.json`` says what an image is
made of and never changes; its configuration lies in ``blobs``, byte for byte as it came.  Every
change is made under one lock.  Archives are read and written elsewhere: `runtime.store.load`,
`save`, `rootfs`.
"""

from __future__ import annotations

import errno
import os

from runtime.linux import locks, record_files
from runtime.model import timestamp
from runtime.model.contexts import contextmanager, suppress
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.model.image import digest as digests
from runtime.model.image import image_config as model
from runtime.model.image import reference
from runtime.model.image.image_config import ImageConfig
from runtime.store import events, files, host, imagenames, imagerecords
from runtime.store.build_cache import BuildCache
from runtime.store.containers import Containers
from runtime.store.imagerecords import ImageRecord
from runtime.store.layers import Layers
from supervise.model import plain
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.store.layers import LayerMeta, Pin
    from runtime.store.layout import Layout

_HOST_NAMES = (f"{reference.DEFAULT_DOMAIN}/library/{host.NAME}:{reference.DEFAULT_TAG}",)
_RECORD_NAME = 64 + len(".json")
_LOST = ".damaged"  # beside tags.json: one that could not be read
_RETIRED = ".retired"  # an image removed by force while a stopped container still needs it


class Image(Record):
    """One image, with the names it has at the moment."""

    id: str
    names: tuple[str, ...]  # familiar references with tags: debian:latest
    config: ImageConfig
    layers: tuple[str, ...]  # diff ids, lowest first
    created: float  # wall clock seconds; 0.0 unknown
    size: int  # bytes
    is_host: bool = False
    digests: tuple[str, ...] = ()  # familiar references with digests: debian@sha256:…
    sizes: tuple[int, ...] = ()
    parent: str = ""
    manifest: str = ""
    damage: str = ""  # why it cannot be read; then what else is here may be missing


class Images:
    """The images below one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.layers = Layers(layout)

    # -- reading

    def resolve(self, name: str) -> Image:
        """Return the image that *name* means: a reference, an id, or the start of one.

        Raises:
            RuntimeFailure: no image matches (suggests a name), or several do.
        """
        if (found := self.find(name)) is not None:
            return found
        raise self.unknown(name)

    def unknown(self, name: str) -> RuntimeFailure:
        """Return what to say about *name*, which is not here, with what may have been meant."""
        return reference.unknown_image(name, [*self.tags(), *_HOST_NAMES])

    def find(self, name: str) -> Image | None:
        """Return the image that *name* means, None when there is none.

        Raises:
            RuntimeFailure: *name* is the start of several ids, or no name at all; or its record
            cannot be read.
        """
        return _whole(self.look(name))

    def look(self, name: str) -> Image | None:
        """Return what `find` does, and an image with its *damage* where a record cannot be read."""
        tags = self.tags()
        if digests.is_digest(name):
            return self._by_id(name, tags)
        hexadecimal = name.removeprefix(digests.PREFIX)
        if not name.startswith(digests.PREFIX):
            if name in (host.NAME, f"{host.NAME}:{reference.DEFAULT_TAG}"):
                return self.host()
            by_name = self._by_reference(name, tags)
            if by_name is not None:
                return by_name
        if digests.is_hex(hexadecimal):
            return self._by_prefix(hexadecimal, tags)
        return None

    def get(self, image_id: str) -> Image | None:
        """Return the image with this very id, also one that only a container still needs.

        Raises:
            DamagedFailure: its record cannot be read.
        """
        found = self._by_id(image_id, self.tags())
        if found is None and digests.is_digest(image_id):
            found = self._read(image_id, {}, suffix=_RETIRED)
        return _whole(found)

    def list(self) -> tuple[Image, ...]:
        """Return all images but `host`, the newest first; those with *damage* too."""
        tags = self.tags()
        found = [self._by_id(image_id, tags) for image_id in self.ids()]
        known = [image for image in found if image is not None]
        return tuple(sorted(known, key=lambda image: (-image.created, image.names, image.id)))

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all images but `host`."""
        try:
            names = os.listdir(self.layout.records)
        except FileNotFoundError:
            return ()
        return tuple(
            digests.PREFIX + n[:-5]
            for n in names
            if n.endswith(".json") and digests.is_hex(n[:-5]) and len(n) == _RECORD_NAME
        )

    def tags(self) -> dict[str, str]:
        """Return full reference → image id; empty when the file cannot be read."""
        try:
            return imagerecords.read_tags(self.layout.tags)
        except DamagedFailure as failure:
            record_files.note(failure)
            return {}

    def has_lost_names(self) -> bool:
        """Return whether the names of images were lost: then who has none may have had one."""
        try:
            imagerecords.read_tags(self.layout.tags)
        except DamagedFailure:
            return True
        return os.path.lexists(self.layout.tags + _LOST)

    def host(self) -> Image:
        """Return this machine's own root file system as an image."""
        config = host.configuration()
        image_id = digests.digest_of(model.to_json(config))
        return Image(
            id=image_id,
            names=(f"{host.NAME}:{reference.DEFAULT_TAG}",),
            config=config,
            layers=(),
            created=0.0,
            size=0,
            is_host=True,
        )

    def lowers(self, image: Image) -> tuple[str, ...]:
        """Return the directories of *image* for `runtime.linux.overlay.mount`, top first."""
        # overlayfs refuses one directory twice; of equal layers only the topmost shows anyway.
        own = [self.layers.path(d) for d in dict.fromkeys(reversed(image.layers))]
        return (*own, "/") if image.is_host else tuple(own)

    def hidden(self) -> tuple[str, ...]:
        """Return what `runtime.linux.overlay.mount` must hide of ``/``: our own state."""
        return os.path.realpath(self.layout.root), os.path.realpath(self.layout.run)

    def config_bytes(self, image: Image) -> bytes:
        """Return the configuration as it came.

        Raises:
            RuntimeFailure: the image has just been removed.
            DamagedFailure: it cannot be read.
        """
        data = record_files.read(self._blob(image.id), imagerecords.way_out(image.id))
        if data is not None:
            return data
        made = model.to_json(image.config)  # `host` has no file
        if digests.digest_of(made) != image.id:
            raise _removed(image)
        return made

    def document(self, image_id: str) -> bytes | None:
        """Return the configuration with this digest as it came, None when it is not there.

        What cannot be read is not there: it is fetched anew.
        """
        with suppress(DamagedFailure):
            record = imagerecords.read_record(self._record(image_id))
            if record is not None and not record.is_host:
                return record_files.read(self._blob(image_id))
        return None

    def hold(self, image: Image, pin: Pin) -> tuple[LayerMeta, ...]:
        """Keep all layers of *image* in *pin* and return what is known of them, lowest first.

        The image may lose its names and its record meanwhile; who holds it can read it to the end.

        Raises:
            RuntimeFailure: it has just been removed.
        """
        found = []
        for diff_id in image.layers:
            meta = self.layers.hold(diff_id, pin)
            if meta is None:
                raise _removed(image)
            found.append(meta)
        return tuple(found)

    def manifest_bytes(self, image: Image) -> bytes | None:
        """Return the manifest as it came, None when it came without one."""
        if not image.manifest:
            return None
        return record_files.read(self._blob(image.manifest), imagerecords.way_out(image.id))

    @contextmanager
    def pinned(self, image: Image) -> Iterator[None]:
        """Keep *image* from being removed, until a container says that it needs it.

        Raises:
            RuntimeFailure: it has just been removed.
        """
        try:
            lock = locks.lock_existing(self._record(image.id), shared=True)
        except FileNotFoundError:
            if image.id == self.host().id:
                yield
                return
            raise reference.unknown_image(digests.short(image.id), self.tags()) from None
        assert lock is not None  # it waited
        with lock:
            yield

    # -- changing

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock under which names and records are written."""
        for directory in (self.layout.blobs, self.layout.records):
            files.make_directories(directory)
        with locks.lock(self.layout.lock("images")):
            yield

    def add(
        self,
        config: bytes,
        names: Sequence[str] = (),
        *,
        now: float,
        manifest: bytes = b"",
        is_host: bool = False,
        parent: str = "",
    ) -> Image:
        """Make an image of the *config* document, whose layers a pin of the caller holds.

        *names* are references that lead to it from now on.  *manifest* is kept beside it.
        *is_host* is for what was built on `host` here; nothing in *config* can say so, or an
        image from elsewhere could show this machine's files to its containers.

        Raises:
            RuntimeFailure: *config* is not valid, or a layer is not there.
        """
        image_id = digests.digest_of(config)
        try:
            parsed = model.from_json(config)
        except ValueError as error:
            raise RuntimeFailure(f"cannot read the image's configuration: {error}") from error
        full_names = [imagenames.full(name) for name in names]
        metas = [self.layers.meta(diff_id) for diff_id in parsed.diff_ids]
        missing = [d for d, m in zip(parsed.diff_ids, metas, strict=True) if m is None]
        if missing:
            raise RuntimeFailure(f"cannot add the image: its layer {missing[0]} is not there")
        record = ImageRecord(
            id=image_id,
            layers=parsed.diff_ids,
            sizes=tuple(meta.size for meta in metas if meta),
            manifest=digests.digest_of(manifest) if manifest else "",
            is_host=is_host,
            parent=parent,
            loaded=now,
        )
        with self.changing():
            for document in filter(None, (config, manifest)):
                files.write(self._blob(digests.digest_of(document)), document)
            if not os.path.exists(self._record(image_id)):
                files.write_json(self._record(image_id), plain.to_plain(record))
            self.write_tags({**self.tags(), **dict.fromkeys(full_names, image_id)})
            image = self.get(image_id)  # before a prune beside us has the lock
        for name in full_names:
            self._emit("tag", image_id, name)
        if image is None:
            shown = full_names[0] if full_names else digests.short(image_id)
            raise RuntimeFailure(f"image '{shown}' was removed meanwhile", code=1)
        return image

    def tag(self, image: Image, name: str) -> None:
        """Give *name* to *image*; another image that had it loses it.

        Raises:
            RuntimeFailure: *name* is no name, or it is `host`'s.
        """
        full = imagenames.full(name)
        if image.id == self.host().id:
            raise RuntimeFailure(
                "cannot tag 'host': it is this machine and not in the store",
                "build an image FROM host and tag that",
            )
        with self.changing():
            if not os.path.exists(self._record(image.id)):
                raise reference.unknown_image(digests.short(image.id), self.tags())
            self.write_tags({**self.tags(), full: image.id})
        self._emit("tag", image.id, full)

    def _emit(self, action: str, image_id: str, full_name: str) -> None:
        name = {"name": reference.parse(full_name).familiar}
        events.emit(self.layout, "image", action, image_id, name)

    def write_tags(self, tags: dict[str, str]) -> None:
        """Replace all names; the caller holds `changing`.

        What lies there and cannot be read is kept beside it, for a person.
        """
        try:
            imagerecords.read_tags(self.layout.tags)
        except DamagedFailure:
            files.remove_tree(self.layout.tags + _LOST)
            os.rename(self.layout.tags, self.layout.tags + _LOST)
        files.write_json(self.layout.tags, dict(sorted(tags.items())))

    def forget_lost_names(self) -> None:
        """Remove what `write_tags` kept: no image is left that may have had one of the names."""
        files.remove_tree(self.layout.tags + _LOST)

    def discard(self, image_id: str, *, retire: bool) -> bool:
        """Delete the record; the caller holds `changing`, has taken the names, and collects.

        With *retire* a container still finds the image by its id.  False when a container is
        being made from it: then nothing has changed.
        """
        path = self._record(image_id)
        try:
            lock = locks.lock_existing(path, wait=False)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):  # a link, a socket
                raise
            files.remove_tree(path)
            return True
        if lock is None:
            return False
        with lock:
            if retire:
                os.rename(path, path + _RETIRED)
            else:
                files.remove_tree(path)
        return True

    def tidy(self) -> None:
        """Remove what no image and no container needs, and what killed processes left."""
        if not os.path.isdir(self.layout.records):
            return
        with self.changing():
            containers = Containers(self.layout)
            for name in os.listdir(self.layout.records):
                if name.endswith(_RETIRED):
                    path = f"{self.layout.records}/{name}"
                    image_id = digests.PREFIX + name.partition(".")[0]
                    if not containers.users_of_image(image_id) or imagerecords.is_damaged(path):
                        files.remove_tree(path)
            self.collect()

    def collect(self) -> tuple[str, ...]:
        """Remove the layers and documents that no record names; the caller holds `changing`.

        Nothing as long as one cannot be read: it may name any of them.  Returns the diff ids of the
        layers removed.
        """
        records = self._all_records()
        if records is None:
            return ()
        documents = {digests.hex_of(d) for r in records for d in (r.id, r.manifest) if d}
        for name in os.listdir(self.layout.blobs):
            if name not in documents:
                files.remove_tree(f"{self.layout.blobs}/{name}")
        for directory in (self.layout.records, self.layout.images):
            for name in os.listdir(directory):
                if name.startswith(files.TEMPORARY):
                    files.remove_tree(f"{directory}/{name}")
        cache = BuildCache(self.layout)
        cache.tidy()
        wanted = {*(d for r in records for d in r.layers), *cache.layers()}
        return tuple(self.layers.collect(wanted))

    def _all_records(self) -> tuple[ImageRecord, ...] | None:
        """Return all records, those of retired images too; None when one cannot be read."""
        names = [n for n in os.listdir(self.layout.records) if n.endswith((".json", _RETIRED))]
        try:
            found = [imagerecords.read_record(f"{self.layout.records}/{name}") for name in names]
        except DamagedFailure as failure:
            record_files.note(failure)
            return None
        return tuple(record for record in found if record is not None)

    # -- inside

    def _by_reference(self, name: str, tags: dict[str, str]) -> Image | None:
        try:
            wanted = reference.parse(name)
        except RuntimeFailure:
            if digests.is_hex(name):  # 64 digits are an id
                return None
            raise
        by_digest = f"{wanted.name}@{wanted.digest}"
        image_id = tags.get(by_digest if wanted.digest else str(wanted))
        return self._by_id(image_id, tags) if image_id else None

    def _by_prefix(self, prefix: str, tags: dict[str, str]) -> Image | None:
        known = [*self.ids(), self.host().id]
        found = [i for i in known if i[len(digests.PREFIX) :].startswith(prefix)]
        if len(found) > 1:
            shown = reference.listed(map(digests.short, found))
            raise RuntimeFailure(f"'{prefix}' is the start of several image ids: {shown}")
        return self._by_id(found[0], tags) if found else None

    def _by_id(self, image_id: str, tags: dict[str, str]) -> Image | None:
        if not digests.is_digest(image_id):  # of a container whose record cannot be read
            return None
        if (found := self._read(image_id, tags)) is not None:
            return found
        mine = self.host()
        return mine if image_id == mine.id else None

    def _read(self, image_id: str, tags: dict[str, str], suffix: str = "") -> Image | None:
        names = sorted(
            n for n, found in tags.items() if found == image_id and imagenames.is_name(n)
        )
        damage, parsed = "", ImageConfig()
        try:
            record = imagerecords.read_record(self._record(image_id) + suffix)
            if record is None:
                return None
            parsed = imagerecords.read_config(self._blob(image_id), image_id)
        except DamagedFailure as failure:
            if not os.path.lexists(self._record(image_id) + suffix):
                return None  # removed meanwhile
            record_files.note(failure)
            damage, record = failure.message, ImageRecord(id=image_id)
        return Image(
            id=image_id,
            damage=damage,
            names=tuple(imagenames.familiar(name) for name in names if "@" not in name),
            config=parsed,
            layers=record.layers,
            created=_seconds(parsed.created),
            size=sum(record.sizes),
            is_host=record.is_host,
            digests=tuple(imagenames.familiar(name) for name in names if "@" in name),
            sizes=record.sizes,
            parent=record.parent,
            manifest=record.manifest,
        )

    def _record(self, image_id: str) -> str:
        return f"{self.layout.records}/{digests.hex_of(image_id)}.json"

    def _blob(self, digest: str) -> str:
        return f"{self.layout.blobs}/{digests.hex_of(digest)}"


def _removed(image: Image) -> RuntimeFailure:
    shown = image.names[0] if image.names else digests.short(image.id)
    return RuntimeFailure(f"image '{shown}' was removed meanwhile", code=1)


def _whole(image: Image | None) -> Image | None:
    """Return *image*; raise DamagedFailure when its record cannot be read."""
    if image is not None and image.damage:
        raise DamagedFailure.of(image.damage, imagerecords.way_out(image.id))
    return image


def _seconds(created: str) -> float:
    try:
        return timestamp.parse(created)
    except ValueError:
        return 0.0  # a time that no program can read is no reason to refuse an image
