"""The mappings `ready` and `healthcheck`: how a service is asked whether it is up and well."""

from __future__ import annotations

from supervise.config.yaml.decoder import INVALID
from supervise.config.yaml.keys.forms import CommandForm, HealthTest
from supervise.config.yaml.keys.kinds import Bool, Choice, Duration, Kind, Number, TextKind
from supervise.config.yaml.keys.shapes import Fields, Key
from supervise.model.numerals import whole
from supervise.model.service import HealthCheck, OnUnhealthy, Probe, Ready
from supervise.model.target import parse_http, parse_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from supervise.config.yaml.decoder import Decoder
    from supervise.config.yaml.keys.shapes import Table
    from supervise.config.yaml.nodes import YamlNode

_LOCAL = "PID 1 looks up no names: write an address, or `exec` with a program that does"


class TcpAddress(Kind):
    """``HOST:PORT`` with an IP address or ``localhost``."""

    label = "an address such as 127.0.0.1:5432"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return ``host:port`` as text, an IPv6 host in brackets."""
        text = _ADDRESS.decode(decoder, node, path)
        if text is INVALID:
            return INVALID
        if whole(text) is not None:
            return self.refuse(decoder, node, path, f"did you mean 127.0.0.1:{text}?")
        try:
            host = parse_target(text).host
        except ValueError as error:
            decoder.problem(node, path, *_halves(error))
            return INVALID
        return text if is_local(host) else self.refuse(decoder, node, path, _LOCAL)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {"type": "string", "pattern": r"^(\[[0-9A-Fa-f:.]+\]|[^:]+):[0-9]+$|\$"}


class HttpUrl(Kind):
    """``http://HOST[:PORT]/PATH`` with an IP address or ``localhost``."""

    label = "a URL such as http://127.0.0.1:8080/health"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return the URL as text."""
        text = _URL.decode(decoder, node, path)
        if text is INVALID:
            return INVALID
        try:
            host = parse_http(text).address.host
        except ValueError as error:
            decoder.problem(node, path, *_halves(error))
            return INVALID
        return text if is_local(host) else self.refuse(decoder, node, path, _LOCAL)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of this kind."""
        return {"type": "string", "pattern": r"^[Hh][Tt][Tt][Pp]://[^/\s]+\S*$|\$"}


_ADDRESS = TextKind("an address such as 127.0.0.1:5432")
_URL = TextKind("a URL such as http://127.0.0.1:8080/health")
_HEXADECIMAL = frozenset("0123456789abcdefABCDEF.")


def _halves(error: ValueError) -> tuple[str, str]:
    """Return the two halves of a sentence "what is wrong; what to write"."""
    what, _, hint = str(error).partition("; ")
    return what, hint


def is_local(host: str) -> bool:
    """Return whether *host* needs no resolver: localhost, IPv4, or IPv6 without a zone."""
    if host.lower() == "localhost":
        return True
    if ":" in host:
        groups = host.split(":")
        return 3 <= len(groups) <= 8 and all(map(_HEXADECIMAL.issuperset, groups))
    parts = host.split(".")
    return len(parts) == 4 and all((number := whole(p)) is not None and number < 256 for p in parts)


class _True(Bool):
    """``notify: true``; false would be no way to tell."""

    label = "true"

    def decode(self, decoder: Decoder, node: YamlNode, path: str) -> Any:
        """Return True."""
        value = super().decode(decoder, node, path)
        return self.refuse(decoder, node, path, "leave it out") if value is False else value


_TARGETS = ("notify", "tcp", "http", "exec")
_LATER = "not supported yet"
_INSTEAD = "use notify, tcp, http or exec"


def _build_ready(decoder: Decoder, table: Table, path: str) -> Any:
    """Return (Ready, the overall limit in seconds or None)."""
    targets = [name for name in _TARGETS if name in table]
    if len(targets) != 1:
        what = f"needs exactly one of {', '.join(_TARGETS)}; it has "
        what += " and ".join(targets) if targets else "none"
        decoder.problem(table.node, path, what, "as in {tcp: 127.0.0.1:5432}")
        return INVALID
    probe = Probe(**{targets[0]: table[targets[0]]})
    timing = {"interval": table.get("interval"), "timeout": table.get("try_timeout")}
    ready = Ready(probe, **{name: value for name, value in timing.items() if value is not None})
    return ready, table.get("timeout")


