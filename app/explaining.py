"""Asks the chat model for a draft: evidence packed into a budget, pictures where it sees, and what it said before."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.answer_cache import AnswerCache, CacheKey, filters_of
from app.chat_model import ChatModel, ChatModelError, UnusableReplyError
from app.describer import scaled_jpeg
from app.usage import OnUsage
from guards.privacy import Masker
from ingest.index import Scope
from ingest.schema import VideoError
from prompts.answer import SentenceReader, answer_template, build_answer_prompt
from prompts.draft import ChatMessage, Draft, DraftSentence, Picture
from prompts.filling import template_version
from prompts.kinds import Kind
from prompts.packing import pack_evidence
from prompts.refusal import is_refusal
from prompts.seeing import build_seeing_prompt, picture_label, read_seeing_reply
from retrievers.evidence import Evidence
from retrievers.search import Found, is_only_seen, spoken_and_seen_words

# Six moments of a minute take about 2,200. With the instructions and a reply that fits into 4,096, which is what Ollama
# allows by default on a card of less than 24 GiB.
EVIDENCE_TOKENS = 3000
MAX_PICTURES = 3
# How models without eyes answer a request with a picture: most with 400, OpenRouter with 404, llama.cpp with 500 (its
# issues 13566 and 15377). An endpoint that fails for another reason fails again without the pictures.
BLIND_STATUSES = (400, 404, 415, 422, 500, 501)
REMEMBERED = "the model answered the same before"

OnSentences = Callable[[Sequence[DraftSentence]], None]
# Given the instructions that a model was told and the evidence that it was offered.
Listen = Callable[[str, Sequence[Evidence]], OnSentences]


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft with the tier that wrote it, the instructions it had and, when that was not the configured model, why.

    `prompt_version` is that of the template that a model was asked with, `offered` the part of the evidence that was
    read, and `seen` what pictures were found to show, by the number of their evidence.
    """

    draft: Draft
    tier: str
    offered: tuple[Evidence, ...]
    note: str = ""
    instructions: str = ""
    prompt_version: str | None = None
    seen: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Means:
    """What explaining may use: tokens of evidence, seconds for a question, key frames, and drafts of before.

    `frame` is the file of the picture that stands for a piece of evidence; without it no picture is sent.
    """

    evidence_tokens: int = EVIDENCE_TOKENS
    answer_seconds: float = 60.0
    frame: Callable[[Evidence], Path | None] | None = None
    cache: AnswerCache | None = None
    library_version: Callable[[str], int] = lambda tenant: 0


