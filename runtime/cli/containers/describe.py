"""A container as `docker inspect` shows it: every key that tools read."""

from __future__ import annotations

from runtime.cli.containers import changes
from runtime.container.monitor import jsonlog
from runtime.model import timestamp
from runtime.model.container import defaults, statuses
from runtime.model.container.state import Endpoint
from runtime.model.image.image_config import healthcheck_json
from runtime.model.network import joining, network_records, published_ports
from supervise.model.signals import signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.model.container.spec import Mount, Spec
    from runtime.model.container.state import HealthProbe, State
    from runtime.model.image.image_config import ImageConfig
    from runtime.store.layout import Layout

_NEVER = "0001-01-01T00:00:00Z"
_NANO = 1_000_000_000


def container(
    layout: Layout, spec: Spec, state: State, config: ImageConfig, lowers: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the JSON value of one container; *config* is its image's, *lowers* its layers."""
    directory = layout.container(spec.id)
    return {
        "Id": spec.id,
        "Created": timestamp.render(spec.created),
        "Path": spec.argv[0] if spec.argv else "",
        "Args": list(spec.argv[1:]),
        "State": _state(state),
        "Image": spec.image_id,
        "ResolvConfPath": f"{directory}/resolv.conf",
        "HostnamePath": f"{directory}/hostname",
        "HostsPath": f"{directory}/hosts",
        "LogPath": f"{directory}/{jsonlog.NAME}",
        "Name": f"/{spec.name}",
        "RestartCount": state.restarts,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(spec),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": {
                "LowerDir": ":".join(lowers),
                "MergedDir": f"{layout.container_run(spec.id)}/merged",
                "UpperDir": f"{directory}/upper",
                "WorkDir": f"{directory}/work",
            },
        },
        "Mounts": [_mount(layout, mount) for mount in spec.mounts],
        "Config": _config(spec, config),
        "NetworkSettings": _network(spec, state),
    }


def _time(seconds: float) -> str:
    return timestamp.render(seconds) if seconds else _NEVER


def _state(state: State) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Status": state.status,
        # Docker counts a paused container among the running ones.
        "Running": state.status in statuses.ALIVE,
        "Paused": state.status == statuses.PAUSED,
        "Restarting": state.status == statuses.RESTARTING,
        "OOMKilled": state.oom_killed,
        "Dead": state.status == statuses.DEAD,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": _time(state.started),
        "FinishedAt": _time(state.finished),
    }
    if state.health:
        found["Health"] = {
            "Status": state.health,
            "FailingStreak": state.health_streak,
            "Log": [_probe(probe) for probe in state.health_log],
        }
    return found


def _probe(probe: HealthProbe) -> dict[str, Any]:
    return {
        "Start": timestamp.render(probe.started),
        "End": timestamp.render(probe.finished),
        "ExitCode": probe.exit_code,
        "Output": probe.output,
    }


def _host_config(spec: Spec) -> dict[str, Any]:
    return {
        "Binds": [_bind(mount) for mount in spec.mounts if mount.kind != "tmpfs"] or None,
        "ContainerIDFile": "",
        "LogConfig": {
            "Type": "json-file",
            "Config": {
                "max-size": str(spec.logging.max_size),
                "max-file": str(spec.logging.max_file),
            },
        },
        "NetworkMode": spec.network,
        "PortBindings": _asked_ports(spec),
        "RestartPolicy": {
            "Name": spec.restart.mode,
            "MaximumRetryCount": spec.restart.max_retries,
        },
        "AutoRemove": spec.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": list(spec.volumes_from) or None,
        "CapAdd": sorted(set(spec.capabilities) - set(defaults.CAPABILITIES)) or None,
        "CapDrop": sorted(set(defaults.CAPABILITIES) - set(spec.capabilities)) or None,
        "CgroupnsMode": "private",
        "Dns": list(spec.dns),
        "DnsOptions": list(spec.dns_options),
        "DnsSearch": list(spec.dns_search),
        "ExtraHosts": [f"{name}:{address}" for name, address in spec.add_hosts] or None,
        "GroupAdd": list(spec.groups) or None,
        "IpcMode": spec.ipc_mode or "private",
        "Cgroup": "",
        "Links": [f"/{link[:12]}:/{spec.name}/{alias}" for link, alias in spec.links] or None,
        "OomScoreAdj": spec.oom_score_adj,
        "PidMode": spec.pid_mode,
        "Privileged": spec.privileged,
        "PublishAllPorts": spec.publish_all,
        "ReadonlyRootfs": spec.read_only,
        "SecurityOpt": _security(spec) or None,
        "Tmpfs": _tmpfs(spec),
        "UTSMode": spec.uts_mode,
        "UsernsMode": "mapped" if spec.user_namespace else "",
        "ShmSize": spec.shm_size,
        "Sysctls": dict(spec.sysctls),
        "Runtime": "runtime",
        "Init": spec.init == "supervise",
        "ConsoleSize": [0, 0],
        "Isolation": "",
        "MaskedPaths": list(
            defaults.MASKED_PATHS if spec.masked_paths is None else spec.masked_paths
        ),
        "ReadonlyPaths": list(
            defaults.READONLY_PATHS if spec.readonly_paths is None else spec.readonly_paths
        ),
        **_limits(spec),
    }


