from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import subprocess
import tarfile
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest

from runtime.model.errors import RuntimeFailure
from tests.support.copying import Workshop
from tests.support.tars import Member, directory, file, hard_link, make_tar, symlink
from tests.support.web import Web, serve_repository

pytestmark = pytest.mark.needs("root", "git", "zstd")

WHEN = 1_600_000_000


@pytest.fixture
def work(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


# Archives.


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, bz2.compress, lzma.compress, zstd],
    ids=["tar", "gzip", "bzip2", "xz", "zstd"],
)
def test_archives_are_unpacked_by_what_they_are(work: Workshop, pack: object) -> None:
    assert callable(pack)
    (work.context / "any-name").write_bytes(
        pack(make_tar(directory("d", 0o700), file("d/x", b"1")))
    )

    work.copy("any-name", "/into", is_add=True)

    assert work.names() == ["into/d/x"]
    assert work.made()["into/d"].mode == 0o700


def test_copy_unpacks_nothing(work: Workshop) -> None:
    (work.context / "a.tar").write_bytes(make_tar(file("x")))

    work.copy("a.tar", "/")

    assert work.names() == ["a.tar"]


def test_an_archive_in_a_directory_stays_one(work: Workshop) -> None:
    (work.context / "d").mkdir()
    (work.context / "d/a.tar").write_bytes(make_tar(file("x")))

    work.copy("d", "/", is_add=True)
    work.copy("d/*", "/wild", is_add=True)

    assert work.names() == ["a.tar", "wild/x"]


def test_unpack_can_be_switched_off(work: Workshop) -> None:
    (work.context / "a.tar").write_bytes(make_tar(file("x")))

    work.copy("a.tar", "/", is_add=True, unpack=False)

    assert work.names() == ["a.tar"]


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"text",
        gzip.compress(b"no archive", mtime=0),
        b"BZh is how this text begins",
        bytes(1024),
    ],
)
def test_what_is_no_archive_is_copied(work: Workshop, contents: bytes) -> None:
    (work.context / "a.tar.gz").write_bytes(contents)

    work.copy("a.tar.gz", "/", is_add=True)

    assert (work.root / "a.tar.gz").read_bytes() == contents


def test_an_archives_owners_modes_and_times_are_kept(work: Workshop) -> None:
    (work.context / "a.tar").write_bytes(
        make_tar(
            Member("d/", tarfile.DIRTYPE, mode=0o1777, uid=4, gid=5, mtime=WHEN),
            Member("d/x", data=b"1", mode=0o4755, uid=6, gid=7, mtime=WHEN),
        )
    )

    work.copy("a.tar", "/", is_add=True)

    made = work.made()
    assert (made["d"].mode, made["d"].uid, made["d"].gid) == (0o1777, 4, 5)
    assert (made["d/x"].mode, made["d/x"].uid, made["d/x"].gid) == (0o4755, 6, 7)
    assert {(work.root / path).stat().st_mtime for path in ("d", "d/x")} == {WHEN}


def test_an_archives_owners_give_way_to_chown(work: Workshop) -> None:
    (work.context / "a.tar").write_bytes(
        make_tar(Member("d/", tarfile.DIRTYPE, uid=4), Member("d/x", data=b"1", uid=6))
    )

    work.copy("a.tar", "/into", is_add=True, chown="7:8")

    assert {(node.uid, node.gid) for node in work.made().values()} == {(7, 8)}


def test_archives_replace_what_is_in_the_way(work: Workshop) -> None:
    (work.root / "dir-file").mkdir()
    (work.root / "dir-file/old").write_text("")
    (work.root / "file-dir").write_text("")
    (work.root / "both").mkdir()
    (work.root / "both/old").write_text("")
    (work.root / "link").symlink_to("both/old")
    (work.context / "a.tar").write_bytes(
        make_tar(
            file("dir-file", b"1"), directory("file-dir"), directory("both"), file("link", b"2")
        )
    )

    work.copy("a.tar", "/", is_add=True)

    assert {path: node.kind for path, node in work.made().items()} == {
        "both": "d",
        "both/old": "-",
        "dir-file": "-",
        "file-dir": "d",
        "link": "-",
    }
    assert work.read("both/old") == ""


def test_archives_stay_in_their_directory(work: Workshop) -> None:
    (work.context / "a.tar").write_bytes(
        make_tar(
            file("../up", b"1"),
            file("/absolute", b"2"),
            symlink("dots", "../../.."),
            file("dots/y", b"4"),
        )
    )

    work.copy("a.tar", "/into", is_add=True)

    assert list(work.outside.iterdir()) == []
    assert {p.name for p in work.root.iterdir()} == {"into"}
    assert work.names() == ["into/absolute", "into/dots", "into/up", "into/y"]


