"""A small library of talks, searched and answered like a real one: for tests of what spans several videos or questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fakes import HashEmbedder, ScriptedChat

from app.answerer import Answerer
from app.gathering import Gatherer
from guards.routing import Router
from guards.sufficiency import SufficiencyJudge
from ingest.catalog import Catalog
from ingest.checkpoint import Checkpoint
from ingest.edge_index import EdgeIndex
from ingest.library import LibraryFolder
from ingest.points import make_points
from ingest.reading import Content
from ingest.schema import Timeline, TranscriptSegment, Video
from retrievers.moment_tokens import MomentTokens
from retrievers.planned_search import PlannedSearcher
from retrievers.rerank import LateInteractionReranker
from retrievers.ruled_search import RuledSearcher, UnderRules
from retrievers.rules_file import RulesFile
from retrievers.search import Searcher

SECONDS_EACH = 8.0


@dataclass(frozen=True, slots=True)
class TalksLibrary:
    """The parts of an open library."""

    catalog: Catalog
    rules: UnderRules
    gatherer: Gatherer

    def answerer(self, chat: ScriptedChat | None = None, prompts: Path | None = None) -> Answerer:
        similarity = LateInteractionReranker(HashEmbedder())
        return Answerer(Router(), self.gatherer, SufficiencyJudge(similarity), similarity, chat, prompts)


def make_library(
    folder: Path, talks: Mapping[str, Sequence[str]], published: Mapping[str, str] | None = None, rules: str = ""
) -> TalksLibrary:
    """A video for each title, one sentence after the other, SECONDS_EACH s each; `rules` are those of a rules file."""
    library = LibraryFolder(folder / "library")
    embedder = HashEmbedder()
    library.create()
    catalog = Catalog(library.catalog_url)
    index = EdgeIndex(library.index_folder, embedder.dimension, None)
    for title, sentences in talks.items():
        video_id = "-".join(title.lower().split())
        segments = tuple(
            TranscriptSegment(SECONDS_EACH * i, SECONDS_EACH * (i + 1), text, "sidecar captions")
            for i, text in enumerate(sentences)
        )
        seconds = SECONDS_EACH * len(segments)
        video = Video(
            "local", video_id, title, seconds, "f", url=f"https://video.example/{video_id}",
            tags=(title.split()[0].lower(),), published_at=(published or {}).get(title),
        )  # fmt: skip
        tokens = library.tokens_folder("local", video_id)
        timeline = Timeline(transcript=segments)
        checkpoint = Checkpoint(folder / "work")
        index.replace("local", video_id, make_points(video, Content(timeline), embedder, {}, checkpoint, tokens))
        catalog.put(video, timeline)
    tokens_of = MomentTokens(embedder, library.tokens_folder)

    def searcher_over(view: object) -> Searcher:
        return Searcher(view, catalog, embedder, None, None, tokens_of)  # type: ignore[arg-type]

    path = folder / "rules.yaml"
    if rules:
        path.write_text(rules)
    under = UnderRules(index, catalog, RulesFile(path))
    planned = RuledSearcher(under, lambda view: PlannedSearcher(view, catalog, searcher_over))
    return TalksLibrary(catalog, under, Gatherer(planned, RuledSearcher(under, searcher_over), under, catalog))
