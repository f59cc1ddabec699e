"""The catalog: what is known of every video apart from its vectors, in SQLite or any SQLAlchemy database."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Float,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from ingest.library import check_tenant
from ingest.schema import (
    Chapter,
    Description,
    Job,
    Keyframe,
    LibraryError,
    ScreenText,
    Shot,
    Timeline,
    TranscriptSegment,
    Video,
)

METADATA = MetaData()
VIDEOS = Table(
    "videos",
    METADATA,
    Column("tenant", String, primary_key=True),
    Column("video_id", String, primary_key=True),
    Column("title", String, nullable=False),
    Column("duration_seconds", Float, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("url", String),
    Column("language", String),
    Column("tags", JSON, nullable=False),
    Column("published_at", String),
    Column("duplicate_of", String),
    Column("warnings", JSON, nullable=False),
)
PATHS = Table(
    "paths",
    METADATA,
    Column("tenant", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("video_id", String, primary_key=True, index=True),
)
TIMELINES = Table(
    "timelines",
    METADATA,
    Column("tenant", String, primary_key=True),
    Column("video_id", String, primary_key=True),
    Column("transcript", JSON, nullable=False),
    Column("other_transcripts", JSON, nullable=False),
    Column("chapters", JSON, nullable=False),
    Column("descriptions", JSON, nullable=False),
    Column("screen_text", JSON, nullable=False),
    Column("shots", JSON, nullable=False),
    Column("keyframes", JSON, nullable=False),
    Column("channels", JSON, nullable=False),
)
VERSIONS = Table(
    "versions",
    METADATA,
    Column("tenant", String, primary_key=True),
    Column("version", Integer, nullable=False),
)
JOBS = Table(
    "jobs",
    METADATA,
    Column("tenant", String, primary_key=True),
    Column("path", String, primary_key=True),
    Column("video_id", String, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("reason", String),
)


class Catalog:
    """Videos, the paths they were seen under, their timelines, and the jobs that have not ended well, by tenant.

    Every call names one tenant and answers with its rows alone, but for those that say they are for the library's owner.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = create_engine(url)
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _prepare_sqlite)
            METADATA.create_all(self._engine)
            self._add_columns()
        except SQLAlchemyError as error:
            raise LibraryError(
                f"The catalog {url} cannot be opened ({_first_line(error)}). Check the folder."
            ) from error

    def _add_columns(self) -> None:
        """Give a catalog of an earlier version the columns that it lacks, empty."""
        for table in (VIDEOS, TIMELINES):
            there = {column["name"] for column in inspect(self._engine).get_columns(table.name)}
            with self._engine.begin() as connection:
                for column in table.columns:
                    if column.name not in there:
                        kind = "VARCHAR" if column.nullable else "JSON NOT NULL DEFAULT '[]'"
                        connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")

    def put(self, video: Video, timeline: Timeline) -> None:
        """Store a video and its timeline, replacing what was there; the jobs that read it are done."""
        check_tenant(video.tenant)
        with self._writing() as connection:
            _delete(connection, video.tenant, video.video_id)
            _end_jobs(connection, video.tenant, video.video_id)
            row = {name: value for name, value in asdict(video).items() if name != "paths"}
            connection.execute(insert(VIDEOS), {**row, "tags": list(video.tags), "warnings": list(video.warnings)})
            connection.execute(
                insert(TIMELINES), {"tenant": video.tenant, "video_id": video.video_id, **asdict(timeline)}
            )
            _put_paths(connection, video.tenant, video.video_id, video.paths)
            _next_version(connection, video.tenant)

    def put_paths(self, tenant: str, video_id: str, paths: Sequence[str]) -> None:
        """Remember where a known video lies, instead of what was remembered; its jobs are done."""
        check_tenant(tenant)
        with self._writing() as connection:
            _end_jobs(connection, tenant, video_id)
            _put_paths(connection, tenant, video_id, paths)

    def get(self, tenant: str, video_id: str) -> Video | None:
        """One video, or None."""
        found = self.get_many(tenant, [video_id])
        return found.get(video_id)

    def get_many(self, tenant: str, video_ids: Sequence[str]) -> dict[str, Video]:
        """Videos by id, leaving out the unknown ones."""
        return {video.video_id: video for video in self._read(tenant, list(dict.fromkeys(video_ids)))}

    def at_paths(self, tenant: str, paths: Collection[str]) -> list[Video]:
        """The videos that were seen at any of these paths."""
        check_tenant(tenant)
        query = select(PATHS.c.video_id).where(PATHS.c.tenant == tenant, PATHS.c.path.in_(list(paths)))
        with self._reading() as connection:
            found = list(connection.execute(query).scalars())
        return list(self.get_many(tenant, found).values()) if found else []

    def videos(self, tenant: str) -> list[Video]:
        """All videos of a tenant, by title."""
        return sorted(self._read(tenant, None), key=lambda video: (video.title.casefold(), video.video_id))

    def version(self, tenant: str) -> int:
        """A number that grows whenever a video of the tenant is added, changed or deleted, in this process or another."""
        query = select(VERSIONS.c.version).where(VERSIONS.c.tenant == check_tenant(tenant))
        with self._reading() as connection:
            return connection.execute(query).scalar() or 0

    def video_ids(self) -> set[tuple[str, str]]:
        """Every (tenant, video id): for the owner of the library alone."""
        with self._reading() as connection:
            return {
                (row.tenant, row.video_id) for row in connection.execute(select(VIDEOS.c.tenant, VIDEOS.c.video_id))
            }

    def tenants(self) -> list[str]:
        """The tenants that have videos: for the owner of the library alone."""
        with self._reading() as connection:
            return sorted(connection.execute(select(VIDEOS.c.tenant).distinct()).scalars())

    def timeline(self, tenant: str, video_id: str) -> Timeline:
        """The timeline of a known video; an empty one for an unknown video."""
        check_tenant(tenant)
        query = select(TIMELINES).where(TIMELINES.c.tenant == tenant, TIMELINES.c.video_id == video_id)
        with self._reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return Timeline()
        return Timeline(
            transcript=tuple(TranscriptSegment(**item) for item in row.transcript),
            other_transcripts=tuple(TranscriptSegment(**item) for item in row.other_transcripts),
            chapters=tuple(Chapter(**item) for item in row.chapters),
            descriptions=tuple(Description(**item) for item in row.descriptions),
            screen_text=tuple(ScreenText(**item) for item in row.screen_text),
            shots=tuple(Shot(**item) for item in row.shots),
            keyframes=tuple(Keyframe(**item) for item in row.keyframes),
            channels=tuple((channel, tier) for channel, tier in row.channels),
        )

    def delete(self, tenant: str, video_id: str) -> None:
        """Forget a video, its paths, jobs and timeline; the first of its duplicates takes its place among them."""
        check_tenant(tenant)
        linked = (VIDEOS.c.tenant == tenant) & (VIDEOS.c.duplicate_of == video_id)
        with self._writing() as connection:
            _delete(connection, tenant, video_id)
            _end_jobs(connection, tenant, video_id)
            _next_version(connection, tenant)
            connection.execute(delete(PATHS).where(PATHS.c.tenant == tenant, PATHS.c.video_id == video_id))
            heirs = connection.execute(select(VIDEOS.c.video_id).where(linked).order_by(VIDEOS.c.video_id)).scalars()
            if heir := heirs.first():
                connection.execute(update(VIDEOS).where(linked).values(duplicate_of=heir))
                own = (VIDEOS.c.tenant == tenant) & (VIDEOS.c.video_id == heir)
                connection.execute(update(VIDEOS).where(own).values(duplicate_of=None))

    def lasting(self, tenant: str, least_seconds: float, most_seconds: float) -> list[Video]:
        """The videos with a duration in this range that are no duplicates."""
        check_tenant(tenant)
        duration = VIDEOS.c.duration_seconds.between(least_seconds, most_seconds)
        query = select(VIDEOS.c.video_id).where(VIDEOS.c.tenant == tenant, duration, VIDEOS.c.duplicate_of.is_(None))
        with self._reading() as connection:
            found = list(connection.execute(query).scalars())
        return list(self.get_many(tenant, found).values())

    def jobs(self, tenant: str) -> list[Job]:
        """The jobs of a tenant that run, were interrupted or failed, by path."""
        check_tenant(tenant)
        return [job for owner, job in self.all_jobs() if owner == tenant]

    def all_jobs(self) -> list[tuple[str, Job]]:
        """The jobs of every tenant, each with its tenant: for the owner of the library alone."""
        with self._reading() as connection:
            rows = connection.execute(select(JOBS).order_by(JOBS.c.path))
            return [(row.tenant, Job(row.path, row.video_id, row.started_at, row.reason)) for row in rows]

    def put_job(self, tenant: str, job: Job) -> None:
        """Remember that a file is being read, or why it could not be, until its video is put or forgotten."""
        check_tenant(tenant)
        with self._writing() as connection:
            connection.execute(delete(JOBS).where(JOBS.c.tenant == tenant, JOBS.c.path == job.path))
            connection.execute(insert(JOBS), {"tenant": tenant, **asdict(job)})

    def purge(self) -> None:
        """Rewrite the SQLite file so that no byte of deleted rows is left in it or its log."""
        if self._engine.dialect.name != "sqlite":
            return
        with self._reading() as connection:
            plain = connection.execution_options(isolation_level="AUTOCOMMIT")
            plain.exec_driver_sql("VACUUM")
            busy = plain.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
        if busy:
            raise LibraryError(
                "Another process reads the catalog, so its log could not be emptied. Run the purge again."
            )

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._told(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._told(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what the database raises into one line."""
        try:
            yield
        except SQLAlchemyError as error:
            address = self._engine.url.render_as_string(hide_password=True)
            raise LibraryError(
                f"The catalog {address} cannot be used ({_first_line(error)}). Try again, or restore it from a backup."
            ) from error

    def _read(self, tenant: str, video_ids: list[str] | None) -> list[Video]:
        videos = select(VIDEOS).where(VIDEOS.c.tenant == check_tenant(tenant))
        paths = select(PATHS).where(PATHS.c.tenant == tenant).order_by(PATHS.c.path)
        if video_ids is not None:
            videos = videos.where(VIDEOS.c.video_id.in_(video_ids))
            paths = paths.where(PATHS.c.video_id.in_(video_ids))
        with self._reading() as connection:
            paths_of: dict[str, list[str]] = {}
            for row in connection.execute(paths):
                paths_of.setdefault(row.video_id, []).append(row.path)
            return [_video(row, tuple(paths_of.get(row.video_id, ()))) for row in connection.execute(videos)]


def _video(row: Row[Any], paths: tuple[str, ...]) -> Video:
    fields = {**row._mapping, "tags": tuple(row.tags), "warnings": tuple(row.warnings)}
    return Video(**fields, paths=paths)


def _put_paths(connection: Connection, tenant: str, video_id: str, paths: Sequence[str]) -> None:
    connection.execute(delete(PATHS).where(PATHS.c.tenant == tenant, PATHS.c.video_id == video_id))
    for path in dict.fromkeys(paths):
        connection.execute(insert(PATHS), {"tenant": tenant, "video_id": video_id, "path": path})


def _next_version(connection: Connection, tenant: str) -> None:
    own = VERSIONS.c.tenant == tenant
    if connection.execute(update(VERSIONS).where(own).values(version=VERSIONS.c.version + 1)).rowcount == 0:
        connection.execute(insert(VERSIONS), {"tenant": tenant, "version": 1})


def _end_jobs(connection: Connection, tenant: str, video_id: str) -> None:
    connection.execute(delete(JOBS).where(JOBS.c.tenant == tenant, JOBS.c.video_id == video_id))


def _delete(connection: Connection, tenant: str, video_id: str) -> None:
    for table in (VIDEOS, TIMELINES):
        connection.execute(delete(table).where(table.c.tenant == tenant, table.c.video_id == video_id))


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA busy_timeout=5000")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
