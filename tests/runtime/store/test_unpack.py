"""Layers are unpacked as they say, and never outside their directory."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from runtime.model.errors import RuntimeFailure
from runtime.store.layers import LayerMeta, Layers, Pin
from runtime.store.layout import Layout
from tests.support import hostile_tars
from tests.support.tars import Member, directory, file, hard_link, make_tar, symlink
from tests.support.trees import tree

pytestmark = pytest.mark.needs("root")


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(Layout(str(tmp_path / "store")))


def unpack(layers: Layers, data: bytes) -> tuple[LayerMeta, Path]:
    """Unpack *data*; the tar stream that comes out again is always what went in."""
    with Pin() as pin:
        meta = layers.unpack(io.BytesIO(data), pin)
    assert b"".join(layers.stream(meta.diff_id)) == data
    return meta, Path(layers.path(meta.diff_id))


def refused(layers: Layers, data: bytes, reason: str) -> None:
    with Pin() as pin, pytest.raises(RuntimeFailure, match=reason):
        layers.unpack(io.BytesIO(data), pin)
    assert layers.collect([]) == []
    assert os.listdir(Path(layers.path("sha256:" + "0" * 64)).parents[1]) == []


def test_everything_a_header_says_is_done(layers: Layers) -> None:
    pax = {"SCHILY.xattr.user.note": "x"}
    capability = bytes.fromhex("0100000200040000000000000000000000000000").decode("latin-1")

    _, diff = unpack(
        layers,
        make_tar(
            directory("d", mode=0o1777, mtime=5),
            Member("d/f", data=b"hi", mode=0o6755, uid=3, gid=4, mtime=6, pax=pax),
            Member("d/c", mode=0o755, pax={"SCHILY.xattr.security.capability": capability}),
            symlink("d/s", "/etc/passwd"),
            hard_link("d/h", "d/f"),
            Member("n", tarfile.CHRTYPE, mode=0o666, device=(1, 3)),
            Member("p", tarfile.FIFOTYPE, mode=0o600),
        ),
    )

    found = tree(diff)
    assert (found["d"].mode, found["d"].mtime) == (0o1777, 5)
    # Set-user-id survives the change of owner, which clears it.
    assert found["d/f"][1:6] == (0o6755, 3, 4, 6, b"hi")
    assert found["d/f"].xattrs == (("user.note", b"x"),)
    assert found["d/h"].twin == "d/f"
    assert found["d/c"].xattrs[0][0] == "security.capability"
    assert found["d/s"].contents == b"/etc/passwd"
    assert (found["n"].kind, found["n"].device) == ("c", os.makedev(1, 3))
    assert found["p"].kind == "p"


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_directory_that_becomes_something_else_is_not_opened(layers: Layers, kind: bytes) -> None:
    """The times of directories are set last: by then a name may be a FIFO's or a device's."""
    _, diff = unpack(layers, make_tar(directory("d"), Member("d", kind, device=(1, 7))))

    assert stat.S_IFMT(os.lstat(diff / "d").st_mode) in (stat.S_IFIFO, stat.S_IFCHR)


def test_gnu_tar_unpacks_the_same_tree(layers: Layers, tmp_path: Path) -> None:
    source, other = tmp_path / "source", tmp_path / "other"
    other.mkdir()
    for name in ("a/b/c", "a/long" + "x" * 150, "a/ümlaut"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode() * 1000)
    (source / "a/hole").touch()
    os.truncate(source / "a/hole", 5_000_000)
    os.link(source / "a/b/c", source / "a/b/d")
    (source / "a/s").symlink_to("b")
    packed = subprocess.run(
        ["tar", "-C", str(source), "--sparse", "-c", "."], capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-C", str(other), "-xp"], input=packed, check=True)

    _, diff = unpack(layers, packed)

    assert tree(diff) == tree(other)
    assert (diff / "a/hole").stat().st_blocks == 0


def test_whiteouts_become_overlayfs_own(layers: Layers) -> None:
    _, diff = unpack(
        layers,
        make_tar(
            directory("d"), file("d/.wh.gone"), directory("o"), file("o/.wh..wh..opq"),
            file("o/new"), file(".wh..wh.plnk"), file(".wh..wh.aufs"),
        ),
    )  # fmt: skip

    gone = (diff / "d/gone").lstat()
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    assert os.getxattr(diff / "o", "trusted.overlay.opaque") == b"y"
    assert sorted(tree(diff)) == ["d", "d/gone", "o", "o/new"]


@pytest.mark.parametrize("order", [0, 1])
def test_a_whiteout_hides_only_what_lies_below_the_layer(layers: Layers, order: int) -> None:
    marks, own = [file(".wh.d"), file(".wh.f")], [directory("d"), file("d/x"), file("f", b"1")]
    members = [*marks, *own] if order else [*own, *marks]

    _, diff = unpack(layers, make_tar(*members))

    assert (diff / "f").read_bytes() == b"1"
    assert (diff / "d/x").exists()
    assert os.getxattr(diff / "d", "trusted.overlay.opaque") == b"y"


def test_overlayfs_own_attributes_are_not_taken_from_a_layer(layers: Layers) -> None:
    pax = {"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.user.overlay.opaque": "y"}

    _, diff = unpack(layers, make_tar(Member("d", tarfile.DIRTYPE, mode=0o755, pax=pax)))

    assert os.listxattr(diff / "d") == []


_TRICKS = [
    *hostile_tars.TRICKS.values(),
    *hostile_tars.ODD.values(),
    *hostile_tars.ODD_ATTRIBUTES.values(),
    *hostile_tars.NAMELESS.values(),
]


@pytest.mark.parametrize(
    "trick",
    _TRICKS,
    ids=[
        *(hostile_tars.TRICKS | hostile_tars.ODD),
        *(hostile_tars.ODD_ATTRIBUTES | hostile_tars.NAMELESS),
    ],
)
def test_no_trick_leads_out(layers: Layers, tmp_path: Path, trick: bytes | list[Member]) -> None:
    """Nothing outside changes, no entry of it is read, and nothing but a sentence comes back."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    os.setxattr(outside / "secret", "user.mark", b"1")
    before = tree(outside)
    data = trick if isinstance(trick, bytes) else hostile_tars.aimed(trick, outside)

    with Pin() as pin:
        try:
            meta = layers.unpack(io.BytesIO(data), pin)
        except RuntimeFailure as error:
            told = ("outside" not in error.message, "is not" in error.message)
            assert any(told) or "would leave" in error.message  # noqa: PT017
        else:
            inside = tree(Path(layers.path(meta.diff_id)))
            assert all(found.contents != b"secret" for found in inside.values())
            assert b"".join(layers.stream(meta.diff_id)) == data

    assert tree(outside) == before
    assert os.listxattr(outside) == []


