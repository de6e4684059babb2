"""The compiled plan: a validated configuration that PID 1 can read without a YAML parser.

``supervise compile`` writes it beside the first file asked for, ``supervise.yaml.plan`` for
``supervise.yaml``.  It is used as long as everything it was made from is what it was: the bytes
of every file, the listing of every directory and pattern, the value of every variable.  The
first line is a magic word, a version and the digest of the rest, which is JSON.

Whoever can write a plan can have PID 1 run anything as anybody, so one is read only where nobody
but root and we can have written it: by its file and by its directory.

Lean: imported by PID 1.
"""

from __future__ import annotations

import json
import os
import stat

from supervise.config import search
from supervise.linux import directory
from supervise.model.errors import ConfigError
from supervise.model.service import PLAN_VERSION, plan_from_plain, plan_to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from supervise.model.service import ConfigurationSource, Plan

SUFFIX = ".plan"
_MAGIC = b"supervise-plan"
_MAX_BYTES = 64 * 1024 * 1024


def compile_plan(plan: Plan, roots: Sequence[str]) -> bytes:
    """Return the file for *plan*, which was loaded from *roots*, absolute paths."""
    from supervise.config import digest

    content = {"roots": list(roots), "plan": plan_to_plain(plan)}
    body = json.dumps(content, separators=(",", ":")).encode()
    return b"%s %d %s\n%s" % (_MAGIC, PLAN_VERSION, digest.of_bytes(body).encode(), body)


def path_beside(root: str) -> str:
    """Return where the compiled plan of *root*, a file or a directory, is."""
    return root.rstrip("/") + SUFFIX


def write_compiled(plan: Plan, roots: Sequence[str]) -> str:
    """Write the compiled plan beside the first of *roots*, atomically; returns its path.

    Whoever may not read all of the sources may not read the plan either, for values of
    variables and env files are in it.  Raises OSError.
    """
    path = path_beside(roots[0])
    mode = 0o644
    for source in plan.sources:
        if source.kind in {"yaml", "env_file"} and source.digest:
            mode &= os.stat(source.path).st_mode
    held, name = directory.find(path)
    temporary = f"{name}.{os.getpid()}"
    try:
        with open(held.make_file(temporary, mode | 0o600), "wb") as file:
            file.write(compile_plan(plan, roots))
        held.rename(temporary, name)
    except OSError:
        held.remove(temporary)
        raise
    finally:
        held.close()
    return path


def load_compiled(
    paths: Sequence[str] | None, environ: Mapping[str, str], cwd: str
) -> tuple[Plan | None, str]:
    """Return the compiled plan for *paths* if it still holds, else None and why not.

    The reason is "" where there is no compiled plan, which is nothing to talk about.
    """
    try:
        roots = [search.absolute(path, cwd) for path in search.find(paths, environ, cwd)]
    except ConfigError:
        return None, ""
    path = path_beside(roots[0])
    try:
        data, reason = _trusted_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        return None, ""
    except OSError as error:
        return None, f"cannot read the compiled plan '{path}': {error.strerror}"
    plan = None
    if not reason:
        plan, reason = _read(data, roots)
    if plan is not None:
        reason = _what_changed(plan, environ)
    if reason:
        return None, f"the compiled plan '{path}' is not used: {reason}"
    return plan, ""


def path_for(paths: Sequence[str] | None, environ: Mapping[str, str], cwd: str) -> str:
    """Return where the compiled plan of *paths* is; raises ConfigError where they name nothing."""
    return path_beside(search.absolute(search.find(paths, environ, cwd)[0], cwd))


def remarks(plan: Plan) -> list[str]:
    """Return who may write to what *plan* was made from and should not, as sentences."""
    from supervise.config import ownership

    return [str(remark) for remark in ownership.remarks(plan.sources)]


def _trusted_bytes(path: str) -> tuple[bytes, str]:
    """Return the file's bytes, or why nobody should believe them; raises OSError."""
    held, name = directory.find(path)
    try:
        if held.look(name) is None:
            raise FileNotFoundError
        # No sticky directory either: a file of root's may have been moved there, with what its
        # mover had somebody write into it.
        if not held.is_ours:
            return b"", f"{held.who_else()} may put another one there"
        fd = held.open_entry(name, os.O_RDONLY)
        with open(fd, "rb") as file:
            reason = _why_not_trusted(os.fstat(fd))
            return (b"", reason) if reason else (file.read(_MAX_BYTES + 1), "")
    finally:
        held.close()


def _why_not_trusted(found: os.stat_result) -> str:
    """Return why a plan with this status is not to be believed, "" when it is."""
    if not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if found.st_uid not in directory.trusted_users():
        return f"it belongs to user {found.st_uid}"
    if found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid != 0):
        return "others may write to it (chmod go-w)"
    return ""


def _read(data: bytes, roots: list[str]) -> tuple[Plan | None, str]:
    first, _, body = data.partition(b"\n")
    words = first.split(b" ")
    if len(words) != 3 or words[0] != _MAGIC:
        return None, "it is no compiled plan"
    if words[1] != b"%d" % PLAN_VERSION:
        return None, "another version of supervise wrote it"
    from supervise.config import digest  # 64 kB that only a compiled plan needs

    if words[2] != digest.of_bytes(body).encode():
        return None, "it is damaged"
    content = json.loads(body)
    if content["roots"] != roots:
        return None, f"it was made from {', '.join(content['roots'])}"
    plan = plan_from_plain(content["plan"])
    files = {source.path for source in plan.sources if source.kind in {"yaml", "directory"}}
    if not files.issuperset(roots):
        return None, f"it was not made from {', '.join(sorted(set(roots) - files))}"
    return plan, ""


def _what_changed(plan: Plan, environ: Mapping[str, str]) -> str:
    from supervise.config import digest

    for name, expected in plan.variables.items():
        if digest.of_variable(environ.get(name)) != expected:
            return f"the variable '{name}' has another value"
    for source in plan.sources:
        if current_digest(source) != source.digest:
            return f"'{source.path}' has changed"
    return ""


def current_digest(source: ConfigurationSource) -> str:
    """Return what *source*'s digest is at this moment; "" when it cannot be read."""
    from supervise.config import digest

    try:
        if source.kind == "directory":
            return digest.of_names(search.listing(source.path))
        if source.kind == "glob":
            return digest.of_names(search.matches(source.path))
        # PID 1 reads this: never a FIFO that waits, nor a device without an end.
        return digest.of_bytes(directory.read_file(source.path, _MAX_BYTES))
    except OSError:
        return ""
