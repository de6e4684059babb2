from __future__ import annotations

import gzip
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervise.daemon.logs import sinks
from supervise.model.service import LogFormat, LogSettings, OnStall
from tests.support import descriptors
from tests.support.loops import turn_until
from tests.support.relaying import Stage, file_size_limit, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.log"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[Stage, float], None]:
    """Let time pass for a loop's clock, which `Loop.now` is."""

    def forward(stage: Stage, seconds: float) -> None:
        then = stage.loop.now() + seconds
        monkeypatch.setattr(stage.loop, "now", lambda: then)

    return forward


def raw(path: Path, **settings: object) -> LogSettings:
    return LogSettings(format=LogFormat.RAW, file=str(path), **settings)  # type: ignore[arg-type]


def family(path: Path) -> dict[str, bytes]:
    """Return the log and its older files by their ending, unpacked."""
    return {
        file.name.removeprefix(path.name): gzip.decompress(file.read_bytes())
        if file.suffix == ".gz"
        else file.read_bytes()
        for file in path.parent.iterdir()
        if file.name.startswith(path.name)
    }


# -- where lines go


def test_lines_go_to_the_file_and_not_to_the_console(stage: Stage, path: Path) -> None:
    stage.configure(web=LogSettings(file=str(path)))

    stage.say("web", b"hello\n")
    stage.say("web", b"oops\n", "stderr")

    assert path.read_bytes() == b"web       | hello\nweb       | oops\n"
    assert stage.read() + stage.read("stderr") == b""


def test_tee_writes_to_both(stage: Stage, path: Path) -> None:
    stage.configure(web=LogSettings(file=str(path), tee=True))

    stage.say("web", b"hello\n")

    assert path.read_bytes() == stage.read() == b"web       | hello\n"


def test_raw_is_byte_exact_in_a_file(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path))

    stage.say("web", b"\x00\xff\r\n50%\r100%\n\n\x1b[1mx\nno end")

    assert path.read_bytes() == b"\x00\xff\r\n50%\r100%\n\n\x1b[1mx\nno end"


def test_raw_output_of_two_writers_never_shares_a_line(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path), db=LogSettings(file=str(path)))

    stage.say("web", b"no end", pid=1)
    stage.say("web", b"next process\n", pid=2)
    stage.say("web", b"no end")
    stage.say("db", b"prefixed\n")

    assert path.read_bytes() == b"no end\nnext process\nno end\ndb        | prefixed\n"


def test_services_that_name_one_file_share_one_writer(stage: Stage, path: Path) -> None:
    logs = LogSettings(file=str(path), max_size=90, keep=2)
    stage.configure(web=logs, db=logs)

    for number in range(6):
        stage.say("web", b"web %03d\n" % number)
        stage.say("db", b"db %03d\n" % number)

    text = b"".join(family(path)[name] for name in (".2", ".1", ""))
    assert text.count(b"\n") == 12
    assert all(len(content) <= 90 for content in family(path).values())


def test_missing_directories_are_made(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.log"
    stage.configure(web=LogSettings(file=str(path)))

    stage.say("web", b"hello\n")

    assert path.read_bytes() == b"web       | hello\n"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_changed_file_is_followed_and_the_old_one_closed(stage: Stage, tmp_path: Path) -> None:
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    stage.configure(web=raw(old))
    stage.say("web", b"one\n")

    stage.configure(web=raw(new))
    stage.say("web", b"two\n")

    assert (old.read_bytes(), new.read_bytes()) == (b"one\n", b"two\n")
    opened = [name for _, name in descriptors.opened()]
    assert (opened.count(str(old)), opened.count(str(new))) == (0, 1)


def test_an_existing_file_is_continued_on_a_new_line(stage: Stage, path: Path) -> None:
    path.write_bytes(b"written by the last container, cut short")
    stage.configure(web=raw(path))

    stage.say("web", b"hello\n")

    assert path.read_bytes() == b"written by the last container, cut short\nhello\n"


# -- rotation


def test_rotation_cuts_between_lines_and_loses_none(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path, max_size=1000, keep=100))
    lines = [b"line %d %s\n" % (number, b"x" * (number % 50)) for number in range(1000)]

    stage.say("web", b"".join(lines))

    files = family(path)
    order = sorted(files, key=lambda name: -int(name[1:] or 0))
    assert b"".join(files[name] for name in order) == b"".join(lines)
    assert all(0 < len(content) <= 1000 for content in files.values())
    assert all(content.endswith(b"\n") for content in files.values())


