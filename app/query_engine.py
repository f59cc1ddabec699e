"""LlamaIndex adapter: any LlamaIndex application can ask a Playhead library and get a cited answer back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.response.schema import RESPONSE_TYPE, Response
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.schema import QueryBundle

from app.answer import Answer
from app.json_forms import answer_json
from retrievers.llama_index_retriever import to_node


class PlayheadQueryEngine(BaseQueryEngine):
    """Answers by a function from question to Answer; source nodes are the cited moments, or the closest when abstaining."""

    def __init__(self, ask: Callable[[str], Answer]) -> None:
        super().__init__(callback_manager=CallbackManager([]))
        self._ask = ask

    def _query(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        answer = self._ask(query_bundle.query_str)
        shown = [citation.evidence for citation in answer.citations] or list(answer.evidence)
        return Response(answer.text, [to_node(item) for item in shown], metadata={"playhead": answer_json(answer)})

    async def _aquery(self, query_bundle: QueryBundle) -> RESPONSE_TYPE:
        import asyncio

        return await asyncio.to_thread(self._query, query_bundle)

    def _get_prompt_modules(self) -> dict[str, Any]:
        return {}
