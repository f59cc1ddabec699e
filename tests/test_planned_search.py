"""Plans at work on a small library, through the command line and through the parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from conftest import TALKS, Playhead
from fakes import HashEmbedder

from ingest.bm25 import bm25_document
from ingest.catalog import Catalog
from ingest.index import LegHit, LegVector, Point, Scope, SparseVector, VideoIndex
from ingest.points import labels
from ingest.schema import Moment, Timeline, TranscriptSegment, Video, WrongCallError
from ingest.server_index import ServerIndex
from retrievers.kept_moments import KeptMoments
from retrievers.planned_search import PlannedResult, PlannedSearcher
from retrievers.search import Searcher

SENTENCE_SECONDS = 10.0


class Shelf:
    """A library in memory: each video says one sentence every ten seconds, each moment is three of them."""

    def __init__(self, videos: Mapping[str, Sequence[str]], folder: Path, **more: object) -> None:
        from qdrant_client import QdrantClient

        self.embedder = HashEmbedder()
        self.index: VideoIndex = ServerIndex(QdrantClient(":memory:"), "moments", self.embedder.dimension, None)
        self.catalog = Catalog(f"sqlite:///{folder / 'catalog.sqlite'}")
        for title, sentences in videos.items():
            self._add(title, sentences, **more)
        self.searcher = PlannedSearcher(self.index, self.catalog, self.searcher_over)

    def _add(self, title: str, sentences: Sequence[str], **more: object) -> None:
        duration = SENTENCE_SECONDS * len(sentences)
        video = Video("local", title, title, duration, "x", **more)  # type: ignore[arg-type]
        said = [
            TranscriptSegment(n * SENTENCE_SECONDS, (n + 1) * SENTENCE_SECONDS, text, "sidecar captions")
            for n, text in enumerate(sentences)
        ]
        self.catalog.put(video, Timeline(transcript=tuple(said)))
        points = []
        for first in range(max(1, len(said) - 2)):
            part = tuple(said[first : first + 3])
            moment = Moment("local", title, part[0].start_seconds, part[-1].end_seconds, part)
            vectors: dict[str, LegVector] = {"speech_dense": self.embedder.embed([moment.speech])[0]}
            words = bm25_document(moment.speech)
            if words:
                vectors["speech_bm25"] = words
            points.append(Point(moment, vectors, labels(video)))
        self.index.replace("local", title, points)

    def searcher_over(self, index: VideoIndex) -> Searcher:
        return Searcher(index, self.catalog, self.embedder, None, None)

    def find(self, query: str, limit: int = 10) -> PlannedResult:
        found = self.searcher.search(query, Scope("local"), limit)
        assert isinstance(found, PlannedResult)
        return found

    def places(self, query: str) -> list[tuple[str, float, float]]:
        return [
            (item.video.title, item.moment.start_seconds, item.moment.end_seconds) for item in self.find(query).evidence
        ]


WALK = {
    "walk": ["we meet a dog", "rain falls", "a cat sleeps", "the dog barks", "snow falls", "a horse runs", "the sun sets", "goodbye"],
    "farm": ["a horse eats", "a cat hunts", "a dog and a cat play", "hay is cut", "corn grows", "the dog sleeps", "pigs eat", "night"],
}  # fmt: skip


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Only read, so one for all tests."""
    library = Shelf(WALK, tmp_path_factory.mktemp("shelf"))
    yield library
    library.catalog.close()
    library.index.close()


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("first: dog", [("farm", 20, 30), ("walk", 0, 10)]),
        ("last: dog", [("farm", 50, 60), ("walk", 30, 40)]),
        ("the first time a horse is mentioned", [("farm", 0, 10), ("walk", 50, 60)]),
        ('first: "dog barks"', [("walk", 30, 40)]),
        ("cat >> dog", [("walk", 20, 40), ("farm", 10, 30), ("farm", 20, 60)]),
        ("cat while: dog", [("farm", 20, 30)]),
        ("after: snow", [("walk", 50, 80)]),
        ("before: snow", [("walk", 10, 40)]),
        ("what is said right after the dog barks?", [("walk", 40, 70)]),
        ("before: goodbye -cat time:end", [("walk", 40, 70)]),
        ("before: we meet", []),
        ("first: elephant", []),
        ("first: dog time:40:00-", []),
        ("first: horse video:walk", [("walk", 50, 60)]),
        ("first: horse video:zoo", []),
    ],
)
def test_operators_find_spans(shelf: Shelf, query: str, places: list[tuple[str, float, float]]) -> None:
    assert sorted(shelf.places(query)) == sorted(places)


