"""`runtime build` from the command line: where it reads, what it says, how it fails."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import flat
from tests.support.building import build, write
from tests.support.runtime import Runtime, busybox
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

ID = re.compile(r"sha256:[0-9a-f]{64}\n")


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("build"))
    made.import_tar("busybox", busybox())
    yield made
    made.close()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return tmp_path / "context"


def refusal(runtime: Runtime, context: Path, *options: str, code: int = 1) -> str:
    """Return what a build says that must fail."""
    done = runtime("build", "--network=none", *options, str(context), check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return "runtime: " + done.stderr.rpartition("runtime: ")[2]


# -- what it reads and gives


def test_the_image_is_listed_with_all_its_names(runtime: Runtime, context: Path) -> None:
    write(context, "FROM busybox\nLABEL a=1\n")

    build(runtime, context, "--tag=one", "--tag=two:2", "--label=b=2")

    shown = runtime("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.splitlines()
    assert {"one:latest", "two:2"} <= set(shown)
    labels = runtime("inspect", "--format", "{{json .Config.Labels}}", "one").stdout
    assert json.loads(labels) == {"a": "1", "b": "2"}


def test_quiet_prints_the_id_alone(runtime: Runtime, context: Path, tmp_path: Path) -> None:
    write(context, "FROM busybox\nRUN echo loud; echo louder >&2\n")
    file = tmp_path / "id"

    done = runtime("build", "--network=none", "-q", "--iidfile", str(file), str(context))

    assert ID.fullmatch(done.stdout)
    assert done.stderr == ""
    assert file.read_text() == done.stdout.strip()


def test_the_dockerfile_may_come_from_stdin(runtime: Runtime, context: Path) -> None:
    write(context, "", a_txt="a")

    runtime(
        *("build", "--network=none", "--tag=piped", "--file=-", str(context)),
        text="FROM busybox\nCOPY a.txt /\n",
    )

    assert runtime.run("--no-init", "piped", "cat", "/a.txt").stdout == "a"


def test_the_context_may_come_from_stdin(runtime: Runtime, tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as made:
        for name, data in (("Dockerfile", b"FROM busybox\nCOPY x /x\n"), ("x", b"sent")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            made.addfile(info, io.BytesIO(data))
    (tmp_path / "archive").write_bytes(archive.getvalue())

    with (tmp_path / "archive").open("rb") as sent:
        command = runtime.command("build", "--network=none", "--tag=sent", "-")
        subprocess.run(
            command, stdin=sent, env=runtime.environment, check=True, capture_output=True
        )

    assert runtime.run("--no-init", "sent", "cat", "/x").stdout == "sent"


def test_history_tells_the_steps(runtime: Runtime, context: Path) -> None:
    write(context, 'FROM busybox\nARG A=1\nENV B=2\nRUN touch /x\nCMD ["x", "y"]\n')
    build(runtime, context, "--tag=told")

    shown = runtime("history", "--no-trunc", "--format", "{{.CreatedBy}}", "told").stdout

    assert shown.splitlines()[:4] == [
        'CMD ["x" "y"]',
        "RUN |1 A=1 /bin/sh -c touch /x",
        "ENV B=2",
        "ARG A=1",
    ]


def test_an_image_on_this_machine_s_root_is_marked(runtime: Runtime, context: Path) -> None:
    write(context, 'FROM host\nRUN echo here > /made-by-a-build\nCMD ["cat", "/made-by-a-build"]\n')

    build(runtime, context, "--tag=local")

    assert not Path("/made-by-a-build").exists()
    assert runtime.run("--no-init", "local").stdout == "here\n"
    assert "+host" in runtime("images", "--format", "{{.Size}}", "local").stdout
    refused = runtime("save", "--output", "/dev/null", "local", check=False)
    assert "this machine's own root" in refused.stderr


def test_names_and_networks_of_run(runtime: Runtime, context: Path) -> None:
    script = "grep -c 10.1.2.3 /etc/hosts; hostname; ls /sys/class/net | tr '\\n' ' '"
    write(context, f"FROM busybox\nRUN {script}\nRUN --network=none ls /sys/class/net\n")

    done = runtime(
        *("build", "--progress=plain", "--add-host=there:10.1.2.3", str(context)),
    )

    lines = re.findall(r"^#\d+ \d+\.\d+ (.*)$", done.stderr, re.MULTILINE)
    assert lines == ["1", "build", "eth0 lo ", "lo"]


def test_a_secret_may_be_a_variable(runtime: Runtime, context: Path) -> None:
    step = "RUN --mount=type=secret,id=TOKEN,env=TOKEN test $TOKEN = word && env > /env"
    write(context, f"FROM busybox\n{step}\n")

    done = subprocess.run(
        runtime.command("build", "--network=none", "--secret=id=TOKEN,env=WORD", str(context)),
        env={**runtime.environment, "WORD": "word"},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_what_mounts_leave_is_not_in_the_image(
    runtime: Runtime, context: Path, tmp_path: Path
) -> None:
    write(
        context,
        """\