def test_a_hard_link_cannot_take_a_file_from_outside(layers: Layers) -> None:
    data = make_tar(symlink("e", "/etc"), hard_link("mine", "e/passwd"))

    refused(layers, data, r"'mine' is a hard link to 'e/passwd', which is not in the same layer")


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/../evil"])
def test_a_name_that_climbs_is_refused(layers: Layers, name: str) -> None:
    refused(layers, make_tar(file(name)), "would leave the root directory")


@pytest.mark.parametrize("name", ["./f", "/f", "x/../f", "//f", "././f", "y/./../f"])
def test_odd_names_that_stay_inside_are_fine(layers: Layers, name: str) -> None:
    _, diff = unpack(layers, make_tar(file(name, b"1")))

    assert (diff / "f").read_bytes() == b"1"


def test_links_are_followed_as_inside_a_container(layers: Layers) -> None:
    _, diff = unpack(
        layers,
        make_tar(
            directory("usr"), directory("usr/lib"), symlink("lib", "/usr/lib"), file("lib/x", b"1")
        ),
    )

    assert (diff / "usr/lib/x").read_bytes() == b"1"
    assert (diff / "lib").is_symlink()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (file("x", b"1"), file("x", b"2")),
        (file("x", b"1"), directory("x")),
        (directory("x"), file("x", b"2")),
        (symlink("x", "y"), file("x", b"2")),
        (file("x", b"1"), symlink("x", "y")),
        (symlink("x", "y"), directory("x")),
        (directory("x"), directory("x", mode=0o700)),
        (file("x", b"1"), Member("x", tarfile.FIFOTYPE)),
    ],
)
def test_a_later_entry_replaces_an_earlier_one(
    layers: Layers, first: Member, second: Member
) -> None:
    inner = [file("x/in", b"old")] if first.kind == tarfile.DIRTYPE else []

    _, diff = unpack(layers, make_tar(first, *inner, second))

    found = tree(diff)["x"]
    assert found.kind == {
        tarfile.REGTYPE: "-", tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.FIFOTYPE: "p",
    }[second.kind]  # fmt: skip
    assert found.contents == (second.data or second.link.encode())
    if second.kind == tarfile.DIRTYPE:
        assert found.mode == second.mode


