"""One build as its workers know it: what was asked for, the Dockerfile, the context."""

from __future__ import annotations

from runtime.dockerfile import predefined
from runtime.model.errors import RuntimeFailure
from runtime.store.build_cache import BuildCache
from runtime.store.images import Images
from supervise.model.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.builder.sources.context import Context
    from runtime.dockerfile.commands import Dockerfile
    from runtime.dockerfile.graph import BuildPlan
    from runtime.store.layout import Layout


class Given(Record):
    """What the command line gives to a build for the mounts of RUN."""

    secrets: Mapping[str, bytes] = {}  # by id
    agents: Mapping[str, str] = {}  # id → path of the agent's socket


class BuildRequest(Record):
    """What the command line asks for."""

    where: str = "."  # the context: a directory, a URL, or "-"
    dockerfile: str = ""  # -f; empty: Dockerfile in the context
    tags: tuple[str, ...] = ()
    target: str = ""
    build_args: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    network: str = "bridge"  # of RUN
    allowed: frozenset[str] = frozenset()  # --allow, see runtime.builder.entitlements
    hosts: tuple[tuple[str, str], ...] = ()  # --add-host: (name, address)
    no_cache: bool = False
    pull: bool = False  # look for newer base images
    platform: str = ""  # --platform; empty: this machine's
    given: Given = Given()
    epoch: int | None = None  # SOURCE_DATE_EPOCH


def check_platform(asked: str, mine: str) -> None:
    """Refuse to build for another machine than this one, whose platform is *mine*."""
    parts = asked.lower().split("/")
    if not asked or parts[:2] == mine.split("/") or parts == [mine.partition("/")[2]]:
        return
    raise RuntimeFailure(
        f"cannot build for '{asked}': this machine is {mine}, and nothing is emulated",
        f"leave out --platform, or build on such a machine; --platform {mine} is fine",
        code=1,
    )


class BuildStore:
    """The parts of the store that one build works with, made once."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout  # for the containers of RUN and the log of events
        self.images = Images(layout)
        self.layers = self.images.layers
        self.cache = BuildCache(layout)


class Job:
    """One build."""

    def __init__(
        self,
        store: BuildStore,
        request: BuildRequest,
        context: Context,
        dockerfile: Dockerfile,
        *,
        plan: BuildPlan,
        platform: str,
    ) -> None:
        self.store = store
        self.request = request
        self.context = context
        self.dockerfile = dockerfile
        self.stages = {node.index: node for node in (*plan.stages, *plan.others)}
        self.needed = [node.index for node in plan.stages]
        self.target = plan.target
        # ARGs before the first FROM, and what tells the platform: a stage's ARG takes them over.
        self.global_args = {**predefined.platform_args(platform, platform), **dict(plan.variables)}
        self.platform = platform  # linux/amd64

    @property
    def architecture(self) -> str:
        """Return the platform's second word."""
        return self.platform.partition("/")[2]

    def title(self, index: int) -> str:
        """Return how a stage is called in progress: its name, or which one it is."""
        name = self.stages[index].stage.start.name
        return name or (f"stage-{index}" if len(self.dockerfile.stages) > 1 else "")
