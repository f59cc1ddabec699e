"""Asking in threads of their own: sentences in order, a few at once, errors in one line, and an end that waits for nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from playable_library import PlayableLibrary, make_answer

from app.answer import Answer
from app.asking import QUESTIONS_AT_ONCE, Asker, one_line
from ingest.schema import LibraryError


def asker_of(ask: Callable[[str, Callable[[str], None]], Answer]) -> Asker:
    return Asker(PlayableLibrary(ask, []))


def test_sentences_come_as_they_are_made_then_the_answer() -> None:
    go_on = threading.Event()

    def ask(question: str, on_sentence: Callable[[str], None]) -> Answer:
        on_sentence("One.")
        assert go_on.wait(5)
        on_sentence("Two.")
        return make_answer(question, "One. Two.", [], [])

    async def listen() -> list[object]:
        heard: list[object] = []
        async for item in asker_of(ask).tell("q"):
            heard.append(item)
            go_on.set()
        return heard

    first, second, last = asyncio.run(listen())
    assert (first, second) == ("One.", "Two.")
    assert isinstance(last, Answer) and last.text == "One. Two."


def test_a_few_questions_at_once_and_the_others_wait() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def ask(question: str, on_sentence: Callable[[str], None]) -> Answer:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        time.sleep(0.02)
        with lock:
            now -= 1
        return make_answer(question, question, [], [])

    async def many() -> list[Answer | Exception]:
        asker = asker_of(ask)
        return await asyncio.gather(*(asker.ask(str(number)) for number in range(3 * QUESTIONS_AT_ONCE)))

    answers = asyncio.run(many())
    assert [answer.text for answer in answers if isinstance(answer, Answer)] == [
        str(number) for number in range(3 * QUESTIONS_AT_ONCE)
    ]
    assert 1 < most <= QUESTIONS_AT_ONCE


def test_a_question_given_up_keeps_its_seat_until_its_thread_ends_and_holds_up_nothing() -> None:
    release = threading.Event()

    def ask(question: str, on_sentence: Callable[[str], None]) -> Answer:
        release.wait(10)
        return make_answer(question, "late", [], [])

    async def give_up() -> None:
        asker = asker_of(ask)
        for _ in range(QUESTIONS_AT_ONCE):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asker.ask("slow"), 0.02)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asker.ask("no seat"), 0.02)
        release.set()
        answer = await asyncio.wait_for(asker.ask("now"), 5)
        assert isinstance(answer, Answer)

    started = time.monotonic()
    asyncio.run(give_up())
    assert time.monotonic() - started < 5


def test_errors_are_one_line_and_tell_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    def ask(question: str, on_sentence: Callable[[str], None]) -> Answer:
        if question == "ours":
            raise LibraryError("The index is away.\nRun: playhead doctor")
        raise RuntimeError("the password is hunter2")

    ours, theirs = (asyncio.run(asker_of(ask).ask(question)) for question in ("ours", "theirs"))
    assert isinstance(ours, Exception) and one_line(ours) == "The index is away. Run: playhead doctor"
    assert "hunter2" not in caplog.text
    assert isinstance(theirs, Exception) and "RuntimeError" in one_line(theirs) and "hunter2" not in one_line(theirs)
    assert "hunter2" in caplog.text
