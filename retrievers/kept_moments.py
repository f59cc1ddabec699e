"""An index that shows only some of its moments, so that a search ranks, fuses and reranks as if there were no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ingest.index import LegHit, LegVector, Scope, VideoIndex
from ingest.schema import Moment

# Asked of the engine for each hit wanted at first; four times more as long as too few are kept.
FIRST_DEPTH, DEEPER = 2, 4
FETCHED_AT_ONCE = 64

Keep = Callable[[Sequence[Moment]], Iterable[bool]]
"""Which of some moments pass, in their order."""


class KeptMoments:
    """The moments of an index that pass `keep`, or that are among `moment_ids` and pass it, for one query.

    Candidates are loaded in the order of their rank, each once, and until each leg has kept `enough`: a filter that passes
    most costs little, and one that passes few reads on until the engine has no more. Other calls go to the index itself.
    """

    def __init__(self, index: VideoIndex, keep: Keep, enough: int, moment_ids: frozenset[str] | None = None) -> None:
        self._index = index
        self._keep = keep
        self._enough = enough
        self._moment_ids = moment_ids
        self._loaded: dict[str, Moment] = {}
        self._kept: dict[str, bool] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def search(self, queries: Mapping[str, LegVector], scope: Scope, limit: int) -> dict[str, list[LegHit]]:
        """As the index would rank the kept moments alone, each leg cut after `enough` of them."""
        wanted = min(limit, self._enough, limit if self._moment_ids is None else len(self._moment_ids))
        asked = FIRST_DEPTH * limit
        while True:
            found = self._index.search(queries, scope, asked)
            kept = {leg: self._first_kept(hits, scope.tenant, wanted) for leg, hits in found.items()}
            if not any(len(hits) == asked and len(kept[leg]) < wanted for leg, hits in found.items()):
                return kept
            asked *= DEEPER

    def fetch(self, tenant: str, moment_ids: Sequence[str]) -> list[Moment]:
        """As the index, without loading again what the search has loaded."""
        self._load(tenant, moment_ids)
        return [self._loaded[moment_id] for moment_id in moment_ids if moment_id in self._loaded]

    def _first_kept(self, hits: Sequence[LegHit], tenant: str, wanted: int) -> list[LegHit]:
        if self._moment_ids is not None:
            hits = [hit for hit in hits if hit.moment_id in self._moment_ids]
        kept: list[LegHit] = []
        for first in range(0, len(hits), FETCHED_AT_ONCE):
            page = hits[first : first + FETCHED_AT_ONCE]
            self._judge(tenant, [hit.moment_id for hit in page if hit.moment_id not in self._kept])
            kept += [hit for hit in page if self._kept[hit.moment_id]]
            if len(kept) >= wanted:
                break
        return kept[:wanted]

    def _judge(self, tenant: str, moment_ids: Sequence[str]) -> None:
        moments = self.fetch(tenant, moment_ids)
        self._kept |= dict.fromkeys(moment_ids, False)
        self._kept |= {m.moment_id: passed for m, passed in zip(moments, self._keep(moments), strict=True)}

    def _load(self, tenant: str, moment_ids: Sequence[str]) -> None:
        missing = [moment_id for moment_id in moment_ids if moment_id not in self._loaded]
        if missing:
            self._loaded |= {moment.moment_id: moment for moment in self._index.fetch(tenant, missing)}
