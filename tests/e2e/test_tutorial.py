"""The tutorial, in each of its languages, done from top to bottom and compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import consoles
from tests.support.consoles import Console
from tests.support.docker import base_tarball
from tests.support.scripts import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.needs("root", "nft", "docker-registry", "mmdebstrap", "curl"),
]

PAGES = sorted((ROOT / "docs").glob("tutorial*.md"))
_REGISTRY = """\
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: %s/registry}}
http: {addr: "127.0.0.1:5000"}
"""
_MIRROR = "registries: {docker.io: {mirrors: ['http://127.0.0.1:5000'], blocked: true}}\n"
# A machine that has Docker Hub: a registry on its loopback interface that holds `debian`.
_MACHINE = """\
printf '127.0.0.1\\tlocalhost\\n' > {prepared}/hosts && mount --bind {prepared}/hosts /etc/hosts
export RUNTIME_REGISTRIES={prepared}/registries.yaml
docker-registry serve {prepared}/registry.yaml > {prepared}/log 2>&1 &
until (exec 3<>/dev/tcp/127.0.0.1/5000) 2> /dev/null; do :; done
export RUNTIME_ROOT=${{RUNTIME_ROOT}} PAGER=cat
runtime import {base} 127.0.0.1:5000/library/debian:latest
runtime push --quiet 127.0.0.1:5000/library/debian:latest
runtime rmi 127.0.0.1:5000/library/debian:latest
"""


@pytest.fixture
def console(tmp_path: Path, commands: str) -> Iterator[Console]:
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    (prepared / "registry.yaml").write_text(_REGISTRY % prepared)
    (prepared / "registries.yaml").write_text(_MIRROR)
    place = tmp_path / "here"
    place.mkdir()
    made = Console(place, commands, store=tmp_path / "store")
    try:
        said = made.run(_MACHINE.format(prepared=prepared, base=base_tarball()))
        assert (prepared / "registry").is_dir(), said
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tutorial_shows_what_happens(console: Console, page: Path) -> None:
    wrong = [said for step in consoles.steps(page.read_text()) if (said := console.do(step))]

    assert not wrong, f"{page.relative_to(ROOT)}:\n" + "\n".join(wrong)


def test_the_tutorials_have_the_same_commands() -> None:
    commands = [
        [step for step in consoles.steps(page.read_text()) if not isinstance(step, consoles.File)]
        for page in PAGES
    ]

    assert len(PAGES) == 2
    assert [step.text for step in commands[0]] == [step.text for step in commands[1]]
