"""Podman with a store, a /run, a network and processes of its own, which end with it.

The daemonless counterpart of tests/support/docker.py: Debian's podman with runc and CNI.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support import procfs
from tests.support.eventually import eventually

_NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child")
_SETTINGS = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "cni"
cni_plugin_dirs = ["/usr/lib/cni"]
network_config_dir = "{directory}/net.d"
"""


class Podman:
    """Runs the command; `close` removes every pod and all that is left."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._settings = directory / "containers.conf"
        # A limit above our own cannot be set without CAP_SYS_RESOURCE.
        files, processes = (
            min(1024, resource.getrlimit(kind)[1])
            for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC)
        )
        self._settings.write_text(
            _SETTINGS.format(directory=directory, files=files, processes=processes)
        )
        (directory / "store").mkdir()
        prepare = (
            "mount -t proc proc /proc && mount -t tmpfs tmpfs /run && ip link set lo up && "
            f"mount -t tmpfs -o size=2g tmpfs {directory}/store && touch {directory}/.there && "
            "exec sleep infinity"
        )
        self._holder = subprocess.Popen(["unshare", *_NAMESPACES, "sh", "-c", prepare])
        try:
            eventually((directory / ".there").exists)
            (inside,) = procfs.children(self._holder.pid)
        except BaseException:
            self._end()
            raise
        self._inside = ["nsenter", f"--target={inside}", "--mount", "--net", "--pid"]

    def __call__(
        self, *words: str, check: bool = True, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run podman; when *check*, it must succeed."""
        # In a /run of its own: podman refuses a run root with a path of more than 50 letters.
        places = (f"--root={self.directory}/store/root", "--runroot=/run/run", "--tmpdir=/run/tmp")
        done = self.beside(["podman", *places, *words], timeout=timeout)
        said = f"podman {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert not check or done.returncode == 0, said
        return done

    def beside(self, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program in the machine that podman sees."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory)}
        return subprocess.run(
            [*self._inside, *argv],
            env={**environment, "CONTAINERS_CONF": str(self._settings)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    def close(self) -> None:
        """Remove the pods and end what holds the namespaces."""
        self("pod", "rm", "--force", "--all", "--time=0", check=False)
        self._end()
        for top in Path("/sys/fs/cgroup").glob("*/libpod_parent"):
            for group in sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True):
                with suppress(OSError):  # another podman's, which is at work
                    group.rmdir()

    def _end(self) -> None:
        self._holder.kill()
        self._holder.wait()
