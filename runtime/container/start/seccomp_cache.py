"""The seccomp filter of one container: from the cache, else compiled and kept there.

Compiling takes some 30 ms, reading the result 0.1.  Nothing here loads it: `init` does.
"""

from __future__ import annotations

import os

from runtime.linux import capabilities, record_files
from runtime.model.contexts import suppress
from runtime.model.errors import DamagedFailure, RuntimeFailure
from runtime.store import files
from supervise.linux import regular

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.model.container.spec import Spec
    from runtime.store.layout import Layout

_DATA = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../data"))
_CHECKSUM = 16  # bytes, in front of a program in the cache
_FORMAT = 2  # of what the compiler makes: part of the cache's key


def program(spec: Spec, layout: Layout) -> bytes:
    """Return the BPF program for *spec*, empty for none.

    Raises:
        RuntimeFailure: a profile that cannot be read or makes no sense.
    """
    if spec.seccomp == "unconfined":
        return b""
    path = f"{_DATA}/seccomp.json" if spec.seccomp == "default" else spec.seccomp
    try:
        profile = regular.read_path(path)
    except FileNotFoundError:
        raise _unreadable(path, "there is no such file") from None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    machine = os.uname()
    cached = f"{layout.root}/seccomp/{_key(profile, spec, machine)}.bpf"
    compiled = _cached(cached)
    if compiled is None:
        compiled = _compile(path, profile, spec, machine)
        with suppress(OSError):  # a full disk: the next start compiles it too
            files.make_directories(os.path.dirname(cached))
            files.write(cached, _checksum(compiled) + compiled, sync=False)
    return compiled


def _cached(path: str) -> bytes | None:
    """Return what was compiled before, None for nothing.

    A file that a power failure left empty or cut must not be taken for a filter: an empty one
    forbids nothing.
    """
    try:
        found = record_files.read(path) or b""
    except DamagedFailure:  # a directory, say: it is compiled at each start
        return None
    compiled = found[_CHECKSUM:]
    return compiled if compiled and found[:_CHECKSUM] == _checksum(compiled) else None


def _checksum(compiled: bytes) -> bytes:
    from _blake2 import blake2b  # without hashlib's 5 ms

    found: bytes = blake2b(compiled, digest_size=_CHECKSUM).digest()
    return found


def _key(profile: bytes, spec: Spec, machine: os.uname_result) -> str:
    from _blake2 import blake2b  # without hashlib's 5 ms

    kept = capabilities.mask(spec.capabilities)
    digest = blake2b(profile, digest_size=16)
    digest.update(f" {_FORMAT} {kept:x} {machine.machine} {machine.release}".encode())
    return str(digest.hexdigest())


def _compile(path: str, profile: bytes, spec: Spec, machine: os.uname_result) -> bytes:
    import json

    from runtime.wire import seccomp_profile

    numbers = files.read(f"{_DATA}/syscalls.json")
    assert numbers is not None
    major, minor = machine.release.replace("-", ".").split(".")[:2]
    try:
        return seccomp_profile.compile_profile(
            json.loads(profile),
            capabilities=spec.capabilities,
            machine=machine.machine,
            kernel=(int(major), int(minor)),
            numbers=json.loads(numbers),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(path, str(error)) from None


def _unreadable(path: str, reason: str) -> RuntimeFailure:
    return RuntimeFailure(
        f"cannot use the seccomp profile '{path}': {reason}",
        "--security-opt seccomp=unconfined runs without a filter",
    )
