"""What one instruction makes of an image's configuration."""

from __future__ import annotations

import pytest

from runtime.builder import stage_image
from runtime.builder.stage_image import StageImage
from runtime.dockerfile import commands
from runtime.dockerfile.commands import CommandLine, Pair, Place
from runtime.model.errors import RuntimeFailure
from runtime.model.image.image_config import ImageConfig

HERE = Place(1, 1, "")
BASE = StageImage(ImageConfig(env=("PATH=/bin", "A=1"), cmd=("base",), entrypoint=("entry",)))


def shell(line: str) -> CommandLine:
    return CommandLine((line,), shell=True)


def test_env_replaces_in_place_and_appends() -> None:
    changed, text = stage_image.apply(BASE, commands.Env(HERE, (Pair("A", "2"), Pair("B", "3"))))

    assert changed.config.env == ("PATH=/bin", "A=2", "B=3")
    assert text == "ENV A=2 B=3"


def test_shell_form_gets_the_shell() -> None:
    changed, _ = stage_image.apply(BASE, commands.Shell(HERE, ("/bin/bash", "-ec")))

    changed, text = stage_image.apply(changed, commands.Cmd(HERE, shell('echo "x"')))

    assert changed.config.cmd == ("/bin/bash", "-ec", 'echo "x"')
    assert text == 'CMD ["/bin/bash" "-ec" "echo \\"x\\""]'


def test_entrypoint_drops_the_base_s_cmd() -> None:
    changed, _ = stage_image.apply(
        BASE, commands.Entrypoint(HERE, CommandLine(("new",), shell=False))
    )

    assert changed.config.entrypoint == ("new",)
    assert changed.config.cmd is None


def test_entrypoint_keeps_a_cmd_of_the_same_stage() -> None:
    changed, _ = stage_image.apply(BASE, commands.Cmd(HERE, shell("mine")))

    changed, _ = stage_image.apply(changed, commands.Entrypoint(HERE, shell("new")))

    assert changed.config.cmd == ("/bin/sh", "-c", "mine")


def env(image: StageImage, **pairs: str) -> StageImage:
    made = tuple(commands.Pair(name, value) for name, value in pairs.items())
    return stage_image.apply(image, commands.Env(HERE, made))[0]


def test_of_arg_and_env_the_later_counts() -> None:
    image = stage_image.declare(BASE, [("A", "argument"), ("X", "x"), ("Y", None)])
    assert image.environment() == {"A": "argument", "X": "x", "PATH": "/bin"}

    image = env(image, A="env")
    assert image.environment() == {"A": "env", "X": "x", "PATH": "/bin"}

    image = stage_image.declare(image, [("A", "again")])
    assert image.environment()["A"] == "again"
    assert image.config.env == ("PATH=/bin", "A=env")


def test_an_arg_declared_again_without_a_value_keeps_its_own() -> None:
    image = stage_image.declare(stage_image.declare(BASE, [("X", "x")]), [("X", None)])

    assert image.environment()["X"] == "x"


def test_a_stage_from_a_stage_has_its_args_but_where_env_says_otherwise() -> None:
    first = stage_image.declare(BASE, [("A", "argument"), ("X", "x"), ("Z", "z")])

    second = stage_image.begin(env(first, Z="env"))

    assert second.environment() == {"A": "1", "X": "x", "Z": "env", "PATH": "/bin"}
    assert dict(second.args) == {"X": "x"}


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", ["80/tcp"]),
        ("53/UDP", ["53/udp"]),
        ("8000-8002", ["8000/tcp", "8001/tcp", "8002/tcp"]),
        ("127.0.0.1:80:8080", ["8080/tcp"]),
    ],
)
def test_ports_to_expose(text: str, ports: list[str]) -> None:
    changed, _ = stage_image.apply(BASE, commands.Expose(HERE, (text,)))

    assert list(changed.config.exposed_ports) == ports


@pytest.mark.parametrize("text", ["0", "65536", "x", "80-", "90-80", "80/icmp", "", "²"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(RuntimeFailure, match="no port"):
        stage_image.apply(BASE, commands.Expose(HERE, (text,)))


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ("", "a", "/a"),
        ("/a", "b", "/a/b"),
        ("/a", "../c/./d", "/c/d"),
        ("/a", "/b", "/b"),
        ("/a", "//b", "/b"),
        ("/a", "b/", "/a/b/"),
        ("/a", "/", "/"),
        ("/", "../..", "/"),
    ],
)
def test_working_directories(before: str, path: str, after: str) -> None:
    image = StageImage(ImageConfig(working_dir=before))

    assert stage_image.with_working_dir(image, path)[0].config.working_dir == after


def test_a_layer_and_no_layer_in_the_history() -> None:
    image = stage_image.with_history(BASE, "RUN x", "2026-01-01T00:00:00Z", layer="sha256:1")
    image = stage_image.with_history(image, "CMD y", "2026-01-01T00:00:01Z")

    assert [step.empty_layer for step in image.config.history] == [False, True]
    assert image.layers == ("sha256:1",)
    assert image.config.created == "2026-01-01T00:00:01Z"


def test_a_base_without_path_gets_one_last() -> None:
    begun = stage_image.begin(StageImage(ImageConfig(env=("A=1",), onbuild=("RUN x",))))

    assert begun.config.env[0] == "A=1"
    assert begun.config.env[1].startswith("PATH=/usr/local/sbin:")
    assert begun.config.onbuild == ()


def test_signals_that_are_none_are_refused() -> None:
    with pytest.raises(RuntimeFailure, match="no signal"):
        stage_image.apply(BASE, commands.StopSignal(HERE, "SIGNOT"))


def test_durations_become_seconds() -> None:
    check = commands.HealthcheckInstruction(
        HERE, ("CMD", "true"), interval=1_500_000_000, retries=2
    )

    changed, _ = stage_image.apply(BASE, check)

    assert changed.config.healthcheck is not None
    assert changed.config.healthcheck.interval == 1.5
    assert changed.config.healthcheck.retries == 2
