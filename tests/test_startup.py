"""Help is quick because it imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
import time

HEAVY = ("torch", "transformers", "gradio", "llama_index", "av", "openvino", "numpy", "sqlalchemy")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from app.cli import main; status = main(['--help']);"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules]); sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "HEAVY []" in done.stdout
    assert "playhead ingest" in done.stdout


def test_help_comes_soon() -> None:
    code = "from app.cli import main; main(['--help'])"
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 2.0  # the real target, 0.5 s on an idle machine, is measured by `make bench`


def test_importing_every_package_does_nothing() -> None:
    code = "import app.build, app.cli, app.settings, sys; print([n for n in ('torch', 'transformers', 'gradio') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == ""
