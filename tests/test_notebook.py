"""The notebook is stored without outputs, uses what is there, and runs from top to bottom."""

from __future__ import annotations

import ast
import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from app.demo import DEMO_VIDEOS

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "inside_one_search.ipynb"
TWO_FILMS = ("how-a-lighthouse-lens-works", "why-the-sky-is-blue")  # captioned: nothing has to be heard


@pytest.fixture
def notebook() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_no_output_and_no_count_is_stored(notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert cells
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count is not None or cell.metadata] == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_every_code_cell_is_python_and_told_of_in_words(notebook: NotebookNode) -> None:
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code":
            ast.parse(cell.source)
            assert before.cell_type == "markdown", cell.id


def test_what_it_imports_is_there(notebook: NotebookNode) -> None:
    tree = ast.parse("\n".join(cell.source for cell in code_cells(notebook)))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names: dict[str, object] = {}
    exec(compile(ast.Module(imports, []), NOTEBOOK.name, "exec"), names)  # the slow test runs the rest
    assert "fuse" in names
    assert [name for name in names if name.startswith("_") and name != "__builtins__"] == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_it_runs_from_top_to_bottom(
    notebook: NotebookNode, tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for film in TWO_FILMS:
        for path in DEMO_VIDEOS.glob(f"{film}.*"):
            shutil.copy(path, videos)
    for name in [name for name in os.environ if name.startswith(("PLAYHEAD_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    folders = {
        "NOTEBOOK_VIDEOS": videos,
        "NOTEBOOK_LIBRARY": tmp_path / "library",
        "PLAYHEAD_CACHE": model_cache,
        "IPYTHONDIR": tmp_path / "ipython",
        "JUPYTER_RUNTIME_DIR": tmp_path / "jupyter",
    }
    for name, folder in folders.items():
        monkeypatch.setenv(name, str(folder))

    NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()

    printed = {cell.id: "".join(out.get("text", "") for out in cell.outputs) for cell in code_cells(notebook)}
    assert "2 indexed" in printed["open-library"]
    assert 'plan: the first time in each video of "mercury"' in printed["plan"]
    assert "'finger': 1.0" in printed["vectors"]
    legs = dict(line.split(maxsplit=1) for line in printed["legs"].splitlines())
    assert legs["speech_bm25"].startswith(legs["speech_dense"][:27])
    assert legs["speech_bm25"].startswith("How a Lighthouse Lens Works")
    assert printed["fusion"].splitlines()[1].startswith("How a Lighthouse Lens Works")
    assert "floated in a bath of mercury" in printed["answer"]
    assert "at 1:05" in printed["answer"]
    pictures = {cell.id for cell in code_cells(notebook) for out in cell.outputs if "image/png" in out.get("data", {})}
    assert pictures == {"late-interaction", "evidence"}
