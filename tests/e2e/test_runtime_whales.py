"""PyPI's python-on-whales drives `runtime` through a link named docker.

It parses everything it is shown with pydantic: a key that is missing or of the wrong type fails.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from python_on_whales import DockerClient
from python_on_whales.exceptions import (
    DockerException,
    NoSuchContainer,
    NoSuchImage,
    NoSuchNetwork,
    NoSuchVolume,
)

from tests.support.runtime_cli import Runtime, busybox_tar

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

IMAGE = "whale/busybox:1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, DockerClient]]:
    directory = tmp_path_factory.mktemp("whales")
    runtime = Runtime(directory)
    program = directory / "docker"
    settings = [f"export {key}={shlex.quote(runtime.environment[key])}" for key in
                ("RUNTIME_ROOT", "PYTHONPATH")]  # fmt: skip
    command = shlex.join(runtime.command)
    program.write_text("\n".join(["#!/bin/sh", *settings, f'exec {command} "$@"', ""]))
    program.chmod(0o755)
    client = DockerClient(client_call=[str(program)])
    client.image.import_(
        str(busybox_tar(directory / "rootfs.tar")), IMAGE, changes=['CMD ["sh"]', "LABEL a=b"]
    )
    yield runtime, client
    runtime.close()


@pytest.fixture
def docker(store: tuple[Runtime, DockerClient]) -> Iterator[DockerClient]:
    """Return the client; no container of the test is left behind it."""
    runtime, client = store
    yield client
    runtime.close()
    assert client.container.list(all=True) == []


def test_the_engine_tells_about_itself(docker: DockerClient) -> None:
    version, info = docker.version(), docker.system.info()

    assert version.client is not None
    assert version.client.version == info.server_version
    assert info.os_type == "linux"
    assert (info.n_cpu or 0) > 0
    assert docker.system.disk_free().images.total_count == 1


def test_images(docker: DockerClient, tmp_path: Path) -> None:
    image = docker.image.inspect(IMAGE)
    docker.image.tag(IMAGE, "whale/other:2")
    docker.image.save("whale/other:2", output=tmp_path / "image.tar")
    docker.image.remove("whale/other:2")

    assert docker.image.load(tmp_path / "image.tar") == ["whale/other:2"]
    assert docker.image.inspect("whale/other:2").id == image.id
    assert image.config is not None
    assert image.config.cmd == ["sh"]
    assert image.architecture
    assert (image.size or 0) > 0
    assert [each.id for each in docker.image.list("whale/busybox")] == [image.id]
    assert docker.image.exists(IMAGE)
    assert not docker.image.exists("nothing")
    docker.image.remove("whale/other:2")
    docker.image.prune()
    assert docker.image.exists(IMAGE)


def test_a_container_in_the_foreground(docker: DockerClient) -> None:
    assert docker.run(IMAGE, ["echo", "hello"], remove=True, networks=["none"]) == "hello"
    streamed = docker.run(IMAGE, ["echo", "hi"], remove=True, stream=True, networks=["none"])
    assert list(streamed) == [("stdout", b"hi\n")]
    with pytest.raises(DockerException) as failed:
        docker.run(IMAGE, ["sh", "-c", "exit 3"], remove=True, networks=["none"])
    assert failed.value.return_code == 3


def test_a_container_in_the_background(docker: DockerClient, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    container = docker.run(
        IMAGE,
        ["sleep", "1000"],
        detach=True,
        name="web",
        networks=["none"],
        envs={"A": "b"},
        labels={"role": "test"},
        volumes=[("data", "/data"), (tmp_path, "/mnt", "ro")],
        restart="on-failure:2",
        memory="64m",
        cpus=0.5,
        hostname="inside",
    )

    assert container.state.running
    assert "A=b" in (container.config.env or [])
    assert container.config.labels == {"a": "b", "role": "test"}
    assert container.host_config.memory == 64 << 20
    assert [mount.type for mount in container.mounts] == ["volume", "bind"]
    assert container.host_config.restart_policy is not None
    assert container.host_config.restart_policy.maximum_retry_count == 2
    assert [each.name for each in docker.ps(filters=[("label", "role=test")])] == ["web"]
    assert container.execute(["cat", "/mnt/file"]) == "text"
    assert docker.execute("web", ["sh", "-c", "echo $B; pwd"], envs={"B": "c"}, workdir="/tmp") == (
        "c\n/tmp"
    )


def test_a_container_s_life(docker: DockerClient) -> None:
    container = docker.create(IMAGE, ["sleep", "1000"], name="web", networks=["none"])

    assert container.state.status == "created"
    container.start()
    container.pause()
    assert container.state.paused
    container.unpause()
    container.rename("other")
    assert container.name == "other"
    docker.container.update("other", pids_limit=50)
    container.restart(time=5)
    assert container.state.running
    assert docker.stats("other")[0].container_name == "other"
    container.kill()
    assert docker.wait("other") == 137
    container.start()
    container.stop(time=5)
    assert container.state.status == "exited"
    container.remove(volumes=True)
    assert not docker.container.exists("other")


def test_a_container_s_files_and_logs(docker: DockerClient, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    container = docker.run(
        IMAGE, ["sh", "-c", "echo said; sleep 1000"], detach=True, networks=["none"]
    )

    container.copy_to(tmp_path / "file", "/tmp/in")
    container.copy_from("/tmp/in", tmp_path / "out")
    container.export(tmp_path / "all.tar")
    image = container.commit("whale/made:1", message="why")

    assert (tmp_path / "out").read_text() == "text"
    assert container.diff() == {"/tmp": "C", "/tmp/in": "A"}
    assert (tmp_path / "all.tar").stat().st_size > 100_000
    assert image.repo_tags == ["whale/made:1"]
    docker.kill(container)
    followed = docker.logs(container, follow=True, stream=True)
    assert list(followed) == [("stdout", b"said\n")]
    docker.image.remove("whale/made:1", force=True)


def test_networks(docker: DockerClient) -> None:
    network = docker.network.create("whales", labels={"a": "b"})
    container = docker.run(
        IMAGE, ["sleep", "1000"], detach=True, networks=["whales"], network_aliases=["web"]
    )

    assert network.driver == "bridge"
    assert network.ipam.config is not None
    assert [each.id for each in docker.network.list(filters=[("name", "whales")])] == [network.id]
    network.reload()  # type: ignore[no-untyped-call]
    assert network.containers is not None
    assert list(network.containers) == [container.id]
    networks = container.network_settings.networks or {}
    assert networks["whales"].network_id == network.id
    second = docker.network.create("second")
    docker.network.connect("second", container)
    container.reload()  # type: ignore[no-untyped-call]
    assert set(container.network_settings.networks or {}) == {"whales", "second"}
    docker.network.disconnect("second", container)
    second.remove()
    docker.container.remove(container, force=True)
    network.remove()
    assert not docker.network.exists("whales")


def test_volumes(docker: DockerClient) -> None:
    volume = docker.volume.create("kept", labels={"a": "b"})

    assert (volume.driver, volume.labels) == ("local", {"a": "b"})
    assert volume.mountpoint.is_dir()
    assert [each.name for each in docker.volume.list(filters=[("label", "a")])] == ["kept"]
    docker.volume.remove("kept")
    assert not docker.volume.exists("kept")


def test_what_is_not_there_is_told_apart(docker: DockerClient) -> None:
    for look, expected in (
        (docker.image.inspect, NoSuchImage),
        (docker.container.inspect, NoSuchContainer),
        (docker.network.inspect, NoSuchNetwork),
        (docker.volume.inspect, NoSuchVolume),
    ):
        with pytest.raises(expected):
            look("nothing")
