"""registries.yaml: text in, settings out; every problem with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.model.errors import RuntimeFailure
from runtime.model.image import reference as names
from runtime.registry import configuration, decode
from runtime.registry.settings import (
    DOCKER_ACCOUNT,
    DOCKER_HUB,
    Patience,
    Settings,
    Trust,
    endpoints,
    is_loopback,
)
from tests.support.scripts import ROOT

_MIRROR = "registries.r.example.mirrors[0]"


def places(text: str, name: str) -> list[str]:
    """Return where *name* is asked for: ``scheme://host/repository``, schemes as far as known."""
    found = endpoints(decode.settings(text, "r.yaml"), names.parse(name))
    return [f"{one.location.scheme or '?'}://{one.location.host}/{one.repository}" for one in found]


def problems(text: str) -> list[str]:
    with pytest.raises(RuntimeFailure) as caught:
        decode.settings(text, "r.yaml")
    return caught.value.message.splitlines()


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("", "debian", [f"?://{DOCKER_HUB}/library/debian"]),
        ("", "quay.io/a/b", ["?://quay.io/a/b"]),
        (
            "registries: {docker.io: {mirrors: ['https://m.example', 'm2.example:5000/hub']}}",
            "debian",
            [
                "https://m.example/library/debian",
                "?://m2.example:5000/hub/library/debian",
                f"?://{DOCKER_HUB}/library/debian",
            ],
        ),
        (
            "registries: {daocloud.io: {blocked: true, mirrors: ['http://127.0.0.1:5000']}}",
            "daocloud.io/centos",
            ["http://127.0.0.1:5000/centos"],
        ),
        ("registries: {r.example: {blocked: yes}}", "quay.io/x", ["?://quay.io/x"]),
        ("registries: {r.example: {http: true}}", "r.example/x", ["http://r.example/x"]),
        ("registries: {r.example: {insecure: true}}", "r.example/x", ["https://r.example/x"]),
        (
            "registries: {r.example/team: {location: 'git.example/reg/team'}}",
            "r.example/team/app",
            ["?://git.example/reg/team/app"],
        ),
        (
            "registries: {r.example/team: {http: true}}",
            "r.example/team/app",
            ["http://r.example/team/app"],
        ),
        (
            "registries: {r.example/team: {location: git.example}}",
            "r.example/teams/app",
            ["?://r.example/teams/app"],
        ),
        (
            "registries: {r.example: {http: true}, r.example/a: {location: other.example}}",
            "r.example/a/b",
            ["?://other.example/b"],
        ),
    ],
)
def test_a_name_is_asked_for_where_the_file_says(text: str, name: str, expected: list[str]) -> None:
    if "yes" in text:
        text = text.replace("yes", "true")

    assert places(text, name) == expected


def test_every_number_can_be_set() -> None:
    text = "parallel: 2\nattempts: 7\nconnect_timeout: 500ms\nstall_timeout: 2m\nchunk_size: 1m\n"

    assert decode.settings(text, "r.yaml") == Settings(
        patience=Patience(connect=0.5, stall=120.0, attempts=7), parallel=2, chunk=1 << 20
    )


def test_trust_is_a_registry_s_own() -> None:
    text = "registries: {r.example: {ca: /a.pem, cert: /c.pem, key: /k.pem}}"

    found = endpoints(decode.settings(text, "r.yaml"), names.parse("r.example/x"))

    assert found[0].location.trust == Trust("/a.pem", "/c.pem", "/k.pem")
    assert found[0].location.scheme == "https"


def test_credentials_for_docker_hub_are_under_docker_s_name() -> None:
    assert endpoints(Settings(), names.parse("debian"))[0].account == DOCKER_ACCOUNT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "registeries: {}",
            "r.yaml:1:1: there is no key 'registeries'; did you mean 'registries'?",
        ),
        ("parallel: 0", "r.yaml:1:11: parallel: '0' is not a number from 1 to 64"),
        ("attempts: many", "r.yaml:1:11: attempts: 'many' is not a number from 1 to 100"),
        (
            "stall_timeout: soon",
            "r.yaml:1:16: stall_timeout: 'soon' is not a time such as 500ms, 30s or 2m",
        ),
        (
            "registries:\n  docker.io: {miror: [a]}",
            "r.yaml:2:15: registries.docker.io: there is no key 'miror'; did you mean 'mirrors'?",
        ),
        (
            "registries:\n  debian: {}",
            "r.yaml:2:11: registries.debian: 'debian' is not HOST[:PORT][/PATH]",
        ),
        (
            "registries: {r.example: {http: maybe}}",
            "r.yaml:1:32: registries.r.example.http: 'maybe' is neither true nor false",
        ),
        (
            "registries: {r.example: {ca: ca.pem}}",
            "r.yaml:1:30: registries.r.example.ca: 'ca.pem' is not an absolute path",
        ),
        (
            "registries: {r.example: {mirrors: x}}",
            "r.yaml:1:35: registries.r.example.mirrors: it is not a list",
        ),
        (
            "registries: {r.example: {mirrors: [{ca: /x}]}}",
            "r.yaml:1:36: registries.r.example.mirrors[0]: it has no location",
        ),
        (
            "registries: {r.example: {mirrors: ['ftp://x']}}",
            f"r.yaml:1:36: {_MIRROR}: 'ftp://x': a registry is reached by http or https",
        ),
        ("registries: [a]", "r.yaml:1:13: registries: it is not a mapping"),
        ("- a", "r.yaml:1:1: it is not a mapping"),
        (
            "registries: {r.example: {}, r.example: {}}",
            "r.yaml:1:29: registries: 'r.example' is there twice",
        ),
    ],
)
def test_a_problem_is_told_with_its_place(text: str, expected: str) -> None:
    assert problems(text) == [expected]


def test_all_problems_are_told_at_once() -> None:
    assert len(problems("parallel: x\nattempts: y\nregistries: {a: {}}")) == 3


def test_what_is_no_yaml_is_told_with_its_place() -> None:
    assert problems("a: [")[0].startswith("r.yaml:1:")


def test_the_reference_file_is_right() -> None:
    path = ROOT / "configs/registries.yaml"

    found = decode.settings(path.read_text(), str(path))

    assert len(found.rules) == 5


def test_without_the_default_file_all_is_as_usual(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("RUNTIME_REGISTRIES", raising=False)
    monkeypatch.setattr(configuration, "DEFAULT_FILE", str(tmp_path / "none.yaml"))

    assert configuration.load() == Settings()


def test_a_file_that_was_named_must_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RUNTIME_REGISTRIES", str(tmp_path / "none.yaml"))

    with pytest.raises(RuntimeFailure, match="there is no such file"):
        configuration.load()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("localhost:5000", True),
        ("127.0.0.1:5000", True),
        ("127.1.2.3", True),
        ("[::1]:5000", True),
        ("127.example.com", False),
        ("128.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_known(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
