"""The wheel in a Debian that has Python and no compiler, without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import size
from tests.support.docker import Docker, wheelhouse
from tests.support.scripts import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "docker", "mmdebstrap")]

PAGE = (ROOT / "docs/installation.md").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, in a directory with those it depends on."""
    directory = tmp_path_factory.mktemp("wheel")
    wheelhouse(directory / "wheels")
    built = size.build_wheel(directory)
    (directory / "wheels" / built.name).write_bytes(built.read_bytes())
    return built


def blocks(heading: str) -> str:
    """Return the shell commands below a heading of docs/installation.md."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found, heading
    return "".join(found)


def in_debian(docker: Docker, base: str, wheel: Path, program: str) -> str:
    """Run *program* beside the wheel; pip finds the others where the page's reader has them."""
    mount = f"--volume={wheel.parent}:/here"
    return docker(
        *("run", "--rm", "--network=none", mount, "--workdir=/here"),
        *("--env=PIP_NO_INDEX=1", "--env=PIP_FIND_LINKS=/here/wheels", base),
        *("bash", "-euc", program),
        timeout=300,
    ).stdout


def test_it_is_the_same_for_every_machine(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")


def test_it_installs_without_a_compiler_byte_compiled_and_with_its_manuals(
    docker: Docker, base: str, wheel: Path
) -> None:
    program = f"""
! type gcc cc make 2>/dev/null
! getent hosts pypi.org
{blocks("On a machine")}
for name in supervise runtime; do $name --version | head -1; done
cd /opt/supervise
for source in $(find lib/*/site-packages/supervise lib/*/site-packages/runtime -name '*.py'); do
  compiled=($(dirname $source)/__pycache__/$(basename $source .py).*.pyc)
  [ -e ${{compiled[0]}} ] || echo "not compiled: $source"
done
find share -type f
bin/python -m supervise -- sh -c 'exit 7' || echo "supervise $?"
bin/python -m runtime version | head -1
"""

    said = in_debian(docker, base, wheel, program).splitlines()

    assert [line for line in said if line.startswith("not compiled")] == []
    there = [path for path in (ROOT / "docs/share").rglob("*") if path.is_file()]
    assert {str(path.relative_to(ROOT / "docs")) for path in there} <= set(said)
    versions = [line.partition(" ")[0] for line in said if re.match(r"\w+ (version )?\d", line)]
    assert versions == ["supervise", "runtime", "supervise"]
    assert "supervise 7" in said
    assert re.match(r"Version: +\d", said[-1])


def test_the_way_without_a_network(docker: Docker, base: str, wheel: Path) -> None:
    download, _, install = blocks("Without a network").partition("\n")
    assert download.startswith("pip download")

    said = in_debian(docker, base, wheel, f"{install}\n/opt/offline/bin/supervise --version")

    assert said.splitlines()[-1].startswith("missing: ")


def test_the_page_states_the_size_it_has(wheel: Path) -> None:
    measured = wheel.stat().st_size / 1000

    assert abs(size.stated(PAGE) - measured) < 0.15 * measured, (
        f"{measured:.0f} kB; run {sys.executable} -m benchmarks.size --write docs/installation.md"
    )


@pytest.mark.needs("man")
def test_man_finds_the_pages_by_the_line_on_the_page(wheel: Path, tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed"),
            *("--no-compile", f"--root={tmp_path}", "--prefix=/opt/supervise", str(wheel)),
        ],
        check=True,
    )
    (path,) = re.findall(r"export MANPATH=(\S+):\n", PAGE)

    found = subprocess.run(
        ["man", "-w", "supervise.yaml"],
        env={"PATH": "/usr/bin:/bin", "MANPATH": f"{tmp_path}{path}:"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout == f"{tmp_path}/opt/supervise/share/man/man5/supervise.yaml.5\n"
