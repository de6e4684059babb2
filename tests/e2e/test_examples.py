"""configs/examples: each is built and used, in Docker and in `runtime`, as its README says.

`debian:12` is made by mmdebstrap; what the examples install comes from Debian's archive.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.size import build_wheel
from tests.support.debian_base import Archive
from tests.support.docker import Docker, base_tarball
from tests.support.engines import Engine, context_of
from tests.support.eventually import eventually
from tests.support.netmachine import Namespace
from tests.support.scripts import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "apt", "docker", "mmdebstrap")]

EXAMPLES = ROOT / "configs/examples"
START = 60.0  # seconds within which everything of an example is up, on a busy machine
PORT = 8080


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    made = Archive(tmp_path_factory.mktemp("archive"))
    yield made
    made.close()


@pytest.fixture(scope="module", params=["docker"])
def engine(
    archive: Archive, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Engine]:
    """Return an engine that has `debian:12`."""
    machine = Namespace()
    machine.sh("ip link set lo up")
    tool = Docker(tmp_path_factory.mktemp("d"), machine)
    engine = Engine(tool, tool.command(), tool.environment(), machine, archive.listen(machine))
    engine("import", str(base_tarball()), "debian:12")
    yield engine
    tool.close()
    machine.close()


class Example:
    """One folder of configs/examples on one engine."""

    def __init__(self, engine: Engine, wheel: Path, directory: Path) -> None:
        self.engine = engine
        self._wheel = wheel
        self._directory = directory
        self._containers: list[str] = []

    def image(self, folder: str) -> str:
        """Return the image of the example, built once an engine."""
        context = context_of(EXAMPLES / folder, self._wheel, self._directory)
        return self.engine.build(f"example-{folder.replace('/', '-')}", context)

    def start(self, folder: str, *options: str) -> str:
        """Start the example in the background and return its id when all of it is up."""
        image = self.image(folder)
        container = self.engine.start(*options, image)
        self._containers.append(container)
        eventually(lambda: self.engine.ctl(container, "health").returncode == 0, START)
        return container

    def close(self) -> None:
        for container in self._containers:
            self.engine("rm", "--force", "--volumes", container)


@pytest.fixture
def example(engine: Engine, wheel: Path, tmp_path: Path) -> Iterator[Example]:
    made = Example(engine, wheel, tmp_path)
    yield made
    made.close()


def stop(engine: Engine, container: str, grace: float = 10.0) -> list[str]:
    """Stop the container within its grace, with exit code 0; return its services as they ended."""
    begin = time.monotonic()
    engine("stop", f"--time={grace:.0f}", container)

    assert time.monotonic() - begin < grace
    assert engine.exit_code(container) == 0
    return re.findall(r"^supervise +\| Stopped (\S+) ", engine.logs(container), re.MULTILINE)


def test_nginx_serves_what_php_fpm_makes(example: Example) -> None:
    engine = example.engine
    container = example.start("nginx-php-fpm", f"--publish={PORT}:80")

    status, page = engine.get(PORT)

    assert (status, page.partition(" by ")[0][:6]) == (200, "PHP 8.")
    assert "by fpm-fcgi" in page
    assert engine.get(PORT, "/no/such/page").status == 404
    line = r'^nginx +\| .*"GET / HTTP/1.1" 200 '
    eventually(lambda: re.search(line, engine.logs(container), re.MULTILINE))

    assert engine.ctl(container, "signal", "KILL", "php-fpm").returncode == 0
    eventually(lambda: engine.services(container)["php-fpm"]["restarts"] == 1)
    eventually(lambda: engine.get(PORT).status == 200)
    assert engine.ctl(container, "reload", "--all").returncode == 0
    eventually(lambda: engine.get(PORT).status == 200)

    assert stop(engine, container) == ["nginx", "php-fpm"]
