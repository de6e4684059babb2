"""The `--flags` between an instruction's name and its arguments."""

from __future__ import annotations

from runtime.dockerfile.dockerfile_error import DockerfileError
from supervise.model.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ONE, MANY, SWITCH = "one", "many", "switch"


class Flags:
    """The flags of one instruction; what is not in *known* is refused.

    *known* maps a flag's name to ONE value, MANY values (given again) or a SWITCH.
    """

    def __init__(self, given: tuple[str, ...], known: Mapping[str, str]) -> None:
        self._values: dict[str, list[str]] = {}
        for flag in given:
            name, equals, value = flag[2:].partition("=")
            kind = known.get(name)
            if kind is None:
                raise _unknown(name, known)
            if name in self._values and kind is not MANY:
                raise DockerfileError(f"the flag --{name} stands twice")
            if kind is SWITCH:
                value = _switch(name, equals, value)
            elif not equals:
                raise DockerfileError(f"--{name} needs a value", hint=f"write --{name}=VALUE")
            self._values.setdefault(name, []).append(value)

    def one(self, name: str) -> str:
        """Return the value of --*name*, empty if it was not given."""
        return self._values.get(name, [""])[0]

    def many(self, name: str) -> tuple[str, ...]:
        """Return every value of --*name*, in order."""
        return tuple(self._values.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """Return whether --*name* is on; None if it was not given."""
        return self.one(name) == "true" if name in self._values else None


def _switch(name: str, equals: str, value: str) -> str:
    if not equals:
        return "true"
    if value.lower() not in ("true", "false"):
        raise DockerfileError(f"--{name} is true or false, not '{value}'")
    return value.lower()


def _unknown(name: str, known: Mapping[str, str]) -> DockerfileError:
    meant = closest(name, known)
    if meant:
        hint = f"did you mean --{meant}?"
    elif known:
        hint = "known here: " + ", ".join(f"--{flag}" for flag in sorted(known))
    else:
        hint = "this instruction has no flags"
    return DockerfileError(f"unknown flag --{name}", hint=hint)
