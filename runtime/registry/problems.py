"""What can go wrong with one registry, before a person is told about all that were tried."""

from __future__ import annotations

from supervise.model.printable import printable


class RegistryError(Exception):
    """One request did not succeed; *reason* is a clause that follows the registry's address."""

    def __init__(self, reason: str, hint: str = "") -> None:
        self.reason = printable(reason, keep="\n")
        self.hint = printable(hint, keep="\n")  # the way out, empty when there is none
        super().__init__(self.reason)


class RegistryUnreachableError(RegistryError):
    """No endpoint answered in time, in any attempt."""

    def __init__(self, reason: str, hint: str = "", *, is_final: bool = False) -> None:
        super().__init__(reason, hint)
        self.is_final = is_final  # to ask again would give the same


class MissingError(RegistryError):
    """It answered that it has no such thing: 404."""


class DeniedError(RegistryError):
    """The registry refused our credentials: 401, 403."""


class CorruptError(RegistryError):
    """What came is not what its digest says."""


class StoppedError(Exception):
    """The pull or push is over: interrupted, or another part of it failed."""
