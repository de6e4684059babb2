"""`cp`, `diff`, `commit`, `export`: what comes in and out of containers, and what never does."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.runtime_cli import Runtime, busybox_tar

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

IMAGE = "test/busybox:1"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    directory = tmp_path_factory.mktemp("runtime")
    made = Runtime(directory)
    archive = busybox_tar(directory / "rootfs.tar")
    made("import", "-c", 'CMD ["sh"]', "-c", "LABEL kind=test", str(archive), IMAGE)
    yield made
    made.close()


@pytest.fixture
def runtime(store: Runtime) -> Iterator[Runtime]:
    """Return the command; no container of the test is left behind it."""
    yield store
    store.close()
    assert store("ps", "-aq") == ""


def detached(runtime: Runtime, name: str, *words: str) -> str:
    """Start a container in the background and return its id."""
    command = words or ("sleep", "1000")
    return runtime("run", "-d", "--net", "none", "--name", name, IMAGE, *command)


def test_diff_shows_what_the_container_changed_and_nothing_of_ours(runtime: Runtime) -> None:
    command = ("run", "--net", "none", "-v", "/data", "-v", "/etc:/mnt/deep:ro", "--name", "web")
    runtime.run(
        *command, IMAGE, "sh", "-c", "echo new > /tmp/new; mkdir -p /var/a/b; rm /bin/touch"
    )

    assert runtime("diff", "web").splitlines() == [
        *("C /bin", "D /bin/touch", "C /tmp", "A /tmp/new", "C /var", "A /var/a", "A /var/a/b"),
    ]


def test_commit_makes_an_image_of_the_changes(runtime: Runtime) -> None:
    command = ("run", "--net", "none", "-e", "A=b", "--name", "web", IMAGE)
    runtime.run(*command, "sh", "-c", "echo new > /tmp/new; rm /bin/touch")

    image_id = runtime("commit", "-m", "why", "-c", "USER 5", "web", "made:1")

    found = runtime.inspect("made:1")
    assert found["Id"] == image_id
    assert found["Comment"] == "why"
    assert found["Config"]["User"] == "5"
    assert "A=b" in found["Config"]["Env"]
    assert not any(each.startswith("HOSTNAME=") for each in found["Config"]["Env"])
    check = "cat /tmp/new; ls /bin/touch 2>/dev/null; echo $A; id -u"
    shown = runtime("run", "--rm", "--net", "none", "made:1", "sh", "-c", check)
    assert shown.split() == ["new", "b", "5"]
    runtime("rmi", "-f", "made:1")


def test_export_is_the_root_file_system_without_mounts(runtime: Runtime, tmp_path: Path) -> None:
    detached(runtime, "web", "sh", "-c", "echo new > /tmp/new; sleep 1000")
    eventually(lambda: "A /tmp/new" in runtime("diff", "web"))

    runtime("export", "-o", str(tmp_path / "out.tar"), "web")

    with tarfile.open(tmp_path / "out.tar") as archive:
        names = archive.getnames()
        contents = archive.extractfile("tmp/new")
        assert contents is not None
        assert contents.read() == b"new\n"
    assert "bin/busybox" in names
    assert not any(name.startswith(("proc/", "sys/", ".supervise")) for name in names)


@pytest.fixture(params=["running", "stopped"])
def target(request: pytest.FixtureRequest, runtime: Runtime) -> str:
    """Return a container to copy from and to; it has a volume."""
    make = ("-d",) if request.param == "running" else ()
    verb = "run" if make else "create"
    runtime(verb, *make, "--net", "none", "-v", "vol:/vol", "--name", "web", IMAGE, "sleep", "1000")
    return "web"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a directory with a file, a link and a directory."""
    made = tmp_path / "tree"
    (made / "inner").mkdir(parents=True)
    (made / "file").write_text("text\n")
    os.chmod(made / "file", 0o640)
    os.chown(made / "file", 1000, 1000)
    (made / "link").symlink_to("file")
    return made