def test_a_line_bigger_than_a_file_stays_whole(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path, max_size=10, keep=9))

    stage.say("web", b"a\n" + b"b" * 30 + b"\nc\n")

    assert family(path) == {".2": b"a\n", ".1": b"b" * 30 + b"\n", "": b"c\n"}


def test_only_the_files_to_keep_are_kept(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path, max_size=2, keep=2))

    stage.say("web", b"1\n2\n3\n4\n5\n")

    assert family(path) == {".2": b"3\n", ".1": b"4\n", "": b"5\n"}


def test_keep_none_truncates(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path, max_size=2, keep=0))

    stage.say("web", b"1\n2\n3\n")

    assert family(path) == {"": b"3\n"}


def test_fewer_to_keep_removes_the_surplus_at_the_next_start(stage: Stage, path: Path) -> None:
    for number in range(1, 6):
        Path(f"{path}.{number}").write_bytes(b"old\n")
    stage.configure(web=raw(path, keep=2))

    stage.say("web", b"hello\n")

    assert set(family(path)) == {"", ".1", ".2"}


def test_a_file_rotates_by_age(
    stage: Stage, path: Path, later: Callable[[Stage, float], None]
) -> None:
    stage.configure(web=raw(path, max_size=None, max_age=3600.0))
    stage.say("web", b"young\n")
    later(stage, 3599)
    stage.say("web", b"still\n")
    later(stage, 2)

    stage.say("web", b"new\n")

    assert family(path) == {".1": b"young\nstill\n", "": b"new\n"}


def test_the_age_survives_a_restart(stage: Stage, path: Path) -> None:
    Path(f"{path}.1").write_bytes(b"older\n")
    os.utime(f"{path}.1", (0, 0))  # the file that follows began right after
    path.write_bytes(b"old\n")
    stage.configure(web=raw(path, max_age=3600.0))

    stage.say("web", b"new\n")

    assert family(path) == {".2": b"older\n", ".1": b"old\n", "": b"new\n"}


