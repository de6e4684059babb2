"""An image's configuration and a command line become one specification."""

from __future__ import annotations

import pytest

from runtime.model.container.compose import RunOptions, compose
from runtime.model.container.spec import (
    ContainerRestartPolicy,
    Mount,
    Port,
    Spec,
)
from runtime.model.errors import RuntimeFailure
from runtime.model.image.image_config import ImageConfig
from supervise.linux.capabilities import NAMES

ID = "ab" * 32


def composed(config: ImageConfig | None = None, **options: object) -> Spec:
    return compose(
        config or ImageConfig(cmd=("sh",)),
        RunOptions(**options),  # type: ignore[arg-type]
        container_id=ID,
        name="n",
        image="image",
        image_id="sha256:" + "0" * 64,
        known_capabilities=NAMES,
        now=1.0,
    )


IMAGE = ImageConfig(entrypoint=("/entry", "-x"), cmd=("default",))


@pytest.mark.parametrize(
    ("options", "argv", "words"),
    [
        ({}, ("/entry", "-x", "default"), 2),
        ({"command": ("a", "b")}, ("/entry", "-x", "a", "b"), 2),
        ({"entrypoint": ("/other",)}, ("/other",), 1),
        ({"entrypoint": ("/other",), "command": ("a",)}, ("/other", "a"), 1),
        ({"entrypoint": (), "command": ("a",)}, ("a",), 0),
    ],
)
def test_what_replaces_what_in_the_command(
    options: dict[str, object], argv: tuple[str, ...], words: int
) -> None:
    spec = composed(IMAGE, **options)

    assert (spec.argv, spec.entrypoint_words) == (argv, words)


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(RuntimeFailure, match="no command") as refused:
        composed(ImageConfig())

    assert refused.value.code == 125


def test_services_need_no_command() -> None:
    assert composed(ImageConfig(), services="/s.yaml").argv == ()


def test_services_are_not_ended_by_a_shell_that_nobody_talks_to() -> None:
    shell = ImageConfig(cmd=("/bin/bash",))

    assert composed(shell, services="/s.yaml").argv == ()
    assert composed(shell, services="/s.yaml", tty=True).argv == ("/bin/bash",)
    assert composed(shell, services="/s.yaml", command=("bash",)).argv == ("bash",)
    assert composed(shell).argv == ("/bin/bash",)


def test_later_variables_win() -> None:
    found = composed(
        ImageConfig(cmd=("sh",), env=("PATH=/image", "A=image", "B=image")),
        environment={"B": "option"},
        tty=True,
    ).environment

    assert found == {
        "PATH": "/image",
        "HOSTNAME": ID[:12],
        "TERM": "xterm",
        "A": "image",
        "B": "option",
    }


@pytest.mark.parametrize(
    ("entrypoint", "init"),
    [
        (("/bin/app",), "supervise"),
        (("/usr/bin/tini", "--", "app"), "image"),
        (("supervise", "-c", "/etc/supervise.yaml", "--"), "image"),
    ],
)
def test_an_image_with_an_init_gets_no_second_one(entrypoint: tuple[str, ...], init: str) -> None:
    assert composed(ImageConfig(entrypoint=entrypoint)).init == init
    assert composed(ImageConfig(entrypoint=entrypoint), init=False).init == "none"


def test_capabilities_are_added_to_and_taken_from_dockers() -> None:
    default = composed().capabilities
    changed = composed(cap_add=("NET_ADMIN",), cap_drop=("MKNOD",)).capabilities

    assert len(default) == 14
    assert set(changed) - set(default) == {"NET_ADMIN"}
    assert set(default) - set(changed) == {"MKNOD"}
    assert composed(cap_drop=("ALL",), cap_add=("CHOWN",)).capabilities == ("CHOWN",)
    assert set(composed(cap_add=("ALL",), cap_drop=("CHOWN",)).capabilities) == {*NAMES} - {"CHOWN"}
    assert composed(privileged=True).capabilities == NAMES


def test_a_volume_of_the_image_is_anonymous_unless_something_is_there() -> None:
    image = ImageConfig(cmd=("sh",), volumes=("/data", "/var/lib/x/"))
    bind = Mount("bind", "/host", "/data")

    assert composed(image, mounts=(bind,)).mounts == (bind, Mount("volume", "", "/var/lib/x"))


def test_outer_mounts_come_before_inner_ones() -> None:
    mounts = tuple(Mount("tmpfs", "", place) for place in ("/a/b/c", "/a", "/a/b"))

    assert [m.target for m in composed(mounts=mounts).mounts] == ["/a", "/a/b", "/a/b/c"]


def test_two_mounts_in_one_place_are_refused() -> None:
    mounts = (Mount("tmpfs", "", "/a"), Mount("bind", "/x", "/a"))

    with pytest.raises(RuntimeFailure, match="'/a'"):
        composed(mounts=mounts)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"auto_remove": True, "restart": ContainerRestartPolicy("always")}, "--rm and --restart"),
        ({"services": "/s", "init": False}, "--services"),
        ({"network": "host", "ports": (Port(80),)}, "--net host"),
        ({"network": "container:x", "ports": (Port(80),)}, "publish"),
        ({"name": "-x"}, "'-x'"),
        ({"security": ("selinux=on",)}, "selinux"),
        ({"security": ("apparmor=mine",)}, "apparmor"),
        ({"stop_signal": "SIGTREM"}, "SIGTREM"),
    ],
)
def test_contradictions_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(RuntimeFailure, match=words):
        composed(None, **options)


def test_security_options() -> None:
    found = composed(security=("no-new-privileges", "seccomp=/p.json", "apparmor=unconfined"))

    assert found.no_new_privileges
    assert found.seccomp == "/p.json"
    assert composed(privileged=True).seccomp == "unconfined"


def test_what_the_image_says_about_its_end() -> None:
    image = ImageConfig(cmd=("sh",), stop_signal="SIGINT")

    assert composed(image).stop_signal == 2
    assert composed(image, stop_signal="9").stop_signal == 9
    assert composed().stop_signal == 15


def test_low_ports_are_open_in_a_network_of_ones_own_alone() -> None:
    own, host = composed(), composed(network="host")

    assert own.sysctls["net.ipv4.ip_unprivileged_port_start"] == "0"
    assert host.sysctls == {}
    assert (own.hostname, host.hostname) == (ID[:12], "")


def test_exposed_ports_come_from_both() -> None:
    image = ImageConfig(cmd=("sh",), exposed_ports=("80/tcp", "53/udp"))

    assert composed(image, expose=((9, "tcp"),)).exposed == ((9, "tcp"), (80, "tcp"), (53, "udp"))
