"""Image configurations: docker's document, byte for byte where it is ours to write."""

from __future__ import annotations

import json

import pytest

from runtime.model.image import image_config
from runtime.model.image.image_config import Healthcheck, History, ImageConfig

# As docker 20.10 wrote it (docker commit), shortened.
DOCKER = (
    b'{"architecture":"amd64","comment":"a \\u003c b \\u0026 c","config":{"Hostname":"",'
    b'"Domainname":"","User":"www","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,'
    b'"ExposedPorts":{"80/tcp":{}},"Tty":false,"OpenStdin":false,"StdinOnce":false,'
    b'"Env":["PATH=/bin","A=b=c"],"Cmd":["sh"],"Healthcheck":{"Test":["CMD","true"],'
    b'"Interval":1500000000,"Retries":2},"Image":"","Volumes":{"/data":{}},"WorkingDir":"/w",'
    b'"Entrypoint":["/e"],"OnBuild":["RUN x"],"Labels":{"a":"1","b":"2"},"StopSignal":"SIGINT",'
    b'"Shell":["/bin/bash","-c"]},"container":"abc","created":"2024-01-02T03:04:05.6Z",'
    b'"docker_version":"20.10.24","history":[{"created":"2024-01-02T03:04:05Z",'
    b'"created_by":"sh","empty_layer":true}],"os":"linux","rootfs":{"type":"layers",'
    b'"diff_ids":["sha256:aa"]}}'
)


def test_docker_s_document_is_read() -> None:
    config = image_config.from_json(DOCKER)

    assert (config.user, config.cmd, config.entrypoint) == ("www", ("sh",), ("/e",))
    assert config.exposed_ports == ("80/tcp",)
    assert config.volumes == ("/data",)
    assert config.healthcheck == Healthcheck(("CMD", "true"), interval=1.5, retries=2)
    assert config.history == (History("2024-01-02T03:04:05Z", "sh", empty_layer=True),)
    assert config.diff_ids == ("sha256:aa",)
    assert image_config.environment(config) == {"PATH": "/bin", "A": "b=c"}


def test_an_unchanged_document_is_written_byte_for_byte() -> None:
    assert image_config.to_json(image_config.from_json(DOCKER)) == DOCKER


def test_a_change_touches_its_key_alone() -> None:
    config = image_config.from_json(DOCKER).replace(
        cmd=("ls", "<"), user="", diff_ids=("sha256:bb",)
    )

    written = image_config.to_json(config)

    expected = DOCKER.replace(b'"Cmd":["sh"]', b'"Cmd":["ls","\\u003c"]')
    expected = expected.replace(b'"User":"www",', b"").replace(b"sha256:aa", b"sha256:bb")
    assert written == expected


def test_a_new_configuration_has_docker_s_order() -> None:
    config = ImageConfig(cmd=("sh",), env=("A=1",), entrypoint=(), architecture="amd64")

    assert image_config.to_json(config) == (
        b'{"architecture":"amd64","config":{"Env":["A=1"],"Cmd":["sh"]},"os":"linux",'
        b'"rootfs":{"type":"layers","diff_ids":[]}}'
    )


def test_null_is_what_is_not_there() -> None:
    found = image_config.from_json(
        b'{"config":{"Cmd":null,"Env":null,"Labels":null},"history":null}'
    )

    assert found.replace(document={}) == ImageConfig()


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"[]", "is a JSON object"),
        (b"{", "Expecting"),
        (b'{"config":7}', "'config' is not an object"),
        (b'{"config":{"Cmd":"sh"}}', "'Cmd' is not a list of strings"),
        (b'{"config":{"Env":[1]}}', "'Env' is not a list of strings"),
        (b'{"config":{"Labels":[]}}', "'Labels' is not an object"),
        (b'{"config":{"ExposedPorts":["80"]}}', "'ExposedPorts' is not an object"),
        (b'{"config":{"User":0}}', "'User' is not a string"),
        (b'{"rootfs":{"diff_ids":{"a":1}}}', "diff_ids' is not a list"),
        (b'{"history":[1]}', "'history' is not a list of objects"),
    ],
)
def test_what_is_no_configuration_is_refused(document: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        image_config.from_json(document)


def test_durations_survive() -> None:
    check = Healthcheck(("CMD-SHELL", "x"), 0.1, 30.0, 5.0, 0.0, 3)

    written = json.loads(image_config.to_json(ImageConfig(healthcheck=check)))["config"][
        "Healthcheck"
    ]

    assert written["Interval"] == 100_000_000
    assert (
        image_config.from_json(image_config.to_json(ImageConfig(healthcheck=check))).healthcheck
        == check
    )
