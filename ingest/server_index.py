"""The index on a Qdrant server or cluster: the same contract as the embedded one, through `qdrant-client`."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

from ingest.index import SPARSE_LEGS, VISUAL_LEG, LegHit, LegVector, Point, Scope, SparseVector, from_payload
from ingest.index_rules import (
    INDEXED_KEYS,
    Conditions,
    checked_points,
    checked_queries,
    chunks,
    clean_payload,
    known_ids,
    leg_dimensions,
    ranked,
    restored_point,
    scope_conditions,
    video_conditions,
)
from ingest.library import check_tenant
from ingest.schema import IndexMismatchError, LibraryError, Moment

PAGE_POINTS = 250


def connect_server(url: str, api_key: str | None, timeout_seconds: float) -> QdrantClient:
    """A client of the server at `url`, once it has answered; `LibraryError` when it does not."""
    client = QdrantClient(url=url, api_key=api_key, timeout=math.ceil(timeout_seconds), check_compatibility=False)
    with told_by_server(client):
        client.get_collections()
    return client


class ServerIndex:
    """A `VideoIndex` in a collection of a server, which several processes may use at once.

    The name `collection` is an alias of `collection-0001` and so on, so that a purged copy takes over in one step. A
    video of more than one chunk (1000 moments) is published chunk by chunk: the server has no transaction over them.
    """

    def __init__(
        self, client: QdrantClient, collection: str, text_dimension: int | None, visual_dimension: int | None
    ) -> None:
        self._client = client
        self._collection = collection
        self._dimensions = leg_dimensions(text_dimension, visual_dimension)
        self._writing = threading.Lock()
        self._closed = False
        with self._server():
            if self._live_collection() is None:
                self._create(f"{collection}-0001")
                self._switch(f"{collection}-0001")
            self._check_vectors()

    def replace(self, tenant: str, video_id: str, points: Sequence[Point]) -> None:
        checked = checked_points(tenant, video_id, points, self._dimensions)
        others = models.Filter(
            must=_conditions(video_conditions(tenant, video_id)),
            must_not=[models.HasIdCondition(has_id=[point.moment.moment_id for point in checked])],
        )
        with self._writing, self._server() as client:
            for chunk in chunks(checked):
                client.upsert(self._collection, [_server_point(point) for point in chunk], wait=True)
            client.delete(self._collection, models.FilterSelector(filter=others), wait=True)

    def delete(self, tenant: str, video_id: str) -> int:
        scope = models.Filter(must=_conditions(video_conditions(tenant, video_id)))
        with self._writing, self._server() as client:
            found = client.count(self._collection, scope, exact=True).count
            client.delete(self._collection, models.FilterSelector(filter=scope), wait=True)
        return found

    def search(self, queries: Mapping[str, LegVector], scope: Scope, limit: int) -> dict[str, list[LegHit]]:
        asked = checked_queries(queries, self._dimensions, limit)
        conditions = models.Filter(must=_conditions(scope_conditions(scope)))
        # Rarity is counted inside the tenant: another tenant's words must not move the scores.
        tenant = models.Filter(must=_conditions([("tenant", (scope.tenant,))]))
        rarity = models.SearchParams(idf=models.IdfCorpusParams(corpus=tenant))
        requests = [
            models.QueryRequest(
                query=_server_vector(vector),
                using=leg,
                filter=conditions,
                params=rarity if leg in SPARSE_LEGS else None,
                limit=limit,
                with_payload=False,
            )
            for leg, vector in asked.items()
        ]
        with self._server() as client:
            answers = client.query_batch_points(self._collection, requests) if requests else []
        found = {leg: answer.points for leg, answer in zip(asked, answers, strict=True)}
        return {leg: ranked(found.get(leg, [])) for leg in queries}

    def fetch(self, tenant: str, moment_ids: Sequence[str]) -> list[Moment]:
        conditions = _conditions([("tenant", (check_tenant(tenant),))])
        asked = known_ids(moment_ids)
        scope = models.Filter(must=[*conditions, models.HasIdCondition(has_id=list(asked))])
        with self._server() as client:
            records, _ = client.scroll(self._collection, scope, limit=max(len(asked), 1), with_payload=True)
        found: dict[str, Any] = {str(record.id): record.payload for record in records}
        return [from_payload(found[moment_id]) for moment_id in asked if moment_id in found]

    def count(self, tenant: str, video_id: str | None = None) -> int:
        scope = models.Filter(must=_conditions(video_conditions(tenant, video_id)))
        with self._server() as client:
            return client.count(self._collection, scope, exact=True).count

    def scroll(self, tenant: str, video_id: str | None = None) -> Iterator[Point]:
        scope = models.Filter(must=_conditions(video_conditions(tenant, video_id)))
        return (restored_point(record.payload, record.vector) for page in self._pages(scope) for record in page)

    def purge(self) -> None:
        """Copy the live points of all tenants into a new collection, point the alias at it, delete the old collection.

        It cannot reach what lies outside the collection: the server's snapshots and backups, its log files, freed disk
        blocks. No other process may write meanwhile: what it writes into the old collection is lost.
        """
        with self._writing, self._server() as client:
            old = self._live_collection()
            if old is None or old == self._collection:
                raise LibraryError(
                    f"Collection {self._collection} is not an alias, so no copy can take its place. "
                    "Delete it on the server and ingest again."
                )
            name = f"{self._collection}-{int(old.rpartition('-')[2]) + 1:04}"
            if client.collection_exists(name):  # left by a purge that was killed
                client.delete_collection(name)
            self._create(name)
            for page in self._pages(None):
                client.upsert(name, [_copied_point(record) for record in page], wait=True)
            self._switch(name)
            client.delete_collection(old)

    def drop(self) -> None:
        with self._writing, self._server() as client:
            live = self._live_collection()
            if live:
                client.delete_collection(live)
        self.close()

    def close(self) -> None:
        self._closed = True
        self._client.close()

    @contextmanager
    def _server(self) -> Iterator[QdrantClient]:
        if self._closed:
            raise LibraryError(f"The index {self._collection} is closed. Open the library again.")
        with told_by_server(self._client):
            yield self._client

    def _pages(self, scope: models.Filter | None) -> Iterator[list[models.Record]]:
        offset: Any = None
        while True:
            with self._server() as client:
                records, offset = client.scroll(
                    self._collection, scope, limit=PAGE_POINTS, offset=offset, with_payload=True, with_vectors=True
                )
            if records:
                yield records
            if offset is None:
                return

    def _live_collection(self) -> str | None:
        for alias in self._client.get_aliases().aliases:
            if alias.alias_name == self._collection:
                return alias.collection_name
        return self._collection if self._client.collection_exists(self._collection) else None

    def _create(self, name: str) -> None:
        nearest = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        self._client.create_collection(
            name,
            vectors_config={
                leg: models.VectorParams(
                    size=size,
                    distance=models.Distance.COSINE,
                    multivector_config=nearest if leg == VISUAL_LEG else None,
                )
                for leg, size in self._dimensions.items()
            },
            sparse_vectors_config={leg: models.SparseVectorParams(modifier=models.Modifier.IDF) for leg in SPARSE_LEGS},
        )
        for key in INDEXED_KEYS:
            self._client.create_payload_index(name, key, models.PayloadSchemaType.KEYWORD, wait=True)

    def _switch(self, name: str) -> None:
        alias = models.CreateAlias(collection_name=name, alias_name=self._collection)
        self._client.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])

    def _check_vectors(self) -> None:
        params = self._client.get_collection(self._collection).config.params
        vectors = params.vectors if isinstance(params.vectors, dict) else {}
        stored = {leg: vector.size for leg, vector in vectors.items()}
        if stored != self._dimensions or set(params.sparse_vectors or {}) != set(SPARSE_LEGS):
            raise IndexMismatchError(
                f"Collection {self._collection} was built with vectors {stored}, this run uses {self._dimensions}. "
                "Run: playhead reindex"
            )


@contextmanager
def told_by_server(client: QdrantClient) -> Iterator[None]:
    """Turn what the connection raises into one line of `LibraryError`."""
    url = client.init_options["url"] or "the given address"
    try:
        yield
    except UnexpectedResponse as error:
        fact = " ".join(str(error).split())[:300]
        raise LibraryError(f"Qdrant at {url} refused ({fact}). Check its API key, its version and its log.") from error
    except ValueError as error:
        raise LibraryError(f"{url} does not answer as Qdrant does. Check PLAYHEAD_QDRANT_URL.") from error
    except (ApiException, QdrantException) as error:
        fact = " ".join(str(getattr(error, "source", error)).split())[:300]
        raise LibraryError(
            f"Qdrant at {url} does not answer ({fact}). Start it or unset PLAYHEAD_QDRANT_URL."
        ) from error


def _conditions(conditions: Conditions) -> list[models.Condition]:
    return [models.FieldCondition(key=key, match=models.MatchAny(any=list(values))) for key, values in conditions]


def _server_point(point: Point) -> models.PointStruct:
    vectors = {leg: _server_vector(vector) for leg, vector in point.vectors.items()}
    return models.PointStruct(id=point.moment.moment_id, vector=vectors, payload=clean_payload(point))


def _copied_point(record: models.Record) -> models.PointStruct:
    vectors: Any = record.vector or {}
    return models.PointStruct(id=record.id, vector=vectors, payload=record.payload)


def _server_vector(vector: LegVector) -> Any:
    if isinstance(vector, SparseVector):
        return models.SparseVector(indices=list(vector.indices), values=list(vector.values))
    return vector.tolist()
