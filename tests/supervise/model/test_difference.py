from __future__ import annotations

import pytest

from supervise.model.difference import IN_PLACE, compare, needs_new_process
from supervise.model.service import (
    Backoff,
    Dependency,
    HealthCheck,
    KillMode,
    LogFormat,
    LogSettings,
    OnFailure,
    Origin,
    Plan,
    Probe,
    Ready,
    RestartMode,
    RestartPolicy,
    ServiceSpec,
    ServiceType,
    StartLimit,
    Stdin,
)
from supervise.model.view import Difference
from tests.support.processes import make_spec

# Another value for every field but the name, sorted by what its change asks for.
IN_PLACE_CHANGES: dict[str, object] = {
    "autostart": False,
    "backoff": Backoff(initial=9.0),
    "depends_on": {"db": Dependency()},
    "essential": True,
    "kill_mode": KillMode.PROCESS,
    "logs": LogSettings(format=LogFormat.JSON),
    "on_failure": OnFailure.SHUTDOWN,
    "origin": Origin("/etc/supervise.yaml", 3),
    "reload_command": ("/bin/reload",),
    "reload_signal": 1,
    "restart": RestartPolicy(RestartMode.NO),
    "start_limit": StartLimit(),
    "stop_command": ("/bin/stop",),
    "stop_grace_period": 9.0,
    "stop_signal": 2,
    "success_exit_codes": (0, 3),
}
NEW_PROCESS_CHANGES: dict[str, object] = {
    "command": ("/bin/false",),
    "type": ServiceType.ONESHOT,
    "stdin": Stdin.TTY,
    "user": "nobody",
    "groups": ("audio",),
    "working_dir": "/srv",
    "umask": 0o77,
    "environment": {"A": "1"},
    "ulimits": {"nofile": (1, 1)},
    "nice": 5,
    "ionice": (2, 4),
    "oom_score_adj": 100,
    "cpus_allowed": (0,),
    "cap_add": ("NET_ADMIN",),
    "cap_drop": ("ALL",),
    "no_new_privileges": True,
    "ready": Ready(Probe(tcp="127.0.0.1:1")),
    "start_timeout": 9.0,
    "healthcheck": HealthCheck(Probe(tcp="127.0.0.1:1")),
}


def changed(field: str, value: object) -> tuple[ServiceSpec, ServiceSpec]:
    old = make_spec()
    return old, old.replace(**{field: value})


def test_this_test_knows_every_field_of_a_service() -> None:
    known = {"name", *IN_PLACE_CHANGES, *NEW_PROCESS_CHANGES}

    assert known == set(ServiceSpec._fields)
    assert set(IN_PLACE_CHANGES) == IN_PLACE


@pytest.mark.parametrize("field", sorted(IN_PLACE_CHANGES))
def test_change_in_place_keeps_the_process(field: str) -> None:
    old, new = changed(field, IN_PLACE_CHANGES[field])

    assert old != new
    assert not needs_new_process(old, new)


@pytest.mark.parametrize("field", sorted(NEW_PROCESS_CHANGES))
def test_change_that_the_program_sees_needs_a_new_process(field: str) -> None:
    old, new = changed(field, NEW_PROCESS_CHANGES[field])

    assert old != new
    assert needs_new_process(old, new)


def test_going_from_a_pipe_to_our_own_output_needs_a_new_process() -> None:
    piped, inherited = changed("logs", LogSettings(format=LogFormat.RAW))

    assert needs_new_process(piped, inherited)
    assert needs_new_process(inherited, piped)


def test_raw_lines_in_a_file_still_go_through_a_pipe() -> None:
    old, new = changed("logs", LogSettings(format=LogFormat.RAW, file="/var/log/web"))

    assert not needs_new_process(old, new)


def test_same_service_needs_nothing() -> None:
    assert not needs_new_process(make_spec(), make_spec())


def test_plans_are_compared_name_by_name_in_plan_order() -> None:
    old = Plan({name: make_spec(name) for name in ("gone", "same", "other", "same2")})
    new = Plan(
        {
            "fresh2": make_spec("fresh2"),
            "other": make_spec("other", nice=1),
            "same2": make_spec("same2"),
            "same": make_spec("same"),
            "fresh1": make_spec("fresh1"),
        }
    )

    assert compare(old, new) == Difference(
        added=("fresh2", "fresh1"),
        removed=("gone",),
        changed=("other",),
        unchanged=("same2", "same"),
    )


def test_a_service_that_moved_in_its_file_has_not_changed() -> None:
    old = make_spec(origin=Origin("/etc/supervise.yaml", 3))
    new = old.replace(origin=Origin("/etc/supervise.yaml", 4))

    difference = compare(Plan(services={"web": old}), Plan(services={"web": new}))

    assert difference.unchanged == ("web",)
    assert difference.changed == ()
