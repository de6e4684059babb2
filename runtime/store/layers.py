"""Unpacked layers, one a diff id, shared by all images that have it.

``layers/HEX/`` has ``diff/`` (what overlayfs mounts; never written to again), ``split.gz``
(`runtime.store.split`), ``kept/`` now and then, and ``meta.json``.  A layer is unpacked in
``layers/.tmp-…`` under a lock and renamed when its id is known, so it is there as a whole or not
at all.  Who counts on a layer before an image record names it holds a shared lock on its
directory: `Pin`.  What neither an image nor a pin holds, `collect` removes.

Each start of a container imports this module to find directories: what unpacks and packs is
imported where it is used, 8 ms of 17.
"""

from __future__ import annotations

import errno
import os

from runtime.linux import beneath, locks, record_files
from runtime.model.contexts import contextmanager
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.store import files
from supervise.model import plain
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from runtime.store.compression import GzipWriter
    from runtime.store.feed import Feed, ReadableStream
    from runtime.store.layout import Layout
    from runtime.store.unpack import Unpacker

_META_VERSION = 1


class Blob(Record):
    """One compressed form of a layer, as it was seen in an archive or a registry."""

    digest: str
    size: int
    compression: str = ""  # gzip | zstd | …; empty: none


class LayerMeta(Record):
    """What is known of an unpacked layer.  Sizes in bytes."""

    diff_id: str
    size: int  # of the files, as docker counts: what an image's size is made of
    tar_size: int  # of the stream
    entries: int = 0
    blobs: tuple[Blob, ...] = ()
    kept: tuple[tuple[str, int], ...] = ()  # see `split.assemble`; paths are surrogate-escaped
    version: int = _META_VERSION


