"""The two Dockerfiles of the walk-through, as written, from a base image behind a mirror."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.images import config_of, docker_archive
from tests.support.registry import Registry
from tests.support.runtime import Runtime, busybox
from tests.support.skopeo import Skopeo
from tests.support.tars import file
from tests.support.terminal import Terminal

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("root", "busybox", "docker-registry", "nft", "skopeo"),
]

FIRST = """\
FROM daocloud.io/centos:latest

# COPY是把你本机的文件拷贝到docker里面的命令
COPY /etc/hosts /etc/hosts

# RUN是在你构造镜像的过程中运行的命令
RUN cp /etc/hosts /etc/hosts.back
"""
SECOND = """\
FROM daocloud.io/centos:latest

# COPY是把你本机的文件拷贝到docker里面的命令
COPY hosts /etc/hosts
COPY start.sh /opt/start.sh

# RUN是在你构造镜像的过程中运行的命令
RUN cp /etc/hosts /etc/hosts.back
RUN chmod +x /opt/start.sh

# CMD 是你启动容器后执行的命令
CMD /opt/start.sh
"""
# What a CentOS of that time has, as far as the walk-through goes.
_BASH = '#!/bin/sh\nexec sh "$@"\n'
_PYTHON = '#!/bin/sh\n[ "$2" = SimpleHTTPServer ] && exec nc -ll -p "$3" -e /bin/listing\n'
_LISTING = """\
#!/bin/sh
while read -r line && [ ${#line} -gt 1 ]; do :; done
printf 'HTTP/1.0 200 OK\\r\\n\\r\\n<title>Directory listing for /</title>\\n'
for name in /*; do echo "<li>${name#/}"; done
"""


class _Registry:
    """A registry in the network namespace of *runtime*, with the base image in it."""

    def __init__(self, directory: Path, runtime: Runtime) -> None:
        registry = Registry(directory / "registry")
        root = busybox(
            file("bin/bash", _BASH.encode(), 0o755),
            file("bin/python", _PYTHON.encode(), 0o755),
            file("bin/listing", _LISTING.encode(), 0o755),
            file("anaconda-post.log"),
        )
        archive = directory / "centos.tar"
        archive.write_bytes(docker_archive((config_of(root), [root], None)))
        skopeo = Skopeo(directory / "skopeo")
        skopeo.copy(f"docker-archive:{archive}", f"docker://{registry.host}/centos:latest")
        registry.close()
        self.host = registry.host
        enter = ["nsenter", f"--net=/proc/{runtime.network.pid}/ns/net"]
        self._process = subprocess.Popen(
            [*enter, "docker-registry", "serve", str(registry.directory / "config.yml")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(lambda: self._listens(runtime, registry.port))

    def _listens(self, runtime: Runtime, port: int) -> bool:
        assert self._process.poll() is None, "docker-registry ended"
        with runtime.network.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


class _Runtime(Runtime):
    """`runtime` that knows of the mirror."""

    settings = Path()

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "RUNTIME_REGISTRIES": str(self.settings)}


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    directory = tmp_path_factory.mktemp("walk")
    made = _Runtime(directory)
    registry = _Registry(directory, made)
    made.settings = directory / "registries.yaml"
    mirrors = {"blocked": True, "mirrors": [f"http://{registry.host}"]}
    made.settings.write_text(json.dumps({"registries": {"daocloud.io": mirrors}}))
    yield made
    made.close()
    registry.close()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    directory = tmp_path / "docker"
    directory.mkdir()
    (directory / "hosts").write_text("127.0.0.1\tlocalhost copied\n")
    (directory / "start.sh").write_text("python -m SimpleHTTPServer 8080\n")
    return directory


def test_a_file_outside_the_context_gets_an_explanation(runtime: Runtime, context: Path) -> None:
    (context / "Dockerfile").write_text(FIRST)

    done = runtime("build", str(context), "-t", "my_first_image", check=False)

    assert done.returncode == 1
    last = done.stderr.partition("runtime: ")[2]
    assert "Dockerfile:4: cannot copy '/etc/hosts'" in last
    assert "sources are relative to the build context" in last
    assert "did you mean 'hosts'?" in last or "hosts" in last.partition("it has ")[2]
    assert "   4 | >>> COPY /etc/hosts /etc/hosts" in last


def test_the_first_image_is_built_and_bash_replaces_its_command(
    runtime: Runtime, context: Path
) -> None:
    (context / "Dockerfile").write_text(FIRST.replace("COPY /etc/hosts", "COPY hosts"))

    runtime("build", str(context), "-t", "my_first_image")

    listed = runtime("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.splitlines()
    assert {"my_first_image:latest", "daocloud.io/centos:latest"} <= set(listed)
    terminal = Terminal()
    words = runtime.command("run", "--rm", "-it", "my_first_image", "bash")
    with subprocess.Popen(
        words,
        env=runtime.environment,
        stdin=terminal.device,
        stdout=terminal.device,
        stderr=terminal.device,
        start_new_session=True,
    ) as client:
        terminal.wait_for("# ")
        terminal.type("cat /etc/hosts; echo end-of-hosts\n")
        terminal.wait_for("\nend-of-hosts")
        terminal.type("exit\n")
        client.wait(30)
    assert "172.17.0." in terminal.screen  # its own, not the image's
    terminal.close()


def fetch(runtime: Runtime) -> str:
    """Return what a browser on the machine gets from port 8080."""
    with runtime.network.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(("127.0.0.1", 8080))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with client.makefile("rb") as answer:
            return answer.read().decode()


def test_the_second_image_serves_a_listing_where_it_is_published(
    runtime: Runtime, context: Path
) -> None:
    (context / "Dockerfile").write_text(SECOND)
    runtime("build", str(context), "-t", "web")

    closed = runtime.start("web")
    published = runtime.start("-p", "8080:8080", "web")

    eventually(lambda: "Directory listing for /" in fetch(runtime))
    assert "<li>anaconda-post.log" in fetch(runtime)
    assert "<li>etc" in fetch(runtime)
    runtime("rm", "--force", published)
    with pytest.raises(ConnectionRefusedError):
        fetch(runtime)  # the other one published nothing
    runtime("rm", "--force", closed)
