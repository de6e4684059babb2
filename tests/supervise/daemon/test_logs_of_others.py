"""What a service's user leaves in the log's directory costs no other service anything."""

from __future__ import annotations

import errno
import gzip
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervise.daemon.logs import compress, compressor
from supervise.model.service import LogFormat, LogSettings, OnStall
from tests.support.loops import running_loop, turn_until
from tests.support.relaying import Stage, staged

OTHER = 4242


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def raw(path: Path, **settings: object) -> LogSettings:
    return LogSettings(format=LogFormat.RAW, file=str(path), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("max_size", "size", "reason"),
    [(20, 1 << 40, "far more than it is rotated at"), (None, 1 << 30, "are all but holes")],
)
def test_a_file_that_was_made_huge_is_not_packed_and_the_next_one_is(
    stage: Stage, tmp_path: Path, max_size: int | None, size: int, reason: str
) -> None:
    path = tmp_path / "x.log"
    (tmp_path / "x.log.1").touch()
    os.truncate(tmp_path / "x.log.1", size)
    (tmp_path / "x.log.2").write_bytes(b"old\n")
    stage.configure(web=raw(path, max_size=max_size, keep=3, compress=True))

    stage.say("web", b"hello\n")
    turn_until(stage.loop, lambda: not stage.relay.helper_pids)

    assert (tmp_path / "x.log.1").stat().st_size == size
    assert gzip.decompress((tmp_path / "x.log.2.gz").read_bytes()) == b"old\n"
    assert reason in str(stage.announcements[0].fields["message"])


def test_a_file_that_grows_while_it_is_packed_is_given_up() -> None:
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(b"x" * 11)
        source.flush()
        source.seek(0)

        with pytest.raises(OSError) as caught:
            compress.compress(source.fileno(), target.fileno(), 10)

    assert caught.value.errno == errno.EFBIG


def test_a_file_that_cannot_be_read_to_its_end_does_not_keep_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compressor, "PATIENCE", 0.2)
    reasons: list[str] = []
    source, never = os.pipe()
    with running_loop() as loop, tempfile.TemporaryFile() as target:
        packing = compressor.Compressor(loop)
        packing.run(source, target.fileno(), reasons.append, limit=10)
        (pid,) = packing.pids

        turn_until(loop, lambda: bool(reasons))

        os.waitpid(pid, 0)
        assert packing.pids == frozenset()
    os.close(source)
    os.close(never)
    assert reasons == ["it took more than 0.2 s"]


@pytest.mark.needs("root")
def test_a_fifo_in_a_directory_of_others_stalls_nobody(stage: Stage, tmp_path: Path) -> None:
    """One service put it in the place of the log that another writes to as well."""
    path = tmp_path / "x.log"
    os.mkfifo(path)
    os.chown(tmp_path, OTHER, OTHER)
    unread = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    settings = raw(path, on_stall=OnStall.BLOCK)
    stage.configure(a=settings, b=settings)
    stage.say("a", b"hello\n")

    for _ in range(20):
        stage.say("b", b"x" * 40_000 + b"\n")
    stage.poll()
    os.close(unread)

    assert "nobody reads the FIFO" in str(stage.announcements[0].fields["message"])
