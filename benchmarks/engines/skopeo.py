"""skopeo: downloads and verifies an image and does not unpack it."""

from __future__ import annotations

import shutil

from benchmarks.engines.base import Engine, call


class Skopeo(Engine):
    """`skopeo copy` into an OCI layout."""

    name = "skopeo"
    program = "skopeo"
    note = "downloads and verifies, unpacks nothing"
    rows = frozenset({"pull"})

    def open(self, small: object) -> None:
        """Make its directory; it has no images."""
        del small
        self.close()
        self.place.mkdir(parents=True)

    def version(self) -> str:
        """Return the last word of --version."""
        return call(["skopeo", "--version"]).rpartition(" ")[2]

    def pull_words(self, name: str) -> list[str]:
        """Return the words that copy the image to a directory."""
        return ["copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{self.place}/oci:1"]

    def forget(self, name: str) -> None:
        """Remove the directory."""
        del name
        shutil.rmtree(self.place / "oci")
