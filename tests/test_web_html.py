"""The pieces of the chat page: hostile words stay words, links are web pages of videos, marks are citations."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playable_library import PlayableLibrary, cite, make_answer, make_evidence, make_video

from app.answer import Answer
from app.web_html import (
    cited_text,
    conversation,
    evidence_cards,
    failed_turn,
    is_web_page,
    matched_words,
    pending_turn,
    turn,
    welcome,
)
from retrievers.evidence import ChannelScore

HOSTILE = (
    "<script>pwned()</script>", "<img src=x onerror=pwned()>", "<svg onload=pwned()>", "<svg><script>pwned()</script></svg>",
    '"><script>pwned()</script>', "'><img src=x onerror=pwned()>", '" onmouseover="pwned()', '" autofocus onfocus="pwned()" x="',
    '" data-playhead-video="other', "</article><script>pwned()</script>", "<iframe src=https://evil.example></iframe>",
    "<iframe srcdoc='<script>pwned()</script>'>", "<object data=https://evil.example>", "<embed src=https://evil.example>",
    "<link rel=stylesheet href=https://evil.example>", "<style>@import 'https://evil.example'</style>", "<base href=https://evil.example>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>", "<form action=https://evil.example><button>", "<video src=https://evil.example>",
    "![x](https://evil.example/a.png)", "[x](javascript:pwned())", "[x](https://evil.example)", "<https://evil.example>", "https://evil.example",
    "javascript:pwned()", "${pwned()}", "{{constructor.constructor('pwned()')()}}", "`${pwned()}`", "<a href=javascript:pwned()>x</a>",
    "<!--", "--><script>pwned()</script>", "]]><script>pwned()</script>", "&lt;script&gt;pwned()&lt;/script&gt;", "&#60;script&#62;pwned()",
    "\u202e<script>pwned()</script>", "<scr\x00ipt>pwned()</scr\x00ipt>", "<details open ontoggle=pwned()>", "<math href=javascript:pwned()>",
)  # fmt: skip
PLACES = ("title", "words", "quote", "text", "reason", "question", "tier", "channel", "video_id")
TAGS = {"article", "h2", "h3", "p", "b", "mark", "span", "button", "a", "div", "ol", "li", "img"}
ATTRIBUTES = {"class", "type", "aria-label", "role", "aria-live", "href", "target", "rel", "src", "alt", "loading"}


class Seen(HTMLParser):
    """What a browser would make of the page: every element with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(str(html))  # a Markup would escape what is added to it
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data!r}")

    def of_class(self, name: str) -> list[tuple[str, dict[str, str | None]]]:
        return [
            (tag, attributes) for tag, attributes in self.elements if name in (attributes.get("class") or "").split()
        ]


def no_ask(question: str, on_sentence: Callable[[str], None]) -> Answer:
    raise AssertionError("not asked here")


def hostile_answer(place: str, payload: str, url: str | None = None) -> tuple[PlayableLibrary, Answer]:
    """One answer with the payload in one place, its video playable unless it has a url."""
    words = payload if place == "words" else "The bowline does not slip."
    video = make_video(payload if place == "video_id" else "ab", payload if place == "title" else "Knots", url=url)
    evidence = make_evidence(1, video, 20.0, words)
    if place == "channel":
        evidence = dataclasses.replace(evidence, channels={payload: ChannelScore(1, 1.0)})
    quote = payload if place == "quote" else words
    answer = make_answer(
        payload if place == "question" else "Which knot?",
        f"{payload if place == 'text' else 'The bowline.'} [1]",
        [cite(evidence, quote, 21.5, url="")],
        [evidence, dataclasses.replace(evidence, number=2)],
        "restricted" if place == "reason" else "answered",
        payload if place == "reason" else "",
    )
    if place == "tier":
        answer = dataclasses.replace(answer, tiers={payload: payload})
    media = {} if url else {video.video_id: Path("x.mp4")}
    return PlayableLibrary(no_ask, [video], media, {video.video_id: Path("x.jpg")}), answer


def check_page(seen: Seen) -> None:
    for tag, attributes in seen.elements:
        assert tag in TAGS, tag
        assert {name for name in attributes if not name.startswith("data-playhead-")} <= ATTRIBUTES, attributes
        assert (attributes.get("src") or "/api/v1/thumbnails/").startswith("/api/v1/thumbnails/")
        assert (attributes.get("href") or "https://").startswith(("https://", "http://"))


@pytest.mark.parametrize("place", PLACES)
def test_hostile_words_stay_words(place: str) -> None:
    for payload in HOSTILE:
        for url in (None, "https://videos.example/watch?v=1"):
            library, answer = hostile_answer(place, payload, url)
            plain_library, plain = hostile_answer("none", "", url)
            seen = Seen(conversation([turn(library, answer)]) + evidence_cards(library, answer, "cue"))
            expected = Seen(conversation([turn(plain_library, plain)]) + evidence_cards(plain_library, plain, "cue"))
            check_page(seen)
            abstained = dataclasses.replace(answer, status="abstained", citations=())
            check_page(Seen(turn(library, abstained) + evidence_cards(library, abstained, "cue")))
            if place != "reason":
                assert [tag for tag, _ in seen.elements] == [tag for tag, _ in expected.elements]
            if place != "video_id":
                beginning = payload.split()[0][:8]
                assert beginning in seen.text or beginning.capitalize() in seen.text


