"""A part of our interface as `asyncvarlink` wants it declared.

Without ``from __future__ import annotations``: asyncvarlink reads the annotations as types.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from asyncvarlink import VarlinkInterface, varlinkmethod

from tests.support.control import SUPERVISOR


@dataclass
class Group:
    service: str
    pids: list[int]


@dataclass
class Hint:
    kind: str
    service: str


@dataclass
class Outcome:
    service: str
    message: str
    trouble: str | None
    hint: str
    advice: Hint | None


class SupervisorInterface(VarlinkInterface, name=SUPERVISOR):
    @varlinkmethod(return_parameter="services")
    def Processes(self, *, services: list[str] | None = None) -> list[Group]:  # noqa: N802
        raise NotImplementedError

    @varlinkmethod(return_parameter="results")
    def Wait(  # noqa: N802
        self, *, services: list[str], until: str, timeout: float | None = None
    ) -> Iterator[list[Outcome]]:
        raise NotImplementedError