def names_in(runtime: Runtime, place: str) -> list[tuple[str, int, int]]:
    """Return (name, mode, uid) of what `cp PLACE -` gives."""
    said = subprocess.run(
        [*runtime.command, "cp", place, "-"],
        env=runtime.environment, check=True, capture_output=True,
    )  # fmt: skip
    with tarfile.open(fileobj=io.BytesIO(said.stdout)) as archive:
        return [(each.name, each.mode, each.uid) for each in archive]


def test_cp_follows_docker_s_table(runtime: Runtime, target: str, tree: Path) -> None:
    runtime("cp", f"{tree}/file", f"{target}:/tmp/")  # into a directory
    runtime("cp", f"{tree}/file", f"{target}:/tmp/renamed")  # to a new name
    runtime("cp", str(tree), f"{target}:/tmp")  # a directory into one
    runtime("cp", str(tree), f"{target}:/tmp/fresh")  # a directory to a new name
    runtime("cp", f"{tree}/.", f"{target}:/tmp/fresh")  # what is in it
    runtime("cp", "-a", f"{tree}/file", f"{target}:/tmp/kept")  # with its owner

    assert sorted(names_in(runtime, f"{target}:/tmp")) == [
        ("tmp", 0o755, 0),
        ("tmp/file", 0o640, 0),
        *((f"tmp/fresh{end}", mode, 0) for end, mode in _TREE),
        ("tmp/kept", 0o640, 1000),
        ("tmp/renamed", 0o640, 0),
        *((f"tmp/tree{end}", mode, 0) for end, mode in _TREE),
    ]


_TREE = (("", 0o755), ("/file", 0o640), ("/inner", 0o755), ("/link", 0o777))


def test_cp_brings_files_out(runtime: Runtime, target: str, tree: Path, tmp_path: Path) -> None:
    runtime("cp", f"{tree}/.", f"{target}:/vol")

    runtime("cp", f"{target}:/vol", str(tmp_path / "out"))
    runtime("cp", "-L", f"{target}:/vol/link", str(tmp_path / "followed"))
    runtime("cp", f"{target}:/vol/link", str(tmp_path / "kept"))

    assert sorted(os.listdir(tmp_path / "out")) == ["file", "inner", "link"]
    assert (tmp_path / "followed").read_text() == "text\n"
    assert os.readlink(tmp_path / "kept") == "file"


def test_cp_unpacks_an_archive(runtime: Runtime, target: str, tree: Path) -> None:
    packed = subprocess.run(
        ["tar", "-C", tree.parent, "-czf", "-", "tree"], check=True, capture_output=True
    ).stdout

    subprocess.run(
        [*runtime.command, "cp", "-", f"{target}:/vol"],
        env=runtime.environment, input=packed, check=True,
    )  # fmt: skip

    assert ("vol/tree/file", 0o640, 0) in names_in(runtime, f"{target}:/vol")


@pytest.mark.parametrize(
    ("source", "destination", "said"),
    [
        ("{tree}/nothing", "web:/tmp", "there is no such file on this machine"),
        ("web:/nothing", "{tree}", "there is no such file in the container"),
        ("{tree}/file", "web:/no/where", "no such directory: '/no'"),
        ("{tree}/file", "web:/tmp/none/", "no such directory: '/tmp/none/'"),
        ("{tree}", "web:/bin/busybox", "cannot copy a directory to '/bin/busybox': it is a file"),
        ("{tree}/file", "{tree}/x", "must specify at least one container source"),
        ("web:/tmp", "web:/var", "copying between containers is not supported"),
        ("{tree}/file", "nobody:/tmp", "no such container: nobody"),
    ],
)
def test_cp_says_what_is_wrong(
    runtime: Runtime, tree: Path, source: str, destination: str, said: str
) -> None:
    runtime("create", "--net", "none", "--name", "web", IMAGE)

    code, text = runtime.refusal("cp", source.format(tree=tree), destination.format(tree=tree))

    assert code == 1
    assert said in text


