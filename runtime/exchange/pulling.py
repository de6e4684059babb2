"""Images from registries into the store: `pull`, and `get` for callers that need an image by name.

The one place where `runtime.registry` and `runtime.store` meet on the way in; pushing is
`runtime.exchange.pushing`.  The registry part, with its HTTP library, is imported when
it is needed.
"""

from __future__ import annotations

import os
import time

from runtime.linux import locks
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference as names
from runtime.store import files, host
from runtime.store.layers import Pin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.image.reference import Reference
    from runtime.registry.documents import Descriptor, Platform
    from runtime.registry.pull import ByteSource, TransferProgress
    from runtime.registry.settings import Settings
    from runtime.store.images import Image, Images

ALWAYS, MISSING, NEVER = "always", "missing", "never"
_KEPT = 7 * 24 * 3600.0  # seconds, for which half a blob waits for the next attempt


class QuietTransfer:
    """Ignore all progress: for callers that show none."""

    def say(self, text: str) -> None:
        """Hear one sentence about the whole."""

    def layer(self, digest: str, status: str, done: int = 0, total: int = 0) -> None:
        """Hear what happens to one layer."""


def get(
    images: Images,
    name: str,
    *,
    when: str = MISSING,
    platform: str = "",
    progress: TransferProgress | None = None,
) -> Image:
    """Return the image *name*, from a registry if *when* says so: always, missing, never.

    An id, and `host`, are never asked for.

    Raises:
        RuntimeFailure: there is no such image, here or there.
    """
    image, other = images.find(name), ""
    if image is not None and (when != ALWAYS or not _can_be_pulled(name, image)):
        if not platform or _is_for(image, platform):
            return image
        has = f"linux/{image.config.architecture}"
        other = f"image '{name}' is for {has}, not for {platform}"
        if when == NEVER or not _can_be_pulled(name, image):
            raise RuntimeFailure(other)
    if when == NEVER:
        return images.resolve(name)
    if progress is not None and when == MISSING and not other:
        progress.say(f"Unable to find image '{names.parse(name).familiar}' locally")
    try:
        return pull(images, name, platform=platform, progress=progress)
    except RuntimeFailure as failure:
        if other:
            raise RuntimeFailure(other, failure.message) from failure
        raise _with_guess(images, name, failure) from failure


def _with_guess(images: Images, name: str, failure: RuntimeFailure) -> RuntimeFailure:
    """Return *failure*, or if an image that is here may have been meant, that."""
    here = images.unknown(name)
    if "did you mean" not in here.hint or "did you mean" in failure.hint:
        failure.code = 125
        return failure
    return RuntimeFailure(here.message, "\n".join(filter(None, (here.hint, failure.message))))


def pull(
    images: Images,
    reference: str,
    *,
    platform: str = "",
    progress: TransferProgress | None = None,
    settings: Settings | None = None,
) -> Image:
    """Get an image from where registries.yaml says, under its name, and return it.

    *platform* is ``linux/arm64`` and the like; this machine's when empty.

    Raises:
        RuntimeFailure: as `runtime.registry.pull.pull`; nothing wrong is left in the store, and
            what came whole waits there for the next attempt.
    """
    from runtime.registry import configuration, credentials
    from runtime.registry import pull as pulling
    from runtime.registry.source import ImageSource

    name = names.parse(reference)
    if name.familiar_name == host.NAME:
        raise RuntimeFailure("'host' is this machine; it is in no registry", code=1)
    wanted = _platform(platform)
    progress = progress or QuietTransfer()
    settings = settings or configuration.load()
    directory = _downloads(images)
    before = images.tags()
    with Pin() as pin, ImageSource(settings, name, credentials.find) as source:
        sink = _Sink(images, pin)
        pulled = pulling.pull(
            source,
            wanted,
            sink,
            progress,
            directory=directory,
            parallel=settings.parallel,
            is_explicit=bool(platform),
        )
        given = _names(name, pulled.digest)
        image = images.add(pulled.config, given, now=time.time(), manifest=pulled.manifest)
    images.tidy()  # what pulls that were killed have left
    progress.say(f"Digest: {pulled.digest}")
    is_there = before.get(given[0]) == image.id
    what = "Image is up to date" if is_there else "Downloaded newer image"
    progress.say(f"Status: {what} for {name.familiar}")
    return image


def tags(reference: str) -> list[str]:
    """Return the full names of all tags in the repository *reference*.

    Raises:
        RuntimeFailure: it has none, or cannot be asked.
    """
    from runtime.registry import configuration, credentials
    from runtime.registry.source import ImageSource

    name = names.parse(reference)
    with ImageSource(configuration.load(), name, credentials.find) as source:
        known = source.first(lambda client: client.tags())
    if not known:
        raise RuntimeFailure(f"cannot pull {name.familiar_name}: it has no tags", code=1)
    return [str(name.replace(tag=tag, digest="")) for tag in known]


def _names(name: Reference, digest: str) -> list[str]:
    tagged = [str(name.replace(digest=""))] if name.tag and not name.digest else []
    return [*tagged, f"{name.name}@{digest}"]


def _platform(text: str) -> Platform:
    from runtime.registry import documents

    mine = documents.Platform("linux", host.architecture())
    try:
        return documents.platform(text, mine) if text else mine
    except ValueError as error:
        raise RuntimeFailure(f"--platform: {error}", code=1) from None


def _is_for(image: Image, platform: str) -> bool:
    from runtime.registry import documents

    config = image.config
    has = documents.Platform(config.os or "linux", config.architecture, config.variant)
    return documents.fits(has, _platform(platform))


def _can_be_pulled(name: str, image: Image) -> bool:
    """Return whether *name* is a registry's word for *image*, not its id."""
    if image.id == name or name.removeprefix("sha256:") in image.id or name == host.NAME:
        return False
    return not image.is_host or bool(image.layers)


def forget(images: Images, *, older_than: float = 0.0) -> int:
    """Remove half-downloaded blobs that no pull is at; return how many bytes that frees.

    *older_than* is in seconds, since the last byte came.
    """
    freed = 0
    limit = time.time() - older_than
    with suppress(FileNotFoundError), os.scandir(_directory(images)) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                info = entry.stat()
                lock = locks.lock_existing(entry.path, wait=False)
                if info.st_mtime <= limit and lock is not None:
                    os.unlink(entry.path)
                    freed += info.st_size
                if lock is not None:
                    lock.release()
    return freed


def _downloads(images: Images) -> str:
    """Make the directory of half-downloaded blobs, without those that nobody came back for."""
    files.make_directories(_directory(images))
    forget(images, older_than=_KEPT)
    return _directory(images)


def _directory(images: Images) -> str:
    return f"{images.layout.images}/downloads"


class _Sink:
    """The store as what `runtime.registry.pull` fills."""

    def __init__(self, images: Images, pin: Pin) -> None:
        self._images = images
        self._pin = pin

    def document(self, digest: str) -> bytes | None:
        """Return the configuration of an image that is there."""
        return self._images.document(digest)

    def has_layer(self, diff_id: str) -> bool:
        """Return whether the layer is there, and keep it there."""
        return self._images.layers.hold(diff_id, self._pin) is not None

    def layer(self, diff_id: str, blob: Descriptor, source: ByteSource) -> None:
        """Unpack a layer and remember in which form it came."""
        self._images.layers.unpack(
            source,
            self._pin,
            diff_id=diff_id,
            blob_digest=blob.digest,
            what=f"layer {blob.digest[7:19]}",
        )
