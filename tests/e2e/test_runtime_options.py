"""Options of `run` that reach beyond the container: other containers, networks, streams."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox
from tests.support.tars import directory, file

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox", "nft")]

_SLEEP = ("busybox", "sleep", "1000")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("options"))
    made.import_tar("busybox", busybox(directory("data"), file("data/file", b"of the image\n")))
    made("network", "create", "shop")
    made("network", "create", "--subnet", "10.9.0.0/24", "yard")
    yield made
    made.close()


@pytest.fixture
def runtime(store: Runtime) -> Iterator[Runtime]:
    yield store
    for container_id in store.containers():
        store("rm", "--force", "--volumes", container_id)


def networks(runtime: Runtime, container: str) -> dict[str, Any]:
    shown = runtime("inspect", container).stdout
    return dict(json.loads(shown)[0]["NetworkSettings"]["Networks"])


def interfaces(runtime: Runtime, container: str) -> list[str]:
    """Return the container's addresses, in the order of its interfaces."""
    shown = runtime("exec", container, "ip", "-4", "-o", "addr").stdout
    return [line.split()[3].partition("/")[0] for line in shown.splitlines()][1:]


def refusal(runtime: Runtime, *arguments: str) -> str:
    done = runtime("run", "--rm", *arguments, check=False)
    assert done.returncode == 125
    return done.stderr


# -- mounts of others


def test_the_mounts_of_another_container_are_shared(runtime: Runtime, tmp_path: Path) -> None:
    mounts = ("-v", "things:/data", "-v", f"{tmp_path}:/host:ro", "-v", "/made", "--tmpfs", "/t")
    runtime.start("--name", "first", "--net", "none", *mounts, *_SLEEP)
    runtime("exec", "first", "sh", "-c", "echo here > /made/file")

    read = runtime.run("--volumes-from", "first", "busybox", "cat", "/data/file", "/made/file")
    write = runtime.run("--volumes-from", "first", "busybox", "touch", "/host/x", check=False)
    locked = runtime.run("--volumes-from", "first:ro", "busybox", "touch", "/data/x", check=False)
    own = runtime.run("--volumes-from", "first", "-v", "/data", "busybox", "ls", "/data")

    assert read.stdout == "of the image\nhere\n"
    assert "Read-only" in write.stderr
    assert "Read-only" in locked.stderr
    assert own.stdout == "file\n"
    runtime("rm", "--force", "first")
    runtime("volume", "rm", "things")


def test_the_volumes_of_a_container_that_is_not_there(runtime: Runtime) -> None:
    assert "no such container: x" in refusal(runtime, "--volumes-from", "x", "busybox", "true")
    assert "is not CONTAINER[:ro|rw]" in refusal(
        runtime, "--volumes-from", "x:z", "busybox", "true"
    )


