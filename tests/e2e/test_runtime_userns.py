"""Files of a container whose root is nobody outside: in and out they belong to whom they should."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runtime import Runtime, busybox
from tests.support.tars import directory, file, make_tar

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

_WRITE = "mkdir /made && echo x > /made/root && echo x > /made/app && chown 1000:1001 /made/app"
_MAPPED = ("--net", "none", "--userns", "mapped")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("userns"))
    made.import_tar("busybox", busybox(directory("opt"), file("opt/old", b"")))
    yield made
    made.close()


@pytest.fixture(params=["running", "stopped"])
def container(runtime: Runtime, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return a container that has written files."""
    made = runtime.start(*_MAPPED, "-v", "/data", "busybox", "sleep", "1000")
    runtime("exec", made, "sh", "-c", _WRITE)
    if request.param == "stopped":
        runtime("stop", "--time", "0", made)
    yield made
    runtime("rm", "--force", "--volumes", made)


def owners(runtime: Runtime, container: str, *paths: str) -> list[str]:
    """Return what the container itself sees."""
    runtime("start", container)
    return runtime("exec", container, "stat", "-c", "%u:%g", *paths).stdout.split()


def test_a_commit_has_the_ids_of_the_container(runtime: Runtime, container: str) -> None:
    runtime("commit", container, "committed")

    plain = runtime.run("committed", "stat", "-c", "%u:%g", "/made", "/made/root", "/made/app")
    mapped = runtime.run("--userns", "mapped", "committed", "stat", "-c", "%u:%g", "/made/app")

    assert plain.stdout.split() == ["0:0", "0:0", "1000:1001"]
    assert mapped.stdout.split() == ["1000:1001"]
    runtime("rmi", "committed")


def test_an_export_has_the_ids_of_the_container(
    runtime: Runtime, container: str, tmp_path: Path
) -> None:
    runtime("export", "-o", str(tmp_path / "tar"), container)

    with tarfile.open(tmp_path / "tar") as archive:
        found = {member.name: (member.uid, member.gid) for member in archive}
    assert found["made/root"] == found["opt/old"] == found["etc"] == (0, 0)
    assert found["made/app"] == (1000, 1001)


def test_what_is_copied_in_belongs_to_the_containers_own(
    runtime: Runtime, container: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("of the host\n")
    os.chown(tmp_path / "file", 1000, 1001)

    runtime("cp", str(tmp_path / "file"), f"{container}:/opt/new")
    runtime("cp", "-a", str(tmp_path / "file"), f"{container}:/opt/kept")
    runtime("cp", str(tmp_path / "file"), f"{container}:/data/file")

    seen = owners(runtime, container, "/opt/new", "/opt/kept", "/opt", "/opt/old", "/data/file")
    assert seen == ["0:0", "1000:1001", "0:0", "0:0", "0:0"]


def test_an_archive_that_is_copied_in_belongs_to_the_containers_own(
    runtime: Runtime, container: str
) -> None:
    data = make_tar(file("unpacked", b"x"))
    subprocess.run(
        runtime.command("cp", "-", f"{container}:/opt"),
        env=runtime.environment,
        input=data,
        check=True,
    )

    assert owners(runtime, container, "/opt/unpacked", "/opt") == ["0:0", "0:0"]


def test_what_is_copied_out_has_the_ids_of_the_container(
    runtime: Runtime, container: str, tmp_path: Path
) -> None:
    runtime("cp", "-a", f"{container}:/made/app", str(tmp_path / "app"))
    done = subprocess.run(
        runtime.command("cp", f"{container}:/made", "-"),
        env=runtime.environment,
        capture_output=True,
        check=True,
    )

    found = (tmp_path / "app").stat()
    assert (found.st_uid, found.st_gid) == (1000, 1001)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        assert [(member.name, member.uid) for member in archive] == [
            *(("made", 0), ("made/app", 1000), ("made/root", 0)),
        ]


def test_the_machines_own_root_is_refused_with_the_reason(runtime: Runtime) -> None:
    done = runtime("run", "--rm", *_MAPPED, "host", "true", check=False)

    assert done.returncode == 125
    assert "with --userns: its image is this machine's root" in done.stderr
    assert "cannot be given other owners; import an image" in done.stderr
