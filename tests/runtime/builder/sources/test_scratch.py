from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from runtime.builder.sources import scratch
from runtime.store import files
from tests.support.scripts import ROOT


def test_what_a_living_process_holds_stays(tmp_path: Path) -> None:
    undo: list[Callable[[], None]] = []
    place = scratch.directory(f"{tmp_path}/store", undo)
    file = scratch.file(f"{tmp_path}/store/downloads")

    scratch.sweep(f"{tmp_path}/store")

    assert os.path.isdir(place)
    assert os.path.exists(file.path)
    file.release()
    while undo:
        undo.pop()()


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    store = tmp_path / "store"
    program = (
        "import os, sys; from runtime.builder.sources import scratch\n"
        "held = scratch.directory(sys.argv[1], []), scratch.file(sys.argv[1] + '/downloads')\n"
        "os.mkdir(held[0] + '/sub'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", program, str(store)], cwd=ROOT, check=True)
    (store / "digests").mkdir()
    assert [path.name.startswith(files.TEMPORARY) for path in store.iterdir()].count(True) == 1

    scratch.sweep(str(store))

    assert sorted(path.name for path in store.rglob("*")) == ["digests", "downloads"]


def test_a_directory_goes_with_its_user(tmp_path: Path) -> None:
    undo: list[Callable[[], None]] = []
    for store in ("", str(tmp_path)):
        place = scratch.directory(store, undo)

        while undo:
            undo.pop()()

        assert not os.path.exists(place)


def test_nothing_to_sweep_is_fine(tmp_path: Path) -> None:
    scratch.sweep(f"{tmp_path}/none")

    assert list(tmp_path.iterdir()) == []
