"""Answers a question that follows on others: what it means is found out first, then it is asked like any question."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from app.answer import Answer
from app.answerer import Answerer, OnSentence, ignore
from app.chat_model import ChatModel, ChatModelError
from app.usage import OnUsage, Usage, total_usage
from guards.privacy import Masker
from ingest.index import Scope
from ingest.schema import Video, WrongCallError
from prompts.condense import build_condense_prompt, read_condense_reply
from prompts.followup import CitedMoment, FollowUp, Turn, follow_up
from prompts.kinds import beside
from retrievers.search import MAX_QUESTION_CHARACTERS, clean_question

# A model that takes longer to say what a follow-up means is not waited for.
CONDENSING_SECONDS = 10.0
GetVideo = Callable[[str, str], Video | None]


class Converser:
    """Asks for a conversation. What a follow-up leaves unsaid comes from the chat model or, without one, from rules.

    Seconds are always the program's: "what comes after that" is looked up beside the moment that was cited.
    """

    def __init__(
        self,
        answerer: Answerer,
        chat: ChatModel | None,
        prompts_folder: Path | None,
        masker: Masker,
        get_video: GetVideo,
    ) -> None:
        """`get_video` finds a video of a tenant by its id: what a conversation cites may be gone, or made up."""
        self._answerer = answerer
        self._chat = chat
        self._prompts_folder = prompts_folder
        self._masker = masker
        self._get_video = get_video

    def ask(self, question: str, scope: Scope, turns: Sequence[Turn] = (), on_sentence: OnSentence = ignore) -> Answer:
        """The answer to a question after these turns, the oldest first; `asked_as` says what it was understood as."""
        spent: list[Usage] = []
        understood = self._understood(question, turns, spent.append)
        if understood and len(understood.question) > MAX_QUESTION_CHARACTERS:
            understood = None
        may_ask_back = not turns or not turns[-1].asked_back
        if understood is None:
            answer = self._answerer.ask(question, scope, on_sentence, may_ask_back=may_ask_back)
        else:
            video = self._video(understood.cited, scope)
            inside = replace(scope, video_ids=(video.video_id,)) if video else scope
            answer = self._answerer.ask(
                understood.question, inside, on_sentence, may_ask_back=may_ask_back, follows=turns[-1].meant
            )
            answer = replace(
                answer,
                question=clean_question(question),
                asked_as=understood.question,
                asked_in=video.video_id if video else None,
            )
        spent += [answer.usage] if answer.usage else []
        return replace(answer, usage=total_usage(spent))

    def _understood(self, question: str, turns: Sequence[Turn], on_usage: OnUsage) -> FollowUp | None:
        """What a question means after the turns; None where it means what it says, and for one that the policy claims."""
        try:
            question = clean_question(question)
        except WrongCallError:
            return None
        if not turns or self._answerer.is_claimed(question):
            return None
        by_rules = follow_up(question, turns)
        if by_rules and (beside(by_rules.question) or (turns[-1].asked_back and by_rules.cited)):
            return by_rules
        condensed = self._condensed(question, turns, on_usage)
        if condensed is None:
            return by_rules
        cited = by_rules.cited if by_rules else None
        unchanged = condensed.casefold().rstrip(" ?.!") == question.casefold().rstrip(" ?.!")
        return None if unchanged and not cited else FollowUp(condensed, cited)

    def _condensed(self, question: str, turns: Sequence[Turn], on_usage: OnUsage) -> str | None:
        """The chat model's standalone question; None without a model, and where it fails or says anything else."""
        if not self._chat or self._masker.text(question) != question:
            return None
        said = [replace(turn, question=self._masker.text(turn.meant), asked_as=None) for turn in turns]
        prompt = build_condense_prompt(question, said, self._prompts_folder)
        ends_at = time.monotonic() + CONDENSING_SECONDS
        try:
            reply = "".join(self._chat.stream(prompt, on_usage=on_usage, ends_at=ends_at))
            return read_condense_reply(reply, question, said)
        except ChatModelError:
            return None

    def _video(self, cited: CitedMoment | None, scope: Scope) -> Video | None:
        """The video of a cited moment, if the tenant has it and the scope allows it."""
        if cited is None or (scope.video_ids and cited.video_id not in scope.video_ids):
            return None
        return self._get_video(scope.tenant, cited.video_id)


def turn_of(answer: Answer) -> Turn:
    """What a conversation remembers of an answer."""
    cited = tuple(
        CitedMoment(
            citation.evidence.video.video_id,
            citation.evidence.video.title,
            citation.evidence.moment.start_seconds,
            citation.evidence.moment.end_seconds,
            citation.quote,
        )
        for citation in answer.citations
    )
    asked_back = answer.status == "clarify" and bool(cited)
    return Turn(answer.question, answer.text, cited, answer.asked_as, asked_back)
