"""Ways out of a container that have been found in others, each tried on ours."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.building import write
from tests.support.eventually import eventually
from tests.support.runtime import Runtime, busybox
from tests.support.tars import Member, directory, file, symlink

pytestmark = [pytest.mark.e2e, pytest.mark.needs("root", "busybox")]

_FDS = range(3, 40)
_MAIN = "import sys; from runtime.cli.main import main; sys.exit(main())"
# What our interpreter needs to come up in an image.
_FOUND = re.search(rb"/lib[\w/]*/ld-linux[\w.-]+", Path(sys.executable).read_bytes()[:4096])
_LOADER = os.fsdecode(_FOUND[0]) if _FOUND else "/bin/busybox"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    made = Runtime(tmp_path_factory.mktemp("escapes"))
    traps = [symlink(f"trap{fd}", f"/proc/self/fd/{fd}") for fd in _FDS]
    made.import_tar(
        "traps",
        busybox(
            symlink("absolute", "/../../../../tmp"),
            symlink("climbing", "../../../../../../tmp/inner"),
            symlink("dangling", "/not/there/yet"),
            symlink("parent", "/proc/1/root"),
            file("self", b"#!/proc/self/exe\n", 0o755),
            file(_LOADER[1:], Path(_LOADER).read_bytes(), 0o755),
            Member("hang", tarfile.FIFOTYPE, mode=0o777),
            *traps,
        ),
    )
    made.import_tar("proc-link", make_root_with("proc"))
    made.import_tar("sys-link", make_root_with("sys"))
    yield made
    made.close()


def make_root_with(name: str) -> bytes:
    """Return a root in which /*name* is a link to a directory that the image fills itself."""
    return busybox(
        directory("elsewhere"), file("elsewhere/self", b"mine"), symlink(name, "elsewhere")
    )


@pytest.mark.parametrize("place", ["/absolute", "/climbing", "/dangling", "/absolute/deeper"])
def test_a_volume_on_a_link_stays_inside(runtime: Runtime, place: str, tmp_path: Path) -> None:
    (tmp_path / "mark").write_text("from the host")
    before = set(os.listdir("/tmp"))

    done = runtime.run("-v", f"{tmp_path}:{place}", "traps", "cat", f"{place}/mark")

    assert done.stdout == "from the host"
    assert {
        name for name in set(os.listdir("/tmp")) - before if name in ("inner", "deeper")
    } == set()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.parametrize("fd", _FDS)
def test_no_mount_reaches_what_the_launcher_has_open(
    runtime: Runtime, fd: int, tmp_path: Path
) -> None:
    """The host's root is open while mounts are made: a link to its descriptor leads nowhere."""
    marker = f"escaped-{os.getpid()}"

    done = runtime.run(
        "--no-init", "-v", f"{tmp_path}:/trap{fd}/{marker}", "traps", "true", check=False
    )

    assert done.returncode == 125
    assert not Path(f"/{marker}").exists()


@pytest.mark.parametrize("fd", _FDS)
def test_a_working_directory_of_a_descriptor_is_not_the_hosts(runtime: Runtime, fd: int) -> None:
    """CVE-2024-21626: WORKDIR /proc/self/fd/N was a directory of the host."""
    done = runtime.run("--no-init", "-w", f"/proc/self/fd/{fd}", "traps", "ls", "..", check=False)

    assert done.returncode == 125
    assert done.stdout == ""


def test_a_process_has_three_descriptors(runtime: Runtime) -> None:
    done = runtime.run("--no-init", "traps", "sh", "-c", "ls /proc/self/fd")

    assert done.stdout.split() == ["0", "1", "2", "3"]  # the last is ls's own


def test_an_executed_process_has_three_descriptors(runtime: Runtime) -> None:
    container = runtime.start("--net", "none", "traps", "sleep", "1000")

    done = runtime("exec", container, "ls", "/proc/self/fd")
    refused = [
        runtime("exec", "-w", f"/proc/self/fd/{fd}", container, "ls", "..", check=False).stdout
        for fd in range(3, 12)
    ]

    assert done.stdout.split() == ["0", "1", "2", "3"]
    assert set(refused) == {""}
    runtime("rm", "--force", container)


@pytest.mark.parametrize("image", ["proc-link", "sys-link"])
def test_an_image_cannot_have_the_kernels_files_elsewhere(runtime: Runtime, image: str) -> None:
    """CVE-2019-16884: with /proc a link, the masks lay on the image's own files."""
    done = runtime.run(image, "true", check=False)

    assert done.returncode == 125
    assert "has something else than a directory there" in done.stderr


@pytest.fixture
def interpreter(tmp_path: Path) -> list[str]:
    """Return a program that is `runtime` on an interpreter nobody else runs: the kernel would let
    it be written to as soon as no process of ours has it."""
    copy = tmp_path / "python-of-its-own"
    shutil.copy2(os.path.realpath(sys.executable), copy)
    home = f"PYTHONHOME={sys.base_prefix}"
    return [
        "env",
        home,
        str(copy),
        "-c",
        "import sys; from runtime.cli.main import main; sys.exit(main())",
    ]


@pytest.mark.parametrize("monitor", ["same", "older"])
def test_our_interpreter_cannot_be_overwritten_from_inside(
    runtime: Runtime, interpreter: list[str], monitor: str
) -> None:
    """CVE-2019-5736: a program that is #!/proc/self/exe runs the launcher's own executable.

    The attacker writes to it at once, and holds it to write when the launcher has ended.
    """
    copy = Path(interpreter[2])
    before = (os.stat(copy), copy.read_bytes())
    start = ("run", "--detach", "--net", "none", "traps", "sleep", "1000")
    # After an upgrade the container's monitor runs another interpreter than the commands.
    program = interpreter if monitor == "same" else None
    container = runtime(*start, program=program).stdout.strip()
    bundle = next(Path(runtime.root / "bundles").glob("*/.supervise/lib/python"))
    injected = bundle.read_bytes()
    # It takes hold of the first program of ours that runs inside, and writes to it ever after.
    attack = """\
until [ -e /held ]; do
  for p in /proc/[0-9]*; do
    case $(readlink $p/exe) in *of-its-own*) exec 3< $p/exe && touch /held && break;; esac
  done
done 2>/dev/null
while :; do echo broken > /proc/self/fd/3; done 2>/dev/null
"""
    runtime("exec", "--detach", container, "sh", "-c", attack, program=interpreter)

    # The loader waits for the FIFO: our interpreter runs inside for as long as the attacker likes.
    victim = ("exec", "--detach", "-e", "LD_PRELOAD=/hang", container, "/self")
    runtime(*victim, program=interpreter)
    holds = ("exec", container, "ls", "/held")
    eventually(lambda: runtime(*holds, check=False, program=interpreter).stdout == "/held\n")
    release = "for p in /proc/[0-9]*; do readlink $p/exe | grep -q of-its-own && kill -9 ${p#/proc/}; done"
    runtime(
        "exec", container, "sh", "-c", release + "; sleep 0.2", check=False, program=interpreter
    )
    runtime("rm", "--force", container)

    after = os.stat(copy)
    assert copy.read_bytes() == before[1]
    assert (after.st_size, after.st_mtime_ns) == (before[0].st_size, before[0].st_mtime_ns)
    assert bundle.read_bytes() == injected


