from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from runtime.builder.files import copier
from runtime.dockerfile.commands import Heredoc
from runtime.model.errors import RuntimeFailure
from tests.support.copying import Workshop

pytestmark = pytest.mark.needs("root")

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep


@pytest.fixture
def work(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.mark.parametrize(
    ("destination", "working_dir", "expected"),
    [
        ("/a", "/w", "/a"),
        ("/a/", "/w", "/a/"),
        ("a", "/w", "/w/a"),
        (".", "/w", "/w/"),
        ("", "/w", "/w/"),
        ("./", "/w", "/w/"),
        ("..", "/w/x", "/w/"),
        ("/link/..", "/", "/"),
        ("/", "/w", "/"),
        ("a/./b/../c/.", "/", "/a/c/"),
        ("../../../x", "/w", "/x"),
    ],
)
def test_destinations_are_below_the_working_directory(
    destination: str, working_dir: str, expected: str
) -> None:
    assert copier.absolute(destination, working_dir) == expected


# Where things go.


def test_a_file_gets_the_name_of_the_destination(work: Workshop) -> None:
    work.put("a", "text", 0o640)

    work.copy("a", "/b/c")

    made = work.made()
    assert made["b"].mode == 0o755
    assert (made["b/c"].mode, made["b/c"].contents) == (0o640, b"text")


def test_a_file_goes_into_a_directory_that_is_there_or_said_to_be(work: Workshop) -> None:
    work.put("d/a")
    (work.root / "there").mkdir()

    work.copy("d/a", "/there")
    work.copy("d/a", "/said/")
    work.copy("d/a", ".", working_dir="/here")

    assert work.names() == ["here/a", "said/a", "there/a"]


def test_a_directory_gives_its_contents(work: Workshop) -> None:
    work.put("d/sub/a", mode=0o600)
    (work.context / "d").chmod(0o700)
    (work.context / "d/sub").chmod(0o750)

    work.copy("d", "/x")

    made = work.made()
    assert work.names() == ["x/sub/a"]
    assert made["x"].mode == 0o755  # as BuildKit: the destination is made, not copied
    assert made["x/sub"].mode == 0o750


def test_directories_are_merged_and_their_modes_taken(work: Workshop) -> None:
    work.put("d/sub/new")
    (work.context / "d/sub").chmod(0o700)
    (work.root / "x/sub").mkdir(parents=True)
    (work.root / "x/sub/old").write_text("")

    work.copy("d", "/x")

    assert work.names() == ["x/sub/new", "x/sub/old"]
    assert work.made()["x/sub"].mode == 0o700


def test_wildcards_give_files_and_contents_of_directories(work: Workshop) -> None:
    for path in ("a.txt", ".b.txt", "c.md", "d.txt/inner"):
        work.put(path)

    work.copy("*.txt", "/x/")

    assert work.names() == ["x/.b.txt", "x/a.txt", "x/inner"]


def test_wildcards_stay_within_one_name(work: Workshop) -> None:
    for path in ("a/x.txt", "a/b/x.txt", "x.txt"):
        work.put(path, path)

    work.copy("**/x.txt", "/")

    assert work.read("x.txt") == "a/x.txt"


def test_wildcards_follow_no_directory_links(work: Workshop) -> None:
    work.put("real/x.txt")
    (work.context / "link").symlink_to("real")

    assert len(work.select("*/x.txt", "/").sources) == 1


def test_many_sources_keep_their_names(work: Workshop) -> None:
    for path in ("a", "b/c", "d/e"):
        work.put(path)

    work.copy("a", "b/c", "d", "/x/")

    assert work.names() == ["x/a", "x/c", "x/e"]


def test_the_empty_source_is_the_context(work: Workshop) -> None:
    work.put("a")

    work.copy("", "/x/")

    assert work.names() == ["x/a"]


def test_a_file_over_a_directory_is_refused(work: Workshop) -> None:
    work.put("d/x")
    (work.root / "t/x").mkdir(parents=True)

    with pytest.raises(RuntimeFailure, match="'/t/x': that is a directory"):
        work.copy("d", "/t")


def test_a_directory_over_a_file_is_refused(work: Workshop) -> None:
    work.put("d/sub/x")
    (work.root / "sub").write_text("")
    (work.root / "file").write_text("")

    with pytest.raises(RuntimeFailure, match="a file is there"):
        work.copy("d", "/")
    with pytest.raises(RuntimeFailure, match="'/file': a file is there"):
        work.copy("d", "/file")
    with pytest.raises(RuntimeFailure, match="'/file': a file is there"):
        work.copy("d/sub/x", "/file/")


# Links.


def test_a_link_given_as_source_is_followed_and_keeps_its_name(work: Workshop) -> None:
    work.put("real", "text")
    (work.context / "link").symlink_to("real")
    work.put("d/x")
    (work.context / "dlink").symlink_to("d")

    work.copy("link", "/file/")
    work.copy("dlink", "/contents/")
    work.copy("dlink/x", "/through/")

    assert work.names() == ["contents/x", "file/link", "through/x"]
    assert work.made()["file/link"].kind == "-"


def test_links_in_a_directory_stay_links(work: Workshop) -> None:
    work.put("d/x")
    (work.context / "d/link").symlink_to("/etc/passwd")
    (work.context / "d/dangling").symlink_to("../../nowhere")

    work.copy("d", "/")

    assert os.readlink(work.root / "link") == "/etc/passwd"
    assert os.readlink(work.root / "dangling") == "../../nowhere"


def test_absolute_links_are_the_trees_own(work: Workshop) -> None:
    work.put("etc/file", "the context's")
    (work.context / "link").symlink_to("/etc/file")

    work.copy("link", "/x")

    assert work.read("x") == "the context's"


@pytest.mark.parametrize("target", ["/real", "real", "../../real", "/none/../real"])
def test_links_of_the_image_are_followed_inside_it(work: Workshop, target: str) -> None:
    work.put("a")
    (work.root / "link").symlink_to(target)

    work.copy("a", "/link/")

    assert work.names() == ["link", "real/a"]


def test_no_link_of_the_image_leads_out_of_it(work: Workshop) -> None:
    work.put("a")
    work.put("d/evil/x")
    (work.root / "out").symlink_to(work.outside)
    (work.root / "evil").symlink_to(work.outside)
    (work.root / "file").symlink_to(f"{work.outside}/file")

    work.copy("a", "/out/")
    work.copy("a", "/file")
    with pytest.raises(RuntimeFailure, match="a symbolic link is there"):
        work.copy("d", "/")

    assert list(work.outside.iterdir()) == []


def test_a_link_named_as_the_file_in_a_directory_is_replaced(work: Workshop) -> None:
    work.put("x", "new")
    (work.root / "d").mkdir()
    (work.root / "other").write_text("old")
    (work.root / "d/x").symlink_to("../other")

    work.copy("x", "/d/")

    assert work.read("other") == "old"
    assert not (work.root / "d/x").is_symlink()


def test_a_circle_of_links_is_refused(work: Workshop) -> None:
    work.put("a")
    (work.root / "x").symlink_to("y")
    (work.root / "y").symlink_to("x")

    with pytest.raises(RuntimeFailure, match="round in a circle"):
        work.copy("a", "/x/")


def test_link_looks_at_nothing_that_is_there(work: Workshop) -> None:
    work.put("a", "new")
    (work.root / "real").mkdir()
    (work.root / "way").symlink_to("real")
    (work.root / "dir").mkdir()
    (work.root / "dir/old").write_text("")
    (work.root / "file").write_text("old")
    (work.root / "file-link").symlink_to("file")

    work.copy("a", "/way/a", link=True)
    work.copy("a", "/dir", link=True)
    work.copy("a", "/file-link", link=True)

    assert work.names() == ["dir", "file", "file-link", "way/a"]
    assert (work.read("file"), work.read("file-link")) == ("old", "new")


def test_hard_links_stay_together(work: Workshop) -> None:
    work.put("d/a")
    (work.context / "d/sub").mkdir()
    os.link(work.context / "d/a", work.context / "d/sub/b")
    os.link(work.context / "d/a", work.context / "elsewhere")

    work.copy("d", "/x")

    assert work.made()["x/sub/b"].twin == "x/a"
    assert (work.root / "x/a").stat().st_nlink == 2


# What a copy is like.


def test_the_context_belongs_to_root_and_a_stage_to_its_owners(work: Workshop) -> None:
    work.put("d/a")
    os.chown(work.context / "d/a", 5, 6)

    work.copy("d/a", "/root")
    work.is_stage = True
    work.copy("d/a", "/stage")

    made = work.made()
    assert (made["root"].uid, made["root"].gid) == (0, 0)
    assert (made["stage"].uid, made["stage"].gid) == (5, 6)


def test_chown_counts_for_directories_above_and_links_too(work: Workshop) -> None:
    work.put("d/sub/a")
    (work.context / "d/link").symlink_to("a")

    work.copy("d", "/x/y", chown="7:8")

    assert {(node.uid, node.gid) for node in work.made().values()} == {(7, 8)}


def test_chmod_counts_for_files_and_copied_directories(work: Workshop) -> None:
    work.put("d/sub/a")

    work.copy("d", "/x", chmod="0700")

    made = work.made()
    assert [made[path].mode for path in ("x", "x/sub", "x/sub/a")] == [0o755, 0o700, 0o700]


def test_special_bits_come_along_and_a_stages_capabilities(work: Workshop) -> None:
    file = work.put("a")
    os.setxattr(file, "security.capability", CAPABILITY)
    os.setxattr(file, "user.note", b"stays here: no layer of docker's has it")
    os.chmod(file, 0o6755)

    work.copy("a", "/context", chown="9:9")
    work.is_stage = True
    work.copy("a", "/stage", chown="9:9")

    made = work.made()
    assert {node.mode for node in made.values()} == {0o6755}
    assert made["context"].xattrs == ()
    assert made["stage"].xattrs == (("security.capability", CAPABILITY),)


def test_devices_and_fifos_are_copied_and_sockets_are_not(work: Workshop) -> None:
    (work.context / "d").mkdir()
    os.mknod(work.context / "d/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mkfifo(work.context / "d/fifo", 0o600)
    os.mknod(work.context / "d/socket", stat.S_IFSOCK | 0o600)

    work.copy("d", "/")

    made = work.made()
    assert sorted(made) == ["fifo", "null"]
    assert (made["null"].kind, made["null"].device) == ("c", os.makedev(1, 3))
    assert made["fifo"].kind == "p"


def test_names_that_mean_whiteouts_in_layers_are_names_here(work: Workshop) -> None:
    work.put("d/.wh.gone")

    work.copy("d", "/")

    assert work.names() == [".wh.gone"]


def test_times_are_kept(work: Workshop) -> None:
    file = work.put("d/sub/a")
    for path in (file, file.parent):
        os.utime(path, ns=(10**18, 10**18 + 5))

    work.copy("d", "/x")

    assert (work.root / "x/sub/a").stat().st_mtime_ns == 10**18 + 5
    assert (work.root / "x/sub").stat().st_mtime_ns == 10**18 + 5


def test_no_time_is_later_than_the_epoch(work: Workshop) -> None:
    old = work.put("d/sub/old")
    work.put("d/new")
    os.utime(old, (500, 500))

    work.copy("d", "/x/y", epoch=1000)
    work.copy("/z", epoch=1000, heredocs=(Heredoc("z", "a", expand=True, chomp=False),))

    times = {str(p.relative_to(work.root)): p.stat().st_mtime for p in work.root.rglob("*")}
    del times["x"]  # the layer's packer limits it
    assert times == {
        "x/y": 1000,
        "x/y/sub": 1000,
        "x/y/sub/old": 500,
        "x/y/new": 1000,
        "z": 1000,
    }


def test_holes_stay_holes(work: Workshop) -> None:
    with (work.context / "sparse").open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"data")

    work.copy("sparse", "/x")

    copied = (work.root / "x").stat()
    assert copied.st_size == 64 << 20
    assert copied.st_blocks * 512 < 1 << 20
    with (work.root / "x").open("rb") as file:
        file.seek(32 << 20)
        assert file.read(6) == b"data\0\0"


def test_a_large_file_arrives_whole(work: Workshop) -> None:
    contents = os.urandom(3 << 20)
    (work.context / "large").write_bytes(contents)

    work.copy("large", "/x")

    assert (work.root / "x").read_bytes() == contents


def test_deep_trees_are_copied(work: Workshop) -> None:
    depth = 300
    work.put("/".join(["d"] * depth) + "/x")

    work.copy("d", "/")

    assert work.names() == ["/".join(["d"] * (depth - 1)) + "/x"]


# Heredocs.


def test_heredocs_are_files(work: Workshop) -> None:
    work.put("file")
    heredocs = (
        Heredoc("robots.txt", "a\n", expand=True, chomp=False),
        Heredoc("humans.txt", "b\n", expand=False, chomp=False),
    )

    work.copy("file", "/x/", heredocs=heredocs, chown="3:4", chmod="0600")

    assert work.names() == ["x/file", "x/humans.txt", "x/robots.txt"]
    node = work.made()["x/robots.txt"]
    assert (node.mode, node.uid, node.gid, node.contents) == (0o600, 3, 4, b"a\n")


def test_a_heredoc_has_mode_0644(work: Workshop) -> None:
    work.copy("/x", heredocs=(Heredoc("EOF", "a\n", expand=True, chomp=False),))

    assert work.made()["x"].mode == 0o644
