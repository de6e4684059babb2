"""Go templates: what people write after --format, and what Go makes of it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.language import templates
from runtime.language.template_lexer import split
from runtime.language.templates import TemplateError

DATA: dict[str, Any] = {
    "Id": "abc",
    "State": {"Status": "running", "Pid": 3, "Health": None, "Paused": False},
    "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None},
    "Config": {"Labels": {"a.b": "c"}, "Cmd": ["sh", "-c"]},
    "Share": 1.5,
    "Label": lambda name: f"label {name}",
}


def render(text: str, data: Any = DATA) -> str:
    return templates.parse(text).render(data)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("{{.Id}}", "abc"),
        ("{{ .State.Status }}!", "running!"),
        ("{{.ID}}", "abc"),  # Go's field is ID where JSON's key is Id
        ("{{json .State}}", '{"Status":"running","Pid":3,"Health":null,"Paused":false}'),
        ("{{.Config.Cmd | json}}", '["sh","-c"]'),
        ("{{.Config.Cmd}}", "[sh -c]"),
        ("{{.State}}", "map[Health:<no value> Paused:false Pid:3 Status:running]"),
        ("{{.State.Paused}} {{.Share}} {{.State.Health}}", "false 1.5 <no value>"),
        ('{{index .Config.Labels "a.b"}}', "c"),
        ('{{index .Config.Labels "none"}}', ""),
        ("{{.Config.Labels.none}}", "<no value>"),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
        ('{{.Label "x"}}', "label x"),
        ('{{join .Config.Cmd " "}}', "sh -c"),
        ("{{upper .Id}} {{lower .Id}} {{title .Id}}", "ABC abc Abc"),
        ("{{len .Config.Cmd}} {{len .Id}}", "2 3"),
        ("{{println .Id}}", "abc\n"),
        ('{{printf "%-5s|%d|%q" .Id .State.Pid .Id}}', 'abc  |3|"abc"'),
        ('{{"a\\tb"}} {{`raw\\t`}}', "a\tb raw\\t"),
        ("{{slice .Id 1}}{{slice .Id 0 1}}", "bca"),
        ("{{split .Id `b`}}", "[a c]"),
        ("{{pad .Id 1 2}}|{{truncate .Id 2}}", " abc  |ab"),
    ],
)
def test_values_are_shown_as_go_shows_them(text: str, shown: str) -> None:
    assert render(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{if .State.Paused}}yes{{else}}no{{end}}", "no"),
        ("{{if .State.Paused}}a{{else if .Id}}b{{else}}c{{end}}", "b"),
        ('{{if eq .State.Status "exited" "running"}}up{{end}}', "up"),
        ("{{if and .Id (not .State.Paused)}}both{{end}}", "both"),
        ("{{or .State.Health .Id}}", "abc"),
        ("{{if gt .State.Pid 2}}{{if le .State.Pid 3}}3{{end}}{{end}}", "3"),
        ("{{range .Config.Cmd}}<{{.}}>{{end}}", "<sh><-c>"),
        ("{{range .State.Health}}x{{else}}none{{end}}", "none"),
        (
            "{{range $i, $word := .Config.Cmd}}{{$i}}={{$word}} {{$.Id}};{{end}}",
            "0=sh abc;1=-c abc;",
        ),
        (
            "{{range $p, $c := .Ports}}{{$p}}{{if $c}}->{{(index $c 0).HostPort}}{{end}} {{end}}",
            "80/tcp->8080 81/tcp ",
        ),
        ("{{with .State}}{{.Status}}{{end}}{{with .State.Health}}x{{else}}-{{end}}", "running-"),
        ("{{$x := .Id}}{{range .Config.Cmd}}{{$x = .}}{{end}}{{$x}}", "-c"),
        ("a {{- .Id -}} b", "aabcb"),
        ("a {{/* not shown */ -}} b", "a b"),
    ],
)
def test_actions_do_what_go_does(text: str, shown: str) -> None:
    assert render(text) == shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Id", "template: :1: unclosed action"),
        ("\n{{nope .Id}}", 'template: :2: function "nope" not defined'),
        ("{{if .Id}}", "template: :1: unexpected EOF"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{}}", "template: :1: missing value for command"),
        ('{{"a}}', "template: :1: unterminated quoted string"),
        ("{{/* }}", "template: :1: unclosed comment"),
        ("{{1x}}", 'template: :1: bad number syntax: "1x"'),
    ],
)
def test_what_is_no_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as refused:
        templates.parse(text)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.Nope}}", 'executing "" at <.Nope>: map has no entry for key "Nope"'),
        ("{{.Id.Nope}}", "can't evaluate field Nope in abc"),
        ("{{.State.Health.Status}}", 'nil data; no entry for key "Status"'),
        ("{{index .Config.Cmd 9}}", "error calling index: index out of range: 9"),
        ("{{range .Id}}{{end}}", "range can't iterate over abc"),
        ("{{len .State.Pid}}", "error calling len: len of type int"),
        ("{{upper}}", "wrong arguments for upper: 0 given"),
        ("{{.Id .Id}}", "can't give argument to non-function"),
        ("{{$nope}}", 'undefined variable "$nope"'),
    ],
)
def test_what_cannot_be_carried_out_says_where(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as refused:
        render(text)

    assert message in str(refused.value)


def test_a_template_tells_which_fields_it_wants() -> None:
    text = "{{.ID}} {{if .Size}}{{range .Ports}}{{$.Names}}{{end}}{{end}}"

    assert templates.parse(text).fields() == {"ID", "Size", "Ports", "Names"}


def test_the_whole_is_marked_as_wanted() -> None:
    assert "" in templates.parse("{{json .}}").fields()


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_stays_as_it_is(text: str) -> None:
    """A template without actions renders to itself."""
    assert render(text) == text


@given(st.text(alphabet='{}.$|() "`-:=,ABC123rangeifdxl/*\n', max_size=30))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    """Whatever is written after --format, the only exception is TemplateError."""
    with suppress(TemplateError):
        assert isinstance(render("{{" + text + "}}"), str)


@given(st.text(alphabet='{}.$|() "`-:=,A1f/*\n', max_size=30))
def test_words_end_where_the_text_ends(text: str) -> None:
    """Splitting always ends, in words or a refusal."""
    try:
        words = split(text)
    except TemplateError:
        return
    assert sum(word.kind == "start" for word in words) == sum(w.kind == "close" for w in words)
