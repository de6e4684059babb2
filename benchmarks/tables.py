"""Tables as Markdown, which a terminal shows well enough: columns are padded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.targets import TARGETS, Below, FigureTarget, FigureVerdict, judge

if TYPE_CHECKING:
    from benchmarks.results import Results
    from benchmarks.rows.base import Metric, Row

_DEAREST = 25
_DIGITS_FROM = ((100, 0), (10, 1), (0.1, 2))


def number(value: float) -> str:
    """Return *value* with three significant digits or so."""
    if value == int(value):
        return f"{value:.0f}"
    for least, digits in _DIGITS_FROM:
        if abs(value) >= least:
            return f"{value:.{digits}f}"
    return f"{value:.3f}"


def table(head: list[str], lines: list[list[str]]) -> str:
    """Return a Markdown table, the first column to the left, the rest to the right."""
    widths = [max(len(line[column]) for line in [head, *lines]) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    rows = [_line(head, widths), "|" + "|".join(f" {cell} " for cell in rule) + "|"]
    return "\n".join(rows + [_line(line, widths) for line in lines])


def row_table(results: Results, row: Row) -> str:
    """Return the table of one row: a line a peer, three columns a case and metric."""
    cases = results.values.get(row.name, {})
    columns = [
        (case, metric)
        for case in _in_order(row, cases)
        for metric in row.metrics
        if any(metric.name in metrics for metrics in cases[case].values())
    ]
    head = ["", *(f"{case}: {_heading(metric)}" for case, metric in columns)]
    lines = []
    for peer in results.versions:
        cells = [_cell(results, row, case, peer, metric) for case, metric in columns]
        if any(cells):
            lines.append([peer, *(cell or "-" for cell in cells)])
    return table(head, lines)


def target_table(results: Results, targets: tuple[FigureTarget, ...] = TARGETS) -> str:
    """Return the table of budgets and goals."""
    head = ["", "measured", "budget", "holds", "goal", "reached", "distance"]
    return table(head, [_verdict(verdict) for verdict in judge(results, targets)])


def inside_tables(inside: dict[str, Any]) -> str:
    """Return the tables of supervise taken apart."""
    imports = inside["imports"]
    total = sum(own for _, own in imports)
    ours = sum(own for module, own in imports if module.partition(".")[0] == "supervise")
    dearest = sorted(imports, key=lambda entry: -entry[1])[:_DEAREST]
    summary = (
        f"PID 1 imports {len(imports)} modules after the interpreter's own start: "
        f"{total / 1000:.1f} ms under `-X importtime`, {ours / 1000:.1f} of them for our own. "
        "The dearest:"
    )
    parts = [
        summary,
        table(["module", "its own, ms"], [[m, f"{us / 1000:.2f}"] for m, us in dearest]),
        *_boot_tables(inside.get("boot", {})),
        "Memory, step by step:",
        table(
            ["loaded by then", "RSS, MB"], [[what, f"{mb:.2f}"] for what, mb in inside["ladder"]]
        ),
        "The largest mappings of PID 1 with 10 services:",
        table(
            ["mapping", "RSS, MB", "private, MB"],
            [[name, f"{rss:.2f}", f"{own:.2f}"] for name, rss, own in inside["mappings"]],
        ),
    ]
    for who, counts in inside.get("calls", {}).items():
        listed = ", ".join(f"{name} {number(count)}" for name, count in counts.items())
        parts.append(f"System calls a restart, {who}: {sum(counts.values()):.1f} ({listed}).")
    if "stages" in inside:
        lines = [[what, f"{us:.0f}"] for what, us in inside["stages"]]
        parts += ["Stages of a restart:", table(["stage", "us"], lines)]
    return "\n\n".join(parts)


def _boot_tables(boots: dict[str, list[tuple[str, float]]]) -> list[str]:
    parts = []
    for how, stages in boots.items():
        parts.append(f"Boot {how}, one service, from the execve of PID 1:")
        parts.append(table(["until", "ms"], [[what, f"{ms:.1f}"] for what, ms in stages]))
    return parts


def _verdict(verdict: FigureVerdict) -> list[str]:
    target = verdict.target
    return [
        target.title,
        f"{number(verdict.measured)} {target.unit}",
        _bound(target, target.budget, verdict.budget),
        _yes(verdict.budget_holds),
        _bound(target, target.goal, verdict.goal),
        _yes(verdict.goal_reached),
        _distance(verdict),
    ]


def _bound(target: FigureTarget, asked: float | Below | None, value: float | None) -> str:
    if asked is None:
        return "-"
    sign = "≥" if target.higher_is_better else "≤"
    if isinstance(asked, Below):
        return f"{sign} {asked}" + ("" if value is None else f" ({number(value)})")
    return f"{sign} {number(asked)}"


def _yes(answer: bool | None) -> str:  # noqa: FBT001 - three answers, one argument
    return {True: "yes", False: "NO", None: "-"}[answer]


def _distance(verdict: FigureVerdict) -> str:
    """Say what is left to the goal, in the target's unit."""
    if verdict.goal is None or verdict.goal_reached:
        return "-"
    return f"{number(verdict.goal - verdict.measured)} {verdict.target.unit}"


def _heading(metric: Metric) -> str:
    return f"{metric.name}, {metric.unit}" if metric.unit else metric.name


def _cell(results: Results, row: Row, case: str, peer: str, metric: Metric) -> str:
    summary = results.summary(
        row.name, case, peer, metric.name, higher_is_better=metric.higher_is_better
    )
    if summary is None:
        return ""
    best = "" if summary.count == 1 else f" ({number(summary.best)})"
    return f"{number(summary.median)}{best} n={summary.count}"


def _in_order(row: Row, cases: dict[str, dict[str, dict[str, list[float]]]]) -> list[str]:
    known = [case.label for case in (*row.full_cases, *row.quick_cases)]
    return [label for label in dict.fromkeys(known) if label in cases]


def _line(cells: list[str], widths: list[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"
