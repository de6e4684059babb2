"""One build as its workers know it: what was asked for, the Dockerfile, the context."""

from __future__ import annotations

from runtime.build.mounts import Given
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.build.context import Context
    from runtime.dockerfile.commands import Dockerfile
    from runtime.store.layout import Layout


class Request(Record):
    """What the command line asks for."""

    where: str = "."  # the context: a directory, a URL, or "-"
    dockerfile: str = ""  # -f; empty: Dockerfile in the context
    tags: tuple[str, ...] = ()
    target: str = ""
    build_args: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    network: str = "bridge"  # of RUN
    hosts: tuple[tuple[str, str], ...] = ()  # --add-host: (name, address)
    no_cache: bool = False
    pull: bool = False  # look for newer base images
    platform: str = ""  # --platform; empty: this machine's
    given: Given = Given()
    epoch: int | None = None  # SOURCE_DATE_EPOCH


class Job:
    """One build."""

    def __init__(
        self, layout: Layout, request: Request, dockerfile: Dockerfile, context: Context
    ) -> None:
        self.layout = layout
        self.request = request
        self.dockerfile = dockerfile
        self.context = context
        self.platform = ""  # linux/amd64
        self.global_args: dict[str, str] = {}  # ARGs before the first FROM
        self.bases: list[str] = []  # of each stage: what FROM names, expanded

    def stage_named(self, name: str, before: int) -> int | None:
        """Return the number of the stage that *name* means in stage *before*, None: an image."""
        stages = self.dockerfile.stages[:before]
        for number in reversed(range(len(stages))):
            if stages[number].start.name and stages[number].start.name == name.lower():
                return number
        return None

    def source_named(self, name: str, before: int) -> int | None:
        """Do the same for ``--from``, which may name a stage by its number too."""
        found = self.stage_named(name, before)
        if found is None and name.isascii() and name.isdecimal() and int(name) < before:
            return int(name)
        return found

    def title(self, number: int) -> str:
        """Return how a stage is called in progress: its name, or which one it is."""
        name = self.dockerfile.stages[number].start.name
        return name or (f"stage-{number}" if len(self.dockerfile.stages) > 1 else "")