def test_a_link_replaced_after_it_was_used_leads_nowhere_old(layers: Layers) -> None:
    _, diff = unpack(
        layers,
        make_tar(
            directory("a"), symlink("l", "a"), file("l/1", b"1"), directory("l"), file("l/2", b"2")
        ),
    )

    assert sorted(tree(diff)) == ["a", "a/1", "l", "l/2"]


def test_directories_that_are_not_in_the_stream_are_made(layers: Layers) -> None:
    _, diff = unpack(layers, make_tar(file("a/b/c")))

    assert tree(diff)["a/b"].mode == 0o755


def test_the_root_directory_can_be_decorated(layers: Layers) -> None:
    _, diff = unpack(layers, make_tar(Member("./", tarfile.DIRTYPE, mode=0o711, uid=9)))

    assert (stat.S_IMODE(diff.stat().st_mode), diff.stat().st_uid) == (0o711, 9)


def test_a_very_deep_tree_is_unpacked_and_removed(layers: Layers) -> None:
    deep = "/".join(["d"] * 1500)

    meta, diff = unpack(layers, make_tar(file(f"{deep}/f", b"x")))

    assert meta.size == 1
    layers.collect([])
    assert not diff.exists()


def test_the_size_is_what_docker_counts(layers: Layers) -> None:
    meta, _ = unpack(
        layers,
        make_tar(
            directory("d"), file("d/a", b"12345"), hard_link("b", "d/a"), symlink("s", "123"),
            file("x", b"1"), file("x", b"22"),
        ),
    )  # fmt: skip

    assert meta.size == 5 + 3 + 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"hello" * 200, "there is no tar header where one should be"),
        (make_tar(file("f", b"x" * 2000))[:1500], r"ends in the middle of 'f' \(988 of 2000 bytes"),
        (make_tar(file("f", b"x" * 2000))[:2530], "in the padding"),
        (make_tar(file("a"), file("a/b")), "'a/b': Not a directory"),
        (make_tar(symlink("a", "nowhere"), file("a/b")), "'a' is not a directory"),
        (make_tar(file(".")), "the root directory is replaced"),
        (make_tar(file(".wh.")), "hides no name"),
        (make_tar(hard_link("a", "b")), "hard link to 'b', which is not in the same layer"),
        (make_tar(file("x" * 300)), "File name too long"),
    ],
)
def test_what_cannot_be_unpacked_says_why(layers: Layers, data: bytes, reason: str) -> None:
    refused(layers, data, reason)


def test_bytes_after_the_end_belong_to_the_stream(layers: Layers) -> None:
    unpack(layers, make_tar(file("f", b"x")) + b"trailing rubbish" + bytes(70_000) + b"!")


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=True)
    try:
        refused(
            Layers(Layout(str(small / "s"))),
            make_tar(file("f", b"x" * 4_000_000)),
            "cannot unpack 'f': No space left on device",
        )
    finally:
        subprocess.run(["umount", str(small)], check=True)
