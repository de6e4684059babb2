"""Limits, priorities, users, capabilities of a started program: seen by the system's own tools."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest

from supervise.linux import capabilities, identity
from supervise.linux.identity import Identity
from supervise.linux.request import SpawnError
from tests.support import procfs
from tests.support.spawning import held, make_request, run, spawn_elsewhere, start

# Under xdist the worker has a thread more; fork and then exec is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
needs_root = pytest.mark.needs("root")

STRANGER = Identity(54321, 54322, (54322, 54323))
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NONE: set[str] = set()


def said(*command: str) -> str:
    """Return what *command* prints: another pair of eyes."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def refusal(**fields: Any) -> SpawnError:
    with pytest.raises(SpawnError) as caught:
        start(make_request("cat", **fields))
    return caught.value


def names_in(hexadecimal: str) -> set[str]:
    """Return the capabilities in a mask as /proc/PID/status writes it."""
    mask = int(hexadecimal, 16)
    return {name for number, name in enumerate(capabilities.NAMES) if mask >> number & 1}


def sets_of(status: dict[str, str]) -> dict[str, set[str]]:
    return {name: names_in(status[name]) for name in SETS}


def sets_with(**fields: Any) -> dict[str, set[str]]:
    """Return the capability sets of a program that was started with *fields*."""
    with held(make_request("cat", **fields)) as pid:
        return sets_of(procfs.status(pid))


# -- limits and priorities


@pytest.mark.parametrize(
    ("name", "limits"), [("nofile", (100, 200)), ("core", (0, 0)), ("stack", (1 << 20, 1 << 21))]
)
def test_resource_limits(name: str, limits: tuple[int, int]) -> None:
    which = getattr(resource, f"RLIMIT_{name.upper()}")

    with held(make_request("cat", rlimits={which: limits})) as pid:
        found = said(
            "prlimit", f"--pid={pid}", f"--{name}", "--raw", "--noheadings", "-o", "SOFT,HARD"
        )

    assert found.split() == [str(limit) for limit in limits]


def test_own_limit_counts_more_than_the_one_given_back() -> None:
    found = spawn_elsewhere(
        "sh", "-c", "ulimit -Sn", nofile=64, raise_limit=True, rlimits={"NOFILE": [99, 200]}
    )

    assert found["stdout"] == "99\n"


@needs_root
def test_unlimited() -> None:
    with held(make_request("cat", rlimits={resource.RLIMIT_CORE: (-1, -1)})) as pid:
        assert (
            said("prlimit", f"--pid={pid}", "--core", "--noheadings", "-o", "HARD") == "unlimited"
        )


def test_limit_that_cannot_be() -> None:
    error = refusal(rlimits={resource.RLIMIT_NOFILE: (200, 100)})

    assert (error.stage, error.errno) == ("ulimits", errno.EINVAL)
    assert error.message.startswith("cannot set ulimits: nofile 200:100: ")


@needs_root
def test_limit_above_the_containers_says_which_and_how_high_it_may_be() -> None:
    found = spawn_elsewhere("true", uid=12345, nproc=100, rlimits={"NPROC": [99, 101]})

    why = "cannot set ulimits: nproc 99:101: only up to the 100 of this container"
    assert found["error"] == ["ulimits", errno.EINVAL, why]


def test_nice() -> None:
    with held(make_request("cat", nice=7)) as pid:
        assert said("ps", "-o", "ni=", "-p", str(pid)) == "7"


@needs_root
def test_nice_below_our_own() -> None:
    with held(make_request("cat", nice=-5, identity=STRANGER)) as pid:
        assert said("ps", "-o", "ni=", "-p", str(pid)) == "-5"


@pytest.mark.parametrize(("ionice", "words"), [((2, 3), "best-effort: prio 3"), ((3, 0), "idle")])
def test_ionice(ionice: tuple[int, int], words: str) -> None:
    with held(make_request("cat", ionice=ionice)) as pid:
        assert said("ionice", "-p", str(pid)) == words


def test_ionice_class_that_is_not_there() -> None:
    error = refusal(ionice=(7, 0))

    assert (error.stage, error.errno) == ("ionice", errno.EINVAL)
    assert error.message == "cannot set ionice: ioprio_set: Invalid argument"


def test_oom_score_adj() -> None:
    with held(make_request("cat", oom_score_adj=321)) as pid:
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "321\n"


def test_cpus_allowed() -> None:
    last = max(os.sched_getaffinity(0))

    with held(make_request("cat", cpus=(last,))) as pid:
        assert procfs.status(pid)["Cpus_allowed_list"] == str(last)


def test_cpu_that_is_not_there() -> None:
    error = refusal(cpus=(1000,))

    assert (error.stage, error.errno) == ("cpus_allowed", errno.EINVAL)
    assert error.message == "cannot set cpus_allowed: Invalid argument"


def test_our_own_priorities_and_limits_stay_as_they_are() -> None:
    before = [Path(f"/proc/self/{name}").read_text() for name in ("limits", "oom_score_adj")]

    with held(make_request("cat", nice=3, oom_score_adj=9, rlimits={resource.RLIMIT_CORE: (0, 0)})):
        after = [Path(f"/proc/self/{name}").read_text() for name in ("limits", "oom_score_adj")]

    assert after == before
    assert os.getpriority(os.PRIO_PROCESS, 0) != 3


# -- users


@needs_root
def test_user_and_groups_are_changed_for_good() -> None:
    with held(make_request("cat", identity=STRANGER)) as pid:
        status = procfs.status(pid)

    assert status["Uid"].split() == ["54321"] * 4
    assert status["Gid"].split() == ["54322"] * 4
    assert status["Groups"].split() == ["54322", "54323"]


