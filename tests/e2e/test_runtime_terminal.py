"""What images, containers and servers say, on a terminal: no byte of it is a command to it."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from runtime.cli import verbs
from tests.support import runtime_cli
from tests.support.building import write
from tests.support.eventually import eventually
from tests.support.images import config_of, docker_archive
from tests.support.runtime import Runtime, busybox
from tests.support.tars import file, make_tar
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

# A title, C1's CSI, a colour, the cursor, the line's begin, the direction, a line of its own.
HOSTILE = "\x1b]0;pwned\x07\x9b31mC1\x1b[8m\x1b[5;5H\rover\u202eesrever\u2028"
# Ours: the build's view and the bars of pull and push.
_OWN = re.compile(r"\x1b\[(?:\d+A|K|2K|J|[0-2]m|3[12]m)|\r")
# These pass what a container writes; what they say themselves is in the walk below.
RAW = {"attaching.attach", "executing.ctl", "executing.exec_", "logs.logs", "run.run"}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("terminal"))
    made.import_tar("busybox", busybox())
    load_hostile(made, tmp_path_factory.mktemp("archives"))
    label = ("--label", f"label={HOSTILE}", "--env", f"VARIABLE={HOSTILE}", "--net=none")
    script = 'touch "/$0"; sleep 1000; :'
    made("run", "-d", "--name=up", *label, "busybox", "sh", "-c", script, HOSTILE)
    made("create", "--name=made", *label, "busybox", HOSTILE)
    made("volume", "create", "--label", f"label={HOSTILE}", "volume")
    made("network", "create", "--label", f"label={HOSTILE}", "network")
    eventually(lambda: "A " in made("diff", "up").stdout)
    yield made
    made("network", "rm", "network", check=False)
    made.close()


def load_hostile(runtime: Runtime, directory: Path) -> None:
    """Load ``hostile:1``, an image with the text wherever one fits; leave archives behind."""
    layer = make_tar(file(HOSTILE, b"x"))
    config = {
        "Cmd": [HOSTILE],
        "Entrypoint": [HOSTILE],
        "Env": [f"A={HOSTILE}"],
        "User": HOSTILE,
        "Labels": {HOSTILE: HOSTILE},
        "WorkingDir": f"/{HOSTILE}",
        "StopSignal": HOSTILE,
        "Volumes": {f"/{HOSTILE}": {}},
        "ExposedPorts": {f"80/{HOSTILE}": {}},
    }
    history = [{"created_by": HOSTILE, "comment": HOSTILE, "author": HOSTILE}]
    texts = config_of(layer, config=config, history=history, author=HOSTILE, comment=HOSTILE)
    (directory / "hostile.tar").write_bytes(docker_archive((texts, [layer], ["hostile:1"])))
    (runtime.root.parent / "tag.tar").write_bytes(docker_archive((texts, [layer], [HOSTILE])))
    runtime("load", "-i", str(directory / "hostile.tar"))


def on_terminal(command: list[str], environment: dict[str, str]) -> str:
    """Return what *command* writes to a terminal, without our own sequences."""
    terminal = Terminal(rows=50, columns=200)
    try:
        subprocess.run(
            ["setsid", "--ctty", "--wait", *command],
            env=environment | {"TERM": "xterm"},
            stdin=terminal.device,
            stdout=terminal.device,
            stderr=terminal.device,
            timeout=60,
            check=False,
        )
        text = terminal.to_the_end().decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    finally:
        terminal.close()
    return _OWN.sub("", text)


def assert_harmless(text: str) -> None:
    assert not text.startswith("setsid: ")
    assert "Traceback" not in text
    assert "this is a bug" not in text, text
    assert all(letter.isprintable() or letter in "\n\t" for letter in text), repr(text)


# What is behind a verb → command lines that make it speak.
WALK: dict[str, list[list[str]]] = {
    "archives.import_": [["import", HOSTILE, HOSTILE]],
    "archives.load": [["load", "-i", "TAGS"], ["load", "-i", HOSTILE]],
    "archives.save": [["save", "-o", "/nosuch/x", "hostile:1"], ["save", "-o", "x", HOSTILE]],
    "attaching.attach": [["attach", HOSTILE], ["attach", "made"]],
    "build.build": [
        ["build", "--network=none", "--no-cache", "CONTEXT"],
        ["build", "--network=none", "--no-cache", "--progress=plain", "CONTEXT"],
    ],
    "build.prune": [["builder", "prune", "-f", "--filter", HOSTILE]],
    "changes.commit": [["commit", "-m", HOSTILE, "-a", HOSTILE, "up", "hostile:2"]],
    "changes.diff": [["diff", "up"]],
    "changes.export": [["export", "-o", f"/nosuch/{HOSTILE}", "up"]],
    "completion.completion": [["completion", "candidates", "--", "rmi", ""]],
    "copying.cp": [["cp", f"up:/{HOSTILE}x", "."], ["cp", HOSTILE, "up:/"]],
    "disk.df": [["system", "df"], ["system", "df", "-v"]],
    "disk.prune": [["system", "prune", "-f", "--filter", HOSTILE]],
    "event_verbs.events": [
        ["events", "--since=1h", "--until=0s"],
        ["events", "--since=1h", "--until=0s", "--format={{.Actor.Attributes}}"],
        ["events", "--since=1h", "--until=0s", "--format=json"],
    ],
    "executing.ctl": [["ctl", HOSTILE], ["ctl", "made"]],
    "executing.exec_": [["exec", "-u", HOSTILE, "up", "true"], ["exec", "up", HOSTILE]],
    "image_verbs.history": [
        ["history", "hostile:1"],
        ["history", "--no-trunc", "--format={{.CreatedBy}}{{.Comment}}", "hostile:1"],
    ],
    "image_verbs.ls": [["images"], ["images", "--filter", f"label={HOSTILE}", "--format=json"]],
    "image_verbs.prune": [["image", "prune", "-f", "--filter", HOSTILE]],
    "image_verbs.rm": [["rmi", HOSTILE]],
    "image_verbs.tag": [["tag", "hostile:1", HOSTILE]],
    "inspect.container": [["container", "inspect", "made"]],
    "inspect.image": [["image", "inspect", "-f", "{{.Config}}{{.Author}}", "hostile:1"]],
    "inspect.inspect": [["inspect", "hostile:1", "up"], ["inspect", "-f", "{{.Config}}", "up"]],
    "inspect.network": [["network", "inspect", "network"]],
    "inspect.volume": [["volume", "inspect", "-f", "{{.Labels}}", "volume"]],
    "life.kill": [["kill", "-s", HOSTILE, "up"]],
    "life.pause": [["pause", HOSTILE]],
    "life.rename": [["rename", "up", HOSTILE]],
    "life.restart": [["restart", HOSTILE]],
    "life.start": [["start", "made"], ["start", HOSTILE]],
    "life.stop": [["stop", "-t", HOSTILE, "up"]],
    "life.unpause": [["unpause", HOSTILE]],
    "life.wait": [["wait", HOSTILE]],
    "login.login": [["login", HOSTILE]],
    "logout.logout": [["logout", HOSTILE]],
    "logs.logs": [["logs", HOSTILE], ["logs", "--since", HOSTILE, "up"]],
    "network_verbs.connect": [["network", "connect", "network", HOSTILE]],
    "network_verbs.create": [
        ["network", "create", HOSTILE],
        ["network", "create", "--subnet", HOSTILE],
    ],
    "network_verbs.disconnect": [["network", "disconnect", "network", HOSTILE]],
    "network_verbs.ls": [["network", "ls", "--format={{.Name}}{{.Labels}}"]],
    "network_verbs.prune": [["network", "prune", "-f", "--filter", HOSTILE]],
    "network_verbs.rm": [["network", "rm", HOSTILE]],
    "observe.port": [["port", "up", HOSTILE]],
    "observe.top": [["top", "up"], ["top", "up", "-ef"], ["top", "up", HOSTILE]],
    "ps.ls": [["ps", "-a", "--no-trunc"], ["ps", "-a", "--format=table {{.Labels}}\t{{.Command}}"]],
    "pull_verb.pull": [["pull", HOSTILE]],
    "push_verb.push": [["push", HOSTILE]],
    "removing.prune": [["container", "prune", "-f", "--filter", HOSTILE]],
    "removing.rm": [["rm", HOSTILE]],
    "removing.update": [["update", "--memory", HOSTILE, "up"]],
    "run.create_": [["create", "hostile:1"], ["create", "--name", HOSTILE, "busybox"]],
    "run.run": [
        ["run", "--rm", "--net=none", "hostile:1"],
        ["run", "--rm", "--net=none", "-u", HOSTILE, "busybox"],
        ["run", "--rm", "--net=none", "--stop-signal", HOSTILE, "busybox"],
        ["run", "--rm", "--net=none", "--no-init", "busybox", HOSTILE],
    ],
    "stats.stats": [["stats", "--no-stream", "--format={{.Name}}"], ["stats", HOSTILE]],
    "system.info": [["info"], ["info", "-f", "{{.Name}}"]],
    "system.version": [["version"], ["version", "-f", "{{.Client}}"]],
    "volume_verbs.create": [["volume", "create", HOSTILE]],
    "volume_verbs.ls": [["volume", "ls", "--format={{.Name}}{{.Labels}}"]],
    "volume_verbs.prune": [["volume", "prune", "-f", "--filter", HOSTILE]],
    "volume_verbs.rm": [["volume", "rm", HOSTILE]],
}


def test_the_walk_knows_every_verb() -> None:
    places = {
        f"{module.rpartition('.')[2]}.{function}" for module, function, _ in verbs.INDEX.values()
    }

    assert set(WALK) == places
    assert set(WALK) >= RAW


@pytest.mark.parametrize("place", sorted(WALK))
def test_no_verb_lets_an_image_drive_the_terminal(
    runtime: Runtime, tmp_path: Path, place: str
) -> None:
    text = HOSTILE.replace("\r", "")
    printed = "printf 'said \\033]0;pwned\\007\\302\\23331m\\033[5;5H\\n'; false"
    context = write(tmp_path / "context", f"FROM busybox\nLABEL a='{text}'\nRUN {printed} {text}\n")
    meant = {"TAGS": str(runtime.root.parent / "tag.tar"), "CONTEXT": str(context)}

    for words in WALK[place]:
        given = [meant.get(word, word) for word in words]

        said = on_terminal(runtime.command(*given), runtime.environment)

        assert_harmless(said)
        assert place != "build.build" or re.search(r"(│|\d) said", said), said


class _Talker(StreamRequestHandler):
    """Answers everything with a hostile status line, header and body."""

    def handle(self) -> None:
        while self.rfile.readline() not in (b"\r\n", b""):
            pass
        text = HOSTILE.replace("\r", "").encode()
        body = b'{"errors":[{"code":"X","message":"' + text + b'"}]}'
        self.wfile.write(b"HTTP/1.1 404 " + text + b"\r\nContent-Type: application/json\r\n")
        self.wfile.write(b"Docker-Content-Digest: " + text + b"\r\n")
        self.wfile.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)


@pytest.fixture
def talker() -> Iterator[str]:
    server = ThreadingTCPServer(("127.0.0.1", 0), _Talker)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_a_server_says_does_not_drive_the_terminal(talker: str, tmp_path: Path) -> None:
    runtime = runtime_cli.Runtime(tmp_path)
    runtime("import", str(runtime_cli.busybox_tar(tmp_path / "bb.tar")), "bb")
    context = write(tmp_path / "context", f"FROM bb\nADD http://{talker}/x /x\n")

    for words in (
        ["pull", f"{talker}/x:1"],
        ["run", "--rm", f"{talker}/x:1"],
        ["login", "-u", "a", "-p", "b", talker],
        ["build", f"http://{talker}/context.tar"],
        ["build", f"http://{talker}/repository.git"],
        ["build", str(context)],
        ["build", "--progress=plain", str(context)],
    ):
        said = on_terminal([*runtime.command, *words], runtime.environment)

        assert "404" in said or "not found" in said or "cannot" in said, said
        assert_harmless(said)
