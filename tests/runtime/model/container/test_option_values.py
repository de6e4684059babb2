"""The values of `run`'s options, as docker reads them."""

from __future__ import annotations

import pytest

from runtime.model.container import limits, option_values
from runtime.model.container.spec import ContainerRestartPolicy, Mount, Port


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/data", Mount("volume", "", "/data")),
        ("name:/data", Mount("volume", "name", "/data")),
        ("name:/data:ro", Mount("volume", "name", "/data", read_only=True)),
        ("name:/data:nocopy", Mount("volume", "name", "/data", copy_up=False)),
        ("/a:/b", Mount("bind", "/a", "/b")),
        ("/a:/b:ro,rslave", Mount("bind", "/a", "/b", read_only=True, propagation="rslave")),
        ("/a:/b//c/./d/:rw,z", Mount("bind", "/a", "/b/c/d")),
    ],
)
def test_a_volume_is_a_name_or_a_path(text: str, mount: Mount) -> None:
    assert option_values.volume(text) == mount


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a:b:c:d", "SOURCE"),
        ("/a:b", "absolute"),
        ("/a:/", "root"),
        ("/a:/b/../c", "'..'"),
        ("./a:/b", "absolute"),
        ("/a:/b:rx", "'rx'"),
        ("/a:", "SOURCE"),
    ],
)
def test_a_volume_that_is_none_is_refused(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        option_values.volume(text)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("type=bind,source=/a,target=/b,readonly", Mount("bind", "/a", "/b", read_only=True)),
        ("type=bind,src=/a,dst=/b,ro=false", Mount("bind", "/a", "/b")),
        ("src=vol,dst=/b,volume-nocopy", Mount("volume", "vol", "/b", copy_up=False)),
        (
            "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700",
            Mount("tmpfs", "", "/t", options=("size=1048576", "mode=700")),
        ),
    ],
)
def test_a_mount_said_at_length(text: str, mount: Mount) -> None:
    assert option_values.mount(text) == mount


@pytest.mark.parametrize(
    "text", ["type=nfs,target=/a", "type=bind,target=/a", "sauce=/a,target=/b", "type=tmpfs"]
)
def test_a_mount_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        option_values.mount(text)


def test_tmpfs_options_are_the_kernels() -> None:
    found = option_values.tmpfs("/t:size=64m,mode=1777,exec,ro")

    assert found == Mount(
        "tmpfs", "", "/t", read_only=True, options=("size=67108864", "mode=1777", "exec")
    )


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", [Port(80)]),
        ("8080:80", [Port(80, 8080)]),
        ("8080:80/udp", [Port(80, 8080, "udp")]),
        ("127.0.0.1:8080:80", [Port(80, 8080, "tcp", "127.0.0.1")]),
        ("127.0.0.1::80", [Port(80, 0, "tcp", "127.0.0.1")]),
        ("[::1]:8080:80", [Port(80, 8080, "tcp", "::1")]),
        ("8000-8001:80-81", [Port(80, 8000), Port(81, 8001)]),
    ],
)
def test_a_port_is_published(text: str, ports: list[Port]) -> None:
    assert option_values.ports(text) == ports


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0",
        "65536",
        "80:",
        "80/sctp",
        "1-2:3-5",
        "9-8",
        "\u0668",
        "1-" + "9" * 19,
        "9" * 5001,
    ],
)
def test_a_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        option_values.ports(text)


def test_variables_are_given_or_passed_on() -> None:
    found = option_values.environment(["A=1", "B", "C", "D="], {"B": "2"})

    assert found == {"A": "1", "B": "2", "D": ""}


def test_a_file_of_variables_has_comments_and_no_quotes() -> None:
    text = "# a comment\n\nA=1\n  B='x y'\nC\n"

    assert option_values.environment_file(text) == ["A=1", "B='x y'", "C"]


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("no", ContainerRestartPolicy("no")),
        ("always", ContainerRestartPolicy("always")),
        ("on-failure", ContainerRestartPolicy("on-failure")),
        ("on-failure:3", ContainerRestartPolicy("on-failure", 3)),
        ("unless-stopped", ContainerRestartPolicy("unless-stopped")),
    ],
)
def test_restart_policies(text: str, policy: ContainerRestartPolicy) -> None:
    assert option_values.restart(text) == policy


