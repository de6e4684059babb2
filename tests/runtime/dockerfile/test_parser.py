"""Commands as they come out of a Dockerfile's text."""

from __future__ import annotations

import pytest

from runtime.dockerfile import commands, parser
from runtime.dockerfile.dockerfile_error import DockerfileError


def only(text: str) -> commands.Command:
    """Return the one command after FROM."""
    (command,) = parser.parse(f"FROM base\n{text}\n").stages[0].commands
    return command


def run_line(text: str) -> commands.CommandLine:
    command = only(text)
    assert isinstance(command, commands.Run)
    return command.line


def test_a_file_has_args_stages_and_places() -> None:
    text = "ARG A=1\nFROM a AS One\nRUN x \\\n  y\n\nFROM one\nUSER u\n"

    dockerfile = parser.parse(text)

    assert [pair.key for arg in dockerfile.args for pair in arg.pairs] == ["A"]
    assert [stage.start.name for stage in dockerfile.stages] == ["one", ""]
    place = dockerfile.stages[0].commands[0].place
    assert (place.first_line, place.last_line, place.text) == (3, 4, "RUN x   y")


@pytest.mark.parametrize(
    ("text", "words", "shell"),
    [
        ('RUN ["a", "b c"]', ("a", "b c"), False),
        ("RUN ['a']", ("['a']",), True),
        ("RUN a  'b'", ("a  'b'",), True),
        ('RUN ["a", NaN]', ('["a", NaN]',), True),
        ("RUN []", (), False),
        ("run a", ("a",), True),
    ],
)
def test_a_json_array_is_a_program_anything_else_a_line(
    text: str, words: tuple[str, ...], shell: bool
) -> None:
    line = run_line(text)

    assert (line.words, line.shell) == (words, shell)


def test_comments_and_empty_lines_do_not_end_a_continued_line() -> None:
    dockerfile = parser.parse("FROM a\nRUN one \\\n# why\n\n  two\n")

    (command,) = dockerfile.stages[0].commands
    assert isinstance(command, commands.Run)
    assert command.line.words == ("one   two",)
    assert dockerfile.warnings == ("Empty continuation line found in: RUN one   two",)


def test_the_escape_directive_changes_the_continuation() -> None:
    dockerfile = parser.parse("# escape=`\nFROM a\nRUN one `\n C:\\\n")

    (command,) = dockerfile.stages[0].commands
    assert isinstance(command, commands.Run)
    assert command.line.words == ("one  C:\\",)
    assert dockerfile.escape == "`"


def test_syntax_lines_are_read_and_ignored() -> None:
    dockerfile = parser.parse("# syntax=docker/dockerfile:1\n# check=skip=all\nFROM a\n")

    assert dockerfile.escape == "\\"


def test_heredocs_hold_what_follows() -> None:
    line = run_line("RUN <<A cat && <<-'B' cat\none\nA\n\t\ttwo $x\n\tB")

    assert [(doc.name, doc.content, doc.expand, doc.chomp) for doc in line.heredocs] == [
        ("A", "one\n", True, False),
        ("B", "two $x\n", False, True),
    ]


@pytest.mark.parametrize(
    "text", ["RUN cat < <(x)", "RUN x <<<y", "RUN echo '<<EOF'", 'RUN ["<<E"]']
)
def test_what_looks_like_a_heredoc_and_is_none(text: str) -> None:
    assert run_line(text).heredocs == ()


def test_copy_takes_heredocs_as_files_and_the_rest_as_paths() -> None:
    copy = only('COPY --chown=a:b --exclude=*.o --exclude=x a <<"f" <<h /to/\n1\nf\n2\nh')

    assert isinstance(copy, commands.Copy)
    assert (copy.sources, copy.destination) == (("a",), "/to/")
    assert (copy.chown, copy.exclude) == ("a:b", ("*.o", "x"))
    assert [(doc.name, doc.content, doc.expand) for doc in copy.heredocs] == [
        ("f", "1\n", False),
        ("h", "2\n", True),
    ]


def test_copy_in_json_has_spaces_in_names() -> None:
    copy = only('COPY ["a b", "/c d/"]')

    assert isinstance(copy, commands.Copy)
    assert (copy.sources, copy.destination) == (("a b",), "/c d/")


