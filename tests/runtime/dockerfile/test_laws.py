"""What holds for every text: reading ends, in commands or in one told problem."""

from __future__ import annotations

import fnmatch
import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.dockerfile import expand, graph, parser
from runtime.dockerfile.dockerfile_error import DockerfileError

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
CORPUS = sorted(GOLDEN.glob("dockerfile/**/Dockerfile")) + sorted(
    GOLDEN.glob("build/**/Dockerfile")
)
_PIECES = st.sampled_from([
    *("FROM a", "RUN ", "COPY ", "ENV ", "ARG ", "ONBUILD ", "HEALTHCHECK ", "--mount=", "--from="),
    *("\\\n", "\n", "#", " ", "\t", "<<EOF", "EOF", "<<-'E'", '["a", ', "]", '"', "'", "${", "}"),
    *("$A", ":-", "=", "a", "ü", "\x00", "\r", "# escape=`\n", "`", "type=cache", ",", "target=/x"),
])  # fmt: skip


def read(text: str | bytes) -> None:
    """Read *text* as far as a build would before its first step."""
    with suppress(DockerfileError):  # told, with its place: what a mistake should come to
        dockerfile = parser.parse(text)
        graph.target_stages(dockerfile)
        for stage in dockerfile.stages:
            for command in stage.commands:
                expand.expand_command(command, {"A": "1"}, dockerfile.escape)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text but raises DockerfileError."""
    read(text)


@given(st.lists(_PIECES, max_size=40).map("".join))
def test_any_pieces_of_dockerfiles_are_read_or_refused(text: str) -> None:
    """No sequence of what Dockerfiles are made of but raises DockerfileError."""
    read(text)
    read("FROM a\n" + text)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No bytes but raise DockerfileError."""
    read(data)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_dockerfiles_are_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    for path in CORPUS:
        data = bytearray(path.read_bytes())
        for _ in range(chance.randint(1, 6)):
            at = chance.randint(0, len(data))
            cut = slice(at, at + chance.choice((0, 1, 1, 7)))
            data[cut] = chance.choice((b"", b"\\", b'"', b"\n", b"<<", b"${", b"[", b"--", b"\xff"))
        read(bytes(data))


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=20))
def test_what_a_pattern_takes_away_matches_it(pattern: str, value: str) -> None:
    """`#` and `%` take the shortest piece that matches, `##` and `%%` the longest, or nothing."""
    for modifier, pieces in (
        ("#", [value[:end] for end in range(len(value) + 1)]),
        ("%", [value[start:] for start in range(len(value), -1, -1)]),
    ):
        matching = [piece for piece in pieces if fnmatch.fnmatchcase(piece, pattern)]
        for sign, piece in ((modifier, matching[:1]), (modifier * 2, matching[-1:])):
            gone = len(piece[0]) if piece else 0
            left = value[gone:] if modifier == "#" else value[: len(value) - gone]
            assert expand.word(f"${{A{sign}{pattern}}}", {"A": value}) == left


_LETTERS = st.characters(exclude_categories=["Cs"])
_NO_SPECIAL = st.text(st.characters(exclude_characters="$\\'\"", exclude_categories=["Cs"]))


@given(_NO_SPECIAL)
def test_a_word_without_special_letters_is_itself(text: str) -> None:
    """Expansion changes nothing where there is nothing to expand."""
    assert expand.word(text, {}) == text


@given(st.text(_LETTERS))
def test_a_value_is_taken_as_it_is(value: str) -> None:
    """What a variable holds is not expanded again."""
    assert expand.word('"$A"', {"A": value}) == value
    assert expand.word("${B:-$A}", {"A": value}) == value
