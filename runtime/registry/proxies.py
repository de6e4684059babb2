"""Which proxy a request goes through: the variables every program knows."""

from __future__ import annotations

from urllib.parse import urlsplit

from runtime.registry.settings import is_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def for_url(url: str, environment: Mapping[str, str]) -> str:
    """Return the proxy's URL, empty for none: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY.

    Loopback is never asked for through a proxy.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or _is_exempt(host, parts.port, _variable(environment, "no_proxy")):
        return ""
    found = _variable(environment, f"{parts.scheme}_proxy") or _variable(environment, "all_proxy")
    return found if not found or "://" in found else f"http://{found}"


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""


def _is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    for entry in no_proxy.replace(",", " ").split():
        name, _, its_port = entry.partition(":")
        suffix = name.removeprefix("*").removeprefix(".")
        if its_port and its_port != str(port):
            continue
        if name == "*" or host == suffix or (suffix and host.endswith(f".{suffix}")):
            return True
    return False
