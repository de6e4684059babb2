"""JSON by the C code alone says what `json` says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model import jsontext

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_a_value_is_written_as_json_does(value: object) -> None:
    """What is written is `json`'s text, and comes back."""
    text = jsontext.dumps(value)

    assert text == json.dumps(value)
    assert jsontext.loads(text) == jsontext.loads(f" {text}\n".encode()) == value


@given(st.text())
def test_quoted_text_keeps_its_letters(text: str) -> None:
    """A quoted text is `json`'s without escapes for what is not ASCII."""
    assert jsontext.quoted(text) == json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize("text", ["", " ", "{", "1 2", "[1,]", '{"a" 1}', "nul", '"\n"', b"\xff"])
def test_what_is_no_json_is_refused_as_json_does(text: str | bytes) -> None:
    with pytest.raises(ValueError) as ours:
        jsontext.loads(text)
    with pytest.raises(ValueError) as theirs:
        json.loads(text)

    assert str(ours.value) == str(theirs.value)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="a set has no JSON form"):
        jsontext.dumps({"a": {1}})


def test_it_imports_neither_json_nor_re() -> None:
    program = (
        "import sys; from runtime.model import jsontext as j; j.loads(j.dumps([1]));"
        "print({'json', 're', 'enum'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"