def test_a_mount_has_its_options_and_defaults() -> None:
    run = only("RUN --mount=type=cache,dst=/c,sharing=locked,uid=7,mode=0750 --mount=target=/b x")

    assert isinstance(run, commands.Run)
    cache, bind = run.mounts
    assert (cache.type, cache.target, cache.sharing, cache.uid, cache.mode) == (
        *("cache", "/c", "locked", "7", "0750"),
    )
    assert (bind.type, bind.target, bind.read_only) == ("bind", "/b", None)


@pytest.mark.parametrize(
    ("option", "read_only"),
    [
        *(("ro", True), ("rw", False), ("readonly=false", False), ("readwrite=true", False)),
        *(("ro=1", True), ("rw=F", True), ("ro,rw", False), ("source=/s", None)),
    ],
)
def test_a_mount_is_read_only_or_not(option: str, read_only: bool | None) -> None:
    run = only(f"RUN --mount=target=/b,{option} x")

    assert isinstance(run, commands.Run)
    assert run.mounts[0].read_only is read_only


def test_a_mounts_options_stand_in_any_order() -> None:
    run = only(
        "RUN --mount=id=x,required,type=secret --mount=sharing=LOCKED,target=/c,type=cache x"
    )

    assert isinstance(run, commands.Run)
    secret, cache = run.mounts
    assert (secret.type, secret.required) == ("secret", True)
    assert (cache.type, cache.sharing) == ("cache", "locked")


def test_env_knows_both_its_forms() -> None:
    new, old = only(r"""ENV a=1 b="x y" c=x\ y"""), only("ENV name a  b = c")

    assert isinstance(new, commands.Env)
    assert [(pair.key, pair.value) for pair in new.pairs] == [
        ("a", "1"),
        ("b", '"x y"'),
        ("c", r"x\ y"),
    ]
    assert isinstance(old, commands.Env)
    assert old.pairs == (commands.Pair("name", "a  b = c", legacy=True),)


def test_healthcheck_counts_in_nanoseconds() -> None:
    health = only("HEALTHCHECK --interval=1m30s --timeout=1.5s --retries=2 CMD curl -f x")

    assert isinstance(health, commands.HealthcheckInstruction)
    assert health.test == ("CMD-SHELL", "curl -f x")
    assert (health.interval, health.timeout, health.retries) == (90 * 10**9, 15 * 10**8, 2)


def test_what_onbuild_keeps_can_be_read_again() -> None:
    onbuild = only("ONBUILD RUN <<E\nmake\nE")
    assert isinstance(onbuild, commands.Onbuild)

    kept = parser.parse_onbuild(onbuild.expression, commands.Place(1, 1, "FROM base"))

    assert isinstance(kept, commands.Run)
    assert kept.line.heredocs[0].content == "make\n"
    assert kept.place.first_line == 1


@pytest.mark.parametrize("kept", ["FROM x", "RUMM x", "COPY a", "RUN a\nRUN b", ""])
def test_what_a_base_image_kept_may_be_wrong(kept: str) -> None:
    with pytest.raises(DockerfileError, match="kept by ONBUILD in the base image"):
        parser.parse_onbuild(kept, commands.Place(3, 3, "FROM base"))


def test_lines_may_be_long_but_not_endless() -> None:
    longest = "RUN " + "x" * 65531

    assert parser.parse(f"FROM a\n{longest}").stages
    assert parser.parse(f"FROM a\n{longest}\n").stages
    with pytest.raises(DockerfileError, match="Dockerfile:2: the line is longer than 65535 bytes"):
        parser.parse(f"FROM a\n{longest}x\n")


@pytest.mark.parametrize("count", [2, 8000])
def test_onbuild_of_onbuild_is_refused_however_often(count: int) -> None:
    with pytest.raises(DockerfileError, match=r"Dockerfile:2: .*ONBUILD"):
        parser.parse("FROM a\n" + "ONBUILD " * count + "RUN x\n")


def test_a_byte_order_mark_and_carriage_returns_are_no_part_of_the_text() -> None:
    dockerfile = parser.parse(b"\xef\xbb\xbfFROM a\r\nRUN x \\\r\n y\r\n")

    (command,) = dockerfile.stages[0].commands
    assert isinstance(command, commands.Run)
    assert command.line.words == ("x  y",)
