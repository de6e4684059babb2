"""A stand-in for a container's monitor: holds a `Networks` and does what its stdin says.

One JSON list a line in, ``[METHOD, {ARGUMENT: VALUE}]``; one out, ``{"value": …}`` or
``{"failure": …}``.  Reaps its children as a monitor does.  argv: the root directory.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from runtime.model.container.spec import Join, Spec
from runtime.model.container.state import Endpoint
from runtime.model.errors import RuntimeFailure
from runtime.network.catalog import Catalog
from runtime.network.networks import Networks
from runtime.store.layout import Layout
from supervise.model.plain import from_plain, to_plain


class Monitor:
    def __init__(self, root: str) -> None:
        self.layout = Layout(root)
        self.catalog = Catalog(self.layout)
        self.networks = Networks(self.catalog)

    def connect(self, spec: dict[str, Any], pid: int) -> dict[str, Any]:
        made = from_plain(Spec, spec)
        directory = self._directory(made.id)
        return to_plain(self.networks.connect(made, pid, directory))

    def reserve(self, spec: dict[str, Any]) -> dict[str, Any]:
        return to_plain(self.networks.reserve(from_plain(Spec, spec)))

    def attach(self, spec: dict[str, Any], endpoint: dict[str, Any], pid: int) -> dict[str, Any]:
        made = from_plain(Spec, spec)
        return to_plain(self.networks.attach(made, from_plain(Endpoint, endpoint), pid))

    def files(self, spec: dict[str, Any], endpoint: dict[str, Any]) -> list[dict[str, Any]]:
        made = from_plain(Spec, spec)
        mounts = self.networks.write_host_files(
            made, from_plain(Endpoint, endpoint), self._directory(made.id)
        )
        return [to_plain(mount) for mount in mounts]

    def disconnect(self, container: str, endpoint: dict[str, Any]) -> None:
        self.networks.disconnect(container, from_plain(Endpoint, endpoint))

    def join(
        self,
        spec: dict[str, Any],
        network: str,
        pid: int,
        present: list[dict[str, Any]],
        **more: Any,
    ) -> dict[str, Any]:
        endpoints = [from_plain(Endpoint, each) for each in present]
        join = from_plain(Join, {"network": network, **more})
        made = self.networks.join(from_plain(Spec, spec), join, pid, endpoints, owner=os.getpid())
        return to_plain(made)

    def leave(self, container: str, endpoint: dict[str, Any], pid: int) -> None:
        self.networks.leave(container, from_plain(Endpoint, endpoint), pid)

    def create(self, name: str, **options: Any) -> dict[str, Any]:
        return to_plain(self.catalog.create(name, **options))

    def inspect(self, name: str) -> dict[str, Any]:
        return self.catalog.inspect(name)

    def names(self) -> list[str]:
        return [network.name for network in self.catalog.list()]

    def remove(self, name: str) -> str:
        return self.catalog.remove(name).name

    def prune(self, labels: dict[str, str] | None = None) -> tuple[str, ...]:
        return self.catalog.prune(labels)

    def heal(self, live: list[str]) -> list[str]:
        return self.networks.heal(live)

    def remarks(self) -> list[str]:
        return self.catalog.take_remarks()

    def reap(self) -> bool:
        """Wait for the end of one child; return whether it was a relay."""
        pid, _ = os.waitpid(-1, 0)
        return self.networks.child_ended(pid)

    def _directory(self, container: str) -> str:
        path = self.layout.container(container)
        os.makedirs(path, exist_ok=True)
        return path


def main() -> None:
    monitor = Monitor(sys.argv[1])
    print(json.dumps({"value": "up"}), flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        try:
            answer = {"value": getattr(monitor, name)(**arguments)}
        except RuntimeFailure as error:
            answer = {"failure": error.message, "hint": error.hint, "code": error.code}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
