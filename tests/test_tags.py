"""Tags: known vectors of pictures and words, a truth table of spans, the list of words, and a real model's path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_visual_embedding import make_clip

from ingest.schema import Description, PlayheadError
from ingest.tags import MAX_TAGS, MIN_SHARE, PROMPT, WORDS, read_tag_words, tag_frames
from ingest.visual_embedding import FingerprintEmbedder, load_image_embedder

SEEN = ("dog", "cat", "tree", "sea", "car")


class KnownEmbedder:
    """Each word has its own axis; a picture is a mixture of axes."""

    name = "known"
    revision = "1"
    dimension = len(SEEN)
    logit_scale = 100.0

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_images(self, images: Sequence[Path]) -> np.ndarray:
        raise AssertionError("tags need no pictures")

    def embed_text(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.array([np.eye(len(SEEN))[SEEN.index(text.removeprefix("a photo of "))] for text in texts], np.float32)


def mixture(**weights: float) -> np.ndarray:
    """A unit vector that leans to some words."""
    vector = np.array([weights.get(word, 0.0) for word in SEEN])
    return np.asarray(vector / np.linalg.norm(vector) if vector.any() else np.full(len(SEEN), len(SEEN) ** -0.5))


def tagged(
    *pictures: np.ndarray, times: Sequence[float] = (), duration: float = 10.0
) -> list[tuple[float, float, str]]:
    shown = times or range(len(pictures))
    spans = tag_frames(KnownEmbedder(), np.array(pictures, np.float32), list(map(float, shown)), duration, SEEN)
    assert all(span.source == "tags" for span in spans)
    return [(span.start_seconds, span.end_seconds, span.text) for span in spans]


DOG, SEA = mixture(dog=1), mixture(sea=1)
NOTHING = mixture()


@pytest.mark.parametrize(
    ("pictures", "spans"),
    [
        ([DOG], [(0, 10, "dog")]),
        ([DOG, DOG, SEA], [(0, 2, "dog"), (2, 10, "sea")]),
        ([DOG, SEA, DOG], [(0, 1, "dog"), (1, 2, "sea"), (2, 10, "dog")]),
        ([mixture(dog=1, sea=1), SEA], [(0, 1, "dog"), (0, 10, "sea")]),
        ([mixture(dog=1, sea=1.005)], [(0, 10, "sea"), (0, 10, "dog")]),  # the likeliest first
        ([NOTHING], [(0, 10, word) for word in SEEN[:MAX_TAGS]]),  # five equal shares of 0.2
        ([], []),
    ],
)
def test_words_hold_until_the_next_frame_and_equal_neighbours_are_one_span(
    pictures: list[np.ndarray], spans: list[tuple[float, float, str]]
) -> None:
    assert tagged(*pictures) == spans


def test_a_word_needs_its_share() -> None:
    """Two words whose softmax shares are just above and below the least."""
    gap = np.log((1 - MIN_SHARE) / MIN_SHARE) / KnownEmbedder.logit_scale  # of cosines, between the two
    for wider, words in ((-0.001, ["dog", "cat"]), (0.001, ["dog"])):
        angle = np.pi / 4 - np.arcsin((gap + wider) / np.sqrt(2))
        vector = np.array([[np.cos(angle), np.sin(angle), 0, 0, 0]], np.float32)
        assert [span.text for span in tag_frames(KnownEmbedder(), vector, [0.0], 5.0, SEEN[:2])] == words


def test_a_frame_past_the_end_of_the_video_is_a_span_of_no_length() -> None:
    assert tagged(DOG, times=[12.0]) == [(12, 12, "dog")]


def test_words_are_embedded_once_for_all_videos() -> None:
    embedder = KnownEmbedder()
    for _ in range(3):
        tag_frames(embedder, np.array([DOG], np.float32), [0.0], 5.0, SEEN)
    assert embedder.asked == [PROMPT.format(word) for word in SEEN]


def test_without_words_or_without_a_model_of_texts_there_are_no_tags() -> None:
    fingerprint = FingerprintEmbedder()
    assert tag_frames(fingerprint, np.ones((1, fingerprint.dimension), np.float32), [0.0], 5.0, SEEN) == []
    assert tag_frames(KnownEmbedder(), np.array([DOG], np.float32), [0.0], 5.0, []) == []


def test_the_list_that_comes_with_playhead_holds_everyday_words() -> None:
    words = read_tag_words()
    assert 150 <= len(words) <= 300
    assert {"dog", "slide with text", "mountain", "kitchen"} <= set(words)
    lines = [line for line in WORDS.read_text().splitlines() if line and not line.startswith("#")]
    assert words == lines  # nothing is given twice, nothing is lost


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "tags.txt"
    own.write_bytes("\ufeff# mine\n\n  lock  gate # on a canal\nlock gate\n水車\n#\n".encode())
    assert read_tag_words(own) == ["lock gate", "水車"]
    own.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PlayheadError, match=r"tags\.txt cannot be read as a list of tags"):
        read_tag_words(own)
    with pytest.raises(PlayheadError, match="gone"):
        read_tag_words(tmp_path / "gone")


def test_a_real_model_tags_through_its_text_half(tmp_path: Path) -> None:
    embedder = load_image_embedder(str(make_clip(tmp_path / "clip")))
    assert embedder is not None
    assert embedder.logit_scale == pytest.approx(1 / 0.07, rel=1e-3)  # what an untrained CLIP starts with
    Image.new("RGB", (40, 30), "red").save(tmp_path / "red.png")
    vectors = embedder.embed_images([tmp_path / "red.png"])
    spans = tag_frames(embedder, vectors, [1.0], 4.0, ["dog", "cat"])
    assert {(span.start_seconds, span.end_seconds) for span in spans} == {(1.0, 4.0)}
    cosines = vectors @ embedder.embed_text(["a photo of dog", "a photo of cat"]).T
    assert spans[0] == Description(1.0, 4.0, ("dog", "cat")[int(cosines.argmax())], "tags")
