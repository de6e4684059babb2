"""What is refused names the thing and the way out, and leaves nothing behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runtime import Runtime, busybox
from tests.support.scripts import PROGRAMS

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox", "nft")]

_MAIN = "import sys; from runtime.cli.main import main; sys.exit(main())"
# The same on x86-64 and arm64 from 424 on.
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = "428", "429", "442"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("refusals"))
    made.import_tar("shop/busybox:1", busybox())
    made("run", "--rm", "--net", "none", "shop/busybox:1", "true")  # the bundle is there
    yield made
    made.close()


@pytest.fixture
def runtime(store: Runtime) -> Iterator[Runtime]:
    yield store
    for container_id in store.containers():
        store("rm", "--force", container_id)


def refused(runtime: Runtime, *arguments: str, code: int = 125) -> str:
    done = runtime(*arguments, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    return done.stderr


def test_an_image_that_is_not_there_lists_what_is(runtime: Runtime) -> None:
    never = ("run", "--pull", "never")

    assert refused(runtime, *never, "nginx", "true").splitlines() == [
        "runtime: no such image: nginx",
        'there is "host:latest", "shop/busybox:1"',
    ]
    assert refused(runtime, *never, "shop/busybox:new", "true").splitlines() == [
        'runtime: no tag "new" of shop/busybox',
        'there is "1"',
    ]
    assert refused(runtime, *never, "shop/busibox:1", "true").splitlines() == [
        "runtime: no such image: shop/busibox:1",
        'did you mean "shop/busybox:1"?',
    ]


def test_a_port_in_use_says_by_which_container(runtime: Runtime) -> None:
    runtime.start("--name", "first", "-p", "8080:80", "shop/busybox:1", "sleep", "1000")
    second = ("run", "--rm", "-p", "127.0.0.1:8080:80", "shop/busybox:1", "true")

    assert refused(runtime, *second).splitlines() == [
        "runtime: cannot publish port 127.0.0.1:8080/tcp: port 8080 is in use by container 'first'",
        "choose another host port: -p 8081:80",
    ]


def test_a_port_in_use_says_by_which_program(runtime: Runtime) -> None:
    with runtime.network.socket(2, 1) as taken:
        taken.bind(("0.0.0.0", 8080))
        taken.listen()

        said = refused(runtime, "run", "--rm", "-p", "8080:80", "shop/busybox:1", "true")

    assert "cannot publish port 8080/tcp" in said
    assert f"pid {os.getpid()}" in said


def test_a_name_in_use_says_by_whom(runtime: Runtime) -> None:
    container = runtime.start("--name", "first", "--net", "none", "shop/busybox:1", "sleep", "9")

    said = refused(runtime, "run", "--name", "first", "shop/busybox:1", "true")

    assert f'"/first" is already in use by container {container[:12]}' in said
    assert "runtime rm first, or runtime rename first OTHER" in said


def test_only_root_may(runtime: Runtime) -> None:
    # What it imports is read before: the tree may be where only root looks.
    drop = "import os, runtime.cli.main, runtime.cli.containers.ps; os.setresuid(1234, 1234, 1234);"

    done = runtime("ps", check=False, program=[sys.executable, "-c", f"{drop} {_MAIN}"])

    assert done.returncode == 125
    assert done.stderr == "runtime: only root can do that\nrun it as root: sudo runtime …\n"


@pytest.mark.parametrize("call", [OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR])
def test_a_kernel_that_lacks_a_call_is_named(runtime: Runtime, call: str, tmp_path: Path) -> None:
    without = [sys.executable, str(PROGRAMS / "without_syscalls.py"), call, "--"]
    program = [*without, sys.executable, "-c", _MAIN]
    id_file = tmp_path / "id"

    done = runtime(
        *("run", "--cidfile", str(id_file), "shop/busybox:1", "true"), check=False, program=program
    )

    assert done.returncode == 125
    assert "Function not implemented" in done.stderr
    assert f"here is {os.uname().release}" in done.stderr
    runtime("rm", id_file.read_text())
    assert runtime.remains(id_file.read_text()) == []
    assert runtime.leases() == []


def test_a_container_without_services_has_nothing_to_control(runtime: Runtime) -> None:
    runtime.start("--name", "one", "--net", "none", "shop/busybox:1", "sleep", "1000")
    runtime.start("--name", "bare", "--no-init", "--net", "none", "shop/busybox:1", "sleep", "9")

    assert "has no services" in refused(runtime, "ctl", "one", code=1)
    assert "was made with --no-init" in refused(runtime, "ctl", "bare", code=1)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("load", "-i", "/no/such"), 1, "cannot open '/no/such': No such file or directory"),
        (("import", "/no/such"), 1, "cannot open '/no/such'"),
        (("run",), 1, "requires at least 1 argument"),
        (("rmm",), 1, "did you mean 'runtime rm'?"),
        (("run", "--memry", "1g", "x"), 125, "did you mean --memory?"),
        (("network", "rm", "bridge"), 1, "it is built in"),
        (("volume", "rm", "none"), 1, "no such volume: none"),
        (("run", "-w", "tmp", "shop/busybox:1"), 125, "--workdir: 'tmp' is not absolute"),
        (("run", "-m", "1k", "shop/busybox:1"), 125, "less than the 6m that a container needs"),
    ],
)
def test_each_refusal_is_one_sentence_and_a_way_out(
    runtime: Runtime, words: tuple[str, ...], code: int, said: str
) -> None:
    shown = refused(runtime, *words, code=code)

    assert shown.startswith("runtime: ")
    assert said in shown
    assert "Traceback" not in shown
