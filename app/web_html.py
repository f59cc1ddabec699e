"""The pieces of the chat page as HTML. Whatever comes from a video or a model is escaped text; the only links are videos' own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from markupsafe import Markup

from app.answer import Answer, Citation
from app.asking import AnsweringLibrary
from app.citing import moment_url
from app.json_forms import masked_in, moment_text, thumbnail_url
from app.text_forms import shortened, told_usage
from ingest.schema import Video, timecode
from retrievers.evidence import Evidence

LABELS = {
    "answered": "",
    "abstained": "Not in the library",
    "restricted": "Quotes only",
    "refused": "Not answered",
    "clarify": "One question back",
}
CLOSEST_SHOWN = 3
QUOTE_CONTEXT_CHARACTERS = 70
# The word before a citation goes with it, so that the mark stays on the word's line.
CITED_NUMBER = re.compile(r"([^\s\[\]]{0,24})\s?\[(\d{1,4})\]")


@dataclass(frozen=True, slots=True)
class Spot:
    """A second of a video that can be opened: in the player, else on the video's own page, else not at all."""

    evidence: Evidence
    seconds: float
    playable: bool

    def opener(self, css_class: str, inner: Markup, cue: str = "") -> Markup:
        """A button for the player or a link to the page, around `inner`; `cue` makes the player wait there."""
        video, moment = self.evidence.video, self.evidence.moment
        name = f"{video.title} at {timecode(self.seconds)}"
        if self.playable:
            return Markup(
                '<button type="button" class="{}" aria-label="Play {}" data-playhead-video="{}" data-playhead-title="{}"'
                ' data-playhead-seconds="{:.3f}" data-playhead-start="{:.3f}" data-playhead-end="{:.3f}"{}>{}</button>'
            ).format(
                css_class, name, video.video_id, video.title, self.seconds, moment.start_seconds, moment.end_seconds,
                Markup(' data-playhead-cue="{}"').format(cue) if cue else "", inner,
            )  # fmt: skip
        if video.url and is_web_page(video.url):
            return Markup(
                '<a class="{}" aria-label="Open {}" href="{}" target="_blank" rel="noopener noreferrer">{}</a>'
            ).format(css_class, name, moment_url(video, self.seconds), inner)
        return Markup('<span class="{}">{}</span>').format(css_class, inner)


