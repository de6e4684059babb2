"""CNI: the networks of clusters, set up by the plugins of /etc/cni/net.d.

``cni:NAME`` is the configuration called NAME there.  We run its plugins as the specification
says (version 1.0.0; github.com/containernetworking/cni, SPEC.md): ADD in order, each with the
result of the one before; DEL in reverse with the result of ADD, also after an ADD that failed
half-way, and also when the container's namespace is gone.
"""

from __future__ import annotations

import json
import os

from runtime.linux import program
from runtime.model.errors import RuntimeFailure
from supervise.model import suggest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from runtime.model.container.spec import Port
    from runtime.model.network.network_records import Lease

CONFIGURATIONS = "/etc/cni/net.d"
PLUGINS = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
_ENDINGS = (".conflist", ".conf", ".json")
_VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")


def load(name: str) -> dict[str, Any]:
    """Return the configuration called *name* as a list of plugins, whatever form its file has.

    Raises:
        RuntimeFailure: there is no such network, or its file is not valid.
    """
    known: dict[str, dict[str, Any]] = {}
    for path in _files():
        found = _read(path)
        known.setdefault(str(found.get("name", "")), found)
    if name in known:
        return known[name]
    nearest = suggest.closest(name, known)
    hint = (
        f"did you mean 'cni:{nearest}'?" if nearest else f"there are {', '.join(known) or 'none'}"
    )
    raise RuntimeFailure(
        f"cannot connect to 'cni:{name}': no configuration in {_directory()} has that name", hint
    )


def _directory() -> str:
    return os.environ.get("CNI_CONF_DIR", CONFIGURATIONS)


def _search_path() -> list[str]:
    """Return where plugins are looked for: $CNI_PATH, else the usual places."""
    return [entry for entry in os.environ.get("CNI_PATH", "").split(":") if entry] or list(PLUGINS)


def _files() -> list[str]:
    try:
        names = sorted(os.listdir(_directory()))
    except FileNotFoundError:
        return []
    return [f"{_directory()}/{name}" for name in names if name.endswith(_ENDINGS)]


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except ValueError as error:
        raise RuntimeFailure(f"cannot read '{path}': it is not JSON: {error}") from error
    plugins = found.get("plugins") if isinstance(found, dict) else None
    if isinstance(found, dict) and plugins is None and "type" in found:
        plugins = [found]  # a file of one plugin, as before version 0.3
        found = {key: found[key] for key in ("cniVersion", "name") if key in found}
    if not isinstance(plugins, list) or not all(
        isinstance(plugin, dict) and isinstance(plugin.get("type"), str) for plugin in plugins
    ):
        raise RuntimeFailure(f"cannot read '{path}': it has no list of plugins with a type each")
    return {**found, "plugins": plugins}


def plan(name: str, wanted: Sequence[Port], address: str, mac: str) -> str:
    """Return, as JSON text for the lease, what ADD and DEL will be called with.

    Raises:
        RuntimeFailure: no such configuration, a version we do not speak, a plugin that is not
            installed, or ports that no plugin publishes.
    """
    configuration = load(name)
    version = str(configuration.get("cniVersion", "0.3.1"))
    if version not in _VERSIONS:
        raise RuntimeFailure(
            f"cannot connect to 'cni:{name}': its cniVersion is '{version}'",
            f"versions {', '.join(_VERSIONS)} are understood",
        )
    plugins = configuration["plugins"]
    for plugin in plugins:
        _find_plugin(name, plugin["type"])
    offered = {
        capability
        for plugin in plugins
        for capability, on in plugin.get("capabilities", {}).items()
        if on
    }
    if wanted and "portMappings" not in offered:
        raise RuntimeFailure(
            f"cannot publish ports on 'cni:{name}': none of its plugins has the capability "
            "portMappings",
            'add {"type": "portmap", "capabilities": {"portMappings": true}} to its plugins',
        )
    given: dict[str, Any] = {}
    if wanted:
        given["portMappings"] = [_mapping(name, port) for port in wanted]
    if address:
        given["ips"] = [address]
    if mac:
        given["mac"] = mac
    return json.dumps({"cniVersion": version, "name": name, "plugins": plugins, "given": given})


def _mapping(name: str, port: Port) -> dict[str, Any]:
    if not port.host:
        raise RuntimeFailure(
            f"cannot publish port {port.container} on 'cni:{name}': it needs a host port",
            f"write -p {port.container}:{port.container}",
        )
    mapping = {
        "hostPort": port.host,
        "containerPort": port.container,
        "protocol": port.protocol,
        "hostIP": port.address,
    }
    return {key: value for key, value in mapping.items() if value}


