"""Evidence packed into a budget keeps the words near the match, its numbers and its order."""

from __future__ import annotations

import pytest

from ingest.schema import Moment, ScreenText, TranscriptSegment, Video
from prompts.answer import build_answer_prompt
from prompts.fencing import datamark
from prompts.packing import FENCE_TOKENS, estimate_tokens, pack_evidence
from retrievers.evidence import Evidence

FILLER = "and then we went on to talk about something else for a good while without an end in sight"
QUESTION = "Who built the first lighthouse of Alexandria?"
ANSWER = "Sostratus of Cnidus built the lighthouse of Alexandria"


def evidence(number: int, *said: str, screen: str = "", description: str = "") -> Evidence:
    transcript = tuple(TranscriptSegment(2.0 * i, 2.0 * i + 2, text, "sidecar captions") for i, text in enumerate(said))
    shown = (ScreenText(0.0, 5.0, screen, 0.9),) if screen else ()
    moment = Moment("local", f"v{number}", 0.0, 60.0, transcript, shown, description)
    return Evidence(number, moment, Video("local", f"v{number}", f"Talk {number}", 60.0, "f"), 1.0 / number)


LONG = [FILLER] * 12


def words(item: Evidence) -> str:
    return f"{item.moment.speech} {item.moment.screen} {item.moment.description}"


def test_what_fits_is_left_as_it_is() -> None:
    given = [evidence(1, *LONG, ANSWER), evidence(2, FILLER, screen="A SLIDE", description="A man at a desk.")]
    assert pack_evidence(QUESTION, given, 5000) == tuple(given)


def test_a_long_moment_is_trimmed_to_the_part_near_the_match() -> None:
    given = [evidence(1, *LONG, ANSWER, "He signed it under the plaster.", *LONG)]
    (kept,) = pack_evidence(QUESTION, given, 150)
    assert ANSWER in kept.moment.speech
    assert "He signed it" in kept.moment.speech
    assert len(kept.moment.speech) < 500
    assert (kept.moment.start_seconds, kept.moment.moment_id) == (0.0, given[0].moment.moment_id)
    assert list(kept.moment.transcript) == [
        segment
        for segment in given[0].moment.transcript
        if segment.start_seconds in {s.start_seconds for s in kept.moment.transcript}
    ]


def test_the_budget_goes_to_the_evidence_that_matches_and_numbers_stay() -> None:
    given = [evidence(1, *LONG), evidence(2, *LONG), evidence(3, *LONG, ANSWER), evidence(4, *LONG)]
    packed = pack_evidence(QUESTION, given, 200)
    assert any(item.number == 3 and ANSWER in item.moment.speech for item in packed)
    assert [item.number for item in packed] == sorted(item.number for item in packed)


@pytest.mark.parametrize("budget", [150, 300, 600, 1200])
def test_the_budget_holds(budget: int) -> None:
    given = [evidence(n, *LONG, ANSWER if n == 2 else FILLER, screen="SLIDE " * n) for n in range(1, 7)]
    packed = pack_evidence(QUESTION, given, budget)
    system, user = build_answer_prompt(QUESTION, packed)
    empty = build_answer_prompt(QUESTION, ())
    spent = estimate_tokens(user.content) - estimate_tokens(empty[1].content)
    assert packed and spent <= 1.1 * budget
    assert sum(FENCE_TOKENS for _ in packed) < budget + FENCE_TOKENS
    assert system.content


def test_an_utterance_without_end_is_cut_inside() -> None:
    given = [evidence(1, f"{FILLER} " * 20 + ANSWER + f" {FILLER}" * 20)]
    (kept,) = pack_evidence(QUESTION, given, 200)
    assert "Sostratus" in kept.moment.speech and len(kept.moment.speech.split()) < 110
    assert len(kept.moment.transcript) == 1


def test_screen_text_and_descriptions_are_channels_of_their_own() -> None:
    given = [evidence(1, *LONG, screen=ANSWER, description="A tower by the sea.")]
    (kept,) = pack_evidence(QUESTION, given, 130)
    assert kept.moment.screen == ANSWER


def test_wordless_evidence_stays_and_something_is_always_offered() -> None:
    wordless = evidence(2)
    assert pack_evidence(QUESTION, [evidence(1, *LONG, ANSWER), wordless], 150)[-1] == wordless
    assert len(pack_evidence(QUESTION, [evidence(1, *LONG), evidence(2, *LONG)], 1)) == 1
    assert pack_evidence(QUESTION, [], 100) == ()


def test_the_estimate_counts_a_mark_as_a_token() -> None:
    plain = "the quick brown fox jumps over the lazy dog"
    assert estimate_tokens(plain) == 11
    assert estimate_tokens(datamark(plain)) == pytest.approx(9 + 9, abs=2)
    assert estimate_tokens("") == 0 and estimate_tokens("\ud800") > 0
