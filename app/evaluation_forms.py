"""The findings of `playhead evaluate` as JSON for programs and as a table for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.evaluating import NAMED_AT_MOST, Report
from app.evaluating_answers import ABSENT, Answers, Fitted
from app.gold_questions import LeftOut
from app.text_forms import safe
from evaluation.scoring import ALL, Figure, MethodRow

COLUMNS = {
    "R@1": "recall_at_1",
    "R@5": "recall_at_5",
    "R@10": "recall_at_10",
    "MRR@10": "mrr_at_10",
    "nDCG@10": "ndcg_at_10",
    "P@5": "precision_at_5",
    "IoU": "first_hit_iou",
}
WITH_INTERVAL = ("R@1", "R@5", "MRR@10")
ANSWER_WORDS = {
    "answered": "Answered, where a video holds the answer",
    "right_moment": "A cited moment holds the answer",
    "right_words": "An accepted answer is in the text",
    "rightly_abstained": "Abstained, where no video holds the answer",
    ABSENT: "Abstained, where its own video is shut out",
    "wrongly_abstained": "Abstained, where a video holds the answer",
    "words_shown": "Words of an answer",
}
EXPLANATION = (
    "R@k: a moment of at most 60 s among the first k holds the answer. IoU: of the first hit with the marked segment.\n"
    "[low, high]: 95%, shares by Wilson, means by drawing videos anew. Milliseconds: one question after the other, here."
)


def report_json(report: Report) -> dict[str, Any]:
    """The fields of `playhead evaluate --json`; every figure has `value`, `low`, `high` and `questions`."""
    return {
        "file": str(report.file),
        "questions": {
            "lines": report.lines,
            "ranked": report.ranked,
            "videos": report.videos,
            "unanswerable": report.unanswerable,
            "left_out": [{"id": item.id, "video": item.video, "videos_meant": item.meant} for item in report.left_out],
            "seed": report.seed,
        },
        "tiers": dict(report.tiers),
        "methods": [row_json(row) for row in report.rows],
        "nothing_found": list(report.silent),
        "lead": {"over": report.lead.baseline, "recall_at_1": figure_json(report.lead.figure)} if report.lead else None,
        "plots": [str(path) for path in report.plots],
        "answers": answers_json(report.answers) if report.answers else None,
        "calibration": fitted_json(report.fitted) if report.fitted else None,
    }


def answers_json(answers: Answers) -> dict[str, Any]:
    """Shares over the questions that they apply to, and how well confidence tells; None where there is nothing to tell."""
    return {
        **{name: figure_json(figure) for name, figure in answers.figures.items()},
        "confidence_auroc": answers.auroc,
        "absent_auroc": answers.absent_auroc,
        "area_under_risk_coverage": answers.aurc,
        "calibration_error": answers.calibration_error,
    }


def fitted_json(fitted: Fitted) -> dict[str, Any]:
    """The calibration that was written; its figures are of recordings that the fit had not seen."""
    return {
        "risk": fitted.calibration.risk,
        "threshold": fitted.calibration.threshold,
        "held_out_auroc": fitted.auroc,
        **{name: figure_json(figure) for name, figure in fitted.figures.items()},
    }


def row_json(row: MethodRow) -> dict[str, Any]:
    slices = {
        name: {metric: figure_json(figure) for metric, figure in found.items()} for name, found in row.figures.items()
    }
    return {"name": row.name, "kind": row.kind, "slices": slices, "latency_ms": dict(row.latency_ms)}


def figure_json(figure: Figure) -> dict[str, float]:
    return {"value": figure.value, "low": figure.low, "high": figure.high, "questions": figure.questions}


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 video, 2 videos."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def report_text(report: Report) -> str:
    """One table for all questions and one for each slice, with what was left out and the lead over the best baseline."""
    drawn = f", drawn with seed {report.seed}" if report.seed is not None else ""
    asked, about = counted(report.ranked, "question"), counted(report.videos, "video")
    lines = [f"{asked} about {about}{drawn}, from {safe(str(report.file))}"]
    if report.unanswerable:
        lines.append(f"{report.unanswerable} more that no video answers are not ranked.")
    lines += left_out_lines(report.left_out)
    for name in report.rows[0].figures if report.rows else ():
        count = report.rows[0].figures[name]["recall_at_1"].questions
        lines += ["", *([] if name == ALL else [f"{safe(name)}: {count} questions"]), *table(report.rows, name)]
    lines += ["", EXPLANATION] if report.rows else []
    if report.silent:
        lines.append(f"Nothing found by: {', '.join(report.silent)}.")
    lines.append("By " + ", ".join(f"{role}: {safe(tier)}" for role, tier in report.tiers.items()) + ".")
    if report.lead:
        points = report.lead.figure
        lines.append(
            f"R@1 is {100 * points.value:+.1f} points [{100 * points.low:+.1f}, {100 * points.high:+.1f}] from the best "
            f"baseline of this run, {report.lead.baseline}."
        )
    lines += fitted_lines(report.fitted) if report.fitted else []
    lines += answer_lines(report.answers) if report.answers else []
    lines += [f"Plot: {safe(str(path))}" for path in report.plots]
    return "\n".join(lines)


def left_out_lines(left_out: Sequence[LeftOut]) -> list[str]:
    """At most one line for videos that the library does not hold, and one for names that mean several."""
    lines = []
    for ambiguous, reason in ((False, "name a video that the library does not hold"), (True, "name several videos")):
        items = [item for item in left_out if bool(item.meant) == ambiguous]
        if items:
            shown = ", ".join(safe(f"{item.id} ({item.video})") for item in items[:NAMED_AT_MOST])
            more = f" and {len(items) - NAMED_AT_MOST} more" if len(items) > NAMED_AT_MOST else ""
            lines.append(f"Left out: {len(items)} questions that {reason}: {shown}{more}.")
    return lines


def answer_lines(answers: Answers) -> list[str]:
    """One line a share, with the number of questions that it is of, and how well confidence tells."""
    told = [("where no video holds the answer", answers.auroc), ("where its video is shut out", answers.absent_auroc)]
    return [
        *figure_lines(answers.figures),
        *(f"AUROC of confidence, against questions {where}: {value:.3f}" for where, value in told if value is not None),
        f"Area under risk and coverage: {answers.aurc:.3f}; confidence is off by {answers.calibration_error:.3f}",
    ]


def fitted_lines(fitted: Fitted) -> list[str]:
    """What a new calibration reaches on recordings that its fit had not seen."""
    written = fitted.calibration
    return [
        f"Calibrated on {written.questions} questions for {written.risk:g} wrong abstentions: threshold {written.threshold:.2f}.",
        *figure_lines(fitted.figures),
        f"AUROC on recordings that the fit had not seen: {fitted.auroc:.3f}",
    ]


def figure_lines(figures: Mapping[str, Figure]) -> list[str]:
    return [
        f"{ANSWER_WORDS[name]}: {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}] of {figure.questions} questions"
        for name, figure in figures.items()
    ]


def table(rows: Sequence[MethodRow], slice_name: str) -> list[str]:
    """Aligned columns: one line a method; times are of all questions, so only the first table has them."""
    timed = slice_name == ALL
    head = ["", *COLUMNS, *(["p50 ms", "p95 ms"] if timed else [])]
    body = [
        [
            row.name,
            *(cell(row.figures[slice_name], column) for column in COLUMNS),
            *([f"{row.latency_ms['p50']:.0f}", f"{row.latency_ms['p95']:.0f}"] if timed else []),
        ]
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    return [
        "  ".join(
            text.ljust(width) if place == 0 else text.rjust(width) for place, (text, width) in enumerate(pairs)
        ).rstrip()
        for pairs in (list(zip(line, widths, strict=True)) for line in [head, *body])
    ]


def cell(figures: Mapping[str, Figure], column: str) -> str:
    figure = figures.get(COLUMNS[column])
    if figure is None:
        return "-"
    interval = f" [{figure.low:.3f}, {figure.high:.3f}]" if column in WITH_INTERVAL else ""
    return f"{figure.value:.3f}{interval}"
