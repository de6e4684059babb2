"""`info`, `version`: this machine and this program, with the keys that docker's tools read."""

from __future__ import annotations

import os
import sys
import time

from runtime.cli import features, output
from runtime.cli.containers import lookup
from runtime.language import templates
from runtime.language.commandline import Verb
from runtime.language.template_functions import TemplateError, to_json
from runtime.linux import cgroups, nft
from runtime.model import timestamp
from runtime.model.container import statuses
from runtime.store import host
from runtime.store.images import Images
from supervise import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.language.commandline import Arguments
    from runtime.store.layout import Layout

_FORMAT = """
  -f, --format string   'json', or a Go template
"""
INFO = Verb(
    "info", "", "Show what the runtime knows of this machine and its store", _FORMAT, most=0
)
VERSION = Verb("version", "", "Show the version", _FORMAT, most=0)
# The version of docker's HTTP API whose JSON ours looks like; there is no such API here.
_API = "1.41"


def version(_layout: Layout, words: Arguments) -> int:
    """Show the version; client and server are one program."""
    system = os.uname()
    common = {
        "Version": __version__,
        "ApiVersion": _API,
        "GoVersion": "",
        "GitCommit": "",
        "Os": "linux",
        "Arch": host.architecture(),
        "BuildTime": "",
    }
    value = {
        "Client": {
            "Platform": {"Name": "runtime"},
            **common,
            "DefaultAPIVersion": _API,
            "Context": "default",
        },
        "Server": {
            "Platform": {"Name": "runtime"},
            "Components": [{"Name": "runtime", "Version": __version__, "Details": {}}],
            **common,
            "MinAPIVersion": _API,
            "KernelVersion": system.release,
        },
    }
    if words.given("format"):
        return _render(words, value)
    rows = (
        ("Version", __version__),
        ("Python", _python()),
        ("Kernel", system.release),
        ("OS/Arch", f"linux/{host.architecture()}"),
    )
    sys.stdout.write("".join(f"{title + ':':<18}{shown}\n" for title, shown in rows))
    return 0


def _python() -> str:
    return ".".join(map(str, sys.version_info[:3]))


def _render(words: Arguments, value: dict[str, Any]) -> int:
    form = words.text("format")
    if form == "json":
        sys.stdout.write(f"{to_json(value)}\n")
        return 0
    try:
        template = templates.parse(form.replace("\\t", "\t").replace("\\n", "\n"))
    except TemplateError as error:
        raise output.template_failure(error, code=64) from error
    output.render(template, value, code=64)
    return 0


def info(layout: Layout, words: Arguments) -> int:
    """Show the machine and the store."""
    value = _information(layout)
    if words.given("format"):
        return _render(words, value)
    rows = (
        ("Containers", value["Containers"]),
        (" Running", value["ContainersRunning"]),
        (" Paused", value["ContainersPaused"]),
        (" Stopped", value["ContainersStopped"]),
        ("Images", value["Images"]),
        ("Server Version", value["ServerVersion"]),
        ("Storage Driver", value["Driver"]),
        *((f" {name}", shown) for name, shown in value["DriverStatus"]),
        ("Logging Driver", value["LoggingDriver"]),
        ("Cgroup Version", value["CgroupVersion"]),
        ("Cgroup Controllers", " ".join(sorted(features.controllers())) or "none"),
        ("Seccomp", "default profile" if value["SecurityOptions"] else "not in this kernel"),
        ("Port Publishing", "nft" if nft.find() else "a relay process: nft is not installed"),
        ("Init Binary", value["InitBinary"]),
        ("Python Version", f"{_python()} ({sys.executable})"),
        ("Kernel Version", value["KernelVersion"]),
        ("Operating System", value["OperatingSystem"]),
        ("OSType", value["OSType"]),
        ("Architecture", value["Architecture"]),
        ("CPUs", value["NCPU"]),
        ("Total Memory", f"{value['MemTotal'] / 2**30:.4g}GiB"),
        ("Name", value["Name"]),
        ("Root Dir", value["DockerRootDir"]),
    )
    sys.stdout.write("".join(f"{title}: {shown}\n" for title, shown in rows))
    sys.stdout.flush()
    sys.stderr.write("".join(f"WARNING: {sentence}\n" for sentence in value["Warnings"]))
    return 0


def _information(layout: Layout) -> dict[str, Any]:
    containers = [state.status for _, state in lookup.every(layout)]
    running = containers.count(statuses.RUNNING)
    paused = containers.count(statuses.PAUSED)
    system = os.uname()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    controllers = features.controllers()
    return {
        "ID": "",
        "Containers": len(containers),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(containers) - running - paused,
        "Images": len(Images(layout).list()),
        "Driver": "overlay2",
        "DriverStatus": [["Backing Filesystem", features.file_system(layout.root)]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "macvlan", "null"],
            "Authorization": None,
            "Log": ["json-file"],
        },
        "MemoryLimit": "memory" in controllers,
        "SwapLimit": "memory" in controllers,
        "CpuCfsPeriod": "cpu" in controllers,
        "CpuCfsQuota": "cpu" in controllers,
        "CPUShares": "cpu" in controllers,
        "CPUSet": "cpuset" in controllers,
        "PidsLimit": "pids" in controllers,
        "IPv4Forwarding": True,
        "Debug": False,
        "SystemTime": timestamp.render(time.time()),
        "LoggingDriver": "json-file",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": str(cgroups.of("").version),
        "KernelVersion": system.release,
        "OperatingSystem": _distribution(),
        "OSType": "linux",
        "Architecture": system.machine,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": memory,
        "DockerRootDir": layout.root,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": system.nodename,
        "Labels": [],
        "ExperimentalBuild": False,
        "ServerVersion": __version__,
        "Runtimes": {"runtime": {"path": "runtime"}},
        "DefaultRuntime": "runtime",
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive"},
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "supervise",
        "SecurityOptions": ["name=seccomp,profile=default"] if features.seccomp() else [],
        "Warnings": features.missing(layout.root),
        "ClientInfo": {"Debug": False, "Plugins": [], "Warnings": None},
    }


def _distribution() -> str:
    """Return the name in os-release(5)."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            continue
        for line in lines:
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return value.strip("\"'")
    return "Linux"
