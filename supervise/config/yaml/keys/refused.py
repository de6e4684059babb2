"""Keys that are understood and not to be had, with what to do instead.

Two kinds: what supervise will have later, and what compose has because it describes the
container from outside.  Nothing here is accepted and ignored.
"""

from __future__ import annotations

from supervise.config.yaml.keys.kinds import Choice
from supervise.model.service import ServiceType


def _later(key: str, hint: str) -> tuple[str, str]:
    return f"`{key}` is not supported yet", hint


def _outside(key: str, hint: str) -> tuple[str, str]:
    if hint.startswith("docker run"):
        hint = f"use {hint}"
    return f"`{key}` belongs to the container, not to a service in it", hint


_SCHEDULE_HINT = "run a cron daemon as a service"
_CGROUP_HINT = "limit the container: docker run"

IN_SERVICE: dict[str, tuple[str, str]] = {
    "sockets": _later("sockets", "let the service open its own socket"),
    "schedule": _later("schedule", _SCHEDULE_HINT),
    "overlap": _later("overlap", _SCHEDULE_HINT),
    "timezone": _later("timezone", "set TZ in `environment`"),
    "jitter": _later("jitter", "`backoff` has a jitter for restarts"),
    "hooks": _later("hooks", "use a oneshot service and `depends_on`, or `stop_command`"),
    "secrets": _later("secrets", "use `env_file`, or read the file in the service"),
    "replicas": _later("replicas", "declare the service once for each"),
    "scale": _later("scale", "declare the service once for each"),
    "pid_file": _later("pid_file", "keep the program in the foreground"),
    "memory_limit": _later("memory_limit", f"{_CGROUP_HINT} --memory"),
    "pids_limit": _later("pids_limit", f"{_CGROUP_HINT} --pids-limit"),
    "watchdog": _later("watchdog", "use `healthcheck` with on_unhealthy: restart"),
    "reexec": _later("reexec", "restart the container"),
    # compose.yaml, the container's side of it
    "image": _outside("image", "supervise runs programs of the image it is in"),
    "build": _outside("build", "supervise runs programs of the image it is in"),
    "container_name": _outside("container_name", "docker run --name"),
    "hostname": _outside("hostname", "docker run --hostname"),
    "ports": _outside("ports", "docker run -p"),
    "expose": _outside("expose", "EXPOSE in the Dockerfile"),
    "volumes": _outside("volumes", "docker run -v"),
    "tmpfs": _outside("tmpfs", "docker run --tmpfs"),
    "networks": _outside("networks", "docker run --network"),
    "network_mode": _outside("network_mode", "docker run --network"),
    "dns": _outside("dns", "docker run --dns"),
    "extra_hosts": _outside("extra_hosts", "docker run --add-host"),
    "links": _outside("links", "services of one container reach each other at 127.0.0.1"),
    "privileged": _outside("privileged", "docker run --privileged"),
    "read_only": _outside("read_only", "docker run --read-only"),
    "devices": _outside("devices", "docker run --device"),
    "sysctls": _outside("sysctls", "docker run --sysctl"),
    "shm_size": _outside("shm_size", "docker run --shm-size"),
    "ipc": _outside("ipc", "docker run --ipc"),
    "pid": _outside("pid", "docker run --pid"),
    "platform": _outside("platform", "docker run --platform"),
    "pull_policy": _outside("pull_policy", "docker run --pull"),
    "labels": _outside("labels", "docker run --label; own notes go under a key with x-"),
    "deploy": _outside("deploy", "docker run --memory --cpus; `restart` is a key of its own"),
    "mem_limit": _outside("mem_limit", f"{_CGROUP_HINT} --memory"),
    "cpus": _outside("cpus", f"{_CGROUP_HINT} --cpus; `cpus_allowed` picks processors"),
    "cpuset": ("unknown key 'cpuset'", "did you mean 'cpus_allowed'?"),
    "init": _outside("init", "supervise is the init"),
    "configs": _outside("configs", "docker run -v"),
    "develop": _outside("develop", "supervise watches no files"),
    "logging": ("unknown key 'logging'", "did you mean 'logs'?"),
    "entrypoint": ("unknown key 'entrypoint'", "put all of it into `command`"),
    "tty": ("unknown key 'tty'", "did you mean 'stdin: tty'?"),
    "stdin_open": ("unknown key 'stdin_open'", "did you mean 'stdin: tty'?"),
    "group_add": ("unknown key 'group_add'", "did you mean 'groups'?"),
    "extends": ("unknown key 'extends'", "use an anchor and a merge key: <<: *name"),
    "security_opt": ("unknown key 'security_opt'", "did you mean 'no_new_privileges'?"),
    "cwd": ("unknown key 'cwd'", "did you mean 'working_dir'?"),
    "directory": ("unknown key 'directory'", "did you mean 'working_dir'?"),
    "working_directory": ("unknown key 'working_directory'", "did you mean 'working_dir'?"),
    "env": ("unknown key 'env'", "did you mean 'environment'?"),
    "autorestart": ("unknown key 'autorestart'", "did you mean 'restart'?"),
    "stop_timeout": ("unknown key 'stop_timeout'", "did you mean 'stop_grace_period'?"),
    "stopsignal": ("unknown key 'stopsignal'", "did you mean 'stop_signal'?"),
}
IN_LOGS: dict[str, tuple[str, str]] = {
    "syslog": _later("syslog", "let the service log to its standard output"),
    "driver": _outside("driver", "docker run --log-driver"),
    "options": _outside("options", "docker run --log-opt"),
}
IN_TOP: dict[str, tuple[str, str]] = {
    "secrets": _later("secrets", "use `env_file`, or read the file in the service"),
    "syslog": _later("syslog", "let the service log to its standard output"),
    "hooks": _later("hooks", "use a oneshot service and `depends_on`"),
    "version": ("`version` means nothing, here as in compose", "delete the line"),
    "name": ("`name` means nothing here", "delete the line"),
    "networks": _outside("networks", "docker run --network"),
    "volumes": _outside("volumes", "docker run -v"),
    "configs": _outside("configs", "docker run -v"),
    "command": ("`command` is a key of a service", "write services: {NAME: {command: ...}}"),
}


class Type(Choice):
    """``service`` or ``oneshot``; the third kind of daemon is refused by name."""

    def __init__(self) -> None:
        super().__init__(
            ServiceType,
            {"forking": _later("type: forking", "keep the program in the foreground")},
        )
