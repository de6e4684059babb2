"""nftables: one transaction by `nft -f -`, and a look at one table without that program.

Knows no rules; `runtime.network.rules` writes them.
"""

from __future__ import annotations

import errno
import struct

from runtime.linux import netlink, program

_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET_TABLE = _SUBSYSTEM | 1
_GET_CHAIN = _SUBSYSTEM | 4
_GET_RULE = _SUBSYSTEM | 7
_TABLE_NAME = 1
_TABLE_USERDATA = 6
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_POLICY = 1, 3, 5
_RULE_TABLE, _RULE_CHAIN, _RULE_USERDATA = 1, 2, 7
_HEADER = struct.Struct("=BBH")  # nfgenmsg: family, version, resource

INET = 1  # NFPROTO_INET
IPV4 = 2  # NFPROTO_IPV4
NF_DROP = 0


class NftError(Exception):
    """`nft` refused a transaction, and so nothing of it was done; *reason* is its own words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def find() -> str | None:
    """Return the path of the program, None where it is not installed."""
    return program.find("nft")


def run(path: str, rules: str) -> None:
    """Carry out *rules* as one transaction: all of it or nothing.  Takes 2 to 4 ms.

    Raises:
        NftError: the rules or the kernel do not allow it.
        OSError: the program cannot be executed.
    """
    done = program.run([path, "-f", "-"], rules.encode())
    if done.code:
        said = done.error.decode(errors="replace").strip() or f"exit code {done.code}"
        raise NftError(_first(said))


def _first(said: str) -> str:
    """Return the sentence of nft's complaint without its place in our text."""
    line = said.splitlines()[0]
    return line.partition("Error: ")[2] or line


def table_comment(kernel: netlink.Socket, table: str, family: int = INET) -> str | None:
    """Return the comment of *table*, "" without one, None when there is no such table.

    *kernel* is a socket for `netlink.NETFILTER`.  50 µs, against 3 ms for the program.
    """
    body = _HEADER.pack(family, 0, 0) + netlink.text(_TABLE_NAME, table)
    try:
        found = kernel.get(netlink.Message(_GET_TABLE, 0, body, f"look up table '{table}'"))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    # The program's own format: type, length, and a NUL-terminated comment.
    data = netlink.attributes(found[_HEADER.size :]).get(_TABLE_USERDATA, b"")
    return data[2:].rstrip(b"\0").decode(errors="replace")


def chain_policy(kernel: netlink.Socket, table: str, chain: str, family: int) -> int | None:
    """Return what a chain does with the packets it has no verdict for; None without the chain.

    NF_DROP is 0.  A chain that is no base chain has -1.
    """
    body = _HEADER.pack(family, 0, 0)
    body += netlink.text(_CHAIN_TABLE, table) + netlink.text(_CHAIN_NAME, chain)
    try:
        found = kernel.get(netlink.Message(_GET_CHAIN, 0, body, f"look up chain '{chain}'"))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    policy = netlink.attributes(found[_HEADER.size :]).get(_CHAIN_POLICY)
    return struct.unpack(">I", policy)[0] if policy else -1


def has_rule_comment(
    kernel: netlink.Socket, table: str, chain: str, comment: str, family: int
) -> bool:
    """Tell whether a rule of that chain carries *comment*."""
    body = _HEADER.pack(family, 0, 0)
    body += netlink.text(_RULE_TABLE, table) + netlink.text(_RULE_CHAIN, chain)
    request = netlink.Message(_GET_RULE, 0, body, f"list chain '{chain}'")
    wanted = comment.encode()
    return any(
        wanted in netlink.attributes(found[_HEADER.size :]).get(_RULE_USERDATA, b"")
        for found in kernel.dump(request)
    )
