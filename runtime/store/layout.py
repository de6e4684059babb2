"""Where everything lies on disk.  Paths alone: making and reading is the other modules' work.

See the list in docs/images.md.  *root* survives a reboot, *run* does not.
"""

from __future__ import annotations

DEFAULT_ROOT = "/var/lib/runtime"
DEFAULT_RUN = "/run/runtime"


class Layout:
    """The paths below one root directory and one run directory."""

    __slots__ = ("root", "run")

    def __init__(self, root: str = DEFAULT_ROOT, run: str = "") -> None:
        self.root = root
        self.run = run or (DEFAULT_RUN if root == DEFAULT_ROOT else f"{root}/run")

    @property
    def images(self) -> str:
        """Return the directory of the image index."""
        return f"{self.root}/images"

    @property
    def blobs(self) -> str:
        """Return the directory of the documents, named by the digits of their SHA-256."""
        return f"{self.root}/images/blobs/sha256"

    @property
    def records(self) -> str:
        """Return the directory with one record an image."""
        return f"{self.root}/images/records"

    @property
    def tags(self) -> str:
        """Return the file that maps references to image ids."""
        return f"{self.root}/images/tags.json"

    @property
    def layers(self) -> str:
        """Return the directory with one unpacked layer a diff id."""
        return f"{self.root}/layers"

    @property
    def containers(self) -> str:
        """Return the directory of the containers."""
        return f"{self.root}/containers"

    @property
    def volumes(self) -> str:
        """Return the directory of the named volumes."""
        return f"{self.root}/volumes"

    @property
    def networks(self) -> str:
        """Return the directory of the networks."""
        return f"{self.root}/networks"

    @property
    def locks(self) -> str:
        """Return the directory of the lock files."""
        return f"{self.run}/locks"

    def lock(self, name: str) -> str:
        """Return the lock file of one part of the state."""
        return f"{self.run}/locks/{name}.lock"

    def layer(self, hex_digits: str) -> str:
        """Return one layer's directory."""
        return f"{self.root}/layers/{hex_digits}"

    def container(self, container_id: str) -> str:
        """Return one container's lasting directory."""
        return f"{self.root}/containers/{container_id}"

    def container_run(self, container_id: str) -> str:
        """Return one container's directory that goes with its life."""
        return f"{self.run}/containers/{container_id}"
