"""The wheel holds the packages with their data, the console command, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = {"ingest", "retrievers", "prompts", "guards", "evaluation", "app"}


def test_the_wheel_holds_the_packages_and_their_data(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=60,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == PACKAGES
    assert entry_points.strip().splitlines() == ["[console_scripts]", "playhead = app.cli:entry"]
    data = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()]
    shipped = {path.relative_to(ROOT).as_posix() for path in data if "__pycache__" not in path.parts}
    assert shipped <= names
