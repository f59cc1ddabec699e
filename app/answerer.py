"""The path of one question: route, search, judge the evidence, draft, check the citations, answer or abstain."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.answer import Answer
from app.chat_model import ChatModel, ChatModelError
from app.citing import cite
from app.gathering import arranged, kept_only
from guards.citations import check_citations, check_sentence
from guards.output_filter import OutputFilter, OutputGate
from guards.privacy import Masker
from guards.routing import Router
from guards.sufficiency import MIN_CONFIDENCE, SufficiencyJudge, SufficiencyVerdict
from guards.verdict import RouteVerdict
from ingest.index import Scope
from ingest.schema import WrongCallError
from prompts.answer import SentenceReader, answer_template, build_answer_prompt
from prompts.clarify import CLARIFY_TEMPLATE, build_clarify_prompt, fitting_videos, plain_question, read_clarify_reply
from prompts.draft import Draft, DraftSentence
from prompts.extractive_kinds import kind_draft
from prompts.filling import template_version
from prompts.kinds import Kind, beside, kind_of, subject_of
from retrievers.evidence import Evidence, SearchResult
from retrievers.planned_search import PlannedResult
from retrievers.rerank import Reranker
from retrievers.ruled_search import MomentSearcher
from retrievers.search import Stopwatch, clean_question, spoken_and_seen

EVIDENCE_LIMIT = 6
EXTRACTIVE_TIER = "extractive"
NO_SECRETS, NO_MASK = OutputFilter(), Masker()
OnSentence = Callable[[str], None]
OnChecked = Callable[[DraftSentence], None]


def ignore(sentence: str) -> None:
    """The default listener of a stream."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft with the tier that wrote it, the instructions it had and, when that was not the configured model, why.

    `prompt_version` is that of the template that a model was asked with, `evidence` what it read.
    """

    draft: Draft
    tier: str
    evidence: tuple[Evidence, ...]
    note: str = ""
    instructions: str = ""
    prompt_version: str | None = None


class Answerer:
    """Answers questions about one library; without a chat model, or when it fails, by quoting."""

    def __init__(
        self,
        router: Router,
        searcher: MomentSearcher,
        judge: SufficiencyJudge,
        similarity: Reranker | None,
        chat: ChatModel | None,
        prompts_folder: Path | None,
        outputs: OutputFilter = NO_SECRETS,
        masker: Masker = NO_MASK,
    ) -> None:
        self._router = router
        self._searcher = searcher
        self._judge = judge
        self._similarity = similarity
        self._chat = chat
        self._prompts_folder = prompts_folder
        self._outputs = outputs
        self._masker = masker

    def ask(
        self, question: str, scope: Scope, on_sentence: OnSentence = ignore, *, may_ask_back: bool = True
    ) -> Answer:
        """A cited answer, an abstention with the closest moments, or a refusal; `on_sentence` hears each checked sentence.

        It may be one question back where several videos fit what somebody hardly remembers.
        """
        answer = masked_answer(self._ask(question, scope, on_sentence, may_ask_back), self._masker)
        tiers = {role: self._outputs.redact(name) for role, name in answer.tiers.items()}
        return replace(answer, reason=self._outputs.redact(answer.reason), tiers=tiers)

    def _ask(self, question: str, scope: Scope, on_sentence: OnSentence, may_ask_back: bool) -> Answer:
        clock = Stopwatch()
        try:
            question = clean_question(question)
        except WrongCallError as error:
            return clarification(question, str(error))
        route = self._router.route(question)
        if route.route in ("refused", "support"):
            return _refusal(question, route, clock)
        with clock.stage("retrieve"):
            found = self._searcher.search(question, scope, EVIDENCE_LIMIT)
        candidates = fitting_videos(question, found.evidence) if may_ask_back and route.route == "answer" else ()
        if candidates:
            found = kept_only(found, question, candidates)
        with clock.stage("judge"):
            sufficiency = self._judged(question, found, fuzzy=bool(candidates))
        if not sufficiency.passed:
            return _abstention(question, route, found, sufficiency.confidence, sufficiency.reason, clock)
        kind, found = kind_of(question), arranged(kind_of(question), found)
        knowing = self._masker.knowing(found.evidence)
        with clock.stage("draft"):
            tell = functools.partial(_told, on_sentence, knowing)
            drafted = (
                self._ask_back(question, found.evidence, tell)
                if candidates
                else self._draft(kind, question, found.evidence, route, tell)
            )
        found = replace(found, evidence=drafted.evidence)
        offered = evidence_texts(found.evidence)
        checked, dropped, citations = check_citations(drafted.draft, offered)
        gate = self._outputs.gate(drafted.instructions)
        kept = let_out(gate, checked, offered)
        if not kept:
            reason = drafted.note or (f"the reply gave away {gate.withheld}" if gate.withheld else citations.reason)
            confidence = min(sufficiency.confidence, MIN_CONFIDENCE)  # whoever read the evidence found no answer in it
            abstention = _abstention(question, route, found, confidence, reason, clock, drafted.tier)
            return replace(abstention, kind=kind, prompt_version=drafted.prompt_version)
        return Answer(
            question=question,
            route=route.route,
            topic=route.topic,
            status="clarify" if candidates else "restricted" if route.route == "restricted" else "answered",
            text=" ".join([*(shown(sentence, knowing) for sentence in kept), *_disclaimer(route)]),
            citations=cite(question, kept, found.evidence),
            evidence=found.evidence,
            confidence=sufficiency.confidence,
            reason=drafted.note or (citations.reason if dropped else sufficiency.reason),
            tiers={**found.tiers, "answer": drafted.tier},
            timings_ms=clock.timings_ms(),
            removed_by_rules=found.removed_by_rules,
            kind=kind,
            prompt_version=drafted.prompt_version,
        )

    def _draft(
        self, kind: Kind, question: str, evidence: Sequence[Evidence], route: RouteVerdict, tell: OnChecked
    ) -> Drafted:
        """The chat model's draft; the extractive one without a model, when it fails, and where only quotes are allowed."""
        if self._chat and route.route == "answer" and not beside(question):
            try:
                return self._chat_draft(self._chat, kind, question, evidence, tell)
            except ChatModelError as error:
                quoted = self._quote(kind, question, evidence, tell)
                return Drafted(quoted, EXTRACTIVE_TIER, tuple(evidence), f"quoted instead of explained: {error}")
        return Drafted(self._quote(kind, question, evidence, tell), EXTRACTIVE_TIER, tuple(evidence))

    def _judged(self, question: str, found: SearchResult, *, fuzzy: bool) -> SufficiencyVerdict:
        """The judge's verdict, where the program does not know it better."""
        if fuzzy:
            return SufficiencyVerdict(True, 0.0, "several videos fit what is remembered")
        side = beside(question)
        if side and found.evidence and isinstance(found, PlannedResult) and not found.notes:
            return SufficiencyVerdict(True, 1.0, f"these are the words right {side} those named")
        return self._judge.judge(subject_of(question), found.evidence)

    def _ask_back(self, question: str, evidence: Sequence[Evidence], tell: OnChecked) -> Drafted:
        """One question that tells the candidates apart: the chat model's, else one that names them."""
        note = ""
        if self._chat:
            read = self._masker.evidence(evidence)
            prompt = build_clarify_prompt(self._masker.text(question), read, self._prompts_folder)
            version = template_version(CLARIFY_TEMPLATE, self._prompts_folder)
            try:
                asked = read_clarify_reply("".join(self._chat.stream(prompt)), read)
            except ChatModelError as error:
                asked, note = None, f"asked without the model: {error}"
            if asked:
                _tell([asked], evidence_texts(read), self._outputs.gate(prompt[0].content), tell)
                draft = Draft((asked,), not_found=False, raw=asked.text)
                return Drafted(draft, self._chat.name, read, "", prompt[0].content, version)
        asked = plain_question(evidence)
        _tell([asked], evidence_texts(evidence), self._outputs.gate(), tell)
        return Drafted(Draft((asked,), not_found=False, raw=asked.text), EXTRACTIVE_TIER, tuple(evidence), note)

    def _chat_draft(
        self, chat: ChatModel, kind: Kind, question: str, evidence: Sequence[Evidence], tell: OnChecked
    ) -> Drafted:
        evidence = self._masker.evidence(evidence)
        offered = evidence_texts(evidence)
        prompt = build_answer_prompt(self._masker.text(question), evidence, self._prompts_folder, kind=kind)
        version = template_version(answer_template(kind), self._prompts_folder)
        gate = self._outputs.gate(prompt[0].content)
        reader = SentenceReader()
        for delta in chat.stream(prompt):
            _tell(reader.feed(delta), offered, gate, tell)
        _tell(reader.finish(), offered, gate, tell)
        return Drafted(reader.draft(), chat.name, evidence, instructions=prompt[0].content, prompt_version=version)

    def _quote(self, kind: Kind, question: str, evidence: Sequence[Evidence], tell: OnChecked) -> Draft:
        draft = kind_draft(kind, question, evidence, self._similarity)
        _tell(draft.sentences, evidence_texts(evidence), self._outputs.gate(), tell)
        return draft