def _limits(spec: Spec) -> dict[str, Any]:
    limits = spec.limits
    return {
        "CpuShares": limits.cpu_shares or 0,
        "Memory": limits.memory or 0,
        "NanoCpus": round((limits.cpus or 0) * _NANO),
        "CgroupParent": "",
        "BlkioWeight": 0,
        "BlkioWeightDevice": [],
        "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteBps": [],
        "BlkioDeviceReadIOps": [],
        "BlkioDeviceWriteIOps": [],
        "CpuPeriod": 0,
        "CpuQuota": 0,
        "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0,
        "CpusetCpus": limits.cpuset_cpus,
        "CpusetMems": limits.cpuset_mems,
        "Devices": [
            {"PathOnHost": host, "PathInContainer": inner, "CgroupPermissions": allowed}
            for host, inner, allowed in spec.devices
        ],
        "DeviceCgroupRules": list(spec.device_rules) or None,
        "DeviceRequests": None,
        "MemoryReservation": limits.memory_reservation or 0,
        "MemorySwap": limits.memory_swap or 0,
        "MemorySwappiness": None,
        "OomKillDisable": False,
        "PidsLimit": limits.pids,
        "Ulimits": [
            {"Name": name, "Hard": hard, "Soft": soft}
            for name, (soft, hard) in spec.rlimits.items()
        ],
        "CpuCount": 0,
        "CpuPercent": 0,
        "IOMaximumIOps": 0,
        "IOMaximumBandwidth": 0,
    }


def _security(spec: Spec) -> list[str]:
    found = ["no-new-privileges"] if spec.no_new_privileges else []
    return found + ([f"seccomp={spec.seccomp}"] if spec.seccomp != "default" else [])


def _tmpfs(spec: Spec) -> dict[str, str]:
    return {m.target: ",".join(m.options) for m in spec.mounts if m.kind == "tmpfs"}


def _bind(mount: Mount) -> str:
    text = f"{mount.source}:{mount.target}"
    return f"{text}:ro" if mount.read_only else text


def _asked_ports(spec: Spec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for port in spec.ports:
        binding = {"HostIp": port.address, "HostPort": str(port.host or "")}
        found.setdefault(f"{port.container}/{port.protocol}", []).append(binding)
    return found


def _mount(layout: Layout, mount: Mount) -> dict[str, Any]:
    found: dict[str, Any] = {"Type": mount.kind}
    if mount.kind == "volume":
        found["Name"] = mount.source
        found["Source"] = f"{layout.volumes}/{mount.source}/_data"
    else:
        found["Source"] = mount.source
    found["Destination"] = mount.target
    if mount.kind == "volume":
        found["Driver"] = "local"
    found["Mode"] = "ro" if mount.read_only else ""
    found["RW"] = not mount.read_only
    found["Propagation"] = mount.propagation if mount.kind == "bind" else ""
    return found


def _config(spec: Spec, config: ImageConfig) -> dict[str, Any]:
    entrypoint, command = changes.split_command(spec, config)
    found: dict[str, Any] = {
        "Hostname": spec.hostname,
        "Domainname": spec.domainname,
        "User": spec.user,
        "AttachStdin": spec.interactive and not spec.detached,
        "AttachStdout": not spec.detached,
        "AttachStderr": not spec.detached,
        "ExposedPorts": {f"{port}/{protocol}": {} for port, protocol in spec.exposed},
        "Tty": spec.tty,
        "OpenStdin": spec.interactive,
        "StdinOnce": spec.interactive and not spec.detached,
        "Env": list(changes.environment(spec)),
        "Cmd": list(command) or None,
        "Image": spec.image,
        "Volumes": {path: {} for path in config.volumes} or None,
        "WorkingDir": spec.working_dir,
        "Entrypoint": list(entrypoint) if entrypoint else None,
        "OnBuild": None,
        "Labels": dict(spec.labels),
        "StopSignal": signal_name(spec.stop_signal),
    }
    if spec.healthcheck is not None:
        found["Healthcheck"] = healthcheck_json(spec.healthcheck)
    if spec.shell:
        found["Shell"] = list(spec.shell)
    if spec.stop_timeout is not None:
        found["StopTimeout"] = round(spec.stop_timeout)
    return found


def _endpoints(spec: Spec, state: State) -> dict[str, Any]:
    """Return how the container is on each network, or will be."""
    aliases = {join.network: join.aliases for join in joining.networks(spec)}
    shown = state.endpoints or tuple(Endpoint(name) for name in aliases)
    return {
        endpoint.network: network_records.endpoint_settings(
            endpoint.extra.get("network_id", ""), endpoint, aliases.get(endpoint.network, ())
        )
        for endpoint in shown
    }


def _network(spec: Spec, state: State) -> dict[str, Any]:
    bound = [binding for endpoint in state.endpoints for binding in endpoint.ports]
    alive = state.status in statuses.HAS_PROCESS
    first = state.endpoints[0] if state.endpoints else None
    return {
        "Bridge": "",
        "SandboxID": spec.id if alive else "",
        "SandboxKey": f"/proc/{state.pid}/ns/net" if alive else "",
        "Ports": published_ports.by_container_port(bound, spec.exposed) if alive else {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": first.extra.get("endpoint_id", "") if first else "",
        "Gateway": first.gateway if first else "",
        "IPAddress": first.address if first else "",
        "IPPrefixLen": first.prefix if first else 0,
        "IPv6Gateway": first.extra.get("gateway6", "") if first else "",
        "GlobalIPv6Address": first.address6 if first else "",
        "GlobalIPv6PrefixLen": int(first.extra.get("prefix6", "0")) if first else 0,
        "MacAddress": first.mac if first else "",
        "Networks": _endpoints(spec, state),
    }
