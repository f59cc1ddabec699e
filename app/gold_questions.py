"""Reads a questions file with its gold, and keeps what the searcher may know of a question apart from it."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.questions import AskedQuestion, make_scope, read_questions
from evaluation.gold import GoldLine, read_gold, videos_named
from ingest.catalog import Catalog
from ingest.index import Scope
from ingest.schema import WrongCallError
from retrievers.search import clean_question

SCOPES = ("library", "video")


@dataclass(frozen=True, slots=True)
class GoldQuestion:
    """One question: `asked` and `scope` are for the searcher, `gold`, whose video is an id, for the judge alone."""

    asked: AskedQuestion
    scope: Scope
    gold: GoldLine


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A question whose gold names no video of the library, or several."""

    id: str | int
    video: str
    meant: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, before anything is known of the library; `place` says where it stands."""

    place: str
    asked: AskedQuestion
    gold: GoldLine
    in_video: bool


def read_lines(file: Path) -> list[Line]:
    """Every line, checked; WrongCallError names the file and line that cannot be used, or an empty file."""
    asked = read_questions(None, file, None)
    if not asked:
        raise WrongCallError(f"{file} holds no question. Write one object a line.")
    texts = enumerate(file.read_text(encoding="utf-8-sig").split("\n"), 1)
    numbered = [(number, json.loads(text)) for number, text in texts if text.strip()]
    return [
        _read_line(fields, question, number, file) for question, (number, fields) in zip(asked, numbered, strict=True)
    ]


def _read_line(fields: dict[str, Any], asked: AskedQuestion, number: int, file: Path) -> Line:
    place = f"{file} line {number}"
    scope = fields.get("scope")
    if isinstance(scope, str) and scope not in SCOPES:
        raise WrongCallError(f'{place}: "scope" is {scope!r}. Write {" or ".join(SCOPES)}, or an object.')
    if not asked.image:
        try:
            clean_question(asked.text)
        except WrongCallError as error:
            raise WrongCallError(f"{place}: {error}") from None
    named = asked if asked.id is not None else replace(asked, id=number)
    return Line(place, named, read_gold(fields, place), in_video=scope == "video")


def resolve(lines: Sequence[Line], catalog: Catalog, tenant: str) -> tuple[list[GoldQuestion], list[LeftOut]]:
    """The questions with their videos and scopes found in the library, and those whose gold names no one video of it."""
    videos = catalog.videos(tenant)
    names = {line.gold.gold.video for line in lines if line.gold.gold}
    meant = {name: videos_named(videos, name) for name in names}
    questions: list[GoldQuestion] = []
    left_out: list[LeftOut] = []
    for line in lines:
        asked, gold = line.asked, line.gold
        if gold.gold:
            found = meant[gold.gold.video]
            if len(found) != 1:
                left_out.append(LeftOut(asked.id or "", gold.gold.video, len(found)))
                continue
            gold = replace(gold, gold=replace(gold.gold, video=found[0].video_id))
            if line.in_video:
                asked = replace(asked, videos=(found[0].video_id,))
        try:
            scope = make_scope(catalog, tenant, asked, None, None)
        except WrongCallError as error:
            raise WrongCallError(f"{line.place}: {error}") from None
        questions.append(GoldQuestion(asked, scope, gold))
    return questions, left_out


def draw(questions: Sequence[GoldQuestion], limit: int | None, seed: int) -> list[GoldQuestion]:
    """All questions, or as many as `limit` drawn by the seed."""
    drawn = list(questions)
    if limit is not None and limit < len(drawn):
        random.Random(seed).shuffle(drawn)
    return drawn[:limit]
