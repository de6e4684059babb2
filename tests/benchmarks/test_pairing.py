"""What `python -m benchmarks --before REVISION` prints of its samples."""

from __future__ import annotations

from benchmarks import pairing
from benchmarks.results import Results
from benchmarks.rows import boot


def test_a_line_has_both_medians_and_their_ratio() -> None:
    results = Results()
    for value in (10.0, 30.0, 20.0):
        results.add("boot", "N=1", "supervise", {"first": [value * 2]})
        results.add("boot", "N=1", "supervise@abc", {"first": [value]})

    text = pairing.table(results, [boot.BootRow()], "abc")

    [line] = [line for line in text.splitlines() if "boot N=1 supervise first" in line]
    assert [cell.strip() for cell in line.split("|")[2:-1]] == ["40", "20", "2.000", "3"]


def test_what_was_measured_on_one_side_alone_has_no_line() -> None:
    results = Results()
    results.add("boot", "N=1", "supervise", {"first": [1.0]})

    assert "N=1" not in pairing.table(results, [boot.BootRow()], "abc")
