"""How long the attacks of `tests/attack` go on: seconds in CI, an hour with `make attack`.

ATTACK_SECONDS is what one race may take; the number of a fuzzer's examples grows with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from hypothesis import HealthCheck, settings

_USUAL = 3.0
SECONDS = float(os.environ.get("ATTACK_SECONDS", _USUAL))


def fuzz(examples: int = 200) -> settings:
    """Return hypothesis settings: *examples* in a usual run, more in a longer attack."""
    return settings(
        max_examples=max(1, round(examples * SECONDS / _USUAL)),
        deadline=None,  # a busy machine is not a hostile input
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


def rounds(seconds: float = SECONDS) -> Iterator[int]:
    """Count 0, 1, … for *seconds*, at least one round: for races that a second process drives."""
    end = time.monotonic() + seconds
    number = 0
    while not number or time.monotonic() < end:
        yield number
        number += 1
