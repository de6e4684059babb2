"""Names of groups → gids, from /etc/group; a source of the plan like any other file."""

from __future__ import annotations

from supervise.config import digest
from supervise.linux import directory
from supervise.model.numerals import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from supervise.config.yaml.files import SourceReader
    from supervise.config.yaml.nodes import YamlNode

GROUP_FILE = "/etc/group"
_LARGEST = 4 << 20  # bytes


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
    try:
        data = directory.read_file(GROUP_FILE, _LARGEST)
    except OSError:  # none, or no regular file: names mean nothing then, which is reported
        reader.add_source(GROUP_FILE, "", "groups")
        return {}
    reader.add_source(GROUP_FILE, digest.of_bytes(data), "groups")
    lines = (line.split(":") for line in data.decode("utf-8", "replace").splitlines())
    rows = ((parts[0], whole(parts[2])) for parts in lines if len(parts) > 2)
    return {name: gid for name, gid in rows if gid is not None}
