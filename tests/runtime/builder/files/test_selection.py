from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from runtime.builder.files.selection import select
from runtime.dockerfile.commands import Heredoc
from runtime.model.errors import RuntimeFailure
from tests.support.copying import Workshop, instruction

pytestmark = pytest.mark.needs("root")

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service=ep


@pytest.fixture
def work(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def refused(work: Workshop, *words: str, **options: object) -> RuntimeFailure:
    with pytest.raises(RuntimeFailure) as caught:
        work.select(*words, **options)
    return caught.value


def test_a_source_of_this_machine_is_explained(work: Workshop) -> None:
    work.put("hosts")

    error = refused(work, "/etc/hosts", "/etc/hosts")

    assert error.message == ("cannot copy '/etc/hosts': the build context 'app' has no 'etc/hosts'")
    assert "relative to the build context" in error.hint
    assert "this machine's own /etc/hosts is not looked at" in error.hint
    assert "did you mean 'hosts'?" in error.hint


def test_a_misspelt_source_is_guessed(work: Workshop) -> None:
    work.put("src/server.py")

    assert refused(work, "src/sever.py", "/").hint == "did you mean 'src/server.py'?"


def test_what_is_there_is_listed(work: Workshop) -> None:
    for name in "abcdefghij":
        work.put(f"file-{name * 4}")

    hint = refused(work, "quite-different", "/").hint

    assert hint.startswith("it has file-aaaa, file-bbbb, ")
    assert hint.endswith(" and 2 more")


def test_an_empty_context_says_so(work: Workshop) -> None:
    assert refused(work, "a", "/").hint == "it is empty"


def test_a_source_outside_the_context_is_explained(work: Workshop) -> None:
    (work.outside / "x").write_text("")

    error = refused(work, "../outside/x", "/")

    assert "outside the build context" in error.hint


def test_an_ignored_source_is_explained(work: Workshop) -> None:
    work.put("secret/key")
    work.ignore = ("secret",)

    error = refused(work, "secret/key", "/")

    assert ".dockerignore keeps it out" in error.message
    assert "'!secret/key'" in error.hint


def test_an_ignored_file_is_not_offered_instead(work: Workshop) -> None:
    work.put("hosts")
    work.ignore = ("hosts",)

    assert "did you mean" not in refused(work, "hostz", "/").hint


def test_a_link_out_of_the_context_leads_nowhere(work: Workshop) -> None:
    (work.outside / "x").write_text("secret")
    (work.context / "link").symlink_to(work.outside / "x")
    (work.context / "up").symlink_to("../outside/x")

    error = refused(work, "link", "/")
    assert error.message == (
        f"cannot copy 'link': it is a link to '{work.outside}/x', "
        "which the build context 'app' has not"
    )
    assert "a link to '../outside/x'" in refused(work, "up", "/").message


def test_several_sources_need_a_directory(work: Workshop) -> None:
    work.put("a")
    work.put("b")

    error = refused(work, "a", "b", "/target")

    assert error.message == "cannot copy 2 sources to '/target': it must be a directory"
    assert error.hint == "end it with a slash: '/target/'"


@pytest.mark.parametrize("destination", [".", "", "/d/", "d/.", ".."])
def test_destinations_that_can_only_be_directories(work: Workshop, destination: str) -> None:
    work.put("a")
    work.put("b")

    assert len(work.select("a", "b", destination).sources) == 2


def test_wildcards_that_match_nothing_are_a_warning(work: Workshop) -> None:
    work.put("a.md")

    selection = work.select("*.txt", "/")

    assert selection.sources == ()
    assert selection.warnings == (
        "'*.txt' matches nothing in the build context 'app'; it has a.md",
    )


def test_the_directory_of_wildcards_must_be_there(work: Workshop) -> None:
    work.put("src/a")

    assert refused(work, "srd/*", "/").hint == "did you mean 'src'?"


def test_wildcards_that_match_several_names_for_one_file_are_a_warning(work: Workshop) -> None:
    work.put("a.txt")
    work.put("b.txt")

    assert "only 'b.txt' stays" in work.select("*.txt", "/t").warnings[0]


def test_a_malformed_pattern_is_refused(work: Workshop) -> None:
    assert "a bracket is not closed" in refused(work, "a[", "/").message


def test_a_malformed_exclusion_is_refused(work: Workshop) -> None:
    work.put("a")

    assert "cannot use --exclude" in refused(work, "a", "/", exclude=("x[",)).message


def test_a_checksum_is_for_urls(work: Workshop) -> None:
    work.put("a")

    assert "it is for one URL" in refused(work, "a", "/", is_add=True, checksum="sha256:0").message


def test_copy_takes_no_urls(work: Workshop) -> None:
    error = refused(work, "https://example.com/x", "/")

    assert error.message == "cannot copy 'https://example.com/x': COPY takes no URLs"
    assert error.hint == "write ADD https://example.com/x"


# What the digest depends on.


def test_times_are_not_in_the_digest(work: Workshop) -> None:
    file = work.put("d/a")
    before = work.digest("d", "/")

    os.utime(file, (1, 1))
    os.utime(file.parent, (1, 1))

    assert work.digest("d", "/") == before


def test_a_context_elsewhere_has_the_same_digest(work: Workshop, tmp_path: Path) -> None:
    work.put("d/a")
    before = work.digest("d", "/")

    shutil.move(work.context, tmp_path / "moved")
    work.context = tmp_path / "moved"

    assert work.digest("d", "/") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda d: (d / "a").write_text("changed"),
        lambda d: (d / "a").chmod(0o600),
        lambda d: (d / "a").rename(d / "b"),
        lambda d: (d / "more").write_text(""),
        lambda d: (d / "empty").mkdir(),
        lambda d: (d / "link").unlink() or (d / "link").symlink_to("elsewhere"),
        lambda d: (d / "sub").chmod(0o700),
        lambda d: (d / "twin").unlink() or (d / "twin").write_text("same"),
        lambda d: os.mknod(d / "fifo", 0o010644),
        lambda d: os.setxattr(d / "a", "security.capability", CAPABILITY),
    ],
    ids=["content", "mode", "name", "file", "directory", "link", "modes", "twin", "fifo", "xattr"],
)
def test_all_that_is_copied_is_in_the_digest(work: Workshop, change: object) -> None:
    work.put("d/a", "same")
    work.put("d/sub/x")
    (work.context / "d/link").symlink_to("a")
    os.link(work.context / "d/a", work.context / "d/twin")
    work.is_stage = True
    before = work.digest("d", "/")

    assert callable(change)
    change(work.context / "d")

    assert work.digest("d", "/") != before


