"""What ADD can beyond COPY: URLs and git repositories among the sources.

They are fetched here, before their digests are known; then all is like COPY.  Archives are
unpacked by `copy.apply`.
"""

from __future__ import annotations

import os

from runtime.builder.files.selection import CopySource, Selection, select
from runtime.builder.files.tree import Tree
from runtime.builder.sources import git, remote, scratch
from runtime.dockerfile.commands import Copy
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def select_added(copy: Copy, tree: Tree | None, directory: str) -> Selection:
    """Return what *copy*, COPY or ADD, copies; what is remote is fetched below *directory*.

    The caller closes the selection: a checkout of git goes with it.

    Raises:
        RuntimeFailure: as `select`, and what cannot be fetched.
    """
    remotes = [source for source in copy.sources if _is_remote(source)]
    if copy.checksum and (len(copy.sources) != 1 or not remotes):
        raise RuntimeFailure(
            "cannot use --checksum: it is for one URL", "give every URL an ADD of its own"
        )
    if not remotes:
        return select(copy, tree)
    if not copy.is_add:
        raise RuntimeFailure(
            f"cannot copy '{remotes[0]}': COPY takes no URLs", f"write ADD {remotes[0]}"
        )
    owned: list[Callable[[], None]] = []
    try:
        fetched = {source: _fetch(copy, source, directory, owned) for source in remotes}
        return select(copy, tree, fetched=fetched, owned=owned)
    except BaseException:
        for undo in reversed(owned):
            undo()
        raise


def _is_remote(source: str) -> bool:
    return remote.is_url(source) or git.parse(source) is not None


def _fetch(copy: Copy, written: str, directory: str, owned: list[Callable[[], None]]) -> CopySource:
    url = git.parse(written)
    if url is not None:
        return _clone(copy, url, directory, owned)
    name = remote.file_name(written)
    if not name and copy.destination.endswith("/"):
        raise RuntimeFailure(
            f"cannot add '{written}': its path has no file name to use in '{copy.destination}'",
            "give the file's name in the destination",
        )
    download = remote.fetch(written, f"{directory}/{scratch.DOWNLOADS}", checksum=copy.checksum)
    tree = Tree(os.open(download.directory, _DIRECTORY), name=f"'{written}'")
    owned.append(tree.close)
    return CopySource(
        tree,
        download.name.encode(),
        os.fsencode(name or remote.UNNAMED),
        is_directory=False,
        unpack=bool(copy.unpack),
    )


def _clone(
    copy: Copy, url: git.GitUrl, directory: str, owned: list[Callable[[], None]]
) -> CopySource:
    place = f"{scratch.directory(directory, owned)}/git"
    commit = git.checkout(url, place, keep_git_dir=copy.keep_git_dir)
    if copy.checksum and not commit.startswith(copy.checksum):
        raise RuntimeFailure(
            f"cannot use '{url.remote}': it is commit {commit}, not {copy.checksum}"
        )
    tree = Tree(git.open_directory(url, place), name=f"'{url.remote}'")
    owned.append(tree.close)
    return CopySource(tree, b"", b"", is_directory=True, exclude=copy.exclude)