def is_web_page(url: str) -> bool:
    """Whether a link may be followed: http and https only, so that no script hides in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def conversation(turns: Sequence[str]) -> Markup:
    """The turns so far, one after the other; screen readers hear the new ones."""
    return Markup('<div role="log" aria-live="polite">{}</div>').format(
        Markup("").join(Markup(shown) for shown in turns)
    )


def turn(library: AnsweringLibrary, answer: Answer) -> Markup:
    """One question with its answer, abstention or refusal."""
    label = LABELS[answer.status]
    return Markup(
        '<article class="turn {}"><h2>{}</h2>{}{}<p class="answer">{}</p>{}{}<p class="small">{}</p></article>'
    ).format(
        answer.status,
        answer.question,
        understood(library, answer),
        Markup('<p class="label">{}</p>').format(label) if label else "",
        cited_text(library, answer),
        Markup('<p class="reason">{}</p>').format(sentence(answer.reason)) if label and answer.reason else "",
        closest(library, answer) if answer.status == "abstained" else "",
        how(answer),
    )


def understood(library: AnsweringLibrary, answer: Answer) -> Markup:
    """What a follow-up was understood as, and the video that it is about."""
    if not answer.asked_as:
        return Markup("")
    video = library.video(answer.asked_in) if answer.asked_in else None
    where = f" (in “{video.title}”)" if video else ""
    return Markup('<p class="small">Asked as: {}{}</p>').format(answer.asked_as, where)


def pending_turn(question: str, sentences: Sequence[str]) -> Markup:
    """A question whose answer is still being written."""
    told = Markup('<p class="answer">{}</p>').format(" ".join(sentences)) if sentences else ""
    waiting = Markup('<p class="waiting" role="status">{}</p>').format(
        "Writing" if sentences else "Looking through the videos"
    )
    return Markup('<article class="turn pending"><h2>{}</h2>{}{}</article>').format(question, told, waiting)


def failed_turn(question: str, message: str) -> Markup:
    """A question that could not be answered because something is broken, in one line."""
    return Markup(
        '<article class="turn failed"><h2>{}</h2><p class="label">Something failed</p><p class="answer">{}</p></article>'
    ).format(question, " ".join(message.split()))


def cited_text(library: AnsweringLibrary, answer: Answer) -> Markup:
    """The answer as plain text in which each number that is a citation opens its moment."""
    citations = {citation.number: citation for citation in answer.citations}
    shown, done = Markup(""), 0
    for found in CITED_NUMBER.finditer(answer.text):
        citation = citations.get(int(found[2]))
        if citation:
            mark = citation_mark(library, citation)
            shown += answer.text[done : found.start()] + Markup('<span class="keep">{} {}</span>').format(
                found[1], mark
            )
            done = found.end()
    return shown + answer.text[done:]


def citation_mark(library: AnsweringLibrary, citation: Citation) -> Markup:
    inner = Markup("<b>{}</b> {}").format(citation.number, timecode(citation.play_seconds))
    return spot(library, citation.evidence, citation.play_seconds).opener("cite", inner)


def closest(library: AnsweringLibrary, answer: Answer) -> Markup:
    """The nearest moments below an abstention, so that a person can judge."""
    if not answer.evidence:
        return Markup("")
    found = [
        spot(library, item, item.moment.start_seconds).opener(
            "near", Markup("<b>{}</b> {}").format(timecode(item.moment.start_seconds), item.video.title)
        )
        for item in answer.evidence[:CLOSEST_SHOWN]
    ]
    return Markup('<div class="closest"><p>Closest in the library</p>{}</div>').format(Markup("").join(found))


def how(answer: Answer) -> Markup:
    """How the answer came about: status, confidence, which model served each role, and the time it took."""
    facts = [answer.status, f"confidence {answer.confidence:.0%}"]
    facts += [f"{role}: {name}" for role, name in answer.tiers.items()]
    if "total" in answer.timings_ms:
        facts.append(f"{answer.timings_ms['total'] / 1000:.1f} s")
    facts += [f"{count} × {kind} masked" for kind, count in masked_in(answer.evidence, answer.text).items()]
    if answer.usage:
        facts.append(told_usage(answer.usage))
    if answer.status == "answered" and answer.reason:
        facts.append(answer.reason)
    return Markup(" · ").join(facts)


def evidence_cards(library: AnsweringLibrary, answer: Answer, cue: str) -> Markup:
    """The moments of an answer: the cited ones first, the first of them that plays waiting in the player."""
    cited = {citation.number: citation for citation in answer.citations}
    first = next((number for number, c in cited.items() if library.media_path(c.evidence.video.video_id)), None)
    shown = [card(library, c.evidence, c, cue if number == first else "") for number, c in cited.items()]
    others = [card(library, item, None, "") for item in answer.evidence if item.number not in cited]
    groups = (("Evidence", shown), ("Also found" if shown else "Closest moments", others))
    return Markup("").join(
        Markup('<h3>{}</h3><ol class="cards">{}</ol>').format(title, Markup("").join(cards))
        for title, cards in groups
        if cards
    )


def card(library: AnsweringLibrary, evidence: Evidence, citation: Citation | None, cue: str) -> Markup:
    """One moment: picture, number, title, span of time, the words that matched, and the channels that found it."""
    moment, video = evidence.moment, evidence.video
    seconds = citation.play_seconds if citation else moment.start_seconds
    place = spot(library, evidence, seconds)
    inner = Markup(
        '<span class="picture">{}<span class="at">{}</span></span><span class="facts"><span class="title"><b>{}</b>{}</span>'
        '<span class="span">{}–{}{}</span><span class="words">{}</span><span class="why">{}</span></span>'
    ).format(
        picture(library, video, seconds),
        timecode(seconds),
        evidence.number,
        video.title,
        timecode(moment.start_seconds),
        timecode(moment.end_seconds),
        ""
        if place.playable
        else " · captions only" + (", opens its page" if video.url and is_web_page(video.url) else ""),
        matched_words(moment_text(moment), citation.quote if citation else ""),
        " · ".join(f"{name} #{channel.rank}" for name, channel in evidence.channels.items()),
    )
    return Markup("<li>{}</li>").format(place.opener("card cited" if citation else "card", inner, cue))


def picture(library: AnsweringLibrary, video: Video, seconds: float) -> Markup:
    if library.thumbnail_path(video.video_id, seconds) is None:
        return Markup("")
    return Markup('<img src="{}" alt="" loading="lazy">').format(thumbnail_url(video.video_id, seconds))


def matched_words(text: str, quote: str) -> Markup:
    """The quote marked, between the words around it; the beginning of the text without a quote."""
    before, found, after = text.partition(quote) if quote else ("", "", "")
    if not found:
        return Markup("<mark>{}</mark>").format(shortened(quote)) if quote else Markup("{}").format(shortened(text))
    lead = (
        before
        if len(before) <= QUOTE_CONTEXT_CHARACTERS
        else "… " + before[-QUOTE_CONTEXT_CHARACTERS:].partition(" ")[2]
    )
    rest = (
        after if len(after) <= QUOTE_CONTEXT_CHARACTERS else after[:QUOTE_CONTEXT_CHARACTERS].rpartition(" ")[0] + " …"
    )
    return Markup("{}<mark>{}</mark>{}").format(lead, found, rest)


def welcome(videos: Sequence[Video]) -> Markup:
    """What stands where the conversation will be; an empty library says how to fill it."""
    if not videos:
        return Markup(
            '<div class="welcome"><h1>The library is empty</h1><p>Stop the server, read in a folder of videos, and start again:</p>'
            "<pre>playhead ingest ~/Videos\nplayhead serve</pre></div>"
        )
    hours = sum(video.duration_seconds for video in videos) / 3600
    length = f"{hours:.1f} hours" if hours >= 1 else f"{round(hours * 60)} minutes"
    number = "1 video" if len(videos) == 1 else f"{len(videos):,} videos"
    return Markup(
        '<div class="welcome"><h1>Ask your videos</h1><p>{}, {}. Every sentence of an answer points to the moment that proves it.</p></div>'
    ).format(number, length)


def spot(library: AnsweringLibrary, evidence: Evidence, seconds: float) -> Spot:
    return Spot(evidence, seconds, playable=library.media_path(evidence.video.video_id) is not None)


def sentence(reason: str) -> str:
    """A reason with a capital and a full stop."""
    return reason[:1].upper() + reason[1:].rstrip(".") + "."
