"""Stores with one damaged file: every command says which, goes on, and removes what it is told to.

The store is made by real commands and copied.  In each copy one file is damaged in one way; then
every command that lists and every command that removes runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from runtime.cli import failure_output
from runtime.cli import main as cli
from runtime.language.commandline import UsageError
from runtime.linux import namespaces
from runtime.model.errors import RuntimeFailure
from tests.support import attack
from tests.support.runtime import Runtime
from tests.support.tars import directory, file, make_tar, symlink

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

_SECONDS = 4 * attack.SECONDS
_HANGS = 20  # seconds
_BUG = 99
CONTAINERS = ("one", "two", "live")
IMAGES = ("bb", "made")
LISTING = (
    ("ps", "--all", "--size"),
    ("images", "--all"),
    ("volume", "ls"),
    ("network", "ls"),
    ("system", "df"),
    ("events", "--since", "1h", "--until", "0s"),
    *(("inspect", name) for name in (*CONTAINERS, *IMAGES, "vol", "net")),
    ("logs", "one"),
    ("logs", "live"),
    ("start", "one", "two"),
    ("stop", "--time", "0", "two"),
    ("wait", "one"),
    ("save", "--output", "saved.tar", *IMAGES),
    ("rm", "one"),
    ("info",),
)
REMOVING = (
    *(("rm", "--force", name) for name in CONTAINERS),
    ("rmi", "--force", *IMAGES),
    ("volume", "rm", "--force", "vol", "loose"),
    ("network", "rm", "net"),
    ("builder", "prune", "--all", "--force"),
    ("image", "prune", "--all", "--force"),
    ("system", "prune", "--all", "--force", "--volumes"),
)
PRUNING = (
    ("container", "prune", "--force"),
    ("network", "prune", "--force"),
    ("volume", "prune", "--all", "--force"),
    ("image", "prune", "--all", "--force"),
    ("builder", "prune", "--all", "--force"),
)


class Said(NamedTuple):
    """What one command came to."""

    words: tuple[str, ...]
    code: int
    out: str
    err: str


class Store(NamedTuple):
    """A store to copy, and what is in it."""

    runtime: Runtime
    root: Path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Return a store with one of everything, nothing of which runs."""
    place = tmp_path_factory.mktemp("damaged")
    runtime = Runtime(place)
    program = file("bin/busybox", Path("/bin/busybox").read_bytes(), 0o755)
    links = [symlink(f"bin/{name}", "busybox") for name in ("sh", "true", "echo", "sleep")]
    runtime.import_tar("bb", make_tar(directory("bin"), program, *links))
    context = place / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM bb\nRUN echo made >/made\nLABEL a=b\n")
    runtime("build", "--quiet", "--tag", "made", str(context))
    runtime("volume", "create", "vol")
    runtime("volume", "create", "loose")
    runtime("network", "create", "net")
    runtime(
        "run",
        "--name",
        "one",
        "--net",
        "none",
        "-v",
        "vol:/v",
        "--init=false",
        "bb",
        "echo",
        "hello",
    )
    runtime(
        "create",
        "--init=false",
        "--name",
        "two",
        "--net",
        "none",
        "-v",
        "/anonymous",
        "made",
        "true",
    )
    runtime("run", "--detach", "--name", "live", "--net", "net", "made", "sleep", "1000")
    copied = place / "copied"
    _copy(runtime.root, copied)  # as if its monitor were killed: the lease and all are there
    runtime("rm", "--force", "live")
    yield Store(runtime, copied)
    runtime.close()


def _copy(source: Path, target: Path) -> None:
    """Copy a store but for what is bound and mounted in it."""
    left_out = shutil.ignore_patterns("merged", "monitor.sock", "bundles", "bundle")
    shutil.copytree(source, target, symlinks=True, ignore=left_out)


# How a file is damaged.


def _write(data: bytes) -> Callable[[Path], None]:
    return lambda path: _replace(path, lambda: path.write_bytes(data))


