"""Every Dockerfile in tests/golden/build, by Debian's docker and by us: the same image.

A case is a directory: Dockerfile and the files around it are the context.  Beside them may lie

* ``prepare.sh``, run in a copy of the context first, for what git does not keep: owners, modes,
  hard links, attributes, devices;
* ``options``, more words for the command line, one a line;
* ``refused``: both must refuse it; a line in there must stand in what we say;
* ``builder``: ``buildkit`` where that builder of docker's is meant.  Without it, it is the classic
  one.  Where the two differ we do as BuildKit;
* ``classic``: a Dockerfile that says in the classic builder's words what neither of Debian's
  builders knows.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import flat
from tests.support.docker import Docker
from tests.support.images import config_of, docker_archive
from tests.support.runtime import Runtime, busybox
from tests.support.tars import Member, directory, file, make_tar

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "docker", "busybox")]

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "build"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/Dockerfile"))
_NOT_CONTEXT = ("prepare.sh", "options", "refused", "builder", "classic")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _base_images() -> bytes:
    """Return an archive of the images that the Dockerfiles start from."""
    root = busybox(
        directory("data"),
        directory("data/deep"),
        file("data/one", b"one\n"),
        file("data/deep/two", b"two\n", 0o600),
        Member("data/owned", data=b"owned\n", uid=1000, gid=1001, mode=0o640),
        directory("home"),
        directory("var"),
    )
    # A volume's place is there: the classic builder makes it, BuildKit does not.
    more = make_tar(file("added-by-base", b"base\n"), directory("base-volume"))
    plain = {"Env": [_PATH], "Cmd": ["sh"]}
    rich = {
        "Env": [_PATH, "FROM_BASE=yes", "LATER=base"],
        "Cmd": ["base-cmd"],
        "Entrypoint": ["/bin/base-entrypoint"],
        "WorkingDir": "/data",
        "User": "app",
        "Labels": {"from": "base", "kept": "yes"},
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/base-volume": {}},
        "StopSignal": "SIGINT",
    }
    trigger = {
        "Env": [_PATH],
        "OnBuild": ["ENV TRIGGERED=1", "COPY trigger /trigger", "RUN cat /trigger > /ran"],
    }
    return docker_archive(
        (config_of(root, config=plain), [root], ["base:latest"]),
        (config_of(root, more, config=rich), [root, more], ["rich:latest"]),
        (config_of(root, config=trigger), [root], ["trigger:latest"]),
    )


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("r"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def builders(
    docker: Docker, runtime: Runtime, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Docker, Runtime]:
    """Return both builders with the same base images."""
    archive = tmp_path_factory.mktemp("bases") / "bases.tar"
    archive.write_bytes(_base_images())
    docker("load", "--input", str(archive))
    runtime("load", "--input", str(archive))
    return docker, runtime


class Case:
    """One directory below tests/golden/build, with its context copied to *place*."""

    def __init__(self, name: str, place: Path) -> None:
        source = GOLDEN / name
        self.context = place / "context"
        shutil.copytree(
            source, self.context, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_CONTEXT)
        )
        self.context.chmod(0o755)
        if (source / "prepare.sh").exists():
            subprocess.run(["sh", "-eu", source / "prepare.sh"], cwd=self.context, check=True)
        self.options = _words(source / "options")
        self.refusal = _words(source / "refused")
        self.buildkit = _words(source / "builder") == ["buildkit"]
        self.in_other_words: list[str] = []
        if (source / "classic").exists():
            self.in_other_words = ["--file", str(source / "classic")]


def _words(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _by_docker(docker: Docker, case: Case, place: Path) -> tuple[flat.Tree, dict[str, Any]] | None:
    """Build with docker; None: it refuses."""
    words = [*case.options, *case.in_other_words, str(case.context)]
    words = ["build", "--network=none", "--tag=case", *words]
    done = docker(*words, check=False, buildkit=case.buildkit)
    if done.returncode:
        assert case.refusal, done.stderr[-2000:]
        return None
    archive = place / "docker.tar"
    docker("save", "--output", str(archive), "case")
    return flat.read(archive)


def _by_us(runtime: Runtime, case: Case, place: Path) -> tuple[flat.Tree, dict[str, Any]] | None:
    done = runtime(
        *("build", "--network=none", "--tag=case", *case.options, str(case.context)), check=False
    )
    if done.returncode:
        assert case.refusal, done.stderr[-2000:]
        assert done.returncode == 1
        for words in case.refusal:
            assert words in done.stderr
        return None
    archive = place / "runtime.tar"
    runtime("save", "--output", str(archive), "case")
    return flat.read(archive)


@pytest.mark.parametrize("name", CASES)
def test_the_image_is_dockers(name: str, builders: tuple[Docker, Runtime], tmp_path: Path) -> None:
    docker, runtime = builders
    case = Case(name, tmp_path)

    ours = _by_us(runtime, case, tmp_path)
    theirs = _by_docker(docker, case, tmp_path)

    if ours is None or theirs is None:
        assert ours is None
        assert theirs is None
        return
    assert ours[1] == theirs[1]
    different = {
        path: (ours[0].get(path), theirs[0].get(path))
        for path in sorted({*ours[0], *theirs[0]})
        if ours[0].get(path) != theirs[0].get(path)
    }
    assert different == {}, f"ours, theirs: {different}"


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


def test_docker_runs_what_we_build(builders: tuple[Docker, Runtime], tmp_path: Path) -> None:
    docker, runtime = builders
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(
        "FROM base\nENV WORD=hello\nRUN rm -r /data && mkdir /data && echo fresh > /data/file\n"
        'WORKDIR /data\nUSER app\nENTRYPOINT ["sh", "-c"]\nCMD ["echo $WORD; id -un; ls; cat file"]\n'
    )
    archive = tmp_path / "ours.tar"

    runtime("build", "--network=none", "--tag=ours", str(context))
    runtime("save", "--output", str(archive), "ours")
    docker("load", "--input", str(archive))

    done = docker("run", "--rm", "--network=none", "ours")
    assert done.stdout == "hello\napp\nfile\nfresh\n"
