"""LlamaIndex adapters: any LlamaIndex application can retrieve from, and rerank with, a Playhead library."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode
from pydantic import PrivateAttr

from ingest.index import Scope
from retrievers.channels import CHANNELS
from retrievers.evidence import Evidence
from retrievers.rerank import Reranker
from retrievers.search import Searcher, spoken_and_seen

METADATA_KEYS = ("video_id", "video_title", "start_seconds", "end_seconds", "number")


class MomentRetriever(BaseRetriever):
    """Retrieves moments as nodes: through one channel, or through all of them fused."""

    def __init__(self, searcher: Searcher, scope: Scope, *, channel: str | None = None, limit: int = 10) -> None:
        if channel is not None and channel not in CHANNELS:
            raise ValueError(f"unknown channel {channel!r}; channels are {', '.join(CHANNELS)}")
        super().__init__()
        self._searcher = searcher
        self._scope = scope
        self._channels = (channel,) if channel else CHANNELS
        self._limit = limit

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """Nodes best first, ids are moment ids; reranking is left to a postprocessor."""
        found = self._searcher.search(
            query_bundle.query_str, self._scope, self._limit, channels=self._channels, rerank=False
        )
        return [to_node(item) for item in found.evidence]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        """In a thread: LlamaIndex's default would block the event loop."""
        return await asyncio.to_thread(self._retrieve, query_bundle)


class RerankPostprocessor(BaseNodePostprocessor):
    """Reorders nodes by a Playhead reranker and keeps the first `top_n`."""

    top_n: int = 10
    _reranker: Reranker = PrivateAttr()

    def __init__(self, reranker: Reranker, **fields: Any) -> None:
        super().__init__(**fields)
        self._reranker = reranker

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None or not nodes:
            return nodes[: self.top_n]
        texts = [node.node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes]
        scores = self._reranker.score(query_bundle.query_str, texts)
        ranked = sorted(zip(scores, nodes, strict=True), key=lambda pair: -pair[0])
        return [NodeWithScore(node=node.node, score=score) for score, node in ranked[: self.top_n]]


def to_node(evidence: Evidence) -> NodeWithScore:
    """A node with the moment's text; where it lies is metadata that no model embeds or reads."""
    moment = evidence.moment
    node = TextNode(
        id_=moment.moment_id,
        text=spoken_and_seen(evidence.video, moment),
        metadata={
            "video_id": moment.video_id,
            "video_title": evidence.video.title,
            "start_seconds": moment.start_seconds,
            "end_seconds": moment.end_seconds,
            "number": evidence.number,
        },
        excluded_embed_metadata_keys=list(METADATA_KEYS),
        excluded_llm_metadata_keys=list(METADATA_KEYS),
    )
    return NodeWithScore(node=node, score=evidence.score)
