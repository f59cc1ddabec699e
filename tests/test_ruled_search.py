"""A search under rules: as if what they forbid were not there, still as many hits as asked for, and said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Playhead
from fakes import HashEmbedder

from ingest.bm25 import bm25_document
from ingest.catalog import Catalog
from ingest.edge_index import EdgeIndex
from ingest.index import LegHit, LegVector, Point, Scope, VideoIndex
from ingest.schema import Moment, Timeline, TranscriptSegment, Video
from retrievers.ruled_search import RuledSearcher, UnderRules
from retrievers.rules_file import RulesFile
from retrievers.search import Searcher

RARE = 20  # every so many videos one is a talk
VIDEOS, MOMENTS = 40, 25


class CountingIndex:
    """Passes everything on and writes down how deep each search asked."""

    def __init__(self, index: VideoIndex) -> None:
        self._index = index
        self.depths: list[int] = []

    def search(self, queries: dict[str, LegVector], scope: Scope, limit: int) -> dict[str, list[LegHit]]:
        self.depths.append(limit)
        return self._index.search(queries, scope, limit)

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CountingIndex, Catalog]]:
    """Thousand moments about bread in 40 videos; two of these are talks, the others drafts."""
    folder = tmp_path_factory.mktemp("ruled")
    catalog, embedder = Catalog(f"sqlite:///{folder / 'catalog.sqlite'}"), HashEmbedder()
    points: list[Point] = []
    for number in range(VIDEOS):
        tag = "talk" if number % RARE == 0 else "draft"
        video_id = f"{number:03}"
        catalog.put(Video("local", video_id, f"Video {number}", 250.0, "f", tags=(tag,)), Timeline())
        for place in range(MOMENTS):
            text = f"bread and dough {number} part {place}" + (" drat" if place == 1 else "")
            said = TranscriptSegment(place * 10.0, place * 10.0 + 9.0, text, "sidecar captions")
            moment = Moment("local", video_id, place * 10.0, place * 10.0 + 10.0, (said,))
            words = bm25_document(text)
            assert words is not None
            points.append(Point(moment, {"speech_bm25": words, "speech_dense": embedder.embed([text])[0]}))
    index = EdgeIndex(folder / "index", embedder.dimension, None)
    for number in range(VIDEOS):
        index.replace("local", f"{number:03}", points[number * MOMENTS : (number + 1) * MOMENTS])
    yield CountingIndex(index), catalog
    index.close()
    catalog.close()


def ruled(library: tuple[CountingIndex, Catalog], rules: Path) -> RuledSearcher:
    index, catalog = library
    index.depths.clear()
    rules_of_library = UnderRules(index, catalog, RulesFile(rules))
    return RuledSearcher(rules_of_library, lambda view: Searcher(view, catalog, HashEmbedder(), None, None))


def test_a_rule_that_removes_most_still_gives_as_many_hits_as_asked_for(
    library: tuple[CountingIndex, Catalog], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text("tags: {allow: [talk]}", encoding="utf-8")
    found = ruled(library, tmp_path / "rules.yaml").search("bread and dough", Scope("local"), 20)
    assert len(found.evidence) == 20
    assert {item.video.tags for item in found.evidence} == {("talk",)}
    assert [item.number for item in found.evidence] == [*range(1, 21)]
    assert found.removed_by_rules["tags.allow"] >= 95
    assert found.tiers["rules"] == "in force"
    assert library[0].depths == [100, 400]  # the second time among the 50 allowed moments only


def test_a_rule_about_words_goes_deeper_until_there_is_enough(
    library: tuple[CountingIndex, Catalog], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text(
        f"blocked_terms: [drat, {', '.join(f'part {place}' for place in range(MOMENTS) if place != 4)}]",
        encoding="utf-8",
    )
    found = ruled(library, tmp_path / "rules.yaml").search("bread and dough part 1", Scope("local"), 30)
    assert len(found.evidence) == 30
    assert {item.moment.start_seconds for item in found.evidence} == {40.0}
    assert library[0].depths == [100, 400, 1600]
    assert found.removed_by_rules["blocked_terms"] > 100


def test_what_is_allowed_keeps_its_order(library: tuple[CountingIndex, Catalog], tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("blocked_terms: [drat]", encoding="utf-8")
    searcher = ruled(library, tmp_path / "rules.yaml")
    question = "dough 120 part 3"
    under_rules = [item.moment.moment_id for item in searcher.search(question, Scope("local"), 10).evidence]
    (tmp_path / "rules.yaml").write_text("", encoding="utf-8")
    free = searcher.search(question, Scope("local"), 20)
    assert (dict(free.removed_by_rules), "rules" in free.tiers) == ({}, False)
    allowed = [item.moment.moment_id for item in free.evidence if "drat" not in item.moment.speech]
    assert under_rules[:5] == allowed[:5]


def test_a_rule_that_forbids_everything_finds_nothing_and_says_why(
    library: tuple[CountingIndex, Catalog], tmp_path: Path
) -> None:
    (tmp_path / "rules.yaml").write_text("length: {min_seconds: 300}", encoding="utf-8")
    found = ruled(library, tmp_path / "rules.yaml").search("bread", Scope("local"))
    assert found.evidence == ()
    assert found.removed_by_rules["length.min_seconds"] >= 100
    assert library[0].depths == [100]


def test_rules_of_one_tenant_do_not_hold_for_another_and_a_broken_edit_is_said(
    library: tuple[CountingIndex, Catalog], tmp_path: Path
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("tenants: {acme: {blocked_terms: [bread]}}", encoding="utf-8")
    searcher = ruled(library, path)
    assert len(searcher.search("bread", Scope("local")).evidence) == 10
    assert searcher.search("bread", Scope("acme")).evidence == ()
    path.write_text("tenants: {acme: {blocked: [bread]}}", encoding="utf-8")
    assert "cannot be used" in searcher.search("bread", Scope("local")).tiers["rules"]


def test_commands_obey_the_rules_of_the_library_and_say_so(playhead: Playhead, talks: Path, tmp_path: Path) -> None:
    playhead("ingest", talks)
    (tmp_path / "library" / "rules.yaml").write_text("blocked_terms: [karl von frisch]", encoding="utf-8")
    found = playhead("search", "who won the nobel prize", "--json").json
    assert found["removed_by_rules"] == {"blocked_terms": 1}
    assert "(removed by rules: blocked_terms 1)" in playhead("search", "who won the nobel prize").out
    answer = playhead("ask", "Who won the Nobel Prize for reading the dance?", "--json").json
    assert answer["removed_by_rules"] == {"blocked_terms": 1}
    assert not any("Frisch" in item["text"] for item in (*found["hits"], *answer["evidence"]))
    (tmp_path / "library" / "rules.yaml").write_text("blocked: [karl von frisch]", encoding="utf-8")
    ran = playhead("search", "who won the nobel prize")
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "line 1: blocked is no rule. Did you mean blocked_terms?" in ran.err
    assert "blocked is no rule" in playhead("doctor", "--json").json["warnings"][0]
