"""Names of groups → gids, from /etc/group; a source of the plan like any other file."""

from __future__ import annotations

import os

from supervise.config import digest
from supervise.model.numerals import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.config.yaml.files import SourceReader
    from supervise.config.yaml.nodes import YamlNode

GROUP_FILE = "/etc/group"


def resolve(
    reader: SourceReader, names: tuple[str, ...], place: YamlNode, path: str
) -> tuple[int, ...]:
    """Return the gids of *names*; numbers are gids already.  Unknown names are problems."""
    known: dict[str, int] | None = None
    gids: list[int] = []
    for name in names:
        number = whole(name)
        if number is not None and len(name) < 11:
            gids.append(number)
            continue
        known = _read(reader) if known is None else known
        if name in known:
            gids.append(known[name])
        else:
            hint = reader.decoder.problems.suggest(name, known) or "write the gid"
            what = f"there is no group '{name[:40]}' in {GROUP_FILE}"
            reader.decoder.problem(place, path, what, hint)
    return tuple(gids)


def _read(reader: SourceReader) -> dict[str, int]:
    if not os.path.isfile(GROUP_FILE):  # a FIFO would be waited for, a device read for ever
        reader.add_source(GROUP_FILE, "", "groups")
        return {}
    try:
        with open(GROUP_FILE, "rb") as file:
            data = file.read()
    except OSError:  # an image without one: names mean nothing there, which is then reported
        reader.add_source(GROUP_FILE, "", "groups")
        return {}
    reader.add_source(GROUP_FILE, digest.of_bytes(data), "groups")
    lines = (line.split(":") for line in data.decode("utf-8", "replace").splitlines())
    rows = ((parts[0], whole(parts[2])) for parts in lines if len(parts) > 2)
    return {name: gid for name, gid in rows if gid is not None}
