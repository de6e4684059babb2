"""What a person is told when a command cannot do what was asked.

Anything below the command line may raise it; `runtime.cli.failure_output` alone prints it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class RuntimeFailure(Exception):  # noqa: N818 - the words on the screen are the error
    """One sentence "cannot <verb> <object>: <reason>", what to do about it, and an exit code."""

    def __init__(self, message: str, hint: str = "", code: int = 125) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint  # one more sentence: the way out; empty when there is none
        self.code = code  # 125: ours, before a container ran; 1: what docker's other verbs use


class DamagedFailure(RuntimeFailure):
    """A file of the store that cannot be read; commands that list many go on with the others."""

    def __init__(self, path: str, reason: str, hint: str = "", *, verb: str = "read") -> None:
        super().__init__(f"cannot {verb} '{path}': {reason}", hint)
        self.path = path

    @classmethod
    def of(cls, message: str, hint: str = "") -> Self:
        """Return the failure with a *message* that was said before."""
        made = cls("", "", hint)
        made.message = message
        return made