def test_cp_is_never_led_out_of_the_container(
    runtime: Runtime, target: str, tree: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    made = tmp_path / "links"
    made.mkdir()
    (made / "absolute").symlink_to(outside)
    (made / "upwards").symlink_to("../../../../../../.." + str(outside))
    runtime("cp", f"{made}/.", f"{target}:/tmp")

    for link in ("absolute", "upwards"):
        into, _ = runtime.refusal("cp", f"{tree}/file", f"{target}:/tmp/{link}/planted")
        out, _ = runtime.refusal("cp", f"{target}:/tmp/{link}/secret", str(tmp_path / "stolen"))
        assert (into, out) == (1, 1)

    assert os.listdir(outside) == ["secret"]
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize(
    ("made", "is_what"),
    [
        ("mknod /tmp/odd c 1 7", "a character device"),  # /dev/full: who opens it hears of it
        ("mknod /tmp/odd b 7 250", "a block device"),
        ("mkfifo /tmp/odd", "a FIFO"),
    ],
)
@pytest.mark.parametrize("ended", [False, True], ids=["running", "stopped"])
def test_cp_writes_into_nothing_but_files(
    runtime: Runtime, tree: Path, tmp_path: Path, made: str, is_what: str, ended: bool
) -> None:
    """What a link inside leads to is written in place: a device there is one of this machine."""
    detached(runtime, "web")
    program = (
        f"/bin/busybox {made}; ln -s odd /tmp/link; ln -s /tmp/file /tmp/good; echo > /tmp/file"
    )
    runtime("exec", "web", "sh", "-c", program)
    if ended:
        runtime("stop", "-t", "0", "web")

    code, text = runtime.refusal("cp", f"{tree}/file", "web:/tmp/link")
    direct, named = runtime.refusal("cp", f"{tree}/file", "web:/tmp/odd")
    out, read = runtime.refusal("cp", "-L", "web:/tmp/link", "/dev/full")
    runtime("cp", f"{tree}/file", "web:/tmp/good")
    runtime("cp", "web:/tmp/file", str(tmp_path / "read"))

    assert (code, text) == (
        1, f"runtime: cannot write in place: it is {is_what}, not a regular file\n",
    )  # fmt: skip
    assert (out, "neither a file nor a directory" in read) == (1, True)
    assert (direct, "neither a file nor a directory" in named) == (1, True)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    assert (tmp_path / "read").read_text() == "text\n"


def test_a_node_comes_out_as_a_node_that_is_not_opened(runtime: Runtime, tmp_path: Path) -> None:
    runtime(
        "run",
        "--net",
        "none",
        "--name",
        "web",
        IMAGE,
        "/bin/busybox",
        "mknod",
        "/tmp/n",
        "c",
        "1",
        "7",
    )

    runtime("cp", "web:/tmp/n", str(tmp_path / "n"))
    packed = names_in(runtime, "web:/tmp/n")

    found = os.stat(tmp_path / "n")
    assert (stat.S_ISCHR(found.st_mode), found.st_rdev) == (True, os.makedev(1, 7))
    assert [name for name, _, _ in packed] == ["n"]


def test_save_takes_the_place_of_no_device(runtime: Runtime, tmp_path: Path) -> None:
    """/dev/null would be a file from then on; this one is not the machine's."""
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")

    code, said = runtime.refusal("save", "-o", str(tmp_path / "null"), IMAGE)
    runtime("save", "-o", str(tmp_path / "link"), IMAGE)

    assert (code, "it is a character device, not a regular file" in said) == (1, True)
    assert stat.S_ISCHR(os.lstat(tmp_path / "null").st_mode)
    assert os.listdir(tmp_path).count("null") == 1
    assert (tmp_path / "link").is_symlink()
    assert tarfile.is_tarfile(tmp_path / "file")


def test_an_archive_is_never_unpacked_outside(
    runtime: Runtime, target: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("way/planted"))

    said = subprocess.run(
        [*runtime.command, "cp", "-", f"{target}:/tmp"],
        env=runtime.environment, input=packed.getvalue(), check=False, capture_output=True,
    )  # fmt: skip

    assert os.listdir(outside) == []
    assert said.returncode == 1
