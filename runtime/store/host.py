"""The image `host`: this machine's own root file system, read-only, under every name it has.

It is not in the store: its configuration follows from the machine, its one layer is ``/``.  What
that takes, with our own state below ``/`` as well, is in `runtime.linux.overlay`.
"""

from __future__ import annotations

import os

from runtime.model.image import image_config as images
from runtime.model.image.image_config import ImageConfig

NAME = "host"
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "riscv64": "riscv64",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}
_SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh")


def architecture() -> str:
    """Return this machine's architecture as images name it: amd64, arm64, …."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def configuration() -> ImageConfig:
    """Return the configuration of `host`: the same on this machine every time."""
    shell = next((path for path in _SHELLS if os.access(path, os.X_OK)), _SHELLS[-1])
    return ImageConfig(
        cmd=(os.path.basename(shell),),
        env=(f"PATH={images.DEFAULT_PATH}",),
        architecture=architecture(),
        history=(images.History(created_by="this machine's root file system", empty_layer=True),),
    )
