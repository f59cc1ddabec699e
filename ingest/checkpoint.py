"""What is already done of a video that is not published yet: a folder that survives a kill, removed at publication."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from ingest.media import DecodedMedia, MediaLimits, checked_media, decode_media, read_facts


class StageLog:
    """The finished parts of one stage as JSON lines in a file, each on the disk before the next is begun.

    What another model made is not taken up again, nor is a last line that a kill tore.
    """

    def __init__(self, path: Path, made_with: str) -> None:
        self._path = path
        self._made_with = made_with
        self.done: list[Any] = self._read()

    def add(self, part: Any) -> None:
        """Write down one more finished part: anything that JSON holds."""
        new = not self.done
        with self._path.open("w" if new else "a", encoding="utf-8") as file:
            if new:
                file.write(json.dumps(self._made_with) + "\n")
            file.write(json.dumps(part) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.done.append(part)

    def _read(self) -> list[Any]:
        if not self._path.exists():
            return []
        whole, _, torn = self._path.read_bytes().rpartition(b"\n")
        lines = [json.loads(line) for line in whole.splitlines()]
        if torn:
            os.truncate(self._path, len(whole) + 1 if whole else 0)
        return lines[1:] if lines and lines[0] == self._made_with else []


class Checkpoint:
    """The work folder of one video: its decoded media, and a log for each stage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def log(self, stage: str, made_with: str) -> StageLog:
        """The log of a stage; `made_with` names the model and whatever else its parts depend on."""
        return StageLog(self._folder / f"{stage}.jsonl", made_with)

    def decode(self, path: Path, limits: MediaLimits, **options: bool) -> DecodedMedia:
        """Decode a file, or take up what an earlier run decoded with the same options."""
        work, done = self._folder / "media", self._folder / "decoded.json"
        asked = {"options": options, "limits": repr(limits)}
        try:
            before = json.loads(done.read_text(encoding="utf-8"))
            if before["asked"] == asked:
                return replace(
                    checked_media(read_facts(work / "media.json"), work, limits, 0), warnings=tuple(before["warnings"])
                )
        except (OSError, ValueError, KeyError, TypeError):
            pass  # nothing whole was left
        shutil.rmtree(work, ignore_errors=True)
        media = decode_media(path, work, limits, **options)
        done.write_text(json.dumps({"asked": asked, "warnings": media.warnings}), encoding="utf-8")
        return media

    def remove(self) -> None:
        """Forget all of it."""
        shutil.rmtree(self._folder, ignore_errors=True)