def test_the_injected_init_cannot_be_changed(runtime: Runtime) -> None:
    attack = "echo x > /.supervise/lib/python; rm -r /.supervise; mv /.supervise /gone; umount /.supervise"

    runtime("run", "--net", "none", "--name", "attacker", "traps", "sh", "-c", attack, check=False)
    again = runtime("start", "--attach", "attacker", check=False)

    assert "Read-only file system" in again.stderr
    assert runtime.run("traps", "echo", "fine").stdout == "fine\n"
    runtime("rm", "attacker")


def test_device_nodes_in_an_image_are_of_no_use(runtime: Runtime) -> None:
    """The kernel's messages and a disk, made by mknod inside: the devices cgroup says no."""
    program = (
        "mknod /disk b 7 0 && mknod /kmsg c 1 11; head -c 1 /kmsg; head -c 1 /disk; : >> /disk"
    )

    done = runtime.run("traps", "sh", "-c", program, check=False)

    assert done.stdout == ""
    assert done.stderr.count("Operation not permitted") == 3


def test_nothing_runs_where_devices_cannot_be_limited(runtime: Runtime) -> None:
    """`ip netns exec` and chroot hide the hierarchies: the host's disk would be open."""
    hidden = ["unshare", "--mount", "sh", "-c", 'umount -R /sys/fs/cgroup && exec "$@"', "sh"]
    program = [*hidden, sys.executable, "-c", _MAIN]
    container = runtime.start("--net", "none", "traps", "sleep", "1000")

    started = runtime.run("traps", "true", check=False, program=program)
    entered = runtime("exec", container, "true", check=False, program=program)
    more = runtime("exec", "--privileged", container, "true", check=False, program=program)
    runtime("rm", "--force", container)

    for done in (started, entered, more):
        assert (done.returncode, done.stdout) == (125, "")
        assert "cannot limit what the container does with devices: no devices cgroup" in done.stderr
        assert "nsenter --net=" in done.stderr


def test_no_build_step_runs_there_either(runtime: Runtime, tmp_path: Path) -> None:
    hidden = ["unshare", "--mount", "sh", "-c", 'umount -R /sys/fs/cgroup && exec "$@"', "sh"]
    context = write(tmp_path / "context", "FROM traps\nRUN touch /ran\n")

    done = runtime(
        *("build", "--network=none", str(context)),
        check=False,
        program=[*hidden, sys.executable, "-c", _MAIN],
    )

    assert done.returncode != 0
    assert "cannot limit what the container does with devices: no devices cgroup" in done.stderr


