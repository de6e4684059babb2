"""What a second build does again, and what it does not."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.building import build, write
from tests.support.runtime import Runtime, busybox

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("cache"))
    made.import_tar("busybox", busybox())
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path, runtime: Runtime) -> Path:
    runtime("builder", "prune", "--all", "--force")
    return tmp_path / "context"


FOUR = """\
FROM busybox
COPY a.txt /a
RUN cat /a > /from-a
COPY b.txt /b
RUN cat /b > /from-b
"""


def test_nothing_is_done_twice(runtime: Runtime, place: Path) -> None:
    context = write(place, FOUR, a_txt="a", b_txt="b")
    first = build(runtime, context)

    second = build(runtime, context)

    assert len(first.ran) == 4
    assert second.ran == []
    assert second.image == first.image


def test_a_changed_file_repeats_what_depends_on_it(runtime: Runtime, place: Path) -> None:
    context = write(place, FOUR, a_txt="a", b_txt="b")
    build(runtime, context, "--tag=built")

    (context / "b.txt").write_text("changed")
    again = build(runtime, context, "--tag=built")

    assert again.cached == ["COPY a.txt /a", "RUN cat /a > /from-a"]
    assert again.ran == ["COPY b.txt /b", "RUN cat /b > /from-b"]
    assert runtime.run("--no-init", "built", "cat", "/from-a", "/from-b").stdout == "achanged"


def test_times_do_not_count(runtime: Runtime, place: Path) -> None:
    context = write(place, FOUR, a_txt="a", b_txt="b")
    build(runtime, context)

    os.utime(context / "a.txt", (1, 1))

    assert build(runtime, context).ran == []


def test_a_mode_counts(runtime: Runtime, place: Path) -> None:
    context = write(place, FOUR, a_txt="a", b_txt="b")
    build(runtime, context)

    (context / "b.txt").chmod(0o600)

    assert build(runtime, context).ran[0] == "COPY b.txt /b"


def test_metadata_repeats_no_step(runtime: Runtime, place: Path) -> None:
    context = write(place, "FROM busybox\nLABEL a=1\nRUN touch /x\n")
    build(runtime, context)
    write(place, 'FROM busybox\nLABEL a=2\nRUN touch /x\nCMD ["x"]\n')

    assert build(runtime, context).ran == []


def test_an_argument_repeats_what_can_see_it(runtime: Runtime, place: Path) -> None:
    context = write(place, "FROM busybox\nRUN touch /before\nARG A=1\nRUN touch /after\n")
    build(runtime, context)

    assert build(runtime, context, "--build-arg=A=2").ran == ["RUN touch /after"]


def test_no_cache_does_everything(runtime: Runtime, place: Path) -> None:
    context = write(place, FOUR, a_txt="a", b_txt="b")
    build(runtime, context)

    assert len(build(runtime, context, "--no-cache").ran) == 4


def test_a_stage_that_makes_the_same_repeats_nothing_after_it(
    runtime: Runtime, place: Path
) -> None:
    dockerfile = """\
FROM busybox AS made
RUN echo COMMENT; echo same > /out
FROM busybox
COPY --from=made /out /out
RUN cat /out
"""
    context = write(place, dockerfile.replace("COMMENT", "one"))
    build(runtime, context)
    write(place, dockerfile.replace("COMMENT", "two"))

    again = build(runtime, context)

    assert again.ran == ["RUN echo two; echo same > /out"]


def test_a_cache_mount_persists(runtime: Runtime, place: Path) -> None:
    step = "RUN --mount=type=cache,target=/c echo x >> /c/log; wc -l < /c/log"
    context = write(place, f"FROM busybox\n{step}\n")

    outputs = [build(runtime, context, "--no-cache").output for _ in range(2)]

    assert outputs == ["1\n", "2\n"]
    listed = build(runtime, write(place, "FROM busybox\nRUN ls -d /c || echo none\n"))
    assert "none" in listed.output


def test_a_locked_cache_mount_has_one_user_at_a_time(runtime: Runtime, place: Path) -> None:
    mount = "--mount=type=cache,target=/c,sharing=locked"
    alone = "mkdir /c/busy && sleep 0.2 && rmdir /c/busy"
    context = write(
        place,
        f"""\
FROM busybox AS a
RUN {mount} {alone} && touch /a
FROM busybox AS b
RUN {mount} {alone} && touch /b
FROM busybox
COPY --from=a /a /
COPY --from=b /b /
""",
    )

    assert len(build(runtime, context).ran) == 4  # mkdir fails for a second one


def test_stages_run_at_once(runtime: Runtime, place: Path) -> None:
    """Each of the two waits for the other's file: one after the other they would never end."""
    wait = "until test -e /c/{}; do sleep 0.02; done"
    mount = "--mount=type=cache,id=meet,target=/c"
    context = write(
        place,
        f"""\
FROM busybox AS a
RUN {mount} touch /c/a; {wait.format("b")}; touch /a
FROM busybox AS b
RUN {mount} touch /c/b; {wait.format("a")}; touch /b
FROM busybox
COPY --from=a /a /
COPY --from=b /b /
""",
    )

    assert len(build(runtime, context).ran) == 4


