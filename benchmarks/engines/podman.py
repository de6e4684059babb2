"""Debian's podman with runc, which docker has too."""

from __future__ import annotations

from benchmarks.engines.base import Engine

# Its own defaults are above what a machine may allow; runc then refuses to start.
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")


class Podman(Engine):
    """`podman`, as root, with a store of its own."""

    name = "podman"
    program = "podman"
    note = "with runc, conmon and netavark or CNI"
    rows = frozenset(
        {"start-bridge", "start-plain", "import", "load", "pull", "footprint", "ports"}
    )

    def command(self) -> list[str]:
        """Return the command with its store and without systemd's help."""
        return [
            *("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"),
            *("--root", f"{self.place}/root", "--runroot", f"{self.place}/run"),
            *("--tmpdir", f"{self.place}/tmp", "--events-backend", "none"),
        ]

    def pull_words(self, name: str) -> list[str]:
        """Return the verb; it would insist on TLS on loopback too."""
        return ["pull", "--quiet", "--tls-verify=false", name]

    def bridged(self) -> list[str]:
        """Return the limits alone."""
        return [*_LIMITS]

    def plain(self) -> list[str]:
        """Return the limits and no network."""
        return [*_LIMITS, "--network", "none"]

    def remove(self, container: str) -> None:
        """Remove it; podman waits ten seconds otherwise."""
        self.call("rm", "--force", "--time", "0", container)

    def version(self) -> str:
        """Return podman's version."""
        return self.call("version", "--format", "{{.Client.Version}}")

    def close(self) -> None:
        """Remove the containers and what is mounted."""
        self.call("rm", "--all", "--force", "--time", "0")
        self.call("rmi", "--all", "--force")
        super().close()
