"""configs/examples: each is built and used, in Docker and in `runtime`, as its README says.

`debian:12` is made by mmdebstrap; what the examples install comes from Debian's archive.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.size import build_wheel
from tests.support.debian_base import Archive
from tests.support.docker import Docker, base_tarball
from tests.support.engines import Engine
from tests.support.eventually import eventually
from tests.support.netmachine import Namespace
from tests.support.runtime import Runtime
from tests.support.scripts import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("root", "apt", "curl", "docker", "mmdebstrap", "nft"),
]

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
    """configs/examples on one engine, in a checkout of its own."""

    def __init__(self, engine: Engine, wheel: Path, checkout: Path) -> None:
        self.engine = engine
        self._checkout = checkout
        # The wheel is built once for all examples.
        copy = f'while [ "$1" != --wheel-dir ]; do shift; done; cp {wheel} "$2"\n'
        self._programs = {"pip": copy}
        self._images: set[str] = set()

    def image(self, folder: str, tag: str) -> str:
        """Return *tag*, for which the README's first commands are run, once an engine."""
        if tag not in self._images:
            lines = readme(folder).splitlines()
            last = next(n for n, line in enumerate(lines) if f"--tag {tag} " in line)
            self.shell("\n".join(lines[: last + 1]))
            self._images.add(tag)
        return tag

    def shell(self, script: str) -> str:
        """Run *script* where `docker` is the engine, and return what it said."""
        return self.engine.shell(script, self._checkout, self._programs).stdout

    def start(self, *words: str) -> str:
        """Start a container and return its id when all services that should be up are."""
        container = self.engine.start(*words)
        self.wait_for(container)
        return container

    def wait_for(self, container: str) -> None:
        """Wait until all services that should be up are."""
        eventually(lambda: self.engine.ctl(container, "health").returncode == 0, START)


def readme(folder: str) -> str:
    """Return the commands of an example's README."""
    (found,) = re.findall(
        r"^```sh\n(.*?)^```",
        (EXAMPLES / folder / "README.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    return str(found)


@pytest.fixture(scope="module")
def examples(engine: Engine, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Example:
    checkout = tmp_path_factory.mktemp("checkout")
    shutil.copytree(EXAMPLES, checkout / "configs/examples")
    return Example(engine, wheel, checkout)


@pytest.fixture
def example(examples: Example) -> Iterator[Example]:
    """Return the examples; afterwards the ports, names and volumes of the test are free again."""
    yield examples
    engine = examples.engine
    containers = engine("ps", "--all", "--quiet").stdout.split()
    if containers:
        engine("rm", "--force", "--volumes", *containers)
    volumes = engine("volume", "ls", "--quiet").stdout.split()
    if volumes:
        engine("volume", "rm", *volumes)


def stop(engine: Engine, container: str, order: str, grace: float = 10.0) -> None:
    """Stop the container: within its grace, with exit code 0, its services in *order*."""
    begin = time.monotonic()
    engine("stop", f"--time={grace:.0f}", container)

    assert time.monotonic() - begin < grace
    assert engine.exit_code(container) == 0
    # Docker's copy of the output may come after the end it tells of.
    eventually(lambda: "Exiting with code 0" in engine.logs(container))
    logs = engine.logs(container)
    stopped = re.findall(r"^supervise +\| Stopped (\S+) ", logs, re.MULTILINE)
    assert re.fullmatch(order, " ".join(stopped)), logs


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
    container = example.start(f"--publish={PORT}:80", example.image("nginx-php-fpm", "example-php"))

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

    stop(engine, container, "nginx php-fpm")


def test_notes_are_in_postgres_after_the_migration(example: Example) -> None:
    engine = example.engine
    words = (f"--publish={PORT}:8000", "--volume=notes:/var/lib/postgresql")
    container = example.start(*words, example.image("postgres-app", "example-notes"))

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
    stop(engine, container, "app postgres", grace=45.0)
    assert "database system is shut down" in engine.logs(container)
    assert engine.logs(container).count("applied 00") == 2
    engine("rm", container)

    container = example.start(*words, example.image("postgres-app", "example-notes"))

    assert engine.ask(PORT).text == both
    assert "applied" not in engine.logs(container)


def test_a_pool_of_workers_empties_the_queue(example: Example) -> None:
    engine = example.engine
    container = example.start(example.image("redis-workers", "example-workers"))

    def redis(*words: str) -> list[str]:
        return engine("exec", container, "redis-cli", *words).stdout.split()

    def done() -> dict[str, int]:
        words = redis("hgetall", "done")
        return {name: int(times) for name, times in zip(words[::2], words[1::2], strict=True)}

    for verb in ("status", "graph", "top", "events", "logs", "version"):
        assert engine.ctl(container, verb).stderr == ""

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
    stop(engine, container, r"(worker-[123] ){3}redis", grace=30.0)
    engine("start", container)
    example.wait_for(container)
    assert sum(done().values()) == 32


def test_a_command_runs_beside_the_service_and_its_code_is_the_containers(
    example: Example,
) -> None:
    image = example.image("shell-beside", "example-shell")
    script = "supervisectl wait redis && redis-cli incr n && exit 7"

    done = example.engine("run", "--rm", image, "bash", "-c", script, check=False)

    assert done.returncode == 7
    assert done.stdout.split("\n")[-2] == "1"


def test_a_shell_on_a_terminal_beside_the_service(example: Example) -> None:
    image = example.image("shell-beside", "example-shell")
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
    container = example.start(example.image("shell-beside", "example-shell"))

    assert example.engine.states(container) == {"redis": "running"}
    stop(example.engine, container, "redis")


def test_before_supervisord_ran_it_and_did_not_see_that_it_failed(example: Example) -> None:
    engine, image = example.engine, example.image("from-supervisord", "example-before")

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
    engine, image = example.engine, example.image("from-supervisord", "example-after")

    container = example.start(f"--publish={PORT}:8000", "--env=TITLE=hello", image)
    assert engine.ask(PORT).text == "hello\n"
    eventually(lambda: "worker-2 reads: hello" in engine.logs(container))
    assert {row["restarts"] for row in engine.services(container).values()} == {0}
    kill(engine, container, "web")
    stop(engine, container, r"(worker-[12] ){2}web")

    failed = engine("run", "--rm", image, check=False)

    assert failed.returncode == 2
    assert "TITLE: parameter not set" in failed.stdout + failed.stderr


READMES = {  # folder → what its commands say, among other things, in this order
    "nginx-php-fpm": r"^PHP 8\.2\.\d+ by fpm-fcgi, process \d+\n(.|\n)*\nnginx: has reloaded",
    "postgres-app": r"^1: written by the migration\nnote 2\n",
    "redis-workers": r"^worker-2: got SIGKILL\n",
    "shell-beside": r"^redis: is ready, pid \d+\n1\n",
    "from-supervisord": r"^web: is ready, pid \d+\nhello\n(.|\n)*\n2\n",
}


@pytest.mark.parametrize("folder", READMES)
def test_the_commands_of_the_readme_do_what_it_says(example: Example, folder: str) -> None:
    said = example.shell(readme(folder))

    assert re.search(READMES[folder], said, re.MULTILINE), said


def test_every_example_with_a_dockerfile_is_tested() -> None:
    assert {path.parent.name for path in EXAMPLES.glob("*/README.md")} == set(READMES)
