"""HEALTHCHECK.  Source: the Dockerfile reference, "HEALTHCHECK"; Go's `time.ParseDuration`."""

from __future__ import annotations

import re

from runtime.dockerfile.commands import HealthcheckInstruction, Place
from runtime.dockerfile.dockerfile_error import DockerfileError
from runtime.dockerfile.flags import Flags

FLAGS = ("interval", "timeout", "start-period", "start-interval", "retries")
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9}
_UNITS |= {"m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_SHORTEST = 10**6  # nanoseconds
_LONGEST = 2**63 - 1


def command(
    place: Place, words: tuple[str, ...], flags: Flags, *, json: bool
) -> HealthcheckInstruction:
    """Return the command of *words*, the kind first."""
    kind, *rest = words
    kind = kind.upper()
    if kind == "NONE":
        if rest:
            raise DockerfileError("HEALTHCHECK NONE has no arguments")
        return HealthcheckInstruction(place, ("NONE",))
    if kind != "CMD":
        raise DockerfileError(
            f"unknown kind '{words[0]}' of HEALTHCHECK", hint="it is CMD COMMAND or NONE"
        )
    if not rest:
        raise DockerfileError("HEALTHCHECK CMD needs a command")
    test = ("CMD", *rest) if json else ("CMD-SHELL", " ".join(rest))
    return HealthcheckInstruction(
        place,
        test,
        interval=_interval(flags, "interval"),
        timeout=_interval(flags, "timeout"),
        start_period=_interval(flags, "start-period"),
        start_interval=_interval(flags, "start-interval"),
        retries=_retries(flags.one("retries")),
    )


def duration(text: str) -> int | None:
    """Return the nanoseconds of `1h2m3.5s`, None where it is no duration."""
    sign = -1 if text.startswith("-") else 1
    bare = text[1:] if text[:1] in ("-", "+") else text
    if bare == "0":
        return 0
    from decimal import Decimal  # 3 ms, which few files need

    at, total = 0, Decimal(0)
    while at < len(bare):
        part = _PART.match(bare, at)
        if part is None or len(part[1]) > 30:
            return None
        total += Decimal(part[1]) * _UNITS[part[2]]
        at = part.end()
    if not bare or total > _LONGEST:
        return None
    return sign * int(total)


def _interval(flags: Flags, name: str) -> int:
    text = flags.one(name)
    if not text:
        return 0
    found = duration(text)
    if found is None:
        raise DockerfileError(f"--{name}={text} is not a duration", hint="such as 30s or 1m30s")
    if found and found < _SHORTEST:
        raise DockerfileError(f"--{name}={text} is less than 1ms")
    return found


def _retries(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        raise DockerfileError(f"--retries={text} is not a number")
    if int(text) < 0:
        raise DockerfileError("--retries cannot be less than 0")
    return int(text)
