"""Command lines by docker's rules, and the help that comes from the same table."""

from __future__ import annotations

import pytest

from runtime.language import commandline
from runtime.language.commandline import Arguments, UsageError, Verb

RUN = Verb(
    "run",
    "IMAGE [COMMAND] [ARG...]",
    "Run it",
    """
  -d, --detach                Leave it running
  -e, --env list              Set a variable
  -i, --interactive           Keep stdin open
      --net, --network string
                              A network, or
                              several words about it
  -p, --publish list          Publish a port
      --rm                    Remove it at the end
      --stop-timeout int      Seconds
  -t, --tty                   A terminal
""",
    least=1,
    stops=True,
)
LIST = Verb("ps", "", "List", "  -a, --all   All\n  -n, --last int   Some", most=0)
REMOVE = Verb("rm", "C [C...]", "Remove", "  -f, --force   Whatever it does", least=1)


def parse(*words: str, verb: Verb = RUN) -> Arguments:
    return commandline.parse(verb, words)


def refusal(*words: str, verb: Verb = RUN) -> UsageError:
    with pytest.raises(UsageError) as refused:
        commandline.parse(verb, words)
    return refused.value


def test_options_stop_at_the_image() -> None:
    found = parse("--rm", "busybox", "ls", "-la", "--rm=false")

    assert found.operands == ("busybox", "ls", "-la", "--rm=false")
    assert found.flag("rm")


def test_options_may_follow_operands_where_no_command_comes() -> None:
    found = parse("web", "-f", "db", verb=REMOVE)

    assert found.operands == ("web", "db")
    assert found.flag("force")


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("-p8080:80",), "8080:80"),
        (("-p", "8080:80"), "8080:80"),
        (("-p=8080:80",), "8080:80"),
        (("--publish=8080:80",), "8080:80"),
        (("--publish", "8080:80"), "8080:80"),
        (("-itp8080:80",), "8080:80"),
    ],
)
def test_a_value_is_taken_however_it_is_written(words: tuple[str, ...], value: str) -> None:
    assert parse(*words, "busybox").many("publish") == (value,)


def test_short_flags_combine() -> None:
    found = parse("-itd", "busybox")

    assert (found.flag("interactive"), found.flag("tty"), found.flag("detach")) == (
        True,
        True,
        True,
    )


def test_repeated_options_are_kept_in_order_and_the_last_single_one_counts() -> None:
    found = parse("-e", "A=1", "--env=B=2", "--net", "none", "--network=host", "busybox")

    assert found.many("env") == ("A=1", "B=2")
    assert found.text("network") == "host"


@pytest.mark.parametrize(("word", "value"), [("false", False), ("0", False), ("T", True)])
def test_a_flag_may_be_given_a_truth(word: str, value: bool) -> None:
    assert parse(f"--rm={word}", "busybox").flag("rm", default=not value) is value


def test_an_option_not_given_has_the_callers_default() -> None:
    found = parse("busybox")

    assert not found.given("rm")
    assert found.flag("rm", default=True)
    assert found.number("stop-timeout", 10) == 10
    assert found.text("network", "bridge") == "bridge"


def test_two_dashes_end_the_options() -> None:
    assert parse("--", "--rm", verb=REMOVE).operands == ("--rm",)


def test_a_lone_dash_is_an_operand() -> None:
    assert parse("-", verb=REMOVE).operands == ("-",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rmm", "x"), "unknown flag: --rmm"),
        (("-z", "x"), "unknown shorthand flag: 'z' in -z"),
        (("-itz", "x"), "unknown shorthand flag: 'z' in -itz"),
        (("--env",), "flag needs an argument: --env"),
        (("-e",), "flag needs an argument: 'e' in -e"),
        (("--rm=perhaps", "x"), 'invalid argument "perhaps" for "--rm" flag: it is true or false'),
        (("-d=2", "x"), 'invalid argument "2" for "-d, --detach" flag: it is true or false'),
        (
            ("--stop-timeout", "soon", "x"),
            'invalid argument "soon" for "--stop-timeout" flag: it is no whole number',
        ),
    ],
)
def test_a_bad_option_is_named_and_is_125(words: tuple[str, ...], message: str) -> None:
    refused = refusal(*words)

    assert (refused.message, refused.code) == (message, 125)


def test_a_misspelt_option_is_guessed() -> None:
    assert refusal("--publsh", "80", "x").hint == "did you mean --publish?"


@pytest.mark.parametrize(
    ("verb", "words", "message"),
    [
        (RUN, (), "'runtime run' requires at least 1 argument"),
        (LIST, ("x",), "'runtime ps' accepts no arguments"),
        (Verb("tag", "A B", "", least=2, most=2), ("x",), "'runtime tag' requires 2 arguments"),
        (Verb("port", "A", "", least=1, most=2), ("1", "2", "3"), "accepts at most 2 arguments"),
    ],
)
def test_a_wrong_number_of_operands_is_1(verb: Verb, words: tuple[str, ...], message: str) -> None:
    refused = refusal(*words, verb=verb)

    assert message in refused.message
    assert refused.code == 1
    assert verb.synopsis in refused.hint


def test_help_asks_for_nothing_else() -> None:
    assert parse("--help").given("help")
    assert parse("-h", verb=REMOVE).given("help")


def test_help_is_made_of_the_table() -> None:
    text = commandline.help_text(RUN, ("run", "container run"))

    assert text.startswith("Usage:  runtime run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun it\n")
    assert "Aliases:\n  runtime run, runtime container run\n" in text
    assert "  -d, --detach             Leave it running\n" in text
    assert (
        "      --network string     A network, or\n"
        "                           several words about it\n" in text
    )
    assert "--net," not in text


def test_a_line_that_is_no_option_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="is no option's line"):
        commandline.parse_table("  -x, nonsense   what")
