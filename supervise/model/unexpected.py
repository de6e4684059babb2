"""The sentence for an unexpected exception: what the last barrier of a program says.

Every exception that input can cause has a sentence of its own, at its source; what arrives here is
a bug, and the sentence says so.  PURE: the program prints it, and shows the traceback when asked.
"""

from __future__ import annotations

from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

_LONGEST = 300  # characters of the exception's own text
_OURS = ("/supervise/", "/runtime/")


def describe(program: str, error: BaseException, variable: str) -> str:
    """Return two lines about *error*; the environment's *variable* makes *program* show more."""
    kind = type(error).__name__
    where = f"at {_place(error.__traceback__)}"
    hint = f"{variable}=1 shows where it comes from; please report it with that"
    if isinstance(error, MemoryError):
        return f"{program}: out of memory {where}\n{hint}, if there was memory left\n"
    text = _text(error)
    return f"{program}: this is a bug: {kind}{text and f': {text}'} ({where})\n{hint}\n"


def _text(error: BaseException) -> str:
    try:
        return printable(str(error)[:_LONGEST])
    except Exception:  # its own __str__ may fail, and must not here
        return ""


def _place(traceback: TracebackType | None) -> str:
    """Return the innermost ``package/module.py:line`` of ours."""
    place = "an unknown place"
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        for mark in _OURS:
            if mark in file:
                place = f"{mark[1:]}{file.rpartition(mark)[2]}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return printable(place)
