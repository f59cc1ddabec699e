"""The path of one question: route, search, judge the evidence, draft, check the citations, answer or abstain."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.answer import Answer
from app.chat_model import ChatModel, ChatModelError
from app.citing import cite
from app.explaining import Drafted, Explainer, Means, OnSentences, has_words, is_visual
from app.gathering import ALL_PARTS, PARTS_ABOUT_WORDS, arranged, kept_only, words_beside
from app.usage import OnUsage, Usage, total_usage
from guards.citations import Problem, check_citations, check_sentence, no_problem
from guards.claims import ClaimChecker
from guards.conflicts import find_conflicts
from guards.output_filter import OutputFilter, OutputGate
from guards.privacy import Masker
from guards.routing import Router
from guards.sufficiency import SufficiencyJudge, SufficiencyVerdict
from guards.verdict import RouteVerdict
from ingest.index import Scope
from ingest.schema import WrongCallError
from prompts.clarify import CLARIFY_TEMPLATE, build_clarify_prompt, fitting_videos, plain_question, read_clarify_reply
from prompts.draft import Draft, DraftSentence, quoting
from prompts.extractive_kinds import kind_draft
from prompts.filling import template_version
from prompts.kinds import Kind, beside, kind_of, subject_of
from retrievers.evidence import Evidence, SearchResult
from retrievers.planned_search import PlannedResult
from retrievers.rerank import LateInteractionReranker
from retrievers.ruled_search import MomentSearcher
from retrievers.search import Stopwatch, clean_question, spoken_and_seen

EVIDENCE_LIMIT = 6
EXTRACTIVE_TIER = "extractive"
NO_SECRETS, NO_MASK = OutputFilter(), Masker()
# What is left of a question's seconds when the model gives up is enough to quote.
EXPLAINING_PART = 0.9
# Moments without words that pictures put among so many first are shown where words hold no answer.
LOOKED_AT = 3
LOOKS_LIKE = "These moments look like what you ask."
OnSentence = Callable[[str], None]
OnChecked = Callable[[DraftSentence], None]


def ignore(sentence: str) -> None:
    """The default listener of a stream."""


@dataclass(frozen=True, slots=True)
class _Asking:
    """One question on its way to a draft; `words_suffice` says that the evidence may be quoted."""

    kind: Kind
    question: str
    scope: Scope
    route: RouteVerdict
    words_suffice: bool
    tell: OnChecked
    on_usage: OnUsage
    ends_at: float


class Answerer:
    """Answers questions about one library; without a chat model, or when it fails, by quoting."""

    def __init__(
        self,
        router: Router,
        searcher: MomentSearcher,
        judge: SufficiencyJudge,
        similarity: LateInteractionReranker | None,
        chat: ChatModel | None,
        prompts_folder: Path | None,
        outputs: OutputFilter = NO_SECRETS,
        masker: Masker = NO_MASK,
        means: Means | None = None,
    ) -> None:
        self._router = router
        self._searcher = searcher
        self._judge = judge
        self._similarity = similarity
        self._claims = ClaimChecker(similarity)
        self._chat = chat
        self._prompts_folder = prompts_folder
        self._outputs = outputs
        self._masker = masker
        self._means = means or Means()
        self._explainer = Explainer(chat, prompts_folder, masker, self._means) if chat else None

    def ask(
        self,
        question: str,
        scope: Scope,
        on_sentence: OnSentence = ignore,
        *,
        may_ask_back: bool = True,
        follows: str = "",
    ) -> Answer:
        """A cited answer, an abstention with the closest moments, or a refusal; `on_sentence` hears each checked sentence.

        It may be one question back where several videos fit what somebody hardly remembers. What the policy says of the
        question that this one `follows` holds for it too.
        """
        spent: list[Usage] = []
        answer = self._ask(question, scope, on_sentence, may_ask_back, follows, spent.append)
        tiers = {role: self._outputs.redact(name) for role, name in answer.tiers.items()}
        return replace(answer, reason=self._outputs.redact(answer.reason), tiers=tiers, usage=total_usage(spent))

    def is_claimed(self, question: str) -> bool:
        """Whether the policy has a say in a question."""
        return self._router.route(question).route != "answer"

    def _ask(
        self, question: str, scope: Scope, on_sentence: OnSentence, may_ask_back: bool, follows: str, on_usage: OnUsage
    ) -> Answer:
        clock, ends_at = Stopwatch(), time.monotonic() + EXPLAINING_PART * self._means.answer_seconds
        try:
            question = clean_question(question)
        except WrongCallError as error:
            return clarification(question, str(error))
        route = self._router.route(question)
        if route.route == "answer" and follows:
            route = self._router.route(follows)
        if route.route in ("refused", "support"):
            return _refusal(question, route, clock)
        with clock.stage("retrieve"):
            found = self._searcher.search(question, scope, EVIDENCE_LIMIT)
        candidates = fitting_videos(question, found.evidence) if may_ask_back and route.route == "answer" else ()
        if candidates:
            found = kept_only(found, question, candidates)
        with clock.stage("judge"):
            sufficiency = self._judged(question, found, fuzzy=bool(candidates))
        kind = kind_of(question)
        found = arranged(kind, found)
        knowing = self._masker.knowing(found.evidence)
        # From here on nothing that is to be masked is there to be quoted, compared or sent.
        found = replace(
            found,
            evidence=self._masker.evidence(found.evidence),
            tiers={**found.tiers, "confidence": self._judge.tier},
        )
        alike = look_alikes(found.evidence)
        looks = bool(alike and self._explainer and route.route == "answer" and self._explainer.sees(alike))
        if not sufficiency.passed and not looks:
            abstention = _abstention(question, route, found, sufficiency.confidence, sufficiency.reason, clock)
            return with_look_alikes(abstention, alike)
        with clock.stage("draft"):
            tell = functools.partial(_told, on_sentence, knowing)
            ask = _Asking(kind, question, scope, route, sufficiency.passed, tell, on_usage, ends_at)
            drafted = self._ask_back(ask, found.evidence) if candidates else self._draft(ask, found.evidence)
        offered = evidence_texts(drafted.offered)
        for number, claims in drafted.seen.items():
            offered[number] += f" {claims}"
        is_claimed = not candidates and drafted.tier != EXTRACTIVE_TIER  # a quote was cut from what it cites
        problem = self._problem(question, drafted.offered) if is_claimed else no_problem
        checked, dropped, citations = check_citations(drafted.draft, offered, problem)
        gate = self._outputs.gate(drafted.instructions)
        kept = let_out(gate, checked, offered)
        if not kept:
            quoted = drafted.tier == EXTRACTIVE_TIER and drafted.note
            reason = quoted or (f"the reply gave away {gate.withheld}" if gate.withheld else citations.reason)
            # Nothing that was read out of the evidence could be shown.
            confidence = min(sufficiency.confidence, self._judge.threshold)
            abstention = _abstention(question, route, found, confidence, reason, clock, drafted.tier)
            abstention = replace(abstention, kind=kind, prompt_version=drafted.prompt_version)
            return with_look_alikes(abstention, alike) if drafted.tier == EXTRACTIVE_TIER else abstention
        conflicts = find_conflicts(kept, {item.number: item.video.video_id for item in drafted.offered})
        for conflict in conflicts:
            kept = (*kept, conflict.sentence())
            tell(conflict.sentence())
        return Answer(
            question=question,
            route=route.route,
            topic=route.topic,
            status="clarify" if candidates else "restricted" if route.route == "restricted" else "answered",
            text=" ".join([*(shown(sentence, knowing) for sentence in kept), *_disclaimer(route)]),
            citations=cite(question, kept, found.evidence, self._similarity),
            evidence=found.evidence,
            # What a picture was found to show answers where words did not; how sure that is has not been measured.
            confidence=sufficiency.confidence if sufficiency.passed else self._judge.threshold,
            reason=drafted.note
            or (citations.reason if dropped or len(checked) < len(drafted.draft.sentences) else sufficiency.reason),
            tiers={**found.tiers, "answer": drafted.tier},
            timings_ms=clock.timings_ms(),
            removed_by_rules=found.removed_by_rules,
            kind=kind,
            prompt_version=drafted.prompt_version,
        )

    def _draft(self, ask: _Asking, evidence: Sequence[Evidence]) -> Drafted:
        """The chat model's draft; the extractive one without a model, when it fails, and where only quotes are allowed."""
        note = ""
        if self._explainer and ask.route.route == "answer" and not beside(ask.question):
            try:
                read = evidence if ask.words_suffice else look_alikes(evidence)
                return self._explainer.explain(
                    ask.kind, ask.question, read, ask.scope, self._listen(ask), ask.on_usage, ask.ends_at
                )
            except ChatModelError as error:
                note = f"quoted instead of explained: {error}"
        quoted = self._quote(ask, evidence) if ask.words_suffice else quoting(())
        return Drafted(quoted, EXTRACTIVE_TIER, tuple(evidence), note)

    def _listen(self, ask: _Asking) -> Callable[[str, Sequence[Evidence]], OnSentences]:
        """What makes a listener of a reply, from the instructions that its writer has and the evidence it reads."""

        def listen(instructions: str, offered: Sequence[Evidence]) -> OnSentences:
            gate, texts = self._outputs.gate(instructions), evidence_texts(offered)
            problem = self._problem(ask.question, offered)
            return lambda sentences: _tell(sentences, texts, gate, ask.tell, problem)

        return listen

    def _problem(self, question: str, evidence: Sequence[Evidence]) -> Problem:
        """The claim check of one question; what cites a moment without words was checked against its picture."""
        wordless = {item.number for item in evidence if not has_words(item)}

        def problem(claim: str, numbers: Sequence[int], offered: Mapping[int, str]) -> str:
            return "" if wordless.intersection(numbers) else self._claims.problem(claim, numbers, offered, question)

        return problem

    def _judged(self, question: str, found: SearchResult, *, fuzzy: bool) -> SufficiencyVerdict:
        """The judge's verdict, where the program does not know it better."""
        if fuzzy:
            return SufficiencyVerdict(True, 0.0, "several videos fit what is remembered")
        if found.evidence and found.tiers.get("search") == ALL_PARTS:
            return SufficiencyVerdict(True, 1.0, "these moments are of all parts of the video")
        side = beside(question)
        if side and found.evidence and isinstance(found, PlannedResult) and not found.notes:
            return SufficiencyVerdict(True, 1.0, f"these are the words right {side} those named")
        subject = subject_of(question)
        if found.tiers.get("search") == PARTS_ABOUT_WORDS:  # that they are of the video named is no sign
            subject = words_beside(subject, [item.video for item in found.evidence])
        return self._judge.judge(subject, found.evidence)

    def _ask_back(self, ask: _Asking, evidence: Sequence[Evidence]) -> Drafted:
        """One question that tells the candidates apart: the chat model's, else one that names them."""
        note = ""
        if self._chat:
            prompt = build_clarify_prompt(self._masker.text(ask.question), evidence, self._prompts_folder)
            version = template_version(CLARIFY_TEMPLATE, self._prompts_folder)
            try:
                reply = self._chat.stream(prompt, on_usage=ask.on_usage, ends_at=ask.ends_at)
                asked = read_clarify_reply("".join(reply), evidence)
            except ChatModelError as error:
                asked, note = None, f"asked without the model: {error}"
            if asked:
                _tell([asked], evidence_texts(evidence), self._outputs.gate(prompt[0].content), ask.tell)
                return Drafted(quoting((asked,)), self._chat.name, tuple(evidence), "", prompt[0].content, version)
        asked = plain_question(evidence)
        _tell([asked], evidence_texts(evidence), self._outputs.gate(), ask.tell)
        return Drafted(quoting((asked,)), EXTRACTIVE_TIER, tuple(evidence), note)

    def _quote(self, ask: _Asking, evidence: Sequence[Evidence]) -> Draft:
        draft = kind_draft(ask.kind, ask.question, evidence, self._similarity)
        _tell(draft.sentences, evidence_texts(evidence), self._outputs.gate(), ask.tell)
        return draft