class Explainer:
    """One chat model and the user's templates. It finds out by itself whether the model sees."""

    def __init__(self, chat: ChatModel, templates: Path | None, masker: Masker, means: Means) -> None:
        self._chat = chat
        self._templates = templates
        self._masker = masker
        self._means = means
        # Nothing could be masked in a picture.
        self._sees = means.frame is not None and not masker.kinds

    def sees(self, evidence: Sequence[Evidence]) -> bool:
        """Whether a picture of what was found would be sent."""
        return self._sees and any(self._frame(item) for item in evidence)

    def explain(
        self,
        kind: Kind,
        question: str,
        evidence: Sequence[Evidence],
        scope: Scope,
        listen: Listen,
        on_usage: OnUsage,
        ends_at: float,
    ) -> Drafted:
        """The model's draft of evidence that is masked already. Raises ChatModelError when it has none, and PromptError.

        `listen` makes what hears each sentence that is final, `on_usage` what each call took.
        """
        call = _Call(kind, question, tuple(evidence), scope, listen, on_usage, ends_at)
        remembered = self._remembered(call)
        if remembered:
            return remembered
        pictures = self._pictures(call.evidence) if self._sees else {}
        try:
            return self._asked(call, pictures)
        except ChatModelError as error:
            if not pictures or error.status not in BLIND_STATUSES:
                raise
        drafted = self._asked(call, {})
        self._sees = False
        return drafted

    def _pictures(self, evidence: Sequence[Evidence]) -> dict[int, bytes]:
        """JPEGs of the first evidence that pictures found, by number; a damaged one is left out."""
        found: dict[int, bytes] = {}
        for item in evidence:
            path = self._frame(item)
            if path and len(found) < MAX_PICTURES:
                with suppress(VideoError):
                    found[item.number] = scaled_jpeg(path)
        return found

    def _frame(self, item: Evidence) -> Path | None:
        """The file of the picture that a piece of evidence was found by; None where words found it, and without a file."""
        path = self._means.frame(item) if self._means.frame and is_visual(item) else None
        return path if path and path.is_file() else None

    def _asked(self, call: _Call, pictures: Mapping[int, bytes]) -> Drafted:
        readable = [item for item in call.evidence if item.number in pictures or has_words(item)]
        packed = pack_evidence(call.question, readable, self._means.evidence_tokens)
        if not packed:
            raise UnusableReplyError(f"{self._chat.name} sees no pictures, and there is nothing else to read.")
        numbers = {item.number for item in packed}
        pictures = {number: jpeg for number, jpeg in pictures.items() if number in numbers}
        offered = tuple(item for item in readable if item.number in numbers)
        *before, last = build_answer_prompt(self._masker.text(call.question), packed, self._templates, kind=call.kind)
        shown = tuple(Picture(picture_label(number), jpeg) for number, jpeg in pictures.items() if number in numbers)
        instructions = "\n".join(message.content for message in before)
        tell = call.listen(instructions, offered)
        draft = self._read([*before, replace(last, pictures=shown)], call, tell, pictures)
        seen: dict[int, str] = {}
        read = draft.sentences
        claims = [one for one in read if pictures.keys() & set(one.numbers)]
        if claims:
            draft, seen = self._checked(draft, claims, call, offered, pictures)
            tell(
                [
                    one
                    for one, before in zip(draft.sentences, read, strict=True)
                    if pictures.keys() & set(before.numbers)
                ]
            )
        elif draft.sentences and self._means.cache is not None:
            self._means.cache.put(self._key(call), call.question, draft, offered)
        return Drafted(draft, self._chat.name, offered, "", instructions, self._version(call.kind), seen)

    def _read(
        self, messages: Sequence[ChatMessage], call: _Call, tell: OnSentences, pictures: Mapping[int, bytes]
    ) -> Draft:
        """The draft as it arrives; sentences about pictures wait for their check."""
        reader = SentenceReader()

        def hear(sentences: Sequence[DraftSentence]) -> None:
            if sentences and reader.draft().sentences[0] is sentences[0] and is_refusal(sentences[0]):
                raise UnusableReplyError(f"{self._chat.name} declined to answer.")
            tell([one for one in sentences if not pictures.keys() & set(one.numbers)])

        for delta in self._chat.stream(messages, on_usage=call.on_usage, ends_at=call.ends_at):
            hear(reader.feed(delta))
        hear(reader.finish())
        return reader.draft()

    def _checked(
        self,
        draft: Draft,
        claims: Sequence[DraftSentence],
        call: _Call,
        offered: Sequence[Evidence],
        pictures: Mapping[int, bytes],
    ) -> tuple[Draft, dict[int, str]]:
        """The draft without citations of pictures that do not show what its claims say, and what they do show.

        Evidence that also has words keeps its citations: the words may say it.
        """
        *before, last = build_seeing_prompt(
            [replace(one, numbers=tuple(n for n in one.numbers if n in pictures)) for one in claims], self._templates
        )
        cited = {number for claim in claims for number in claim.numbers}
        shown = tuple(Picture(f"Picture {number}:", jpeg) for number, jpeg in pictures.items() if number in cited)
        messages = [*before, replace(last, pictures=shown)]
        try:
            reply = "".join(self._chat.stream(messages, on_usage=call.on_usage, ends_at=call.ends_at))
        except ChatModelError:
            reply = ""  # what was not checked is not shown
        right = read_seeing_reply(reply, len(claims))
        wordless = {item.number for item in offered if not has_words(item)}
        wrong = {id(claim) for number, claim in enumerate(claims, start=1) if number not in right}
        seen: dict[int, str] = {}
        for claim in claims:
            for number in pictures.keys() & set(claim.numbers) if id(claim) not in wrong else ():
                seen[number] = f"{seen.get(number, '')} {claim.text}".strip()
        sentences = tuple(
            replace(one, numbers=tuple(n for n in one.numbers if n not in wordless)) if id(one) in wrong else one
            for one in draft.sentences
        )
        return replace(draft, sentences=sentences), seen

    def _remembered(self, call: _Call) -> Drafted | None:
        """The draft of before, which every guard reads again."""
        cache = self._means.cache
        draft = cache.find(self._key(call), call.question, call.evidence) if cache is not None else None
        if draft is None:
            return None
        *before, _ = build_answer_prompt("", (), self._templates, kind=call.kind)
        instructions = "\n".join(message.content for message in before)
        call.listen(instructions, call.evidence)(draft.sentences)
        return Drafted(draft, self._chat.name, call.evidence, REMEMBERED, instructions, self._version(call.kind))

    def _key(self, call: _Call) -> CacheKey:
        tenant, version = call.scope.tenant, self._version(call.kind)
        return CacheKey(tenant, filters_of(call.scope), self._means.library_version(tenant), version, self._chat.name)

    def _version(self, kind: Kind) -> str:
        return template_version(answer_template(kind), self._templates)


@dataclass(frozen=True, slots=True)
class _Call:
    """One question on its way, its evidence masked."""

    kind: Kind
    question: str
    evidence: tuple[Evidence, ...]
    scope: Scope
    listen: Listen
    on_usage: OnUsage
    ends_at: float


def has_words(item: Evidence) -> bool:
    """Whether anything is said, written or described in a piece of evidence."""
    return bool(spoken_and_seen_words(item.moment))


def is_visual(item: Evidence) -> bool:
    """Whether pictures found it and words did not, or it holds none."""
    return "visual" in item.channels and is_only_seen(Found(item.moment, item.video, item.score, item.channels))
