"""configs/examples: each is built and used, in Docker and in `runtime`, as its README says.

`debian:12` is made by mmdebstrap; what the examples install comes from Debian's archive.
"""

from __future__ import annotations

import re
import subprocess
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
from tests.support.runtime import Runtime
from tests.support.scripts import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "apt", "docker", "mmdebstrap", "nft")]

EXAMPLES = ROOT / "configs/examples"
START = 60.0  # seconds within which everything of an example is up, on a busy machine
PORT = 8080


class InMemory(Runtime):
    """`runtime` with its store in memory, as the Docker of the tests: dpkg waits for every file."""

    def __init__(self, directory: Path, network: Namespace) -> None:
        self._directory = directory
        tmpfs = ("mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", str(directory))
        subprocess.run(tmpfs, check=True)
        super().__init__(directory, network)

    def close(self) -> None:
        super().close()
        subprocess.run(["umount", str(self._directory)], check=True)


ENGINES = {"docker": Docker, "runtime": InMemory}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    made = Archive(tmp_path_factory.mktemp("archive"))
    yield made
    made.close()


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    archive: Archive, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Engine]:
    """Return an engine that has `debian:12`."""
    machine = Namespace()
    machine.sh("ip link set lo up")
    # A unix socket's path may have 107 bytes; pytest's directories are long.
    directory = tmp_path_factory.mktemp("d")
    tool = ENGINES[request.param](directory, machine)
    engine = Engine(tool, machine, archive.listen(machine))
    engine("import", str(base_tarball()), "debian:12")
    yield engine
    tool.close()
    machine.close()


class Example:
    """configs/examples on one engine: each image is built once, by the first test that wants it."""

    def __init__(self, engine: Engine, wheel: Path, directory: Path) -> None:
        self.engine = engine
        self._wheel = wheel
        self._directory = directory
        self._images: set[str] = set()

    def image(self, folder: str, dockerfile: str = "Dockerfile") -> str:
        """Return the name of an example's image."""
        tag = f"example-{folder}-{dockerfile.partition('/')[0].lower()}"
        if tag not in self._images:
            context = context_of(EXAMPLES / folder, self._wheel, self._directory / tag)
            self.engine.build(tag, dockerfile, context)
            self._images.add(tag)
        return tag

    def start(self, *words: str) -> str:
        """Start a container and return its id when all services that should be up are."""
        container = self.engine.start(*words)
        eventually(lambda: self.engine.ctl(container, "health").returncode == 0, START)
        return container