def test_an_archives_link_out_of_its_directory_leads_nowhere(work: Workshop) -> None:
    (work.context / "a.tar").write_bytes(
        make_tar(symlink("out", str(work.outside)), file("out/x", b"3"))
    )

    with pytest.raises(RuntimeFailure, match="'out' is a link that leads nowhere"):
        work.copy("a.tar", "/into", is_add=True)

    assert list(work.outside.iterdir()) == []


def test_links_devices_and_sparse_files_of_archives(work: Workshop, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "a").write_text("text")
    os.link(made / "a", made / "b")
    (made / "link").symlink_to("a")
    os.mkfifo(made / "fifo")
    os.mknod(made / "null", 0o020666, os.makedev(1, 3))
    with (made / "sparse").open("wb") as file_:
        file_.truncate(8 << 20)
        file_.seek(4 << 20)
        file_.write(b"data")
    subprocess.run(["tar", "--sparse", "-cf", work.context / "a.tar", "-C", made, "."], check=True)

    work.copy("a.tar", "/", is_add=True)

    found = work.made()
    assert found["b"].twin == "a"
    assert found["link"].contents == b"a"
    assert [found[name].kind for name in ("fifo", "null")] == ["p", "c"]
    assert found["sparse"].contents == (made / "sparse").read_bytes()


def test_a_hard_link_to_nothing_is_named(work: Workshop) -> None:
    (work.context / "a.tar").write_bytes(make_tar(file("x"), hard_link("y", "none")))

    with pytest.raises(RuntimeFailure, match=r"'y' is a hard link to 'none', which is not there$"):
        work.copy("a.tar", "/", is_add=True)


def test_a_hard_link_to_its_own_directory_is_refused(work: Workshop) -> None:
    (work.context / "a.tar").write_bytes(make_tar(directory("d"), hard_link("d/x", "d")))

    with pytest.raises(
        RuntimeFailure, match=r"cannot unpack 'd/x' of 'a\.tar': Operation not perm"
    ):
        work.copy("a.tar", "/", is_add=True)


def test_a_truncated_archive_is_named(work: Workshop) -> None:
    whole = make_tar(file("x", b"1" * 2000))
    (work.context / "a.tar").write_bytes(whole[:1500])

    with pytest.raises(RuntimeFailure, match=r"cannot unpack 'a.tar': it ends .* \(after 'x'\)"):
        work.copy("a.tar", "/", is_add=True)


def test_archives_obey_the_epoch(work: Workshop) -> None:
    (work.context / "a.tar").write_bytes(
        make_tar(Member("x", data=b"1", mtime=WHEN), Member("y", data=b"1", mtime=500))
    )

    work.copy("a.tar", "/", is_add=True, epoch=1000)

    times = {p.name: p.stat().st_mtime for p in work.root.rglob("*")}
    assert times == {"x": 1000, "y": 500}


# URLs.


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.close()


def test_a_url_becomes_a_file_of_root_alone(work: Workshop, web: Web) -> None:
    web.files["/d/x.txt?y=1"] = (200, {"Last-Modified": formatdate(WHEN, usegmt=True)}, b"text")

    work.copy(f"{web.url}/d/x.txt?y=1", "/into/", is_add=True)

    node = work.made()["into/x.txt"]
    assert (node.mode, node.uid, node.contents) == (0o600, 0, b"text")
    assert (work.root / "into/x.txt").stat().st_mtime == WHEN


def test_a_url_can_be_given_a_name_an_owner_and_a_mode(work: Workshop, web: Web) -> None:
    web.files["/"] = (200, {}, b"text")

    work.copy(f"{web.url}/", "/name", is_add=True, chown="3:4", chmod="0755")

    node = work.made()["name"]
    assert (node.mode, node.uid, node.gid) == (0o755, 3, 4)


def test_a_url_without_a_name_needs_one(work: Workshop, web: Web) -> None:
    with pytest.raises(RuntimeFailure, match="no file name"):
        work.copy(f"{web.url}/", "/into/", is_add=True)


def test_archives_from_urls_are_unpacked_when_asked(work: Workshop, web: Web) -> None:
    web.files["/a.tar.gz"] = (200, {}, gzip.compress(make_tar(file("x"))))

    work.copy(f"{web.url}/a.tar.gz", "/", is_add=True)
    work.copy(f"{web.url}/a.tar.gz", "/", is_add=True, unpack=True)

    assert work.names() == ["a.tar.gz", "x"]


