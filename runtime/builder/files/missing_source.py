"""Sources that are not there: what a person needs to hear to put it right.

`select` asks; the caller puts the line of the Dockerfile in front.
"""

from __future__ import annotations

import os
import posixpath

from runtime.builder.files.tree import Tree
from runtime.model.errors import RuntimeFailure
from supervise.model.suggest import closest

_SHOWN = 8  # names of what is there


def failure(written: str, tree: Tree) -> RuntimeFailure:
    """Return what to raise for the source *written*, which *tree* does not have."""
    path = posixpath.normpath("/" + written.lstrip("/")).lstrip("/")
    message = f"cannot copy '{written}': {tree.name} has no '{path}'"
    if tree.locate(path) is not None:
        return RuntimeFailure(
            f"cannot copy '{written}': .dockerignore keeps it out of {tree.name}",
            f"take it back in with a line '!{path}' at the end of .dockerignore",
        )
    target = _dangling(path, tree)
    if target is not None:
        return RuntimeFailure(
            f"cannot copy '{written}': it is a link to '{target}', which {tree.name} has not",
            "links are followed within it; one inside a directory is copied as a link",
        )
    return RuntimeFailure(message, "; ".join([*_rules(written, tree), _instead(path, tree)]))


def _dangling(path: str, tree: Tree) -> str | None:
    """Return where the link *path* points that leads nowhere, None if it is none."""
    above, _, name = os.fsencode(path).rpartition(b"/")
    directory = tree.find(os.fsdecode(above))
    if directory is None:
        return None
    link = directory + b"/" + name if directory else name
    try:
        return os.fsdecode(os.readlink(link, dir_fd=tree.root_fd))
    except OSError:
        return None


def unmatched(written: str, tree: Tree) -> str:
    """Return the warning for wildcards that match nothing."""
    path = posixpath.normpath("/" + written.lstrip("/")).lstrip("/")
    return f"'{written}' matches nothing in {tree.name}; {_instead(path, tree)}"


def _rules(written: str, tree: Tree) -> list[str]:
    """Return which rule the writer may not know."""
    if tree.keep_owner:
        return []
    if any(part == ".." for part in written.split("/")):
        outside = "what lies outside the build context cannot be copied"
        return [f"{outside}: build with a directory further up, or move it inside"]
    if written.startswith("/"):
        if os.path.lexists(written):
            aside = f"this machine's own {written} is not looked at"
        else:
            aside = "never to this machine's root"
        return [f"sources are relative to the build context, {aside}: copy it into the context"]
    return []


def _instead(path: str, tree: Tree) -> str:
    """Return what there is, nearest first: the same name elsewhere, a similar one, a list."""
    above, name = posixpath.split(path)
    directory = above
    while directory and tree.find(directory) is None:
        directory = posixpath.dirname(directory)
    if above and tree.find(name) is not None:
        return f"did you mean '{name}'?"
    known = _known(directory, tree)
    near = closest(path[len(directory) :].lstrip("/").split("/")[0], known)
    if near is not None:
        return f"did you mean '{posixpath.join(directory, near)}'?"
    place = f"'{directory}'" if directory else "it"
    if not known:
        return f"{place} is empty"
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"{place} has {', '.join(known[:_SHOWN])}{more}"


def _known(directory: str, tree: Tree) -> list[str]:
    real = tree.find(directory)
    if real is None:
        return []
    names = [os.fsdecode(name) for name in tree.names(real)]
    return [name for name in names if tree.find(posixpath.join(directory, name)) is not None]
