"""Which stages are built, in which order, from what."""

from __future__ import annotations

import pytest

from runtime.dockerfile import graph, parser, predefined
from runtime.dockerfile.dockerfile_error import DockerfileError

PLATFORM = predefined.platform_args("linux/amd64", "linux/amd64")


def plan(text: str, target: str = "", **arguments: str) -> graph.BuildPlan:
    return graph.target_stages(parser.parse(text), target, arguments, PLATFORM)


def order(found: graph.BuildPlan) -> list[int]:
    return [node.index for node in found.stages]


THREE = "FROM x AS a\nFROM y AS b\nCOPY --from=a /x /\nFROM scratch\nCOPY --from=1 /x /\n"


def test_stages_come_after_what_they_copy_from() -> None:
    found = plan(THREE)

    assert order(found) == [0, 1, 2]
    assert [node.needs for node in found.stages] == [(), (0,), (1,)]
    assert found.stages[2].source("1") == 1


def test_what_the_target_does_not_need_is_left_out() -> None:
    assert order(plan(THREE, target="A")) == [0]
    assert order(plan(THREE, target="1")) == [0, 1]


def test_from_may_name_an_earlier_stage() -> None:
    first, second = plan("FROM x AS a\nFROM A\n").stages

    assert (first.base, second.base) == (None, 0)


def test_from_sees_the_args_before_it_and_the_platform() -> None:
    text = "ARG V=1\nARG I=img:$V\nFROM --platform=$BUILDPLATFORM ${I}-$TARGETARCH\n"

    (node,) = plan(text, V="2").stages

    assert (node.image, node.platform) == ("img:2-amd64", "linux/amd64")
    assert dict(plan(text, V="2").variables) == {"V": "2", "I": "img:2"}


def test_mounts_need_their_stages_too() -> None:
    found = plan("FROM x AS a\nFROM y\nRUN --mount=from=a,target=/a true\n")

    assert found.stages[1].needs == (0,)


def test_of_two_stages_with_a_name_the_nearer_above_is_meant() -> None:
    found = plan("FROM x AS a\nFROM y AS A\nFROM a\nCOPY --from=a / /\nFROM z AS a\n", target="2")

    assert order(found) == [1, 2]
    assert found.stages[1].source("a") == 1


def test_a_stage_that_is_not_needed_may_copy_from_a_later_one() -> None:
    assert order(plan("FROM x AS a\nCOPY --from=b /x /\nFROM y AS b\n")) == [1]


def test_an_image_of_no_stage_is_an_image() -> None:
    assert plan("FROM x\nCOPY --from=busybox /x /\n").stages[0].needs == ()


def test_what_onbuild_brings_copies_from_the_stages_above() -> None:
    dockerfile = parser.parse("FROM x AS a\nFROM y AS b\nFROM z\nFROM x AS late\n")
    copy, mount, image = (
        parser.parse_onbuild(text, dockerfile.stages[2].start.place)
        for text in (
            "COPY --from=A /x /",
            "RUN --mount=from=1,target=/b x",
            "COPY --from=busybox /x /",
        )
    )

    assert graph.triggered(dockerfile, [copy, mount, image], 2) == {"A": 0, "1": 1}
    assert [node.index for node in graph.target_stages(dockerfile, "2").others] == [0, 1, 3]


@pytest.mark.parametrize("name", ["late", "2", "3", "4", "$x"])
def test_what_onbuild_brings_cannot_copy_from_below(name: str) -> None:
    dockerfile = parser.parse("FROM x AS a\nFROM y AS b\nFROM z\nFROM x AS late\n")
    copy = parser.parse_onbuild(f"COPY --from={name} /x /", dockerfile.stages[2].start.place)

    with pytest.raises(DockerfileError) as caught:
        graph.triggered(dockerfile, [copy], 2)

    assert caught.value.hint


def test_a_file_may_have_thousands_of_stages() -> None:
    text = "FROM x AS s0\n" + "".join(f"FROM s{i} AS s{i + 1}\n" for i in range(3000))

    assert order(plan(text)) == list(range(3001))


@pytest.mark.parametrize(
    ("text", "target", "what"),
    [
        (THREE, "c", "there is no stage 'c'"),
        ("FROM x AS build\n", "buid", "there is no stage 'buid'"),
        ("FROM $NOTHING\n", "", "Dockerfile:1: FROM \\$NOTHING names no image"),
        ("FROM x AS a\nCOPY --from=b / /\nFROM x AS b\n", "a", "Dockerfile:2: stage 'b' stands af"),
        ("FROM x\nRUN --mount=from=1,target=/b x\nFROM x\n", "0", "Dockerfile:2: stage '1' stand"),
        ("FROM x AS a\nUSER u\nCOPY --from=a / /\n", "", "Dockerfile:3: stage 'a' copies from its"),
        ("FROM --platform=$NOTHING x\n", "", "Dockerfile:1: --platform=\\$NOTHING names no pl"),
        ("FROM x\nCOPY --from=7 / /\n", "", "Dockerfile:2: there is no stage 7 to copy from"),
        ("FROM x\nRUN --mount=from=1,target=/a ls\n", "", "Dockerfile:2: there is no stage 1"),
        ("FROM x\nCOPY --from=$s / /\n", "", "Dockerfile:2: variables are not expanded"),
    ],
)
def test_what_cannot_be_ordered_says_why(text: str, target: str, what: str) -> None:
    with pytest.raises(DockerfileError, match=what) as caught:
        plan(text, target)

    assert caught.value.hint
