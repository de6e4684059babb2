"""Mounts at the kernel's files of a container: where they may land, and what the launcher trusts.

What docker does is asked of docker.  A planted file shows a write of the launcher's; the one value
of the machine that a link leads to is put back whatever happens.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.building import write
from tests.support.docker import Docker
from tests.support.runtime import Runtime, busybox
from tests.support.tars import directory, file, symlink
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

HOST_VALUE = Path("/proc/sys/vm/stat_interval")  # how often the kernel sums up its counters
PARAMETER = "ip_unprivileged_port_start"
REPLACEABLE = ["cpuinfo", "diskstats", "loadavg", "meminfo", "stat", "swaps", "uptime"]


def root() -> bytes:
    """Return an image with links to the kernel's files."""
    return busybox(
        *(directory(name) for name in ("dev", "proc", "sys")),
        *(symlink(f"to-{name}", f"/{name}") for name in ("dev", "proc", "sys")),
        symlink("to-root", "/"),
        symlink("to-to-proc", "to-proc"),
        symlink("to-parameters", "/bin/../proc/sys/net/ipv4"),
        symlink("to-version", "proc/version"),
        symlink("to-cpuinfo", "proc/cpuinfo"),
        file("content/file", b"of the image\n"),
    )


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("mounts"))
    made.import_tar("bb", root())
    yield made
    made.close()


