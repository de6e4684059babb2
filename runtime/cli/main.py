"""The command `runtime`: the verb's module is imported when the verb is called, no other.

Called `docker`, it does the same and calls itself runtime all the same.
"""

from __future__ import annotations

import os
import sys

from runtime.cli import failure_output, printing, verbs
from runtime.language.commandline import UsageError, parse
from runtime.model.contexts import suppress
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_ROOT_NEEDED = "run it as root: sudo runtime …"
_SIGPIPE = 13
_DEBUG = "RUNTIME_DEBUG"  # like --debug
_BUG = 125


class _Globals:
    """What stands before the verb."""

    def __init__(self) -> None:
        self.root = os.environ.get("RUNTIME_ROOT", "")
        self.debug = os.environ.get(_DEBUG, "") not in ("", "0")
        self.shows = ""  # help or version


def program() -> NoReturn:
    """Be the command: `main`, and an end without the 4 ms in which Python takes itself apart."""
    code = main()
    if "threading" in sys.modules:  # others may have something to do at the end
        sys.exit(code)
    with suppress(OSError):  # after a failure, which has been said: main flushes where all is well
        sys.stdout.flush()
    os._exit(code)


def main() -> int:
    """Run the verb that the command line names; returns the exit code."""
    printing.install()
    settings = _Globals()
    try:
        code = _dispatch(sys.argv[1:], settings)
        sys.stdout.flush()
    except (RuntimeFailure, UsageError) as failure:
        if settings.debug:
            _print_traceback()
        failure_output.print_failure(failure)
        return failure.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at its end.
        os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
        return 128 + _SIGPIPE
    except OSError as error:  # a full disk, a directory that may not be written to
        if settings.debug:
            _print_traceback()
        where = f"'{error.filename}': " if error.filename else ""
        failure_output.print_failure(RuntimeFailure(f"{where}{error.strerror or error}"))
        return 125
    except Exception as error:  # the last barrier: nobody is shown a traceback
        return _print_bug(error, debug=settings.debug)
    return code


def _print_bug(error: Exception, *, debug: bool) -> int:
    """Say what nobody expected, as the bug it is; return the exit code."""
    from supervise.model import unexpected

    if debug:
        _print_traceback()
    with suppress(OSError):  # what was written before comes before
        sys.stdout.flush()
    sys.stderr.write(unexpected.describe("runtime", error, _DEBUG))
    sys.stderr.flush()
    return _BUG


def _print_traceback() -> None:
    import traceback

    traceback.print_exc()


def _dispatch(words: Sequence[str], settings: _Globals) -> int:
    rest = _read_globals(list(words), settings)
    if settings.shows == "version":
        from supervise import __version__

        sys.stdout.write(f"runtime version {__version__}\n")
        return 0
    if rest and rest[0] == "help":
        rest, settings.shows = rest[1:], "help"
    if not rest or settings.shows:
        return _show_help(rest)
    name, rest = _split_verb(rest)
    if name in verbs.GROUPS:
        return _show_help([name])
    return _call(name, rest, settings)


def _read_globals(words: list[str], settings: _Globals) -> list[str]:
    """Take off what stands before the verb."""
    while words and words[0].startswith("-"):
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if option == "--root":
            if not equals and not words:
                raise UsageError("flag needs an argument: --root", "See 'runtime --help'.")
            settings.root = value if equals else words.pop(0)
        elif word in ("-D", "--debug"):
            settings.debug = True
        elif word in ("-h", "--help"):
            settings.shows = "help"
        elif word in ("-v", "--version"):
            settings.shows = "version"
        else:
            raise UsageError(f"unknown flag: {option}", "See 'runtime --help'.")
    return words


def _split_verb(words: list[str]) -> tuple[str, list[str]]:
    """Return (verb, what follows it): a group's verb is two words.

    Raises:
        UsageError: there is no such verb.
    """
    first = words[0]
    if first in verbs.GROUPS:
        if len(words) == 1 or words[1] in ("-h", "--help"):
            return first, []
        name = f"{first} {words[1]}"
        if name in verbs.INDEX:
            return name, words[2:]
        first, prefix = words[1], f"{first} "
    elif first in verbs.INDEX:
        return first, words[1:]
    else:
        prefix = ""
    from supervise.model.suggest import closest

    known = {name.removeprefix(prefix) for name in verbs.INDEX if name.startswith(prefix)}
    near = closest(first, sorted({*known, *(() if prefix else verbs.GROUPS)}))
    guess = f"did you mean 'runtime {prefix}{near}'?" if near else f"See 'runtime {prefix}--help'."
    raise UsageError(f"'{prefix}{first}' is not a runtime command", guess, code=1)


def _call(name: str, words: list[str], settings: _Globals) -> int:
    table, function = verbs.find(name)
    try:
        parsed = parse(table, words)
    except UsageError as error:
        see = f"See 'runtime {name} --help'."
        error.hint = f"{error.hint}\n{see}" if error.hint else see
        raise
    if parsed.given("help"):
        return _show_help([name])
    if os.geteuid() != 0 and name not in ("version", "completion"):
        raise RuntimeFailure("only root can do that", _ROOT_NEEDED)
    from runtime.linux import record_files
    from runtime.store.layout import DEFAULT_ROOT, Layout

    record_files.listen(failure_output.print_failure)
    absolute = os.path.abspath(settings.root) if settings.root else DEFAULT_ROOT
    return function(Layout(absolute, os.environ.get("RUNTIME_RUN", "")), parsed)


def _show_help(words: list[str]) -> int:
    from runtime.cli import overview
    from runtime.language.commandline import help_text

    if not words:
        sys.stdout.write(overview.whole())
        return 0
    name = words[0] if " " in words[0] else _split_verb(words)[0]
    if name in verbs.GROUPS:
        sys.stdout.write(overview.group(name))
    else:
        sys.stdout.write(help_text(verbs.find(name)[0], verbs.aliases(verbs.INDEX[name])))
    return 0


if __name__ == "__main__":
    program()