def test_counting_counts_mentions_and_not_moments(shelf: Shelf) -> None:
    found = shelf.find("how many times is a dog mentioned?")
    assert [(one.video.title, one.times) for one in found.counts] == [("farm", 2), ("walk", 2)]
    assert [(item.video.title, item.moment.start_seconds) for item in found.evidence] == [
        ("farm", 20.0), ("farm", 50.0), ("walk", 0.0), ("walk", 30.0),
    ]  # fmt: skip
    assert [part.channel for parts in found.spans for part in parts] == ["speech"] * 4


@pytest.mark.parametrize("query", ["dog -cat", "a dog but not a cat", "find moments about a dog except the cat"])
def test_what_is_left_out_is_in_no_hit(shelf: Shelf, query: str) -> None:
    found = shelf.find(query)
    assert found.evidence
    assert not any("cat" in item.moment.speech.split() for item in found.evidence)
    assert "dog" in found.evidence[0].moment.speech


def test_without_as_a_topic_keeps_what_tells_of_it(tmp_path: Path) -> None:
    library = Shelf(
        {"bread": ["flat bread without yeast", "is thin", "and crisp", "x", "x", "yeast makes bread rise"]}, tmp_path
    )
    texts = [item.moment.speech for item in library.find("bread without yeast").evidence]
    assert any("without yeast" in text for text in texts)
    assert not any("yeast makes" in text for text in texts)


@pytest.mark.parametrize(
    ("query", "least", "most"),
    [
        ("dog time:0:00-0:30", 0, 45),
        ("dog in the last 30 seconds", 35, 80),
        ("what is said about the dog before 0:30?", 0, 45),
    ],
)
def test_times_keep_hits_in_their_window(shelf: Shelf, query: str, least: float, most: float) -> None:
    found = shelf.find(query)
    assert {item.video.title for item in found.evidence} == {"walk", "farm"}
    for item in found.evidence:
        assert least <= item.moment.start_seconds <= item.moment.end_seconds <= most


def test_a_phrase_that_nobody_says_finds_nothing_and_says_so(shelf: Shelf) -> None:
    found = shelf.find('"dog sings"')
    assert (found.evidence, found.notes) == ((), ('Nothing in the videos says or shows "dog sings" word for word.',))
    asked = shelf.find('Why is it called a "dog sings"?')
    assert asked.evidence
    assert "searched for its words" in asked.notes[0]


def test_every_hit_of_a_phrase_holds_it(shelf: Shelf) -> None:
    for query in ('"a cat"', 'Which animal is "a cat"?', '"a cat" "a dog"'):
        found = shelf.find(query)
        assert found.evidence
        assert all("a cat" in item.moment.speech for item in found.evidence)


def test_what_nobody_says_is_taken_by_meaning_and_said(shelf: Shelf) -> None:
    found = shelf.find("after: dog elephant")
    assert found.evidence
    assert found.notes[-1] == "dog elephant is taken by meaning."


def test_the_scope_given_is_never_widened(shelf: Shelf) -> None:
    scope = Scope("local", ("farm",), {"language": ("en",)})
    found = shelf.searcher.search("dog video:walk", scope, 5)
    assert found.evidence == ()
    other = shelf.searcher.search("dog language:de", scope, 5)
    assert isinstance(other, PlannedResult)
    assert (other.evidence, len(other.notes)) == ((), 1)
    assert shelf.searcher.search("count: dog", Scope("other"), 5).evidence == ()


def test_filters_in_words_reach_the_index(tmp_path: Path) -> None:
    library = Shelf(
        {"one": ["a dog", "a cat", "a cow"]}, tmp_path, published_at="2023-05-01", language="de", tags=("Pets",)
    )
    for found in ("in the video called One", "in videos from 2023", "in german videos", "tagged pets", "tag:PETS"):
        assert library.find(f"a dog {found}").evidence, found
    for empty in ("in videos from 2022", "in english videos", "tag:physics"):
        assert not library.find(f"a dog {empty}").evidence, empty


