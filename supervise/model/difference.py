"""What a new plan changes, and what of that needs a new process.  Pure."""

from __future__ import annotations

from supervise.model.service import LogFormat, Plan, ServiceSpec
from supervise.model.view import Difference

# Read when something happens, not when the program is executed: a change takes effect in place.
IN_PLACE = frozenset(
    {
        "autostart",
        "backoff",
        "depends_on",
        "essential",
        "kill_mode",
        "logs",
        "on_failure",
        "origin",
        "reload_command",
        "reload_signal",
        "restart",
        "start_limit",
        "stop_command",
        "stop_grace_period",
        "stop_signal",
        "success_exit_codes",
    }
)


def compare(old: Plan, new: Plan) -> Difference:
    """Return the names of services by what happens to them, in plan order."""
    before, after = old.services, new.services
    both = {name: _is_same(before[name], after[name]) for name in after if name in before}
    return Difference(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        changed=tuple(name for name, is_same in both.items() if not is_same),
        unchanged=tuple(name for name, is_same in both.items() if is_same),
    )


def _is_same(old: ServiceSpec, new: ServiceSpec) -> bool:
    """Return whether both say the same: a service moves when a line above it is added."""
    return old == new or old == new.replace(origin=old.origin)


def needs_new_process(old: ServiceSpec, new: ServiceSpec) -> bool:
    """Return whether a running process of *old* has to be replaced to become *new*."""
    if _is_inherited(old) != _is_inherited(new):
        return True
    return any(
        value != getattr(new, field) for field, value in old.items() if field not in IN_PLACE
    )


def _is_inherited(spec: ServiceSpec) -> bool:
    """Return whether the program writes to PID 1's own descriptors instead of a pipe."""
    return spec.logs.format is LogFormat.RAW and spec.logs.file is None
