from __future__ import annotations

import gzip
import io
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.builder.files.selection import select
from runtime.builder.sources.context import Context, open_context
from runtime.model.errors import RuntimeFailure
from tests.support.copying import instruction
from tests.support.tars import file, make_tar
from tests.support.web import Web, serve_repository

NOTHING = io.BytesIO()


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a context with a Dockerfile, in the current directory."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app/Dockerfile").write_text("FROM a\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "app"


def seen(context: Context) -> list[str]:
    """Return what a copy of everything would copy."""
    found = select(instruction(".", "/"), context.tree)
    source = found.sources[0]
    return [os.fsdecode(item.path) for item in context.tree.walk(source.path) if item.path]  # type: ignore[union-attr]


def opened(
    where: str, option: str | None = None, text: bytes = b"", **options: str
) -> list[object]:
    with open_context(where, option, io.BytesIO(text), **options) as context:
        return [context.dockerfile, context.dockerfile_name, seen(context)]


def test_a_directory_has_its_dockerfile(app: Path) -> None:
    (app / "a").write_text("")

    assert opened("app") == [b"FROM a\n", "app/Dockerfile", ["Dockerfile", "a"]]


def test_a_lower_case_dockerfile_serves(app: Path) -> None:
    (app / "Dockerfile").rename(app / "dockerfile")

    assert opened("app")[1] == "app/dockerfile"


def test_another_file_is_relative_to_the_current_directory(app: Path, tmp_path: Path) -> None:
    (tmp_path / "Other").write_text("FROM b\n")

    assert opened("app", "Other")[:2] == [b"FROM b\n", "Other"]
    assert opened("app", "app/Dockerfile")[0] == b"FROM a\n"


def test_the_dockerfile_comes_over_standard_input(app: Path) -> None:
    assert opened("app", "-", b"FROM stdin\n") == [
        b"FROM stdin\n",
        "the Dockerfile on standard input",
        ["Dockerfile"],
    ]


def test_a_missing_dockerfile_is_guessed(app: Path) -> None:
    (app / "Dockerfile").rename(app / "Dockerfil")

    with pytest.raises(RuntimeFailure, match="there is no Dockerfile in it") as caught:
        opened("app")
    assert caught.value.hint == "did you mean -f Dockerfil?"


def test_a_misspelt_dockerfile_is_guessed(app: Path, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile.web").write_text("")

    with pytest.raises(RuntimeFailure, match=r"'Dockerfile\.wbe'") as caught:
        opened("app", "Dockerfile.wbe")
    assert caught.value.hint == "did you mean 'Dockerfile.web'?"


def test_a_missing_file_says_what_it_is_relative_to(app: Path) -> None:
    with pytest.raises(RuntimeFailure) as caught:
        opened("app", "Quite-other")
    assert "relative to the current directory" in caught.value.hint


def test_a_missing_context_is_told(app: Path) -> None:
    with pytest.raises(RuntimeFailure, match="cannot build 'none': No such file"):
        opened("none")


def test_a_dockerfile_is_no_context(app: Path) -> None:
    with pytest.raises(RuntimeFailure, match="must be a directory") as caught:
        opened("app/Dockerfile")
    assert "-f app/Dockerfile DIRECTORY" in caught.value.hint


# .dockerignore.


def test_ignored_files_are_not_there(app: Path) -> None:
    for name in ("a", "b", "c"):
        (app / name).write_text("")
    (app / ".dockerignore").write_text("# a comment\n\na\n/b\n.dockerignore\n")

    assert opened("app")[2] == ["Dockerfile", "c"]


def test_a_byte_order_mark_and_crlf_mean_nothing(app: Path) -> None:
    (app / "a").write_text("")
    (app / ".dockerignore").write_bytes(b"\xef\xbb\xbfa\r\n.dockerignore\r\n")

    assert opened("app")[2] == ["Dockerfile"]


def test_an_ignored_dockerfile_is_found_all_the_same(app: Path) -> None:
    (app / ".dockerignore").write_text("*\n")

    assert opened("app") == [b"FROM a\n", "app/Dockerfile", []]


def test_the_file_beside_the_dockerfile_beats_the_contexts(app: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (app / name).write_text("")
    (app / ".dockerignore").write_text("a\n.dockerignore\n")
    (tmp_path / "Other").write_text("")
    (tmp_path / "Other.dockerignore").write_text("b\n.dockerignore\n")
    (app / "Dockerfile.dockerignore").write_text("*\n")

    assert opened("app", "Other")[2] == ["Dockerfile", "Dockerfile.dockerignore", "a"]
    assert opened("app")[2] == []


def test_a_malformed_rule_is_told(app: Path) -> None:
    (app / ".dockerignore").write_text("a[\n")

    with pytest.raises(RuntimeFailure, match=r"cannot read \.dockerignore: 'a\['"):
        opened("app")


# Streams.


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_over_standard_input_is_a_context(app: Path, pack: object) -> None:
    assert callable(pack)
    archive = pack(
        make_tar(
            file("./Dockerfile", b"FROM tar\n"),
            file("./d/a"),
            file("./b"),
            file(".dockerignore", b"b\n.dockerignore\n"),
        )
    )

    found = opened("-", text=archive)

    assert found == [b"FROM tar\n", "Dockerfile", ["Dockerfile", "d", "d/a"]]


def test_a_file_of_the_archive_is_named(app: Path) -> None:
    archive = make_tar(file("d/Other", b"FROM other\n"))

    assert opened("-", "d/Other", archive)[:2] == [b"FROM other\n", "d/Other"]
    with pytest.raises(RuntimeFailure, match="there is no 'None-such' in it"):
        opened("-", "None-such", archive)


def test_a_dockerfile_over_standard_input_has_an_empty_context(app: Path) -> None:
    assert opened("-", text=b"FROM stdin\n") == [
        b"FROM stdin\n",
        "the Dockerfile on standard input",
        [],
    ]


def test_nothing_over_standard_input_is_told(app: Path) -> None:
    with pytest.raises(RuntimeFailure, match="it is empty"):
        opened("-")


def test_standard_input_cannot_be_both(app: Path) -> None:
    with pytest.raises(RuntimeFailure, match="cannot be the context and the Dockerfile"):
        opened("-", "-")


def test_a_dockerfile_over_standard_input_has_no_other_file(app: Path) -> None:
    with pytest.raises(RuntimeFailure, match="is a Dockerfile itself"):
        opened("-", "Other", b"FROM a\n")


def test_nothing_is_left_of_a_stream(app: Path, tmp_path: Path) -> None:
    archive = make_tar(file("Dockerfile", b"FROM tar\n"))
    store = tmp_path / "store"

    opened("-", text=archive, store=str(store))
    with pytest.raises(RuntimeFailure):
        opened("-", text=archive[:515], store=str(store))

    assert list(store.iterdir()) == []


def test_digests_are_kept_per_context(app: Path, tmp_path: Path) -> None:
    for _ in range(2):
        with open_context("app", None, NOTHING, store=str(tmp_path / "store")) as context:
            fields = list(os.stat(app / "Dockerfile"))
            status = os.stat_result(fields, {"st_mtime_ns": 1, "st_ctime_ns": 1})
            fd = os.open(app / "Dockerfile", os.O_RDONLY)
            context.tree.digests.of(fd, status)
            os.close(fd)
            context.tree.digests.save()

    assert context.tree.digests.read_files == 0


# URLs.


@pytest.fixture
def web() -> Iterator[Web]:
    server = Web()
    yield server
    server.close()


def test_the_url_of_an_archive_is_a_context(web: Web) -> None:
    web.files["/app.tar.gz"] = (
        200,
        {},
        gzip.compress(make_tar(file("Dockerfile", b"FROM web\n"), file("a"))),
    )

    assert opened(f"{web.url}/app.tar.gz") == [b"FROM web\n", "Dockerfile", ["Dockerfile", "a"]]


def test_the_url_of_a_dockerfile_has_an_empty_context(web: Web) -> None:
    web.files["/Dockerfile"] = (200, {}, b"FROM web\n")

    assert opened(f"{web.url}/Dockerfile")[::2] == [b"FROM web\n", []]


@pytest.mark.needs("git")
def test_a_repository_is_a_context(web: Web, tmp_path: Path) -> None:
    url = serve_repository(web, tmp_path / "tree")

    assert opened(f"{url}#v1:sub", "x") == [b"one", "x", ["x"]]
    with pytest.raises(RuntimeFailure, match="there is no Dockerfile in it"):
        opened(url)
    with pytest.raises(RuntimeFailure, match="cannot use 'none'"):
        opened(f"{url}#:none")


def test_a_link_in_the_context_resolves_in_the_context(app: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the user's own\n")
    (app / "Other").symlink_to(tmp_path / "secret")
    (app / "sub").symlink_to(tmp_path)

    for option in ("app/Other", f"{app}/Other", "app/sub/secret"):
        with pytest.raises(RuntimeFailure, match="No such file or directory"):
            opened("app", option)


def test_a_link_of_the_callers_own_leads_where_it_leads(app: Path, tmp_path: Path) -> None:
    (tmp_path / "far").write_text("FROM far\n")
    (tmp_path / "Other").symlink_to(tmp_path / "far")

    assert opened("app", "Other")[0] == b"FROM far\n"


def test_a_pipe_of_the_shell_is_a_dockerfile(app: Path) -> None:
    read_fd, write_fd = os.pipe()
    os.write(write_fd, b"FROM piped\n")
    os.close(write_fd)
    try:
        assert opened("app", f"/dev/fd/{read_fd}")[0] == b"FROM piped\n"
    finally:
        os.close(read_fd)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate((4 << 20) + 1)


HOSTILE = pytest.mark.parametrize("make", [_fifo, _endless, _large])


@HOSTILE
@pytest.mark.parametrize("name", ["Dockerfile.dockerignore", ".dockerignore"])
def test_an_ignore_file_without_an_end_is_refused(
    app: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(app / name)

    # a link leads into the context, where there is no /dev/zero: nothing is ignored then
    if make is _endless:
        assert opened("app")[0] == b"FROM a\n"
        return
    with pytest.raises(RuntimeFailure, match=f"cannot read '{re.escape(name)}': it is "):
        opened("app")


@HOSTILE
def test_a_dockerfile_in_the_context_without_an_end_is_refused(
    app: Path, make: Callable[[Path], None]
) -> None:
    make(app / "Other")

    with pytest.raises(RuntimeFailure, match="cannot read "):
        opened("app", "app/Other")


@HOSTILE
def test_an_ignore_file_beside_a_far_dockerfile_is_bounded(
    app: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "Other").write_text("FROM b\n")
    make(tmp_path / "Other.dockerignore")

    with pytest.raises(RuntimeFailure, match=r"cannot read 'Other\.dockerignore': it is "):
        opened("app", "Other")


def test_an_endless_dockerfile_is_refused(app: Path) -> None:
    with pytest.raises(RuntimeFailure, match="it is larger than 4 MiB"):
        opened("app", "/dev/zero")
    with (
        open("/dev/zero", "rb") as zeros,
        pytest.raises(RuntimeFailure, match="standard input: it is larger than 4 MiB"),
        open_context("app", "-", zeros),
    ):
        pass