@pytest.fixture
def host_value() -> Iterator[Path]:
    """Give a value of the machine's that must not change; put it back if it did."""
    before = HOST_VALUE.read_text()
    yield HOST_VALUE
    after = HOST_VALUE.read_text()
    if after != before:
        HOST_VALUE.write_text(before)
    assert after == before


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Return a directory with a file that the launcher would write to by the path it has."""
    (tmp_path / PARAMETER).write_text("mine")
    (tmp_path / "null").write_text("mine")
    (tmp_path / "dir").mkdir()
    return tmp_path


def refused(runtime: Runtime, *arguments: str) -> str:
    done = runtime.run(*arguments, check=False)
    assert (done.returncode, done.stdout) == (125, ""), done
    first, *rest = done.stderr.splitlines()
    assert len(rest) <= 1, done.stderr
    return first


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/proc", "it is the container's /proc"),
        ("/proc/sys", "it is inside the container's /proc"),
        ("/proc/sys/net/ipv4", "it is inside the container's /proc"),
        ("/proc/fs", "it is inside the container's /proc"),
        ("/proc/not-there", "it is inside the container's /proc"),
        ("/proc/self", "it is inside the container's /proc"),
        ("/to-proc", "it is the container's /proc"),
        ("/to-to-proc/sys/net/ipv4", "it is inside the container's /proc"),
        ("/to-parameters", "it is inside the container's /proc"),
        ("/dev", "it is the container's /dev"),
        ("/to-dev", "it is the container's /dev"),
        ("/to-root", "it is the container's root"),
    ],
)
@pytest.mark.parametrize("kind", ["bind", "volume", "tmpfs"])
def test_nothing_is_mounted_on_the_kernels_files(
    runtime: Runtime, planted: Path, kind: str, target: str, reason: str
) -> None:
    option = {"bind": f"-v{planted}:{target}", "volume": f"-vown:{target}"}.get(
        kind, f"--tmpfs={target}"
    )

    said = refused(runtime, option, "bb", "true")

    assert said == f"runtime: cannot mount on '{target}': {reason}"
    assert [(planted / name).read_text() for name in (PARAMETER, "null")] == ["mine", "mine"]


def test_a_place_that_cannot_be_made_in_proc_is_said(runtime: Runtime, planted: Path) -> None:
    said = refused(runtime, "-v", f"{planted}:/to-proc/not-there", "bb", "true")

    assert said == "runtime: cannot mount 'not-there': nothing can be made in /proc"


def test_a_file_of_proc_that_is_none_of_the_few(runtime: Runtime, planted: Path) -> None:
    said = refused(runtime, "-v", f"{planted}/null:/to-version", "bb", "true")

    assert "it is inside the container's /proc" in said


@pytest.mark.parametrize("name", REPLACEABLE)
def test_what_lxcfs_shows_can_be_mounted(runtime: Runtime, planted: Path, name: str) -> None:
    done = runtime.run("-v", f"{planted}/null:/proc/{name}", "bb", "cat", f"/proc/{name}")

    assert done.stdout == "mine"


def test_a_link_to_one_of_them_too(runtime: Runtime, planted: Path) -> None:
    done = runtime.run("-v", f"{planted}/null:/to-cpuinfo", "bb", "cat", "/proc/cpuinfo")

    assert done.stdout == "mine"


@pytest.mark.parametrize(
    "target",
    [
        *("/dev/shm", "/dev/mqueue", "/dev/pts", "/dev/net", "/dev/bus/usb", "/to-dev/new"),
        *("/sys", "/sys/fs/cgroup", "/sys/kernel", "/sys/firmware", "/to-sys/kernel"),
    ],
)
def test_places_below_dev_and_in_sys_are_free(runtime: Runtime, planted: Path, target: str) -> None:
    done = runtime.run("-v", f"{planted}:{target}", "bb", "cat", f"{target}/null")

    assert done.stdout == "mine"


@pytest.mark.parametrize("target", ["/dev/log", "/dev/random", "/dev/null", "/dev/console"])
def test_files_below_dev_are_free(runtime: Runtime, planted: Path, target: str) -> None:
    """Also the null device: what hides files is not the one that has that path."""
    done = runtime.run(
        *("-v", f"{planted}/null:{target}", "bb", "sh", "-c"),
        f"cat {target}; wc -c < /proc/interrupts; wc -c < /proc/keys",
    )

    assert done.stdout == "mine0\n0\n"
    assert (planted / "null").read_text() == "mine"


@pytest.mark.needs("docker")
@pytest.mark.parametrize(
    "option",
    [
        *("{0}:/proc", "{0}:/proc/sys", "{0}:/proc/acpi", "{0}:/to-proc", "{0}:/to-parameters"),
        *(
            "{0}/dir:/dev",
            "{0}/null:/proc/version",
            "{0}/null:/to-version",
            "own:/proc",
            "own:/dev",
        ),
        *("{0}/null:/proc/cpuinfo", "{0}/null:/proc/uptime", "{0}/null:/to-cpuinfo"),
        *("{0}:/dev/shm", "{0}:/dev/mqueue", "{0}:/dev/bus/usb", "{0}/null:/dev/log"),
        *("/dev:/dev", "/proc:/proc", "/sys:/sys", "/dev/urandom:/dev/random", "/proc:/host/proc"),
        *("{0}:/sys", "{0}:/sys/kernel", "{0}:/sys/fs/cgroup", "own:/sys"),
    ],
)
def test_docker_decides_likewise(
    runtime: Runtime, docker: Docker, planted: Path, option: str
) -> None:
    if not docker.has_image("mounts"):
        tar = runtime.root.parent / "mounts.tar"
        tar.write_bytes(root())
        docker("import", str(tar), "mounts")
    words = ("-v", option.format(planted))

    theirs = docker("run", "--rm", "--network=none", *words, "mounts", "true", check=False)
    ours = runtime.run("--no-init", *words, "bb", "true", check=False)

    assert (ours.returncode == 0) == (theirs.returncode == 0), (ours.stderr, theirs.stderr)


@pytest.mark.usefixtures("host_value")
def test_what_the_machines_own_proc_and_sys_have_is_hidden_too(runtime: Runtime) -> None:
    script = (
        "wc -c < /proc/interrupts; ls /sys/firmware | wc -l; echo 7 > /proc/sys/vm/stat_interval"
    )

    done = runtime.run(
        *("-v", "/proc:/proc", "-v", "/sys:/sys", "--pid", "host", "bb", "sh", "-c", script),
        check=False,
    )

    assert done.stdout.split() == ["0", "0"]
    assert done.stderr.count("Read-only file system") == 1


def test_masks_follow_no_link_of_a_volume(runtime: Runtime, planted: Path) -> None:
    (planted / "firmware").symlink_to("/content")

    done = runtime.run("-v", f"{planted}:/sys", "bb", "cat", "/content/file")

    assert done.stdout == "of the image\n"


def test_a_volume_gets_nothing_of_the_kernels(runtime: Runtime) -> None:
    done = runtime.run("-v", "fresh:/sys/kernel", "-v", "groups:/sys/fs/cgroup", "bb", "sh", "-c",
                       "ls /sys/kernel /sys/fs/cgroup | grep -v :")  # fmt: skip

    assert done.stdout.split() == []


def test_a_terminal_is_ours_whatever_lies_on_dev_pts(runtime: Runtime, planted: Path) -> None:
    (planted / "ptmx").symlink_to("/content/file")

    done = runtime.run(
        "-t", "-v", f"{planted}:/dev/pts", "bb", "sh", "-c", "test -t 0 && echo hi > /dev/console"
    )

    assert done.stdout.split() == ["hi"]


def test_the_machines_own_dev_has_a_terminal_and_a_console(runtime: Runtime) -> None:
    before = set(os.listdir("/dev"))

    done = runtime.run("-t", "-v", "/dev:/dev", "bb", "sh", "-c", "tty; echo hi > /dev/console")

    name, said = done.stdout.split()
    assert (name[:9], said) == ("/dev/pts/", "hi")
    assert set(os.listdir("/dev")) == before


def test_exec_takes_no_terminal_from_what_a_container_has_put_there(runtime: Runtime) -> None:
    container = runtime.start("--net", "none", "-v", "/content:/dev/pts", "bb", "sleep", "1000")
    terminal = Terminal()
    terminal.release_device()

    done = runtime("exec", "-t", container, "true", check=False)
    terminal.close()

    assert done.returncode == 125
    assert "/dev/pts" in done.stderr
    assert "no terminals are there" in done.stderr
    runtime("rm", "--force", container)


def test_a_device_is_made_by_no_link_of_a_volume(runtime: Runtime, planted: Path) -> None:
    """A link that is there already is kept: what it leads to gets no other mode."""
    secret = planted / "secret"
    secret.write_text("")
    secret.chmod(0o600)
    (planted / "node").symlink_to("secret")

    runtime.run("-v", f"{planted}:/v", "--device", "/dev/zero:/v/node", "bb", "true")
    runtime.run("-v", f"{planted}:/v", "--device", "/dev/zero:/v/new", "bb", "true")

    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    made = (planted / "new").lstat()
    assert (made.st_mode, made.st_rdev) == (os.stat("/dev/zero").st_mode, os.makedev(1, 5))


def test_a_device_is_not_made_in_proc(runtime: Runtime) -> None:
    said = refused(runtime, "--device", "/dev/null:/to-proc/x", "bb", "true")

    assert said == "runtime: cannot make the device '/to-proc/x': nothing can be made in /proc"


def test_a_working_directory_in_proc(runtime: Runtime) -> None:
    assert runtime.run("-w", "/to-proc/sys", "bb", "pwd").stdout == "/proc/sys\n"
    assert "nothing can be made in /proc" in refused(runtime, "-w", "/proc/new", "bb", "true")
    assert refused(runtime, "--no-init", "-w", "/proc/self/cwd", "bb", "true")


def test_exec_enters_no_directory_by_a_descriptor(runtime: Runtime) -> None:
    """Links of /proc to files that are open lead past every directory in between."""
    container = runtime.start("--net", "none", "bb", "sleep", "1000")

    refused = runtime("exec", "-w", "/proc/self/cwd", container, "pwd", check=False)
    entered = runtime("exec", "-w", "/to-proc/sys", container, "pwd")
    runtime("rm", "--force", container)

    assert (refused.returncode, refused.stdout) == (125, "")
    assert entered.stdout == "/proc/sys\n"


def test_parameters_reach_the_kernel(runtime: Runtime) -> None:
    done = runtime.run(
        *("--sysctl", "net.ipv4.ip_forward=1", "--oom-score-adj", "321", "bb", "cat"),
        *("/proc/sys/net/ipv4/ip_forward", "/proc/self/oom_score_adj"),
        f"/proc/sys/net/ipv4/{PARAMETER}",
    )

    assert done.stdout.split() == ["1", "321", "0"]


@pytest.mark.usefixtures("host_value")
def test_a_build_writes_no_parameter_of_the_machine(runtime: Runtime, tmp_path: Path) -> None:
    """Links in another stage's files, under the names that the launcher writes to."""
    names = (PARAMETER, "ping_group_range")
    links = "; ".join(f"ln -s {HOST_VALUE} /c/{name}" for name in names)
    context = write(
        tmp_path / "context",
        f"FROM bb AS e\nRUN mkdir /c; {links}\n"
        "FROM bb\nRUN --mount=type=bind,from=e,source=/c,target=/proc/sys/net/ipv4 true\n",
    )

    done = runtime("build", "--network=none", str(context), check=False)

    assert done.returncode != 0
    assert "cannot mount on '/proc/sys/net/ipv4': it is inside the container's /proc" in done.stderr


