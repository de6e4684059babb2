"""Where the control socket may be: the same list, in the same order, for server and client.

A path, or ``@name`` for an abstract socket (unix(7)).  Opening them is `supervise.linux.unixsocket`
for PID 1 and `supervise.client.control_client` for the clients.
"""

from __future__ import annotations

ENVIRONMENT = "SUPERVISE_SOCKET"  # clients look there first
SOCKET_NAME = "control.sock"
SYSTEM_DIRECTORY = "/run/supervise"  # who injects supervise into an image may have another
LONGEST = 107  # sun_path holds 108 bytes with its NUL


def candidates(uid: int, runtime_dir: str | None, namespace: str) -> list[str]:
    """Return where a supervise of *uid* listens unless told otherwise, best first.

    *runtime_dir* is ``$XDG_RUNTIME_DIR``.  *namespace* names the pid namespace, for abstract
    sockets belong to the network namespace, which containers may share; empty if unknown.
    """
    places = [f"{SYSTEM_DIRECTORY}/{SOCKET_NAME}"]
    if runtime_dir and runtime_dir.startswith("/"):
        places.append(f"{runtime_dir.rstrip('/')}/supervise/{SOCKET_NAME}")
    places.append(f"/tmp/supervise-{uid}/{SOCKET_NAME}")  # noqa: S108 - ownership is checked
    places.append(f"@supervise-{uid}" + (f"-{namespace}" if namespace else ""))
    return places


def is_abstract(place: str) -> bool:
    """Return whether *place* is an abstract socket rather than a path."""
    return place.startswith("@")


def socket_address(place: str) -> str | bytes:
    """Return *place* as bind(2) and connect(2) take it."""
    return b"\0" + place[1:].encode() if is_abstract(place) else place
