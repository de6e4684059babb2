"""Names of images: docker's grammar, docker's shorthand, and what is said when they are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model.errors import RuntimeFailure
from runtime.model.image.reference import (
    Reference,
    parse,
    parse_tagged,
    unknown_image,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("debian", "docker.io/library/debian:latest", "debian:latest"),
        ("debian:12", "docker.io/library/debian:12", "debian:12"),
        ("index.docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("docker.io/debian", "docker.io/library/debian:latest", "debian:latest"),
        ("nginx/unit:1.2_a-b", "docker.io/nginx/unit:1.2_a-b", "nginx/unit:1.2_a-b"),
        ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
        ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
        ("Host/x", "Host/x:latest", "Host/x:latest"),
        ("quay.io/a/b/c:v1", "quay.io/a/b/c:v1", "quay.io/a/b/c:v1"),
        ("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"),
        ("a.b-c__d---e", "docker.io/library/a.b-c__d---e:latest", "a.b-c__d---e:latest"),
        (f"debian@{DIGEST}", f"docker.io/library/debian@{DIGEST}", f"debian@{DIGEST}"),
        (f"debian:1@{DIGEST}", f"docker.io/library/debian:1@{DIGEST}", f"debian:1@{DIGEST}"),
    ],
)
def test_a_familiar_name_is_short_for_a_full_one(text: str, full: str, familiar: str) -> None:
    found = parse(text)

    assert str(found) == full
    assert found.familiar == familiar


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        (":tag", "the repository is missing"),
        ("Debian", "repository names are lower case"),
        ("debian:", "'' is not a tag"),
        ("debian:-x", "'-x' is not a tag"),
        ("debian:" + "x" * 129, "is not a tag"),
        ("debian@sha256:12", "'sha256:12' is not 'sha256:' and 64 hexadecimal digits"),
        ("a___b", "'a___b' is not a repository name"),
        ("-a", "'-a' is not a repository name"),
        ("a..b", "'a..b' is not a repository name"),
        ("a//b", "nothing between two slashes"),
        ("a/", "nothing between two slashes or at the end"),
        ("local host/x", "is not a repository name"),
        ("foo.bar:x/y", "'x' is not a port"),
        ("-x.y/z", "'-x.y' is not a registry's host name"),
        ("a/" * 150 + "b", "more than 255 characters"),
    ],
)
def test_a_wrong_name_says_which_part_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(RuntimeFailure) as refused:
        parse(text)

    assert refused.value.message.startswith(f"'{text}' is not an image name: ")
    assert reason in refused.value.message


def test_capitals_are_answered_with_the_name_in_lower_case() -> None:
    with pytest.raises(RuntimeFailure) as refused:
        parse("quay.io/My/App:V1")

    assert refused.value.hint == "did you mean 'quay.io/my/app:V1'?"


def test_neither_a_digest_nor_an_id_can_be_given_as_a_name() -> None:
    for text in (f"debian@{DIGEST}", DIGEST.removeprefix("sha256:")):
        with pytest.raises(RuntimeFailure):
            parse_tagged(text)


KNOWN = [
    *("docker.io/library/centos:latest", "docker.io/library/centos:7"),
    *("docker.io/library/my_first_image:latest", "quay.io/x/y:1", f"quay.io/x/y@{DIGEST}"),
]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("centos:lastest", 'no tag "lastest" of centos', 'did you mean "latest"?'),
        ("centos:stream", 'no tag "stream" of centos', 'there is "7", "latest"'),
        (
            "my_first_imgae",
            "no such image: my_first_imgae",
            'did you mean "my_first_image:latest"?',
        ),
        ("centso:7", "no such image: centso:7", 'did you mean "centos:7"?'),
        ("fedora", "no such image: fedora", 'there is "centos:7", "centos:latest"'),
        ("Centos", "'Centos' is not an image name", "did you mean 'centos'?"),
    ],
)
def test_a_missing_image_is_answered_with_what_may_be_meant(
    text: str, message: str, hint: str
) -> None:
    told = unknown_image(text, KNOWN)

    assert told.message.startswith(message)
    assert told.hint.startswith(hint)


def test_an_empty_store_is_said_to_have_the_host() -> None:
    assert unknown_image("debian", []).hint == "there is no image but 'host', this machine"


components = st.from_regex(r"[a-z0-9]{1,8}(([._]|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
references = st.builds(
    Reference,
    domain=st.sampled_from(["docker.io", "localhost", "quay.io", "10.0.0.1:5000", "a-b.c:80"]),
    path=st.lists(components, min_size=2, max_size=3).map("/".join),
    tag=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    digest=st.sampled_from(["", DIGEST]),
)


@given(references)
def test_what_is_written_is_read_again(reference: Reference) -> None:
    """Parsing either spelling of a reference gives the reference."""
    assert parse(str(reference)) == reference
    assert parse(reference.familiar) == reference
