"""Damaged records of networks and leases: named, passed over, removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.linux import record_files
from runtime.model.errors import DamagedFailure
from runtime.model.network.network_records import Lease, Network
from runtime.network.leases import Leases
from runtime.network.records import DAMAGED, NetworkRecords

NET = Network("net", "a" * 64, subnet="172.30.0.0/16", gateway="172.30.0.1", created=1.0)


def test_a_damaged_network_is_passed_over_and_goes(tmp_path: Path) -> None:
    records = NetworkRecords(str(tmp_path))
    records.save(NET)
    records.save(NET.replace(name="other", id="b" * 64))
    path = tmp_path / "net.json"
    path.write_bytes(path.read_bytes()[:100])

    assert [each.name for each in records.all()] == ["host", "none", "other"]
    (damaged,) = records.damaged()
    # A record that was cut tells with luck which bridge it had.
    assert (damaged.name, damaged.driver, damaged.interface) == ("net", DAMAGED, NET.interface)
    with pytest.raises(DamagedFailure, match="it is not JSON"):
        records.load("net")
    records.delete(damaged)
    assert records.damaged() == []


def test_a_damaged_lease_holds_its_address_until_it_is_dropped(tmp_path: Path) -> None:
    said: list[str] = []
    record_files.listen(lambda failure: said.append(failure.path))
    leases = Leases(str(tmp_path))
    first = leases.take(NET, Lease("c" * 64, "one", "net", 1, 1))
    path = tmp_path / "network/leases/net" / first.address
    path.write_bytes(b"")

    second = leases.take(NET, Lease("d" * 64, "two", "net", 1, 1))

    assert second.address != first.address
    assert leases.all() == [second]
    assert said == [str(path)]
    leases.drop("net", second.address)  # whole: it stays
    leases.drop("net", first.address)
    assert [each.name for each in path.parent.iterdir()] == [second.address]
