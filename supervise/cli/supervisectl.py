"""The program `supervisectl`: reads the command line, runs the verb, turns errors into exit codes.

A client; PID 1 never imports it.  What the verbs are is in `supervise.cli.verbs`.
"""

from __future__ import annotations

import os
import sys

from supervise.cli import arguments, render
from supervise.cli.exitcodes import DONE, FAILED, INTERRUPTED, PIPE_CLOSED, UNREACHABLE, USAGE
from supervise.client.control_client import ApiError, SuperviseUnreachableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from supervise.cli.arguments import Arguments

# What some verbs alone need: an image may do without.
_OPTIONAL = ("psutil", "structlog")
_DEBUG = "SUPERVISE_DEBUG"


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _open_missing_streams()
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = PIPE_CLOSED  # the reader has seen enough: head, less
    except OSError as error:  # ENOSPC, EIO: what speaks to supervise has its own errors
        render.say(f"cannot write the output: {error.strerror or error}")
        code = FAILED
    except Exception as error:  # the last barrier: nobody is shown a traceback
        return _bug(error)
    else:
        return code
    # The interpreter flushes once more when it ends; there is nobody to complain to.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _bug(error: Exception) -> int:
    """Say what nobody expected, as the bug it is."""
    from supervise.model import unexpected

    if os.environ.get(_DEBUG):
        import traceback

        traceback.print_exc()
    sys.stderr.write(unexpected.describe("supervisectl", error, _DEBUG))
    return FAILED


def _open_missing_streams() -> None:
    """Write to nowhere where there is no descriptor: a health check counts by its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end


def _run(argv: list[str]) -> int:
    try:
        if argv == ["--version"]:
            argv = ["version"]
        given = arguments.parse(argv)
        if given.flag("help"):
            from supervise.cli import usage

            sys.stdout.write(usage.text(given.verb))
            return DONE
        return _verb(given)(given)
    except arguments.UsageError as error:
        render.say(str(error))
        sys.stderr.write(f"Try: supervisectl{f' {error.verb}' if error.verb else ''} --help\n")
        return USAGE
    except SuperviseUnreachableError as error:
        render.say(f"cannot reach supervise: {error}")
        return UNREACHABLE
    except RecursionError:  # a chain of a thousand dependencies, or a peer that means no good
        render.say("cannot show the answer: it is nested too deeply")
        return FAILED
    except ModuleNotFoundError as error:
        if error.name not in _OPTIONAL:
            raise
        found = f"pip install {error.name} (Debian: python3-{error.name})"
        render.say(f"cannot do this: this Python has no {error.name}; {found}")
        return FAILED
    except ApiError as error:
        from supervise.cli import failures
        from supervise.client import refusals
        from supervise.wire import hints

        render.say(refusals.explain(error, hints.advised))
        return failures.code_of(error)


def _verb(given: Arguments) -> Callable[[Arguments], int]:
    assert given.verb is not None
    module, _, function = given.verb.run.partition(":")
    __import__(module)
    found: Callable[[Arguments], int] = getattr(sys.modules[module], function)
    return found


if __name__ == "__main__":
    sys.exit(main())