@needs_root
def test_named_user_is_who_id_says(tmp_path: Path) -> None:
    who = identity.resolve("daemon")

    _, printed = run(make_request("id", identity=who))

    assert printed.strip() == said("id", "daemon")


@needs_root
def test_plain_user_has_no_capabilities_left() -> None:
    found = sets_with(identity=STRANGER)

    assert [found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [NONE] * 4


@needs_root
def test_root_again_is_not_root_without_groups() -> None:
    _, printed = run(make_request("id", "-G", identity=Identity(0, 0, (0, 54323))))

    assert printed.split() == ["0", "54323"]


@needs_root
def test_user_that_is_ourselves_needs_no_privileges() -> None:
    found = spawn_elsewhere("id", "-u", uid=54321, user="54321:54321")

    assert found["stdout"] == "54321\n"


@needs_root
def test_other_user_cannot_be_had_without_privileges() -> None:
    found = spawn_elsewhere("id", "-u", uid=54321, user="54324:54324")

    assert found["error"] == [
        "user",
        errno.EPERM,
        "cannot set user: Operation not permitted",
    ]


@needs_root
def test_directory_is_entered_as_the_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)

    error = refusal(identity=STRANGER, working_dir=str(tmp_path))

    assert (error.stage, error.errno) == ("chdir", errno.EACCES)
    assert error.message == f"cannot change to directory '{tmp_path}': Permission denied"


# -- capabilities


@needs_root
def test_dropped_capability_is_gone_from_root() -> None:
    ours = sets_of(procfs.status(os.getpid()))

    found = sets_with(cap_drop=("NET_RAW", "CHOWN"))

    gone = {"NET_RAW", "CHOWN"}
    assert found["CapBnd"] == ours["CapBnd"] - gone
    assert found["CapEff"] == found["CapPrm"] == ours["CapBnd"] - gone


@needs_root
def test_root_without_any_capability() -> None:
    assert sets_with(cap_drop=("ALL",)) == dict.fromkeys(SETS, NONE)


@needs_root
def test_all_but_one() -> None:
    found = sets_with(cap_drop=("ALL",), cap_add=("KILL",))

    assert found["CapEff"] == found["CapPrm"] == found["CapBnd"] == {"KILL"}


@needs_root
def test_dropped_capability_does_not_come_back_as_inheritable() -> None:
    found = spawn_elsewhere(
        "cat",
        "/proc/self/status",
        prefix=("setpriv", "--inh-caps=+net_raw,+chown"),
        request={"cap_drop": ["NET_RAW"]},
    )

    sets = sets_of(procfs.parse_status(found["stdout"]))
    assert "NET_RAW" not in set.union(*sets.values())
    assert "CHOWN" in sets["CapInh"]


@needs_root
def test_plain_user_keeps_what_it_is_given() -> None:
    given = {"NET_BIND_SERVICE", "SYS_NICE"}

    found = sets_with(identity=STRANGER, cap_add=tuple(given))

    assert [found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [given] * 4


@needs_root
def test_plain_user_has_nothing_but_what_it_is_given() -> None:
    found = sets_with(identity=STRANGER, cap_drop=("ALL",), cap_add=("NET_BIND_SERVICE",))

    assert found == {name: {"NET_BIND_SERVICE"} for name in SETS}


@needs_root
def test_plain_user_hands_its_capabilities_on_to_its_children() -> None:
    request = make_request(
        "sh", "-c", "cat /proc/self/status; true", identity=STRANGER, cap_add=("NET_RAW",)
    )

    _, printed = run(request)

    assert sets_of(procfs.parse_status(printed))["CapEff"] == {"NET_RAW"}


@needs_root
@pytest.mark.parametrize("user", ["0:0", "54321:54321"])
def test_capability_that_the_container_lacks_is_named(user: str) -> None:
    found = spawn_elsewhere(
        "true",
        prefix=("setpriv", "--bounding-set=-net_raw,-chown"),
        user=user,
        request={"cap_add": ["NET_RAW", "KILL"]},
    )

    assert found["error"] == [
        "cap_add",
        errno.EPERM,
        "cannot set cap_add: this container does not have NET_RAW",
    ]


@needs_root
def test_capabilities_cannot_be_dropped_without_privileges() -> None:
    found = spawn_elsewhere("true", uid=54321, request={"cap_drop": ["NET_RAW"]})

    assert found["error"] == [
        "cap_drop",
        errno.EPERM,
        (
            "cannot set cap_drop: PID 1 has no CAP_SETPCAP; "
            "drop them for the whole container, or run it as root"
        ),
    ]


@needs_root
def test_our_own_capabilities_stay_as_they_are() -> None:
    before = sets_of(procfs.status(os.getpid()))

    sets_with(cap_drop=("ALL",), identity=STRANGER, cap_add=("KILL",))

    assert sets_of(procfs.status(os.getpid())) == before


@pytest.mark.parametrize("wanted", [False, True])
def test_no_new_privileges(*, wanted: bool) -> None:
    with held(make_request("cat", way="fork", no_new_privileges=wanted)) as pid:
        assert procfs.status(pid)["NoNewPrivs"] == str(int(wanted))


@needs_root
@pytest.mark.parametrize("wish", [{"no_new_privileges": True}, {"cap_add": ["KILL"]}])
def test_user_who_cannot_read_our_interpreter_is_served_all_the_same(wish: dict[str, Any]) -> None:
    found = spawn_elsewhere("id", "-u", user="54321:54321", private=True, request=wish)

    assert found["stdout"] == "54321\n"
