"""Somebody who plays supervise to supervisectl: every kind of answer, to every verb."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from supervise.cli import supervisectl, verbs
from supervise.linux import unixsocket
from supervise.wire import api
from supervise.wire.interface import EnumType, Field, Interface
from tests.support.control import run_ctl

Plant = Callable[[str], Callable[[], bytes]]

ESCAPES = "\x1b]0;owned\x07\x9b2J\u202e\ud800\r\n\x00x"
STRANGER = 4242

COMMANDS = [
    ["status"],
    ["status", "web"],
    ["status", "--json"],
    ["start", "web"],
    ["start", "--all", "--no-wait"],
    ["stop", "web"],
    ["restart", "web"],
    ["reload", "web"],
    ["signal", "HUP", "web"],
    ["logs"],
    ["logs", "--format", "json", "--timestamps"],
    ["logs", "--format", "logfmt"],
    ["events"],
    ["events", "--json"],
    ["wait", "web"],
    ["explain", "web"],
    ["explain", "web", "--json"],
    ["apply"],
    ["apply", "--json"],
    ["top", "--once"],
    ["top", "--once", "--json"],
    ["graph"],
    ["graph", "--dot"],
    ["graph", "--mermaid"],
    ["graph", "--json"],
    ["health"],
    ["health", "--json"],
    ["shutdown"],
    ["version"],
    ["version", "--json"],
    ["completion", "services"],
]


def values(interface: Interface, fields: tuple[Field, ...], leaf: dict[str, object]) -> object:
    """Return an object with all of *fields*, made of the simple values of *leaf*."""
    return {
        field.name: "a line" if field.verbatim else value(interface, field.type, leaf)
        for field in fields
    }


def value(interface: Interface, type_: str, leaf: dict[str, object]) -> object:
    if type_.startswith("?"):
        return value(interface, type_[1:], leaf)
    if type_.startswith("[]"):
        return [value(interface, type_[2:], leaf)] * 2
    named = interface.types.get(type_)
    if isinstance(named, EnumType):
        return named.values[-1]
    return leaf[type_] if named is None else values(interface, named.fields, leaf)


FIELDS = {ESCAPES: ESCAPES, "exc_info": 1, "stack": ESCAPES, "event": [ESCAPES], "deep": {"a": [1]}}
EVIL = {"string": ESCAPES, "int": -1, "float": 1.5, "bool": True, "object": FIELDS}
HUGE = {"string": "x" * 5000, "int": 2**63 - 1, "float": 9e14, "bool": False, "object": {}}
WRONG = {"string": 7, "int": "7", "float": [], "bool": 1, "object": "x"}


def shaped(leaf: dict[str, object]) -> Callable[[str], bytes]:
    """Return an answer in the shape that is declared."""

    def answer(method: str) -> bytes:
        returns = api.SUPERVISOR.methods[method].returns
        return json.dumps({"parameters": values(api.SUPERVISOR, returns, leaf)}).encode() + b"\0"

    return answer


def error(name: str, parameters: object) -> Callable[[str], bytes]:
    return lambda _method: json.dumps({"error": name, "parameters": parameters}).encode() + b"\0"


def always(data: bytes) -> Callable[[str], bytes]:
    return lambda _method: data


ANSWERS: dict[str, Callable[[str], bytes]] = {
    "nothing": always(b""),
    "no JSON": always(b"\x1b[2J\0"),
    "no UTF-8": always(b'{"parameters":{"services":"\xff"}}\0'),
    "an array": always(b"[]\0"),
    "parameters that are a list": always(b'{"parameters": [1]}\0'),
    "an error that is a number": always(b'{"error": 1}\0'),
    "an empty object": always(b"{}\0"),
    "nested deeply": always(b'{"parameters":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001 + b"\0"),
    "nested as deeply as JSON may be": always(
        b'{"parameters":{"services":' + b"[" * 900 + b"]" * 900 + b"}}\0"
    ),
    "a number without an end": always(b'{"parameters":{"dropped":' + b"9" * 5000 + b"}}\0"),
    "infinite numbers": lambda method: shaped(HUGE)(method).replace(b"900000000000000.0", b"1e999"),
    "the wrong types": shaped(WRONG),
    "escapes everywhere": shaped(EVIL),
    "huge values": shaped(HUGE),
    "an unknown error": error(f"evil.{ESCAPES}", {"service": ESCAPES}),
    "an error of another interface": error("evil.NoSuchService", {}),
    "an error without its fields": error(f"{api.NAME}.NoSuchService", {}),
    "an error with the wrong types": error(
        f"{api.NAME}.InvalidConfiguration", {"problems": [{"file": 1}]}
    ),
    **{
        f"{name} with escapes": error(
            f"{interface.name}.{name}", values(interface, declared.fields, EVIL)
        )
        for interface in api.INTERFACES.values()
        for name, declared in interface.errors.items()
    },
}


class Liar:
    """Listens at *place* and answers every call with what *answer* returns, then hangs up."""

    def __init__(self, place: str) -> None:
        self.answer = ANSWERS["nothing"]
        self._connection: socket.socket | None = None
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(place)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):  # closed: that ends it
            while True:
                self._connection = connection = self._listening.accept()[0]
                with connection, suppress(OSError):
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        held = b""
        while data := connection.recv(65536):
            held += data
            while b"\0" in held:
                message, _, held = held.partition(b"\0")
                answer = self.answer(json.loads(message)["method"].rpartition(".")[2])
                if not answer:
                    return
                connection.sendall(answer)

    def close(self) -> None:
        with suppress(OSError):  # a client that failed may still be there
            if self._connection is not None:
                self._connection.shutdown(socket.SHUT_RDWR)
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture
def liar(tmp_path: Path) -> Iterator[Liar]:
    with closing(Liar(f"{tmp_path}/s")) as made:
        yield made


def test_every_verb_is_lied_to() -> None:
    assert {command[0] for command in COMMANDS} == set(verbs.BY_NAME)


# A program leaves its socket to the kernel when it ends; here thirty end in one process.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("kind", ANSWERS)
def test_no_answer_drives_the_terminal_or_ends_in_a_traceback(
    kind: str, liar: Liar, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    liar.answer = ANSWERS[kind]
    for command in COMMANDS:
        code = supervisectl.main(["--socket", f"{tmp_path}/s", *command])

        shown = capfd.readouterr()
        text = shown.out + shown.err
        assert 0 <= code < 128, (command, text)
        bad = re.search(r"[^\n]", "".join(c for c in text if not c.isprintable()))
        assert bad is None, (command, text)
        assert "Traceback" not in text, command


# -- who is believed without having been named


@pytest.fixture
def planted() -> Iterator[Plant]:
    """Listen at a place as a user of no rights; return what tells what was said there."""
    pids: list[int] = []
    heard: list[int] = []

    def plant(place: str) -> Callable[[], bytes]:
        read_fd, write_fd = os.pipe()
        ready_fd, started_fd = os.pipe()
        pid = os.fork()
        if pid == 0:
            _listen_as_a_stranger(place, started_fd, write_fd)
        pids.append(pid)
        heard.append(read_fd)
        os.close(write_fd)
        os.close(started_fd)
        assert os.read(ready_fd, 1) == b"x"
        os.close(ready_fd)
        os.set_blocking(read_fd, False)
        return lambda: b"".join(_received(read_fd))

    yield plant
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    for fd in heard:
        os.close(fd)
    shutil.rmtree(f"/tmp/supervise-{STRANGER}", ignore_errors=True)


def _received(fd: int) -> Iterator[bytes]:
    with suppress(BlockingIOError):
        while data := os.read(fd, 65536):
            yield data


def _listen_as_a_stranger(place: str, started_fd: int, heard_fd: int) -> None:
    try:
        os.setgroups([])
        os.setgid(STRANGER)
        os.setuid(STRANGER)
        if place.startswith("/"):
            os.makedirs(os.path.dirname(place), exist_ok=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(f"\0{place[1:]}" if place.startswith("@") else place)
        listening.listen()
        os.write(started_fd, b"x")
        while True:
            connection, _ = listening.accept()
            os.write(heard_fd, connection.recv(65536))
            connection.close()
    finally:
        os._exit(1)


@pytest.mark.needs("root")
@pytest.mark.parametrize(
    "place",
    [
        f"/tmp/supervise-{STRANGER}/control.sock",
        f"@supervise-0-{unixsocket.pid_namespace()}",
    ],
)
def test_root_tells_a_strangers_socket_nothing(place: str, planted: Plant, tmp_path: Path) -> None:
    heard = planted(place)

    done = run_ctl("status", environment={"XDG_RUNTIME_DIR": str(tmp_path)})

    assert heard() == b""
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert re.search("no control socket here|belongs to another user", done.stderr)


@pytest.mark.needs("root")
def test_a_runtime_directory_of_another_user_is_not_consent(
    planted: Plant,
) -> None:
    heard = planted(f"/tmp/supervise-{STRANGER}/supervise/control.sock")

    done = run_ctl("status", environment={"XDG_RUNTIME_DIR": f"/tmp/supervise-{STRANGER}"})

    assert heard() == b""
    assert done.returncode == 5
    assert "belongs to another user" in done.stderr


@pytest.mark.needs("root")
def test_a_strangers_socket_that_is_named_is_used(planted: Plant) -> None:
    place = f"/tmp/supervise-{STRANGER}/control.sock"
    heard = planted(place)

    named = run_ctl("status", "--socket", place)

    assert "closed the connection" in named.stderr
    assert b"Status" in heard()
