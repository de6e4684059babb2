"""Images that a build starts from or copies from: the store's, a registry's, this machine."""

from __future__ import annotations

import _thread

from runtime.builder import entitlements, stage_image
from runtime.builder.stage_image import StageImage
from runtime.exchange import pulling
from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.builder.build_progress import BuildProgress
    from runtime.builder.job import Job
    from runtime.store.images import Image
    from runtime.store.layers import Pin


class _Told:
    """What a pull says, as remarks of the build; it says so from several threads."""

    def __init__(self, progress: BuildProgress) -> None:
        self._progress = progress
        self._lock = _thread.allocate_lock()

    def say(self, text: str) -> None:
        """Pass on a sentence about the whole."""
        with self._lock:
            self._progress.remark(text)

    def layer(self, digest: str, status: str, done: int = 0, total: int = 0) -> None:
        """Pass on what becomes of a layer, but not byte by byte."""
        if not done or done == total:
            self.say(f"{digest[7:19]}: {status}")


class Bases:
    """The images of one build; each is looked up once."""

    def __init__(self, job: Job, progress: BuildProgress, pin: Pin) -> None:
        self._job = job
        self._progress = progress
        self._pin = pin
        self._images = job.store.images
        self._resolved: dict[str, tuple[StageImage, str]] = {}

    def find(self, name: str) -> tuple[StageImage, str]:
        """Return (what a stage from *name* begins with, the image's id); its layers are held.

        Raises:
            RuntimeFailure: there is none, and it cannot be pulled.
        """
        if name == "scratch":
            return stage_image.scratch(self._job.architecture), ""
        if name not in self._resolved:
            image = self._resolve(name)
            self._check_platform(name, image)
            if image.is_host:
                entitlements.check_host(
                    name, self._job.request, foreign=self._job.context.is_foreign
                )
            self._images.hold(image, self._pin)
            self._resolved[name] = StageImage(image.config, image.is_host), image.id
        return self._resolved[name]

    def _resolve(self, name: str) -> Image:
        when = pulling.ALWAYS if self._job.request.pull else pulling.MISSING
        return pulling.get(self._images, name, when=when, progress=_Told(self._progress))

    def _check_platform(self, name: str, image: Image) -> None:
        system, _, architecture = self._job.platform.partition("/")
        config = image.config
        if config.architecture not in ("", architecture) or config.os not in ("", system):
            raise RuntimeFailure(
                f"image '{name}' is for {config.os}/{config.architecture}, and this machine is "
                f"{self._job.platform}",
                code=1,
            )