def test_sources_keep_their_order(work: Workshop, web: Web) -> None:
    web.files["/x"] = (200, {}, b"from the web")
    work.put("x", "from the context")

    work.copy(f"{web.url}/x", "x", "/last/", is_add=True)
    work.copy("x", f"{web.url}/x", "/first/", is_add=True)

    assert work.read("last/x") == "from the context"
    assert work.read("first/x") == "from the web"


def test_the_digest_of_a_url_is_that_of_what_it_gives(work: Workshop, web: Web) -> None:
    web.files["/x"] = (200, {}, b"one")
    before = work.digest(f"{web.url}/x", "/", is_add=True)
    assert work.digest(f"{web.url}/x", "/", is_add=True) == before

    web.files["/x"] = (200, {}, b"two")

    assert work.digest(f"{web.url}/x", "/", is_add=True) != before


def test_an_unchanged_file_is_not_sent_again(work: Workshop, web: Web) -> None:
    web.files["/x"] = (200, {"ETag": '"1"'}, b"text")

    work.copy(f"{web.url}/x", "/", is_add=True)
    work.copy(f"{web.url}/x", "/again", is_add=True)

    assert web.requests == ["200 /x", "304 /x"]
    assert work.read("again") == "text"


def test_a_file_whose_checksum_is_known_is_not_asked_for_again(work: Workshop, web: Web) -> None:
    web.files["/x"] = (200, {}, b"text")
    checksum = "sha256:" + hashlib.sha256(b"text").hexdigest()

    work.copy(f"{web.url}/x", "/", is_add=True, checksum=checksum)
    work.copy(f"{web.url}/x", "/again", is_add=True, checksum=checksum)

    assert web.requests == ["200 /x"]


def test_another_file_than_the_checksum_says_is_refused(work: Workshop, web: Web) -> None:
    web.files["/x"] = (200, {}, b"text")
    other = "sha256:" + "0" * 64

    with pytest.raises(RuntimeFailure, match=f"not {other}"):
        work.copy(f"{web.url}/x", "/", is_add=True, checksum=other)


def test_a_malformed_checksum_is_refused(work: Workshop, web: Web) -> None:
    with pytest.raises(RuntimeFailure, match="it is no sha256 digest"):
        work.copy(f"{web.url}/x", "/", is_add=True, checksum="sha256:12")


def test_the_servers_refusal_is_told(work: Workshop, web: Web) -> None:
    with pytest.raises(RuntimeFailure, match="/none': 404 Not Found"):
        work.copy(f"{web.url}/none", "/", is_add=True)


def test_a_cut_connection_leaves_nothing(work: Workshop, web: Web) -> None:
    web.files["/x"] = (200, {"Content-Length": "10"}, b"text")

    with pytest.raises(RuntimeFailure, match="cannot fetch"):
        work.copy(f"{web.url}/x", "/", is_add=True)

    assert list((work.store / "downloads").iterdir()) == []


def test_a_server_that_is_not_there_is_told(work: Workshop) -> None:
    with pytest.raises(RuntimeFailure, match="Connection refused"):
        work.copy("http://127.0.0.1:1/x", "/", is_add=True)


# Git.


@pytest.fixture
def repository(web: Web, tmp_path: Path) -> str:
    return serve_repository(web, tmp_path / "tree")


def test_a_repository_is_checked_out_without_its_history(work: Workshop, repository: str) -> None:
    work.copy(repository, "/src", is_add=True)

    assert work.names() == ["src/sub/x"]
    assert work.read("src/sub/x") == "two"


def test_a_ref_and_a_directory_of_a_repository(work: Workshop, repository: str) -> None:
    work.copy(f"{repository}#v1:sub", "/src", is_add=True)

    assert work.names() == ["src/x"]
    assert work.read("src/x") == "one"


def test_the_history_can_be_kept(work: Workshop, repository: str) -> None:
    work.copy(repository, "/src", is_add=True, keep_git_dir=True)

    assert (work.root / "src/.git/HEAD").exists()


def test_an_unknown_ref_is_told_and_nothing_is_left(work: Workshop, repository: str) -> None:
    with pytest.raises(RuntimeFailure, match=r"cannot fetch .*r\.git#none'"):
        work.copy(f"{repository}#none", "/src", is_add=True)

    assert [path.name for path in work.store.iterdir()] == []


def test_a_ref_is_no_option(work: Workshop, repository: str) -> None:
    with pytest.raises(RuntimeFailure, match="is no branch, tag or commit"):
        work.copy(f"{repository}#--upload-pack=x", "/src", is_add=True)