def test_a_follow_up_shows_what_it_was_understood_as() -> None:
    library, answer = hostile_answer("none", "")
    assert "Asked as" not in Seen(turn(library, answer)).text
    for payload in HOSTILE:
        seen = Seen(turn(library, dataclasses.replace(answer, asked_as=payload)))
        check_page(seen)
        assert "Asked as: " in seen.text
    about = dataclasses.replace(answer, asked_as="What comes next?", asked_in=library.known[0].video_id)
    assert "Asked as: What comes next? (in “Knots”)" in Seen(turn(library, about)).text


def test_hostile_words_of_a_stream_and_of_an_error() -> None:
    for payload in HOSTILE:
        check_page(Seen(pending_turn(payload, [payload, payload]) + failed_turn(payload, payload)))


@pytest.mark.parametrize(
    "url",
    [
        "javascript:pwned()", "JavaScript:pwned()", "java\tscript:pwned()", " javascript:pwned()", "data:text/html,<script>pwned()</script>",
        "vbscript:x", "file:///etc/passwd", "blob:https://x", "//evil.example", "/api/v1/health", "https://", "http:evil.example", "ftp://x/y",
        "https://[bad", "",
    ],
)  # fmt: skip
def test_only_web_pages_are_links(url: str) -> None:
    assert not is_web_page(url)
    library, answer = hostile_answer("none", "", url or "x:")
    seen = Seen(turn(library, answer) + evidence_cards(library, answer, "cue"))
    assert not [attributes for _, attributes in seen.elements if "href" in attributes]


def test_a_caption_only_video_opens_its_page_at_the_second() -> None:
    library, answer = hostile_answer("none", "", 'https://videos.example/watch?v=1&x="><script>')
    seen = Seen(turn(library, answer) + evidence_cards(library, answer, "cue"))
    links = [attributes for tag, attributes in seen.elements if tag == "a"]
    assert len(links) == 3
    for attributes in links:
        assert (attributes["target"], attributes["rel"]) == ("_blank", "noopener noreferrer")
    assert (seen.of_class("cite")[0][1]["href"] or "").endswith("&t=21")
    assert "captions only, opens its page" in seen.text


def test_marks_are_the_citations_and_nothing_else() -> None:
    library, answer = hostile_answer("none", "")
    text = "Told twice [1][1], never [2] or [99999], at the end. [1]"
    html = cited_text(library, dataclasses.replace(answer, text=text))
    seen = Seen(html)
    assert [attributes["data-playhead-seconds"] for tag, attributes in seen.of_class("cite") if tag == "button"] == [
        "21.500"
    ] * 3
    assert "[2] or [99999]" in seen.text
    assert '<span class="keep">end. <button' in html


def test_the_first_cited_moment_that_plays_waits_in_the_player() -> None:
    knots, talk = make_video("ab", "Knots"), make_video("cd", "Talk", url="https://videos.example/1")
    said, shown, other = (
        make_evidence(1, talk, 5.0, "Said."),
        make_evidence(2, knots, 8.0, "Shown."),
        make_evidence(3, knots, 1.0, "Other."),
    )
    library = PlayableLibrary(no_ask, [knots, talk], {"ab": Path("x.mp4")})
    answer = make_answer(
        "q", "So. [1][2]", [cite(said, "Said.", 5.0), cite(shown, "Shown.", 9.0)], [said, other, shown]
    )
    cards = Seen(evidence_cards(library, answer, "cue7")).of_class("card")
    assert [(tag, attributes.get("data-playhead-cue")) for tag, attributes in cards] == [
        ("a", None),
        ("button", "cue7"),
        ("button", None),
    ]
    assert cards[1][1]["data-playhead-seconds"] == "9.000"


def test_an_abstention_shows_reason_confidence_tiers_and_the_closest_moments() -> None:
    library, answer = hostile_answer("none", "")
    abstained = dataclasses.replace(
        answer, status="abstained", text="The library does not hold the answer.", citations=(), reason="nothing matches"
    )
    seen = Seen(turn(library, abstained) + evidence_cards(library, abstained, "cue"))
    assert seen.elements[0] == ("article", {"class": "turn abstained"})
    for words in (
        "Not in the library",
        "The library does not hold the answer.",
        "Nothing matches.",
        "confidence 87%",
        "PocketSphinx",
        "Closest moments",
    ):
        assert words in seen.text
    assert len(seen.of_class("near")) == 2
    assert not [1 for _, attributes in seen.elements if "data-playhead-cue" in attributes]


@pytest.mark.parametrize(
    ("text", "quote", "shown"),
    [
        ("One two three.", "two", "One <mark>two</mark> three."),
        ("One two three.", "", "One two three."),
        ("One two three.", "elsewhere", "<mark>elsewhere</mark>"),
        (
            "a" + " word" * 30 + " HIT" + " word" * 30,
            "HIT",
            "…" + " word" * 13 + " <mark>HIT</mark>" + " word" * 13 + " …",
        ),
    ],
)
def test_the_quote_is_marked_among_its_neighbours(text: str, quote: str, shown: str) -> None:
    assert matched_words(text, quote) == shown


def test_the_welcome_counts_and_an_empty_library_says_how_to_fill_it() -> None:
    assert "2 videos, 2.0 hours" in welcome([make_video("a", "A", 3600.0), make_video("b", "B", 3600.0)])
    assert "1 video, 40 minutes" in welcome([make_video("a", "A", 2400.0)])
    assert "playhead ingest ~/Videos" in welcome([])