def add(lease: Lease, namespace: str) -> dict[str, Any]:
    """Run ADD of every plugin; return the last result.

    Raises:
        RuntimeFailure: one refused; what was done is the caller's to undo with `delete`.
    """
    planned = json.loads(lease.plugins)
    result: dict[str, Any] = {}
    for plugin in planned["plugins"]:
        said = _call("ADD", planned, plugin, lease, namespace, result)
        try:
            result = json.loads(said) if said.strip() else result
        except ValueError as error:
            raise RuntimeFailure(
                f"cannot connect to '{lease.network}': plugin '{plugin['type']}' gave no JSON: "
                f"{error}"
            ) from error
    return result


def delete(lease: Lease, namespace: str = "") -> None:
    """Run DEL of every plugin in reverse, to the end whatever happens; *namespace* may be gone.

    Raises:
        RuntimeFailure: the first complaint.
    """
    planned = json.loads(lease.plugins)
    result = json.loads(lease.result) if lease.result else {}
    complaint: RuntimeFailure | None = None
    for plugin in reversed(planned["plugins"]):
        try:
            _call("DEL", planned, plugin, lease, namespace, result)
        except RuntimeFailure as error:
            complaint = complaint or error
    if complaint:
        raise complaint


def _call(  # noqa: PLR0917 - each is a part of the call
    command: str,
    planned: dict[str, Any],
    plugin: dict[str, Any],
    lease: Lease,
    namespace: str,
    previous: dict[str, Any],
) -> bytes:
    """Run one plugin and return what it printed."""
    path = _find_plugin(planned["name"], plugin["type"])
    environment = {
        **os.environ,
        # Plugins call iptables, which an ordinary user's PATH does not lead to.
        "PATH": f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin",
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": lease.id,
        "CNI_NETNS": namespace,
        "CNI_IFNAME": lease.interface,
        "CNI_PATH": ":".join(_search_path()),
        "CNI_ARGS": "",
    }
    done = program.run([path], _stdin(planned, plugin, previous), environment)
    if done.code:
        verb = "connect to" if command == "ADD" else "disconnect from"
        raise RuntimeFailure(
            f"cannot {verb} '{lease.network}': plugin '{plugin['type']}': {_complaint(done)}"
        )
    return done.out


def _stdin(planned: dict[str, Any], plugin: dict[str, Any], previous: dict[str, Any]) -> bytes:
    """Return the plugin's configuration for this call, as the specification derives it."""
    derived = {key: value for key, value in plugin.items() if key != "capabilities"}
    derived |= {"cniVersion": planned["cniVersion"], "name": planned["name"]}
    offered = plugin.get("capabilities", {})
    given = {key: value for key, value in planned["given"].items() if offered.get(key)}
    if given:
        derived["runtimeConfig"] = given
    if previous:
        derived["prevResult"] = previous
    return json.dumps(derived).encode()


def _complaint(done: program.ProgramOutput) -> str:
    """Return why a plugin failed: the error object it printed, else whatever it said."""
    try:
        said = json.loads(done.out)
        parts = [str(said.get("msg", "")), str(said.get("details", ""))]
    except (ValueError, AttributeError):
        parts = [done.out.decode(errors="replace"), done.error.decode(errors="replace")]
    words = "; ".join(part.strip() for part in parts if part.strip())
    return words or f"exit code {done.code}"


def _find_plugin(name: str, kind: str) -> str:
    if "/" in kind:
        raise RuntimeFailure(f"cannot connect to 'cni:{name}': '{kind}' is not a plugin's name")
    for directory in _search_path():
        path = f"{directory}/{kind}"
        if os.access(path, os.X_OK):
            return path
    raise RuntimeFailure(
        f"cannot connect to 'cni:{name}': plugin '{kind}' is not in {' or '.join(_search_path())}",
        "install the package containernetworking-plugins, or what brings that plugin",
    )


def with_result(lease: Lease, result: dict[str, Any]) -> Lease:
    """Return *lease* with *result* of ADD and the first addresses in it."""
    found = {"address": "", "prefix": "0", "gateway": "", "address6": "", "mac": ""}
    for entry in result.get("ips", []):
        plain, _, bits = str(entry.get("address", "")).partition("/")
        if ":" in plain:
            found["address6"] = found["address6"] or plain
        elif not found["address"]:
            gateway = str(entry.get("gateway", ""))
            found |= {"address": plain, "prefix": bits, "gateway": gateway}
    for interface in result.get("interfaces", []):
        if interface.get("sandbox") and interface.get("name") == lease.interface:
            found["mac"] = str(interface.get("mac", ""))
    prefix = int(found.pop("prefix") or 0)
    return lease.replace(result=json.dumps(result), prefix=prefix, **found)
