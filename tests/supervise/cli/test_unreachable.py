"""supervisectl as a program: what goes wrong before anything happens."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.control import ControlServer, run_ctl, serving
from tests.support.eventually import eventually

NOBODY = 65534


@pytest.fixture
def public_directory() -> Iterator[str]:
    """A directory others can enter; pytest keeps its own to itself."""
    with tempfile.TemporaryDirectory(prefix="control-") as directory:
        os.chmod(directory, 0o755)
        yield directory


def test_no_daemon_says_where_it_looked(tmp_path: Path) -> None:
    done = run_ctl("status", environment={"XDG_RUNTIME_DIR": str(tmp_path)})

    assert done.returncode == 5
    assert "no control socket here; looked for" in done.stderr
    assert f"{tmp_path}/supervise/control.sock" in done.stderr
    assert "--socket PATH" in done.stderr


def test_a_socket_that_is_not_there_is_named_with_its_source(tmp_path: Path) -> None:
    option = run_ctl("status", "--socket", f"{tmp_path}/none")
    variable = run_ctl("status", environment={"SUPERVISE_SOCKET": f"{tmp_path}/none"})

    assert option.returncode == variable.returncode == 5
    assert f"'{tmp_path}/none' (from --socket): there is no such socket" in option.stderr
    assert "(from $SUPERVISE_SOCKET)" in variable.stderr


def test_a_stale_socket_is_recognised(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{tmp_path}/stale")

    done = run_ctl("status", "--socket", f"{tmp_path}/stale")

    assert done.returncode == 5
    assert f"nobody listens on '{tmp_path}/stale' any more" in done.stderr


def test_an_endless_path_is_an_error_not_a_traceback() -> None:
    done = run_ctl("status", "--socket", "/tmp/" + "x" * 200)

    assert done.returncode == 5
    assert "File name too long" in done.stderr


@pytest.mark.needs("root")
def test_without_permission_it_says_what_to_do(public_directory: str) -> None:
    with serving(f"{public_directory}/s") as server:
        done = server.ctl("status", user=NOBODY)

    assert done.returncode == 5
    assert f"not permitted to use '{public_directory}/s' as user {NOBODY}" in done.stderr
    assert "control.operators" in done.stderr


@pytest.mark.needs("root")
def test_readers_look_operators_do_and_strangers_get_a_refusal(public_directory: str) -> None:
    with serving(f"{public_directory}/s", "--reader", "1001", "--operator", "1002") as server:
        codes = {
            (user, verb): server.ctl(*verb.split(), user=user).returncode
            for user in (1001, 1002, 1003)
            for verb in ("status", "restart web")
        }
        refused = server.ctl("restart", "web", user=1001)
        stranger = server.ctl("status", user=1003)

    assert codes == {
        (1001, "status"): 0,
        (1001, "restart web"): 5,
        (1002, "status"): 0,
        (1002, "restart web"): 0,
        (1003, "status"): 5,
        (1003, "restart web"): 5,
    }
    assert "user 1001 may not do this; it takes root" in refused.stderr
    assert "control.readers" in stranger.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "what shall it do?  Name a verb"),
        (["stauts"], "there is no verb 'stauts'; did you mean 'status'?"),
        (["scale", "web=3"], "cannot scale: replicas are not supported by this version"),
        (["reexec"], "cannot reexec: an upgrade in place is not supported by this version"),
        (["start"], "start needs services, or --all"),
        (["start", "web", "--all"], "start takes services or --all, not both"),
        (["wait"], "wait needs more: SERVICE…"),
        (["health", "web"], "health does not know what to do with 'web'"),
        (["stop", "web", "--tiemout", "3"], "stop has no option '--tiemout'; did you mean"),
        (["stop", "web", "--timeout", "soon"], "--timeout soon: is no duration"),
        (["stop", "web", "--timeout"], "--timeout needs a value: T"),
        (["logs", "-n", "x"], "--lines x: is no number"),
        (["wait", "web", "--for", "redy"], "--for redy: there is no 'redy'; did you mean 'ready'?"),
        (["shutdown", "--exit-code", "256"], "--exit-code 256: is not between 0 and 255"),
        (["status", "--json=yes"], "--json takes no value"),
        (["completion", "tcsh"], "there is no completion for 'tcsh'"),
    ],
)
def test_usage_errors_exit_with_2_and_say_what_is_wrong(arguments: list[str], message: str) -> None:
    done = run_ctl(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "--help" in done.stderr


def test_a_supervise_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    server = ControlServer(str(tmp_path / "s"))
    with server.ctl_beside("events", "-f") as following:
        eventually(lambda: server.subscriptions() == 1)

        server.close()

        assert "closed the connection" in following.communicate(timeout=10)[1]
        assert following.returncode == 5
