"""What of a source is copied: --exclude, --parents, .dockerignore."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.model.errors import RuntimeFailure
from tests.support.copying import Workshop

pytestmark = pytest.mark.needs("root")


@pytest.fixture
def work(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def test_excluded_paths_are_relative_to_the_source(work: Workshop) -> None:
    for path in ("app/storage/views/x", "app/storage/cache/y", "app/z.md"):
        work.put(path)

    work.copy("app", "/app", exclude=("storage/views", "*.md"))

    assert sorted(work.made()) == ["app", "app/storage", "app/storage/cache", "app/storage/cache/y"]


def test_exceptions_bring_back_the_directories_above(work: Workshop) -> None:
    for path in ("app/views/x", "app/views/keep", "app/empty/y"):
        work.put(path)

    work.copy("app", "/", exclude=("*", "!views/keep"))

    assert sorted(work.made()) == ["views", "views/keep"]


def test_excluded_names_are_left_out_of_wildcards(work: Workshop) -> None:
    for path in ("home.txt", "home.md"):
        work.put(path)

    work.copy("hom*", "/", exclude=("*.txt",))

    assert work.names() == ["home.md"]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["x/a.txt", "y/a.txt"], ["x/a.txt", "y/a.txt"]),
        (["./x"], ["x/a.txt", "x/y/a.txt", "x/y/b.txt"]),
        (["x/y/"], ["x/y/a.txt", "x/y/b.txt"]),
        (["x/*/a.txt", "*/b.txt"], ["x/y/a.txt", "y/b.txt"]),
        (["**/b.txt"], ["x/y/b.txt", "y/b.txt"]),
        (["x/./y"], ["y/a.txt", "y/b.txt"]),
        (["./x/./*.txt"], ["a.txt"]),
        (["x/y/./*.txt"], ["a.txt", "b.txt"]),
    ],
)
def test_parents_keep_the_path_from_the_pivot_on(
    work: Workshop, sources: list[str], expected: list[str]
) -> None:
    for path in ("x/a.txt", "x/y/a.txt", "x/y/b.txt", "y/a.txt", "y/b.txt"):
        work.put(path)
    (work.context / "x/y").chmod(0o700)

    work.copy(*sources, "/p/", parents=True)

    assert work.names() == [f"p/{path}" for path in expected]
    if "x/y" in expected[-1]:
        assert work.made()["p/x/y"].mode == 0o700


def test_parents_of_what_is_not_there_are_refused(work: Workshop) -> None:
    work.put("x/a")

    with pytest.raises(RuntimeFailure, match="has no 'x/b'"):
        work.copy("x/b", "/", parents=True)


@pytest.mark.parametrize(
    ("ignore", "expected"),
    [
        (["b"], ["a.md", "a.txt"]),
        (["*", "!a.txt"], ["a.txt"]),
        (["b", "!b/d"], ["a.md", "a.txt", "b/d/e"]),
        (["b/", "!**/e"], ["a.md", "a.txt", "b/d/e"]),
        (["**"], []),
        (["**", "!b/d/none"], []),
        (["*.md", "**/c"], ["a.txt", "b/d/e"]),
    ],
)
def test_what_is_ignored_is_not_there(
    work: Workshop, ignore: list[str], expected: list[str]
) -> None:
    for path in ("a.txt", "a.md", "b/c", "b/d/e"):
        work.put(path)
    work.ignore = tuple(ignore)

    work.copy(".", "/")

    assert work.names() == expected


def test_an_ignored_directory_is_there_when_something_in_it_is(work: Workshop) -> None:
    work.put("b/c")
    work.put("b/d")
    work.ignore = ("**", "!b/d")

    work.copy("b", "/x")

    assert work.names() == ["x/d"]


def test_an_ignored_directory_without_anything_is_not_there(work: Workshop) -> None:
    work.put("b/c")
    work.ignore = ("**", "!b/none")

    with pytest.raises(RuntimeFailure, match=r"\.dockerignore keeps it out"):
        work.copy("b", "/x")


def test_a_link_that_is_ignored_is_not_there(work: Workshop) -> None:
    work.put("d/x")
    (work.context / "link").symlink_to("d")
    work.ignore = ("link",)

    for source in ("link", "link/x"):
        with pytest.raises(RuntimeFailure, match="keeps it out"):
            work.copy(source, "/")


def test_a_link_to_what_is_ignored_leads_nowhere(work: Workshop) -> None:
    work.put("secret")
    (work.context / "link").symlink_to("secret")
    work.ignore = ("secret",)

    with pytest.raises(RuntimeFailure, match="keeps it out"):
        work.copy("link", "/x")


WORDS = st.text("ab*?[]\\\\^-!./$:,= \0\ud800é", max_size=12) | st.sampled_from(
    ["x" * 300, "/" * 5]
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(
    source=WORDS,
    destination=WORDS,
    exclude=st.lists(WORDS, max_size=2),
    chown=WORDS,
    chmod=WORDS,
    parents=st.booleans(),
    link=st.booleans(),
)
def test_no_words_break_a_copy(
    work: Workshop, source: str, destination: str, exclude: list[str], **flags: object
) -> None:
    """Whatever an instruction says is done or refused with a sentence."""
    work.put("a/b/ab")
    work.put("b")

    with suppress(RuntimeFailure):
        work.copy(source, destination, exclude=tuple(exclude), **flags)  # type: ignore[arg-type]

    assert {path.name for path in work.root.parent.iterdir()} <= {
        *("context", "root", "store", "outside"),
    }
    assert list(work.outside.iterdir()) == []
