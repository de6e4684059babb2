"""An emulated machine with Debian's cloud kernel, to test what this machine's kernel has not.

Its root file system is an archive in memory with busybox, nft, this Python with its libraries and
the tree under test, all at the paths they have here.  Only cgroup version 2 is mounted.  The store
is on a disk, so that there is something to count; a second one is swap space.  Commands go over a
second serial line to tests/support/programs/vm_agent.py; the first has the kernel's words, which a
failure shows.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.support.eventually import eventually
from tests.support.initramfs import Archive
from tests.support.runtime import busybox
from tests.support.scripts import PROGRAMS, ROOT

_PACKAGE = f"linux-image-cloud-{'amd64' if platform.machine() == 'x86_64' else 'arm64'}"
_MODULES = (
    *("overlay", "virtio_pci", "virtio_blk", "ext4", "veth", "bridge"),
    *("nf_tables", "nft_chain_nat", "nft_nat", "nft_masq", "nft_ct", "nft_fib_inet"),
)
_LEFT_OUT = {
    *("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"),
    *("site-packages", "dist-packages", "pydoc_data", "unittest", "distutils"),
}
_BOOT_TIMEOUT = 180.0  # seconds; emulation on a busy machine
_COMMAND_TIMEOUT = 180.0
PYTHON = os.path.realpath(sys.executable)
_STORE, _SWAP = 512 << 20, 96 << 20  # bytes
IMAGE = "busybox"

_INIT = """\
#!/bin/sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run /root /newroot /var/lib/runtime
# The first root of all cannot be pivoted away from: go on in a mount above it.
/bin/busybox mount --bind / /newroot
cd /newroot
/bin/busybox mount --move . /
exec /bin/busybox chroot . /stage2
"""
_STAGE2 = """\
#!/bin/sh
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /dev/pts
mount -t devpts devpts /dev/pts
while read -r module; do insmod $module; done < /modules/order
mount -t ext4 /dev/vda /var/lib/runtime
mkswap /dev/vdb
swapon /dev/vdb
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
export PYTHONPATH={path} PYTHONSAFEPATH=1
{python} -S {agent} /dev/ttyS1
poweroff -f
"""


def kernel() -> Path:
    """Return a directory with the unpacked kernel package; fetched by apt once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "supervise-tests")
    shown = subprocess.run(
        ["apt-cache", "depends", _PACKAGE], capture_output=True, text=True, check=True
    )
    package = re.findall(r"Depends: (\S+)", shown.stdout)[0]
    place: Path = cache / package
    if place.is_dir():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        subprocess.run(["apt-get", "download", "--quiet", package], cwd=work, check=True)
        (archive,) = Path(work).glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", archive, f"{work}/unpacked"], check=True)
        if not place.is_dir():
            os.rename(f"{work}/unpacked", place)
    return place


