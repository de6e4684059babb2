"""`runtime pull` from Debian's docker-registry, filled by skopeo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.registry import Registry
from tests.support.runtime_cli import Runtime
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
def skopeo(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Skopeo:
    """Return skopeo, which has put ``base:latest`` and ``base:old`` into the registry."""
    made = Skopeo(tmp_path_factory.mktemp("skopeo"))
    made.copy(made.base, f"docker://{registry.host}/library/base:latest")
    made.copy(made.base, f"docker://{registry.host}/library/base:old")
    return made


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    made = Runtime(tmp_path)
    yield made
    made.close()


def test_what_is_pulled_has_the_id_the_registry_says_and_runs(
    registry: Registry, skopeo: Skopeo, runtime: Runtime
) -> None:
    name = f"{registry.host}/library/base"
    manifest = registry.manifest("library/base", "latest")

    said = runtime("pull", name)

    assert said.splitlines()[-1] == f"{name}:latest"
    image = runtime.inspect(name)
    assert image["Id"] == manifest["config"]["digest"]
    assert image["RepoDigests"] == [f"{name}@{manifest['digest']}"]
    assert runtime("run", "--rm", "--net", "none", name, "echo", "it runs") == "it runs"


def test_a_second_pull_brings_no_layer_again(
    registry: Registry, skopeo: Skopeo, runtime: Runtime
) -> None:
    name = f"{registry.host}/library/base"
    runtime("pull", name)
    before = len(registry.requests())

    said = runtime("pull", f"{name}:old")

    assert "Already exists" in said
    assert not [r for r in registry.requests()[before:] if "/blobs/" in r]


def test_a_wrong_tag_is_told_with_the_right_one(
    registry: Registry, skopeo: Skopeo, runtime: Runtime
) -> None:
    name = f"{registry.host}/library/base"

    code, said = runtime.refusal("pull", f"{name}:lastest")

    assert code == 1
    assert said == f'runtime: no tag "lastest" of {name}\ndid you mean "latest"?\n'


def test_run_pulls_what_is_missing_and_says_so(
    registry: Registry, skopeo: Skopeo, runtime: Runtime
) -> None:
    name = f"{registry.host}/library/base:latest"

    done = runtime.run("run", "--rm", "--net", "none", name, "echo", "hello")

    assert done.stdout == "hello\n"
    assert done.stderr.startswith(f"Unable to find image '{name}' locally\n")


def test_run_never_pulls_when_told_so(registry: Registry, skopeo: Skopeo, runtime: Runtime) -> None:
    before = len(registry.requests())

    code, said = runtime.refusal("run", "--pull", "never", f"{registry.host}/library/base")

    assert code == 125
    assert "no such image" in said
    assert len(registry.requests()) == before


def test_run_always_pulls_when_told_so(
    registry: Registry, skopeo: Skopeo, runtime: Runtime
) -> None:
    name = f"{registry.host}/library/base"
    runtime("pull", name)
    before = len(registry.requests())

    runtime("run", "--rm", "--net", "none", "--pull", "always", name, "true")

    assert "GET /v2/library/base/manifests/latest" in registry.requests()[before:]