def holders(place: Path, word: str) -> list[str]:
    """Return the files at and below *place* that hold *word*: name, contents, packed contents."""
    found = []
    for path in [place, *(place.rglob("*") if place.is_dir() else ())]:
        if word in path.name or (path.is_symlink() and word in os.readlink(path)):
            found.append(str(path))
        if path.is_file() and not path.is_symlink():
            found += [str(path) for data in _unpacked(path.read_bytes()) if word.encode() in data]
    return found


def _unpacked(data: bytes) -> list[bytes]:
    """Return *data*, and what is in it when it is packed or an archive."""
    if data.startswith(b"\x1f\x8b"):
        return [data, *_unpacked(gzip.decompress(data))]
    if data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            inner = [archive.extractfile(each) for each in archive if each.isfile()]
            return [data, *(more for file in inner if file for more in _unpacked(file.read()))]
    return [data]


def test_a_secret_is_in_no_key_no_layer_and_no_history(
    runtime: Runtime, place: Path, tmp_path: Path
) -> None:
    step = "RUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /length; echo $W > /plain"
    # The witness is in a layer and in the history: what the search finds if it is there.
    context = write(place, f"FROM busybox\nENV W=witness-word\n{step}\n")
    secret = tmp_path / "secret"
    secret.write_text("hidden-word")
    first = build(runtime, context, f"--secret=id=s,src={secret}", "--tag=built")
    secret.write_text("another-hidden-word")

    second = build(runtime, context, f"--secret=id=s,src={secret}")

    assert runtime.run("--no-init", "built", "cat", "/length").stdout == "11\n"
    assert runtime.run("--no-init", "built", "ls", "/run/secrets", check=False).returncode
    assert second.ran == []
    assert second.image == first.image
    runtime("save", "--output", str(tmp_path / "saved.tar"), "built")
    said = "".join(
        runtime(*words, "built").stdout for words in (("inspect",), ("history", "--no-trunc"))
    )
    digest = hashlib.sha256(b"hidden-word").hexdigest()
    for word, expected in (("witness-word", True), ("hidden-word", False), (digest, False)):
        places = [*holders(runtime.root, word), *holders(tmp_path / "saved.tar", word)]
        assert (word in said) is (expected and word != digest)
        assert any("/layers/" in each and "/diff/" in each for each in places) is expected, places
        assert any("/build/" in each for each in places) is False, places
        assert any("saved.tar" in each for each in places) is expected, places
        assert bool(places) is expected


def test_the_cache_outlives_its_image_and_goes_when_asked(runtime: Runtime, place: Path) -> None:
    context = write(place, FOUR, a_txt="a", b_txt="b")
    build(runtime, context, "--tag=built")
    runtime("rmi", "built")
    assert build(runtime, context).ran == []
    runtime("image", "prune", "--force")

    runtime("builder", "prune", "--force")

    assert len(build(runtime, context, "--tag=built").ran) == 4
    runtime("builder", "prune", "--force")
    assert build(runtime, context).ran == []  # the layers are the image's


def test_two_builds_from_nothing_are_one_image(
    runtime: Runtime, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = write(place, FOUR + "WORKDIR /w\nENV A=1\n", a_txt="a", b_txt="b")
    environment = {**runtime.environment, "SOURCE_DATE_EPOCH": "1700000000"}
    monkeypatch.setattr(Runtime, "environment", environment)

    images = [build(runtime, context, "--no-cache").image for _ in range(2)]
    monkeypatch.undo()
    given = build(runtime, context, "--no-cache", "--build-arg=SOURCE_DATE_EPOCH=1700000000")

    assert images == [given.image, given.image]
    created = runtime("inspect", "--format", "{{.Created}}", images[0]).stdout
    assert created == "2023-11-14T22:13:20Z\n"


def test_a_removed_layer_is_made_again(runtime: Runtime, place: Path) -> None:
    context = write(place, FOUR, a_txt="a", b_txt="b")
    first = build(runtime, context)
    runtime("rmi", first.image)
    # As a person might: by hand, behind the cache's back.
    made = sorted((runtime.root / "layers").iterdir(), key=lambda path: path.stat().st_mtime)
    made[-1].rename(made[-1].with_name(".tmp-gone"))

    again = build(runtime, context, "--tag=built")

    assert len(again.ran) >= 1
    assert runtime.run("--no-init", "built", "cat", "/from-a", "/from-b").stdout == "ab"


def test_builds_and_prunes_at_once_do_each_other_no_harm(runtime: Runtime, place: Path) -> None:
    context = write(
        place,
        """\
FROM busybox AS made
RUN head -c 100000 /dev/urandom > /random
FROM busybox
COPY --from=made /random /random
RUN cat /random > /copy
""",
    )
    builds = [
        runtime.popen(
            *("build", "--network=none", "--no-cache", "--quiet", f"--tag=image{number}"),
            str(context),
            stdout=subprocess.DEVNULL,
        )
        for number in range(3)
    ]

    while any(build.poll() is None for build in builds):
        runtime("builder", "prune", "--all", "--force")
        runtime("image", "prune", "--force")

    assert [build.returncode for build in builds] == [0, 0, 0]
    for number in range(3):
        compare = runtime.run("--no-init", f"image{number}", "cmp", "/random", "/copy")
        assert compare.stdout == ""
