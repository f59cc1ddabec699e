"""The LlamaIndex adapters behave as LlamaIndex parts, and the README's example runs as printed."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from conftest import Playhead
from fakes import HashEmbedder
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode

from retrievers.llama_index_retriever import RerankPostprocessor
from retrievers.rerank import LateInteractionReranker

ROOT = Path(__file__).parent.parent


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return str(code)


def test_the_example_of_the_readme_runs(playhead: Playhead, talks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    playhead("ingest", talks)
    names: dict[str, object] = {}
    exec(
        compile(
            example().replace("How far could sailors see?", "How far could sailors see the lamp?"), "README.md", "exec"
        ),
        names,
    )
    printed = capsys.readouterr().out
    assert "[1]" in printed
    assert "lighthouses" in printed


def test_one_channel_or_all_retrieve_moments_with_their_place(playhead: Playhead, talks: Path) -> None:
    from app.build import OpenLibrary
    from app.settings import read_settings
    from ingest.index import Scope
    from retrievers.llama_index_retriever import MomentRetriever

    playhead("ingest", talks)
    with OpenLibrary(read_settings(), "test") as library:
        for channel in (None, "speech"):
            retriever = MomentRetriever(library.searcher, Scope("local"), channel=channel, limit=2)
            best, *_ = retriever.retrieve("what makes the dough rise")
            assert best.node.metadata["video_title"] == "bread"
            assert best.node.metadata["end_seconds"] <= 60.0
            # A model that embeds or reads the node sees its text, and no metadata beside it.
            assert best.node.get_content(metadata_mode=MetadataMode.EMBED) == best.node.get_content()
        assert MomentRetriever(library.searcher, Scope("local"), channel="screen").retrieve("dough") == []
        with pytest.raises(ValueError, match="smell"):
            MomentRetriever(library.searcher, Scope("local"), channel="smell")
        found = asyncio.run(MomentRetriever(library.searcher, Scope("local")).aretrieve("bee dance"))
        assert found[0].node.metadata["video_title"] == "bees"


def test_the_postprocessor_orders_nodes_and_keeps_the_first() -> None:
    nodes = [
        NodeWithScore(node=TextNode(text=text), score=1.0) for text in ("the bread rises", "the bee dances", "a lamp")
    ]
    processor = RerankPostprocessor(LateInteractionReranker(HashEmbedder()), top_n=2)
    ranked = processor.postprocess_nodes(nodes, query_bundle=QueryBundle("bee dances"))
    assert ranked[0].node.get_content() == "the bee dances"
    assert len(ranked) == 2
    assert processor.postprocess_nodes([], query_bundle=QueryBundle("x")) == []
