"""Masking: what is masked and what is not, in pieces and in whole answers, on the screen and on the way to an endpoint."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chat_server import ChatServer, says
from conftest import Playhead, write_talk
from hypothesis import given
from hypothesis import strategies as st
from playable_library import PlayableLibrary, make_answer, make_evidence, make_video

from app import web_html
from app.settings import SettingsError, read_settings
from guards.privacy import KINDS, PLACEHOLDER, Masker, masked_counts
from ingest.schema import Moment, TranscriptSegment
from prompts.fencing import MARK

ALL = Masker(frozenset(KINDS), ("Ada Lovelace",))
EMAIL, PHONE, CARD = "jane.doe@example.org", "+44 20 7946 0958", "4111 1111 1111 1111"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"Write to {EMAIL}.", "Write to ‹e-mail›."),
        ("Write to JANE+x@MAIL.example.co.uk, please", "Write to ‹e-mail›, please"),
        ("it is jane dot doe at example dot org they say", "it is ‹e-mail› they say"),
        (f"Call {PHONE} today", "Call ‹phone› today"),
        ("Call (212) 555-0199 or 0171 8361234", "Call ‹phone› or ‹phone›"),
        (f"My card is {CARD}, thanks", "My card is ‹card›, thanks"),
        ("My card is 378282246310005", "My card is ‹card›"),
        ("My name is Peter Miller. Later Miller spoke.", "My name is ‹name›. Later ‹name› spoke."),
        ("We met Dr. Jane van Goodall and Prof Li", "We met Dr. ‹name› and Prof ‹name›"),
        ("Then Lovelace wrote to Ada", "Then ‹name› wrote to ‹name›"),
    ],
)
def test_what_is_masked(text: str, masked: str) -> None:
    assert ALL.text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "In 1914 1918 1939 1945 and on 12 12 2020 at 10:20:30",
        "Pi is 3.14159265358979, the host 192.168.100.200, the price 1,250,000",
        "ISBN 978-3-16-148410-0, chapters 2 4 6 8 10 12 14, pages 120 to 135",
        "4111 1111 1111 1112 fails the check digit",
        "I am glad that this is New York, my name is on the list",
        "Look @ the dot product at noon, or @home",
    ],
)
def test_what_is_not_masked(text: str) -> None:
    assert ALL.text(text) == text


def test_only_the_kinds_asked_for_are_masked() -> None:
    text = f"{EMAIL} {PHONE}"
    assert Masker(frozenset({"phone"})).text(text) == f"{EMAIL} ‹phone›"
    assert Masker().text(text) == text
    with pytest.raises(ValueError, match="fax"):
        Masker(frozenset({"fax"}))


def test_a_number_said_in_two_utterances_is_masked_in_both() -> None:
    said = ("You reach us at +44 20", "7946", "0958 at any time")
    segments = tuple(TranscriptSegment(2.0 * i, 2.0 * i + 2, text, "sidecar captions") for i, text in enumerate(said))
    moment = ALL.moment(Moment("local", "v", 0.0, 6.0, transcript=segments))
    assert [segment.text for segment in moment.transcript] == ["You reach us at ‹phone›", "…", " at any time"]


def test_a_name_introduced_once_is_masked_in_all_the_evidence() -> None:
    video = make_video("ab" * 16, "Goodall in the field")
    evidence = [make_evidence(1, video, 0, "This is Dr. Jane Goodall."), make_evidence(2, video, 20, "Goodall waited.")]
    masked = ALL.evidence(evidence)
    assert [item.moment.speech for item in masked] == ["This is Dr. ‹name›.", "‹name› waited."]
    assert masked[0].video.title == "‹name› in the field"
    assert [item.moment.moment_id for item in masked] == [item.moment.moment_id for item in evidence]


@given(st.text("a1 .@+-()‹›[]Dr Bé", max_size=80))
def test_masking_twice_is_masking_once(text: str) -> None:
    masked = ALL.text(text)
    assert ALL.text(masked) == masked
    assert sum(masked_counts([masked]).values()) == len(PLACEHOLDER.findall(masked))


@pytest.mark.parametrize(
    ("value", "kinds"),
    [("", set()), ("0", set()), ("off", set()), ("1", set(KINDS)), ("e-mail, phone", {"e-mail", "phone"})],
)
def test_the_setting(value: str, kinds: set[str]) -> None:
    assert read_settings({"PLAYHEAD_MASK": value}).mask == kinds


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SettingsError, match="fax"):
        read_settings({"PLAYHEAD_MASK": "fax"})


@pytest.fixture
def contacts(tmp_path: Path) -> Path:
    """A talk with a person's data in speech and title."""
    folder = tmp_path / "contacts"
    folder.mkdir()
    write_talk(
        folder,
        "workshop of Ada Lovelace",
        (
            "My name is Grace Hopper and I run the pottery workshop.",
            f"To register for the pottery workshop write to {EMAIL} or call {PHONE}.",
            "Bring an apron, the clay is provided by Ada Lovelace.",
        ),
    )
    return folder


