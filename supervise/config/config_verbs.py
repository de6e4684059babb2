"""``supervise check``, ``schema``, ``compile`` and ``explain-config``.

Short-lived programs, not PID 1.  Exit codes: 0 done, 78 the configuration has problems, 1 the
compiled plan cannot be written, 2 usage, 70 a bug of ours.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys

from supervise.config.compiled import write_compiled
from supervise.config.load import examine
from supervise.config.yaml.explain_config import explain
from supervise.config.yaml.json_schema import json_schema
from supervise.model.exitstatus import INTERNAL_FAULT
from supervise.model.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervise.config.load import LoadOutcome
    from supervise.model.service import Plan

EXIT_CONFIG = 78  # EX_CONFIG of sysexits.h
_DEBUG = "SUPERVISE_DEBUG"
_FILES = "a file or a directory of *.yaml; by default the one that supervise would read"


def main(argv: Sequence[str]) -> int:
    """Run the verb and its arguments in *argv*; returns the exit code."""
    arguments = _parser().parse_args(argv)
    # Names of files and values of variables may hold what the terminal's encoding has not.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as head(1), has seen enough.  Python flushes once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # a full disk, a working directory that was removed
        where = f"'{error.filename}': " if error.filename else ""
        sys.stderr.write(f"supervise: {printable(f'{where}{error.strerror or error}')}\n")
        return 1
    except Exception as error:  # the last barrier: nobody is shown a traceback
        return _bug(error)
    return code


def _bug(error: Exception) -> int:
    """Say what nobody expected, as the bug it is."""
    from supervise.model import unexpected

    if os.environ.get(_DEBUG):
        import traceback

        traceback.print_exc()
    sys.stderr.write(unexpected.describe("supervise", error, _DEBUG))
    return INTERNAL_FAULT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="supervise", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, run, text in (
        ("check", _check, "print every problem of the configuration"),
        ("compile", _compile, "write the validated plan beside the configuration"),
        ("explain-config", _explain, "print the configuration with all defaults filled in"),
    ):
        verb = verbs.add_parser(name, help=text, description=text.capitalize() + ".")
        verb.add_argument("files", nargs="*", metavar="FILE", help=_FILES)
        verb.set_defaults(run=run)
    text = "print the JSON Schema of the configuration"
    schema = verbs.add_parser("schema", help=text, description=text.capitalize() + ".")
    schema.set_defaults(run=_schema)
    return parser


def _examine(arguments: argparse.Namespace) -> LoadOutcome:
    """Load what was asked for; problems go to standard output, warnings to standard error."""
    outcome = examine(arguments.files or None, os.environ, os.getcwd())
    for warning in outcome.warnings:
        place = f"{warning.file}:{warning.line}:{warning.column}" if warning.line else warning.file
        path = f"{warning.path}: " if warning.path else ""
        text = printable(f"{place}: warning: {path}{warning.what}; {warning.hint}")
        print(text, file=sys.stderr)
    for problem in outcome.problems:
        print(problem)
    return outcome


def _services(plan: Plan) -> str:
    count = len(plan.services)
    return f"{count} service{'' if count == 1 else 's'}"


def _check(arguments: argparse.Namespace) -> int:
    outcome = _examine(arguments)
    if outcome.plan is None:
        return EXIT_CONFIG
    names = ", ".join(arguments.files or [_shown(root) for root in outcome.roots])
    print(printable(f"{names}: ok, {_services(outcome.plan)}"))
    return 0


def _shown(path: str) -> str:
    """Return *path* relative to the working directory where it lies below it."""
    below = os.path.join(os.getcwd(), "")
    return path.removeprefix(below)


def _compile(arguments: argparse.Namespace) -> int:
    outcome = _examine(arguments)
    if outcome.plan is None:
        return EXIT_CONFIG
    try:
        path = write_compiled(outcome.plan, outcome.roots)
    except OSError as error:
        directory = os.path.dirname(outcome.roots[0])
        print(
            f"supervise: cannot write the compiled plan in '{directory}': {error.strerror}",
            file=sys.stderr,
        )
        return 1
    print(printable(f"{_shown(path)}: {_services(outcome.plan)}"))
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    outcome = _examine(arguments)
    if outcome.plan is None:
        return EXIT_CONFIG
    sys.stdout.write(explain(outcome.plan))
    return 0


def _schema(_arguments: argparse.Namespace) -> int:
    json.dump(json_schema(), sys.stdout, indent=2)
    print()
    return 0
