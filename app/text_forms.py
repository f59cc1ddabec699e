"""Results as people read them in a terminal."""

from __future__ import annotations

from app.answer import Answer, Citation
from app.json_forms import masked_in
from app.usage import Usage
from ingest.schema import timecode
from retrievers.evidence import Evidence, SearchResult
from retrievers.planned_search import PlannedResult
from retrievers.search import spoken_and_seen

SNIPPET_CHARACTERS = 160
CLOSEST_MOMENTS = 3


def answer_text(answer: Answer) -> str:
    """The answer, its citations with the second to play from, and one line on how it came about."""
    lines = [safe(answer.text), ""]
    lines += [line for citation in answer.citations for line in _citation_lines(citation)]
    if answer.status == "abstained" and answer.evidence:
        lines.append("Closest moments:")
        lines += [f"  {place(item)}" for item in answer.evidence[:CLOSEST_MOMENTS]]
    by = f", by {safe(answer.tiers['answer'])}" if answer.citations else ""
    lines.append(f"({answer.status}, confidence {answer.confidence:.2f}{by}: {safe(answer.reason)})")
    lines += rules_lines(answer) + masked_lines(answer)
    if answer.usage:
        lines.append(f"({told_usage(answer.usage)})")
    return "\n".join(lines)


def told_usage(usage: Usage) -> str:
    """What the model calls took, in a few words."""
    about = "about " if usage.is_estimated else ""
    cost = f", {about}{usage.dollars:.4f} dollars" if usage.dollars is not None else ""
    return f"{about}{usage.prompt_tokens:,} tokens asked, {usage.reply_tokens:,} replied{cost}"


def search_text(result: SearchResult) -> str:
    """One line and a snippet for every hit."""
    if result.error:
        return safe(result.error)
    lines = plan_lines(result) if isinstance(result, PlannedResult) else []
    if not result.evidence:
        lines.append(safe(result.reason or "Nothing in the library matches."))
    elif result.reason:
        lines.append(safe(result.reason))
    for item in result.evidence:
        text = spoken_and_seen(item.video, item.moment).removeprefix(f"{item.video.title}. ")
        seen = f"  {item.seen.match} at {timecode(item.seen.seconds)}" if item.seen else ""
        lines.append(f"{item.number:2}. {place(item)}{seen}  ({', '.join(item.channels)})")
        lines.append(f"      {safe(shortened(text))}")
    return "\n".join([*lines, *rules_lines(result), *masked_lines(result)])


def plan_lines(result: PlannedResult) -> list[str]:
    """How the query was understood, if it is more than words, what the hits do not tell, and the counts."""
    lines = [] if result.plan.plain else [f"plan: {safe(result.plan.describe())}"]
    lines += [safe(note) for note in result.notes]
    if result.counts:
        total = sum(one.times for one in result.counts)
        told = ", ".join(f"{safe(one.video.title)} {one.times}" for one in result.counts)
        lines.append(f"{total} {'time' if total == 1 else 'times'} in {len(result.counts)} of the videos: {told}")
    return lines


def rules_lines(found: SearchResult | Answer) -> list[str]:
    """How many of the moments found each rule removed, and that a changed rules file is not in force."""
    removed = ", ".join(f"{name} {count}" for name, count in found.removed_by_rules.items())
    told = found.tiers.get("rules", "in force")
    return [f"(removed by rules: {removed})"] * bool(removed) + [f"({told})"] * (told != "in force")


def masked_lines(found: SearchResult | Answer) -> list[str]:
    """How many values are masked in what the moments and the answer show."""
    masked = masked_in(found.evidence, found.text if isinstance(found, Answer) else "")
    told = ", ".join(f"{kind} {count}" for kind, count in masked.items())
    return [f"(masked: {told})"] * bool(told)


def place(evidence: Evidence) -> str:
    """Where a moment lies: title and timecodes."""
    moment = evidence.moment
    return f"{safe(evidence.video.title)}  {timecode(moment.start_seconds)}-{timecode(moment.end_seconds)}"


def _citation_lines(citation: Citation) -> list[str]:
    title = safe(citation.evidence.video.title)
    return [f"  [{citation.number}] {title} at {timecode(citation.play_seconds)}", f"      {safe(citation.url)}"]


def shortened(text: str) -> str:
    """The beginning of a text, cut at a word."""
    return text if len(text) <= SNIPPET_CHARACTERS else text[:SNIPPET_CHARACTERS].rsplit(" ", 1)[0] + " ..."


def safe(text: str) -> str:
    """Text from a video without what could steer a terminal: control characters become spaces."""
    return "".join(character if character.isprintable() else " " for character in text)
