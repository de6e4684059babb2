"""Variables in words and in commands."""

from __future__ import annotations

import pytest

from runtime.dockerfile import commands, expand, parser
from runtime.dockerfile.dockerfile_error import DockerfileError

ENV = {"A": "one", "PATH": "/usr/local/bin/x", "EMPTY": "", "SPACES": "a  b", "LONG": "aaaabaab"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A.$B", "one."),
        (r"\$A '$A' \"$A\"", r'$A $A "one"'),
        ("${B:-${A}} ${B-x} ${EMPTY-x}|${EMPTY:-x}", "one x |x"),
        ("${A:+y}${B+z}${EMPTY+e}${EMPTY:+f}", "ye"),
        ("${PATH#*/} ${PATH##*/}", "usr/local/bin/x x"),
        ("${PATH%/*} ${PATH%%/*}", "/usr/local/bin "),
        ("${PATH/\\//:} ${PATH//\\//:}", ":usr/local/bin/x :usr:local:bin:x"),
        ("${A/o?e/two}", "two"),
        ("${A//?/.}", "..."),
        ("x${A/q/r}", "xone"),
        ("${A:#o}${A:%ne}", "neo"),
        ("${LONG#*a*a*a*b}|${LONG##*a*a*a*b}", "aab|"),
        ("${LONG%b*a*a*b}|${LONG%%b*a*a*b}", "aaaa|aaaa"),
        ("${LONG/a*a/-} ${LONG//a?b/-}", "-b aa--"),
        ("${LONG//a*a*a*a*a*a*a*a*a*a*a*a*a*c/-}", "aaaabaab"),
    ],
)
def test_a_word_is_expanded(text: str, expected: str) -> None:
    assert expand.word(text, ENV) == expected


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("${A", "'}' is missing"),
        ("'a", "single quote .* not closed"),
        ('"a', "double quote .* not closed"),
        ("${B:?say it}", "B: say it"),
        ("${B?}", "B: is not set"),
        ("${A:=x}", "unknown modifier ':='"),
        ("${}", "unknown substitution"),
        ("${A%\\x}", "escapes nothing"),
        ("${A:-" * 200, "more than 100 variables|is missing"),
    ],
)
def test_what_cannot_be_expanded_says_why(text: str, what: str) -> None:
    with pytest.raises(DockerfileError, match=what):
        expand.word(text, ENV)


def test_values_are_split_unless_they_are_quoted() -> None:
    assert expand.words('$SPACES "$SPACES"', ENV) == ["a", "b", "a  b"]


MORE = {"PORTS": "80 443/udp", "D": "/d", "C": "cache", "T": "true", "L": "locked", "N": "7"}


def command(text: str) -> commands.Command:
    (found,) = parser.parse(f"FROM base\n{text}\n").stages[0].commands
    return expand.expand_command(found, {**ENV, **MORE})


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("USER $A", "user", "one"),
        ("WORKDIR ${D}/x", "path", "/d/x"),
        ("VOLUME $D /x", "paths", ("/d", "/x")),
        ("STOPSIGNAL SIG$A", "signal", "SIGone"),
        ("EXPOSE $PORTS", "ports", ("80", "443/udp")),
        ("COPY $A $D", "sources", ("one",)),
        ("COPY --chown=$A --chmod=$A x $D", "chown", "one"),
        ("ENV X=$A Y=$X", "pairs", (commands.Pair("X", "one"), commands.Pair("Y", ""))),
        ("LABEL $A='$A'", "pairs", (commands.Pair("one", "$A"),)),
        ("RUN --mount=target=$D x", "mounts", (commands.RunMount(target="/d"),)),
        ("RUN --mount=target=/x,type=$C x", "mounts", (commands.RunMount("cache", target="/x"),)),
        (
            "RUN --mount=type=$C,target=/x,ro=$T,sharing=$L,uid=$N x",
            "mounts",
            (commands.RunMount("cache", "", "/x", read_only=True, sharing="locked", uid="7"),),
        ),
        ("ONBUILD RUN $A", "expression", "RUN $A"),
        ('SHELL ["$A"]', "words", ("$A",)),
    ],
)
def test_each_instruction_expands_its_own_fields(text: str, field: str, expected: object) -> None:
    assert getattr(command(text), field) == expected


@pytest.mark.parametrize("text", ["RUN echo $A", "CMD echo $A", "ENTRYPOINT echo $A"])
def test_the_shells_variables_are_the_shells(text: str) -> None:
    line = getattr(command(text), "line")  # noqa: B009 - three kinds have it
    assert line.words == ("echo $A",)


def test_a_heredoc_is_expanded_unless_its_name_is_quoted() -> None:
    copy = command("COPY <<one <<'two' /\n\"$A\" \\$A\none\n$A\ntwo")

    assert isinstance(copy, commands.Copy)
    assert [doc.content for doc in copy.heredocs] == ['"one" $A\n', "$A\n"]


def test_an_unknown_option_of_a_mount_is_refused_when_its_step_is_reached() -> None:
    with pytest.raises(DockerfileError, match="Dockerfile:2: unknown option 'tarhet' of --mount"):
        command("RUN --mount=target=/x,tarhet=/y true")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X", [("X", None)]),
        ("X=1 Y=$X.$A Z", [("X", "1"), ("Y", "1.one"), ("Z", None)]),
        ("GIVEN=1 Y=$GIVEN", [("GIVEN", "given"), ("Y", "given")]),
        ("GIVEN=${NOT:?needed}", [("GIVEN", "given")]),
        ("OUTER Y=$OUTER OUTER=mine", [("OUTER", "outer"), ("Y", "outer"), ("OUTER", "mine")]),
        ("X$A='$A'", [("Xone", "$A")]),
    ],
)
def test_args_are_given_or_have_defaults(text: str, expected: list[tuple[str, str]]) -> None:
    (arg,) = parser.parse(f"FROM base\nARG {text}\n").stages[0].commands
    assert isinstance(arg, commands.Arg)

    found = expand.declared(arg, ENV, given={"GIVEN": "given"}, outer={"OUTER": "outer"})

    assert list(found) == expected


def test_a_default_that_cannot_be_is_told_with_its_line() -> None:
    (arg,) = parser.parse("FROM base\nARG X=${NOT:?needed}\n").stages[0].commands
    assert isinstance(arg, commands.Arg)

    with pytest.raises(DockerfileError, match="Dockerfile:2: NOT: needed"):
        expand.declared(arg, ENV, given={}, outer={})


def test_an_expansion_knows_what_it_used() -> None:
    expansion = expand.Expansion(ENV)

    expansion.word("$A ${B:-$EMPTY} $C ${D#x}")

    assert expansion.used == {"A", "EMPTY"}
    assert expansion.unset == {"C", "D"}


@pytest.mark.parametrize("option", ["type=$NOTHING", "type=bind,ro=$A", "type=cache,uid=$A"])
def test_a_mount_is_checked_when_its_variables_are_known(option: str) -> None:
    with pytest.raises(DockerfileError, match="Dockerfile:2: "):
        command(f"RUN --mount={option},target=/x true")