def _replace(path: Path, make: Callable[[], object]) -> None:
    path.unlink()
    make()


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _change(change: Callable[[object], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        try:
            found = json.loads(path.read_bytes())
        except ValueError:
            found = {}
        path.write_text(json.dumps(change(found)))

    return damage


def _another_kind(value: object) -> object:
    """Return the value with every text a number, every number a text."""
    if isinstance(value, dict):
        return {key: _another_kind(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_another_kind(each) for each in value]
    return 5 if isinstance(value, str) else "five"


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes() or b"x")
    data[len(data) // 3] ^= 0x04
    path.write_bytes(data)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_PATH)
        made.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": _write(b""),
    "zeros": _write(bytes(512)),
    "cut": _cut,
    "no JSON": _write(b"\x7fELF\xff\xfe"),
    "null": _write(b"null"),
    "a number": _write(b"17"),
    "a list": _write(b"[[1], null]"),
    "no fields": _write(b"{}"),
    "newer": _change(lambda value: {**value, "future": 1} if isinstance(value, dict) else 1),
    "other kinds": _change(_another_kind),
    "nulls": _change(lambda v: dict.fromkeys(v, None) if isinstance(v, dict) else None),
    "infinite": _change(lambda v: dict.fromkeys(v, float("inf")) if isinstance(v, dict) else 1),
    "deep": _write(b"[" * 200_000),
    "deep objects": _write(b'{"a":' * 100_000),
    "digits": _write(b'{"id": ' + b"1" * 100_000 + b"}"),
    "huge": lambda path: os.truncate(path, 1 << 40),
    "flipped": _flip,
    "missing": Path.unlink,
    "a directory": lambda path: _replace(path, lambda: (path / "below").mkdir(parents=True)),
    "a FIFO": lambda path: _replace(path, lambda: os.mkfifo(path)),
    "a socket": lambda path: _replace(path, lambda: _socket(path)),
    "a link": lambda path: _replace(path, lambda: path.symlink_to("/dev/zero")),
    "a loop": lambda path: _replace(path, lambda: path.symlink_to(path.name)),
    "a dangling link": lambda path: _replace(path, lambda: path.symlink_to("nowhere")),
    "a device": lambda path: _replace(path, lambda: os.mknod(path, 0o020600, os.makedev(1, 5))),
}

# Without a word: what holds nothing, what is made anew, what one command alone reads.
_QUIET = (
    "locks/",
    "alive",
    "healed",
    "split.gz",
    "seccomp/",
    "digests",
    "hosts",
    "hostname",
    "resolv.conf",
)
_LOGS = ("log.json", "events/log")
# Whole all the same: a state of a container that was made, no names, a document with more in it,
# the room behind a state; a log's last line may still be being written.
_WHOLE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("empty", "zeros", "no JSON", "null", "a number", "a list", "digits"), _LOGS),
    **dict.fromkeys(("deep", "deep objects", "other kinds", "nulls", "infinite", "huge"), _LOGS),
    "no fields": ("state.json", "tags.json", "blobs/", *_LOGS),
    "newer": ("blobs/", *_LOGS),
    "cut": ("state.json", *_LOGS),
}
_QUIET_DAMAGES = ("missing", "flipped")


def damageable(root: Path) -> list[str]:
    """Return the files of a store that are records, below *root*."""
    found = []
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        inside = any(f"/{part}/" in f"/{name}" for part in ("upper", "work", "diff", "_data"))
        if not inside and path.is_file() and not path.is_symlink():
            found.append(name)
    return found


def _said(store: Store, root: Path, words: tuple[str, ...], place: Path) -> Said:
    """Run the command in a process of its own, in the store's network namespace."""
    out, err = place / "out", place / "err"
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _become(store, root, words, out, err)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    text = [path.read_text(errors="backslashreplace") for path in (out, err)]
    return Said(words, code, *text)


