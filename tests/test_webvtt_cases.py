"""The WebVTT reader against 163 cases of another implementation and the cue text rules of the standard."""

from __future__ import annotations

import html
import json
import os
import re
from pathlib import Path

import pytest

from ingest.captions import one_line, read_captions

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
CASES = DATA / "bad_inputs" / "vttjs"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the shared test data is not on this machine")

# What the standard throws away with a tag that is never closed is kept: words that nobody sees cannot be found either.
# Entities need their semicolon, so that an ampersand in plain words stays.
DIFFERENCES = {
    "cuetext/escape-characters/incorrect.vtt": ("&l &g; &nbsp &am; &lt &gt &nbs &nbs; &g; &lr;", None),
    "cuetext/lang/no-end-gt.vtt": ("en-Us It's a blue apple tree!", None),
    "cuetext/tag-format/end-tag-no-gt.vtt": ("This is awesome!", None),
    "cuetext/tag-format/no-closing-gt.vtt": ("It's a blue apple tree!", None),
    "cuetext/tag-format/start-tag-missing-gt.vtt": ("That's awesome!", None),
    "cuetext/timestamp/no-end-gt.vtt": ("It's a blue apple tree!", None),
    "cuetext/voice/no-end-gt.vtt": ("It's a blue apple tree!", None),
}


def said_by_the_standard(cue_text: str) -> tuple[str, str | None]:
    """What a cue shows and who speaks: a tag goes from `<` to `>` or to the end, the rest is HTML text."""
    voices = re.findall(r"<v(?:\.[^\s>]*)?\s+([^>]*)(?:>|$)", cue_text)
    names = dict.fromkeys(filter(None, (one_line(html.unescape(voice)) for voice in voices)))
    return one_line(html.unescape(re.sub(r"<[^>]*(?:>|$)", "", cue_text))), ", ".join(names) or None


def read_case(path: Path) -> list[tuple[float, float, str, str | None]]:
    segments = read_captions(path, "sidecar captions").segments
    return [(s.start_seconds, s.end_seconds, s.text, s.speaker) for s in segments]


def test_every_expected_parse() -> None:
    differing = {}
    compared = 0
    for path in sorted(CASES.rglob("*.vtt")):
        if not path.with_suffix(".json").exists():
            continue
        cues = json.loads(path.with_suffix(".json").read_text())["cues"]
        read = read_case(path)
        assert [row[:2] for row in read] == [(cue["startTime"], cue["endTime"]) for cue in cues], path
        if [row[2:] for row in read] != [said_by_the_standard(cue["text"]) for cue in cues]:
            differing[str(path.relative_to(CASES))] = [row[2:] for row in read]
        compared += 1
    assert compared == 118
    assert differing == {name: [said] for name, said in DIFFERENCES.items()}


def test_broken_cue_settings_do_no_harm() -> None:
    without = [path for path in sorted(CASES.rglob("*.vtt")) if not path.with_suffix(".json").exists()]
    assert len(without) == 45
    for path in without:
        assert read_case(path) == [(0.0, 2.0, "Text", None)], path
