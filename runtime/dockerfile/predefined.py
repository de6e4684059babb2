"""The build arguments that need no ARG, and those that tell the platform.

Source: the Dockerfile reference, "Predefined ARGs" and "Automatic platform ARGs".
"""

from __future__ import annotations

from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.dockerfile.commands import Place

# Seen by RUN when they are given, never written into the history or a cache key.
PROXIES = tuple(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (upper, upper.lower())
)


def proxies(arguments: Mapping[str, str]) -> dict[str, str]:
    """Return those of *arguments* (name → value) that need no ARG."""
    return {name: value for name, value in arguments.items() if name in PROXIES}


def platform_args(build: str, target: str) -> dict[str, str]:
    """Return BUILDPLATFORM, TARGETPLATFORM and their parts for `os/arch[/variant]`.

    A stage sees one of them after an ARG with its name, FROM always.
    """
    return {**_parts("BUILD", build), **_parts("TARGET", target)}


def _parts(prefix: str, platform: str) -> dict[str, str]:
    system, _, rest = platform.partition("/")
    architecture, _, variant = rest.partition("/")
    return {
        f"{prefix}PLATFORM": platform,
        f"{prefix}OS": system,
        f"{prefix}ARCH": architecture,
        f"{prefix}VARIANT": variant,
    }


def undefined(place: Place, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return a warning for each variable of *names* that has no value at *place*."""
    warnings = []
    for name in sorted(names):
        near = closest(name, known)
        guess = f"; did you mean ${near}?" if near else ""
        warnings.append(f"warning: Dockerfile:{place.first_line}: ${name} has no value here{guess}")
    return warnings
