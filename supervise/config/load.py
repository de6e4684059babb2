"""Files → a Plan: finds them, lets their dialect read them, checks what it read as a whole.

Runs in a child of PID 1, in `supervise check` and its kin; never in PID 1 itself.
"""

from __future__ import annotations

import os

from supervise.config import dialects, ownership, search, validate
from supervise.config.dialects import Dialect
from supervise.config.problems import Problems
from supervise.model.errors import ConfigError, Problem
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Sequence as Seq

    from supervise.config.declared import Configuration
    from supervise.model.service import Plan

    # (roots, environ, working directory, where problems go) → what they declare.
    Reader = Callable[[Seq[str], Mapping[str, str], str, Problems], Configuration]


class LoadOutcome(Record):
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


def examine(paths: Seq[str] | None, environ: Mapping[str, str], cwd: str) -> LoadOutcome:
    """Return the plan, or every problem, and the warnings; never raises ConfigError."""
    try:
        found = search.find(paths, environ, cwd)
    except ConfigError as error:
        return LoadOutcome(None, error.problems, (), ())
    problems = Problems()
    dialect = dialects.of_file(os.path.join(cwd, found[0]))
    configuration = _reader(dialect)(found, environ, cwd, problems)
    plan = _checked(configuration, problems)
    roots = tuple(search.absolute(path, cwd) for path in found)
    for remark in ownership.remarks(configuration.plan.sources):
        problems.warn(remark)
    return LoadOutcome(None if problems else plan, problems.problems(), problems.warnings(), roots)


def _reader(dialect: Dialect) -> Reader:
    """Return what reads *dialect*, imported only now.

    All roots are of the dialect of the first: its reader reports those that are not.  A dialect
    without a reader falls to that of YAML, which says what the file is.
    """
    from supervise.config.yaml import assembly

    readers = {Dialect.YAML: assembly.read}
    return readers.get(dialect, assembly.read)


def _checked(configuration: Configuration, problems: Problems) -> Plan:
    """Return the plan of *configuration*; what stands between its services goes to *problems*."""
    services = configuration.services
    validate.check(services, problems)
    plan = configuration.plan.replace(services=validate.settle(services))
    validate.check_grace(services, plan.grace, problems)
    return plan
