"""What a Dockerfile asks for beyond a container's rights, and the consent that this takes.

The words are BuildKit's: ``--allow network.host``.  A Dockerfile alone, whoever wrote it, gets none
of them; ``--network host`` is consent as well, for it gives every RUN the same.  ``host`` is our
own: a Dockerfile that came by URL, from git or in an archive does not read this machine's files.
"""

from __future__ import annotations

from runtime.model.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.builder.job import BuildRequest
    from runtime.dockerfile.commands import Run

NETWORK = "network.host"
HOST = "host"  # ours: BuildKit has no such image
_INSECURE = "security.insecure"
_NO_POWER = "a build never has the machine's own power"
_CONTAINER = "run the command in a container: runtime run --privileged"


def parse(words: Iterable[str]) -> frozenset[str]:
    """Return what ``--allow`` names.

    Raises:
        RuntimeFailure: there is no such thing, or not here.
    """
    found = frozenset(words)
    for word in sorted(found - {NETWORK, HOST}):
        if word == _INSECURE:
            message = f"--allow {word} is not supported: {_NO_POWER}"
            raise RuntimeFailure(message, _CONTAINER, code=1)
        raise RuntimeFailure(
            f"--allow: '{word}' is no entitlement", f"there are {NETWORK} and {HOST}", code=1
        )
    return found


def check(command: Run, request: BuildRequest) -> None:
    """Refuse a RUN that asks for more than the command line has consented to.

    Raises:
        RuntimeFailure: it does; says how to consent.
    """
    if command.security == "insecure":
        message = f"RUN --security=insecure is not allowed: {_NO_POWER}"
        raise RuntimeFailure(message, _CONTAINER, code=1)
    if command.network == "host" and request.network != "host" and NETWORK not in request.allowed:
        raise RuntimeFailure(
            "RUN --network=host is not allowed: it would have the machine's own network",
            f"if the Dockerfile may: runtime build --allow {NETWORK}, or --network host for all",
            code=1,
        )


def check_host(name: str, request: BuildRequest, *, foreign: bool) -> None:
    """Refuse the image *name*, which has this machine's files, to a context from elsewhere.

    Raises:
        RuntimeFailure: the context is *foreign* and the command line has not consented.
    """
    if foreign and HOST not in request.allowed:
        raise RuntimeFailure(
            f"cannot use the image '{name}': it has every file of this machine, and the Dockerfile "
            "comes from elsewhere",
            f"if the Dockerfile may read them all: runtime build --allow {HOST}",
            code=1,
        )
