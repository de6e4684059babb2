"""Has the rules carried out: decides when the table is missing or old, and what to do without nft.

The lock: elements are added and removed under the network lock shared, the whole table is made
under it exclusively, from the networks and leases on disk.  So a table that somebody flushed is
whole again with the next container.
"""

from __future__ import annotations

import errno
import os

from runtime.linux import locks, netlink, nft, program, sysctl
from runtime.network import rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.model.network.network_records import Lease
    from runtime.network.leases import Leases
    from runtime.network.records import NetworkRecords

_LEGACY_TABLES = "/proc/net/ip_tables_names"


class Firewall:
    """The table `inet runtime` of this machine; *say* tells a person what it cannot do."""

    def __init__(
        self,
        run: str,
        lock: str,
        records: NetworkRecords,
        leases: Leases,
        say: Callable[[str], None],
    ) -> None:
        self._run = run
        self._lock = lock
        self._records = records
        self._leases = leases
        self._say = say
        self._nft: str | None = None
        self._looked = False

    def is_usable(self) -> bool:
        """Return whether nft translates ports here; says it once when it does not."""
        if not self._looked:
            self._looked = True
            self._nft = nft.find()
            if self._nft is None:
                self._give_up("nft is not installed")
        return self._nft is not None

    def ensure(self) -> bool:
        """Make the table unless it is there; return whether it is.

        Docker may have been started since it was made, and turned to dropping.
        """
        if not self.is_usable():
            return False
        if self._is_current():
            with netlink.Socket(netlink.NETFILTER) as kernel:
                self._pass_docker(kernel)
            return True
        with locks.lock(self._lock):
            return self._is_current() or self.rebuild()

    def rebuild(self) -> bool:
        """Rebuild the table from the records on disk; the caller holds the lock exclusively."""
        if not self.is_usable():
            return False
        assert self._nft is not None
        text = rules.everything(self._records.all(), self._leases.all())
        try:
            nft.run(self._nft, text)
        except nft.NftError as error:
            self._give_up(f"nft refuses our rules: {error.reason}")
            self._nft = None
            return False
        with netlink.Socket(netlink.NETFILTER) as kernel:
            docker = self._pass_docker(kernel)
            self._tell_of_others(kernel, docker=docker)
        self._pass_legacy()
        return True

    def forget_network(self) -> None:
        """Make the table anew after a network was removed; the caller holds the lock."""
        if self.is_usable() and self._is_current():
            self.rebuild()

    def publish(self, lease: Lease) -> Lease:
        """Translate the ports that *lease* lists as translated, and keep it on disk.

        Returns it, without them when nft does not do it after all.
        """
        if self.ensure():
            with locks.lock(self._lock, shared=True):
                self._leases.keep(lease)  # first: the map never has what no lease lists
                done = _change(lease, remove=False)
            if done or self._rebuild_locked():
                return lease
        left = lease.replace(translated=())
        self._leases.keep(left)
        return left

    def withdraw(self, lease: Lease) -> Lease:
        """Stop translating the ports of *lease*; return it without them, kept on disk."""
        left = lease.replace(translated=())
        done = True
        with locks.lock(self._lock, shared=True):
            if lease.translated and self.is_usable() and self._is_current():
                done = _change(lease, remove=True)
            self._leases.keep(left)
        if not done:
            self._rebuild_locked()
        return left

    def _rebuild_locked(self) -> bool:
        with locks.lock(self._lock):
            return self.rebuild()

    def _is_current(self) -> bool:
        try:
            with netlink.Socket(netlink.NETFILTER) as kernel:
                return nft.table_comment(kernel, rules.TABLE) == rules.VERSION
        except OSError as error:
            self._give_up(f"this kernel has no nftables: {os.strerror(error.errno or 0)}")
            self._nft = None
            return False

    def _give_up(self, reason: str) -> None:
        self._once(
            "no-nft",
            f"{reason}: ports are published by a relay process instead, and containers reach "
            "nothing beyond this machine (install the package nftables)",
        )

    def _once(self, what: str, sentence: str) -> None:
        """Print *sentence* once since the boot of the machine."""
        directory = f"{self._run}/network/said"
        os.makedirs(directory, mode=0o700, exist_ok=True)
        try:
            fd = os.open(f"{directory}/{what}", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return
        os.close(fd)
        self._say(sentence)

    def _pass_docker(self, kernel: netlink.Socket) -> bool:
        """Accept our packets where docker's policy drops all but its own.

        Tells whether docker is there.
        """
        assert self._nft is not None
        if not nft.has_chain(kernel, "filter", "DOCKER-USER", nft.IPV4):
            return False
        mark = rules.DOCKER_MARK
        if not nft.has_rule_comment(kernel, "filter", "DOCKER-USER", mark, nft.IPV4):
            nft.run(self._nft, rules.DOCKER)
        return True

    def _tell_of_others(self, kernel: netlink.Socket, *, docker: bool) -> None:
        """Warn which other firewall drops our forwarded packets; it is not changed."""
        for table, chain in nft.forward_drops(kernel):
            if not (docker and (table, chain) == ("filter", "FORWARD")):
                self._once(
                    f"drops-{table}-{chain}".replace("/", "_"),
                    f"the firewall of this machine drops what it forwards (table {table}, chain "
                    f"{chain}): published ports answer from this machine alone, and containers "
                    "reach nothing beyond it, until that chain accepts the interfaces runtime0 "
                    "and rt-*",
                )

    def _pass_legacy(self) -> None:
        """Do the same in the tables of iptables-legacy, which nft does not see."""
        iptables = program.find("iptables-legacy")
        try:
            with open(_LEGACY_TABLES) as file:
                used = "filter\n" in file.readlines()
        except FileNotFoundError:
            return
        if not used or iptables is None:
            return
        for side in ("-i", "-o"):
            for name in ("runtime0", "rt-+"):
                rule = ["DOCKER-USER", side, name, "-j", "ACCEPT"]
                if program.run([iptables, "-w", "-C", *rule]).code:
                    # It fails where there is no such chain: docker does not run then.
                    program.run([iptables, "-w", "-I", *rule])


def _change(lease: Lease, *, remove: bool) -> bool:
    """Add or remove what translates the ports of *lease*; return whether the maps allowed it."""
    try:
        with netlink.Socket(netlink.NETFILTER) as kernel:
            keys = rules.port_keys(lease)
            nft.change_elements(kernel, rules.TABLE, keys, remove=remove)
    except OSError as error:
        # An element of a crashed container is in the way, or somebody changed the table.
        if error.errno in {errno.ENOENT, errno.EEXIST, errno.EBUSY}:
            return False
        raise
    return True


def enable_forwarding(say: Callable[[str], None], *, ipv6: bool) -> None:
    """Have this machine pass packets between its interfaces."""
    try:
        sysctl.ensure("net.ipv4.ip_forward", "1")
        if ipv6 and sysctl.read("net.ipv6.conf.all.forwarding") != "1":
            # A router ignores router advertisements, and the machine may live by them, except
            # where accept_ra is 2 (ip-sysctl in the kernel's documentation).
            for name in os.listdir("/proc/sys/net/ipv6/conf"):
                key = f"net.ipv6.conf.{name.replace('.', '/')}.accept_ra"
                if sysctl.read(key) == "1":
                    sysctl.write(key, "2")
            sysctl.write("net.ipv6.conf.all.forwarding", "1")
    except OSError as error:
        say(
            f"cannot switch on forwarding: {error.strerror}: containers reach nothing beyond "
            "this machine, and are not reached"
        )