def test_an_empty_query_is_a_wrong_call(shelf: Shelf) -> None:
    with pytest.raises(WrongCallError, match="empty"):
        shelf.searcher.search("  ", Scope("local"))


def test_a_plain_question_is_searched_as_before(shelf: Shelf) -> None:
    plain = shelf.searcher_over(shelf.index).search("Where does the dog sleep?", Scope("local"), 5)
    found = shelf.find("Where does the dog sleep?", 5)
    assert [item.moment.moment_id for item in found.evidence] == [item.moment.moment_id for item in plain.evidence]
    assert found.plan.plain
    assert set(plain.timings_ms) == set(found.timings_ms)


def test_a_view_asks_for_more_until_enough_are_kept() -> None:
    moments = {moment.moment_id: moment for moment in (Moment("local", "v", float(n), n + 1.0) for n in range(30))}
    asked: list[int] = []

    class Ranked:
        """Thirty moments in order of time, and what was asked of them."""

        def search(self, queries: Mapping[str, LegVector], scope: Scope, limit: int) -> dict[str, list[LegHit]]:
            asked.append(limit)
            return {leg: [LegHit(key, -moments[key].start_seconds) for key in moments][:limit] for leg in queries}

        def fetch(self, tenant: str, moment_ids: Sequence[str]) -> list[Moment]:
            return [moments[key] for key in moment_ids]

    def late(found: Sequence[Moment]) -> list[bool]:
        return [moment.start_seconds >= 20 for moment in found]

    view = KeptMoments(Ranked(), late, enough=3)  # type: ignore[arg-type]
    found = view.search({"speech_bm25": SparseVector((1,), (1.0,))}, Scope("local"), 4)["speech_bm25"]
    assert [moments[hit.moment_id].start_seconds for hit in found] == [20.0, 21.0, 22.0]
    assert asked == [8, 32]


# --- Through the command line


def test_the_command_line_tells_plans(playhead: Playhead, talks: Path, tmp_path: Path) -> None:
    playhead("ingest", talks)
    told = playhead("search", "count: dance").out.splitlines()
    assert told[:2] == ["plan: how many times in each video: dance", "2 times in 1 of the videos: bees 2"]
    assert told[2].startswith(" 1. bees  0:00-")
    queries = [
        "who built a lens?",
        'count: dance -"coal"',
        '"cold night in the fridge"',
        '"cold fridge"',
        "the sun -dance",
        "dough in the video called bread",
        "dough time:1:00:00-",
        "the first time the lamp is mentioned",
    ]
    file = tmp_path / "queries.jsonl"
    file.write_text("\n".join(json.dumps({"id": query, "question": query}) for query in queries), encoding="utf-8")
    lines = [json.loads(line) for line in playhead("search", "--questions", file, "--json").out.splitlines()]
    assert [line["id"] for line in lines] == queries
    plain, counted, said, unsaid, left_out, named, late, first = lines
    titles = [{hit["video_title"] for hit in line["hits"]} for line in lines]
    assert plain["plan"]["plain"] is True
    assert counted["plan"]["description"] == 'how many times in each video: dance, not about "coal"'
    assert [(one["video_title"], one["times"]) for one in counted["plan"]["counts"]] == [("bees", 2)]
    assert counted["plan"]["spans"][0][0]["start_seconds"] == 0.0
    assert titles[2:] == [{"bread"}, set(), titles[4], {"bread"}, set(), {"lighthouses"}]
    assert "word for word" in unsaid["plan"]["notes"][0]
    assert titles[4] == {"bread", "lighthouses"}
    assert TALKS["bread"][2] in said["hits"][0]["text"]
    assert first["hits"][0]["start_seconds"] == 16.0
    assert (named["plan"]["videos"], late["plan"]["times"]) == (["bread"], ["after 1:00:00"])
    assert left_out["plan"]["sought"][0]["without"] == ["dance"]
    file.write_text(json.dumps({"question": "who won the Nobel Prize in the video called bread?"}), encoding="utf-8")
    answer = json.loads(playhead("ask", "--questions", file, "--json").out)
    assert {hit["video_title"] for hit in answer["evidence"]} == {"bread"}
