"""The examples of README.md and of the pages do what they say."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.support.bench import Bench

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_readmes_start_starts_two_services_and_ctrl_c_stops_them(bench: Bench) -> None:
    shell = re.search(r"```sh\n(pip install .*?)```", README, re.DOTALL)
    assert shell is not None
    yaml = re.search(r"<<'YAML'\n(.*?)\nYAML\n", shell[1], re.DOTALL)
    assert yaml is not None
    assert "supervise -c supervise.yaml" in shell[1]

    pid1 = bench.supervise(yaml[1])

    assert pid1.wait_state("web", "running")["ready"] is True
    pid1.wait_state("worker", "running")
    pid1.signal(signal.SIGINT)
    assert pid1.wait() == 0


def test_the_readmes_entrypoint_is_one_the_command_line_takes(bench: Bench) -> None:
    entrypoint = re.search(r'ENTRYPOINT \["supervise", "-c", "[^"]+", "--"\]', README)
    assert entrypoint is not None

    pid1 = bench.supervise(
        "services: {web: {command: [sleep, '3600']}}", main=["sh", "-c", "exit 3"]
    )

    assert pid1.wait() == 3


def pages_with_configurations() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [
        (f"{page.name}:{page.read_text()[: block.start()].count(chr(10)) + 1}", block[1])
        for page in pages
        # One that is to be written into a file has its console: tests/e2e/test_pages.py.
        for block in re.finditer(r"(?<!-->\n)```yaml\n(.*?)```", page.read_text(), re.DOTALL)
        if re.search(r"^services:", block[1], re.MULTILINE)
    ]


@pytest.mark.parametrize(
    "text",
    [text for _, text in pages_with_configurations()],
    ids=[place for place, _ in pages_with_configurations()],
)
def test_configurations_on_the_pages_pass_the_check(bench: Bench, text: str) -> None:
    path = bench.write("supervise.yaml", text)

    pid1 = bench.start(["supervise", "check", str(path)])

    assert pid1.wait() == 0, pid1.console