def _become(store: Store, root: Path, words: tuple[str, ...], out: Path, err: Path) -> NoReturn:
    """Be the command; what `runtime.cli.main` does with exceptions, but for what is a bug."""
    code = _BUG
    try:
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        sys.stdin, sys.stdout, sys.stderr = (open(n, "r" if n == 0 else "w") for n in range(3))  # noqa: SIM115
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_HANGS)
        net = os.open(f"/proc/{store.runtime.network.pid}/ns/net", os.O_RDONLY)
        namespaces.setns(net, namespaces.CLONE_NEWNET)
        os.environ["RUNTIME_ROOT"] = str(root)
        os.chdir(root.parent)  # what `save` writes
        sys.argv = ["runtime", *words]
        try:
            code = cli._dispatch(list(words), cli._Globals())
        except (RuntimeFailure, UsageError) as failure:
            failure_output.print_failure(failure)
            code = failure.code
        except OSError as error:
            failure_output.print_failure(RuntimeFailure(f"'{error.filename}': {error.strerror}"))
            code = 125 if error.filename else _BUG  # it names the file
    except BaseException:  # noqa: BLE001 - it is reported by its traceback
        traceback.print_exc()
        code = _BUG
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def judge(store: Store, name: str, damage: str, removing: tuple[tuple[str, ...], ...]) -> list[str]:
    """Damage one file of a copy, run all commands; return what is wrong with what they did."""
    place = store.root.parent / "case"
    shutil.rmtree(place, ignore_errors=True)
    root = place / "root"
    _copy(store.root, root)
    path = root / name
    whole_before = path.read_bytes()
    DAMAGES[damage](path)
    harmless = _is_still(path, whole_before)
    wrong = []
    listed = [_said(store, root, words, place) for words in LISTING]
    removed = [_said(store, root, words, place) for words in removing]
    wrong += [
        f"{said.words}: {said.code}: {said.err[-2000:]}"
        for said in (*listed, *removed)
        if said.code == _BUG or said.code < 0 or "Traceback" in said.err
    ]
    whole = (*_QUIET, *_WHOLE.get(damage, ()))
    quiet = harmless or damage in _QUIET_DAMAGES or any(part in name for part in whole)
    if not quiet and not any(str(path) in said.err for said in listed):
        wrong.append(f"nobody names {path}: {[s.err for s in listed if s.err]}")
    for container in set(CONTAINERS) - set(listed[0].out.split()):
        wrong += [f"ps shows no '{container}': {listed[0].out}{listed[0].err}"]
    if "tags.json" not in name and any(image not in listed[1].out for image in IMAGES):
        wrong.append(f"images shows not all: {listed[1].out}{listed[1].err}")
    wrong += [f"'{each}' is left: {[s for s in removed if s.err]}" for each in left(root)]
    return wrong


def _is_still(path: Path, before: bytes) -> bool:
    """Return whether the damage changed nothing: a record of defaults has no value to change."""
    try:
        status = path.lstat()
    except OSError:
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_size > len(before):
        return False
    return path.read_bytes().rstrip() == before.rstrip()


def left(root: Path) -> list[str]:
    """Return what lies in a store all of which was removed."""
    nothing = {".names", "bridge.json"}
    places = ("containers", "images/records", "volumes", "networks", "layers", "run/containers")
    found = [path for place in places for path in (root / place).glob("*")]
    found += (root / "run/network/leases").glob("net/*")
    return [str(path.relative_to(root)) for path in found if path.name not in nothing]


def cases(root: Path) -> list[tuple[str, str]]:
    return [(name, damage) for name in damageable(root) for damage in DAMAGES]


def test_an_undamaged_store_is_listed_and_removed_without_a_word(store: Store) -> None:
    DAMAGES["not at all"] = lambda _path: None
    for removing in (REMOVING, PRUNING):
        wrong = judge(store, damageable(store.root)[0], "not at all", removing)

        assert [each for each in wrong if not each.startswith("nobody names")] == []


def test_no_damage_is_a_traceback_or_stays(store: Store) -> None:
    """Every file of a store, every kind of damage: a sample here, all in `make attack`."""
    seed = int(os.environ.get("ATTACK_SEED", random.randrange(1 << 32)))
    drawn = cases(store.root)
    random.Random(seed).shuffle(drawn)

    for number, (name, damage) in zip(attack.rounds(_SECONDS), drawn, strict=False):
        removing = PRUNING if number % 2 else REMOVING
        wrong = judge(store, name, damage, removing)
        assert not wrong, f"ATTACK_SEED={seed} {name}: {damage}:\n" + "\n".join(wrong)