def test_a_source_is_a_path_from_here(runtime: Runtime, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("of here\n")
    command = runtime.command(
        *("run", "--rm", "--net", "none", "-v", "./:/here", "busybox", "cat", "/here/file")
    )
    script = f'cd "{tmp_path}" && exec "$@"'

    shown = subprocess.run(
        ["sh", "-c", script, "sh", *command],
        env=runtime.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert shown.stdout == "of here\n"


# -- links and networks


def test_a_link_names_a_running_container(runtime: Runtime) -> None:
    server = runtime.start("--name", "server", *_SLEEP)
    address = networks(runtime, "server")["bridge"]["IPAddress"]

    hosts = runtime("run", "--rm", "--link", "server:db", "busybox", "cat", "/etc/hosts").stdout

    assert [line.split() for line in hosts.splitlines() if line.startswith(f"{address}\t")] == [
        [address, "db"],
        [address, "server"],
        [address, server[:12]],
    ]


def test_a_link_to_what_does_not_run_is_refused(runtime: Runtime) -> None:
    runtime("create", "--name", "server", *_SLEEP)

    said = refusal(runtime, "--link", "server:db", "busybox", "true")

    assert "cannot link to 'server' as 'db': it is not running on network 'bridge'" in said
    assert "runtime start server" in said


def test_a_container_is_on_several_networks(runtime: Runtime) -> None:
    two = ("--network", "name=shop,alias=till", "--network", "name=yard,ip=10.9.0.77,alias=gate")
    container = runtime.start("--name", "both", *two, *_SLEEP)
    runtime.start("--name", "near", "--net", "yard", *_SLEEP)

    hosts = runtime("exec", "near", "cat", "/etc/hosts").stdout

    assert interfaces(runtime, container)[1] == "10.9.0.77"
    assert list(networks(runtime, container)) == ["shop", "yard"]
    assert networks(runtime, container)["yard"]["Aliases"] == ["gate"]
    assert "10.9.0.77\tboth gate" in hosts
    assert "till" not in hosts
    runtime("rm", "--force", container)
    assert runtime.remains(container) == []


def test_a_connected_network_is_joined_again_at_every_start(runtime: Runtime) -> None:
    container = runtime.start("--name", "web", *_SLEEP)
    runtime("network", "connect", "--ip", "10.9.0.5", "--alias", "w", "yard", "web")
    assert interfaces(runtime, container)[1:] == ["10.9.0.5"]

    runtime("restart", "--time", "0", "web")
    again = interfaces(runtime, container)
    runtime("stop", "--time", "0", "web")

    assert again[1:] == ["10.9.0.5"]
    assert list(networks(runtime, "web")) == ["bridge", "yard"]
    assert runtime.leases() == []


def test_a_stopped_container_is_connected_and_disconnected(runtime: Runtime) -> None:
    runtime("create", "--name", "web", *_SLEEP)
    runtime("network", "connect", "--ip", "10.9.0.6", "yard", "web")
    twice = runtime("network", "connect", "yard", "web", check=False)
    runtime("network", "disconnect", "bridge", "web")
    runtime("start", "web")

    assert (twice.returncode, "is on that network already" in twice.stderr) == (1, True)
    assert interfaces(runtime, "web") == ["10.9.0.6"]
    absent = runtime("network", "disconnect", "shop", "web", check=False)
    assert (absent.returncode, absent.stderr) == (
        1,
        "runtime: container 'web' is not on network 'shop'\n",
    )


def test_a_network_that_is_left_gives_the_ports_back(runtime: Runtime) -> None:
    again = ("--restart", "on-failure", "busybox", "sh", "-c")
    runtime.start(
        "--name", "web", "-p", "8080:80", *again, "sleep 1000 & echo $! > /pid; wait; exit 1"
    )
    runtime("network", "connect", "yard", "web")

    runtime("network", "disconnect", "bridge", "web")
    runtime("run", "--rm", "-p", "8080:80", "busybox", "true")
    runtime("exec", "web", "sh", "-c", "kill $(cat /pid)")
    eventually(lambda: runtime.state(runtime.containers()[0]).restarts == 1)
    eventually(lambda: runtime.state(runtime.containers()[0]).status == "running")

    assert list(networks(runtime, "web")) == ["yard"]
    assert interfaces(runtime, "web") == ["10.9.0.2"]
    assert "8080->80/tcp" in runtime("ps", "--format", "{{.Ports}}").stdout


def test_a_running_container_can_be_on_no_network_for_a_while(runtime: Runtime) -> None:
    runtime.start("--name", "web", *_SLEEP)

    runtime("network", "disconnect", "bridge", "web")
    without = interfaces(runtime, "web")
    runtime("restart", "--time", "0", "web")
    still_without = interfaces(runtime, "web")
    runtime("stop", "--time", "0", "web")
    runtime("network", "connect", "yard", "web")
    runtime("start", "web")

    assert (without, still_without) == ([], [])
    assert interfaces(runtime, "web") == ["10.9.0.2"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--net", "host", "--ip", "10.9.0.9"), "cannot use --ip with --net host"),
        (("--net", "none", "--mac-address", "02:00:00:00:00:01"), "--mac-address with --net none"),
        (("--network-alias", "a"), "cannot use --network-alias with --net bridge"),
        (("--net", "shop", "--net", "host"), "--net host: it cannot be combined with others"),
        (("--net", "shop", "--net", "shop"), "--net shop: it is named twice"),
        (("--uts", "host", "--hostname", "x"), "cannot use --hostname"),
        (("--net", "name=shop,colour=red"), "'colour=red' is none of name=, alias="),
        (("--net", "shop", "--net", "nowhere"), "network 'nowhere' not found"),
        (("--log-driver", "syslog"), "--log-driver: there is no 'syslog' here, only json-file"),
        (("--volume-driver", "nfs"), "--volume-driver: there is no 'nfs' here, only local"),
        (("--device-cgroup-rule", "x 1:2 rw"), "'x 1:2 rw' is not 'TYPE MAJOR:MINOR rwm'"),
        (("--attach", "all"), "--attach: 'all' is none of stdin, stdout, stderr"),
        (("--attach", "stdout", "-d"), "--attach and --detach exclude each other"),
        (("--platform", "linux/s390x"), "not for linux/s390x"),
        (("--platform", "a/b/c/d"), "'a/b/c/d' is not OS/ARCHITECTURE"),
    ],
)
def test_what_would_be_taken_for_nothing_is_refused(
    runtime: Runtime, options: tuple[str, ...], said: str
) -> None:
    assert said in refusal(runtime, *options, "busybox", "true")
    assert runtime.containers() == []


# -- the rest


def test_a_name_of_its_own_on_the_hosts_network(runtime: Runtime) -> None:
    named = runtime("run", "--rm", "--net", "host", "--hostname", "other", "busybox", "hostname")
    plain = runtime("run", "--rm", "--net", "host", "busybox", "hostname")

    assert (named.stdout, plain.stdout) == ("other\n", f"{platform.node()}\n")


def test_only_the_streams_that_are_attached_are_shown(runtime: Runtime) -> None:
    both = ("busybox", "sh", "-c", "echo out; echo err >&2; exit 3")
    out = runtime.run("--attach", "stdout", *both, check=False)
    err = runtime.run("-a", "STDERR", *both, check=False)

    assert (out.stdout, out.stderr, out.returncode) == ("out\n", "", 3)
    assert (err.stdout, err.stderr, err.returncode) == ("", "err\n", 3)


def test_with_stdin_alone_attached_the_id_is_printed(runtime: Runtime) -> None:
    command = ("busybox", "sh", "-c", "cat")

    done = runtime("run", "--net", "none", "-i", "-a", "stdin", *command, text="given\n")

    assert done.stdout == f"{runtime.containers()[0]}\n"
    assert runtime("logs", done.stdout.strip()).stdout == "given\n"


def test_a_device_rule_allows_what_it_names(runtime: Runtime) -> None:
    make = "mknod /kmsg c 1 11 && head -c 1 /kmsg > /dev/null"

    able = ("--cap-add", "SYSLOG")  # which the kernel asks for beside
    refused = runtime.run(*able, "busybox", "sh", "-c", make, check=False)
    rule = ("--device-cgroup-rule", "c 1:11 rm")
    allowed = runtime.run(*able, *rule, "busybox", "sh", "-c", make)

    assert refused.returncode != 0
    assert allowed.returncode == 0


def test_the_machines_own_platform_is_fine(runtime: Runtime) -> None:
    own = f"linux/{platform.machine()}"

    assert runtime.run("--platform", own, "busybox", "echo", "here").stdout == "here\n"
