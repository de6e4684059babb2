"""The files that the image index is made of, read: names, records, configurations.

What each means and how it changes is `runtime.store.images`' business.
"""

from __future__ import annotations

import os

from runtime.linux import record_files
from runtime.model.errors import DamagedFailure
from runtime.model.image import digest as digests
from runtime.model.image import image_config as model
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.image.image_config import ImageConfig

_RECORD_VERSION = 1
_NAMELESS = "no image has a name until it is given one again: runtime tag ID NAME"


class ImageRecord(Record):
    """What an image is made of; in the store beside its configuration."""

    id: str  # sha256:…, of the configuration
    layers: tuple[str, ...] = ()  # diff ids, lowest first
    sizes: tuple[int, ...] = ()  # bytes, of each of them
    manifest: str = ""  # digest of the manifest it came with, in blobs
    is_host: bool = False  # its lowest layer is this machine's own root
    parent: str = ""  # id of the image it was built on
    loaded: float = 0.0  # wall clock seconds, when it came into the store
    version: int = _RECORD_VERSION


def read_tags(path: str) -> dict[str, str]:
    """Return full reference → image id.

    Raises:
        DamagedFailure: it cannot be read.
    """
    found = record_files.read_value(path, _NAMELESS)
    if found is None and not os.path.lexists(path):
        return {}
    if not isinstance(found, dict):
        raise DamagedFailure(path, "it is not an object", _NAMELESS)
    for name, image_id in found.items():
        if not (isinstance(image_id, str) and digests.is_digest(image_id)):
            raise DamagedFailure(path, f"{name!r:.60} leads to no image", _NAMELESS)
    return found


def read_record(path: str) -> ImageRecord | None:
    """Return what the image is made of, None when there is none; raises as `read_tags`."""
    image_id = digests.PREFIX + os.path.basename(path).partition(".")[0]
    return record_files.read_record(
        ImageRecord, path, way_out(image_id), problem=lambda each: _foreign(each, image_id)
    )


def read_config(path: str, image_id: str) -> ImageConfig:
    """Return the image's configuration; raises as `read_tags`, also when there is none."""
    data = record_files.read(path, way_out(image_id))
    if data is None:
        raise DamagedFailure(path, "it is missing", way_out(image_id))
    try:
        return model.from_json(data)
    except (ValueError, RecursionError, SystemError) as error:
        reason = str(error) if data.strip() else "it is empty"
        raise DamagedFailure(path, reason, way_out(image_id)) from error


def way_out(image_id: str) -> str:
    """Return what to do about an image that cannot be read."""
    short = digests.short(image_id)
    return f"runtime rmi -f {short} removes the image; pull or build it again"


def _foreign(record: ImageRecord, image_id: str) -> str:
    """Return why that is not what the image is made of, empty when it is."""
    if record.id != image_id:
        return f"it is of another image, {record.id!r:.20}"
    named = (*record.layers, *filter(None, (record.manifest,)))
    if not all(digests.is_digest(each) for each in named):
        return "it names a layer by no digest"
    if len(record.layers) != len(record.sizes):
        return "its layers and their sizes do not match"
    return ""


def is_damaged(path: str) -> bool:
    """Return whether the record cannot be read: then no container can be started from it."""
    try:
        read_record(path)
    except DamagedFailure as failure:
        record_files.note(failure)
        return True
    return False