@pytest.mark.parametrize("text", ["maybe", "always:3", "on-failure:x", "on-failure:-1"])
def test_a_restart_policy_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        option_values.restart(text)


@pytest.mark.parametrize("text", ["NET_ADMIN", "cap_net_admin", "CAP_NET_ADMIN", "net_admin"])
def test_a_capability_has_many_spellings(text: str) -> None:
    assert option_values.capability(text, ["NET_ADMIN"]) == "NET_ADMIN"


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(ValueError, match="NET_ADMINN"):
        option_values.capability("NET_ADMINN", ["NET_ADMIN"])


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("/dev/fuse", ("/dev/fuse", "/dev/fuse", "rwm")),
        ("/dev/sda:/dev/xvda", ("/dev/sda", "/dev/xvda", "rwm")),
        ("/dev/sda:r", ("/dev/sda", "/dev/sda", "r")),
        ("/dev/sda:/dev/xvda:rw", ("/dev/sda", "/dev/xvda", "rw")),
    ],
)
def test_a_device_is_given(text: str, device: tuple[str, str, str]) -> None:
    assert option_values.device(text) == device


@pytest.mark.parametrize("text", ["fuse", "/dev/a:/dev/b:x", "/dev/a:b"])
def test_a_device_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST/DEVICE"):
        option_values.device(text)


@pytest.mark.parametrize(
    ("text", "pair"),
    [("a:1.2.3.4", ("a", "1.2.3.4")), ("a:::1", ("a", "::1")), ("a=[::1]", ("a", "::1"))],
)
def test_a_line_for_etc_hosts(text: str, pair: tuple[str, str]) -> None:
    assert option_values.add_host(text) == pair


@pytest.mark.parametrize(
    ("text", "size"),
    [("10", 10), ("10b", 10), ("1k", 1024), ("1KB", 1024), ("64m", 1 << 26), ("1.5GiB", 3 << 29)],
)
def test_sizes_are_powers_of_1024(text: str, size: int) -> None:
    assert limits.size(text) == size


@pytest.mark.parametrize("text", ["", "m", "1x", "-1", "1 m x", "inf", "nan"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="size"):
        limits.size(text)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("nofile=1024:2048", ("nofile", (1024, 2048))),
        ("core=0", ("core", (0, 0))),
        ("RLIMIT_STACK=-1", ("stack", (-1, -1))),
        ("nproc=5:unlimited", ("nproc", (5, -1))),
    ],
)
def test_ulimits(text: str, limit: tuple[str, tuple[int, int]]) -> None:
    assert limits.ulimit(text) == limit


@pytest.mark.parametrize(
    "text",
    [
        "files=1",
        "nofile",
        "nofile=2:1",
        "nofile=-1:5",
        "nofile=x",
        "nofile=\u0661",
        "nofile=" + "9" * 5001,
    ],
)
def test_a_ulimit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        limits.ulimit(text)


@pytest.mark.parametrize("text", ["0", "0-2,7", "3"])
def test_lists_of_processors(text: str) -> None:
    assert limits.processors(text) == text


@pytest.mark.parametrize("text", ["", "a", "2-1", "1-", "1,,2", "\u0661", "0-" + "9" * 5001])
def test_a_list_of_processors_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="list"):
        limits.processors(text)


def test_less_memory_than_a_container_needs_is_refused() -> None:
    with pytest.raises(ValueError, match="6m"):
        limits.memory("5m")


@pytest.mark.parametrize(
    "text", ["a:\u0661.1.1.1", "a:1.1.1", "a:1.1.1.256", "a:[::g]", "a:1::2::3"]
)
def test_a_host_gets_an_address_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="is not an IP"):
        option_values.add_host(text)


def test_a_host_may_have_either_kind_of_address_or_be_this_machine() -> None:
    assert option_values.add_host("a:1.2.3.4") == ("a", "1.2.3.4")
    assert option_values.add_host("a:[fe80::1%eth0]") == ("a", "fe80::1%eth0")
    assert option_values.add_host("a=::1") == ("a", "::1")
    assert option_values.add_host("a:host-gateway") == ("a", "host-gateway")


@pytest.mark.parametrize(
    "value", ["mac-address=\u0660\u0660:00:00:00:00:00", "mac-address=1", "ip=\u0661.1.1.1"]
)
def test_a_network_takes_addresses_of_ascii_digits(value: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        option_values.network(f"name=n,{value}")