def test_privileged_needs_no_limit_of_devices(runtime: Runtime) -> None:
    """Who gives every device has none to keep away."""
    hidden = ["unshare", "--mount", "sh", "-c", 'umount -R /sys/fs/cgroup && exec "$@"', "sh"]

    done = runtime.run(
        *("--privileged", "traps", "echo", "fine"), program=[*hidden, sys.executable, "-c", _MAIN]
    )

    assert done.stdout == "fine\n"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (": >> /proc/sys/vm/stat_interval", "Read-only file system"),
        (": >> /proc/sys/kernel/core_pattern", "Read-only file system"),
        (": >> /proc/irq/default_smp_affinity", "Read-only file system"),
        (": >> /sys/kernel/profiling", "Read-only file system"),
        ("echo 1 > /sys/fs/cgroup/x", "Read-only file system"),
        ("mount -t proc proc /tmp", "permission denied"),
        ("mount -o remount,rw /sys", "permission denied"),
        ("umount /proc/sys", "Operation not permitted"),
        ("umount /proc/interrupts", "Operation not permitted"),
        ("mkdir /tmp/c && mount -t cgroup -o memory c /tmp/c", "permission denied"),
        ("nsenter -t 1 -m true", "Operation not permitted"),
    ],
)
def test_the_kernels_switches_are_out_of_reach(runtime: Runtime, command: str, reason: str) -> None:
    done = runtime.run("traps", "sh", "-c", command, check=False)

    assert done.returncode != 0
    assert reason in done.stderr


def test_the_roots_above_are_the_containers_own(runtime: Runtime) -> None:
    done = runtime.run("traps", "chroot", "/proc/1/root/../..", "ls", "/")

    assert "climbing" in done.stdout.split()


def test_everything_below_the_kernels_switches_is_read_only(runtime: Runtime) -> None:
    """Whatever this kernel has: what is there can be opened for writing by nobody."""
    script = (
        "for f in $(find /proc/sys /proc/irq /proc/fs /proc/bus -type f 2>/dev/null);"
        " do (: >> $f) 2>/dev/null && echo $f; done; find /proc/sys -type f | wc -l"
    )

    done = runtime.run("traps", "sh", "-c", script, timeout=120)

    *writable, number = done.stdout.split()
    assert writable == []
    assert int(number) > 100


def test_a_log_of_a_container_is_no_way_to_write_elsewhere(runtime: Runtime) -> None:
    """Nothing of what lies beside the container on the host is reachable from inside."""
    container = runtime.start("--net", "none", "traps", "sleep", "1000")

    shown = runtime("exec", container, "cat", "/proc/self/mountinfo").stdout

    sources = [line.split()[3] for line in shown.splitlines()]
    beside = [source for source in sources if container in source and "cgroup" not in source]
    names = {os.path.basename(source) for source in beside} - {container}
    assert names <= {"hosts", "hostname", "resolv.conf"}
    runtime("rm", "--force", container)


_NOBODY = 65534
# Tries, as a user of the machine, to list, open and enter whatever root has found there.
_TRESPASSER = f"""\
import os, sys
os.setgroups([]); os.setgid({_NOBODY}); os.setuid({_NOBODY})
for path in sys.stdin.read().split("\\0"):
    try:
        os.lstat(path)
    except PermissionError:
        continue
    print(path)
"""


def test_files_on_the_host_are_for_root_alone(runtime: Runtime, tmp_path: Path) -> None:
    """Layers, volumes, images, what builds are at, run directories: by mode, and by trying."""
    (tmp_path / "Dockerfile").write_text(
        "FROM traps\nRUN --mount=type=cache,target=/c touch /c/x\n"
    )
    container = runtime.start("--net", "none", "-v", "files:/data", "traps", "sleep", "1000")
    runtime("exec", container, "sh", "-c", "umask 0; touch /data/open /open")
    runtime("build", "--network=none", "--tag", "made", str(tmp_path))
    eventually(lambda: runtime.state(container).status == "running")
    here = runtime.root.parent
    here.chmod(0o755)  # pytest's own directories are closed too; who stands in one needs no other
    (here / "witness").touch()

    rooms = sorted(entry for entry in runtime.root.iterdir() if entry.is_dir())
    found = [runtime.root, *runtime.root.rglob("*")]
    inner = [path for path in found if path.parent != runtime.root and path != runtime.root]
    names = {path.relative_to(runtime.root).parts[0] for path in inner}

    assert {"build", "bundles", "containers", "images", "layers", "run", "volumes"} <= names
    # A bundle is what this machine's Python is: nothing of a user's.
    closed = [room for room in rooms if room.name != "bundles"]
    for path in (runtime.root, *closed, runtime.root / "run/containers" / container):
        assert (stat.S_IMODE(path.stat().st_mode) & 0o077, path.stat().st_uid) == (0, 0), path
    tried = subprocess.run(
        [sys.executable, "-c", _TRESPASSER],
        cwd=here,
        input="\0".join(str(path.relative_to(here)) for path in (here / "witness", *inner)),
        capture_output=True,
        text=True,
        check=True,
    )
    assert (tried.stdout, tried.stderr) == ("witness\n", "")
    runtime("rm", "--force", container)
