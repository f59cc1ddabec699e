"""Replies in JSON, and refusals, as models send them against their instructions."""

from __future__ import annotations

import json

import pytest

from prompts.answer import SentenceReader, read_answer_reply
from prompts.draft import DraftSentence
from prompts.refusal import is_refusal

FEE, TIME = ("The fee is five euros.", (1,)), ("It opens at nine.", (2, 3))
WHOLE = {"sentences": [{"text": FEE[0], "numbers": [1]}, {"text": TIME[0], "numbers": [2, 3]}]}
LINE = json.dumps(WHOLE)

REPLIES: list[tuple[str, list[tuple[str, tuple[int, ...]]]]] = [
    (LINE, [FEE, TIME]),
    (json.dumps(WHOLE, indent=2), [FEE, TIME]),
    (f"```json\n{LINE}\n```", [FEE, TIME]),
    (f"Here is the answer:\n```json\n{LINE}\n```\nHope this helps!", [FEE, TIME]),
    (f"<think>JSON it is</think>\n{LINE}", [FEE, TIME]),
    (LINE[: LINE.index("It opens") + 5], [FEE]),
    (LINE[: LINE.index("numbers") + 12], [(FEE[0], ())]),  # uncited, so no guard lets it pass
    ('{"answer": "The fee is five euros [1]. It opens at nine [2][3]."}', [FEE, TIME]),
    ('{"answer": "The fee is five euros [1]. It opens at ni', [FEE]),
    ('{"answer": "The fee is five euros.", "citations": ["[1]"]}', [FEE]),
    ('[{"claim": "The fee is five euros.", "sources": [{"id": 1}]}]', [FEE]),
    ('["The fee is five euros [1].", "It opens at nine [2, 3]."]', [FEE, TIME]),
    ('[{"id": 7, "number": 8, "text": "The fee is five euros.", "citations": [1]}]', [FEE]),
    ('{"response": {"Text": "The fee is five euros.", "Evidence": "1"}}', [FEE]),
    ('{"answer": "The fee is five euros.", "citations": [true, "0:42", null]}', [("The fee is five euros.", ())]),
    ('{"answer": "<img src=http://evil.example/x onerror=y> Five [1](http://evil.example)."}', [("Five.", (1,))]),
    ('{"found": false}', []),
    ('{"thoughts": 5, {{{', []),
    ("[" * 3000 + '"', []),
]


@pytest.mark.parametrize(("reply", "expected"), REPLIES, ids=range(len(REPLIES)))
def test_a_json_reply_is_read_well(reply: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    assert [(s.text, s.numbers) for s in read_answer_reply(reply).sentences] == expected


def test_not_found_in_json_is_not_found() -> None:
    assert read_answer_reply('{"answer": "NOT FOUND"}').not_found


@pytest.mark.parametrize(
    "reply", [LINE, f"```json\n{LINE}\n```", "The fee is five euros [1]. It opens at nine [2][3]."]
)
def test_chunks_change_nothing(reply: str) -> None:
    for size in (1, 3, 50):
        reader = SentenceReader()
        for start in range(0, len(reply), size):
            reader.feed(reply[start : start + size])
        reader.finish()
        assert [(s.text, s.numbers) for s in reader.draft().sentences] == [FEE, TIME]


def test_plain_text_with_braces_or_brackets_stays_plain_and_streams() -> None:
    reader = SentenceReader()
    told = reader.feed("[1] says {so}. In code, {x} is a set [2]. Then it ends [3].")
    assert told and told[0].numbers


REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, I can't assist with this request [1].",
    "Sorry, but I cannot provide that information.",
    "I cannot answer this question.",
    "I'm unable to help with that.",
    "As an AI language model, I have no access to videos.",
    "I am sorry.",
    "I must decline to answer.",
    "This request violates the policy.",
]
ANSWERS = [
    "Unfortunately, the dough did not rise [1].",
    "“I cannot swim,” says the captain [2].",
    "I cannot swim, says the captain [2].",
    "Sorry is the title of the song [1].",
    "The speaker says he is sorry [1].",
    "AI is the topic of the talk [3].",
    "They can't help it, because mercury expands [1].",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_told(text: str) -> None:
    assert is_refusal(read_answer_reply(text).sentences[0])


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_no_refusal(text: str) -> None:
    assert not is_refusal(read_answer_reply(text).sentences[0])
    assert not is_refusal(DraftSentence("The fee is five euros.", (1,)))
