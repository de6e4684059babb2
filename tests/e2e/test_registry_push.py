"""`runtime push` to Debian's docker-registry; skopeo and docker take what is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker import Docker
from tests.support.registry import Registry
from tests.support.runtime_cli import Runtime, busybox_tar
from tests.support.skopeo import Skopeo

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
def runtime(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Iterator[Runtime]:
    """Return a store with ``own:v1`` in the registry's name, imported here and pushed."""
    directory = tmp_path_factory.mktemp("runtime")
    made = Runtime(directory)
    name = f"{registry.host}/own:v1"
    made("import", "-c", 'CMD ["echo", "pushed"]', str(busybox_tar(directory / "bb.tar")), name)
    made("push", name)
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Runtime]:
    """Return another, empty store."""
    made = Runtime(tmp_path / "other")
    yield made
    made.close()


def test_skopeo_finds_what_was_pushed(registry: Registry, runtime: Runtime, tmp_path: Path) -> None:
    name = f"{registry.host}/own:v1"
    image = runtime.inspect(name)

    found = Skopeo(tmp_path).inspect(f"docker://{name}")

    assert [f"{registry.host}/own@{found['Digest']}"] == image["RepoDigests"]
    assert registry.manifest("own", "v1")["config"]["digest"] == image["Id"]


@pytest.mark.needs("docker")
def test_docker_pulls_and_runs_what_was_pushed(
    registry: Registry, runtime: Runtime, docker: Docker
) -> None:
    name = f"{registry.host}/own:v1"

    docker("pull", name)

    assert docker.inspect(name)["Id"] == runtime.inspect(name)["Id"]
    assert docker("run", "--rm", "--network=none", name).stdout == "pushed\n"


@pytest.mark.needs("docker")
def test_what_docker_pushes_is_pulled_with_docker_s_id(
    registry: Registry, docker: Docker, other: Runtime, tmp_path: Path
) -> None:
    name = f"{registry.host}/dockers:v1"
    docker("import", str(busybox_tar(tmp_path / "bb.tar")), name)
    docker("push", name)

    other("pull", name)

    assert other.inspect(name)["Id"] == docker.inspect(name)["Id"]
    assert other.inspect(name)["RepoDigests"] == docker.inspect(name)["RepoDigests"]
    assert other("run", "--rm", "--net", "none", name, "echo", "it runs") == "it runs"


def test_another_store_pulls_the_same_image(
    registry: Registry, runtime: Runtime, other: Runtime
) -> None:
    name = f"{registry.host}/own:v1"

    other("pull", name)

    assert other.inspect(name)["Id"] == runtime.inspect(name)["Id"]
    assert other("run", "--rm", "--net", "none", name) == "pushed"


def test_a_second_push_sends_no_layer(registry: Registry, runtime: Runtime) -> None:
    before = len(registry.requests())

    said = runtime("push", f"{registry.host}/own:v1")

    assert "Layer already exists" in said
    assert not [r for r in registry.requests()[before:] if r.startswith(("POST", "PATCH"))]


def test_a_layer_of_another_repository_is_mounted_not_sent(
    registry: Registry, runtime: Runtime
) -> None:
    name = f"{registry.host}/copied:v1"
    runtime("tag", f"{registry.host}/own:v1", name)

    said = runtime("push", name)

    assert "Mounted from own" in said
    digests = [registry.manifest(repository, "v1")["digest"] for repository in ("own", "copied")]
    assert digests[0] == digests[1]


def test_what_was_pulled_keeps_its_digest_when_it_is_pushed_elsewhere(
    registry: Registry, runtime: Runtime, other: Runtime, tmp_path: Path
) -> None:
    skopeo = Skopeo(tmp_path)
    skopeo.copy(skopeo.base, f"docker://{registry.host}/schema2:v1", "--format=v2s2")
    other("pull", f"{registry.host}/schema2:v1")
    other("tag", f"{registry.host}/schema2:v1", f"{registry.host}/elsewhere:v2")

    other("push", f"{registry.host}/elsewhere:v2")

    before, after = registry.manifest("schema2", "v1"), registry.manifest("elsewhere", "v2")
    assert after == before
    assert "docker" in after["mediaType"]


def test_all_tags_of_a_repository_are_pushed(registry: Registry, runtime: Runtime) -> None:
    names = [f"{registry.host}/several:{tag}" for tag in ("one", "two")]
    for name in names:
        runtime("tag", f"{registry.host}/own:v1", name)

    runtime("push", "--all-tags", f"{registry.host}/several")

    assert registry.manifest("several", "one") == registry.manifest("several", "two")


def test_an_image_of_this_machine_is_not_pushed(registry: Registry, runtime: Runtime) -> None:
    code, said = runtime.refusal("push", "host")

    assert code == 1
    assert "its lowest layer is this machine's own root" in said


def test_a_blob_is_sent_in_parts_as_large_as_asked_for(
    registry: Registry, runtime: Runtime, other: Runtime, tmp_path: Path
) -> None:
    settings = tmp_path / "registries.yaml"
    settings.write_text("chunk_size: 200k\n")
    name = f"{registry.host}/parts:v1"
    other("import", str(busybox_tar(tmp_path / "bb.tar")), name)
    before = len(registry.requests())

    other("push", "--registries", str(settings), name)

    patches = [r for r in registry.requests()[before:] if r.startswith("PATCH")]
    assert len(patches) >= 2
    other("rmi", name)
    other("pull", name)
    assert other("run", "--rm", "--net", "none", name, "echo", "whole") == "whole"
