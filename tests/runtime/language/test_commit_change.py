"""--change: one instruction on an image's configuration."""

from __future__ import annotations

import pytest

from runtime.language.commit_change import apply
from runtime.model.errors import RuntimeFailure
from runtime.model.image.image_config import Healthcheck, ImageConfig


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (['CMD ["a", "b c"]'], ImageConfig(cmd=("a", "b c"))),
        (["cmd a b c"], ImageConfig(cmd=("/bin/sh", "-c", "a b c"))),
        (["CMD [ -x /y ]"], ImageConfig(cmd=("/bin/sh", "-c", "[ -x /y ]"))),
        (['ENTRYPOINT ["/e"]'], ImageConfig(entrypoint=("/e",))),
        (['ENV a=1 b="x y"', "ENV a=2"], ImageConfig(env=("a=2", "b=x y"))),
        (["ENV a the rest of it"], ImageConfig(env=("a=the rest of it",))),
        (["LABEL a=1 b=2"], ImageConfig(labels={"a": "1", "b": "2"})),
        (["EXPOSE 80 53/udp 90-91"], ImageConfig(exposed_ports=("53/udp", "80/tcp", "90/tcp", "91/tcp"))),
        (["VOLUME /b /a"], ImageConfig(volumes=("/a", "/b"))),
        (['VOLUME ["/x y"]'], ImageConfig(volumes=("/x y",))),
        (["WORKDIR /a", "WORKDIR b/../c"], ImageConfig(working_dir="/a/c")),
        (["USER 1:2"], ImageConfig(user="1:2")),
        (["STOPSIGNAL SIGINT"], ImageConfig(stop_signal="SIGINT")),
        (["ONBUILD RUN x"], ImageConfig(onbuild=("RUN x",))),
        (["HEALTHCHECK NONE"], ImageConfig(healthcheck=Healthcheck(("NONE",)))),
        (["HEALTHCHECK CMD a b"], ImageConfig(healthcheck=Healthcheck(("CMD-SHELL", "a b")))),
        (['HEALTHCHECK CMD ["a"]'], ImageConfig(healthcheck=Healthcheck(("CMD", "a")))),
        (
            ["HEALTHCHECK --interval=1m --start-period=5s --retries=2 CMD a"],
            ImageConfig(
                healthcheck=Healthcheck(
                    ("CMD-SHELL", "a"), interval=60.0, start_period=5.0, retries=2
                )
            ),
        ),
    ],
)  # fmt: skip
def test_an_instruction_changes_the_configuration(
    changes: list[str], expected: ImageConfig
) -> None:
    assert apply(ImageConfig(), changes) == expected


@pytest.mark.parametrize(
    ("change", "reason", "hint"),
    [
        ("ENTRYPIONT x", "'ENTRYPIONT' is not one of them", "did you mean 'ENTRYPOINT'?"),
        ("RUN x", "'RUN' is not one of them", ""),
        ("CMD", "CMD needs an argument", ""),
        ("ENV x", "'x' has no value", ""),
        ("ENV a=1 b", "'b' is not NAME=VALUE", ""),
        ("EXPOSE http", "'http' is not PORT", ""),
        ("EXPOSE 70000", "'70000' is not a port", ""),
        ("HEALTHCHECK true", "write HEALTHCHECK [--interval=30s …] CMD", ""),
        ("HEALTHCHECK --often=1s CMD a", "'--often=1s' is none of --interval", ""),
        ("HEALTHCHECK --timeout=x CMD a", "'x' is no duration", ""),
    ],
)
def test_what_cannot_be_applied_says_why(change: str, reason: str, hint: str) -> None:
    with pytest.raises(RuntimeFailure) as refused:
        apply(ImageConfig(), [change])

    assert reason in refused.value.message
    assert hint in refused.value.hint
