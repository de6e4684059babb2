"""Image archives and stores for tests, made without docker."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.store.images import Image, Images
from runtime.store.layout import Layout
from runtime.store.rootfs import import_rootfs
from tests.support.tars import Member, directory, file, make_tar

NOW = 1_700_000_000.0


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def make_images(directory: Path) -> Images:
    """Return an empty store below *directory*."""
    return Images(Layout(str(directory / "root")))


def import_image(images: Images, name: str = "", *members: Member) -> Image:
    """Import a root file system with *members*."""
    data = make_tar(*(members or (file("f", name.encode()),)))
    return import_rootfs(images, io.BytesIO(data), name, now=NOW)


def config_of(*layers: bytes, **extra: Any) -> bytes:
    """Return a configuration document for the uncompressed *layers*."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        **extra,
    }
    return json.dumps(document).encode()


def docker_archive(*images: tuple[bytes, list[bytes], list[str] | None]) -> bytes:
    """Return what `docker save` wrote before version 25, for (configuration, layers, names)."""
    members: dict[str, Member] = {}
    manifest = []
    for config, layers, names in images:
        config_name = f"{digest(config)[7:]}.json"
        members[config_name] = file(config_name, config)
        places = []
        for layer in layers:
            folder = digest(layer)[7:]
            members[f"{folder}/"] = directory(f"{folder}/")
            members[f"{folder}/layer.tar"] = file(f"{folder}/layer.tar", layer)
            places.append(f"{folder}/layer.tar")
        manifest.append({"Config": config_name, "RepoTags": names, "Layers": places})
    # Docker writes the manifest last.
    return make_tar(*members.values(), file("manifest.json", json.dumps(manifest).encode()))


class Oci:
    """An OCI layout in the making: blobs, and entries of its index."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        self.entries: list[dict[str, Any]] = []

    def blob(self, data: bytes, media_type: str, **extra: Any) -> dict[str, Any]:
        """Add *data* and return its descriptor."""
        self.files[f"blobs/sha256/{digest(data)[7:]}"] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data), **extra}

    def image(
        self,
        config: bytes,
        layers: list[bytes],
        *,
        pack: tuple[Callable[[bytes], bytes], str] = (lambda d: gzip.compress(d, mtime=0), "gzip"),
        **extra: Any,
    ) -> dict[str, Any]:
        """Add an image with packed layers and return the descriptor of its manifest."""
        packed, name = pack
        kind = "application/vnd.oci.image"
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": self.blob(config, f"{kind}.config.v1+json"),
            "layers": [self.blob(packed(layer), f"{kind}.layer.v1.tar+{name}") for layer in layers],
        }
        return self.blob(json.dumps(manifest).encode(), f"{kind}.manifest.v1+json", **extra)

    def index(self, *entries: dict[str, Any]) -> bytes:
        """Return an index of *entries*."""
        return json.dumps({"schemaVersion": 2, "manifests": list(entries)}).encode()

    def archive(self, *entries: dict[str, Any]) -> bytes:
        """Return the tar of the layout with *entries* in its index."""
        everything = {**self.files, "index.json": self.index(*entries)}
        return make_tar(*(file(name, data) for name, data in everything.items()))

    def write(self, place: Path, *entries: dict[str, Any]) -> Path:
        """Write the layout to the directory *place* and return it."""
        for name, data in {**self.files, "index.json": self.index(*entries)}.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
        return place


def named(name: str) -> dict[str, str]:
    """Return the annotations that give an image *name*."""
    return {"org.opencontainers.image.ref.name": name}


def files_in(images: Images) -> list[str]:
    """Return every file and layer of the store, tags and locks left out."""
    root = Path(images.layout.root)
    found = [p for p in (root / "images").rglob("*") if p.is_file() and p.name != "tags.json"]
    layers = list((root / "layers").iterdir()) if (root / "layers").exists() else []
    return sorted(str(p.relative_to(root)) for p in [*found, *layers])