class Vm:
    """One machine that runs until `close`."""

    def __init__(self, directory: Path, kernel_directory: Path) -> None:
        self._console = directory / "console"
        address = str(directory / "line")
        initramfs = directory / "initramfs"
        initramfs.write_bytes(_initramfs(kernel_directory))
        (image,) = kernel_directory.glob("boot/vmlinuz-*")
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"),
                *("-m", "1024", "-nodefaults", "-no-user-config", "-display", "none"),
                *("-no-reboot", "-kernel", str(image), "-initrd", str(initramfs)),
                *("-append", "console=ttyS0 panic=-1 quiet cgroup_no_v1=all mitigations=off"),
                *("-serial", f"file:{self._console}"),
                *("-chardev", f"socket,id=line,path={address},server=on,wait=off"),
                *("-device", "isa-serial,chardev=line"),
                *_disk(directory / "store", _STORE, "mkfs.ext4", "-q", "-O", "^has_journal"),
                *_disk(directory / "swap", _SWAP),
            ],
            stdin=subprocess.DEVNULL,
        )
        self._line = socket.socket(socket.AF_UNIX)
        eventually(lambda: Path(address).exists())
        self._line.connect(address)
        self._line.settimeout(_BOOT_TIMEOUT)
        self._answers = self._line.makefile("rb")
        assert self._answer() == {"ready": True}
        self.runtime("import", "/image.tar", IMAGE)

    def __call__(
        self, *argv: str, check: bool = True, text: str = "", timeout: float = _COMMAND_TIMEOUT
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in there; when *check*, it must succeed."""
        asked = {"argv": list(argv), "input": text, "timeout": timeout}
        self._line.settimeout(timeout + 10.0)
        self._line.sendall(json.dumps(asked).encode() + b"\n")
        answer = self._answer()
        done = subprocess.CompletedProcess(argv, answer["code"], answer["out"], answer["err"])
        said = f"{' '.join(argv)}: {done.returncode}: {done.stderr}{done.stdout}"
        assert not check or done.returncode == 0, said
        return done

    def sh(self, script: str, **options: Any) -> str:
        """Run a shell script in there and return what it prints."""
        return self("sh", "-c", script, **options).stdout

    def runtime(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run `runtime` in there."""
        return self(PYTHON, "-S", "-m", "runtime.cli.main", *arguments, **options)

    def _answer(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(self._answers.readline())
        except (TimeoutError, ValueError) as error:
            raise AssertionError(f"no answer ({error!r}); it said:\n{self.console()}") from None
        return answer

    def console(self) -> str:
        """Return the last of what its kernel said."""
        return self._console.read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """Switch it off."""
        self._process.kill()
        self._process.wait()
        self._answers.close()
        self._line.close()


def _disk(path: Path, size: int, *make: str) -> list[str]:
    """Make an empty disk, with a file system by *make*, and return qemu's options for it."""
    with path.open("wb") as file:
        file.truncate(size)
    if make:
        subprocess.run([*make, path], check=True)
    return ["-drive", f"file={path},format=raw,if=virtio,cache=unsafe"]


def _initramfs(kernel_directory: Path) -> bytes:
    archive = Archive()
    archive.add_file("/bin/busybox", Path(shutil.which("busybox") or "/bin/busybox").read_bytes())
    listed = subprocess.run(["busybox", "--list-full"], capture_output=True, text=True, check=True)
    for applet in listed.stdout.split():
        if Path(applet).name != "busybox":
            archive.add_link(f"/{applet}", "/bin/busybox")
    search = ":".join((str(ROOT), *_yaml(archive)))
    agent = PROGRAMS / "vm_agent.py"
    archive.add_file("/init", _INIT.encode())
    stage2 = _STAGE2.format(path=search, python=PYTHON, agent=agent)
    archive.add_file("/stage2", stage2.encode())
    archive.add_file("/image.tar", busybox())
    archive.add_file("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.add_file("/etc/group", b"root:x:0:\n")
    archive.add(agent)
    archive.add(PROGRAMS / "without_syscalls.py")
    for package in ("runtime", "supervise"):
        archive.add_tree(ROOT / package)
    _add_python(archive)
    _add_modules(archive, kernel_directory)
    return archive.data()


def _add_python(archive: Archive) -> None:
    """Add the interpreter with its standard library, and the libraries these need."""
    library = Path(sysconfig.get_path("stdlib"))
    programs = [Path(PYTHON), Path(shutil.which("nft") or "/usr/sbin/nft")]
    for path in programs:
        archive.add(path)
    archive.add_tree(library, _LEFT_OUT)
    programs += library.glob("lib-dynload/*.so")
    for path in _libraries(programs):
        archive.add(path)


def _yaml(archive: Archive) -> list[str]:
    """Add PyYAML, which the injected PID 1 has in it; return where it is."""
    import yaml

    place = Path(yaml.__file__).parent
    archive.add_tree(place)
    for native in place.parent.glob("_yaml*"):
        archive.add_tree(native)
    for path in _libraries(place.glob("*.so")):
        archive.add(path)
    return [str(place.parent)]


def _libraries(programs: Iterable[Path]) -> list[Path]:
    """Return the loader and the libraries that ldd(1) finds for *programs*."""
    shown = subprocess.run(
        ["ldd", *map(str, programs)], capture_output=True, text=True, check=False
    )
    found = re.findall(r"(?:=>\s*|^\s+)(/\S+) \(0x", shown.stdout, re.MULTILINE)
    return [Path(path) for path in sorted(set(found))]


def _add_modules(archive: Archive, kernel_directory: Path) -> None:
    """Add the modules that are wanted and those they need, in the order to load them in."""
    files = {
        path.stem.replace("-", "_"): path
        for path in kernel_directory.glob("lib/modules/*/kernel/**/*.ko")
    }
    order: list[str] = []
    for name in _MODULES:
        _order(name, files, order)
    for number, name in enumerate(order):
        archive.add_file(f"/modules/{number}-{name}.ko", files[name].read_bytes())
    lines = (f"/modules/{number}-{name}.ko\n" for number, name in enumerate(order))
    archive.add_file("/modules/order", "".join(lines).encode())


def _order(name: str, files: dict[str, Path], order: list[str]) -> None:
    if name in order or name not in files:  # built in
        return
    found = re.search(rb"\0depends=([^\0]*)\0", files[name].read_bytes())
    needed: Sequence[str] = found[1].decode().split(",") if found and found[1] else ()
    for other in needed:
        _order(other.replace("-", "_"), files, order)
    order.append(name)
