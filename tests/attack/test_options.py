"""Command lines from a generator: every value is taken, or refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cli.containers import logs, run_options
from runtime.cli.containers import run as run_verb
from runtime.container import attach
from runtime.language import commit_change, filters
from runtime.language.commandline import UsageError, parse
from runtime.model import units
from runtime.model.container import limits, option_values
from runtime.model.errors import RuntimeFailure
from runtime.model.image.image_config import ImageConfig
from runtime.model.network import ipam, published_ports
from supervise.linux import capabilities
from tests.support.attack import fuzz

ONE = "\u0661"  # a digit to Python, in Arabic
_NUMBERS = st.one_of(
    st.sampled_from(
        [
            *("9e99", "1e400", "-1e400", "inf", "-inf", "nan", "infinity", "0x10", "1_0", "1__0"),
            *(
                ONE,
                "²",
                "\uff11\uff12",
                "\u096f",
                "+1",
                "-0",
                "--1",
                "1e-400",
                "00",
                "0" * 30,
                " 1",
                "1\n",
            ),
            *("9" * 19, "9" * 30, "9" * 400, "9" * 5000, "-" + "9" * 5000, "9" * 5000 + "." + "9"),
            *("99999999999", "99999999999999", "18446744073709551616", "2147483648", "1.5", "."),
        ]
    ),
    st.integers().map(str),
    st.floats().map(repr),
)
_PIECES = st.one_of(
    _NUMBERS,
    st.text(max_size=4),
    st.text(st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF), max_size=2),
    st.sampled_from([*":/,=-+@[]%. *", "k", "m", "ib", "s", "ms", "h", "rwm", "c ", "tcp", "udp"]),
    st.sampled_from(["on-failure:", "nofile=", "size=", "type=tmpfs,", "target=/x,", "127.0.0.1"]),
)
_TEXTS = st.lists(_PIECES, max_size=5).map("".join)
_OPTIONS = [option.name for option in run_verb.RUN.options() if option.kind]
_PARSERS: dict[str, Callable[[str], Any]] = {
    **{name: getattr(limits, name) for name in ("size", "memory", "memory_swap", "cpus", "whole")},
    "processors": limits.processors,
    "ulimit": limits.ulimit,
    "duration": units.duration,
    "moment": lambda text: units.moment(text, 1_700_000_000.0),
    "volume": option_values.volume,
    "mount": option_values.mount,
    "tmpfs": option_values.tmpfs,
    "ports": option_values.ports,
    "exposed": option_values.exposed,
    "pause": option_values.pause,
    "restart": option_values.restart,
    "capability": lambda text: option_values.capability(text, capabilities.NAMES),
    "device": option_values.device,
    "device_rule": option_values.device_rule,
    "add_host": option_values.add_host,
    "network": option_values.network,
    "link": option_values.link,
    "volumes_from": option_values.volumes_from,
    "stream": option_values.stream,
    "pair": option_values.pair,
    "keys": attach.parse_keys,
    "subnet": ipam.subnet,
    "published": published_ports.parse,
    "change": lambda text: commit_change.apply(ImageConfig(), [f"EXPOSE {text}"]),
    "healthcheck": lambda text: commit_change.apply(
        ImageConfig(), [f"HEALTHCHECK --interval={text} --retries={text} CMD x"]
    ),
    "filter": lambda text: filters.until(filters.parse([f"until={text}"], ("until",)), 1.7e9),
}


@pytest.mark.parametrize("name", sorted(_PARSERS))
def test_a_value_is_taken_or_refused_in_a_sentence(name: str) -> None:
    """A parser raises ValueError or RuntimeFailure, nothing else, and needs little memory."""

    @fuzz(60)
    @given(_TEXTS)
    def check(text: str) -> None:
        with suppress(ValueError, RuntimeFailure):
            _PARSERS[name](text)

    check()


@fuzz(400)
@given(st.lists(st.tuples(st.sampled_from(_OPTIONS), _TEXTS), max_size=3))
def test_any_options_of_run_give_a_container_or_a_sentence(options: list[tuple[str, str]]) -> None:
    """The whole decoding of `run`, as `create` and `run` call it."""
    line = [f"--{name}={value}" for name, value in options if "file" not in name]
    with suppress(UsageError, RuntimeFailure):
        run_options.decode(parse(run_verb.RUN, [*line, "image"]), detached=False)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--memory", "9e99"),
        ("--memory", "8000p"),
        ("--memory", f"{ONE}g"),
        ("--cpus", "inf"),
        ("--cpus", "nan"),
        ("--cpus", ONE),
        ("--pids-limit", "9" * 5000),
        ("--stop-timeout", "1e400"),
        ("--stop-timeout", "9" * 400),
        ("--publish", "99999999999"),
        ("--publish", "1-99999999999"),
        ("--publish", "9" * 5000),
        ("--publish", f"{ONE}:80"),
        ("--expose", "1-99999999999999"),
        ("--ulimit", "nofile=99999999999999999999"),
        ("--cpuset-cpus", "0-" + "9" * 5000),
        ("--health-interval", "9" * 400),
        ("--health-interval", "9" * 30 + "h"),
        ("--health-retries", "²"),
        ("--device-cgroup-rule", f"c {ONE}:* rwm"),
    ],
)
def test_a_number_beyond_reason_is_refused_with_its_option(option: str, value: str) -> None:
    with pytest.raises((RuntimeFailure, UsageError)) as refused:
        run_options.decode(parse(run_verb.RUN, [option, value, "image"]), detached=False)

    assert option[2:] in str(refused.value)
    assert "integer string conversion" not in str(refused.value)


@pytest.mark.parametrize("value", ["99999999999999", "9" * 400, ONE, "1e400", "inf"])
def test_a_time_beyond_reason_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"year 9999|neither a time|292 years"):
        units.moment(value, 1_700_000_000.0)


@pytest.mark.parametrize("value", [ONE, "9" * 5000, "9" * 30, "-1"])
def test_a_tail_beyond_reason_means_all(value: str) -> None:
    assert logs.LogSelection(parse(logs.LOGS, ["--tail", value, "c"])).tail is None


def test_a_distant_end_is_waited_for_in_days() -> None:
    assert units.patience(1e12) < 2**31
