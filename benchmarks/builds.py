"""Builds beside docker's classic builder, podman and buildah: `python -m benchmarks.builds`.

Five steps on a Debian of 200 MB: WORKDIR, two RUNs, COPY of 200 files, and metadata.  Every
builder has its store on one tmpfs, and its own copy of the base image; rounds are interleaved, so
what else the machine does hits all alike.  Needs root; builders that are not installed are left
out.  Not on this program's path: BuildKit, whose client Debian does not have.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.support.docker import Docker, base_tarball
from tests.support.runtime import Runtime

_DOCKERFILE = """\
FROM localhost/base
ENV A=1
WORKDIR /app
RUN echo hello > /app/hello
COPY src /app/src
RUN python3 -c "print(sum(range(1000)))" > /app/sum
USER nobody
CMD ["cat", "/app/sum"]
"""
_FILES = 200
_FILE_SIZE = 2700  # bytes


class Builder:
    """One builder: how it builds, with and without its cache."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self._command = command
        self._environment = environment

    def seconds(self, context: Path, *, cold: bool) -> float:
        """Build once and return how long it took."""
        options = ["--no-cache"] if cold else []
        begun = time.monotonic()
        subprocess.run(
            [*self._command, *options, str(context)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return time.monotonic() - begun


def main() -> int:
    """Measure, and print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="benchmark-builds-"))
        stack.callback(shutil.rmtree, place)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)
        stack.callback(subprocess.run, ["umount", "--recursive", str(place)], check=True)
        context = _context(place / "context")
        tarball = base_tarball()
        builders = [_runtime(stack, place, tarball), *_peers(stack, place, tarball)]
        for builder in builders:
            builder.seconds(context, cold=True)
        taken = _measure(builders, context, rounds)
    _print(taken, rounds)
    return 0


def _context(directory: Path) -> Path:
    (directory / "src").mkdir(parents=True)
    (directory / "Dockerfile").write_text(_DOCKERFILE)
    for number in range(_FILES):
        (directory / f"src/{number}").write_bytes(os.urandom(_FILE_SIZE))
    return directory


def _runtime(stack: ExitStack, place: Path, tarball: Path) -> Builder:
    runtime = Runtime(place / "runtime")
    stack.callback(runtime.close)
    runtime("import", str(tarball), "localhost/base")
    return Builder("runtime", runtime.command("build"), runtime.environment)


def _peers(stack: ExitStack, place: Path, tarball: Path) -> list[Builder]:
    found = []
    if shutil.which("dockerd"):
        docker = Docker(place / "docker")
        stack.callback(docker.close)
        docker("import", str(tarball), "localhost/base", timeout=300)
        command = [*docker.command(), "build", "--network=none"]
        found.append(Builder("docker, classic", command, docker.environment()))
    settings = place / "containers.conf"  # runc: crun refuses machines with both cgroup versions
    settings.write_text('[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n')
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "CONTAINERS_CONF": str(settings),
    }
    storage = [f"--root={place}/containers", f"--runroot={place}/containers-run"]
    if shutil.which("podman"):
        podman = ["podman", *storage, "--storage-driver=overlay"]
        subprocess.run(
            [*podman, "import", "-q", str(tarball), "localhost/base"], check=True, env=environment
        )
        command = [*podman, "build", "--layers", "--network=none"]
        found.append(Builder("podman", command, environment))
        if shutil.which("buildah"):
            buildah = ["buildah", *storage, "--storage-driver=overlay"]
            command = [*buildah, "build", "--layers", "--network=none"]
            found.append(Builder("buildah", command, environment))
    return found


def _measure(
    builders: list[Builder], context: Path, rounds: int
) -> dict[tuple[str, bool], list[float]]:
    """Return (builder, cold) → seconds."""
    taken: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        for builder in builders:
            for cold in (True, False):
                seconds = builder.seconds(context, cold=cold)
                taken.setdefault((builder.name, cold), []).append(seconds)
    return taken


def _print(taken: dict[tuple[str, bool], list[float]], rounds: int) -> None:
    sys.stdout.write(f"medians of {rounds}, milliseconds (least)\n\n")
    sys.stdout.write("| builder | nothing cached | all cached |\n|---|---|---|\n")
    for name in dict.fromkeys(name for name, _ in taken):
        cells = [_cell(taken[name, cold]) for cold in (True, False)]
        sys.stdout.write(f"| {name} | {' | '.join(cells)} |\n")


def _cell(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ({min(seconds) * 1000:.0f})"


if __name__ == "__main__":
    sys.exit(main())