FROM busybox AS tools
FROM scratch
COPY --from=tools /bin /bin
RUN --mount=type=tmpfs,target=/a/b/c --mount=type=cache,target=/root/.cache touch /a/b/c/x
RUN mkdir -p /var/real && ln -s real /var/link
RUN --mount=type=tmpfs,target=/var/link/x --mount=type=tmpfs,target=/var/real/y true
""",
    )
    build(runtime, context, "--tag=clean")

    archive = tmp_path / "clean.tar"
    runtime("save", "--output", str(archive), "clean")
    tree, _ = flat.read(archive)
    names = {path for path in tree if not path.startswith("bin")}
    assert names == {"var", "var/link", "var/real"}


# -- progress


def test_plain_lines_in_a_pipe(runtime: Runtime, context: Path) -> None:
    write(context, "FROM busybox AS named\nRUN echo out\nRUN echo $((40 + 2)) >&2\n")
    runtime("builder", "prune", "--force")

    first = runtime("build", "--network=none", str(context)).stderr
    second = runtime("build", "--network=none", str(context)).stderr

    assert "#2 [named 2/3] RUN echo out\n" in first
    assert re.search(r"^#2 \d+\.\d{3} out$", first, re.MULTILINE)
    assert re.search(r"^#3 \d+\.\d{3} 42$", first, re.MULTILINE)
    assert re.search(r"^#3 DONE \d+\.\d+s$", first, re.MULTILINE)
    assert "\x1b" not in first
    assert second.count("CACHED") == 2


def test_json_progress_is_an_object_a_line(runtime: Runtime, context: Path) -> None:
    write(context, "FROM busybox AS named\nRUN echo out\n")

    built = build(runtime, context, "--no-cache", "--tag=named-so")

    names = [event["event"] for event in built.events]
    assert names[0] == "step.started"
    assert names[-1] == "image.written"
    assert built.events[0]["step_of_stage"] == "named"
    assert built.events[-1]["names"] == ["named-so:latest"]
    assert built.output == "out\n"
    assert all(event["time"] > 0 for event in built.events)


def test_a_terminal_shows_the_steps_in_place(runtime: Runtime, context: Path) -> None:
    # It waits for a file that comes when the output has been seen.
    wait = "while ! test -e /c/go; do sleep 0.02; done"
    mount = "--mount=type=cache,id=terminal,target=/c"
    write(context, f"FROM busybox AS seen\nRUN {mount} echo hello from a step; {wait}\n")
    release = write(context.with_name("release"), f"FROM busybox\nRUN {mount} echo > /c/go\n")
    terminal = Terminal(rows=24, columns=100)
    command = runtime.command("build", "--network=none", "--no-cache", str(context))
    with subprocess.Popen(
        command,
        env=runtime.environment,
        stdin=terminal.device,
        stdout=terminal.device,
        stderr=terminal.device,
        start_new_session=True,
    ) as client:
        terminal.wait_for("│ hello from a step")
        build(runtime, release, "--no-cache")
        client.wait(30)
    screen = terminal.screen
    terminal.close()

    assert client.returncode == 0
    assert "● [seen 2/2] RUN" in screen
    assert "\x1b[1A" in screen or "\x1b[2A" in screen  # it went up to draw anew
    assert re.search(r"✔.* \[seen 2/2\] RUN .*\d+\.\ds", screen)
    assert "image sha256:" in screen


# -- failures


def test_a_failing_command_shows_its_place_and_its_output(runtime: Runtime, context: Path) -> None:
    write(context, "FROM busybox\n\nRUN echo one && \\\n    echo two >&2 && \\\n    exit 9\n")

    done = runtime("build", "--network=none", str(context), check=False)

    assert done.returncode == 1
    progress, _, last = done.stderr.partition("runtime: ")
    assert re.search(r"^#2 \d+\.\d+ two$", progress, re.MULTILINE)
    assert last.startswith(f"cannot build: {context}/Dockerfile:3: RUN echo one")
    assert "exit code 9" in last
    assert "   3 | >>> RUN echo one && \\\n   4 | >>>     echo two" in last


def test_a_quiet_build_shows_what_the_failing_step_wrote(runtime: Runtime, context: Path) -> None:
    write(context, "FROM busybox\nRUN echo fine\nRUN echo the reason; exit 1\n")

    done = runtime("build", "--network=none", "--quiet", str(context), check=False)

    assert done.stderr.startswith("the reason\nruntime: cannot build: ")
    assert "fine\n" not in done.stderr.partition("---")[0]


def test_a_missing_command_is_named(runtime: Runtime, context: Path) -> None:
    write(context, 'FROM busybox\nRUN ["nosuch"]\n')

    said = refusal(runtime, context)

    assert "Dockerfile:2: cannot start 'nosuch'" in said


def test_the_first_failure_ends_the_other_stages(runtime: Runtime, context: Path) -> None:
    write(
        context,
        """\
