"""`network create`, `ls`, `rm`, `prune`, `connect`, `disconnect`."""

from __future__ import annotations

import sys
import time

from runtime.cli import output, volume_verbs
from runtime.cli.containers import life, lookup
from runtime.container import connection
from runtime.language import columns, filters
from runtime.language.commandline import Verb
from runtime.model import units
from runtime.model.container import statuses
from runtime.model.container.spec import Join
from runtime.model.errors import RuntimeFailure
from runtime.model.image import digest as digests
from runtime.model.network import joining
from runtime.model.network import network_records as model
from runtime.network.catalog import Catalog
from runtime.network.networks import Networks
from runtime.store import events
from runtime.store.containers import Containers
from supervise.model import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.language.commandline import Arguments
    from runtime.model.container.spec import Spec
    from runtime.model.container.state import Endpoint, State
    from runtime.model.network.network_records import Network
    from runtime.store.layout import Layout

CREATE = Verb(
    "network create",
    "NETWORK",
    "Make a network",
    """
  -d, --driver string    bridge (default), or macvlan
      --gateway list     Address of the gateway, one a family
      --internal         No way out of it, no way in
      --ip-range list    Take addresses from this part of the subnet
      --ipv6             Also an IPv6 subnet
      --label list       A label: KEY[=VALUE]
  -o, --opt map          parent=eth0, macvlan_mode=bridge, mtu=1400
      --subnet list      Subnet such as 10.5.0.0/16, one a family
""",
    least=1,
    most=1,
)
LS = Verb(
    "network ls",
    "",
    "List networks",
    """
  -f, --filter filter   dangling=BOOL, driver=NAME, id=ID, label=KEY[=VALUE], name=PART,
                        scope=local, type=builtin|custom
"""
    + output.FORMAT
    + """
      --no-trunc        Show whole ids
  -q, --quiet           Show ids alone
""",
    most=0,
)
RM = Verb(
    "network rm",
    "NETWORK [NETWORK...]",
    "Remove networks that no container is on",
    """
  -f, --force   No network of that name is fine
""",
    least=1,
)
PRUNE = Verb(
    "network prune",
    "",
    "Remove all networks that no container is on",
    """
      --filter filter   label=KEY[=VALUE]
  -f, --force           Do not ask
""",
    most=0,
)
CONNECT = Verb(
    "network connect",
    "NETWORK CONTAINER",
    "Connect a container to one more network",
    """
      --alias list    One more name for it on that network
      --ip string     A fixed IPv4 address
""",
    least=2,
    most=2,
)
DISCONNECT = Verb(
    "network disconnect",
    "NETWORK CONTAINER",
    "Disconnect a container from a network",
    least=2,
    most=2,
)


def create(layout: Layout, words: Arguments) -> int:
    """Make a network and print its id."""
    ranges = words.many("ip-range")
    if len(ranges) > 1:
        raise RuntimeFailure("--ip-range may be given once, for IPv4", code=1)
    networks = Catalog(layout)
    made = networks.create(
        words.operands[0],
        driver=words.text("driver", "bridge"),
        subnets=words.many("subnet"),
        gateways=words.many("gateway"),
        ip_range=ranges[0] if ranges else "",
        internal=words.flag("internal"),
        ipv6=words.flag("ipv6"),
        labels=volume_verbs.labels_of(words.many("label")),
        options=volume_verbs.labels_of(words.many("opt")),
    )
    _tell(networks)
    _note(layout, made, "create")
    output.say(made.id)
    return 0


def _note(layout: Layout, network: Network, action: str) -> None:
    attributes = {"name": network.name, "type": network.driver}
    events.emit(layout, "network", action, network.id, attributes)


def _tell(networks: Catalog) -> None:
    for remark in networks.take_remarks():
        sys.stderr.write(f"runtime: {remark}\n")


def ls(layout: Layout, words: Arguments) -> int:
    """List networks."""
    given = filters.parse(words.many("filter"), filters.NETWORK)
    networks = Catalog(layout)
    chosen = [network for network in networks.list() if _is_wanted(networks, network, given)]
    no_trunc = words.flag("no-trunc")
    if words.flag("quiet"):
        ids = (n.id if no_trunc else digests.short(n.id) for n in chosen)
        sys.stdout.write("".join(f"{each}\n" for each in ids))
        return 0
    rows = [
        {
            "ID": network.id if no_trunc else digests.short(network.id),
            "Name": network.name,
            "Driver": network.driver,
            "Scope": "local",
            "IPv6": str(bool(network.subnet6)).lower(),
            "Internal": str(network.internal).lower(),
            "CreatedAt": units.wall(network.created or time.time()),
            **columns.label_fields(network.labels),
        }
        for network in chosen
    ]
    output.show(words, rows, columns.NETWORK, columns.NETWORK_TABLE)
    return 0


