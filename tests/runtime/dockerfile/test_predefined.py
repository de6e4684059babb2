"""Variables that need no ARG, and warnings of those that are not what they seem."""

from __future__ import annotations

from runtime.dockerfile import commands, predefined


def test_a_platform_has_its_parts() -> None:
    found = predefined.platform_args("linux/amd64", "linux/arm/v7")

    assert found == {
        "BUILDPLATFORM": "linux/amd64",
        "BUILDOS": "linux",
        "BUILDARCH": "amd64",
        "BUILDVARIANT": "",
        "TARGETPLATFORM": "linux/arm/v7",
        "TARGETOS": "linux",
        "TARGETARCH": "arm",
        "TARGETVARIANT": "v7",
    }


def test_proxies_need_no_arg() -> None:
    assert predefined.proxies({"http_proxy": "p", "NO_PROXY": "n", "A": "a"}) == {
        "http_proxy": "p",
        "NO_PROXY": "n",
    }


def test_a_variable_without_a_value_is_told() -> None:
    place = commands.Place(7, 7, "USER $NAEM$X")

    assert predefined.undefined(place, {"X", "NAEM"}, ["NAME", "PATH"]) == [
        "warning: Dockerfile:7: $NAEM has no value here; did you mean $NAME?",
        "warning: Dockerfile:7: $X has no value here",
    ]
