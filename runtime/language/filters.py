"""``--filter KEY=VALUE``: which containers, images, networks, volumes a list shows.

Filters of one key are alternatives (docker's rule), but every ``label`` must match; filters of
different keys must all match.
"""

from __future__ import annotations

from runtime.model import units
from runtime.model.container import statuses
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from supervise.model import numerals
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runtime.model.container.spec import Spec
    from runtime.model.container.state import State

CONTAINER = (
    *("ancestor", "before", "exited", "expose", "health", "id", "label", "name", "network"),
    *("publish", "since", "status", "volume"),
)
IMAGE = ("before", "dangling", "label", "reference", "since", "until")
VOLUME = ("dangling", "driver", "label", "name")
NETWORK = ("dangling", "driver", "id", "label", "name", "scope", "type")
PRUNE = ("label", "label!", "until")

Filters = dict[str, list[str]]


def parse(given: Iterable[str], known: Sequence[str]) -> Filters:
    """Return key → values of what ``--filter`` was given.

    Raises:
        RuntimeFailure: one is no KEY=VALUE, or the key is not in *known*.
    """
    found: Filters = {}
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if not equals:
            raise RuntimeFailure(f"invalid argument '{text}': a filter is KEY=VALUE", code=1)
        if key not in known:
            near = closest(key, known)
            hint = f"did you mean '{near}'?" if near else f"there are {', '.join(known)}"
            raise RuntimeFailure(f"invalid filter '{key}'", hint, code=1)
        found.setdefault(key, []).append(value)
    return found


def containers(
    given: Filters,
    rows: Sequence[tuple[Spec, State]],
    *,
    ancestors: Callable[[str], set[str]],
    find: Callable[[str], Spec],
) -> list[tuple[Spec, State]]:
    """Return those of *rows* that match.

    *ancestors* gives the ids of the images made from a named one, itself among them; *find* the
    container of ``before`` and ``since``.

    Raises:
        RuntimeFailure: a value is not valid, or names an object that does not exist.
    """
    for value in given.get("status", ()):
        if value not in statuses.EVERY:
            known = ", ".join(statuses.EVERY)
            raise RuntimeFailure(f"invalid filter 'status={value}'", f"there are {known}", code=1)
    exited = {_whole("exited", value) for value in given.get("exited", ())}
    images = set().union(*map(ancestors, given.get("ancestor", ())))
    before = [find(value).created for value in given.get("before", ())]
    since = [find(value).created for value in given.get("since", ())]

    def matches(spec: Spec, state: State) -> bool:
        return (
            _any(given, "id", spec.id.startswith)
            and _any(given, "name", lambda text: _is_like(text, spec.name))
            and _any(given, "status", lambda text: text == state.status)
            and _any(given, "health", lambda text: text == (state.health or "none"))
            and has_labels(given.get("label", ()), spec.labels)
            and (not exited or (state.status == statuses.EXITED and state.exit_code in exited))
            and ("ancestor" not in given or spec.image_id in images)
            and all(spec.created < limit for limit in before)
            and all(spec.created > limit for limit in since)
            and _any(given, "volume", lambda text: _mounts(spec, text))
            and _any(given, "network", lambda text: _is_on(spec, state, text))
            and _any(given, "publish", lambda text: _has_port(_published(spec, state), text))
            and _any(given, "expose", lambda text: _has_port(set(spec.exposed), text))
        )

    return [(spec, state) for spec, state in rows if matches(spec, state)]


def has_labels(wanted: Iterable[str], labels: Mapping[str, str]) -> bool:
    """Return whether *labels* has all of *wanted*: ``KEY`` or ``KEY=VALUE``."""
    for text in wanted:
        key, equals, value = text.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def truth(given: Filters, key: str) -> bool | None:
    """Return the value of a filter that is true or false, None when it is not given."""
    if key not in given:
        return None
    value = given[key][-1].lower()
    if value not in ("true", "1", "false", "0"):
        raise RuntimeFailure(f"invalid filter '{key}={value}': it is true or false", code=1)
    return value in ("true", "1")


def until(given: Filters, now: float) -> float | None:
    """Return the time before which things must be made, None when no filter says so."""
    try:
        limits = [units.moment(text, now) for text in given.get("until", ())]
    except ValueError as error:
        raise RuntimeFailure(f"invalid filter 'until': {error}", code=1) from None
    return min(limits, default=None)


def references(given: Filters, names: Sequence[str]) -> bool:
    """Return whether one of an image's familiar *names* matches a ``reference`` filter."""
    patterns = given.get("reference", ())
    if not patterns:
        return True
    from fnmatch import fnmatchcase

    for name in names:
        repository = name.rpartition(":")[0]
        for pattern in patterns:
            tagged = ":" in pattern.rpartition("/")[2]
            word = name if tagged else repository
            # docker's * stops at a slash, as path.Match's.
            same_depth = word.count("/") == pattern.count("/")
            if same_depth and fnmatchcase(word, pattern):
                return True
    return False


def named(given: Filters, name: str) -> bool:
    """Return whether *name* contains one of the ``name`` filters."""
    return _any(given, "name", lambda text: text in name)


def _any(given: Filters, key: str, matches: Callable[[str], bool]) -> bool:
    return key not in given or any(map(matches, given[key]))


def _is_like(pattern: str, name: str) -> bool:
    """Match a regular expression with the name as docker does: with and without its slash."""
    import re

    try:
        return bool(re.search(pattern, name) or re.search(pattern, f"/{name}"))
    except re.error as error:
        raise RuntimeFailure(f"invalid filter 'name={pattern}': {error}", code=1) from None


def _mounts(spec: Spec, text: str) -> bool:
    return any(text in (mount.source, mount.target) for mount in spec.mounts)


def _is_on(spec: Spec, state: State, text: str) -> bool:
    for endpoint in state.endpoints:
        if text == endpoint.network or _is_start(text, endpoint.extra.get("network_id", "")):
            return True
    return text == spec.network


def _is_start(text: str, whole: str) -> bool:
    return len(text) >= 4 and digests.is_hex(text) and whole.startswith(text)


def _published(spec: Spec, state: State) -> set[tuple[int, str]]:
    bound = {(c, kind) for e in state.endpoints for _, _, c, kind in e.ports}
    hosts = {(h, kind) for e in state.endpoints for _, h, _, kind in e.ports}
    asked = {(port.container, port.protocol) for port in spec.ports}
    return bound | hosts | asked


def _has_port(known: set[tuple[int, str]], text: str) -> bool:
    numbers, _, protocol = text.partition("/")
    first, dash, last = numbers.partition("-")
    low, high = _whole("publish", first), _whole("publish", last if dash else first)
    return any(low <= port <= high and kind == (protocol or "tcp") for port, kind in known)


def _whole(key: str, text: str) -> int:
    number = numerals.whole(text)
    if number is None:
        raise RuntimeFailure(f"invalid filter '{key}={text}': it is a number", code=1)
    return number