def shown(sentence: DraftSentence, masker: Masker) -> str:
    """The sentence, masked, followed by its citations, as `text [1][3]`."""
    return f"{masker.text(sentence.text)} {''.join(f'[{number}]' for number in sentence.numbers)}"


def masked_answer(answer: Answer, masker: Masker) -> Answer:
    """The answer with its evidence and quotes masked; its sentences were masked when they were let out."""
    evidence = masker.evidence(answer.evidence)
    knowing, offered = masker.knowing(answer.evidence), {item.number: item for item in evidence}
    citations = tuple(replace(c, evidence=offered[c.number], quote=knowing.text(c.quote)) for c in answer.citations)
    return replace(answer, evidence=evidence, citations=citations)


def evidence_texts(evidence: Sequence[Evidence]) -> dict[int, str]:
    """What each number offers."""
    return {item.number: spoken_and_seen(item.video, item.moment) for item in evidence}


def let_out(
    gate: OutputGate, checked: Sequence[DraftSentence], offered: Mapping[int, str]
) -> tuple[DraftSentence, ...]:
    """The checked sentences that give nothing away."""
    let = (gate.let_out(one, " ".join(offered[number] for number in one.numbers)) for one in checked)
    return tuple(sentence for sentence in let if sentence)


def _told(on_sentence: OnSentence, masker: Masker, sentence: DraftSentence) -> None:
    on_sentence(shown(sentence, masker))


