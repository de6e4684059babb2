"""What two plans must have in common to mean the same."""

from __future__ import annotations

from supervise.model.service import Plan


def meaning(plan: Plan) -> Plan:
    """Return *plan* without what says where it comes from."""
    services = {name: spec.replace(origin=None) for name, spec in plan.services.items()}
    return plan.replace(services=services, sources=(), variables={})
