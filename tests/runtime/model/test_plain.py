"""Records as JSON values, and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model.container.spec import (
    ContainerRestartPolicy,
    Limits,
    Logging,
    Mount,
    Port,
    Spec,
)
from runtime.model.container.state import Endpoint, State
from supervise.model.plain import from_plain, to_plain

text = st.text(max_size=5)
specs = st.builds(
    Spec,
    *(text, text, text, text, st.lists(text, max_size=3).map(tuple)),
    environment=st.dictionaries(text, text, max_size=3),
    mounts=st.lists(
        st.builds(Mount, text, text, text, options=st.lists(text, max_size=2).map(tuple)),
        max_size=2,
    ).map(tuple),
    masked_paths=st.none() | st.lists(text, max_size=2).map(tuple),
    devices=st.lists(st.tuples(text, text, text), max_size=2).map(tuple),
    ports=st.lists(st.builds(Port, st.integers(1, 65535)), max_size=2).map(tuple),
    exposed=st.lists(st.tuples(st.integers(), text), max_size=2).map(tuple),
    rlimits=st.dictionaries(text, st.tuples(st.integers(), st.integers()), max_size=2),
    limits=st.builds(Limits, memory=st.none() | st.integers(), cpus=st.none() | st.just(1.5)),
    restart=st.builds(ContainerRestartPolicy, text, st.integers()),
    logging=st.builds(Logging, st.integers()),
    stop_timeout=st.none() | st.floats(0, 100),
)


@given(specs)
def test_a_spec_survives_json(spec: Spec) -> None:
    """decode∘encode is the identity."""
    assert from_plain(Spec, json.loads(json.dumps(to_plain(spec)))) == spec


def test_nested_rows_survive_json() -> None:
    state = State(endpoints=(Endpoint("bridge", ports=(("", 80, 8080, "tcp"),)),))

    assert from_plain(State, json.loads(json.dumps(to_plain(state)))) == state


def test_what_has_its_default_is_left_out() -> None:
    assert to_plain(State(pid=7)) == {"pid": 7}


@pytest.mark.parametrize("plain", [{"pid": 1, "colour": "red"}, {"endpoints": [{}]}])
def test_what_another_version_wrote_is_refused(plain: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"no field 'colour'|field 'network' is missing"):
        from_plain(State, plain)
