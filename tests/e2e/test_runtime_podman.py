"""Images between our store and podman, both kinds of archives, and layers packed with zstd."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.images import Oci, config_of, digest, docker_archive, named
from tests.support.podman import Podman
from tests.support.runtime import Runtime, busybox
from tests.support.tars import file, make_tar

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox", "podman", "zstd")]

_ZSTD = b"\x28\xb5\x2f\xfd"  # with which its frames begin
_DOCKERFILE = """\
FROM test/two
RUN echo built > /built
ENV A=b
HEALTHCHECK --interval=5s CMD true
ENTRYPOINT ["/bin/cat"]
CMD ["/built"]
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    """Return a store with an image of two layers."""
    made = Runtime(tmp_path_factory.mktemp("ours"))
    made.import_tar("one", busybox())
    container = made("create", "--net", "none", "one", "sh", "-c", "echo second > /second").stdout
    made("start", "-a", container.strip())
    change = 'CMD ["cat", "/second"]'
    made("commit", "-c", change, container.strip(), "test/two")
    made("rm", container.strip())
    yield made
    made.close()


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    made = Podman(tmp_path_factory.mktemp("podman"))
    yield made
    made.close()


def id_of(runtime: Runtime, name: str) -> str:
    return runtime("image", "inspect", "--format", "{{.Id}}", name).stdout.strip()


def layers_of(runtime: Runtime, name: str) -> list[str]:
    shown = runtime("image", "inspect", "--format", "{{json .RootFS.Layers}}", name).stdout
    return list(json.loads(shown))


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_podman_loads_and_runs_what_we_save(
    runtime: Runtime, podman: Podman, tmp_path: Path, form: str
) -> None:
    place = str(tmp_path / "saved")
    runtime("save", "--format", form, "-o", place, "test/two")
    podman("rmi", "--all", "--force")

    podman("load", "--quiet", "--input", place)
    their_id = podman("images", "--no-trunc", "--quiet").stdout.strip()
    said = podman("run", "--rm", "--network=none", their_id).stdout

    assert said == "second\n"
    assert their_id == id_of(runtime, "test/two")


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_we_load_and_run_what_podman_saves(
    runtime: Runtime, podman: Podman, tmp_path: Path, form: str
) -> None:
    runtime("save", "-o", str(tmp_path / "ours"), "test/two")
    podman("load", "--quiet", "--input", str(tmp_path / "ours"))
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE)
    kind = "docker" if form == "docker-archive" else "oci"
    build = ("build", "--network=none", "--quiet", "--format", kind, "--tag", "test/built")
    podman(*build, str(tmp_path))
    place = str(tmp_path / "theirs")
    podman("save", "--quiet", "--format", form, "--output", place, "test/built")

    said = runtime("load", "-i", place).stdout

    assert "Loaded image: localhost/test/built:latest" in said
    their_id = podman("image", "inspect", "--format", "{{.Id}}", "test/built").stdout.strip()
    their_layers = podman("image", "inspect", "--format", "json", "test/built").stdout
    assert id_of(runtime, "localhost/test/built") == f"sha256:{their_id}"
    assert (
        layers_of(runtime, "localhost/test/built")
        == json.loads(their_layers)[0]["RootFS"]["Layers"]
    )
    assert layers_of(runtime, "localhost/test/built")[:2] == layers_of(runtime, "test/two")
    assert runtime.run("localhost/test/built").stdout == "built\n"
    runtime("rmi", "localhost/test/built")


def zstd(data: bytes) -> bytes:
    done = subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True)
    return done.stdout


@pytest.mark.parametrize("pack", [zstd, gzip.compress])
def test_packed_layers_are_read_from_both_kinds_of_archives(
    runtime: Runtime, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    layer = make_tar(file("file", b"of the layer\n" * 1000))
    config = config_of(layer)
    kind = "zstd" if pack is zstd else "gzip"
    (tmp_path / "docker").write_bytes(docker_archive((config, [pack(layer)], [f"{kind}/docker:1"])))
    oci = Oci()
    entry = oci.image(config, [layer], pack=(pack, kind), annotations=named(f"{kind}/oci:1"))
    (tmp_path / "oci").write_bytes(oci.archive(entry))
    oci.write(tmp_path / "directory", entry)

    for place in ("docker", "oci", "directory"):
        runtime("load", "-i", str(tmp_path / place))
        name = f"{kind}/{'docker' if place == 'docker' else 'oci'}:1"
        assert (id_of(runtime, name), layers_of(runtime, name)) == (digest(config), [digest(layer)])
        runtime("rmi", "--force", name)


def test_podman_s_own_zstd_layers_are_read(
    runtime: Runtime, podman: Podman, tmp_path: Path
) -> None:
    runtime("save", "-o", str(tmp_path / "ours"), "test/two")
    place = tmp_path / "layout"
    podman("load", "--quiet", "--input", str(tmp_path / "ours"))
    copy = ("push", "--compression-format", "zstd", "test/two", f"oci:{place}:test/packed")
    podman(*copy)
    packed = [blob for blob in (place / "blobs/sha256").iterdir() if blob.read_bytes()[:4] == _ZSTD]

    runtime("load", "-i", str(place))

    assert len(packed) == 2
    assert layers_of(runtime, "test/packed") == layers_of(runtime, "test/two")
    assert runtime.run("test/packed").stdout == "second\n"
