"""What ``--format`` and tables are made of: rows with docker's field names, and their layout.

A row maps docker's names to text (and ``Label`` to a method).  `listing` turns rows into what is
printed: the default table, ``table TEMPLATE``, ``json``, or a template of the user's own.
"""

from __future__ import annotations

from runtime.language import templates
from runtime.language.printf import quote
from runtime.language.template_functions import to_json
from runtime.model import units
from runtime.model.container import statuses
from runtime.model.image import digest as digests
from runtime.model.network import published_ports
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from runtime.model.container.spec import Spec
    from runtime.model.container.state import State

    Row = dict[str, Any]

_CELL, _GAP = 10, 3  # docker's tabwriter: narrowest cell, blanks after a cell
_COMMAND = 20  # characters of a command shown
_MOUNT = 15
_ELLIPSIS = "…"

CONTAINER = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
}
CONTAINER_TABLE = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
IMAGE = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "VIRTUAL SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "SharedSize": "SHARED SIZE",
    "Containers": "CONTAINERS",
}
IMAGE_TABLE = ("Repository", "Tag", "ID", "CreatedSince", "Size")
HISTORY = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
HISTORY_TABLE = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
VOLUME = {
    "Name": "VOLUME NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Size": "SIZE",
}
VOLUME_TABLE = ("Driver", "Name")
NETWORK = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}
NETWORK_TABLE = ("ID", "Name", "Driver", "Scope")
STATS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
STATS_TABLE = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
DISK = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
DISK_TABLE = tuple(DISK)


def listing(
    wanted: str,
    rows: Sequence[Row],
    headers: Mapping[str, str],
    table: Sequence[str],
    screen: Callable[[str], str] | None = None,
) -> str:
    """Return what to print for *rows*; *wanted* is what ``--format`` says, empty for the table.

    The table is for people and has one line a row, whatever is in it; *screen* is what becomes of
    the values in a template of the user's own.

    Raises:
        TemplateError: *wanted* is no template, or names a field that is not there.
    """
    if wanted in ("", "table"):
        lines = [[headers[field] for field in table]]
        lines += [[printable(row[field]) for field in table] for row in rows]
        return tabulate(lines)
    if wanted == "json":
        return "".join(f"{to_json(dict(sorted(row.items())))}\n" for row in rows)
    text, is_table = wanted, False
    if wanted.startswith("table "):
        text, is_table = wanted[6:].strip(), True
    template = templates.parse(text.replace("\\t", "\t").replace("\\n", "\n"))
    texts = [template.render(row, screen) for row in rows]
    if not is_table:
        return "".join(f"{line}\n" for line in texts)
    head = template.render({**headers, "Label": _label_header})
    return tabulate([line.split("\t") for line in (head, *texts)])


def fields(wanted: str, table: Sequence[str]) -> set[str]:
    """Return the fields that `listing` will show; "" among them stands for all."""
    if wanted in ("", "table"):
        return set(table)
    if wanted == "json":
        return {""}
    return templates.parse(wanted.removeprefix("table ")).fields()


def tabulate(lines: Sequence[Sequence[str]]) -> str:
    """Return *lines* in columns as wide as their widest cell; the last cell is not filled up."""
    widths: dict[int, int] = {}
    for line in lines:
        for number, cell in enumerate(line[:-1]):
            widths[number] = max(widths.get(number, 0), len(cell) + _GAP, _CELL)
    return "".join(
        "".join(f"{cell:{widths[n]}}" for n, cell in enumerate(line[:-1])) + line[-1] + "\n"
        for line in lines
    )


def _label_header(name: str) -> str:
    return name.rpartition(".")[2].replace("-", " ").replace("_", " ")


def shorten(text: str, length: int, *, truncate: bool = True) -> str:
    """Return *text*, cut to *length* characters, the last one being …, when it is longer."""
    if not truncate or len(text) <= length:
        return text
    return text[: length - 1] + _ELLIPSIS


def label_fields(labels: Mapping[str, str]) -> Row:
    """Return the ``Labels`` field, and ``Label`` for templates."""
    return {
        "Labels": ",".join(f"{key}={labels[key]}" for key in sorted(labels)),
        "Label": lambda name: labels.get(name, ""),
    }


def container(
    spec: Spec, state: State, *, now: float, truncate: bool = True, size: str = "0B"
) -> Row:
    """Return the row of ``ps``."""
    command = shorten(" ".join(spec.argv), _COMMAND, truncate=truncate)
    mounts = [mount.source or mount.target for mount in spec.mounts if mount.kind != "tmpfs"]
    networks = [endpoint.network for endpoint in state.endpoints] or [spec.network]
    return {
        "ID": digests.short(spec.id) if truncate else spec.id,
        "Names": spec.name,
        "Image": _image_name(spec, truncate=truncate),
        "Command": quote(command),
        "CreatedAt": units.wall(spec.created),
        "RunningFor": units.ago(now - spec.created),
        "Ports": container_ports(spec, state),
        "State": state.status,
        "Status": status(state, now),
        "Size": size,
        "Mounts": ",".join(shorten(mount, _MOUNT, truncate=truncate) for mount in mounts),
        "LocalVolumes": str(sum(mount.kind == "volume" for mount in spec.mounts)),
        "Networks": ",".join(networks),
        **label_fields(spec.labels),
    }


def _image_name(spec: Spec, *, truncate: bool) -> str:
    """Return the image as it was named; an id is shortened."""
    digits = spec.image.removeprefix(digests.PREFIX)
    is_id = len(digits) == 64 and digests.is_hex(digits)
    return digests.short(spec.image) if truncate and is_id else spec.image


def status(state: State, now: float) -> str:
    """Return ``Up 3 hours (healthy)``, ``Exited (0) 2 days ago``."""
    if state.status in statuses.HAS_PROCESS:
        up = f"Up {units.human_duration(now - state.started)}"
        if state.status == statuses.PAUSED:
            return f"{up} (Paused)"
        health = "health: starting" if state.health == "starting" else state.health
        return f"{up} ({health})" if health and health != "none" else up
    since = units.ago(now - state.finished) if state.finished else ""
    if state.status == statuses.RESTARTING:
        return f"Restarting ({state.exit_code}) {since}".rstrip()
    if state.status == statuses.EXITED:
        return f"Exited ({state.exit_code}) {since}".rstrip()
    return "Removal In Progress" if state.status == statuses.REMOVING else state.status.capitalize()


def container_ports(spec: Spec, state: State) -> str:
    """Return the PORTS column: published ones, then those that are only exposed."""
    if state.status not in statuses.ALIVE:
        return ""
    bound = [binding for endpoint in state.endpoints for binding in endpoint.ports]
    published = {(container_port, protocol) for _, _, container_port, protocol in bound}
    shown = [published_ports.summary(bound)] if bound else []
    shown += [f"{port}/{kind}" for port, kind in spec.exposed if (port, kind) not in published]
    return ", ".join(shown)
