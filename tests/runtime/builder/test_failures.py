"""What a person is shown of a Dockerfile at fault."""

from __future__ import annotations

import pytest

from runtime.builder import failures
from runtime.dockerfile import parser
from runtime.model.errors import RuntimeFailure


def test_the_lines_around_are_those_the_parser_counts() -> None:
    text = b"FROM a\nENV A='\x0b\xc2\x85'\r\nRUUN x\nRUN y\n\nRUN z\n"

    with pytest.raises(RuntimeFailure) as caught, failures.located("place/Dockerfile", text):
        parser.parse(text)

    assert caught.value.message == "cannot build: place/Dockerfile:3: unknown instruction 'RUUN'"
    assert caught.value.hint.splitlines()[0] == "did you mean RUN?"
    shown = caught.value.hint.split("\n")
    assert shown[2] == "   1 |     FROM a"
    assert shown[4:7] == ["   3 | >>> RUUN x", "   4 |     RUN y", "   5 |"]