SECRETS = (EMAIL, PHONE, "Hopper", "Lovelace")


def test_answers_and_hits_show_no_masked_value(
    playhead: Playhead, contacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tmp_path / "names.txt"
    assert playhead("ingest", contacts).status == 0
    monkeypatch.setenv("PLAYHEAD_MASK_NAMES", str(names))
    names.write_bytes(b"\xff\xfe\xff")
    assert "one name a line" in playhead("search", "pottery").err
    names.write_text("Ada Lovelace\n", encoding="utf-8")
    monkeypatch.delenv("PLAYHEAD_MASK_NAMES")
    question = "How do I register for the pottery workshop?"
    plain = playhead("--json", "ask", question).json
    assert EMAIL in plain["answer"] and plain["masked"] == {}
    monkeypatch.setenv("PLAYHEAD_MASK", "1")
    monkeypatch.setenv("PLAYHEAD_MASK_NAMES", str(names))
    masked = playhead("--json", "ask", question).json
    assert masked["status"] == "answered" and "‹e-mail›" in masked["answer"]
    assert masked["citations"][0]["quote"] in masked["answer"]
    assert set(masked["masked"]) == {"e-mail", "phone", "name"}
    hits = playhead("--json", "search", "pottery workshop").json
    assert hits["masked"]["e-mail"] == 1
    shown = [playhead("ask", question).out, playhead("search", "pottery workshop").out]
    assert all("(masked: e-mail" in out for out in shown)
    for document in (masked, hits):  # the file's own name and the links that play it stay as they are
        for item in [*document.get("evidence", []), *document.get("hits", []), *document.get("citations", [])]:
            for key in ("url", "video_url", "video_path"):
                item.pop(key, None)
    for text in (json.dumps(masked, ensure_ascii=False), json.dumps(hits, ensure_ascii=False), shown[1]):
        assert not [secret for secret in SECRETS if secret in text]


def test_an_endpoint_is_sent_no_masked_value(
    playhead: Playhead, contacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert playhead("ingest", contacts).status == 0
    with ChatServer(says("To register for the workshop write to ‹e-mail› [1].")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("PLAYHEAD_MASK", "e-mail,phone")
        answer = playhead(
            "--json", "ask", f"How do I, bob@example.net, register for the pottery workshop? {PHONE}"
        ).json
        sent = json.dumps(server.requests, ensure_ascii=False).replace(MARK, " ").replace("\\u00a6", " ")
    assert answer["status"] == "answered" and answer["answer"].startswith(
        "To register for the workshop write to ‹e-mail›"
    )
    assert "pottery" in sent and "‹e-mail›" in sent
    assert not [secret for secret in (EMAIL, PHONE, "7946", "bob@") if secret in sent]


def test_the_page_tells_the_count() -> None:
    video = make_video("ab" * 16, "Contact")
    evidence = [make_evidence(1, video, 0, "write to ‹e-mail› or ‹e-mail›")]
    answer = make_answer("Who?", "“write to ‹e-mail›” [1]", [], evidence)
    library = PlayableLibrary(lambda question, on_sentence: answer, [video])
    assert "3 × e-mail masked" in web_html.turn(library, answer)
