"""An image archive laid flat: what `docker save` and `runtime save` of one image must agree on."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.SYMTYPE: "link",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.DIRTYPE: "directory",
    tarfile.FIFOTYPE: "fifo",
}
# What a container's mounts leave in an image of docker's: places, not contents.
_PLACES = frozenset({
    *("proc", "sys", "dev", "dev/pts", "dev/shm", "dev/console", ".dockerenv", "run"),
    *("etc/hosts", "etc/hostname", "etc/resolv.conf"),
})  # fmt: skip
_CONFIG = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels"),
    *("OnBuild", "StopSignal", "Healthcheck", "Shell"),
)

Tree = dict[str, dict[str, Any]]  # keyed by path, no slash in front


def read(archive: Path) -> tuple[Tree, dict[str, Any]]:
    """Return (files, configuration) of the one image in a docker archive."""
    tree: Tree = {}
    with tarfile.open(archive) as outer:

        def member(name: str) -> bytes:
            info = outer.getmember(name)
            if info.issym():  # docker writes a layer once
                name = os.path.normpath(os.path.join(os.path.dirname(name), info.linkname))
            opened = outer.extractfile(name)
            assert opened is not None
            return opened.read()

        (manifest,) = json.loads(member("manifest.json"))
        document = json.loads(member(manifest["Config"]))
        for layer in manifest["Layers"]:
            _apply(tree, member(layer))
    config = {key: (document.get("config") or {}).get(key) or None for key in _CONFIG}
    if config["WorkingDir"] == "/":
        config["WorkingDir"] = None
    return {path: row for path, row in tree.items() if path not in _PLACES}, config


def _apply(tree: Tree, data: bytes) -> None:
    """Put one layer on top: what it hides goes first."""
    with tarfile.open(fileobj=io.BytesIO(data)) as layer:
        entries = [(entry.name.strip("/").removeprefix("./"), entry) for entry in layer]
        for path, _ in entries:
            folder, name = os.path.split(path)
            if name == ".wh..wh..opq":
                _remove(tree, folder, itself=False)
            elif name.startswith(".wh."):
                _remove(tree, os.path.join(folder, name[4:]), itself=True)
        for path, entry in entries:
            if path in ("", ".") or os.path.basename(path).startswith(".wh."):
                continue
            if not (entry.isdir() and tree.get(path, {}).get("kind") == "directory"):
                _remove(tree, path, itself=True)
            tree[path] = _row(tree, layer, entry)


def _remove(tree: Tree, path: str, *, itself: bool) -> None:
    for other in [o for o in tree if o.startswith(f"{path}/") or (itself and o == path)]:
        del tree[other]


def _row(tree: Tree, layer: tarfile.TarFile, entry: tarfile.TarInfo) -> dict[str, Any]:
    if entry.islnk():
        return {**tree[entry.linkname.strip("/").removeprefix("./")], "hard": True}
    row: dict[str, Any] = {
        "kind": _KINDS[entry.type],
        "mode": oct(entry.mode & 0o7777),
        "owner": f"{entry.uid}:{entry.gid}",
    }
    if entry.isfile():
        opened = layer.extractfile(entry)
        assert opened is not None
        row |= {"size": entry.size, "hash": hashlib.sha256(opened.read()).hexdigest()[:16]}
    if entry.issym():
        row |= {"target": entry.linkname, "mode": ""}  # a link has none; tar writers invent one
    if entry.ischr() or entry.isblk():
        row["device"] = (entry.devmajor, entry.devminor)
    xattrs = {k: v for k, v in entry.pax_headers.items() if k.startswith("SCHILY.xattr.")}
    return row | ({"xattrs": xattrs} if xattrs else {})
