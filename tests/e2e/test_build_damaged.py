"""Builds of Dockerfiles with words that do not belong there: done or refused, never a fault."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.dockerfile import graph, parser
from runtime.dockerfile.dockerfile_error import DockerfileError
from tests.support.runtime import Runtime, busybox

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "build"
SOURCES = sorted(path.parent for path in GOLDEN.glob("*/Dockerfile"))
_WORDS = (
    *("/", "..", ".", "*", "[a", "/proc/self/mem", "/dev/null", "''", "$X", "${X:-y}", "-1", "~"),
    *("99999999999", "0:99999999999", "nobody:nogroup", "a/b/../../..", "\u202e", "b/" * 500),
    *("0777", "--link", "--chown=zz", "--chmod=9", "--from=0", "--parents", "--exclude=*"),
    *("--mount=type=cache,target=/", "--mount=type=tmpfs,target=/proc", "--mount=target=/x"),
    *("--mount=type=secret,id=q,required", "--mount=from=base,source=/etc,target=/etc"),
    *("--network=none", "http://127.0.0.1:1/x", "git@x:y", "<<EOF", "\\", "65536", "80/tcp"),
)
_FAULTS = re.compile(r"Traceback|\w+Error\(|was killed|a bug of runtime|\[Errno")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("damaged"))
    for name in ("base", "rich", "trigger"):
        made.import_tar(name, busybox())
    yield made
    made.close()


def damaged(seed: int, context: Path) -> str:
    """Copy a case to *context*, put words into its Dockerfile that the parser lets through."""
    chance = random.Random(seed)
    while True:
        source = chance.choice(SOURCES)
        lines = (source / "Dockerfile").read_text().split("\n")
        for _ in range(chance.randint(1, 3)):
            number = chance.randrange(len(lines))
            words = lines[number].split(" ")
            at = chance.randrange(len(words)) + 1
            words[at : at + chance.randint(0, 1)] = [chance.choice(_WORDS)]
            lines[number] = " ".join(words)
        text = "\n".join(lines)
        try:
            graph.target_stages(parser.parse(text))
        except DockerfileError:
            continue
        shutil.copytree(source, context, symlinks=True)
        (context / "Dockerfile").write_text(text)
        return text


@pytest.mark.parametrize("seed", range(12))
def test_what_the_parser_lets_through_is_built_or_refused(
    runtime: Runtime, tmp_path: Path, seed: int
) -> None:
    text = damaged(seed, tmp_path / "context")

    done = runtime("build", "--network=none", str(tmp_path / "context"), check=False)

    assert done.returncode in (0, 1), f"{text}\n{done.stderr}"
    assert not _FAULTS.search(done.stderr), f"{text}\n{done.stderr}"
    if done.returncode:
        assert re.search(r"^runtime: cannot build: .*Dockerfile:\d+: ", done.stderr, re.MULTILINE)