def _encode_ready(ready: Ready) -> dict[str, Any]:
    target = next(name for name in _TARGETS if getattr(ready.probe, name))
    kinds = READY.keys
    return {
        target: kinds[target].kind.encode(getattr(ready.probe, target)),
        "interval": kinds["interval"].kind.encode(ready.interval),
        "try_timeout": kinds["try_timeout"].kind.encode(ready.timeout),
    }


READY = Fields(
    "a mapping such as {tcp: 127.0.0.1:5432}",
    [
        Key(
            "notify",
            _True(),
            "The service says so itself with sd_notify(3): `READY=1` on `$NOTIFY_SOCKET`.",
            "true",
        ),
        Key("tcp", TcpAddress(), "This address accepts a connection.", "127.0.0.1:5432"),
        Key(
            "http",
            HttpUrl(),
            "A GET of this URL is answered with a status from 200 to 399.",
            "http://127.0.0.1:8080/health",
        ),
        Key("exec", CommandForm(), "This command exits with 0.", "[pg_isready, -q]"),
        Key("interval", Duration(zero=False), "The pause between two tries.", "500ms", "200ms"),
        Key("try_timeout", Duration(zero=False), "How long one try may take.", "3s", "1s"),
        Key(
            "timeout",
            Duration(zero=False),
            "How long all of it may take before the start has failed: another way to write the "
            "service's `start_timeout`.",
            "30s",
            "start_timeout",
        ),
    ],
    refused={
        "fd": (f"readiness by `fd` is {_LATER}", _INSTEAD),
        "file": (f"readiness by `file` is {_LATER}", "use exec: [test, -e, FILE]"),
        "log": (f"readiness by `log` is {_LATER}", _INSTEAD),
        "delay": (f"readiness by `delay` is {_LATER}", _INSTEAD),
    },
    build=_build_ready,
    encode=_encode_ready,
)


def _build_healthcheck(decoder: Decoder, table: Table, path: str) -> Any:
    """Return the HealthCheck, None when it is switched off."""
    fields = {name: value for name, value in table.items() if name not in {"test", "disable"}}
    if table.get("disable"):
        return None
    if "test" not in table:
        decoder.problem(table.node, path, "needs the key 'test'", "as in test: [CMD, pg_isready]")
        return INVALID
    if table["test"] is None:
        return None
    return HealthCheck(Probe(exec=table["test"]), **fields)


def _encode_healthcheck(check: HealthCheck) -> dict[str, Any]:
    kinds = HEALTHCHECK.keys
    fields = [name for name in kinds if name not in {"test", "disable"}]
    return {
        "test": kinds["test"].kind.encode(check.probe.exec),
        **{name: kinds[name].kind.encode(getattr(check, name)) for name in fields},
    }


HEALTHCHECK = Fields(
    "a mapping such as {test: [CMD, pg_isready]}",
    [
        Key(
            "test",
            HealthTest(),
            "A program with arguments, `[CMD, …]`; a shell line, `[CMD-SHELL, …]` or a string; "
            "`[NONE]` switches the check off.  It is healthy when it exits with 0.",
            "[CMD, pg_isready]",
        ),
        Key("interval", Duration(zero=False), "The pause between two checks.", "10s", "30s"),
        Key("timeout", Duration(zero=False), "How long one check may take.", "3s", "30s"),
        Key("retries", Number(1, 1_000_000), "So many failures in a row are unhealthy.", "5", "3"),
        Key(
            "start_period",
            Duration(),
            "Failures this soon after the start do not count.",
            "20s",
            "0s",
        ),
        Key(
            "start_interval",
            Duration(zero=False),
            "The pause between two checks during `start_period`.",
            "1s",
            "5s",
        ),
        Key("disable", Bool(), "Switches the check off.", "true", "false"),
        Key(
            "on_unhealthy",
            Choice(OnUnhealthy),
            "What being unhealthy does: nothing but show, or a restart.",
            "restart",
            "none",
        ),
    ],
    build=_build_healthcheck,
    encode=_encode_healthcheck,
)