@pytest.mark.parametrize("target", ["/dev", "/to-dev", "/proc", "/to-proc/sys/net/ipv4"])
@pytest.mark.usefixtures("host_value")
def test_a_build_mounts_no_cache_on_the_kernels_files(
    runtime: Runtime, tmp_path: Path, target: str
) -> None:
    """With a null device of another stage's in it, and links to a value of the machine."""
    places = f"mknod /c/null c 1 3; ln -s {HOST_VALUE} /c/{PARAMETER}"
    context = write(
        tmp_path / "context",
        f"FROM bb\nRUN --mount=type=cache,id={tmp_path},target=/c {places}\n"
        f"RUN --mount=type=cache,id={tmp_path},target={target} true\n",
    )

    done = runtime("build", "--network=none", str(context), check=False)

    assert done.returncode != 0
    assert f"cannot mount on '{target}': it is " in done.stderr
    assert "reset by peer" not in done.stderr


@pytest.mark.parametrize("kind", ["cache", "tmpfs"])
def test_a_build_mounts_below_dev(runtime: Runtime, tmp_path: Path, kind: str) -> None:
    context = write(
        tmp_path / "context", f"FROM bb\nRUN --mount=type={kind},target=/dev/shm touch /dev/shm/x\n"
    )

    assert runtime("build", "--network=none", str(context)).returncode == 0


def test_an_images_own_volume_is_refused_likewise(runtime: Runtime, tmp_path: Path) -> None:
    context = write(tmp_path / "context", 'FROM bb\nVOLUME ["/proc/sys/net/ipv4"]\n')
    runtime("build", "--network=none", "-t", "volumes", str(context))

    assert "it is inside the container's /proc" in refused(runtime, "volumes", "true")
    assert runtime.containers() == []
