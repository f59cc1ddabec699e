"""The nouns of prompts: a message for a chat model, and the draft that its reply is read into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ingest.schema import PlayheadError


class PromptError(PlayheadError):
    """A prompt template cannot be read or filled."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG for a model that sees, and the words that tell it which one it is; empty where there is only one."""

    label: str
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation with a chat model."""

    role: Literal["system", "user", "assistant"]
    content: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftSentence:
    """A sentence without its citation marks, and the evidence numbers it cited, each once, in order of appearance."""

    text: str
    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError(f"a sentence needs text, got {self.text!r}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A model's reply that no guard has passed; `not_found` says that the model saw no answer in the evidence."""

    sentences: tuple[DraftSentence, ...]
    not_found: bool
    raw: str


def quoting(sentences: tuple[DraftSentence, ...]) -> Draft:
    """The draft of the program's own sentences; without any it found nothing."""
    return Draft(sentences, not_found=not sentences, raw=" ".join(sentence.text for sentence in sentences))
