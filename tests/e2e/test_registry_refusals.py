"""What `pull`, `push` and `login` refuse without asking anybody, and how they say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runtime_cli import Runtime

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root")]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("runtime"))
    made.environment["RUNTIME_CONFIG"] = str(made.root)
    made.environment["DOCKER_CONFIG"] = str(made.root)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("pull", "host"), "'host' is this machine; it is in no registry"),
        (("pull", "Debian"), "'Debian' is not an image name: repository names are lower case"),
        (("pull", "-a", "127.0.0.1:1/x:1"), "--all-tags: the name has a tag already"),
        (("push", "-a", "127.0.0.1:1/x:1"), "--all-tags: the name has a tag already"),
        (("pull", "--platform", "a/b/c/d", "127.0.0.1:1/x"), "--platform: 'a/b/c/d' is not"),
        (("pull", "--progress", "fancy", "x"), "--progress: 'fancy' is none of"),
        (("pull", "--registries", "/none", "x"), "cannot read '/none': there is no such file"),
        (("pull", "127.0.0.1:1/x"), "http://127.0.0.1:1: connection refused"),
        (("push", "nothing"), "no such image: nothing"),
        (("login",), "stdin is not a terminal"),
        (("login", "-u", "me", "--password-stdin", "a b"), "'a b' is no registry"),
        (("login", "--password-stdin"), "--password-stdin needs --username beside it"),
        (("login", "-p", "x", "--password-stdin", "-u", "me"), "are mutually exclusive"),
        (("login", "-u", "me", "-p", "x", "127.0.0.1:1"), "connection refused"),
    ],
)
def test_a_refusal_says_why(runtime: Runtime, words: tuple[str, ...], said: str) -> None:
    code, text = runtime.refusal(*words)

    assert code == 1
    assert said in text


def test_what_is_wrong_in_registries_yaml_is_told_with_its_place(
    runtime: Runtime, tmp_path: Path
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("registries:\n  docker.io: {miror: []}\n")

    code, text = runtime.refusal("pull", "--registries", str(path), "x")

    assert code == 1
    assert f"{path}:2:15: registries.docker.io: there is no key 'miror'" in text
