"""Masking: what is masked and what is not, in pieces and in whole answers, on the screen and on the way to an endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from conftest import Playhead, write_talk
from fakes import HashEmbedder, ScriptedChat
from hypothesis import given
from hypothesis import strategies as st
from playable_library import PlayableLibrary, make_answer, make_evidence, make_video
from talks_library import TalksLibrary, make_library

from app import web_html
from app.answerer import Answerer
from app.build import make_masker
from app.json_forms import answer_json
from app.settings import Settings, SettingsError, read_settings
from app.text_forms import answer_text
from guards.output_filter import OutputFilter
from guards.privacy import KINDS, PLACEHOLDER, Masker, masked_counts
from guards.routing import Router
from guards.sufficiency import SufficiencyJudge
from ingest.index import Scope
from ingest.schema import LibraryError, Moment, TranscriptSegment
from prompts.fencing import MARK
from retrievers.rerank import LateInteractionReranker

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


def test_numbers_of_every_region_are_masked_in_international_form() -> None:
    numbers = [phonenumbers.example_number(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]
    written = [phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.INTERNATIONAL) for n in numbers if n]
    assert len(written) > 200
    assert [number for number in written if ALL.text(f"Call {number} now") != "Call ‹phone› now"] == []


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


CONTACTS = (
    "My name is Grace Hopper and I run the pottery workshop.",
    f"To register for the pottery workshop write to {EMAIL} or call {PHONE}.",
    "Bring an apron, the clay is provided by Ada Lovelace.",
)
QUESTION = "How do I register for the pottery workshop?"
SECRETS = (EMAIL, PHONE, "Hopper", "Lovelace")


def without_links(document: dict[str, Any]) -> str:
    """What is shown; the file's own name and the links that play it stay as they are."""
    for item in [*document.get("evidence", []), *document.get("hits", []), *document.get("citations", [])]:
        for key in ("url", "video_url", "video_path"):
            item.pop(key, None)
    return json.dumps(document, ensure_ascii=False)


def test_the_commands_show_no_masked_value(playhead: Playhead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tmp_path / "names.txt"
    names.write_text("Ada Lovelace\n", encoding="utf-8")
    monkeypatch.setenv("PLAYHEAD_MASK", "1")
    monkeypatch.setenv("PLAYHEAD_MASK_NAMES", str(names))
    assert playhead("ingest", write_talk(tmp_path, "workshop of Ada Lovelace", CONTACTS)).status == 0
    answer = playhead("--json", "ask", QUESTION).json
    assert answer["status"] == "answered" and "‹e-mail›" in answer["answer"]
    assert answer["citations"][0]["quote"] in answer["answer"]
    assert set(answer["masked"]) == {"e-mail", "phone", "name"}
    hits = playhead("search", "pottery workshop").out
    assert "(masked: e-mail 1, phone 1, name " in hits and "‹name›" in hits
    for text in (without_links(answer), hits):
        assert not [secret for secret in SECRETS if secret in text]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> TalksLibrary:
    return make_library(tmp_path_factory.mktemp("workshop"), {"Workshop of Ada Lovelace": CONTACTS})


def answerer(library: TalksLibrary, chat: ScriptedChat | None, masker: Masker) -> Answerer:
    similarity = LateInteractionReranker(HashEmbedder())
    judge = SufficiencyJudge(similarity)
    return Answerer(Router(), library.gatherer, judge, similarity, chat, None, OutputFilter(), masker)


@pytest.mark.parametrize("chat", [None, "To register for the pottery workshop write to ‹e-mail› or call ‹phone› [1]."])
def test_what_is_told_on_the_way_is_masked_too(workshop: TalksLibrary, chat: str | None) -> None:
    told: list[str] = []
    scripted = ScriptedChat(chat) if chat else None
    answer = answerer(workshop, scripted, ALL).ask(QUESTION, Scope("local"), told.append)
    assert answer.status == "answered" and " ".join(told) == answer.text
    assert not [secret for secret in SECRETS if secret in answer.text + without_links(answer_json(answer))]
    assert "(masked: e-mail" in answer_text(answer)
    plain = answerer(workshop, None, Masker()).ask(QUESTION, Scope("local"))
    assert EMAIL in plain.text and answer_json(plain)["masked"] == {}


def test_an_endpoint_is_sent_no_masked_value(workshop: TalksLibrary) -> None:
    chat = ScriptedChat("Write to ‹e-mail› [1].")
    answerer(workshop, chat, ALL).ask(f"How do I, bob@example.net, {PHONE}, register for it, Lovelace?", Scope("local"))
    sent = " ".join(message.content for message in chat.prompts[0]).replace(MARK, " ")
    assert "pottery" in sent and "‹e-mail›" in sent
    assert not [secret for secret in (*SECRETS, "7946", "bob@") if secret in sent]


def test_a_list_of_names_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(LibraryError, match="one name a line"):
        make_masker(Settings(tmp_path, tmp_path, mask_names=names))


def test_the_page_tells_the_count() -> None:
    video = make_video("ab" * 16, "Contact")
    evidence = [make_evidence(1, video, 0, "write to ‹e-mail› or ‹e-mail›")]
    answer = make_answer("Who?", "“write to ‹e-mail›” [1]", [], evidence)
    library = PlayableLibrary(lambda question, on_sentence: answer, [video])
    assert "3 × e-mail masked" in web_html.turn(library, answer)
