"""`inspect`: containers, images, networks and volumes as JSON, or through a template."""

from __future__ import annotations

import json
import sys

from runtime.cli import output
from runtime.cli.containers import lookup
from runtime.language import templates
from runtime.language.commandline import Verb
from runtime.language.template_functions import TemplateError, to_json
from runtime.model import jsontext, timestamp
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout
    from runtime.store.volumes import Volume

    Finder = Callable[[Layout, str, bool], dict[str, Any]]

_FORMAT = """
  -f, --format string   'json', or a Go template: {{.State.Status}}, {{json .Config}}, …
"""
_SIZE = """
  -s, --size            Add SizeRw and SizeRootFs of containers
"""
_NAMES = "NAME|ID [NAME|ID...]"
INSPECT = Verb(
    "inspect",
    _NAMES,
    "Show all that is known of containers, images, networks and volumes",
    _FORMAT
    + _SIZE
    + """
      --type string     container, image, network or volume
""",
    least=1,
)
CONTAINER = Verb(
    "container inspect",
    "CONTAINER [CONTAINER...]",
    "Show all that is known of containers",
    _FORMAT + _SIZE,
    least=1,
)
IMAGE = Verb(
    "image inspect", "IMAGE [IMAGE...]", "Show all that is known of images", _FORMAT, least=1
)
NETWORK = Verb(
    "network inspect",
    "NETWORK [NETWORK...]",
    "Show all that is known of networks",
    _FORMAT,
    least=1,
)
VOLUME = Verb(
    "volume inspect", "VOLUME [VOLUME...]", "Show all that is known of volumes", _FORMAT, least=1
)
_BAD_TEMPLATE = 64  # docker's exit code


def inspect(layout: Layout, words: Arguments) -> int:
    """Show whatever has the name: containers first, then images, networks, volumes."""
    kind = words.text("type")
    if kind and kind not in _FINDERS:
        raise RuntimeFailure(
            f"'{kind}' is not a valid value for --type", f"there are {', '.join(_FINDERS)}", code=1
        )
    return _show(layout, words, tuple(_FINDERS) if not kind else (kind,))


def container(layout: Layout, words: Arguments) -> int:
    """Show containers."""
    return _show(layout, words, ("container",))


def image(layout: Layout, words: Arguments) -> int:
    """Show images."""
    return _show(layout, words, ("image",))


def network(layout: Layout, words: Arguments) -> int:
    """Show networks."""
    return _show(layout, words, ("network",))


def volume(layout: Layout, words: Arguments) -> int:
    """Show volumes."""
    return _show(layout, words, ("volume",))


def _show(layout: Layout, words: Arguments, kinds: tuple[str, ...]) -> int:
    shown: list[Any] = []
    form = words.text("format")
    template = _template(form) if form not in ("", "json") else None

    def show(name: str) -> None:
        value = _find(layout, name, kinds, size=words.flag("size"))
        if template is None:
            shown.append(value)
            return
        output.render(template, value)
        sys.stdout.flush()

    code = output.each(words.operands, show)
    if template is None:
        text = to_json(shown) if form == "json" else jsontext.escaped(
            json.dumps(shown, indent=4, ensure_ascii=False)
        )  # fmt: skip
        sys.stdout.write(f"{text}\n")
    return code


def _template(text: str) -> templates.Template:
    try:
        return templates.parse(text.replace("\\t", "\t").replace("\\n", "\n"))
    except TemplateError as error:
        raise output.template_failure(error, code=_BAD_TEMPLATE) from error


def _find(layout: Layout, name: str, kinds: tuple[str, ...], *, size: bool) -> dict[str, Any]:
    """Return the first thing of *kinds* that is called *name*."""
    failures = []
    for kind in kinds:
        try:
            return _FINDERS[kind](layout, name, size)
        except RuntimeFailure as failure:
            failures.append(failure)
    if len(failures) == 1:
        failures[0].code = 1
        raise failures[0]
    hint = next((each.hint for each in failures if "did you mean" in each.hint), "")
    raise RuntimeFailure(f"no such object: {name}", hint, code=1)


def _container(layout: Layout, name: str, size: bool) -> dict[str, Any]:  # noqa: FBT001 - a Finder
    from runtime.cli.containers import describe
    from runtime.model.image.image_config import ImageConfig
    from runtime.store.images import Images

    spec, state = lookup.one(layout, name)
    images = Images(layout)
    image = images.get(spec.image_id)
    config, lowers = (image.config, images.lowers(image)) if image else (ImageConfig(), ())
    value = describe.container(layout, spec, state, config, lowers)
    if size:
        from runtime.cli.containers import sizes

        value["SizeRw"] = sizes.written(layout, spec)
        value["SizeRootFs"] = sizes.whole(layout, spec)
    return value


def _image(layout: Layout, name: str, _size: bool) -> dict[str, Any]:  # noqa: FBT001 - a Finder
    from runtime.store import inspection
    from runtime.store.images import Images

    images = Images(layout)
    return inspection.inspect(images, images.resolve(name))


def _network(layout: Layout, name: str, _size: bool) -> dict[str, Any]:  # noqa: FBT001 - a Finder
    from runtime.network.catalog import Catalog

    return Catalog(layout).inspect(name)


def _volume(layout: Layout, name: str, _size: bool) -> dict[str, Any]:  # noqa: FBT001 - a Finder
    from runtime.store.volumes import Volumes

    volumes = Volumes(layout)
    return describe_volume(volumes.get(name), volumes.path(name))


def describe_volume(volume: Volume, path: str) -> dict[str, Any]:
    """Return the volume as docker's JSON has it."""
    return {
        "CreatedAt": timestamp.render(float(int(volume.created))),
        "Driver": "local",
        "Labels": dict(volume.labels) or None,
        "Mountpoint": path,
        "Name": volume.name,
        "Options": None,
        "Scope": "local",
    }


_FINDERS: dict[str, Finder] = {
    "container": _container,
    "image": _image,
    "network": _network,
    "volume": _volume,
}