def _tell(sentences: Sequence[DraftSentence], offered: Mapping[int, str], gate: OutputGate, tell: OnChecked) -> None:
    checked = [kept for sentence in sentences if (kept := check_sentence(sentence, offered))]
    for sentence in let_out(gate, checked, offered):
        tell(sentence)


def _abstention(
    question: str,
    route: RouteVerdict,
    found: SearchResult,
    confidence: float,
    reason: str,
    clock: Stopwatch,
    tier: str = "not asked",
) -> Answer:
    return Answer(
        question=question,
        route=route.route,
        topic=route.topic,
        status="abstained",
        text="The library does not hold the answer.",
        citations=(),
        evidence=found.evidence,
        confidence=confidence,
        reason=reason,
        tiers={**found.tiers, "answer": tier},
        timings_ms=clock.timings_ms(),
        removed_by_rules=found.removed_by_rules,
    )


def clarification(question: str, fact: str) -> Answer:
    """What is said of a question that cannot be asked."""
    return Answer(
        question=question,
        route="answer",
        topic="none",
        status="clarify",
        text=fact,
        citations=(),
        evidence=(),
        confidence=0.0,
        reason="the question cannot be asked like this",
        tiers={"answer": "not asked"},
        timings_ms={},
    )


def _refusal(question: str, route: RouteVerdict, clock: Stopwatch) -> Answer:
    return Answer(
        question=question,
        route=route.route,
        topic=route.topic,
        status="refused",
        text=route.message,
        citations=(),
        evidence=(),
        confidence=0.0,
        reason=route.reason,
        tiers={"answer": "not asked"},
        timings_ms=clock.timings_ms(),
    )


def _disclaimer(route: RouteVerdict) -> list[str]:
    return [route.message] if route.route == "restricted" else []