def _is_wanted(networks: Catalog, network: Network, given: filters.Filters) -> bool:
    built_in = network.name in model.BUILT_IN
    dangling = filters.truth(given, "dangling")
    types = given.get("type", ())
    for text in types:
        if text not in ("builtin", "custom"):
            raise RuntimeFailure(f"invalid filter 'type={text}': it is builtin or custom", code=1)
    return (
        filters.named(given, network.name)
        and filters.has_labels(given.get("label", ()), network.labels)
        and ("driver" not in given or network.driver in given["driver"])
        and ("scope" not in given or "local" in given["scope"])
        and ("id" not in given or any(network.id.startswith(text) for text in given["id"]))
        and (not types or ("builtin" if built_in else "custom") in types)
        and (
            dangling is None or dangling == (not built_in and not networks.leases.of(network.name))
        )
    )


def rm(layout: Layout, words: Arguments) -> int:
    """Remove networks."""
    networks = Catalog(layout)

    def remove(name: str) -> None:
        try:
            _note(layout, networks.remove(name), "destroy")
        except RuntimeFailure as failure:
            if words.flag("force") and "no such network" in failure.message:
                return
            raise
        output.say(name)

    return output.each(words.operands, remove)


def prune(layout: Layout, words: Arguments) -> int:
    """Remove networks nobody is on."""
    warning = "This will remove all custom networks not used by at least one container."
    if not output.agrees(words, warning):
        return 0
    removed = remove_unused(layout, words)
    if removed:
        sys.stdout.write("Deleted Networks:\n" + "".join(f"{name}\n" for name in removed))
    return 0


def remove_unused(layout: Layout, words: Arguments) -> tuple[str, ...]:
    """Remove unused networks that the filters let through; return their names."""
    given = filters.parse(words.many("filter"), ("label",))
    networks = Catalog(layout)
    known = {network.name: network for network in networks.list()}
    removed = networks.prune(volume_verbs.labels_of(given.get("label", ())))
    for name in removed:
        _note(layout, known[name], "destroy")
    return removed


def connect(layout: Layout, words: Arguments) -> int:
    """Connect a container to one more network, at once when it runs and at every start."""
    spec, state = lookup.one(layout, words.operands[1])
    catalog = Catalog(layout)
    networks = Networks(catalog)
    join = Join(words.operands[0], words.many("alias"), words.text("ip"))
    if state.status in statuses.HAS_PROCESS:
        endpoint = networks.join(spec, join, state.pid, state.endpoints, owner=state.monitor_pid)
        _tell(catalog)
        _keep(layout, spec, (*state.endpoints, endpoint))
        connection.note(layout, spec, endpoint, "connect")
        name = endpoint.network
    else:
        on = [each.network for each in joining.networks(spec) if each.network != "none"]
        name = networks.check_join(spec, join, on).name
    _change(layout, joining.connected(spec, join.replace(network=name)), state)
    return 0


def _keep(layout: Layout, spec: Spec, endpoints: tuple[Endpoint, ...]) -> None:
    """Let the container's monitor know where the container is by now."""
    life.ask(layout, spec, "endpoints", endpoints=[plain.to_plain(each) for each in endpoints])


def _change(layout: Layout, spec: Spec, state: State) -> None:
    """Write what the container's next start goes by."""
    Containers(layout).save_spec(spec)
    if state.status in statuses.ALIVE:
        life.ask(layout, spec, "reload")


def disconnect(layout: Layout, words: Arguments) -> int:
    """Disconnect a container from a network, at once when it runs and for every start."""
    spec, state = lookup.one(layout, words.operands[1])
    catalog = Catalog(layout)
    networks = Networks(catalog)
    name = catalog.find(words.operands[0]).name
    known = {each.network for each in joining.networks(spec)}
    endpoint = next((each for each in state.endpoints if each.network == name), None)
    runs = state.status in statuses.HAS_PROCESS
    if (endpoint is None if runs else name not in known) or name in ("host", "none"):
        raise RuntimeFailure(f"container '{spec.name}' is not on network '{name}'", code=1)
    if runs and endpoint is not None:
        networks.leave(spec.id, endpoint, state.pid)
        _keep(layout, spec, tuple(each for each in state.endpoints if each != endpoint))
        connection.note(layout, spec, endpoint, "disconnect")
    _change(layout, joining.disconnected(spec, name), state)
    return 0