FROM busybox AS endless
RUN sleep 1000
FROM busybox
RUN exit 3
COPY --from=endless /x /x
""",
    )

    assert "exit code 3" in refusal(runtime, context)
    assert os.listdir(runtime.root / "build/work") == []


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        ("FROM busybx\n", ["Dockerfile:1", 'did you mean "busybox:latest"']),
        ("FROM busybox\nRUNN x\n", ["Dockerfile:2", "RUN"]),
        ("", ["Dockerfile"]),
        ("FROM busybox\nCOPY nosuch /\n", ["Dockerfile:2", "nosuch"]),
        ("FROM busybox\nEXPOSE 70000\n", ["Dockerfile:2", "70000"]),
        ("FROM busybox\nSTOPSIGNAL SIGNOT\n", ["Dockerfile:2", "SIGNOT"]),
        ("FROM busybox\nUSER nobody-there\nRUN id\n", ["Dockerfile:3", "nobody-there"]),
        ("FROM busybox\nRUN --security=insecure id\n", ["Dockerfile:2", "insecure"]),
        ("FROM busybox\nRUN --network=host id\n", ["Dockerfile:2", "--allow network.host"]),
        ("FROM --platform=linux/s390x busybox\n", ["Dockerfile:1", "linux/s390x"]),
        (
            "FROM busybox\nRUN --mount=type=secret,id=x,required cat /run/secrets/x\n",
            ["Dockerfile:2", "--secret id=x"],
        ),
        (
            "FROM busybox AS a\nCOPY --from=b /x /x\nFROM busybox AS b\nCOPY --from=a /x /x\n",
            ["Dockerfile:2", "stands after"],
        ),
        ("FROM busybox\nRUN --mount=type=bind,source=nosuch,target=/x ls\n", ["nosuch"]),
    ],
)
def test_mistakes_are_told_with_their_line(
    runtime: Runtime, context: Path, dockerfile: str, words: list[str]
) -> None:
    write(context, dockerfile, present_txt="")

    said = refusal(runtime, context)

    assert all(word in said for word in words), said


# -- consent


_HOSTS_NETWORK = "FROM busybox\nRUN --network=host readlink /proc/self/ns/net\n"


@pytest.mark.parametrize("words", [["--allow=network.host"], ["--network=host"]])
def test_the_machines_network_takes_consent(
    runtime: Runtime, context: Path, words: list[str]
) -> None:
    write(context, _HOSTS_NETWORK)
    own = os.readlink(f"/proc/{runtime.network.pid}/ns/net")

    said = refusal(runtime, context)
    ran = runtime("build", "--no-cache", "--progress=plain", *words, str(context))

    assert "RUN --network=host is not allowed" in said
    assert own in ran.stderr


def test_a_context_from_elsewhere_gets_no_file_of_this_machine(
    runtime: Runtime, tmp_path: Path
) -> None:
    text = "FROM host AS h\nRUN cp /etc/hostname /out\nFROM busybox\nCOPY --from=h /out /\n"
    write(tmp_path, text)
    archive = tmp_path / "context.tar"
    subprocess.run(["tar", "-cf", archive, "-C", tmp_path, "Dockerfile"], check=True)

    def of_archive(*words: str) -> subprocess.CompletedProcess[bytes]:
        with archive.open("rb") as sent:
            command = runtime.command("build", "--quiet", *words, "-")
            return subprocess.run(
                command, stdin=sent, env=runtime.environment, capture_output=True, check=False
            )

    refused, consented = of_archive(), of_archive("--allow=host")

    assert refused.returncode == 1
    assert b"cannot use the image 'host': it has every file of this machine" in refused.stderr
    assert b"runtime build --allow host" in refused.stderr
    assert consented.returncode == 0, consented.stderr
    build(runtime, tmp_path)  # a directory of the caller's own needs no such word


def test_nothing_is_built_before_the_consent_is_known(runtime: Runtime, context: Path) -> None:
    write(context, f"FROM busybox AS a\nRUN true\n{_HOSTS_NETWORK}COPY --from=a / /\n")

    assert "#1 " not in runtime("build", str(context), check=False).stderr


def test_an_onbuild_of_a_base_image_needs_the_same_consent(runtime: Runtime, context: Path) -> None:
    write(context, "FROM busybox\nONBUILD RUN --network=host true\n")
    build(runtime, context, "--tag=triggers")
    write(context, "FROM triggers\n")

    assert "RUN --network=host is not allowed" in refusal(runtime, context)
    build(runtime, context, "--allow=network.host")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("security.insecure", "runtime run --privileged"),
        ("device", "there are network.host and host"),
        ("", "there are network.host and host"),
    ],
)
def test_an_entitlement_that_is_not_given_is_refused(
    runtime: Runtime, context: Path, word: str, said: str
) -> None:
    write(context, "FROM busybox\n")

    assert said in refusal(runtime, context, f"--allow={word}")


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        ("--cache-from=x", 125, "--no-cache"),
        ("--squash", 125, "COPY --from"),
        ("--output=x", 125, "runtime save"),
        ("--platform=linux/arm64/v8", 1, "emulated"),
        ("--target=nosuch", 1, "nosuch"),
        ("--secret=src=/x", 1, "id=ID"),
        ("--progress=fancy", 1, "auto, plain, tty, json"),
        ("--tag=UPPER", 125, "lower case"),
        ("--build-arg==x", 1, "name"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    runtime: Runtime, context: Path, option: str, code: int, words: str
) -> None:
    write(context, "FROM busybox\n")

    assert words in refusal(runtime, context, option, code=code)


def test_bytes_that_are_no_text_are_replaced(runtime: Runtime, context: Path) -> None:
    write(context, "FROM busybox\nARG A\nENV B=$A\n")
    command = runtime.command("build", "--network=none", "--tag=odd", "--build-arg")

    done = subprocess.run(
        [*map(os.fsencode, command), b"A=x\xff", b"--label", b"l=\xfe", bytes(context)],
        env=runtime.environment,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    shown = runtime("inspect", "--format", "{{json .Config.Env}}", "odd").stdout
    assert "B=x\ufffd" in json.loads(shown)


def test_a_context_that_is_not_there(runtime: Runtime, context: Path) -> None:
    assert str(context) in refusal(runtime, context)
