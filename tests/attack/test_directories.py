"""A service's user against PID 1, which is root, in a directory that both use.

Each attack is a race that a second process, of user 4242, drives for a bounded time.  Whatever it
exchanges, nothing of root's outside the directory is written, read or given other rights.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import signal
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervise.linux import directory, unixsocket
from supervise.model.service import LogFormat, LogSettings
from tests.support.attack import rounds
from tests.support.loops import turn_until
from tests.support.relaying import Stage, staged

pytestmark = pytest.mark.needs("root")

STRANGER = 4242
SECRET = b"root-secret-shadow-line\n"
SHARE = 1.0  # seconds for one race of several


class Ground:
    """A directory of the stranger's, and one of root's with a secret."""

    def __init__(self, base: Path) -> None:
        self.app = base / "app"
        self.log = self.app / "app.log"
        self.hidden = base / "root-only"
        self.secret = self.hidden / "secret"
        base.chmod(0o755)
        self.app.mkdir()
        os.chown(self.app, STRANGER, STRANGER)
        self.hidden.mkdir(mode=0o700)
        self.secret.write_bytes(SECRET)
        self.secret.chmod(0o600)
        self.before = self._state()

    def _state(self) -> tuple[object, ...]:
        found = self.secret.lstat()
        rights = (found.st_mode, found.st_uid, found.st_gid, found.st_nlink, found.st_mtime_ns)
        return (sorted(os.listdir(self.hidden)), self.secret.read_bytes(), *rights)

    def check(self) -> None:
        """Fail if anything of root's is not what it was, or if the stranger can read it."""
        assert self._state() == self.before
        for path in self.app.rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                with contextlib.suppress(gzip.BadGzipFile, EOFError, OSError):
                    data = gzip.decompress(data)
                assert SECRET.strip() not in data, path


@pytest.fixture
def ground() -> Iterator[Ground]:
    base = Path(tempfile.mkdtemp(prefix="directories-"))
    yield Ground(base)
    shutil.rmtree(base)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


@contextlib.contextmanager
def beside(deed: Callable[[], None]) -> Iterator[None]:
    """Let the stranger repeat *deed* in a process of his own until the block ends."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            while True:
                with contextlib.suppress(OSError):
                    deed()
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def as_stranger(deed: Callable[[], None]) -> None:
    """Let the stranger do *deed* once."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(STRANGER)
            os.setuid(STRANGER)
            deed()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def raw(path: Path, **settings: object) -> LogSettings:
    return LogSettings(format=LogFormat.RAW, file=str(path), **settings)  # type: ignore[arg-type]


def begin_anew(stage: Stage, logs: LogSettings) -> None:
    """Have the file opened as at a start: one that was refused is left alone for seconds."""
    assert logs.file is not None
    if os.path.islink(logs.file):
        os.unlink(logs.file)
    stage.configure(web=LogSettings())
    stage.configure(web=logs)


def test_a_link_in_place_of_the_packed_file_is_not_written_through(
    ground: Ground, stage: Stage
) -> None:
    stage.configure(web=raw(ground.log, max_size=20, keep=2, compress=True))
    stage.say("web", b"0123456789012345\n")
    as_stranger(lambda: os.symlink(ground.secret, f"{ground.log}.gz.tmp"))

    stage.say("web", b"0123456789012345\n" * 2)
    turn_until(stage.loop, lambda: not stage.relay.helper_pids)

    ground.check()
    assert gzip.decompress(Path(f"{ground.log}.1.gz").read_bytes()) == b"0123456789012345\n"


def test_no_link_is_written_to_while_the_log_rotates(ground: Ground, stage: Stage) -> None:
    def exchange() -> None:
        os.symlink(ground.secret, ground.log)

    with beside(exchange):
        for number in rounds(SHARE):
            begin_anew(stage, raw(ground.log, max_size=10, keep=3))
            for _ in range(4):
                stage.say("web", b"evil %d ALL\n" % number)

    ground.check()


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo"])
def test_nothing_planted_is_packed_for_the_stranger_to_read(
    ground: Ground, stage: Stage, kind: str
) -> None:
    mine = ground.app / "mine"
    make: dict[str, Callable[[str], None]] = {
        "link": lambda path: os.symlink(ground.secret, path),
        "hard link": lambda path: os.link(mine, path),
        "fifo": os.mkfifo,
    }

    def exchange() -> None:
        for name in (".1", ".2", ".gz.tmp", ".1.gz"):
            with contextlib.suppress(OSError):
                os.unlink(f"{ground.log}{name}")
            with contextlib.suppress(OSError):
                make[kind](f"{ground.log}{name}")

    as_stranger(mine.touch)
    with beside(exchange):
        for _ in rounds(SHARE / 2):
            begin_anew(stage, raw(ground.log, max_size=40, keep=3, compress=True))
            stage.say("web", b"0123456789\n" * 10)
    turn_until(stage.loop, lambda: not stage.relay.helper_pids)

    ground.check()
    assert mine.read_bytes() == b"", "what PID 1 writes is a file of its own"


