"""Keys of the build cache: what a step's result depends on, and nothing else.  Pure.

The files below a step stand in its key as the digests of their layers, so a step that made the
same files as before leaves every key after it as it was.  Times of files are in no key.  What is
kept under a key is `runtime.store.build_cache`' business.
"""

from __future__ import annotations

import json

from runtime.model.image import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_FORMAT = 1  # of the keys: a change of what a step does to files changes it


def below(layers: Sequence[str], *, platform: str, machine: str = "") -> str:
    """Return what stands for the files below a step.

    *machine* stands for this machine's own root where that is the lowest layer.
    """
    return _key("below", {"layers": list(layers), "platform": platform, "machine": machine})


def of_run(
    below_key: str,
    *,
    argv: Sequence[str],
    environment: Mapping[str, str],
    working_dir: str,
    user: str,
    network: str,
    hosts: Sequence[tuple[str, str]],
    mounts: Sequence[str],
    files: Sequence[tuple[str, str]],
    epoch: int | None,
) -> str:
    """Return the key of RUN.

    *mounts* are one word each, with the digest of what a bind shows and never a secret's value;
    *files* are heredocs that are executed as files, as (name, content).
    """
    return _key(
        "run",
        {
            "below": below_key,
            "argv": list(argv),
            "environment": dict(sorted(environment.items())),
            "working_dir": working_dir,
            "user": user,
            "network": network,
            "hosts": [list(pair) for pair in hosts],
            "mounts": list(mounts),
            "files": [list(pair) for pair in files],
            "epoch": epoch,
        },
    )


def of_copy(
    below_key: str,
    *,
    selection: str,
    destination: str,
    working_dir: str,
    owner: str,
    mode: str,
    flags: Sequence[str],
    epoch: int | None,
) -> str:
    """Return the key of COPY or ADD; *selection* is the digest of what is copied."""
    return _key(
        "copy",
        {
            "below": below_key,
            "selection": selection,
            "destination": destination,
            "working_dir": working_dir,
            "owner": owner,
            "mode": mode,
            "flags": sorted(flags),
            "epoch": epoch,
        },
    )


def of_working_dir(below_key: str, *, path: str, user: str, epoch: int | None) -> str:
    """Return the key of WORKDIR."""
    return _key("workdir", {"below": below_key, "path": path, "user": user, "epoch": epoch})


def _key(kind: str, parts: dict[str, Any]) -> str:
    """Return 64 hexadecimal digits."""
    text = json.dumps([_FORMAT, kind, parts], sort_keys=True, separators=(",", ":"))
    return digests.digest_of(text.encode(errors="surrogatepass"))[len(digests.PREFIX) :]