def test_what_is_ignored_is_not_in_the_digest(work: Workshop) -> None:
    work.put("d/a")
    work.ignore = ("**/*.log",)
    before = work.digest("d", "/")

    work.put("d/x.log")

    assert work.digest("d", "/") == before


def test_owners_of_the_context_do_not_count(work: Workshop) -> None:
    file = work.put("a")
    before = work.digest("a", "/")

    os.chown(file, 5, 5)

    assert work.digest("a", "/") == before


def test_owners_of_a_stage_count_unless_they_are_given(work: Workshop) -> None:
    file = work.put("a")
    work.is_stage = True
    before, given = work.digest("a", "/"), work.digest("a", "/", chown="1:1")

    os.chown(file, 5, 5)

    assert work.digest("a", "/") != before
    assert work.digest("a", "/", chown="1:1") == given


def test_what_cannot_be_read_is_named(work: Workshop) -> None:
    work.put("d/a")
    source = work.open()
    selection = select(instruction("d", "/"), source)

    shutil.rmtree(work.context / "d")

    with pytest.raises(RuntimeFailure, match="cannot read 'd' of the build context 'app'"):
        assert selection.digest
    source.close()


def test_heredocs_are_in_the_digest(work: Workshop) -> None:
    def digest(content: str) -> str:
        heredoc = Heredoc("name", content, expand=True, chomp=False)
        return work.digest("/x", heredocs=(heredoc,))

    assert digest("a\n") == digest("a\n")
    assert digest("a\n") != digest("b\n")