def test_a_rotation_that_is_refused_loses_no_line_and_no_older_file(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is a mount point cannot be renamed: EBUSY, as for a file bound by docker -v."""
    path = tmp_path / "x.log"
    Path(f"{path}.1").write_bytes(b"older\n")
    stage.configure(web=raw(path, max_size=4))

    def refuse(source: str, target: str, **_: int) -> None:
        raise OSError(16, os.strerror(16), source)

    monkeypatch.setattr(os, "rename", refuse)
    stage.say("web", b"1\n2\n3\n4\n5\n")
    stage.say("web", b"6\n")
    stage.poll()

    assert family(path) == {".1": b"older\n", "": b"1\n2\n3\n4\n5\n6\n"}
    assert stage.names() == ["log.file_failed"]
    assert "not rotated" in stage.announcements[0].fields["message"]


def test_a_symbolic_link_is_followed_by_rotation_too(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    link, target = tmp_path / "x.log", tmp_path / "data" / "real.log"
    link.symlink_to(target)
    stage.configure(web=raw(link, max_size=2))

    stage.say("web", b"1\n2\n")

    assert link.is_symlink()
    assert family(target) == {".1": b"1\n", "": b"2\n"}


def test_copytruncate_of_others_does_not_rotate_early(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path, max_size=10))
    stage.say("web", b"12345678\n")
    os.truncate(path, 0)

    stage.say("web", b"ab\n")

    assert family(path) == {"": b"ab\n"}


def test_reopening_writes_to_the_new_file(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path))
    stage.say("web", b"one\n")
    path.rename(path.with_suffix(".moved"))
    stage.say("web", b"two\n")

    stage.relay.reopen()
    stage.say("web", b"three\n")

    assert path.with_suffix(".moved").read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"


def test_reopening_that_is_refused_keeps_the_old_file(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "x.log"
    stage.configure(web=raw(path))
    stage.say("web", b"one\n")
    path.parent.rename(tmp_path / "moved")
    (tmp_path / "logs").write_bytes(b"a file where the directory was")

    stage.relay.reopen()
    (tmp_path / "logs").unlink()
    stage.loop.now = lambda now=stage.loop.now: now() + 60  # type: ignore[method-assign,misc]
    stage.say("web", b"two\n")

    assert (tmp_path / "moved" / "x.log").read_bytes() == b"one\ntwo\n"
    assert stage.names() == ["log.file_failed", "log.file_recovered"]


# -- compression


def packed(path: Path, *names: str) -> Callable[[], bool]:
    return lambda: set(family(path)) == set(names)


def test_older_files_are_compressed_and_stay_in_order(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path, max_size=2, keep=3, compress=True))

    stage.say("web", b"1\n2\n3\n4\n5\n")
    turn_until(stage.loop, packed(path, "", ".1.gz", ".2.gz", ".3.gz"))

    assert family(path) == {".3.gz": b"2\n", ".2.gz": b"3\n", ".1.gz": b"4\n", "": b"5\n"}
    turn_until(stage.loop, lambda: not stage.relay.helper_pids)


def test_a_file_that_moves_while_it_is_compressed_ends_in_its_place(
    stage: Stage, path: Path
) -> None:
    stage.configure(web=raw(path, max_size=2, keep=4, compress=True))
    stage.say("web", b"1\n2\n")
    assert stage.relay.helper_pids  # it works on what is still number 1

    stage.say("web", b"3\n4\n")
    turn_until(stage.loop, packed(path, "", ".1.gz", ".2.gz", ".3.gz"))

    assert family(path) == {".3.gz": b"1\n", ".2.gz": b"2\n", ".1.gz": b"3\n", "": b"4\n"}


def test_a_file_that_falls_off_while_it_is_compressed_leaves_nothing(
    stage: Stage, path: Path
) -> None:
    stage.configure(web=raw(path, max_size=2, keep=1, compress=True))
    stage.say("web", b"1\n2\n")

    stage.say("web", b"3\n4\n")
    turn_until(stage.loop, packed(path, "", ".1.gz"))

    assert family(path) == {".1.gz": b"3\n", "": b"4\n"}


def test_a_compressor_that_dies_leaves_the_plain_file(
    stage: Stage, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"  # the real one may have done its work before it is killed
    slow.write_text("#!/bin/sh\nexec sleep 3600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    stage.configure(web=raw(path, max_size=2, compress=True))
    stage.say("web", b"1\n2\n")

    for pid in stage.relay.helper_pids:
        os.kill(pid, signal.SIGKILL)
    turn_until(stage.loop, stage.names)

    assert family(path) == {".1": b"1\n", "": b"2\n"}
    assert "not compressed: the compressor died" in stage.announcements[0].fields["message"]


@pytest.mark.parametrize(
    ("left", "healed"),
    [
        ({".1": b"1\n"}, {".1.gz": b"1\n"}),  # never compressed
        ({".1": b"1\n", ".gz.tmp": b"half"}, {".1.gz": b"1\n"}),  # killed while compressing
        ({".1": b"1\n", ".1.gz": gzip.compress(b"1\n")}, {".1.gz": b"1\n"}),  # before the unlink
        ({".0": b"2\n", ".1": b"1\n"}, {".1.gz": b"2\n", ".2.gz": b"1\n"}),  # between the renames
        ({".2": b"1\n", ".1.gz": gzip.compress(b"2\n")}, {".1.gz": b"2\n", ".2.gz": b"1\n"}),
    ],
)
def test_what_a_crash_left_is_healed_at_the_next_start(
    stage: Stage, path: Path, left: dict[str, bytes], healed: dict[str, bytes]
) -> None:
    for ending, content in left.items():
        Path(f"{path}{ending}").write_bytes(content)
    stage.configure(web=raw(path, compress=True))

    stage.say("web", b"new\n")
    turn_until(stage.loop, packed(path, "", *healed))

    assert family(path) == {**healed, "": b"new\n"}


def test_the_end_does_not_wait_for_compression(stage: Stage, path: Path) -> None:
    stage.configure(web=raw(path, max_size=2, compress=True))
    stage.say("web", b"1\n2\n")
    (pid,) = stage.relay.helper_pids

    stage.relay.finish(stage.loop.now() + 5)

    assert os.waitpid(pid, 0)[1] in (signal.SIGKILL, 0)
    assert not stage.relay.helper_pids


# -- trouble


def test_a_full_disk_costs_lines_that_are_counted_and_announced_once(
    stage: Stage, path: Path, later: Callable[[Stage, float], None]
) -> None:
    stage.configure(web=raw(path))
    with file_size_limit(6):
        stage.say("web", b"one\n")
        stage.say("web", b"torn\n")
        for _ in range(3):
            later(stage, sinks.RETRY_INTERVAL)
            stage.say("web", b"a\nb\n")
    later(stage, sinks.RETRY_INTERVAL)

    stage.say("web", b"whole\n")
    stage.poll()

    assert path.read_bytes() == b"one\nto\nwhole\n"
    assert stage.names() == ["log.file_failed", "log.file_recovered"]
    assert stage.announcements[0].fields == {
        "service": "web",
        "file": str(path),
        "message": "File too large",
    }
    assert stage.announcements[1].fields["lost"] == 7
    assert [r.message for r in stage.relay.tail(["web"])][-2:] == [b"b", b"whole"]


def test_standing_trouble_is_said_again_after_an_interval(
    stage: Stage, path: Path, later: Callable[[Stage, float], None]
) -> None:
    path.mkdir()
    stage.configure(web=raw(path))
    stage.say("web", b"1\n")
    later(stage, sinks.ANNOUNCE_INTERVAL)

    stage.say("web", b"2\n")
    stage.poll()

    assert stage.names() == ["log.file_failed"] * 2
    assert stage.announcements[0].fields["message"] == "Is a directory"


def test_a_file_that_can_be_opened_later_is_recovered(
    stage: Stage, path: Path, later: Callable[[Stage, float], None]
) -> None:
    path.mkdir()
    stage.configure(web=raw(path))
    stage.say("web", b"1\n2\n")
    path.rmdir()
    later(stage, sinks.RETRY_INTERVAL)

    stage.say("web", b"3\n")
    stage.poll()

    assert path.read_bytes() == b"3\n"
    assert stage.names() == ["log.file_failed", "log.file_recovered"]
    assert stage.announcements[1].fields["lost"] == 2


# -- what is no regular file


def test_a_fifo_without_a_reader_does_not_block(
    stage: Stage, path: Path, later: Callable[[Stage, float], None]
) -> None:
    os.mkfifo(path)
    stage.configure(web=raw(path))
    stage.say("web", b"lost\n")
    read_fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    later(stage, sinks.RETRY_INTERVAL)

    stage.say("web", b"heard\n")

    assert os.read(read_fd, 100) == b"heard\n"
    os.close(read_fd)


def test_a_fifo_that_is_not_read_stalls_its_service_alone(stage: Stage, path: Path) -> None:
    os.mkfifo(path)
    read_fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    stage.configure(web=raw(path, on_stall=OnStall.BLOCK), db=LogSettings())
    write_fd = stage.pipe("web")
    os.set_blocking(write_fd, False)
    while not stage.relay.is_stalled("web"):
        try:
            os.write(write_fd, b"x" * 4000 + b"\n")
        except BlockingIOError:
            stage.poll()

    stage.say("db", b"hello\n")

    assert stage.relay.is_stalled("web")
    assert stage.read() == b"db        | hello\n"
    os.close(write_fd)
    os.close(read_fd)


def test_dev_null_swallows(stage: Stage) -> None:
    stage.configure(web=raw(Path("/dev/null")))

    stage.say("web", b"hello\n")

    assert stage.names() == []
    assert [record.message for record in stage.relay.tail(["web"])] == [b"hello"]


def test_two_names_of_one_file_are_one_writer(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    path = tmp_path / "x.log"
    stage.configure(web=raw(path), db=raw(tmp_path / "link" / "x.log"))
    stage.say("web", b"web\n")

    stage.say("db", b"db\n")

    assert path.read_bytes() == b"web\ndb\n"
    assert [name for _, name in descriptors.opened()].count(str(path)) == 1
