"""Sufficiency verdict: whether the evidence can hold the answer, judged before any model is asked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest.bm25 import content_stems, content_words, stems
from retrievers.close_reading import ReadEvidence, read_closely
from retrievers.evidence import Evidence
from retrievers.near_words import nearest_words
from retrievers.rerank import LateInteractionReranker
from retrievers.search import spoken_and_seen

CALIBRATION = Path(__file__).parent / "calibration.json"
JUDGED_EVIDENCE = 6
# Without a text model: the part of the question's words that the evidence must hold.
LEAST_SHARED_WORDS = 0.31
SAID = 0.5  # of spelling: misheard, but said
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Signal:
    """A value of each piece of evidence, of which the best or the mean tells whether any holds the answer.

    `unrelated` stands for evidence that a small library does not have: the median where a library held no answer.
    """

    of: Callable[[ReadEvidence], float]
    mean: bool = False
    unrelated: float = 0.0


SIGNALS = (
    Signal(lambda read: read.whole),
    Signal(lambda read: read.together),
    Signal(lambda read: read.spelling),
    # What the question has in common with all that was found says nothing for the best of it.
    Signal(lambda read: read.together, mean=True, unrelated=0.31),
    Signal(lambda read: read.spelling, mean=True, unrelated=0.33),
    Signal(lambda read: read.closeness, mean=True, unrelated=0.22),
)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic fit of the signals, and the confidence below which the library is said not to hold the answer.

    `risk` is the part of answerable questions that may abstain at `threshold`, chosen on `questions` of them. `model` is the
    revision of the text model that the signals were made with.
    """

    model: str
    weights: tuple[float, ...]
    offset: float
    threshold: float
    risk: float
    questions: int

    def __post_init__(self) -> None:
        if len(self.weights) != len(SIGNALS):
            raise ValueError(f"a calibration has {len(SIGNALS)} weights, got {len(self.weights)}")
        if not all(math.isfinite(value) for value in (*self.weights, self.offset)):
            raise ValueError(f"weights are finite numbers, got {self.weights} and {self.offset}")
        if not 0.0 < self.threshold < 1.0:
            raise ValueError(f"a threshold lies between 0 and 1, got {self.threshold}")

    def confidence(self, signals: Sequence[float]) -> float:
        """The probability that evidence with these signals holds the answer."""
        logit = self.offset + sum(weight * value for weight, value in zip(self.weights, signals, strict=True))
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, logit))))


def read_calibration(path: Path = CALIBRATION) -> Calibration:
    """The calibration of a file; raises ValueError when it is none."""
    try:
        values = json.loads(path.read_text("utf-8"))
        return Calibration(**{**values, "weights": tuple(values["weights"])})
    except (OSError, TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is no calibration: {error}. Delete it, or write it anew.") from None


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write what `read_calibration` reads."""
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps(asdict(calibration), indent=1) + "\n", encoding="utf-8")
    scratch.replace(path)


@dataclass(frozen=True, slots=True)
class SufficiencyVerdict:
    """Whether to answer, with the probability that the evidence supports an answer and a reason for people."""

    passed: bool
    confidence: float
    reason: str


class SufficiencyJudge:
    """Judges by how near the evidence is to the question; without a text model, by the question's words found in it."""

    def __init__(self, similarity: LateInteractionReranker | None, calibration: Calibration | None = None) -> None:
        self._similarity = similarity
        self._calibration = calibration or read_calibration()
        self.threshold = self._calibration.threshold if similarity else LEAST_SHARED_WORDS
        self.tier = "calibrated" if similarity else "share of the question's words, not calibrated"

    def judge(self, question: str, evidence: Sequence[Evidence]) -> SufficiencyVerdict:
        """No evidence never passes."""
        if not evidence:
            return SufficiencyVerdict(False, 0.0, "nothing in the library matches the question")
        if self._similarity:
            confidence = self._calibration.confidence(self.signals(question, evidence))
        else:
            texts = (spoken_and_seen(item.video, item.moment) for item in evidence[:JUDGED_EVIDENCE])
            confidence = max(shared_words(question, text) for text in texts)
        if confidence < self.threshold:
            return SufficiencyVerdict(False, confidence, what_is_missing(question, evidence))
        return SufficiencyVerdict(True, confidence, "the evidence is about what is asked")

    def signals(self, question: str, evidence: Sequence[Evidence]) -> tuple[float, ...]:
        """What the confidence is made of, one value for each of SIGNALS."""
        read = read_closely(question, evidence[:JUDGED_EVIDENCE], self._similarity)
        return tuple(_signal(signal, [signal.of(one) for one in read]) for signal in SIGNALS)


def _signal(signal: Signal, values: Sequence[float]) -> float:
    if not signal.mean:
        return max(values, default=0.0)
    missing = JUDGED_EVIDENCE - len(values)
    return (sum(values) + missing * signal.unrelated) / JUDGED_EVIDENCE


def what_is_missing(question: str, evidence: Sequence[Evidence]) -> str:
    """Why evidence does not suffice: the words of the question that none of it says, as they were asked, or nearly."""
    held = {word for item in evidence for word in content_words(spoken_and_seen(item.video, item.moment))}
    asked = content_words(question)
    nearest = dict(zip(asked, nearest_words(asked, held), strict=True))  # each word once
    missing = [f"“{word}”" for word, similarity in nearest.items() if similarity < SAID][:MOST_NAMED]
    if not missing:
        return "the closest moments are not about what is asked"
    return f"the closest moments are not about what is asked, and say nothing of {', '.join(missing)}"


def shared_words(question: str, text: str) -> float:
    """The part of the question's content words that the text holds, 0..1."""
    asked = content_stems(question) or stems(question)
    return len(asked & stems(text)) / len(asked) if asked else 0.0