def look_alikes(evidence: Sequence[Evidence]) -> list[Evidence]:
    """The moments among the first that only pictures found and that hold no words: there is nothing in them to quote."""
    return [item for item in evidence[:LOOKED_AT] if is_visual(item) and not has_words(item)]


def with_look_alikes(abstention: Answer, alike: Sequence[Evidence]) -> Answer:
    """The abstention, with citations of the moments that look right: they are shown, and nothing is said of them."""
    if not alike:
        return abstention
    sentence = DraftSentence(LOOKS_LIKE, tuple(item.number for item in alike))
    return replace(
        abstention,
        text=f"No words in the library answer this. {shown(sentence, NO_MASK)}",
        citations=cite(abstention.question, [sentence], abstention.evidence),
    )


def shown(sentence: DraftSentence, masker: Masker) -> str:
    """The sentence, masked, followed by its citations, as `text [1][3]`."""
    return f"{masker.text(sentence.text)} {''.join(f'[{number}]' for number in sentence.numbers)}"


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


def _tell(
    sentences: Sequence[DraftSentence],
    offered: Mapping[int, str],
    gate: OutputGate,
    tell: OnChecked,
    problem: Problem = no_problem,
) -> None:
    checked = [kept for sentence in sentences if (kept := check_sentence(sentence, offered, problem))]
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
        text=" ".join(["The library does not hold the answer.", *_disclaimer(route)]),
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
