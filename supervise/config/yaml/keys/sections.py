"""The mappings that stand behind keys of `schema`: logs, backoff, limits, env files, control."""

from __future__ import annotations

from supervise.config.yaml.decoder import INVALID
from supervise.config.yaml.keys.kinds import Bool, Choice, Duration, Maybe, Number, Size, TextKind
from supervise.config.yaml.keys.refused import IN_LOGS
from supervise.config.yaml.keys.shapes import Fields, Key, ListOf, OneOf
from supervise.model.quantities import format_duration
from supervise.model.service import Backoff, LogFormat, OnStall, StartLimit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervise.config.yaml.decoder import Decoder
    from supervise.config.yaml.keys.shapes import Table
    from supervise.config.yaml.nodes import YamlNode

_LOG_KEYS = (
    Key(
        "format",
        Choice(LogFormat),
        "How a line looks: `prefix` puts `name | ` before it; `json` and `logfmt` make a record "
        "of it; `raw` hands the descriptor to the service.",
        "json",
        "prefix",
    ),
    Key(
        "tee",
        Bool(),
        "With `file`: lines go to the console as well.",
        "true",
        "false",
    ),
    Key(
        "max_size",
        Maybe(Size()),
        "The file is rotated when it is this large; `none`: never by size.",
        "50m",
        "10m",
    ),
    Key(
        "max_age",
        Maybe(Duration(zero=False)),
        "The file is rotated when it is this old; `none`: never by time.",
        "1d",
        "none",
    ),
    Key("keep", Number(0, 10_000), "How many rotated files stay.", "14", "5"),
    Key("compress", Bool(), "Rotated files are compressed with gzip.", "true", "false"),
    Key(
        "on_stall",
        Choice(OnStall),
        "When the reader of the logs does not keep up: `block` lets the service wait in write(2), "
        "`drop` throws lines away and says how many.",
        "drop",
        "block",
    ),
)
LOGS = Fields(
    "a mapping such as {format: json}",
    [
        _LOG_KEYS[0],
        Key(
            "file",
            TextKind("a path"),
            "Lines go to this file, an absolute path, and not to the console.",
            "/var/log/web.log",
        ),
        *_LOG_KEYS[1:],
    ],
    refused=IN_LOGS,
)
LOG_DEFAULTS = Fields(
    "a mapping such as {format: json}",
    _LOG_KEYS,
    refused={
        **IN_LOGS,
        "file": ("one `file` cannot serve every service", "give each service its own logs.file"),
    },
)


def _build_backoff(decoder: Decoder, table: Table, path: str) -> Any:
    backoff = Backoff(**table)
    if backoff.initial <= backoff.max:
        return backoff
    decoder.problem(
        table.place("initial"),
        f"{path}.initial",
        f"the first delay is longer than the longest, {format_duration(backoff.max)}",
        "raise `max`, or lower `initial`",
    )
    return INVALID


BACKOFF = Fields(
    "a mapping such as {initial: 100ms, max: 30s}",
    [
        Key("initial", Duration(), "The first delay.", "0s", "100ms"),
        Key(
            "factor",
            Number(1, 1000, whole=False),
            "Each further delay is so many times longer.",
            "1.5",
            "2",
        ),
        Key("max", Duration(), "No delay is longer.", "1m", "30s"),
        Key(
            "jitter",
            Number(0, 1, whole=False),
            "Each delay is spread by up to this share either way.",
            "0",
            "0.1",
        ),
        Key(
            "reset_after",
            Duration(),
            "Having run this long, a service begins with `initial` again.",
            "1m",
            "10s",
        ),
    ],
    build=_build_backoff,
)
START_LIMIT = Fields(
    "a mapping such as {burst: 5, interval: 60s}",
    [
        Key("burst", Number(1, 1_000_000), "So many starts are allowed …", "3", "5"),
        Key("interval", Duration(zero=False), "… within this time.", "5m", "1m"),
    ],
    build=lambda _decoder, table, _path: StartLimit(**table),
)

_ENV_FILE_ENTRY = Fields(
    "a path or {path, required}",
    [
        Key("path", TextKind("a path"), "The file, relative to this one.", "db.env"),
        Key("required", Bool(), "With false the file may be missing.", "false", "true"),
    ],
    required=("path",),
    build=lambda _decoder, table, _path: (table["path"], table.get("required", True)),
)


class _EnvFilePath(TextKind):
    """A path alone is a required file."""

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return (path, required)."""
        text = super().decode(decoder, node, path)
        return (text, True) if isinstance(text, str) else text


ENV_FILE = OneOf(
    "a path or {path, required}", scalar=_EnvFilePath("a path"), mapping=_ENV_FILE_ENTRY
)

SHUTDOWN = Fields(
    "a mapping such as {grace: 8s}",
    [
        Key(
            "grace",
            Duration(),
            "How long the whole shutdown may take; below the 10 s after which Docker kills.",
            "25s",
            "8s",
        ),
    ],
)
CONTROL = Fields(
    "a mapping such as {operators: [1000]}",
    [
        Key(
            "socket",
            TextKind("a path or @name"),
            "Where supervisectl reaches supervise: a path, or `@name` for an abstract socket.",
            "/run/app/control.sock",
            "searched: /run/supervise, $XDG_RUNTIME_DIR, /tmp, an abstract socket",
        ),
        Key(
            "operators",
            ListOf(TextKind("a group"), "a list of groups"),
            "Groups, names or gids, whose members may do everything.",
            "[adm, 1000]",
            "[]",
        ),
        Key(
            "readers",
            ListOf(TextKind("a group"), "a list of groups"),
            "Groups, names or gids, whose members may look.",
            "[1001]",
            "[]",
        ),
    ],
)
