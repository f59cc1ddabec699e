"""Speech in `make bench`: word error rate and time of each recogniser at hand, beside the command of openai-whisper."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evaluation.word_errors import comparable_words, word_errors
from ingest.media import decode_media
from ingest.speech import Transcriber, load_transcriber

RECOGNISERS = ("pocketsphinx", "base")
PEER_WEIGHTS = Path("~/.cache/whisper/base.pt")
# (folder, its list, the key of a clip's file): studio sentences and speeches; the sound of videos.
REFERENCES = (("speech", "references.jsonl", "audio"), ("media", "speech_references.jsonl", "path"))


@dataclass(frozen=True, slots=True)
class Clip:
    """A 16 kHz WAV file, how long it is, and the words that are said in it."""

    audio: Path
    duration_seconds: float
    words: Sequence[str]


def bench_speech(data: Path) -> None:
    """One line a recogniser and set of clips; what cannot be measured here is said."""
    for folder, name, key in REFERENCES:
        references = data / folder / name
        if not references.exists():
            print(f"speech: no clips at {references}")
            continue
        with decoded_clips(references, key) as clips:
            total = sum(clip.duration_seconds for clip in clips)
            print(f"speech, {len(clips)} clips of {folder}, {total:.0f} s:")
            for model in RECOGNISERS:
                transcriber = load_transcriber(model)
                figures = measured(transcriber, clips) if transcriber else f"{model}: not measured, no weights here"
                print(f"  {figures}", flush=True)
            print(f"  {measured_peer(clips)}", flush=True)


@contextmanager
def decoded_clips(references: Path, key: str) -> Iterator[list[Clip]]:
    """The clips of a list of references, decoded as the pipeline decodes them; their files live as long as the context."""
    with tempfile.TemporaryDirectory() as work:
        clips = []
        for number, line in enumerate(references.read_text(encoding="utf-8").splitlines()):
            row = json.loads(line)
            media = decode_media(references.parent / row[key], Path(work, str(number)))
            if media.audio_path:
                clips.append(Clip(media.audio_path, media.duration_seconds, comparable_words(row["text"])))
        yield clips


def measured(transcriber: Transcriber, clips: Sequence[Clip]) -> str:
    """Word error rate and real-time factor of a recogniser that is loaded."""
    started, heard = time.perf_counter(), []
    for clip in clips:
        blocks = list(transcriber.transcribe(clip.audio, "en"))
        heard.append(" ".join(segment.text for block in blocks for segment in block.segments))
    return figures_of(transcriber.name, clips, heard, time.perf_counter() - started)


def measured_peer(clips: Sequence[Clip]) -> str:
    """The same of the `whisper` command with the base weights, its start and loading included."""
    command = shutil.which("whisper")
    if not command:
        return "openai-whisper: not measured, no `whisper` command here (pip install openai-whisper)"
    if not PEER_WEIGHTS.expanduser().exists():
        return f"openai-whisper: not measured, no weights at {PEER_WEIGHTS}"
    options = ("--model", "base", "--language", "en", "--fp16", "False", "--output_format", "txt", "--verbose", "False")
    with tempfile.TemporaryDirectory() as out:
        # The clips have one name in different folders, and the command names its files by them.
        named = [Path(shutil.copy(clip.audio, Path(out, f"{number}.wav"))) for number, clip in enumerate(clips)]
        threads = str(os.cpu_count() or 1)
        started = time.perf_counter()
        done = subprocess.run(
            [command, *map(str, named), *options, "--threads", threads, "--output_dir", out], capture_output=True
        )
        spent = time.perf_counter() - started
        if done.returncode:
            return f"openai-whisper: failed, exit {done.returncode}"
        heard = [path.with_suffix(".txt").read_text(encoding="utf-8") for path in named]
    return figures_of("openai-whisper base float32, with loading", clips, heard, spent)


def figures_of(name: str, clips: Sequence[Clip], heard: Sequence[str], spent_seconds: float) -> str:
    """One line of figures."""
    errors = sum(word_errors(clip.words, comparable_words(text)) for clip, text in zip(clips, heard, strict=True))
    words = sum(len(clip.words) for clip in clips)
    sound_seconds = sum(clip.duration_seconds for clip in clips)
    return (
        f"{name}: word error rate {errors / words:.3f} on {words} words, "
        f"{spent_seconds / sound_seconds:.2f} s a second of sound"
    )
