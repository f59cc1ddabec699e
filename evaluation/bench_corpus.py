"""Feeds the decoder what breaks decoders: 500 damaged variants of real files, hostile names and things that are no files."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ingest.media import MEDIA_SUFFIXES, MediaLimits, decode_media
from ingest.schema import VideoError
from ingest.sources import find_sources

VARIANTS = 500
SEED = 11
LIMITS = MediaLimits(wall_seconds=30.0)
# What the parent may add to the child's limit: starting it, killing it, and reading what it wrote.
SLACK_SECONDS = 10.0
SPARSE_BYTES = 100 * 2**30
HOSTILE_NAMES = (
    "new\nline.mp4", "..mp4", "-rf.mp4", "\u202egpj.mp4", "x" * 251 + ".mp4", "emoji \U0001f3ac.mp4", "a b'c\"d;e$(f).mp4",
    "concat:a|b.mp4", "http:__127.0.0.1_x.mp4", "%d%s%n.mp4", "playlist.m3u8.mp4",
)  # fmt: skip


def bench_corpus(media: Path, bad_inputs: Path) -> bool:
    """Print how each kind of bad input ended; whether every one ended well: in time, decoded or refused in one line."""
    originals = sorted(path for path in media.rglob("*") if path.suffix in MEDIA_SUFFIXES)
    with tempfile.TemporaryDirectory(prefix="playhead-bench-") as name:
        folder = Path(name)
        kinds = {
            f"{VARIANTS} damaged variants of {len(originals)} files": damaged(originals, folder / "damaged"),
            "bad inputs": iter(sorted(path for path in bad_inputs.rglob("*") if path.is_file())),
            "hostile names": hostile_names(originals[0], folder / "names"),
            "no files": no_files(folder / "specials"),
        }
        ended_well = [report(kind, paths, folder / "work") for kind, paths in kinds.items()]
        return all(ended_well)


def report(kind: str, paths: Iterator[Path], work: Path) -> bool:
    """Read each file as an ingest would, print the outcomes, and tell whether all were named ones."""
    outcomes: Counter[str] = Counter()
    seconds = []
    for path in paths:
        started = time.monotonic()
        outcomes[outcome(path, work)] += 1
        seconds.append(time.monotonic() - started)
    late = sum(taken > LIMITS.wall_seconds + SLACK_SECONDS for taken in seconds)
    print(
        f"corpus, {kind}: {dict(outcomes)}, {late} past the limit, median {statistics.median(seconds):.2f} s, ", end=""
    )
    print(f"longest {max(seconds):.1f} s")
    return not late and not outcomes["crash"]


def outcome(path: Path, work: Path) -> str:
    """What became of one file: decoded, flagged as damaged, refused in one line, captions, or a crash (shown)."""
    shutil.rmtree(work, ignore_errors=True)
    try:
        sources, failures = find_sources([path])
        if failures:
            return "refused" if "\n" not in failures[0].message else "crash"
        if not sources[0].media:
            return "captions"
        return "flagged" if decode_media(sources[0].media, work, LIMITS).warnings else "decoded"
    except VideoError as error:
        return "refused" if "\n" not in str(error) else "crash"
    except Exception as error:
        print(f"corpus, CRASH of {path.name!r}: {type(error).__name__}: {error}")
        return "crash"


def damaged(originals: list[Path], folder: Path) -> Iterator[Path]:
    """Variants in turn: bytes flipped, the end cut off, a stretch zeroed; each is removed once it was read."""
    folder.mkdir()
    chance = random.Random(SEED)
    for number in range(VARIANTS):
        original = originals[number % len(originals)]
        data = bytearray(original.read_bytes())
        how = number // len(originals) % 3
        if how == 0:
            for _ in range(chance.choice((1, 10, 100))):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif how == 1:
            del data[chance.randrange(1, len(data)) :]
        else:
            start = chance.randrange(len(data))
            stop = min(len(data), start + chance.randrange(1, max(2, len(data) // 4)))
            data[start:stop] = bytes(stop - start)
        path = folder / f"{number}{original.suffix}"
        path.write_bytes(data)
        yield path
        path.unlink()


def hostile_names(original: Path, folder: Path) -> Iterator[Path]:
    """A good file under names that break programs."""
    folder.mkdir()
    for name in HOSTILE_NAMES:
        yield Path(shutil.copy(original, folder / name))


def no_files(folder: Path) -> Iterator[Path]:
    """Links, pipes, devices, a folder named like a video, and 100 GB of nothing."""
    folder.mkdir()
    for number, target in enumerate(
        ("/dev/zero", "/proc/self/mem", "/etc/passwd", str(folder), str(folder / "nothing"))
    ):
        link = folder / f"link{number}.mp4"
        link.symlink_to(target)
        yield link
    (folder / "loop.mp4").symlink_to(folder / "loop.mp4")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "folder.mp4").mkdir()
    with (folder / "sparse.mp4").open("wb") as file:
        file.truncate(SPARSE_BYTES)
    with (folder / "sparse-with-head.mp4").open("wb") as file:
        file.write(b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2")
        file.truncate(SPARSE_BYTES)
    yield from (folder / name for name in ("loop.mp4", "pipe.mp4", "folder.mp4", "sparse.mp4", "sparse-with-head.mp4"))
    yield from (Path("/dev/zero"), Path("/dev/stdin"), Path("/proc/self/environ"))
