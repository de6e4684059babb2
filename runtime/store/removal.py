"""`rmi` and `prune`: names go first, the image with its last name, layers with their last image."""

from __future__ import annotations

from runtime.model.container import statuses
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.model.image import reference
from runtime.store import events, files
from runtime.store.containers import Containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.model.container.spec import Spec
    from runtime.store.images import Image, Images


class ConflictError(RuntimeFailure):
    """The image is needed."""


class _GoneError(RuntimeFailure):
    """There is no such image."""


def remove(images: Images, name: str, *, force: bool = False) -> list[str]:
    """Remove a name, and the image with its last one; an id means all its names.

    Returns docker's lines: ``Untagged: debian:latest``, ``Deleted: sha256:…``.

    Raises:
        RuntimeFailure: there is no such image, or a container needs it, or it has several names
            and an id was given without *force*.
    """
    try:
        image = images.look(name)
    except RuntimeFailure as error:
        error.code = 1
        raise
    if image is None:
        unknown = images.unknown(name)
        raise _GoneError(unknown.message, unknown.hint, code=1)
    if image.damage and not force:
        raise _conflict(image, "must be forced", "its record is damaged", "runtime rmi -f")
    if image.id == images.host().id:
        raise RuntimeFailure("cannot remove 'host': it is this machine", code=1)
    wanted = _names_meant(image, name)
    remaining = [n for n in image.names if n not in wanted]
    by_id = not _is_name_of(image, name)
    if by_id and not force and len({_repository(n) for n in image.names}) > 1:
        raise _conflict(image, "must be forced", "it has names in several repositories")
    if not remaining:
        _refuse_while_used(images, image, force=force, by_id=by_id)
    lines = [f"Untagged: {n}" for n in wanted]
    with images.changing():
        tags = images.tags()
        gone = {str(reference.parse(n)) for n in wanted}
        if not remaining:
            gone.update(n for n, image_id in tags.items() if image_id == image.id)
            lines += [f"Untagged: {n}" for n in image.digests if n not in wanted]
        kept = {n: i for n, i in tags.items() if n not in gone}
        written = _write_tags(images, kept, later=not remaining)
        if not remaining:
            users = Containers(images.layout).users_of_image(image.id)
            # What cannot be read is of no use to a container either.
            lines += _delete(images, image, retire=bool(users) and not image.damage)
        if not written:
            images.write_tags(kept)
    for each in wanted:
        events.emit(images.layout, "image", "untag", image.id, {"name": each})
    if not remaining:
        events.emit(images.layout, "image", "delete", image.id, {"name": image.id})
    return lines


def prune(
    images: Images,
    *,
    everything: bool = False,
    wanted: Callable[[Image], bool] = lambda image: True,  # noqa: ARG005 - what it is called with
) -> tuple[list[str], int]:
    """Remove the images that have no name, or with *everything* those that no container uses.

    Only those for which *wanted* is true.  Returns (docker's lines, bytes freed).
    """
    containers = Containers(images.layout)
    lines: list[str] = []
    before = _layer_sizes(images)
    with images.changing():  # an image that is being added has its names already
        known = images.list()
        nobody_knows = images.has_lost_names()  # then an image without a name is no leftover
    for image in known:
        if (image.names or nobody_knows) and not everything:
            continue
        if wanted(image) and not containers.users_of_image(image.id):
            with suppress(
                ConflictError, _GoneError
            ):  # in use again, or already removed by another process
                lines += remove(images, image.id, force=True)
    if everything and not images.ids():
        images.forget_lost_names()
    images.tidy()
    after = _layer_sizes(images)
    return lines, sum(size for diff_id, size in before.items() if diff_id not in after)


def chain_ids(diff_ids: tuple[str, ...]) -> list[str]:
    """Return what docker calls the layers: each with all below it; OCI image-spec, ChainID."""
    chain: list[str] = []
    for diff_id in diff_ids:
        below = f"{chain[-1]} {diff_id}".encode() if chain else b""
        chain.append(digests.digest_of(below) if below else diff_id)
    return chain


def _names_meant(image: Image, name: str) -> list[str]:
    if _is_name_of(image, name):
        return [reference.parse(name).familiar]
    return list(image.names)


def _is_name_of(image: Image, name: str) -> bool:
    try:
        found = reference.parse(name).familiar
    except RuntimeFailure:
        return False
    return found in image.names or found in image.digests


def _repository(name: str) -> str:
    return reference.parse(name).name


def _refuse_while_used(images: Images, image: Image, *, force: bool, by_id: bool) -> None:
    users = Containers(images.layout).users_of_image(image.id)
    alive = [spec for spec, state in users if state.status in statuses.ALIVE]
    if alive:
        raise _conflict(image, "cannot be forced", f"running container {_shown(alive)} uses it")
    if users and not force:
        first = digests.short(users[0][0].id)
        what = "stopped container" if by_id else "container"
        raise _conflict(
            image,
            "must be forced",
            f"{what} {_shown([spec for spec, _ in users])} uses it",
            f"runtime rm {first}, or runtime rmi -f",
        )


def _shown(specs: list[Spec]) -> str:
    return ", ".join(digests.short(spec.id) for spec in specs)


def _conflict(image: Image, how: str, reason: str, hint: str = "") -> ConflictError:
    shown = image.names[0] if image.names else digests.short(image.id)
    return ConflictError(f"cannot remove image '{shown}' ({how}): {reason}", hint, code=1)


def _delete(images: Images, image: Image, *, retire: bool) -> list[str]:
    """Delete the record, and what only it needed; the caller holds the lock."""
    if not images.discard(image.id, retire=retire):
        raise _conflict(image, "cannot be forced", "a container is being made from it")
    gone = set(images.collect())
    chain = chain_ids(image.layers)
    layers = [chain[n] for n, diff_id in enumerate(image.layers) if diff_id in gone]
    return [f"Deleted: {digest}" for digest in (image.id, *reversed(layers))]


def _write_tags(images: Images, tags: dict[str, str], *, later: bool) -> bool:
    """Write the names; with *later* a full disk is no reason to stop: return False then.

    A name that leads to no image is as good as none.
    """
    try:
        images.write_tags(tags)
    except OSError as error:
        if not (later and files.is_no_room(error)):
            raise
        return False
    return True


def _layer_sizes(images: Images) -> dict[str, int]:
    return {d: size for i in images.list() for d, size in zip(i.layers, i.sizes, strict=True)}