class Pin:
    """Layers that must not be removed, until `release`."""

    def __init__(self) -> None:
        self._locks: list[locks.Lock] = []

    def add(self, lock: locks.Lock) -> None:
        """Hold one more layer."""
        self._locks.append(lock)

    def release(self) -> None:
        """Release all of them; `Layers.collect` removes layers that no process holds."""
        while self._locks:
            self._locks.pop().release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class Layers:
    """All layers below one layout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def path(self, diff_id: str) -> str:
        """Return the directory that overlayfs mounts, whether it is there or not."""
        return f"{self._layout.layer(digests.hex_of(diff_id))}/diff"

    def meta(self, diff_id: str) -> LayerMeta | None:
        """Return what is known of the layer, None when it is not there.

        Raises:
            DamagedFailure: its record cannot be read.
        """
        path = f"{self._layout.layer(digests.hex_of(diff_id))}/meta.json"
        hint = "runtime rmi -f the images that have the layer, then pull or build them again"
        return record_files.read_record(LayerMeta, path, hint)

    def hold(self, diff_id: str, pin: Pin) -> LayerMeta | None:
        """Keep the layer in *pin* and return what is known of it, None when it is not there."""
        directory = self._layout.layer(digests.hex_of(diff_id))
        try:
            lock = locks.lock_existing(directory, shared=True)
        except FileNotFoundError:
            return None
        assert lock is not None  # it waited
        pin.add(lock)
        return self.meta(diff_id)

    def unpack(
        self,
        source: ReadableStream,
        pin: Pin,
        *,
        diff_id: str = "",
        blob_digest: str = "",
        what: str = "the layer",
    ) -> LayerMeta:
        """Unpack the stream *source*, compressed or not, and hold the layer in *pin*.

        With *diff_id* a layer that is there already is not read again, and another process that
        is at it is waited for.  *what* names the source in messages.

        Raises:
            RuntimeFailure: it is damaged, is not what *diff_id* or *blob_digest* say, or does
                not fit on the disk; nothing is left behind.
        """
        files.make_directories(self._layout.layers)
        if not diff_id:
            return self._unpack(source, pin, "", blob_digest, what)
        with locks.lock(self._layout.lock(f"layer-{digests.hex_of(diff_id)}")) as lock:
            found = self.hold(diff_id, pin) or self._unpack(source, pin, diff_id, blob_digest, what)
            os.unlink(lock.path)
            return found

    def adopt(
        self,
        upper: str,
        pin: Pin,
        *,
        skip: Callable[[bytes], bool] = lambda path: False,  # noqa: ARG005 - what it is called with
        latest: int | None = None,
    ) -> LayerMeta:
        """Make the upper directory of an overlay, no longer mounted, a layer held in *pin*.

        Its files are read once and moved, not copied; *upper* is gone afterwards.  *skip* and
        *latest* are those of `runtime.store.pack.Packer`.

        Raises:
            RuntimeFailure: a file cannot be read, or the disk is full.
        """
        from runtime.store import split
        from runtime.store.pack import Packer

        with self._temporary() as (directory, lock):
            writer = split.SplitWriter(f"{directory}/split.gz")
            packer = Packer(upper, skip=skip, latest=latest, split=writer)
            total, tar_size = digests.new_hash(), 0
            try:
                for piece in packer.stream():
                    total.update(piece)
                    tar_size += len(piece)
                writer.finish()
                _remove_below(upper, packer.left_out)
            except OSError as error:
                raise RuntimeFailure(f"cannot pack '{upper}': {error.strerror}") from error
            finally:
                packer.close()
                writer.close()
            os.rename(upper, f"{directory}/diff")
            meta = LayerMeta(
                diff_id=digests.PREFIX + total.hexdigest(),
                size=packer.size,
                tar_size=tar_size,
                entries=packer.entries,
            )
            files.write_json(f"{directory}/meta.json", plain.to_plain(meta), sync=False)
            return self._settle(directory, lock, meta, pin)

    def copy(
        self,
        upper: str,
        pin: Pin,
        *,
        skip: Callable[[bytes], bool] = lambda path: False,  # noqa: ARG005 - what it is called with
        id_shift: int = 0,
        unnameable: list[bytes] | None = None,
    ) -> LayerMeta:
        """Make a layer of the upper directory of an overlay in use, which stays as it is.

        *unnameable* gets the paths that no layer can hold.  *skip* and *id_shift* are `Packer`'s.

        Raises:
            RuntimeFailure: as `adopt`.
        """
        from runtime.store.feed import Chunks
        from runtime.store.pack import Packer

        packer = Packer(upper, skip=skip, id_shift=id_shift)
        try:
            return self.unpack(Chunks(packer.stream()), pin, what=f"'{upper}'")
        except OSError as error:
            raise RuntimeFailure(f"cannot pack '{upper}': {error.strerror}") from error
        finally:
            if unnameable is not None:
                unnameable += packer.unnameable
            packer.close()

    def compress(self, diff_id: str, fd: int) -> Blob:
        """Write the layer to *fd* as gzip, and remember the digest.

        Raises:
            RuntimeFailure: as `stream`.
        """
        from runtime.store.compression import GzipWriter

        writer, total, size = GzipWriter(), digests.new_hash(), 0
        for data in _compressed(writer, self.stream(diff_id)):
            total.update(data)
            size += len(data)
            files.write_all(fd, data)
        blob = Blob(digests.PREFIX + total.hexdigest(), size, "gzip")
        self.note_blob(diff_id, blob)
        return blob

    def note_blob(self, diff_id: str, blob: Blob) -> None:
        """Remember a compressed form of a layer that is there."""
        directory = self._layout.layer(digests.hex_of(diff_id))
        with locks.lock(self._layout.lock("blobs")):
            meta = self.meta(diff_id)
            if meta is None or blob in meta.blobs:
                return
            meta = meta.replace(blobs=(*meta.blobs, blob))
            files.write_json(f"{directory}/meta.json", plain.to_plain(meta))

    def stream(self, diff_id: str) -> Iterator[bytes]:
        """Yield the layer's tar stream, bit for bit as it was unpacked.

        Raises:
            RuntimeFailure: the layer has been tampered with, or is not there.
        """
        from runtime.store import split

        meta = self.meta(diff_id)
        if meta is None:
            raise RuntimeFailure(f"cannot read layer {digests.short(diff_id)}: it is not there")
        kept = tuple((os.fsencode(path), before) for path, before in meta.kept)
        total, size = digests.new_hash(), 0
        directory = self._layout.layer(digests.hex_of(diff_id))
        try:
            for piece in split.assemble(directory, kept):
                size += len(piece)
                if size > meta.tar_size:  # what is damaged can go on for exabytes
                    raise self._changed(diff_id, "its contents have another size")
                total.update(piece)
                yield piece
        except (split.SplitError, OSError) as error:
            raise self._changed(diff_id, str(error)) from error
        if digests.PREFIX + total.hexdigest() != diff_id:
            raise self._changed(diff_id, "its contents have another hash")

    def collect(self, wanted: Iterable[str]) -> list[str]:
        """Remove every layer not in *wanted* that no process holds, and leftovers of killed ones.

        Returns the diff ids removed.  The caller holds the lock under which records are written.
        """
        keep = {digests.hex_of(diff_id) for diff_id in wanted}
        removed = []
        for name in _names(self._layout.layers):
            if name.startswith(files.TEMPORARY):
                self._remove_unlocked(name)
            elif digests.is_hex(name) and name not in keep and self._remove_unlocked(name):
                removed.append(digests.PREFIX + name)
        return removed

    def _remove_unlocked(self, name: str) -> bool:
        """Remove one directory if no process holds it."""
        path = f"{self._layout.layers}/{name}"
        try:
            lock = locks.lock_existing(path, wait=False)
        except FileNotFoundError:
            return False
        if lock is None:
            return False
        with lock:
            doomed = path
            if not name.startswith(files.TEMPORARY):
                doomed = f"{self._layout.layers}/{files.TEMPORARY}{name}-{os.getpid()}"
                os.rename(path, doomed)  # killed from here on, no reader sees half a layer
            files.remove_tree(doomed)
        return True

    def _unpack(
        self, source: ReadableStream, pin: Pin, diff_id: str, blob_digest: str, what: str
    ) -> LayerMeta:
        from runtime.store.compression import CompressionError
        from runtime.store.feed import Feed
        from runtime.store.unpack import Unpacker, UnpackError

        with self._temporary() as (directory, lock):
            unpacker = Unpacker(directory)
            try:
                with Feed(source, hash_source=bool(blob_digest)) as feed:
                    unpacker.run(feed)
            except (UnpackError, CompressionError) as error:
                raise RuntimeFailure(f"cannot unpack {what}: {error}") from error
            finally:
                unpacker.close()
            self._check(feed, unpacker, diff_id, blob_digest, what)
            meta = LayerMeta(
                diff_id=feed.digest(),
                size=unpacker.size,
                tar_size=feed.size,
                entries=unpacker.entries,
                kept=tuple((os.fsdecode(path), before) for path, before in unpacker.kept),
            )
            if feed.compression and blob_digest:
                blob = Blob(blob_digest, feed.source_size, feed.compression)
                meta = meta.replace(blobs=(blob,))
            # No fsync: with ext4's ordered data it would wait for the whole layer, 4 to 12 s.
            files.write_json(f"{directory}/meta.json", plain.to_plain(meta), sync=False)
            return self._settle(directory, lock, meta, pin)

    def _check(
        self, feed: Feed, unpacker: Unpacker, diff_id: str, blob_digest: str, what: str
    ) -> None:
        if blob_digest and feed.source_digest() != blob_digest:
            raise RuntimeFailure(
                f"cannot use {what}: its digest is {feed.source_digest()}, not {blob_digest}",
                "the archive is damaged; get it again",
            )
        if diff_id and feed.digest() != diff_id:
            raise RuntimeFailure(
                f"cannot use {what}: its contents have the digest {feed.digest()}, not {diff_id}",
                "the archive is damaged; get it again",
            )
        if not unpacker.entries and not feed.size:
            raise RuntimeFailure(f"cannot unpack {what}: it is empty")

    def _settle(self, directory: str, lock: locks.Lock, meta: LayerMeta, pin: Pin) -> LayerMeta:
        """Give the unpacked *directory* its name; another process may have been faster."""
        target = self._layout.layer(digests.hex_of(meta.diff_id))
        while True:
            try:
                os.rename(directory, target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            else:
                pin.add(locks.Lock(os.dup(lock.fd), target))  # one lock, two descriptors
                lock.share()
                return meta
            if found := self.hold(meta.diff_id, pin):
                return found

    @contextmanager
    def _temporary(self) -> Iterator[tuple[str, locks.Lock]]:
        """Make a locked temporary directory; remove it at the end if it is still there."""
        files.make_directories(self._layout.layers)
        lock: locks.Lock | None = None
        while lock is None:
            name = f"{files.TEMPORARY}{os.getpid()}-{os.urandom(6).hex()}"
            directory = f"{self._layout.layers}/{name}"
            os.mkdir(directory, 0o700)
            try:
                lock = locks.lock_existing(directory)
            except FileNotFoundError:
                continue  # not locked yet, `collect` took it for a dead process' and removed it
        try:
            with lock:
                yield directory, lock
        finally:
            files.remove_tree(directory)

    def _changed(self, diff_id: str, reason: str) -> RuntimeFailure:
        return RuntimeFailure(
            f"cannot read layer {digests.short(diff_id)}: {reason}",
            f"somebody wrote to {self.path(diff_id)}; remove the image and get it again",
        )


def _compressed(writer: GzipWriter, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield writer.feed(piece)
    yield writer.finish()


def _remove_below(directory: str, paths: list[bytes]) -> None:
    """Remove *paths* below *directory*; the directories they were in keep their times."""
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in paths:
            parent, _, name = path.rpartition(b"/")
            fd = beneath.open_real(root, parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                before = os.fstat(fd)
                files.remove_at(fd, name)
                os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
            finally:
                os.close(fd)
    finally:
        os.close(root)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