def test_a_directory_that_becomes_a_link_leads_nowhere(ground: Ground, stage: Stage) -> None:
    inner = ground.app / "logs"

    def exchange() -> None:
        os.rename(inner, f"{inner}.aside")
        os.symlink(ground.hidden, inner)
        os.unlink(inner)
        os.rename(f"{inner}.aside", inner)

    as_stranger(inner.mkdir)
    with beside(exchange):
        for _ in rounds(SHARE):
            begin_anew(stage, raw(inner / "secret", max_size=10, keep=2))
            stage.say("web", b"0123456789\n")

    ground.check()


def test_a_file_of_roots_with_a_second_name_is_not_a_log(ground: Ground, stage: Stage) -> None:
    os.link(ground.secret, ground.log)  # as the stranger could without fs.protected_hardlinks
    stage.configure(web=raw(ground.log))

    stage.say("web", b"evil\n")
    stage.poll()

    assert ground.secret.read_bytes() == SECRET
    message = stage.announcements[0].fields["message"]
    assert f"it has 2 names, in a directory that user {STRANGER} may write to" in message
    assert "chmod go-w" in message


def test_a_link_takes_no_other_services_file_away(ground: Ground, stage: Stage) -> None:
    other = ground.hidden / "other.log"
    as_stranger(lambda: os.symlink(other, ground.log))
    stage.configure(evil=raw(ground.log), other=raw(other))

    stage.say("evil", b"forged\n")
    stage.say("other", b"mine\n")

    assert other.read_bytes() == b"mine\n"


def test_a_socket_that_is_exchanged_gives_no_file_other_rights(ground: Ground) -> None:
    path = ground.app / "c.sock"

    def exchange() -> None:
        os.unlink(path)
        os.symlink(ground.secret, path)
        os.unlink(path)

    with beside(exchange):
        for _ in rounds(SHARE):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
                held = directory.hold(str(ground.app))
                with contextlib.closing(held):
                    held.bind(sock, path.name, 0o666)

    ground.check()


def test_a_control_socket_is_refused_in_a_directory_of_the_strangers(ground: Ground) -> None:
    with pytest.raises(PermissionError, match=f"its directory belongs to user {STRANGER}"):
        unixsocket.listen(f"{ground.app}/c.sock", mode=0o666)

    ground.app.chmod(0o770)
    os.chown(ground.app, 0, STRANGER)
    with pytest.raises(PermissionError, match=f"its directory is writable by group {STRANGER}"):
        unixsocket.listen(f"{ground.app}/c.sock", mode=0o666)


def test_a_link_to_an_env_file_reaches_the_strangers_own_files_alone(ground: Ground) -> None:
    own, link = ground.app / "own.env", ground.app / ".env"

    def plant() -> None:
        own.write_text("A=1")
        link.symlink_to(own)
        (ground.app / "evil.env").symlink_to(ground.secret)

    as_stranger(plant)

    assert directory.read_file(str(link), 100) == b"A=1"
    with pytest.raises(directory.UnsafeFileError, match="leads to a file of user 0"):
        directory.read_file(f"{ground.app}/evil.env", 100)


def test_a_source_that_becomes_a_link_is_never_roots_secret(ground: Ground) -> None:
    path = ground.app / ".env"

    def exchange() -> None:
        path.write_text("A=1")
        os.unlink(path)
        os.symlink(ground.secret, path)
        os.unlink(path)

    with beside(exchange):
        for _ in rounds(SHARE):
            with contextlib.suppress(OSError):
                assert directory.read_file(str(path), 100) in {b"", b"A=1"}

    ground.check()


def test_the_mode_is_there_with_the_socket(ground: Ground) -> None:
    """No moment at which another mode could be seen, and none at which it is set by name."""
    with socket.socket(socket.AF_UNIX) as sock:
        held = directory.hold(str(ground.hidden))
        with contextlib.closing(held):
            held.bind(sock, "s", 0o640)
    found = (ground.hidden / "s").lstat()
    (ground.hidden / "s").unlink()

    assert stat.S_IMODE(found.st_mode) == 0o640
