"""Docker's verbs on real containers of a busybox image: output, exit codes, what is left."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.runtime_cli import Runtime, busybox_tar

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

IMAGE = "test/busybox:1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    directory = tmp_path_factory.mktemp("runtime")
    made = Runtime(directory)
    archive = busybox_tar(directory / "rootfs.tar")
    made("import", "-c", 'CMD ["sh"]', "-c", "LABEL kind=test", str(archive), IMAGE)
    yield made
    made.close()


@pytest.fixture
def runtime(store: Runtime) -> Iterator[Runtime]:
    """Return the command; no container of the test is left behind it."""
    yield store
    store.close()
    assert store("ps", "-aq") == ""


def detached(runtime: Runtime, name: str, *words: str) -> str:
    """Start a container in the background and return its id."""
    command = words or ("sleep", "1000")
    return runtime("run", "-d", "--net", "none", "--name", name, IMAGE, *command)


def status(runtime: Runtime, name: str) -> str:
    return runtime("inspect", "-f", "{{.State.Status}}", name)


# --- images --------------------------------------------------------------------------------


def test_images_are_listed_tagged_and_untagged(runtime: Runtime) -> None:
    runtime("tag", IMAGE, "other/name:2")

    head, *rows = runtime("images").splitlines()
    untagged = runtime("rmi", "other/name:2")

    assert head.split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert [row.split()[:2] for row in rows] == [["other/name", "2"], ["test/busybox", "1"]]
    assert untagged == "Untagged: other/name:2"
    assert runtime("images", "-q", "--no-trunc") == runtime("inspect", "-f", "{{.Id}}", IMAGE)


@pytest.mark.parametrize(
    ("filter_", "found"),
    [("label=kind=test", 1), ("label=kind=x", 0), ("reference=test/*", 1), ("dangling=true", 0)],
)
def test_images_are_filtered(runtime: Runtime, filter_: str, found: int) -> None:
    assert len(runtime("images", "-q", "--filter", filter_).split()) == found


def test_an_image_is_saved_and_loaded(runtime: Runtime, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    runtime("tag", IMAGE, "moved:1")
    runtime("save", "-o", str(archive), "moved:1")
    runtime("rmi", "moved:1")

    assert runtime("load", "-i", str(archive)) == "Loaded image: moved:1"
    assert runtime("history", "-q", "moved:1") == runtime("images", "-q", "moved")
    runtime("rmi", "moved:1")


def test_an_unknown_image_is_guessed(runtime: Runtime) -> None:
    code, said = runtime.refusal("run", "--pull", "never", "test/busibox:1", "true")

    assert code == 125
    assert said == 'runtime: no such image: test/busibox:1\ndid you mean "test/busybox:1"?\n'


# --- life ----------------------------------------------------------------------------------


def test_ps_shows_docker_s_columns(runtime: Runtime) -> None:
    container_id = detached(runtime, "web")

    head, row = runtime("ps").splitlines()

    assert head.split("  ")[0] == "CONTAINER ID"
    assert row.startswith(f'{container_id[:12]}   test/busybox:1   "sleep 1000"')
    assert row.endswith("web")
    assert runtime("ps", "-q") == container_id[:12]
    assert runtime("ps", "--format", "{{.Names}} {{.State}}") == "web running"
    assert json.loads(runtime("ps", "--format", "json"))["Image"] == IMAGE


def test_a_container_goes_through_its_life(runtime: Runtime) -> None:
    detached(runtime, "web")

    assert runtime("pause", "web") == "web"
    assert status(runtime, "web") == "paused"
    assert runtime("unpause", "web") == "web"
    assert runtime("stop", "-t", "5", "web") == "web"
    assert status(runtime, "web") == "exited"
    assert runtime("start", "web") == "web"
    assert runtime("restart", "-t", "5", "web") == "web"
    assert status(runtime, "web") == "running"
    assert runtime("kill", "web") == "web"
    assert runtime("wait", "web") == "137"
    assert runtime("rename", "web", "old") == ""
    assert runtime("rm", "old") == "old"


def test_wait_prints_the_exit_code(runtime: Runtime) -> None:
    detached(runtime, "web", "sh", "-c", "read x; exit 7")

    assert runtime("wait", "web") in ("7", "1")


def test_what_happens_to_one_of_several_does_not_keep_the_others(runtime: Runtime) -> None:
    detached(runtime, "web")

    said = runtime.run("kill", "nothing", "web")

    assert (said.returncode, said.stdout) == (1, "web\n")
    assert "no such container: nothing" in said.stderr


def test_a_running_container_is_removed_by_force_alone(runtime: Runtime) -> None:
    detached(runtime, "web")

    code, said = runtime.refusal("rm", "web")

    assert code == 1
    assert said == (
        "runtime: cannot remove container 'web': it is running\n"
        "runtime stop web, or runtime rm -f web\n"
    )
    assert runtime("rm", "-f", "web") == "web"


def test_a_name_in_use_says_by_whom(runtime: Runtime) -> None:
    container_id = detached(runtime, "web")

    code, said = runtime.refusal("run", "--name", "web", IMAGE, "true")

    assert code == 125
    assert said == (
        'runtime: Conflict. The container name "/web" is already in use by container '
        f"{container_id[:12]}\nruntime rm web, or runtime rename web OTHER\n"
    )


def test_created_containers_start_attached(runtime: Runtime) -> None:
    runtime("create", "--net", "none", "--name", "web", IMAGE, "sh", "-c", "echo out; exit 3")

    said = runtime.run("start", "-a", "web")

    assert (said.returncode, said.stdout) == (3, "out\n")


def test_attach_gives_the_container_our_stdin_and_its_exit_code(runtime: Runtime) -> None:
    runtime(
        "run", "-di", "--net", "none", "--name", "web", IMAGE, "sh", "-c", "read x; echo $x; exit 5"
    )

    said = runtime.run("attach", "web", text="hello\n")

    assert (said.returncode, said.stdout) == (5, "hello\n")


def test_exec_runs_beside_the_command(runtime: Runtime) -> None:
    detached(runtime, "web")

    said = runtime.run("exec", "-e", "A=b", "-w", "/tmp", "web", "sh", "-c", "echo $A; pwd; exit 4")

    assert (said.returncode, said.stdout) == (4, "b\n/tmp\n")
    assert runtime("exec", "-i", "web", "cat", text="through") == "through"
    assert runtime.refusal("exec", "web", "nothing")[0] == 127
    assert runtime.refusal("exec", "nobody", "true")[0] == 1


def test_update_changes_the_limits_of_a_running_container(runtime: Runtime) -> None:
    detached(runtime, "web")

    runtime("update", "--pids-limit", "50", "--restart", "on-failure:2", "web")

    host = runtime.inspect("web")["HostConfig"]
    assert host["PidsLimit"] == 50
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}


def test_prune_removes_stopped_containers(runtime: Runtime) -> None:
    detached(runtime, "up")
    stopped = runtime("create", IMAGE)

    said = runtime("container", "prune", "-f")

    assert said.startswith(f"Deleted Containers:\n{stopped}\n")
    assert runtime("ps", "-a", "--format", "{{.Names}}") == "up"


# --- looking -------------------------------------------------------------------------------


def test_logs_are_shown_whole_in_part_and_with_times(runtime: Runtime) -> None:
    command = "echo one; echo two; echo three"
    runtime("run", "--net", "none", "--name", "web", IMAGE, "sh", "-c", command)

    assert runtime("logs", "web") == "one\ntwo\nthree"
    assert runtime("logs", "--tail", "1", "web") == "three"
    stamp, text = runtime("logs", "-t", "-n", "1", "web").split()
    assert text == "three"
    assert len(stamp) == len("2026-01-02T03:04:05.000000006Z")
    assert runtime("logs", "--since", "2099-01-01", "web") == ""
    assert runtime("logs", "--until", "2099-01-01", "-n", "1", "web") == "three"


def test_logs_tell_the_streams_apart(runtime: Runtime) -> None:
    command = "echo out; echo error >&2"
    runtime("run", "--net", "none", "--name", "web", IMAGE, "sh", "-c", command)

    said = runtime.run("logs", "web")

    assert (said.stdout, said.stderr) == ("out\n", "error\n")


def test_logs_follow_until_the_end(runtime: Runtime) -> None:
    command = "read a; echo $a; read b; echo $b"
    runtime("run", "-di", "--net", "none", "--name", "web", IMAGE, "sh", "-c", command)
    following = runtime.start("logs", "-f", "web", stdout=subprocess.PIPE)
    try:
        runtime.run("attach", "web", text="first\nlast\n")

        out, _ = following.communicate(timeout=30)
    finally:
        following.kill()
    assert out == "first\nlast\n"
    assert following.returncode == 0


def test_inspect_finds_whatever_has_the_name(runtime: Runtime) -> None:
    detached(runtime, "web")
    runtime("volume", "create", "data")

    assert runtime.inspect("web")["Name"] == "/web"
    assert runtime.inspect(IMAGE)["RepoTags"] == [IMAGE]
    assert runtime.inspect("data")["Driver"] == "local"
    assert runtime.inspect("none")["Driver"] == "null"
    assert runtime("inspect", "-f", "{{json .State.Paused}}", "web") == "false"
    assert runtime.inspect("web")["State"]["Pid"] > 0
    runtime("volume", "rm", "data")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("inspect", "nothing"), 1, "runtime: no such object: nothing\n"),
        (("inspect", "--type", "image", "nothing"), 1, "runtime: no such image: nothing\n"),
        (("container", "inspect", "nothing"), 1, "runtime: no such container: nothing\n"),
        (("volume", "inspect", "nothing"), 1, "runtime: no such volume: nothing\n"),
        (
            ("inspect", "-f", "{{.X", "nothing"),
            64,
            "template parsing error: template: :1: unclosed",
        ),
        (("images", "--format", "{{.Nope}}"), 1, 'map has no entry for key "Nope"'),
    ],
)
def test_what_is_not_there_is_said(
    runtime: Runtime, words: tuple[str, ...], code: int, said: str
) -> None:
    found, text = runtime.refusal(*words)

    assert found == code
    assert said in text


def test_top_and_stats_see_the_processes(runtime: Runtime) -> None:
    detached(runtime, "web")

    eventually(lambda: "sleep 1000" in runtime("top", "web").splitlines()[-1][-10:])

    head, *rows = runtime("top", "web").splitlines()
    usage = runtime("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "web")

    assert head.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert any(row.endswith("sleep 1000") for row in rows)
    assert usage == f"web {len(rows)}"


def test_size_counts_what_was_written(runtime: Runtime) -> None:
    runtime.run("run", "--net", "none", "--name", "web", IMAGE, "sh", "-c", "echo 12345 > /tmp/x")

    assert runtime("ps", "-a", "--format", "{{.Size}}").startswith("6B (virtual ")
    assert json.loads(runtime("inspect", "-s", "web"))[0]["SizeRw"] == 6


# --- volumes, networks, the whole ----------------------------------------------------------


def test_volumes_are_made_listed_used_and_removed(runtime: Runtime) -> None:
    assert runtime("volume", "create", "--label", "a=b", "data") == "data"
    runtime("run", "--rm", "--net", "none", "-v", "data:/d", IMAGE, "touch", "/d/x")
    runtime("create", "--net", "none", "--name", "user", "-v", "data:/d", IMAGE)

    code, said = runtime.refusal("volume", "rm", "data")

    assert (code, "container user uses it" in said) == (1, True)
    assert runtime("volume", "ls", "-q", "--filter", "label=a=b") == "data"
    assert os.listdir(runtime.inspect("data")["Mountpoint"]) == ["x"]
    runtime("rm", "user")
    assert runtime("volume", "rm", "data") == "data"


def test_anonymous_volumes_go_when_they_are_asked_to(runtime: Runtime) -> None:
    runtime("create", "--net", "none", "--name", "kept", "-v", "/d", IMAGE)
    runtime("create", "--net", "none", "--name", "gone", "-v", "/d", IMAGE)

    runtime("rm", "-v", "gone")
    runtime("rm", "kept")

    assert len(runtime("volume", "ls", "-q", "--filter", "dangling=true").split()) == 1
    assert "Deleted Volumes:" in runtime("volume", "prune", "-f")
    assert runtime("volume", "ls", "-q", "--filter", "dangling=true") == ""


def test_system_df_counts_layers_once(runtime: Runtime) -> None:
    runtime("tag", IMAGE, "again:1")
    detached(runtime, "web")

    rows = [json.loads(line) for line in runtime("system", "df", "--format", "json").splitlines()]

    assert [(row["Type"], row["TotalCount"], row["Active"]) for row in rows[:2]] == [
        ("Images", "1", "1"),
        ("Containers", "1", "1"),
    ]
    runtime("rmi", "again:1")


def test_prune_asks_first(runtime: Runtime) -> None:
    runtime("create", "--net", "none", "--name", "kept", IMAGE)

    said = runtime("system", "prune", text="n\n")

    assert said.endswith("Are you sure you want to continue? [y/N] ")
    assert runtime("ps", "-a", "--format", "{{.Names}}") == "kept"
