"""Git repositories as build contexts and as sources of ADD: fetched by git(1) where it is installed.

`URL#REF:DIRECTORY`: a branch, tag or commit, and a directory in the repository.
"""

from __future__ import annotations

import os
import re

from runtime.linux import beneath
from runtime.model.errors import RuntimeFailure
from runtime.store import files
from supervise.model.record import Record

_SCP = re.compile(r"[\w.-]+@[\w.-]+:.+")  # git@github.com:owner/name.git
_SCHEMES = ("git://", "ssh://", "git+ssh://")
_WEB = ("http://", "https://")
# Bytes a second, and for how many seconds less than that: a stall over HTTP, as in downloads.
_SLOWEST = {"GIT_HTTP_LOW_SPEED_LIMIT": "1024", "GIT_HTTP_LOW_SPEED_TIME": "60"}
_REF = re.compile(r"[\w./@^~-]+")


class GitUrl(Record):
    """Where a repository is, and what of it."""

    remote: str
    ref: str = ""  # empty: the branch that the repository calls its main one
    directory: str = ""


def parse(text: str) -> GitUrl | None:
    """Return what *text* names, None if it is no git repository's URL."""
    base, _, fragment = text.partition("#")
    lower = base.lower()
    is_git = (
        lower.startswith(_SCHEMES)
        or (lower.startswith(_WEB) and lower.partition("?")[0].endswith(".git"))
        or (_SCP.fullmatch(base) is not None and "://" not in base)
    )
    if not is_git:
        return None
    ref, _, directory = fragment.partition(":")
    return GitUrl(base, ref, directory.strip("/"))


def checkout(url: GitUrl, directory: str, *, keep_git_dir: bool = False) -> str:
    """Fetch *url* into the new directory *directory*; return the commit that it is.

    Submodules come too.  ``.git`` is removed unless *keep_git_dir*.

    Raises:
        RuntimeFailure: git is not installed, or cannot fetch it; git's words are in it.
    """
    import shutil  # with subprocess 10 ms, which few builds need

    if shutil.which("git") is None:
        raise RuntimeFailure(
            f"cannot fetch '{url.remote}': git is not installed",
            "install git, or clone the repository yourself and build with that directory",
        )
    if url.ref and (url.ref.startswith("-") or not _REF.fullmatch(url.ref)):
        raise RuntimeFailure(
            f"cannot fetch '{url.remote}': '{url.ref}' is no branch, tag or commit"
        )
    os.mkdir(directory, 0o755)
    _git(url, directory, "init", "--quiet")
    _git(url, directory, "remote", "add", "origin", "--", url.remote)
    _fetch(url, directory)
    _git(url, directory, "-c", "advice.detachedHead=false", "checkout", "--quiet", "FETCH_HEAD")
    if os.path.exists(f"{directory}/.gitmodules"):
        _git(url, directory, "submodule", "update", "--init", "--recursive", "--quiet")
    commit = _git(url, directory, "rev-parse", "HEAD").strip()
    if not keep_git_dir:
        files.remove_tree(f"{directory}/.git")
    return commit


def open_directory(url: GitUrl, directory: str) -> int:
    """Return the directory of the checkout *directory* that *url* asks for, open."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    root_fd = os.open(directory, flags | os.O_CLOEXEC)
    try:
        return beneath.open_in_root(root_fd, os.fsencode(url.directory), flags)
    except OSError as error:
        raise RuntimeFailure(
            f"cannot use '{url.directory}' of '{url.remote}': {error.strerror}"
        ) from None
    finally:
        os.close(root_fd)


def _fetch(url: GitUrl, directory: str) -> None:
    ref = url.ref or "HEAD"
    try:
        _git(url, directory, "fetch", "--quiet", "--depth=1", "origin", ref)
    except RuntimeFailure:
        # Plain HTTP servers have no shallow copies, and some servers give no single commits.
        _git(url, directory, "fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/heads/*")
        _git(url, directory, "fetch", "--quiet", "origin", "HEAD")
        if url.ref:
            commit = _git(url, directory, "rev-parse", "--verify", f"{url.ref}^{{commit}}").strip()
            _git(url, directory, "update-ref", "FETCH_HEAD", commit)


def _git(url: GitUrl, directory: str, *arguments: str) -> str:
    environment = {**_SLOWEST, **os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        environment.pop(name, None)
    import subprocess

    done = subprocess.run(
        ["git", *arguments],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        said = (lines[-1] if lines else f"git {arguments[0]} failed").removeprefix("fatal: ")
        shown = url.remote + (f"#{url.ref}" if url.ref else "")
        raise RuntimeFailure(f"cannot fetch '{shown}': {said}")
    return done.stdout
