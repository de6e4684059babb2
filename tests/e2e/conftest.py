"""The daemon and the images of the container tests, made once a session."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.docker import Docker, base_tarball, copy_project, wheelhouse

_INSTALLED = """\
FROM test/base
COPY wheels /wheels
COPY project /project
RUN cd /project && PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels pip install --break-system-packages .
COPY supervise.yaml /etc/supervise.yaml
ENTRYPOINT ["supervise", "-c", "/etc/supervise.yaml", "--"]
"""

# Three services, the last a web server; each writes when it is told to stop.
_SERVICES = """\
services:
  db:
    command: {shell: "trap 'sleep 0.3; echo db down; exit 0' TERM; echo db up; sleep 3600 & wait"}
  worker:
    command: {shell: "trap 'echo worker down; exit 0' TERM; echo worker up; sleep 3600 & wait"}
    depends_on: [db]
  web:
    command: [python3, -m, http.server, --bind, 127.0.0.1, "8080"]
    depends_on: [worker]
    ready: {tcp: "127.0.0.1:8080", interval: 50ms}
"""


# An interpreter with its loader and libraries, our package, a configuration: no shell, no tools.
_BARE = """\
FROM test/supervise AS whole
FROM scratch
COPY --from=whole /usr/bin/python3.11 /usr/bin/python3
COPY --from=whole /usr/lib/python3.11 /usr/lib/python3.11
COPY --from=whole /usr/local/lib/python3.11 /usr/local/lib/python3.11
COPY --from=whole /usr/local/bin/supervise /usr/local/bin/supervisectl /usr/bin/
COPY --from=whole /usr/lib/TRIPLET /lib/TRIPLET
COPY --from=whole /LOADER /LOADER
COPY supervise.yaml /etc/supervise.yaml
ENTRYPOINT ["supervise", "-c", "/etc/supervise.yaml", "--"]
"""
_BARE_SERVICES = """\
services:
  web: {command: [python3, -m, http.server, --bind, 127.0.0.1, "8080"]}
"""
_MACHINES = {  # machine → (where Debian puts libraries, the loader programs name)
    "x86_64": ("x86_64-linux-gnu", "lib64/ld-linux-x86-64.so.2"),
    "aarch64": ("aarch64-linux-gnu", "lib/ld-linux-aarch64.so.1"),
}


@pytest.fixture(scope="session")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """Run a daemon of our own for the session."""
    # A unix socket's path may have 107 bytes; pytest's directories are long.
    daemon = Docker(tmp_path_factory.mktemp("d"))
    yield daemon
    daemon.close()


@pytest.fixture(scope="session")
def base(docker: Docker) -> str:
    """Return the name of an image with Debian's Python and pip."""
    docker("import", str(base_tarball()), "test/base", timeout=300)
    return "test/base"


@pytest.fixture(scope="session")
def image(docker: Docker, base: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an image with this project installed by pip, three services and the entrypoint."""
    context: Path = tmp_path_factory.mktemp("context")
    wheelhouse(context / "wheels")
    copy_project(context / "project")
    (context / "supervise.yaml").write_text(_SERVICES)
    (context / "Dockerfile").write_text(_INSTALLED)
    return docker.build("test/supervise", context)


@pytest.fixture(scope="session")
def bare_image(docker: Docker, image: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an image that holds nothing but Python and this project: no shell, no /tmp."""
    assert image
    context: Path = tmp_path_factory.mktemp("bare")
    triplet, loader = _MACHINES[platform.machine()]
    (context / "supervise.yaml").write_text(_BARE_SERVICES)
    dockerfile = _BARE.replace("TRIPLET", triplet).replace("LOADER", loader)
    (context / "Dockerfile").write_text(dockerfile)
    return docker.build("test/bare", context)