@pytest.fixture(scope="module")
def example(engine: Engine, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Example:
    return Example(engine, wheel, tmp_path_factory.mktemp("contexts"))


@pytest.fixture(autouse=True)
def nothing_left(engine: Engine) -> Iterator[None]:
    """Remove the test's containers, so that the next one has the ports and the names."""
    yield
    containers = engine("ps", "--all", "--quiet").stdout.split()
    if containers:
        engine("rm", "--force", "--volumes", *containers)


def stop(engine: Engine, container: str, grace: float = 10.0) -> list[str]:
    """Stop the container within its grace, with exit code 0; return its services as they ended."""
    begin = time.monotonic()
    engine("stop", f"--time={grace:.0f}", container)

    assert time.monotonic() - begin < grace
    assert engine.exit_code(container) == 0
    return re.findall(r"^supervise +\| Stopped (\S+) ", engine.logs(container), re.MULTILINE)


def kill(engine: Engine, container: str, service: str) -> None:
    """Kill the service's process, and return when it has another."""
    before = engine.services(container)[service]["pid"]
    assert engine.ctl(container, "signal", "KILL", service).returncode == 0

    def is_back() -> bool:
        row = engine.services(container)[service]
        return bool(row["state"] == "running" and row["pid"] != before)

    eventually(is_back)


def test_nginx_serves_what_php_fpm_makes(example: Example) -> None:
    engine = example.engine
    container = example.start(f"--publish={PORT}:80", example.image("nginx-php-fpm"))

    status, page = engine.ask(PORT)
    assert status == 200
    assert re.fullmatch(r"PHP 8\.\d+\.\d+ by fpm-fcgi, process \d+\n", page)
    assert engine.ask(PORT, "/no/such/page").status == 404
    line = r'^nginx +\| .*"GET / HTTP/1.1" 200 '
    eventually(lambda: re.search(line, engine.logs(container), re.MULTILINE))

    kill(engine, container, "php-fpm")
    eventually(lambda: engine.ask(PORT).status == 200)
    assert engine.ctl(container, "reload", "--all").returncode == 0
    eventually(lambda: engine.ask(PORT).status == 200)

    assert stop(engine, container) == ["nginx", "php-fpm"]


def test_notes_are_in_postgres_after_the_migration(example: Example) -> None:
    engine = example.engine
    words = (f"--publish={PORT}:8000", "--volume=notes:/var/lib/postgresql")
    container = example.start(*words, example.image("postgres-app"))

    assert engine.states(container) == {
        "initdb": "exited",
        "postgres": "running",
        "migrate": "exited",
        "app": "running",
    }
    assert engine.ask(PORT).text == "1: written by the migration\n"
    assert engine.ask(PORT, "/", b"by hand").text == "note 2\n"
    kill(engine, container, "postgres")
    both = "1: written by the migration\n2: by hand\n"
    eventually(lambda: engine.ask(PORT).text == both, START)
    order = stop(engine, container, grace=45.0)
    assert order == ["app", "postgres"]
    assert "database system is shut down" in engine.logs(container)
    assert engine.logs(container).count("applied 00") == 2
    engine("rm", container)

    container = example.start(*words, example.image("postgres-app"))

    assert engine.ask(PORT).text == both
    assert "applied" not in engine.logs(container)


def test_a_pool_of_workers_empties_the_queue(example: Example) -> None:
    engine = example.engine
    container = example.start(example.image("redis-workers"))

    def redis(*words: str) -> list[str]:
        return engine("exec", container, "redis-cli", *words).stdout.split()

    def done() -> dict[str, int]:
        words = redis("hgetall", "done")
        return {name: int(times) for name, times in zip(words[::2], words[1::2], strict=True)}

    redis("lpush", "jobs", *(["20"] * 30))
    eventually(lambda: sum(done().values()) == 30)
    assert sorted(done()) == ["worker-1", "worker-2", "worker-3"]

    # Long enough to be seen at work.
    redis("lpush", "jobs", "4000")
    _at, worker = eventually(lambda: redis("keys", "at work:*"))
    kill(engine, container, worker.removeprefix("work:"))
    eventually(lambda: sum(done().values()) == 31)

    redis("lpush", "jobs", "4000")
    eventually(lambda: redis("keys", "at work:*"))
    *workers, last = stop(engine, container, grace=30.0)
    assert sorted(workers) == ["worker-1", "worker-2", "worker-3"]
    assert last == "redis"
    engine("start", container)
    eventually(lambda: sum(done().values()) == 32, START)


def test_a_command_runs_beside_the_service_and_its_code_is_the_containers(
    example: Example,
) -> None:
    image = example.image("shell-beside")
    script = "supervisectl wait redis && redis-cli incr n && exit 7"

    done = example.engine("run", "--rm", image, "bash", "-c", script, check=False)

    assert done.returncode == 7
    assert done.stdout.split("\n")[-2] == "1"


def test_a_shell_on_a_terminal_beside_the_service(example: Example) -> None:
    image = example.image("shell-beside")
    terminal = ("run", "--rm", "--interactive", "--tty", "--env=PS1=ready> ", "--env=TERM=dumb")

    with example.engine.terminal(*terminal, image, "bash", "--norc") as shell:
        shell.wait_for("ready> ", START)
        shell.type("supervisectl wait redis --timeout 30s; redis-cli ping\n")
        shell.wait_for("PONG", START)
        shell.type("supervisectl status\n")
        shell.wait_for("main   running")
        shell.type("exit 7\n")

        assert shell.client is not None
        assert shell.client.wait(START) == 7
        assert "Ready to accept connections" not in shell.screen  # that is in redis's log


def test_the_service_of_the_shell_alone_runs_until_it_is_stopped(example: Example) -> None:
    container = example.start(example.image("shell-beside"))

    assert example.engine.states(container) == {"redis": "running"}
    assert stop(example.engine, container) == ["redis"]


def test_before_supervisord_ran_it_and_did_not_see_that_it_failed(example: Example) -> None:
    engine, image = example.engine, example.image("from-supervisord", "before/Dockerfile")

    container = engine.start(f"--publish={PORT}:8000", "--env=TITLE=hello", image)
    eventually(lambda: engine.ask(PORT).text == "hello\n", START)
    eventually(lambda: "worker-2 reads: hello" in engine.logs(container), START)
    engine("rm", "--force", container)

    container = engine.start(image)
    eventually(lambda: "exited: prepare (exit status 2" in engine.logs(container), START)
    eventually(lambda: "success: web entered RUNNING state" in engine.logs(container), START)
    words = ("exec", container, "supervisorctl", "status", "prepare")
    assert "EXITED" in engine(*words, check=False).stdout  # and the container is up


def test_after_supervise_runs_the_same_and_ends_with_what_failed(example: Example) -> None:
    engine, image = example.engine, example.image("from-supervisord", "after/Dockerfile")

    container = example.start(f"--publish={PORT}:8000", "--env=TITLE=hello", image)
    assert engine.ask(PORT).text == "hello\n"
    eventually(lambda: "worker-2 reads: hello" in engine.logs(container))
    assert {row["restarts"] for row in engine.services(container).values()} == {0}
    kill(engine, container, "web")
    *workers, last = stop(engine, container)
    assert (sorted(workers), last) == (["worker-1", "worker-2"], "web")

    failed = engine("run", "--rm", image, check=False)

    assert failed.returncode == 2
    assert "TITLE: parameter not set" in failed.stdout + failed.stderr
