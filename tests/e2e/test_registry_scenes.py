"""Whole scenes with registries: the walk-through's names, a terminal, Ctrl-C, a full disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import hostile_registry as hostile
from tests.support.eventually import eventually
from tests.support.hostile_registry import HostileRegistry
from tests.support.registry import Registry
from tests.support.runtime_cli import Runtime
from tests.support.skopeo import Skopeo
from tests.support.terminal import Terminal

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("root", "busybox", "docker-registry", "skopeo"),
]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    made = Registry(tmp_path_factory.mktemp("registry"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def skopeo(tmp_path_factory: pytest.TempPathFactory) -> Skopeo:
    return Skopeo(tmp_path_factory.mktemp("skopeo"))


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    made = Runtime(tmp_path)
    yield made
    made.close()


@pytest.fixture
def slow() -> Iterator[HostileRegistry]:
    """Return a registry with ``slow:1``, whose one layer stops half-way."""
    made = HostileRegistry()
    made.image("slow:1", hostile.layer())
    made.fault("/blobs/", lambda handler, data: handler.send(200, data))  # the configuration
    yield made
    made.close()


class Gate:
    """Sends half a blob, and the rest when it is opened."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, handler: Any, data: bytes) -> None:
        handler.begin(200, len(data))
        handler.wfile.write(data[: len(data) // 2])
        handler.wfile.flush()
        self.reached.set()
        self.open.wait()
        handler.wfile.write(data[len(data) // 2 :])


def test_the_walk_through_s_base_image_comes_from_a_mirror(
    registry: Registry, skopeo: Skopeo, runtime: Runtime, tmp_path: Path
) -> None:
    skopeo.copy(skopeo.base, f"docker://{registry.host}/centos:latest")
    settings = tmp_path / "registries.yaml"
    mirrors = {"blocked": True, "mirrors": [f"http://{registry.host}"]}
    settings.write_text(json.dumps({"registries": {"daocloud.io": mirrors}}))
    runtime.environment["RUNTIME_REGISTRIES"] = str(settings)

    code, said = runtime.refusal("pull", "daocloud.io/centos:lastest")
    runtime("pull", "daocloud.io/centos:latest")

    assert code == 1
    assert said == 'runtime: no tag "lastest" of daocloud.io/centos\ndid you mean "latest"?\n'
    listed = runtime("images", "--format", "{{.Repository}}:{{.Tag}}")
    assert listed == "daocloud.io/centos:latest"
    shell = runtime.run(
        "run", "-i", "--rm", "--net", "none", "daocloud.io/centos", "sh", text="pwd"
    )
    assert shell.stdout == "/\n"


def test_a_misspelt_name_that_no_registry_has_is_told_with_the_image_that_is_here(
    slow: HostileRegistry, runtime: Runtime, tmp_path: Path
) -> None:
    runtime("pull", f"{slow.host}/slow:1")
    runtime("tag", f"{slow.host}/slow:1", "my_first_image")
    settings = tmp_path / "registries.yaml"
    hub = {"blocked": True, "mirrors": [f"http://{slow.host}"]}
    settings.write_text(json.dumps({"registries": {"docker.io": hub}}))
    runtime.environment["RUNTIME_REGISTRIES"] = str(settings)

    code, said = runtime.refusal("run", "my_first_imgae", "bash")

    assert code == 125
    assert said.splitlines() == [
        "Unable to find image 'my_first_imgae:latest' locally",
        "runtime: no such image: my_first_imgae",
        'did you mean "my_first_image:latest"?',
        f"cannot pull my_first_imgae:latest: there is no such repository at http://{slow.host}",
    ]


@pytest.mark.parametrize(
    ("form", "compression"), [("v2s2", "gzip"), ("oci", "gzip"), ("oci", "zstd")]
)
def test_every_form_that_skopeo_writes_is_read(
    registry: Registry, skopeo: Skopeo, runtime: Runtime, form: str, compression: str
) -> None:
    name = f"{registry.host}/{form}-{compression}:1"
    options = (f"--format={form}", f"--dest-compress-format={compression}")
    skopeo.copy(skopeo.archive(f"{form}-{compression}"), f"docker://{name}", *options)
    kinds = {
        layer["mediaType"] for layer in registry.manifest(f"{form}-{compression}", "1")["layers"]
    }
    assert all(("zstd" in kind) == (compression == "zstd") for kind in kinds)

    runtime("pull", name)

    image = runtime.inspect(name)
    assert image["Id"] == registry.manifest(f"{form}-{compression}", "1")["config"]["digest"]
    assert image["RepoDigests"][0].endswith(
        registry.manifest(f"{form}-{compression}", "1")["digest"]
    )


def test_of_several_platforms_this_machine_s_is_taken_or_the_one_asked_for(
    registry: Registry, skopeo: Skopeo, runtime: Runtime
) -> None:
    skopeo.copy(skopeo.base, f"docker://{registry.host}/multi:one", "--format=oci")
    one = registry.manifest("multi", "one")
    entries = [
        {
            "mediaType": one["mediaType"],
            "digest": one["digest"],
            "size": one["size"],
            "platform": {"os": "linux", "architecture": machine},
        }
        for machine in ("s390x", "amd64")
    ]
    digest = registry.put_index("multi", "latest", entries)

    runtime("pull", f"{registry.host}/multi")
    code, said = runtime.refusal("pull", "--platform", "linux/arm64", f"{registry.host}/multi")

    assert runtime.inspect(f"{registry.host}/multi")["RepoDigests"] == [
        f"{registry.host}/multi@{digest}"
    ]
    assert code == 1
    assert "it has no image for linux/arm64\nthere is linux/amd64, linux/s390x" in said


def test_all_tags_are_pulled(registry: Registry, skopeo: Skopeo, runtime: Runtime) -> None:
    for tag in ("one", "two"):
        skopeo.copy(skopeo.base, f"docker://{registry.host}/tags:{tag}")

    said = runtime("pull", "--all-tags", "--quiet", f"{registry.host}/tags")

    assert said.splitlines() == [f"{registry.host}/tags:one", f"{registry.host}/tags:two"]


def test_a_person_at_a_terminal_sees_how_far_it_is(slow: HostileRegistry, runtime: Runtime) -> None:
    gate = Gate()
    slow.fault("/blobs/", gate)
    terminal = Terminal()
    try:
        client = runtime.start("pull", f"{slow.host}/slow:1", stdout=terminal.device)
        terminal.wait_for("Downloading [==============>")
        gate.open.set()

        assert client.wait(60) == 0

        terminal.wait_for(f"{slow.host}/slow:1\n")
        assert "Pull complete" in terminal.screen
        assert "\x1b[1A" in terminal.screen
    finally:
        gate.open.set()
        terminal.close()


def test_a_program_gets_an_object_a_line(slow: HostileRegistry, runtime: Runtime) -> None:
    said = runtime("pull", "--progress", "json", f"{slow.host}/slow:1")

    found = [json.loads(line) for line in said.splitlines()]
    assert found[0] == {"status": "1: Pulling from slow"}
    assert any("progressDetail" in one for one in found)
    assert found[-1]["status"].startswith("Status: Downloaded newer image")


def test_ctrl_c_leaves_a_sound_store_and_what_came_is_not_asked_for_again(
    slow: HostileRegistry, runtime: Runtime
) -> None:
    gate = Gate()
    slow.fault("/blobs/", gate)
    name = f"{slow.host}/slow:1"
    client = runtime.start(
        "pull", name, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        downloads = runtime.root / "images/downloads"
        eventually(lambda: sum(path.stat().st_size for path in downloads.iterdir()) > 0)
        assert gate.reached.wait(15)
        half = eventually(lambda: [p.stat().st_size for p in downloads.iterdir()])[0]

        os.killpg(client.pid, signal.SIGINT)
        _, said = client.communicate(timeout=15)

        assert client.returncode == 130
        assert "Traceback" not in said
        assert runtime("images", "-q") == ""
        assert [path.name for path in (runtime.root / "layers").glob(".tmp-*")] == []
        gate.open.set()
        runtime("pull", name)
        asked = [one.headers.get("range") for one in slow.asked("/blobs/")]
        assert asked[-1] is not None
        assert int(asked[-1].removeprefix("bytes=").rstrip("-")) >= half
    finally:
        gate.open.set()
        client.kill()


def test_a_full_disk_is_told_and_leaves_nothing(slow: HostileRegistry, runtime: Runtime) -> None:
    runtime.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "none", runtime.root], check=True)
    try:
        code, said = runtime.refusal("pull", f"{slow.host}/slow:1")

        assert code == 1
        assert "No space left on device" in said
        assert os.listdir(runtime.root / "images/downloads") == []
        assert runtime("images", "-q") == ""
        subprocess.run(["mount", "-o", "remount,size=20m", runtime.root], check=True)
        runtime("pull", f"{slow.host}/slow:1")
    finally:
        subprocess.run(["umount", runtime.root], check=True)


def test_pulls_at_the_same_time_share_the_work(slow: HostileRegistry, runtime: Runtime) -> None:
    gate = Gate()
    slow.fault("/blobs/", gate)
    name = f"{slow.host}/slow:1"
    first = runtime.start("pull", name, stdout=subprocess.PIPE)
    assert gate.reached.wait(15)
    second = runtime.start("pull", name, stdout=subprocess.PIPE)
    eventually(lambda: len(slow.asked("/manifests/")) == 2)

    gate.open.set()

    assert [client.wait(60) for client in (first, second)] == [0, 0]
    for client in (first, second):
        client.communicate()
    layers = [one for one in slow.asked("/blobs/") if "range" not in one.headers]
    assert len({str(one) for one in layers}) == 2
    assert len(layers) <= 3  # the configuration perhaps twice, the layer once
    assert runtime("images", "-q")
