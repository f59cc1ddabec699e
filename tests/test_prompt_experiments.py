"""The notebook that compares prompts is stored without outputs, runs with and without a model, and saves the winner."""

from __future__ import annotations

import ast
import os
import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from chat_server import ChatServer, says
from nbclient import NotebookClient
from nbformat import NotebookNode

from app.demo import DEMO_VIDEOS
from prompts.fencing import MARK
from prompts.filling import template_version

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "prompt_experiments.ipynb"
TWO_FILMS = ("how-a-lighthouse-lens-works", "why-the-sky-is-blue")  # captioned: nothing has to be heard


@pytest.fixture
def notebook() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_no_output_and_no_count_is_stored(notebook: NotebookNode) -> None:
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.id for cell in cells if cell.outputs or cell.execution_count is not None or cell.metadata] == []
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.id


def test_what_it_imports_is_there(notebook: NotebookNode) -> None:
    tree = ast.parse("\n".join(cell.source for cell in code_cells(notebook)))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names: dict[str, object] = {}
    exec(compile(ast.Module(imports, []), NOTEBOOK.name, "exec"), names)  # the slow tests run the rest
    assert "save_template" in names


def run(
    notebook: NotebookNode, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, url: str = ""
) -> dict[str, str]:
    """What each cell printed."""
    videos = folder / "videos"
    videos.mkdir()
    for film in TWO_FILMS:
        for path in DEMO_VIDEOS.glob(f"{film}.*"):
            shutil.copy(path, videos)
    for name in [name for name in os.environ if name.startswith(("PLAYHEAD_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    folders = {
        "NOTEBOOK_VIDEOS": videos,
        "NOTEBOOK_LIBRARY": folder / "library",
        "NOTEBOOK_PROMPTS": folder / "prompts",
        "NOTEBOOK_QUESTIONS": DEMO_VIDEOS.parent / "questions.jsonl",
        "PLAYHEAD_CACHE": cache,
        "IPYTHONDIR": folder / "ipython",
        "JUPYTER_RUNTIME_DIR": folder / "jupyter",
    }
    for name, path in folders.items():
        monkeypatch.setenv(name, str(path))
    if url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
    NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(folder)}}).execute()
    return {cell.id: "".join(out.get("text", "") for out in cell.outputs) for cell in code_cells(notebook)}


def obeys_one_sentence(handler: Any) -> None:
    """Repeats the first evidence, and cites it only where it was asked for one sentence: it likes one of the variants."""
    system, user = (str(message["content"]) for message in handler.server.scripted.requests[-1]["messages"])
    spoken = re.search(r"^speech: (.*)$", user, re.MULTILINE)
    words = " ".join(spoken[1].replace(MARK, " ").split()[:12]) if spoken else "Nothing"
    says(f"{words} [1]" if "exactly one short sentence" in system else words)(handler)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_with_a_model_the_winner_is_saved_as_the_next_version(
    notebook: NotebookNode, tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ChatServer(obeys_one_sentence, lifetime_seconds=500.0) as server:
        printed = run(notebook, tmp_path, model_cache, monkeypatch, server.url)
        assert server.requests
    assert "scripted-model" in printed["run"]
    totals = {line[:14].strip(): line[14:].split() for line in printed["totals"].splitlines()[1:]}
    assert float(totals["one sentence"][0]) > float(totals["current"][0])
    assert int(totals["one sentence"][3]) > 0
    version = template_version("explain.jinja", tmp_path / "prompts")
    assert version.startswith("explain/2+")
    assert f"one sentence is saved as {version}" in printed["save"]
    assert "exactly one short sentence" in (tmp_path / "prompts" / "explain.jinja").read_text()
    (table,) = [out for cell in code_cells(notebook) if cell.id == "table" for out in cell.outputs]
    assert table.data["text/html"].count("<tr>") == 1 + int(printed["questions"].split()[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_without_a_model_quotes_are_scored_and_nothing_is_saved(
    notebook: NotebookNode, tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = run(notebook, tmp_path, model_cache, monkeypatch)
    assert "written by: extractive" in printed["run"]
    scores = {float(line[14:].split()[0]) for line in printed["totals"].splitlines()[1:]}
    assert len(scores) == 1 and scores.pop() > 0.5
    assert "Nothing is saved" in printed["save"]
    assert not (tmp_path / "prompts").exists()
