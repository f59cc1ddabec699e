"""Searches as if the moments that the rules forbid were not in the library, and counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

from ingest.catalog import Catalog
from ingest.index import LegHit, LegVector, Scope, VideoIndex
from ingest.schema import Moment, Video
from retrievers.channels import CHANNELS
from retrievers.evidence import SearchResult
from retrievers.rules import Conditions, Rules, allowed_videos, apply_rules, narrowed
from retrievers.rules_file import RulesFile

# Of the hits asked for, so many must be left in each leg: a search uses the best three fifths of them.
ENOUGH_PART = 0.6
DEEPER = 4


class MomentSearcher(Protocol):
    """Finds the moments that answer a question."""

    def search(
        self,
        question: str,
        scope: Scope,
        limit: int = 10,
        *,
        channels: Sequence[str] = CHANNELS,
        rerank: bool = True,
    ) -> SearchResult:
        """The best `limit` moments."""


class UnderRules:
    """One library's index as the rules of the moment show it."""

    def __init__(self, index: VideoIndex, catalog: Catalog, file: RulesFile) -> None:
        self._index = index
        self._catalog = catalog
        self._file = file

    def run(self, tenant: str, search: Callable[[VideoIndex], SearchResult]) -> SearchResult:
        """What a search finds in an index of the allowed moments, with what each rule removed, and the tier "rules"."""
        rules = self._file.current()
        if rules.common == Conditions() and tenant not in rules.tenants:
            found = search(self._index)
            return replace(found, tiers={**found.tiers, "rules": rules.warning}) if rules.warning else found
        allowed = AllowedMoments(self._index, self._catalog, rules)
        found = search(cast(VideoIndex, allowed))
        # Once more for moments that a search made of allowed ones, longer or beside them.
        kept, removed = apply_rules(rules, tenant, found.evidence)
        return replace(
            found,
            evidence=tuple(replace(item, number=number) for number, item in enumerate(kept, start=1)),
            removed_by_rules=dict(allowed.removed + removed),
            tiers={**found.tiers, "rules": rules.warning or "in force"},
        )

    def videos(self, tenant: str, videos: Iterable[Video]) -> list[Video]:
        """Those of a tenant's videos that are not forbidden as a whole."""
        return allowed_videos(self._file.current(), tenant, videos)


class RuledSearcher:
    """Stands in for the searcher that `make_searcher` makes over an index."""

    def __init__(self, rules: UnderRules, make_searcher: Callable[[VideoIndex], MomentSearcher]) -> None:
        self._rules = rules
        self._make_searcher = make_searcher

    def search(
        self,
        question: str,
        scope: Scope,
        limit: int = 10,
        *,
        channels: Sequence[str] = CHANNELS,
        rerank: bool = True,
    ) -> SearchResult:
        """The best `limit` moments that the rules allow."""
        return self._rules.run(
            scope.tenant,
            lambda index: self._make_searcher(index).search(question, scope, limit, channels=channels, rerank=rerank),
        )


@dataclass(frozen=True, slots=True)
class _Candidate:
    moment: Moment
    video: Video


class AllowedMoments:
    """The index as one search may see it: without the moments that the rules forbid, which `removed` counts by rule.

    The hits are loaded and judged. Where too few are left, the videos that are forbidden as a whole are shut out by the
    engine itself, and it is asked for more and more until it has no more. Other calls go to the index.
    """

    def __init__(self, index: VideoIndex, catalog: Catalog, rules: Rules) -> None:
        self._index = index
        self._catalog = catalog
        self._rules = rules
        self._judged: dict[str, Moment | None] = {}  # None for a forbidden one
        self.removed: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def search(self, queries: Mapping[str, LegVector], scope: Scope, limit: int) -> dict[str, list[LegHit]]:
        """As the index would rank the allowed moments alone; a leg may be cut after `ENOUGH_PART` of the limit."""
        inside: Scope | None = None
        asked = limit
        while True:
            found = self._index.search(queries, inside or scope, asked)
            kept = self._allowed(found, scope.tenant)
            if not any(len(hits) == asked and len(kept[leg]) < ENOUGH_PART * limit for leg, hits in found.items()):
                break
            inside = inside or narrowed(self._rules, scope, self._catalog.videos(scope.tenant))
            if inside is None:
                break
            asked *= DEEPER
        return {leg: hits[:limit] for leg, hits in kept.items()}

    def fetch(self, tenant: str, moment_ids: Sequence[str]) -> list[Moment]:
        """The allowed ones of these moments, in the order asked."""
        self._judge(tenant, moment_ids)
        moments = (self._judged.get(moment_id) for moment_id in moment_ids)
        return [moment for moment in moments if moment is not None]

    def _allowed(self, found: Mapping[str, Sequence[LegHit]], tenant: str) -> dict[str, list[LegHit]]:
        self._judge(tenant, [hit.moment_id for hits in found.values() for hit in hits])
        return {leg: [hit for hit in hits if self._judged.get(hit.moment_id)] for leg, hits in found.items()}

    def _judge(self, tenant: str, moment_ids: Sequence[str]) -> None:
        """Load and judge the moments that were not yet; one whose video is gone is neither allowed nor counted."""
        missing = [moment_id for moment_id in dict.fromkeys(moment_ids) if moment_id not in self._judged]
        if not missing:
            return
        moments = self._index.fetch(tenant, missing)
        videos = self._catalog.get_many(tenant, [moment.video_id for moment in moments])
        candidates = [_Candidate(m, videos[m.video_id]) for m in moments if m.video_id in videos]
        kept, removed = apply_rules(self._rules, tenant, candidates)
        self.removed += removed
        self._judged |= dict.fromkeys(missing)
        self._judged |= {candidate.moment.moment_id: candidate.moment for candidate in kept}
