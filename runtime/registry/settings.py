"""How registries are reached, as values: places, trust, patience.

`runtime.registry.configuration` reads them from registries.yaml; `places` applies them to a name.
"""

from __future__ import annotations

from runtime.model.image import reference as names
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.image.reference import Reference

DOCKER_HUB = "registry-1.docker.io"  # what docker.io means
DOCKER_ACCOUNT = "https://index.docker.io/v1/"  # what docker calls it in its config.json


class Trust(Record):
    """How the other end of a TLS connection is known, and how we are.  Paths of PEM files."""

    ca: str = ""  # instead of the system's
    certificate: str = ""
    key: str = ""
    verify: bool = True


class Location(Record):
    """One place that serves repositories: ``host[:port][/prefix]``."""

    host: str  # with its port
    prefix: str = ""  # of the repository's path, without slashes at its ends
    scheme: str = ""  # http | https; empty: https, and on loopback whichever answers
    trust: Trust = Trust()


class Rule(Record):
    """What registries.yaml says about the names that begin with *name*."""

    name: str  # docker.io, or registry.example/team
    location: Location
    mirrors: tuple[Location, ...] = ()
    blocked: bool = False  # its mirrors alone are asked


class Patience(Record):
    """How long to wait and how often to ask again.  Seconds."""

    connect: float = 10.0
    stall: float = 30.0  # without a byte
    attempts: int = 5
    pause: float = 0.5  # before the second attempt, doubling
    longest_pause: float = 60.0  # what a Retry-After may ask for


class Settings(Record):
    """All of registries.yaml."""

    rules: tuple[Rule, ...] = ()
    patience: Patience = Patience()
    parallel: int = 4  # layers at a time
    chunk: int = 32 << 20  # bytes that push sends in one request


class RegistryEndpoint(Record):
    """One place that one repository may be at."""

    location: Location
    repository: str  # its path there
    account: str  # under what credentials are kept
    is_mirror: bool = False


def endpoints(settings: Settings, reference: Reference) -> tuple[RegistryEndpoint, ...]:
    """Return where *reference* may be, in the order in which to ask: mirrors first."""
    rule = _rule(settings, reference.name)
    rest = reference.path
    location = default_location(reference.domain)
    mirrors: tuple[Location, ...] = ()
    if rule is not None:
        location, mirrors = rule.location, rule.mirrors
        rest = reference.name.removeprefix(rule.name).removeprefix("/")
    own = () if rule is not None and rule.blocked else (location,)
    found = [_endpoint(mirror, rest, is_mirror=True) for mirror in mirrors]
    return (*found, *(_endpoint(place, rest) for place in own))


def default_location(domain: str) -> Location:
    """Return the location of a registry that registries.yaml does not mention."""
    return Location(DOCKER_HUB if domain == names.DEFAULT_DOMAIN else domain)


def location_of(settings: Settings, host: str) -> Location:
    """Return how *host* itself is reached, wherever registries.yaml mentions it."""
    for rule in settings.rules:
        if rule.name == host:
            return rule.location
    for rule in settings.rules:
        for location in (rule.location, *rule.mirrors):
            if location.host == host:
                return location
    return default_location(host)


def account_of(host: str) -> str:
    """Return the name under which credentials for *host* are kept, as docker keeps them."""
    docker = (names.DEFAULT_DOMAIN, DOCKER_HUB, "index.docker.io")
    return DOCKER_ACCOUNT if host in docker else host


def is_loopback(host: str) -> bool:
    """Return whether *host*, with or without port, is this machine: docker allows plain http."""
    name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return name in ("localhost", "::1") or (name.startswith("127.") and name.count(".") == 3)


def _rule(settings: Settings, name: str) -> Rule | None:
    """Return the most particular rule for the repository *name*."""
    fitting = [rule for rule in settings.rules if f"{name}/".startswith(f"{rule.name}/")]
    return max(fitting, key=lambda rule: len(rule.name), default=None)


def _endpoint(location: Location, rest: str, *, is_mirror: bool = False) -> RegistryEndpoint:
    repository = "/".join(part for part in (location.prefix, rest) if part)
    return RegistryEndpoint(location, repository, account_of(location.host), is_mirror)
