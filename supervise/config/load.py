"""Files → a Plan: finds them, lets their dialect read them, checks what it read as a whole.

Runs in a child of PID 1, in `supervise check` and its kin; never in PID 1 itself.
"""

from __future__ import annotations

from supervise.config import search, validate
from supervise.config.problems import Problems
from supervise.config.yaml import assembly
from supervise.model.errors import ConfigError, Problem
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence as Seq

    from supervise.config.declared import Configuration
    from supervise.model.service import Plan


class Outcome(Record):
    """What came of loading: a plan without problems, or problems without a plan."""

    plan: Plan | None
    problems: tuple[Problem, ...]  # by file in the order of reading, line, column
    warnings: tuple[Problem, ...]
    roots: tuple[str, ...]  # what was asked for, absolute


def load(paths: Seq[str] | None, environ: Mapping[str, str], cwd: str) -> Plan:
    """Return the plan that *paths*, or the files of the search path, ask for.

    Raises:
        ConfigError: with every problem in all of the files.
    """
    outcome = examine(paths, environ, cwd)
    if outcome.plan is None:
        raise ConfigError(outcome.problems)
    return outcome.plan


def examine(paths: Seq[str] | None, environ: Mapping[str, str], cwd: str) -> Outcome:
    """Return the plan, or every problem, and the warnings; never raises ConfigError."""
    try:
        found = search.find(paths, environ, cwd)
    except ConfigError as error:
        return Outcome(None, error.problems, (), ())
    problems = Problems()
    configuration = assembly.read(found, environ, cwd, problems)
    plan = _checked(configuration, problems)
    roots = tuple(search.absolute(path, cwd) for path in found)
    return Outcome(None if problems else plan, problems.problems(), problems.warnings(), roots)


def _checked(configuration: Configuration, problems: Problems) -> Plan:
    """Return the plan of *configuration*; what stands between its services goes to *problems*."""
    services = configuration.services
    validate.check(services, problems)
    plan = configuration.plan.replace(services=validate.settle(services))
    validate.check_grace(services, plan.grace, problems)
    return plan
