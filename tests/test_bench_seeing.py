"""The film of the benchmark has its cuts where it says, and both sides are measured and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation import film
from evaluation.bench_seeing import Cost, bench_film, count_held, count_near


def test_counting() -> None:
    assert count_held([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)], [0.0, 2.0, 2.5]) == 2
    assert count_near([1.0, 2.0, 3.0], [1.04, 2.1]) == 1
    assert Cost(2.0, 4.0).beside(Cost(20.0, 20.0)).endswith("10.0 times as fast (5.0 times by processor time)")


def test_a_small_film_is_seen_by_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("scenedetect")
    monkeypatch.setattr(film, "WIDTH", 320)
    monkeypatch.setattr(film, "HEIGHT", 180)
    monkeypatch.setattr(film, "SHOT_SECONDS", (1,))
    path = tmp_path / "film.mp4"
    starts = film.write_film(path, 3, 2, {"preset": "ultrafast", "sc_threshold": "40"})
    assert starts == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    bench_film("small", path, starts)
    told = capsys.readouterr().out
    assert "6 of 6 shots hold one of 6 pictures, 5 of 5 cuts within a frame, 0 elsewhere (detect-content: 5)" in told
