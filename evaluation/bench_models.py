"""`make bench-models`: downloads and measures the upper rungs of the model ladder, where the hub can be reached."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from evaluation.bench import DATA, REPOSITORY
from evaluation.bench_speech import decoded_clips, measured
from ingest.media import decode_media
from ingest.speech import Transcriber, load_transcriber
from ingest.text_embedding import load_text_embedder
from ingest.visual_embedding import CLIP, load_image_embedder
from ingest.weights import hub_is_reachable
from retrievers.rerank import CROSS_ENCODER, LateInteractionReranker, load_cross_encoder

SPEECH_MODELS = ("pocketsphinx", "base", "small", "large-v3-turbo")
RERANKED_TEXTS = 20
TEXT_WORDS = 150


def main() -> None:
    """One line a rung; a rung whose weights cannot be had is said to be not measured."""
    if not hub_is_reachable():
        print("The model hub does not answer: only what is on this machine is measured.")
    for model in SPEECH_MODELS:
        transcriber = load_transcriber(model)
        print(
            f"speech {model}: {measure_speech(transcriber) if transcriber else 'not measured, no weights'}", flush=True
        )
    print(f"rerank {CROSS_ENCODER}: {measure_rerank()}", flush=True)
    print(f"visual {CLIP}: {measure_visual()}")


def measure_speech(transcriber: Transcriber) -> str:
    """Word error rate and real-time factor on the reference clips."""
    references = DATA / "speech" / "references.jsonl"
    if not references.exists():
        return f"not measured, no clips at {DATA}"
    with decoded_clips(references, "audio") as clips:
        return measured(transcriber, clips)


def measure_rerank() -> str:
    """Seconds to read the candidates of one question."""
    with tempfile.TemporaryDirectory() as cache:
        embedder = load_text_embedder("auto", Path(cache))
        reranker = load_cross_encoder("auto") or (LateInteractionReranker(embedder) if embedder else None)
        if reranker is None:
            return "not measured, no weights"
        words = ["a", "lamp", "bends", "in", "the", "glass", "and", "sailors", "see", "where", "land", "begins"]
        texts = [" ".join((words * TEXT_WORDS)[shift : shift + TEXT_WORDS]) for shift in range(RERANKED_TEXTS + 1)]
        reranker.score("who sees the lamp?", texts[:1])
        started = time.perf_counter()
        reranker.score("who sees the lamp?", texts[1:])
        spent_ms = (time.perf_counter() - started) * 1000
    return f"{reranker.name}: {spent_ms:.0f} ms for {RERANKED_TEXTS} texts of {TEXT_WORDS} words"


def measure_visual() -> str:
    """Pictures a second, on the key frames of the demo videos."""
    embedder = load_image_embedder("auto")
    if embedder is None:
        return "not measured, no weights"
    spent_seconds, pictures = 0.0, 0
    for video in sorted((REPOSITORY / "demo" / "videos").glob("*.mp4")):
        with tempfile.TemporaryDirectory() as work:
            frames = [frame.path for frame in decode_media(video, Path(work)).frames]
            started = time.perf_counter()
            embedder.embed_images(frames)
            spent_seconds += time.perf_counter() - started
            pictures += len(frames)
    return f"{embedder.name}: {pictures / spent_seconds:.1f} pictures a second ({pictures} pictures)"


if __name__ == "__main__":
    main()
