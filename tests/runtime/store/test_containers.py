"""Containers on disk: names, ids, and what a killed process leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.model.container.spec import Mount, Spec
from runtime.model.container.state import State
from runtime.model.errors import RuntimeFailure
from runtime.store.containers import Containers, new_id
from runtime.store.layout import Layout
from runtime.store.volumes import Volumes


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(str(tmp_path / "root"))


@pytest.fixture
def containers(layout: Layout) -> Containers:
    return Containers(layout)


def make(containers: Containers, name: str = "", **fields: object) -> Spec:
    values = {"id": new_id(), "name": name, "image": "x", "image_id": "sha256:1", "argv": ("sh",)}
    return containers.create(Spec(**{**values, **fields}))  # type: ignore[arg-type]


def test_a_container_is_found_by_id_name_and_start_of_id(containers: Containers) -> None:
    spec = make(containers, "web")

    for reference in ("web", spec.id, spec.id[:12], spec.id[:3]):
        assert containers.find(reference) == spec.id
    assert containers.load(spec.id) == (spec, State())


def test_a_container_without_a_name_gets_one(containers: Containers) -> None:
    spec = make(containers)

    assert containers.find(spec.name) == spec.id
    assert "_" in spec.name


def test_a_name_in_use_is_refused_with_the_user(containers: Containers) -> None:
    spec = make(containers, "web")

    with pytest.raises(RuntimeFailure, match='"/web" is already in use by container') as refused:
        make(containers, "web")

    assert spec.id[:12] in refused.value.message
    assert len(containers.list()) == 1


@pytest.mark.parametrize("name", ["a", "-a", "a/b", "ä1", ".x", "a b"])
def test_a_name_that_cannot_be_is_refused(containers: Containers, name: str) -> None:
    with pytest.raises(RuntimeFailure, match="is not a name for a container"):
        make(containers, name)


@pytest.mark.parametrize("reference", ["nothing", "", "../x", ".names"])
def test_a_missing_container_is_docker_s_exit_code(containers: Containers, reference: str) -> None:
    make(containers, "web")

    with pytest.raises(RuntimeFailure, match="no such container") as refused:
        containers.find(reference)

    assert refused.value.code == 1


def test_a_mistyped_name_is_answered_with_the_right_one(containers: Containers) -> None:
    make(containers, "database")

    with pytest.raises(RuntimeFailure) as refused:
        containers.find("databse")

    assert refused.value.hint == 'did you mean "database"?'


def test_a_start_that_several_ids_have_is_refused(containers: Containers) -> None:
    for number in range(2):
        make(containers, id="ab" + str(number) * 62)

    with pytest.raises(RuntimeFailure, match="is the start of several ids"):
        containers.find("ab")


def test_a_container_can_be_renamed_and_removed(containers: Containers) -> None:
    spec, other = make(containers, "one"), make(containers, "two")

    containers.rename(spec.id, "three")
    with pytest.raises(RuntimeFailure, match="in use"):
        containers.rename(spec.id, "two")
    containers.remove(other.id)
    containers.rename(spec.id, "two")

    assert containers.find("two") == spec.id
    assert containers.spec(spec.id).name == "two"
    assert containers.list() == (spec.id,)


def test_a_state_is_replaced_whole(containers: Containers) -> None:
    spec = make(containers)

    containers.save_state(spec.id, State(status="running", pid=7))

    assert containers.state(spec.id) == State(status="running", pid=7)


def test_the_upper_directory_is_open_whatever_the_umask(
    containers: Containers, layout: Layout
) -> None:
    before = os.umask(0o077)
    spec = make(containers)
    os.umask(before)

    assert os.stat(f"{layout.container(spec.id)}/upper").st_mode & 0o777 == 0o755


def test_what_a_killed_process_left_is_healed(containers: Containers, layout: Layout) -> None:
    kept = make(containers, "kept")
    os.makedirs(f"{layout.containers}/.tmp-{'a' * 64}/upper/x")
    os.symlink("a" * 64, f"{layout.containers}/.names/half")

    containers.heal()

    assert sorted(os.listdir(layout.containers)) == sorted([".names", kept.id])
    assert os.listdir(f"{layout.containers}/.names") == ["kept"]


def test_the_name_of_a_container_that_never_was_is_free(
    containers: Containers, layout: Layout
) -> None:
    make(containers)
    os.symlink("a" * 64, f"{layout.containers}/.names/half")

    assert make(containers, "half").name == "half"


_MAKE = """\
import sys
from runtime.store.layout import Layout
from runtime.store.containers import Containers, new_id
from runtime.model.container.spec import Spec
from runtime.model.errors import RuntimeFailure
containers = Containers(Layout(sys.argv[1]))
for n in range(20):
    try:
        spec = containers.create(Spec(new_id(), f"same{n}", "x", "y", ("sh",)))
        print(spec.name)
    except RuntimeFailure:
        pass
"""


def test_of_many_at_once_one_gets_the_name(containers: Containers, layout: Layout) -> None:
    racers = [
        subprocess.Popen([sys.executable, "-c", _MAKE, layout.root], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]  # fmt: skip

    got = [name for racer in racers for name in racer.communicate(timeout=60)[0].split()]

    assert sorted(got) == sorted(f"same{n}" for n in range(20))
    assert len(containers.list()) == 20


# Volumes.


def test_a_volume_is_made_once(layout: Layout) -> None:
    volumes = Volumes(layout)

    first, fresh = volumes.ensure("data", now=5.0, labels={"a": "b"})
    again, fresh_again = volumes.ensure("data", now=9.0)

    assert (fresh, fresh_again) == (True, False)
    assert first == again == volumes.get("data")
    assert os.stat(volumes.path("data")).st_mode & 0o777 == 0o755


def test_an_anonymous_volume_says_so(layout: Layout) -> None:
    made, _ = Volumes(layout).ensure(now=5.0)

    assert made.anonymous
    assert len(made.name) == 64


def test_a_volume_in_use_is_not_removed(layout: Layout, containers: Containers) -> None:
    volumes = Volumes(layout)
    volumes.ensure("data", now=5.0)
    volumes.ensure("idle", now=5.0)
    spec = make(containers, "web", mounts=(Mount("volume", "data", "/d"),))

    with pytest.raises(RuntimeFailure, match="cannot remove volume 'data': container web uses it"):
        volumes.remove("data")
    assert [volume.name for volume in volumes.unused()] == ["idle"]
    containers.remove(spec.id)
    volumes.remove("data")

    assert [volume.name for volume in volumes.list()] == ["idle"]


@pytest.mark.parametrize("name", ["nothing", "../x", ".tmp-x"])
def test_a_missing_volume_is_said(layout: Layout, name: str) -> None:
    Volumes(layout).ensure("nothin", now=5.0)

    with pytest.raises(RuntimeFailure, match="no such volume") as refused:
        Volumes(layout).get(name)

    assert refused.value.code == 1


def test_half_a_volume_is_healed(layout: Layout) -> None:
    volumes = Volumes(layout)
    volumes.ensure("data", now=5.0)
    os.makedirs(f"{layout.volumes}/.tmp-other/_data/x")

    volumes.heal()

    assert os.listdir(layout.volumes) == ["data"]
