"""Draws what an evaluation found, as PNG files: recall by depth, times, and slices with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.calibration import Judged, area_under_risk, calibration_error, reliability, risk_coverage
from evaluation.scoring import ALL, DEPTH, Kind, MethodRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS_PER_INCH = 120
STYLES: dict[Kind, str] = {"search": "-", "channel": ":", "baseline": "--", "control": "-."}


def write_plots(folder: Path, rows: Sequence[MethodRow], spent_ms: Mapping[str, Sequence[float]]) -> list[Path]:
    """Write `recall.png`, `latency.png` and, where questions have slices, `slices.png` into an existing folder.

    `spent_ms` holds the milliseconds of every question by method.
    """
    written = [
        _save(folder / "recall.png", lambda axes: _draw_recall(axes, rows)),
        _save(folder / "latency.png", lambda axes: _draw_latency(axes, rows, spent_ms)),
    ]
    if len(rows[0].figures) > 1:
        written.append(_save(folder / "slices.png", lambda axes: _draw_slices(axes, rows)))
    return written


def write_answer_plots(folder: Path, judged: Sequence[Judged]) -> list[Path]:
    """Write `risk_coverage.png` and `reliability.png` into an existing folder."""
    return [
        _save(folder / "risk_coverage.png", lambda axes: _draw_risk(axes, judged)),
        _save(folder / "reliability.png", lambda axes: _draw_reliability(axes, judged)),
    ]


def _save(path: Path, draw: Callable[[Axes], None]) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path


def _draw_recall(axes: Axes, rows: Sequence[MethodRow]) -> None:
    depths = range(1, DEPTH + 1)
    for row in rows:
        found = [row.figures[ALL][f"recall_at_{k}"] for k in depths]
        (line,) = axes.plot(depths, [figure.value for figure in found], STYLES[row.kind], label=row.name)
        if row.kind == "search":
            low, high = [figure.low for figure in found], [figure.high for figure in found]
            axes.fill_between(depths, low, high, color=line.get_color(), alpha=0.15)
    axes.set(xlabel="k", ylabel="R@k, band: 95%", ylim=(0, 1), title="The answer is among the first k moments")


def _draw_latency(axes: Axes, rows: Sequence[MethodRow], spent_ms: Mapping[str, Sequence[float]]) -> None:
    for row in rows:
        times = sorted(spent_ms[row.name])
        shares = [(number + 1) / len(times) for number in range(len(times))]
        axes.plot(times, shares, STYLES[row.kind], label=row.name)
    axes.axhline(0.95, color="grey", linewidth=0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.set(xlabel="milliseconds", ylabel="share of questions", title="Answered within")


def _draw_slices(axes: Axes, rows: Sequence[MethodRow]) -> None:
    names = list(rows[0].figures)
    step = 0.8 / len(rows)
    for number, row in enumerate(rows):
        found = [row.figures[name]["recall_at_1"] for name in names]
        values = [figure.value for figure in found]
        below = [max(0.0, figure.value - figure.low) for figure in found]
        above = [max(0.0, figure.high - figure.value) for figure in found]
        places = [place + step * (number - (len(rows) - 1) / 2) for place in range(len(names))]
        axes.errorbar(places, values, yerr=[below, above], fmt="o", markersize=4, capsize=2, label=row.name)
    labels = [f"{name} ({rows[0].figures[name]['recall_at_1'].questions})" for name in names]
    axes.set_xticks(range(len(names)), labels)
    axes.set(ylabel="R@1, bars: 95%", ylim=(0, 1), title="By slice (questions)")


def _draw_risk(axes: Axes, judged: Sequence[Judged]) -> None:
    coverage, risk = risk_coverage(judged)
    axes.plot(coverage, risk, label=f"area {area_under_risk(judged):.3f}")
    axes.set(
        xlabel="part answered, most confident first",
        ylabel="part of them wrong",
        ylim=(0, 1),
        title="Risk and coverage",
    )


def _draw_reliability(axes: Axes, judged: Sequence[Judged]) -> None:
    bins = reliability(judged)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.5, label="as said")
    axes.plot(
        [confidence for confidence, _, _ in bins],
        [part for _, part, _ in bins],
        "o-",
        label=f"error {calibration_error(judged):.3f}",
    )
    for confidence, part, count in bins:
        axes.annotate(str(count), (confidence, part), textcoords="offset points", xytext=(4, -10), fontsize="x-small")
    axes.set(xlabel="confidence", ylabel="part that the library answers", xlim=(0, 1), ylim=(0, 1), title="Reliability")
