"""Embeds a video's moments: from what was heard and seen to the points that the index stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ingest.bm25 import bm25_document
from ingest.index import VISUAL_LEG, LegVector, Point
from ingest.library import LibraryFolder
from ingest.moments import cut_moments
from ingest.schema import Moment, Timeline, Video
from ingest.text_embedding import TextEmbedder
from ingest.visual_embedding import ImageEmbedder

TEXT_CHANNELS: dict[str, tuple[str, Callable[[Moment], str]]] = {
    "speech": ("", lambda moment: moment.speech),
    "screen": ("On screen: ", lambda moment: moment.screen),
    "description": ("Shown: ", lambda moment: moment.description),
}


def make_points(
    video: Video,
    timeline: Timeline,
    folder: LibraryFolder,
    embedder: TextEmbedder | None,
    image_embedder: ImageEmbedder | None,
) -> list[Point]:
    """The points of a whole video, ready to be published in one call."""
    moments = cut_moments(video, timeline)
    vectors: list[dict[str, LegVector]] = [{} for _ in moments]
    for channel, (label, read) in TEXT_CHANNELS.items():
        texts = {
            i: f"{_header(video, moment)}{label}{read(moment)}" for i, moment in enumerate(moments) if read(moment)
        }
        for i, text in texts.items():
            words = bm25_document(text)
            if words:
                vectors[i][f"{channel}_bm25"] = words
        if embedder and texts:
            for i, vector in zip(texts, embedder.embed(list(texts.values())), strict=True):
                vectors[i][f"{channel}_dense"] = vector
    if image_embedder:
        for i, seen in enumerate(_visual_vectors(video, moments, folder, image_embedder)):
            if len(seen):
                vectors[i][VISUAL_LEG] = seen
    return [Point(moment, vector, labels(video)) for moment, vector in zip(moments, vectors, strict=True)]


def _header(video: Video, moment: Moment) -> str:
    """What a moment's words belong to: the video's title and the chapter's."""
    return f"{video.title}. {moment.chapter}. " if moment.chapter else f"{video.title}. "


def labels(video: Video) -> dict[str, tuple[str, ...]]:
    """What a search can filter a video's moments by."""
    found = {
        "language": (video.language,) if video.language else (),
        "tag": video.tags,
        "year": (video.published_at[:4],) if video.published_at else (),
    }
    return {key: values for key, values in found.items() if values}


def _visual_vectors(
    video: Video, moments: Sequence[Moment], folder: LibraryFolder, image_embedder: ImageEmbedder
) -> list[np.ndarray[tuple[int, int], np.dtype[np.float32]]]:
    """For each moment the vectors of its keyframes, shape (keyframes, dimension); every keyframe is embedded once."""
    times = sorted({time for moment in moments for time in moment.keyframe_seconds})
    frames = [folder.frame_path(video.tenant, video.video_id, time) for time in times]
    present = [(time, path) for time, path in zip(times, frames, strict=True) if path.is_file()]
    embedded = image_embedder.embed_images([path for _, path in present]) if present else np.zeros((0, 1), np.float32)
    row_of = {time: row for row, (time, _) in enumerate(present)}
    return [embedded[[row_of[t] for t in moment.keyframe_seconds if t in row_of]] for moment in moments]
