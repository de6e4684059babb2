from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervise.daemon import options
from supervise.daemon.options import BootOptions, UsageError, parse


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", BootOptions()),
        ("-c a.yaml", BootOptions(config=("a.yaml",))),
        ("-c a.yaml --config b.yaml", BootOptions(config=("a.yaml", "b.yaml"))),
        ("--config=a=b.yaml", BootOptions(config=("a=b.yaml",))),
        ("-- nginx -g x", BootOptions(command=("nginx", "-g", "x"))),
        ("-c a --", BootOptions(config=("a",))),
        ("-- sh -c -- --help", BootOptions(command=("sh", "-c", "--", "--help"))),
        ("--rewrite 15:3 --rewrite HUP:0", BootOptions(rewrite=((15, 3), (1, 0)))),
        ("--rewrite=TERM:SIGRTMIN+3", BootOptions(rewrite=((15, 37),))),
        ("--remap-exit 143:0 --remap-exit=1:255", BootOptions(remap_exit=((143, 0), (1, 255)))),
        ("--no-group -- x", BootOptions(command=("x",), group=False)),
        ("-h", BootOptions(show="help")),
        ("--help", BootOptions(show="help")),
        ("-V", BootOptions(show="version")),
        ("-c a --version -- x", BootOptions(show="version")),
    ],
)
def test_words_are_understood(words: str, expected: BootOptions) -> None:
    assert parse(words.split()) == expected


def test_empty_words_of_the_command_stay() -> None:
    assert parse(["--", "echo", "", "a b"]).command == ("echo", "", "a b")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("-x", "no such option '-x'; see supervise --help"),
        ("--no-group=yes", "no such option '--no-group=yes'; see supervise --help"),
        ("--confg=a", "no such option '--confg=a'; see supervise --help"),
        ("nginx", "'nginx' is neither a verb nor an option; a command follows '--'"),
        ("-c", "-c needs a value"),
        ("--config -- nginx", "--config needs a value"),
        ("--rewrite", "--rewrite needs a value"),
        (
            "--rewrite 15",
            "--rewrite 15: two signals, such as 15:3 or TERM:QUIT (0 drops it)",
        ),
        (
            "--rewrite 0:15",
            "--rewrite 0:15: two signals, such as 15:3 or TERM:QUIT (0 drops it)",
        ),
        (
            "--rewrite TREM:15",
            "--rewrite TREM:15: two signals, such as 15:3 or TERM:QUIT (0 drops it)",
        ),
        ("--remap-exit 143", "--remap-exit 143: two exit codes of 0 to 255, such as 143:0"),
        ("--remap-exit 256:0", "--remap-exit 256:0: two exit codes of 0 to 255, such as 143:0"),
        ("--remap-exit -1:0", "--remap-exit -1:0: two exit codes of 0 to 255, such as 143:0"),
    ],
)
def test_words_that_are_not_understood_are_named(words: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words.split())

    assert str(caught.value) == complaint


@given(st.lists(st.text(max_size=6), max_size=4))
def test_any_words_are_options_or_a_usage_error(words: list[str]) -> None:
    """Nothing else is raised, and what follows `--` is never looked at."""
    try:
        before = parse(words)
    except UsageError:
        return

    assert before.show or parse([*words, "--help"]).show or before.command


@pytest.mark.parametrize(
    ("words", "alone"), [("-- x", True), ("-c a -- x", False), ("-c a", False), ("", False)]
)
def test_command_without_a_configuration_is_alone(words: str, *, alone: bool) -> None:
    assert parse(words.split()).alone is alone


@pytest.mark.parametrize(
    "option", ["-c", "--config", "--rewrite", "--remap-exit", "--no-group", "-h", "--version"]
)
def test_help_names_every_option(option: str) -> None:
    assert option in options.USAGE
