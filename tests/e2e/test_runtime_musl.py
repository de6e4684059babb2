"""Images that have nothing of Debian's: a musl libc like Alpine's, and one static file alone."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runtime import Runtime
from tests.support.scripts import PROGRAMS
from tests.support.tars import directory, file, make_tar, symlink

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "gcc", "musl-gcc")]

LOADER = f"lib/ld-musl-{platform.machine()}.so.1"
LIBC = "lib/libc.musl.so"  # the loader is the libc itself, and a link to it as on Alpine


def compiled(place: Path, *options: str) -> bytes:
    """Return our program, linked with musl."""
    source = str(PROGRAMS / "hello_musl.c")
    subprocess.run(["musl-gcc", "-O1", *options, "-o", str(place), source], check=True)
    return place.read_bytes()


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    place = tmp_path_factory.mktemp("musl")
    made = Runtime(place)
    dynamic = file("bin/hello", compiled(place / "dynamic"), 0o755)
    libc = Path("/", LOADER).resolve().read_bytes()
    files = (directory("bin"), directory("lib"), directory("tmp", 0o1777), dynamic)
    loader = symlink(LOADER, os.path.basename(LIBC))
    made.import_tar("alpine", make_tar(*files, file(LIBC, libc, 0o755), loader))
    made.import_tar("without", make_tar(*files))
    made.import_tar(
        "scratch", make_tar(file("hello", compiled(place / "static", "-static"), 0o755))
    )
    yield made
    made.close()


@pytest.mark.parametrize(
    "options", [(), ("--read-only",), ("-u", "1234", "--cap-drop", "ALL"), ("--userns", "mapped")]
)
@pytest.mark.parametrize(("image", "program"), [("alpine", "/bin/hello"), ("scratch", "/hello")])
def test_supervise_is_pid_1(
    runtime: Runtime, image: str, program: str, options: tuple[str, ...]
) -> None:
    done = runtime.run(*options, image, program, "here", "3", check=False)

    assert (done.stdout, done.stderr) == ("here: PID 1 is supervise\n", "")
    assert done.returncode == 3


@pytest.mark.parametrize(("image", "program"), [("alpine", "/bin/hello"), ("scratch", "/hello")])
def test_without_init_the_program_is_pid_1(runtime: Runtime, image: str, program: str) -> None:
    done = runtime.run("--no-init", image, program, "here")

    assert done.stdout == "here: PID 1 is hello\n"


def test_what_musls_loader_is_told_reaches_the_program_alone(runtime: Runtime) -> None:
    preloaded = ("-e", f"LD_PRELOAD=/{LIBC}", "-e", "LD_LIBRARY_PATH=/lib")

    done = runtime.run(*preloaded, "alpine", "/bin/hello", "here")

    assert (done.stdout, done.stderr) == ("here: PID 1 is supervise\n", "")


def test_services_run_in_an_image_without_a_shell(runtime: Runtime, tmp_path: Path) -> None:
    services = tmp_path / "services.yaml"
    services.write_text("services: {greet: {type: oneshot, command: [/hello, greeted]}}\n")

    done = runtime.run("--services", str(services), "scratch")

    assert "| greeted: PID 1 is supervise\n" in done.stdout


def test_one_more_program_runs_in_a_container_of_each(runtime: Runtime, tmp_path: Path) -> None:
    services = tmp_path / "services.yaml"
    services.write_text("exit: never\nservices: {}\n")
    container = runtime.start("--net", "none", "--services", str(services), "alpine")

    done = runtime("exec", container, "hello", "again", "4", check=False)

    assert (done.stdout, done.returncode) == ("again: PID 1 is supervise\n", 4)
    runtime("rm", "--force", container)


@pytest.mark.parametrize("init", ["--init", "--no-init"])
def test_a_missing_loader_is_named(runtime: Runtime, init: str) -> None:
    done = runtime.run(init, "without", "/bin/hello", check=False)

    assert done.returncode == 127
    assert f"/bin/hello needs /{LOADER}, which is not in the image" in done.stderr
