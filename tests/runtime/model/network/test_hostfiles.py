"""/etc/hosts, /etc/hostname, /etc/resolv.conf: text in, text out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runtime.model.network import hostfiles

# What `docker run --add-host db:10.1.2.3 debian cat /etc/hosts` of docker 20.10 prints.
DOCKERS_HOSTS = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "ff00::0\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
    "10.1.2.3\tdb\n"
    "172.17.0.2\tb750fafd441b\n"
)


def make(**changes: object) -> str:
    given_ = {"addresses": ["172.17.0.2"], "name": "b750fafd441b", "domain": "", "extra": []}
    return hostfiles.hosts(**{**given_, "gateway": "172.17.0.1", **changes})  # type: ignore[arg-type]


def test_hosts_are_dockers() -> None:
    assert make(extra=[("db", "10.1.2.3")]) == DOCKERS_HOSTS


def test_a_domain_comes_before_the_short_name() -> None:
    assert make(name="web", domain="example.org").endswith("172.17.0.2\tweb.example.org web\n")


def test_host_gateway_is_the_gateway() -> None:
    assert "172.17.0.1\tme\n" in make(extra=[("me", "host-gateway")])
    assert "\tme\n" not in make(extra=[("me", "host-gateway")], gateway="")


def test_peers_are_replaced_and_the_rest_stays() -> None:
    text = make() + "10.0.0.9 by-hand\n"

    with_one = hostfiles.with_peers(text, "app", [("172.18.0.3", ["db", "sql"])])
    with_other = hostfiles.with_peers(with_one, "app", [("172.18.0.4", ["cache"])])

    assert "172.18.0.3\tdb sql\n" in with_one
    assert "db" not in with_other
    assert with_other.startswith(text)
    assert hostfiles.with_peers(with_other, "app", None) == text


def test_networks_have_a_part_each() -> None:
    text = hostfiles.with_peers(make(), "app", [("172.18.0.3", ["db"])])
    both = hostfiles.with_peers(text, "app2", [("172.19.0.3", ["db2"])])

    assert hostfiles.with_peers(both, "app", None).count("\tdb2\n") == 1
    assert hostfiles.with_peers(both, "app2", None) == text


def test_no_name_becomes_a_line_of_its_own() -> None:
    text = hostfiles.with_peers("", "app", [("172.18.0.3", ["db", "x\n6.6.6.6 bank", "", "a b"])])

    assert text.splitlines()[1:-1] == ["172.18.0.3\tdb"]


def test_a_line_without_an_end_is_ended() -> None:
    assert hostfiles.with_peers("1.2.3.4 x", "app", []).startswith("1.2.3.4 x\n# containers")


@given(st.text(alphabet="ab\n#\t 1."), st.lists(st.tuples(st.just("10.0.0.1"), st.just(["x"]))))
def test_telling_twice_is_telling_once(text: str, peers: list[tuple[str, list[str]]]) -> None:
    """Whatever the container wrote around it, our part is there once."""
    once = hostfiles.with_peers(text, "app", peers)

    assert hostfiles.with_peers(once, "app", peers) == once
    assert once.count("# containers on network app\n") == 1


def test_a_line_is_removed_by_its_address_alone() -> None:
    text = "10.0.0.1\tx\n10.0.0.10\ty\n# 10.0.0.1\n"

    assert hostfiles.without_line(text, "10.0.0.1") == "10.0.0.10\ty\n# 10.0.0.1\n"


def test_hostname_ends_its_line() -> None:
    assert hostfiles.hostname("web") == "web\n"


def test_name_servers_out_of_reach_are_left_out() -> None:
    host = "# by hand\nnameserver 127.0.0.1\nnameserver 10.0.0.53\nnameserver fd00::53\n"

    assert hostfiles.resolv_conf(host) == "nameserver 10.0.0.53\n"
    assert "nameserver fd00::53\n" in hostfiles.resolv_conf(host, ipv6=True)


def test_without_any_left_the_public_ones_stand_in() -> None:
    for host in ("", "nameserver 127.0.0.53\n", "nameserver ::1\n", "nameserver fe80::1%eth0\n"):
        assert hostfiles.resolv_conf(host, ipv6=True) == (
            "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"
        )


def test_options_and_search_are_kept_or_replaced() -> None:
    host = "domain old.example\nsearch a.example b.example\noptions ndots:2 edns0\nnameserver 9.9.9.9\n"

    assert hostfiles.resolv_conf(host) == (
        "nameserver 9.9.9.9\nsearch a.example b.example\noptions ndots:2 edns0\n"
    )
    asked = hostfiles.resolv_conf(
        host, servers=["1.1.1.1", "::1"], search=["c.example"], options=["rotate"]
    )
    assert asked == "nameserver 1.1.1.1\nnameserver ::1\nsearch c.example\noptions rotate\n"


def test_a_dot_searches_nothing() -> None:
    assert hostfiles.resolv_conf("search a\nnameserver 9.9.9.9\n", search=["."]) == (
        "nameserver 9.9.9.9\n"
    )


def test_the_stub_of_systemd_is_recognised_alone() -> None:
    assert hostfiles.only_stub("nameserver 127.0.0.53\noptions edns0\n")
    assert not hostfiles.only_stub("nameserver 127.0.0.53\nnameserver 10.0.0.1\n")
    assert not hostfiles.only_stub("")
