"""Images as `inspect` and `history` show them: docker's JSON, docker's rows."""

from __future__ import annotations

import json

from runtime.model import timestamp
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.store.images import Image, Images

_MISSING = "<missing>"  # what docker shows for steps whose image is not kept


class HistoryStep(Record):
    """One row of `history`."""

    id: str  # the image's, or <missing>
    created: float  # wall clock seconds; 0.0 unknown
    created_by: str
    size: int  # bytes
    comment: str


def inspect(images: Images, image: Image) -> dict[str, Any]:
    """Return what `docker image inspect` gives for *image*."""
    document: dict[str, Any] = json.loads(images.config_bytes(image))
    lowers = images.lowers(image)
    found: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": list(image.names),
        "RepoDigests": list(image.digests),
        "Parent": image.parent,
        "Comment": document.get("comment", ""),
        "Created": document.get("created", "0001-01-01T00:00:00Z"),
        "DockerVersion": document.get("docker_version", ""),
        "Author": document.get("author", ""),
        "Config": document.get("config") or {},
        "Architecture": document.get("architecture", ""),
        "Os": document.get("os", ""),
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": {"Name": "overlay2", "Data": _graph(lowers)},
        "RootFS": {"Type": "layers", "Layers": list(image.layers)},
        "Metadata": {"LastTagTime": "0001-01-01T00:00:00Z"},
        "Host": image.is_host,
    }
    if variant := document.get("variant"):
        found["Variant"] = variant
    return found


def history(image: Image) -> list[HistoryStep]:
    """Return the steps that led to *image*, the last one first."""
    sizes = list(image.sizes)
    steps: list[HistoryStep] = []
    for number, step in enumerate(image.config.history):
        last = number == len(image.config.history) - 1
        size = 0 if step.empty_layer or not sizes else sizes.pop(0)
        steps.append(
            HistoryStep(
                id=image.id if last else _MISSING,
                created=_seconds(step.created),
                created_by=step.created_by,
                size=size,
                comment=step.comment,
            )
        )
    # An image without history, or with less of it than layers: the layers show all the same.
    steps += [HistoryStep(_MISSING, 0.0, "", size, "") for size in sizes]
    return steps[::-1] or [HistoryStep(image.id, image.created, "", 0, "")]


def _graph(lowers: tuple[str, ...]) -> dict[str, str]:
    data = {"UpperDir": lowers[0]} if lowers else {}
    return data | ({"LowerDir": ":".join(lowers[1:])} if lowers[1:] else {})


def _seconds(created: str) -> float:
    try:
        return timestamp.parse(created)
    except ValueError:
        return 0.0
