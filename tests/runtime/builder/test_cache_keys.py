"""A key changes with each thing that a step depends on, and with nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.builder import cache_keys

BELOW = cache_keys.below(["sha256:1"], platform="linux/amd64")
RUN: dict[str, Any] = {
    "argv": ["sh", "-c", "x"],
    "environment": {"A": "1", "B": "2"},
    "working_dir": "/",
    "user": "",
    "network": "bridge",
    "hosts": [],
    "mounts": [],
    "files": [],
    "epoch": None,
}
COPY: dict[str, Any] = {
    "selection": "sha256:2",
    "destination": "/x",
    "working_dir": "/",
    "owner": "",
    "mode": "",
    "flags": [],
    "epoch": None,
}


@pytest.mark.parametrize(
    "change",
    [
        {"argv": ["sh", "-c", "y"]},
        {"argv": ["sh", "-c x"]},
        {"environment": {"A": "1", "B": "3"}},
        {"working_dir": "/w"},
        {"user": "app"},
        {"network": "none"},
        {"hosts": [("a", "1.2.3.4")]},
        {"mounts": ["type=cache at=/c"]},
        {"files": [("/dev/pipes/EOF", "#!/bin/sh")]},
        {"epoch": 0},
    ],
)
def test_run_depends_on(change: dict[str, Any]) -> None:
    assert cache_keys.of_run(BELOW, **{**RUN, **change}) != cache_keys.of_run(BELOW, **RUN)


@pytest.mark.parametrize(
    "change",
    [
        {"selection": "sha256:3"},
        {"destination": "/x/"},
        {"working_dir": "/w"},
        {"owner": "1:1"},
        {"mode": "755"},
        {"flags": ["add"]},
        {"epoch": 0},
    ],
)
def test_copy_depends_on(change: dict[str, Any]) -> None:
    assert cache_keys.of_copy(BELOW, **{**COPY, **change}) != cache_keys.of_copy(BELOW, **COPY)


def test_the_order_of_variables_and_flags_is_nothing() -> None:
    turned = {**RUN, "environment": {"B": "2", "A": "1"}}

    assert cache_keys.of_run(BELOW, **turned) == cache_keys.of_run(BELOW, **RUN)
    one, other = ({**COPY, "flags": flags} for flags in (["a", "b"], ["b", "a"]))
    assert cache_keys.of_copy(BELOW, **one) == cache_keys.of_copy(BELOW, **other)


def test_what_lies_below_counts() -> None:
    others = [
        cache_keys.below([], platform="linux/amd64"),
        cache_keys.below(["sha256:1", "sha256:1"], platform="linux/amd64"),
        cache_keys.below(["sha256:1"], platform="linux/arm64"),
        cache_keys.below(["sha256:1"], platform="linux/amd64", machine="x"),
    ]

    keys = {cache_keys.of_run(below, **RUN) for below in [BELOW, *others]}

    assert len(keys) == 5


def test_kinds_of_steps_never_share_a_key() -> None:
    one = cache_keys.of_working_dir(BELOW, path="/x", user="", epoch=None)

    assert one not in {cache_keys.of_run(BELOW, **RUN), cache_keys.of_copy(BELOW, **COPY)}


def test_bytes_that_are_no_text_make_a_key() -> None:
    assert cache_keys.of_run(BELOW, **{**RUN, "argv": ["\udcff"]})
