"""What a service may do and use: user, limits, priorities, processors, capabilities.

Each is a `kinds.Kind`; `schema` puts them behind keys.
"""

from __future__ import annotations

from supervise.config.yaml.decoder import INVALID, is_null
from supervise.config.yaml.keys.kinds import VARIABLE, Kind, Number, TextKind
from supervise.config.yaml.keys.shapes import Fields, Key, MapOf
from supervise.config.yaml.nodes import Mapping, Scalar, Sequence
from supervise.config.yaml.scalars import resolve
from supervise.model.numerals import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervise.config.yaml.decoder import Decoder
    from supervise.config.yaml.nodes import YamlNode

CAPABILITIES = (
    *("AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE"),
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER"),
    *("KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN"),
    *("NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP"),
    *("SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE"),
    *("SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG"),
    *("WAKE_ALARM", "ALL"),
)
ULIMITS = (
    *("as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile"),
    *("nproc", "rss", "rtprio", "rttime", "sigpending", "stack"),
)
IO_CLASSES = {"realtime": 1, "best-effort": 2, "idle": 3}


class Limit(Kind):
    """A resource limit: one number, ``unlimited`` or -1, or ``{soft, hard}``.  (soft, hard)."""

    label = "a whole number, unlimited, or {soft, hard}"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return (soft, hard) at *node*; -1 is unlimited."""
        if isinstance(node, Mapping):
            return self._pair(decoder, node, path)
        if not isinstance(node, Scalar):
            return self.refuse(decoder, node, path)
        text = decoder.text(node, path)
        if text is None:
            return INVALID
        if text in {"unlimited", "infinity", "-1"}:
            return (-1, -1)
        value = resolve(text)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
            return self.refuse(decoder, node, path)
        return (value, value)

    def _pair(self, decoder: Decoder, node: Mapping, path: str) -> Any:
        table = _SOFT_HARD.decode(decoder, node, path)
        if table is INVALID:
            return INVALID
        soft, hard = table["soft"][0], table["hard"][0]
        if hard != -1 and (soft == -1 or soft > hard):
            decoder.problem(node, path, "the soft limit is above the hard one", "swap them")
            return INVALID
        return (soft, hard)

    def encode(self, value: Any) -> Any:
        """Return one number when both are the same."""
        soft, hard = ("unlimited" if limit == -1 else limit for limit in value)
        return soft if soft == hard else {"soft": soft, "hard": hard}

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        one = [{"type": "integer", "minimum": -1}, {"enum": ["unlimited", "infinity"]}, VARIABLE]
        pair = {
            "type": "object",
            "properties": {"soft": {"anyOf": one}, "hard": {"anyOf": one}},
            "required": ["soft", "hard"],
            "patternProperties": {"^x-": {}},
            "additionalProperties": False,
        }
        return {"anyOf": [*one, pair]}


_SOFT_HARD = Fields(
    "a mapping {soft, hard}",
    [
        Key("soft", Limit(), "The limit in force.", "1024"),
        Key("hard", Limit(), "How far the process may raise it.", "4096"),
    ],
    required=("soft", "hard"),
    build=lambda _decoder, table, _path: table,
)


class Ulimits(Kind):
    """Name of a resource → (soft, hard)."""

    label = "a mapping such as {nofile: 65536}"
    nullable = True

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the mapping at *node*."""
        if not isinstance(node, Mapping):
            return self.refuse(decoder, node, path)
        table = _LIMITS.decode(decoder, node, path)
        for name in [name for name in table if name not in ULIMITS]:
            hint = decoder.problems.suggest(name, ULIMITS) or f"known are {', '.join(ULIMITS)}"
            key_node = node.pairs[name][0]
            decoder.problem(key_node, f"{path}.{name}", f"there is no limit '{name[:40]}'", hint)
            del table[name]
        return table

    def encode(self, value: Any) -> Any:
        """Return the mapping."""
        return _LIMITS.encode(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        limit = Limit().json_schema()
        return {
            "type": ["object", "null"],
            "properties": dict.fromkeys(ULIMITS, limit),
            "additionalProperties": False,
        }


_LIMITS = MapOf(Limit(), "a mapping")


class UserKind(Kind):
    """``name``, ``uid``, ``user:group``; resolved in the image at each start."""

    label = "a user such as www-data, 1000 or user:group"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the text at *node*."""
        text = _USER.decode(decoder, node, path)
        if text is INVALID:
            return INVALID
        user, colon, group = text.partition(":")
        if not user or (colon and not group) or ":" in group or any(map(str.isspace, text)):
            return self.refuse(decoder, node, path)
        return text

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {"anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "minimum": 0}]}


_USER = TextKind("a user such as www-data, 1000 or user:group")


class Umask(Kind):
    """File mode bits to withhold; always octal, quoted or not."""

    label = "an octal mask such as 022"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the mask at *node*."""
        if not isinstance(node, Scalar):
            return self.refuse(decoder, node, path)
        text = decoder.text(node, path)
        if text is None:
            return INVALID
        digits = text.removeprefix("0o")
        if digits and len(digits) <= 4 and set(digits) <= set("01234567"):
            mask = int(digits, 8)
            if mask <= 0o777:
                return mask
        return self.refuse(decoder, node, path)

    def encode(self, value: Any) -> Any:
        """Return ``0022``."""
        return f"{value:04o}"

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {
            "anyOf": [
                {"type": "string", "pattern": r"^(0o)?[0-7]{1,4}$|\$"},
                {"type": "integer", "minimum": 0, "maximum": 777},
            ]
        }


class IoNice(Kind):
    """``idle``, ``best-effort:4``, ``realtime:2`` or ``{class, level}``.  (class, level)."""

    label = "idle, best-effort[:LEVEL] or realtime[:LEVEL], levels from 0 to 7"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return (class 1 to 3, level 0 to 7) at *node*."""
        if isinstance(node, Mapping):
            table = _IONICE.decode(decoder, node, path)
            if table is INVALID:
                return INVALID
            word, level = table["class"], table.get("level")
        elif isinstance(node, Scalar):
            text = decoder.text(node, path)
            if text is None:
                return INVALID
            word, colon, digits = text.partition(":")
            level = int(digits) if digits in tuple("01234567") else None
            if colon and level is None:
                return self.refuse(decoder, node, path)
        else:
            return self.refuse(decoder, node, path)
        if word not in IO_CLASSES:
            return self.refuse(decoder, node, path, decoder.problems.suggest(word, IO_CLASSES))
        if word == "idle":
            if level is not None:
                decoder.problem(node, path, "idle has no levels", "write ionice: idle")
                return INVALID
            return (IO_CLASSES[word], 0)
        return (IO_CLASSES[word], 4 if level is None else level)

    def encode(self, value: Any) -> Any:
        """Return the word form."""
        word = next(word for word, number in IO_CLASSES.items() if number == value[0])
        return word if word == "idle" else f"{word}:{value[1]}"

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        pair = _IONICE.json_schema()
        pair["properties"]["class"] = {"enum": list(IO_CLASSES)}
        pattern = r"^(idle|(best-effort|realtime)(:[0-7])?)$|\$"
        return {"anyOf": [{"type": "string", "pattern": pattern}, pair]}


_IONICE = Fields(
    "a mapping {class, level}",
    [
        Key("class", TextKind("idle, best-effort or realtime"), "The class.", "best-effort"),
        Key("level", Number(0, 7), "0 is served first.", "4", "4"),
    ],
    required=("class",),
    build=lambda _decoder, table, _path: table,
)


class Cpus(Kind):
    """A set of processors: ``0-3,5``, a number, or a list.  A sorted tuple."""

    label = "a set of processors such as 0-3,5"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the numbers at *node*."""
        items = node.items if isinstance(node, Sequence) else [node]
        cpus: set[int] = set()
        for item in items:
            if not isinstance(item, Scalar) or is_null(item):
                return self.refuse(decoder, item, path)
            text = decoder.text(item, path)
            if text is None:
                return INVALID
            for part in text.split(","):
                ends = part.strip().split("-")
                first, last = whole(ends[0]), whole(ends[-1])
                if len(ends) > 2 or first is None or last is None:
                    return self.refuse(decoder, item, path)
                if first > last or last > 8191:  # CONFIG_NR_CPUS at its largest
                    return self.refuse(decoder, item, path)
                cpus.update(range(first, last + 1))
        return tuple(sorted(cpus)) if cpus else self.refuse(decoder, node, path)

    def encode(self, value: Any) -> Any:
        """Return the list form."""
        return list(value)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        number = {"type": "integer", "minimum": 0, "maximum": 8191}
        text = {
            "type": "string",
            "pattern": r"^\s*[0-9]+(-[0-9]+)?(\s*,\s*[0-9]+(-[0-9]+)?)*\s*$|\$",
        }
        return {"anyOf": [number, text, {"type": "array", "items": {"anyOf": [number, text]}}]}


class Capability(Kind):
    """``NET_ADMIN`` or ``CAP_NET_ADMIN``, without the prefix; ``ALL``."""

    label = "a capability such as NET_BIND_SERVICE"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the name at *node*."""
        text = _CAPABILITY.decode(decoder, node, path)
        if text is INVALID:
            return INVALID
        name = text.upper().removeprefix("CAP_")
        if name not in CAPABILITIES:
            hint = decoder.problems.suggest(name, CAPABILITIES) or "capabilities(7) lists them"
            return self.refuse(decoder, node, path, hint)
        return name

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {"type": "string", "pattern": "^(CAP_)?[A-Za-z_]+$|\\$"}


_CAPABILITY = TextKind("a capability such as NET_BIND_SERVICE")
