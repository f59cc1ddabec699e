"""Which questions the cache takes for the same, and what it never does: mix up names, numbers, tenants or versions."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from fakes import HashEmbedder

from app.answer_cache import MAX_DRAFTS, AnswerCache, CacheKey, filters_of
from evaluation.bench_answer_cache import REWORDED, changed
from ingest.index import Scope
from ingest.schema import Moment, Video
from prompts.draft import Draft, DraftSentence
from prompts.question_form import question_form, without_courtesies
from retrievers.evidence import Evidence

KEY = CacheKey("local", filters_of(Scope("local")), 1, "explain/1", "m")
DRAFT = Draft((DraftSentence("The fee is five euros.", (2,)), DraftSentence("It opens at nine.", (1, 2))), False, "raw")
QUESTION = "What is the fee?"


def evidence(number: int, video: str, start_seconds: float = 0.0) -> Evidence:
    moment = Moment("local", video, start_seconds, start_seconds + 30.0)
    return Evidence(number, moment, Video("local", video, video, 90.0, "f"), 1.0)


FOUND = [evidence(1, "a"), evidence(2, "b"), evidence(3, "c")]


def filled() -> AnswerCache:
    cache = AnswerCache(HashEmbedder())
    cache.put(KEY, QUESTION, DRAFT, FOUND)
    return cache


def test_most_rewordings_have_one_form_and_none_without_its_words() -> None:
    same = {(one, other) for one, other in REWORDED if question_form(one) == question_form(other)}
    assert ("How do honey bees dance?", "How does the honey bee dance?") in same
    assert ("What's the fee?", "I would like to know what the fee is") in same
    assert 0.5 <= len(same) / len(REWORDED) < 1


@pytest.mark.parametrize(
    ("question", "other"),
    [
        (
            "What effect has trade with poorer countries on richer ones?",
            "What effect has trade with richer countries on poorer ones?",
        ),
        ("What dynasty came before the Yuan?", "What dynasty came after the Yuan?"),
        ("Where did Tesla work in 1888?", "What did Tesla work on in 1888?"),
        ("When was the term first used?", "What term was used for the first?"),
        ("Who was king?", "Who is king?"),
        ("How many people live in Lyon?", "How many people live in Lille?"),
        ("Which foods are safe?", "Which foods are not safe?"),
        ("How often is it cleaned?", "How is it cleaned?"),
        ("How do I turn it on?", "How do I turn it off?"),
        ("Who was in room 12?", "Who was in room 21?"),
        ("Why did she leave him?", "Why did he leave her?"),
        ("What can be seen from here?", "What cannot be seen from here?"),
    ],
)
def test_near_questions_with_another_meaning_have_another_form(question: str, other: str) -> None:
    assert question_form(question) != question_form(other)


@pytest.mark.parametrize(
    "question", ["Who won the Nobel Prize in 1973?", "Why is the sky blue before dawn?", "Which lens bends light?"]
)
def test_a_question_changed_in_one_word_has_another_form(question: str) -> None:
    others = list(changed(question))
    assert len(others) >= 2
    assert all(question_form(other) != question_form(question) for other in others)


def test_what_is_found_cites_the_evidence_of_the_moment() -> None:
    found = filled().find(KEY, QUESTION, [evidence(1, "b", 5.0), evidence(2, "c"), evidence(3, "a")])
    assert found and [sentence.numbers for sentence in found.sentences] == [(1,), (3, 1)]


@pytest.mark.parametrize(
    "now",
    [[evidence(1, "a")], [], [evidence(1, "a"), evidence(2, "b", 45.0)]],
    ids=["video gone", "nothing", "elsewhere"],
)
def test_nothing_is_found_where_a_cited_moment_is_gone(now: list[Evidence]) -> None:
    assert filled().find(KEY, QUESTION, now) is None


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, tenant="other"),
        replace(KEY, library_version=2),
        replace(KEY, prompt_version="explain/2"),
        replace(KEY, model="n"),
        replace(KEY, filters=filters_of(Scope("local", ("a",)))),
        replace(KEY, filters=filters_of(Scope("local", (), {"tag": ("x",)}))),
    ],
)
def test_another_key_finds_nothing(other: CacheKey) -> None:
    assert filled().find(other, QUESTION, FOUND) is None


def test_the_order_of_filters_does_not_matter() -> None:
    one = Scope("local", ("a", "b"), {"tag": ("x", "y"), "language": ("en",)})
    other = Scope("local", ("b", "a"), {"language": ("en",), "tag": ("y", "x")})
    assert filters_of(one) == filters_of(other)


def test_a_changed_library_lets_go_of_what_its_tenant_was_told() -> None:
    cache = filled()
    cache.put(replace(KEY, tenant="other"), QUESTION, DRAFT, FOUND)
    assert cache.find(replace(KEY, library_version=2), "What else?", FOUND) is None
    assert cache.find(KEY, QUESTION, FOUND) is None and len(cache) == 1


def test_the_oldest_go_first() -> None:
    cache = filled()
    for number in range(MAX_DRAFTS - 1):
        cache.put(KEY, f"What is fee {number}?", DRAFT, FOUND)
    assert cache.find(KEY, QUESTION, FOUND)
    cache.put(KEY, "What is one more?", DRAFT, FOUND)
    assert len(cache) == MAX_DRAFTS
    assert cache.find(KEY, QUESTION, FOUND) and cache.find(KEY, "What is fee 0?", FOUND) is None


def test_without_a_text_model_the_same_words_alone_are_found() -> None:
    cache = AnswerCache(None)
    cache.put(KEY, QUESTION, DRAFT, FOUND)
    assert cache.find(KEY, QUESTION, FOUND)
    assert cache.find(KEY, "Please tell me what the fee is", FOUND) is None


def test_threads_may_use_it_at_once() -> None:
    cache = filled()
    failed: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(50):
                cache.put(KEY, f"What is {number} and {turn}?", DRAFT, FOUND)
                cache.find(KEY, QUESTION, FOUND)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and len(cache) == 401


@pytest.mark.parametrize("question", ["", "?", "please", "Can you tell me", "the the", "蜜蜂", "\ud800"])
def test_odd_questions_have_a_form(question: str) -> None:
    assert question_form(question) == question_form(question)
    assert without_courtesies("Please, could you tell me who won?") == "who won?"
