"""The compiled plan: a validated configuration that PID 1 can read without a YAML parser.

``supervise compile`` writes it beside the first file asked for, ``supervise.yaml.plan`` for
``supervise.yaml``.  It is used as long as everything it was made from is what it was: the bytes
of every file, the listing of every directory and pattern, the value of every variable.  The
first line is a magic word, a version and the digest of the rest, which is JSON.

Lean: imported by PID 1.
"""

from __future__ import annotations

import json
import os

from supervise.config import search
from supervise.model.errors import ConfigError
from supervise.model.service import PLAN_VERSION, plan_from_plain, plan_to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from supervise.model.service import Plan, Source

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
    temporary = f"{path}.{os.getpid()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode | 0o600)
        with open(fd, "wb") as file:
            file.write(compile_plan(plan, roots))
        os.rename(temporary, path)
    except OSError:
        _remove(temporary)
        raise
    return path


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return  # it was never made, or its directory is as broken as the write was


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
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"cannot read the compiled plan '{path}': {error.strerror}"
    plan, reason = _read(data, roots)
    if plan is not None:
        reason = _what_changed(plan, environ)
    if reason:
        return None, f"the compiled plan '{path}' is not used: {reason}"
    return plan, ""


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
    return plan_from_plain(content["plan"]), ""


def _what_changed(plan: Plan, environ: Mapping[str, str]) -> str:
    from supervise.config import digest

    for name, expected in plan.variables.items():
        if digest.of_variable(environ.get(name)) != expected:
            return f"the variable '{name}' has another value"
    for source in plan.sources:
        if current_digest(source) != source.digest:
            return f"'{source.path}' has changed"
    return ""


def current_digest(source: Source) -> str:
    """Return what *source*'s digest is at this moment; "" when it cannot be read."""
    from supervise.config import digest

    try:
        if source.kind == "directory":
            return digest.of_names(search.listing(source.path))
        if source.kind == "glob":
            return digest.of_names(search.matches(source.path))
        with open(source.path, "rb") as file:
            return digest.of_bytes(file.read())
    except OSError:
        return ""
