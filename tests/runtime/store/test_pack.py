"""An upper directory as a layer: deterministic, complete, and the same tree when unpacked."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.store.layers import Layers, Pin
from runtime.store.layout import Layout
from runtime.store.pack import Packer
from tests.support.deep import DEEP_NAME, make_deep
from tests.support.trees import tree

pytestmark = pytest.mark.needs("root")

SECOND = 1_000_000_000


def packed(directory: Path) -> bytes:
    return b"".join(Packer(str(directory)).stream())


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    found = tmp_path / "upper"
    found.mkdir()
    return found


def test_marks_of_overlayfs_become_the_tar_s(upper: Path) -> None:
    (upper / "d").mkdir()
    os.setxattr(upper / "d", "trusted.overlay.opaque", b"y")
    os.setxattr(upper / "d", "trusted.overlay.origin", b"\x00")
    os.mknod(upper / "gone", 0o020000, 0)

    with tarfile.open(fileobj=io.BytesIO(packed(upper))) as archive:
        members = archive.getmembers()

    assert [m.name for m in members] == ["d", "d/.wh..wh..opq", ".wh.gone"]
    assert [m.pax_headers for m in members] == [{}, {}, {}]
    assert members[2].isreg()


def test_equal_trees_give_equal_bytes(upper: Path, tmp_path: Path) -> None:
    for directory, names in ((upper, "abc"), (tmp_path / "other", "cba")):
        directory.mkdir(exist_ok=True)
        for name in names:
            (directory / name).write_text(name)
            os.utime(directory / name, ns=(0, 7 * SECOND + ord(name)))

    assert packed(upper) == packed(tmp_path / "other")


def test_no_time_is_later_than_asked(upper: Path) -> None:
    (upper / "old").touch()
    os.utime(upper / "old", (5, 5))
    (upper / "new").touch()

    data = b"".join(Packer(str(upper), latest=100).stream())

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert [(m.name, m.mtime) for m in archive] == [("new", 100), ("old", 5)]


def test_sockets_and_what_is_skipped_stay_out(upper: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(upper / "s"))
    (upper / "mounted").mkdir()
    (upper / "mounted/inner").touch()

    packer = Packer(str(upper), skip=lambda path: path == b"mounted")

    assert b"".join(packer.stream()) == bytes(1024)
    assert sorted(packer.left_out) == [b"mounted", b"s"]


def test_a_name_that_would_be_a_whiteout_stays_out(upper: Path) -> None:
    """A layer hides nothing that the container did not remove."""
    for name in (".wh.passwd", ".wh..", ".wh...", ".wh..wh..opq", ".wh."):
        (upper / name).touch()
    (upper / ".wh.d").mkdir()
    (upper / ".wh.d/inner").touch()
    (upper / "kept").touch()
    packer = Packer(str(upper))

    with tarfile.open(fileobj=io.BytesIO(b"".join(packer.stream()))) as archive:
        assert archive.getnames() == ["kept"]

    assert len(packer.unnameable) == 6


def test_names_deeper_than_a_path_may_be_are_packed(upper: Path) -> None:
    make_deep(upper, 30)

    with tarfile.open(fileobj=io.BytesIO(packed(upper))) as archive:
        names = archive.getnames()

    assert names[-1] == "/".join([*[DEEP_NAME] * 30, "file"])


def test_a_file_that_shrinks_meanwhile_is_an_error(upper: Path) -> None:
    (upper / "f").write_bytes(b"x" * 1_000_000)
    stream = Packer(str(upper)).stream()
    next(stream)
    next(stream)
    os.truncate(upper / "f", 10)

    with pytest.raises(OSError, match="shorter"):
        list(stream)


def test_gnu_tar_unpacks_the_stream(upper: Path, tmp_path: Path) -> None:
    long = upper / ("d" * 90) / ("e" * 90)
    long.mkdir(parents=True)
    (long / ("f" * 120)).write_text("1")
    (long / "link").symlink_to("g" * 150)
    os.chown(long, 3_000_000, 5)
    (tmp_path / "out").mkdir()

    subprocess.run(["tar", "-C", str(tmp_path / "out"), "-xp"], input=packed(upper), check=True)

    assert tree(tmp_path / "out") == tree(upper)


def test_adopting_and_copying_give_the_same_layer(upper: Path, tmp_path: Path) -> None:
    (upper / "d").mkdir()
    (upper / "d/f").write_text("x" * 5000)
    os.link(upper / "d/f", upper / "g")
    layers = Layers(Layout(str(tmp_path / "store")))
    with Pin() as pin:
        copied = layers.copy(str(upper), pin)
        stream = b"".join(layers.stream(copied.diff_id))
    layers.collect([])

    with Pin() as pin:
        adopted = layers.adopt(str(upper), pin)

    assert adopted == copied
    assert not upper.exists()
    assert b"".join(layers.stream(adopted.diff_id)) == stream


def test_what_is_skipped_is_not_in_an_adopted_layer(upper: Path, tmp_path: Path) -> None:
    (upper / "etc").mkdir()
    (upper / "etc/hosts").touch()
    os.utime(upper / "etc", (5, 5))
    layers = Layers(Layout(str(tmp_path / "store")))

    with Pin() as pin:
        meta = layers.adopt(str(upper), pin, skip=lambda path: path == b"etc/hosts")

    found = tree(Path(layers.path(meta.diff_id)))
    assert list(found) == ["etc"]
    assert found["etc"].mtime == 5


names = st.sampled_from(["a", "b", "ä", "x" * 120, "é\udcff", " ", ".wh"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
steps = st.lists(
    st.tuples(
        paths,
        st.sampled_from(["file", "directory", "symlink", "fifo", "device", "whiteout", "link"]),
        st.binary(max_size=600),
        st.integers(0, 0o7777),
        st.integers(0, 70_000),
        st.integers(0, 2_000_000_000),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_unpacking_what_was_packed_gives_the_tree(
    steps: list[tuple[str, str, bytes, int, int, int]],
) -> None:
    """unpack∘pack is the identity on trees with whole seconds."""
    with _directory() as work:
        upper = work / "upper"
        upper.mkdir()
        made = [Path(upper, step[0]) for step in steps if _make(upper, *step)]
        for path in sorted(made, reverse=True):
            if path.lstat().st_mtime_ns % SECOND:
                os.utime(path, (9, 9), follow_symlinks=False)
        for directory, _, _ in os.walk(upper, topdown=False):
            os.utime(directory, (8, 8))
        layers = Layers(Layout(str(work / "store")))

        with Pin() as pin:
            meta = layers.copy(str(upper), pin)

        whiteouts = {p for p, n in tree(upper).items() if n.kind == "c" and n.device == 0}
        wanted = {p: n for p, n in tree(upper).items() if p not in whiteouts}
        found = tree(Path(layers.path(meta.diff_id)))
        assert {p: n for p, n in found.items() if p not in whiteouts} == wanted
        assert all((found[p].kind, found[p].device) == ("c", 0) for p in whiteouts)
        assert packed(Path(layers.path(meta.diff_id))) == packed(upper)


def _directory() -> "_Here":
    return _Here()


class _Here:
    """A directory on the disk: /tmp may lack trusted attributes."""

    def __enter__(self) -> Path:
        self._held = tempfile.TemporaryDirectory()
        return Path(self._held.__enter__())

    def __exit__(self, *_: object) -> None:
        self._held.cleanup()


def _make(
    upper: Path, path: str, kind: str, data: bytes, mode: int, owner: int, mtime: int
) -> bool:
    """Make one file; False when something is in the way."""
    place = Path(upper, path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        match kind:
            case "file":
                with place.open("xb") as out:
                    out.write(data)
                os.setxattr(place, "user.a", data[:10])
            case "directory":
                place.mkdir()
            case "symlink":
                place.symlink_to(os.fsdecode(data.replace(b"\0", b"0")) or "x")
            case "fifo":
                os.mkfifo(place)
            case "device":
                os.mknod(place, 0o020000, os.makedev(1, 3))
            case "whiteout":
                os.mknod(place, 0o020000, 0)
                return False
            case _:
                os.link(_first_file(upper), place, follow_symlinks=False)
                return False
    except (FileExistsError, NotADirectoryError, StopIteration):
        return False
    os.chown(place, owner, owner + 1, follow_symlinks=False)
    if kind != "symlink":
        place.chmod(mode)
    os.utime(place, (mtime, mtime), follow_symlinks=False)
    return True


def _first_file(upper: Path) -> Path:
    found: Iterator[Path] = (
        p for p in sorted(upper.rglob("*")) if p.is_file() and not p.is_symlink()
    )
    return next(found)
