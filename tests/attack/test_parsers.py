"""The parsers of what somebody else wrote, on texts that nobody thought of.

Each gives a value or its own refusal; no other exception leaves, and no text takes long.
"""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.builder.files.copy_patterns import PatternError, Patterns, component
from runtime.builder.sources import git
from runtime.dockerfile import expand, parser
from runtime.dockerfile.dockerfile_error import DockerfileError
from runtime.language import filters, templates
from runtime.language.template_functions import TemplateError
from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference
from runtime.model.network import published_ports
from runtime.wire import elf, frames
from tests.support.attack import fuzz

GOLDEN = Path(__file__).parents[1] / "golden/attack"


def _texts(*pieces: str) -> st.SearchStrategy[str]:
    """Return texts put together of *pieces*, and of any letters."""
    return st.one_of(
        st.lists(st.sampled_from(pieces) | st.text(max_size=3), max_size=25).map("".join),
        st.text(max_size=80),
    )


docker_lines = _texts(
    *("FROM ", "RUN ", "COPY ", "ADD ", "ENV ", "ARG ", "LABEL ", "HEALTHCHECK ", "ONBUILD ", "CMD "),
    *("\n", "\\\n", "\\", "`", "#", "# escape=`\n", "# syntax=x\n", "<<EOF\n", "<<-'E'\n", "EOF\n"),
    *("$", "${", "}", ":-", ":+", "${a%b}", "$a", '"', "'", "[", "]", ",", "--from=", "--mount=type="),
    *("cache,", "target=/", "=", " ", "\t", "\x00", "\ufeff", "\udc80", "a", "1s", "--chmod=777 "),
)  # fmt: skip


def _dockerfile(text: str) -> object:
    return parser.parse(text.encode(errors="surrogateescape"))


def _words(text: str) -> object:
    return expand.words(text, {"a": "value", "EMPTY": ""}), expand.word(text, {"a": "b c"})


def _elf(text: str) -> object:
    return elf.interpreter(text.encode("latin-1", "replace"))


def _frames(text: str) -> object:
    reader = frames.FrameReader()
    return [
        reader.feed(text[at : at + 7].encode("latin-1", "replace")) for at in range(0, len(text), 7)
    ]


PARSERS: dict[str, tuple[Callable[[str], object], st.SearchStrategy[str], tuple[type[Exception], ...]]] = {
    "Dockerfile": (_dockerfile, docker_lines, (DockerfileError,)),
    "reference": (
        reference.parse,
        _texts("a", "A", ":", "/", "@", "sha256:", "0" * 64, ".", "-", "_", "localhost", "[::1]", "\u0661"),
        (RuntimeFailure,),
    ),
    "patterns": (
        lambda text: Patterns(text.splitlines()).__bool__(),
        _texts("*", "**", "?", "[", "]", "[^", "!", "/", "\\", "a", "-", "..", "\n", "z-a"),
        (PatternError,),
    ),
    "format": (
        templates.parse,
        _texts("{{", "}}", "json ", ".", "range ", "end", "if ", "else", "|", "(", ")", '"', "`", "$x", ":=", "-", "printf ", "1e999", "%d"),
        (TemplateError,),
    ),
    "words": (_words, docker_lines, (DockerfileError,)),
    "elf": (
        _elf,
        _texts("\x7fELF", "\x02\x01\x01", "\x01\x02", "\x00" * 8, "\xff" * 8, "\x40", "\x38\x00\x01\x00"),
        (elf.ElfError,),
    ),
    "frames": (_frames, _texts("\x00\x00\x00", "\xff", "\x01", "{}"), (ValueError,)),
    "ports": (published_ports.parse, _texts("80", ":", "-", "/tcp", "[::1]", "127.0.0.1", "65536", "\u0663", "/"), (RuntimeFailure,)),
    "filters": (
        lambda text: filters.parse([text], filters.IMAGE),
        _texts("label", "=", "until", "1h", "reference", "*"),
        (RuntimeFailure,),
    ),
    "git": (git.parse, _texts("http://", "git@", ":", "#", "/", ".git", "?", "ssh://"), ()),
}  # fmt: skip


@pytest.mark.parametrize("name", PARSERS)
def test_any_text_gives_a_value_or_the_parsers_own_refusal(name: str) -> None:
    parse, texts, refusals = PARSERS[name]

    @fuzz(150)
    @given(text=texts)
    def check(text: str) -> None:
        with suppress(*refusals):
            parse(text)

    check()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*/*.txt")), ids=lambda path: path.stem)
def test_what_once_fell_stands(path: Path) -> None:
    parse, _, refusals = PARSERS[path.parent.name]

    with suppress(*refusals):
        parse(path.read_text(encoding="utf-8", errors="surrogateescape"))


LONG = 20_000


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("piece", ["a", " ", "/", "*", "**/", "[", "(", "{{", '"', "\\", "$", "${", "a:", "-", "\n", "<<E\n", "RUN a \\\n"])  # fmt: skip
def test_a_long_text_is_no_work(name: str, piece: str) -> None:
    parse, _, refusals = PARSERS[name]
    begun = time.process_time()

    with suppress(*refusals):
        parse(piece * (LONG // len(piece)))

    assert time.process_time() - begun < 10


def _plain(pattern: str) -> str:
    """Return the expression that is plainly right, and slow: every star may try again."""
    out, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            at += 2
            at += pattern.startswith("/", at)
            out += "(?:.*/)?" if at < len(pattern) else ".*"
        else:
            out += {"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at]))
            at += 1
    return out + r"\Z"


@fuzz(1000)
@given(
    pattern=st.text("ab*/?", min_size=1, max_size=9) | st.lists(st.sampled_from(["**", "*", "a", "b", "/", "a*"]), min_size=1, max_size=9).map("".join),
    path=st.text("ab/", min_size=1, max_size=9),
)  # fmt: skip
def test_a_pattern_matches_what_its_plain_expression_matches(pattern: str, path: str) -> None:
    """Matching without a second try gives what matching with all of them gives."""
    normal = posixpath.normpath(pattern).lstrip("/") or "."
    with suppress(PatternError):
        rules = Patterns([pattern])
        directories = [path[:at] for at, letter in enumerate(path) if letter == "/" and at]
        expected = any(re.match(_plain(normal), part, re.DOTALL) for part in [*directories, path])
        assert rules.excludes(path) == expected


@pytest.mark.parametrize("pattern", ["a*" * 30 + "b", "*a" * 30 + "b", "**/a*/" * 20 + "b", "**/" * 30 + "b", "a**" * 3 + "b"])  # fmt: skip
def test_many_stars_are_no_work(pattern: str) -> None:
    begun = time.process_time()

    Patterns([pattern]).excludes("a" * 120 + "/a" * 60)
    component(pattern.replace("/", "")).match("a" * 200)

    assert time.process_time() - begun < 10
