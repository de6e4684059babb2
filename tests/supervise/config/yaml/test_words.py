"""Command lines split without a shell."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.config.yaml.words import WordsError, split


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gunicorn app:app", ("gunicorn", "app:app")),
        ("  a\t b\nc ", ("a", "b", "c")),
        ("echo 'a | b' \"c d\"", ("echo", "a | b", "c d")),
        ("a'b'\"c\"d", ("abcd",)),
        ("x '' \"\"", ("x", "", "")),
        (r"a\ b \' \| \\", ("a b", "'", "|", "\\")),
        (r'"a\"b\\c\d"', ('a"b\\c\\d',)),
        ("curl http://x/?a=b -H Accept:[json]", ("curl", "http://x/?a=b", "-H", "Accept:[json]")),
        ("nginx -g 'daemon off;'", ("nginx", "-g", "daemon off;")),
        ('gunicorn \\\n  --bind :80 "a\\\nb"', ("gunicorn", "--bind", ":80", "ab")),
        ("", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    assert split(text) == words


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a | b", "a pipe"),
        ("a && b", "'&'"),
        ("a; b", "';'"),
        ("a > f", "a redirection"),
        ("a < f", "a redirection"),
        ("a `b`", "a command substitution"),
        ("a $HOME", "a variable"),
        ('a "$HOME"', "a variable"),
        ("(a)", "a subshell"),
        ("rm *.tmp", "a file name pattern"),
        ("A=1 b", "begins with the assignment A=…"),
        ("a 'b", "the quote ' is not closed"),
        ('a "b', 'the quote " is not closed'),
        ("a \\", "ends with a backslash"),
    ],
)
def test_what_only_a_shell_understands_is_refused(text: str, what: str) -> None:
    with pytest.raises(WordsError) as caught:
        split(text)

    assert what in caught.value.what
    assert caught.value.hint


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))))
def test_quoted_words_come_back_as_the_standard_library_quotes_them(words: list[str]) -> None:
    """split ∘ shlex.join = identity, for words that begin with no assignment."""
    line = shlex.join(["cmd", *words])

    assert split(line) == ("cmd", *words)


@given(st.text(alphabet="ab \"'\\\t", max_size=30))
def test_without_shell_syntax_it_splits_like_shlex(text: str) -> None:
    """Where neither refuses the line, both find the same words."""
    try:
        ours = split(text)
    except WordsError:
        return

    assert list(ours) == shlex.split(text)
