"""The import rule, and what only one file may do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ("ingest", "retrievers", "prompts", "guards", "evaluation", "app")


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module


@pytest.mark.parametrize("folder", ORDER)
def test_a_folder_imports_only_folders_to_its_left(folder: str) -> None:
    forbidden = set(ORDER[ORDER.index(folder) + 1 :]) | {"tests", "demo"}
    for path in python_files(folder):
        wrong = [name for name in imported_names(path) if name.split(".")[0] in forbidden]
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_only_settings_reads_the_environment() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for folder in ORDER
        for path in python_files(folder)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
    ]
    # The sandbox hands its child a fresh environment; the benchmark finds its data by it.
    assert set(readers) <= {"app/settings.py", "ingest/sandbox.py", "evaluation/bench.py"}


def test_no_relative_imports_and_no_module_named_like_the_standard_library() -> None:
    import sys

    for folder in ORDER:
        for path in python_files(folder):
            assert path.stem not in sys.stdlib_module_names, path
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level], path


def test_every_module_says_what_it_is_for() -> None:
    for folder in ORDER:
        for path in python_files(folder):
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_every_setting_is_in_the_example() -> None:
    source = (ROOT / "app" / "settings.py").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    read = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"(PLAYHEAD|OPENAI)_[A-Z_]+", node.value)
    }
    assert read
    shown = {line.lstrip("#").split("=")[0] for line in example.splitlines() if "=" in line}
    assert read == shown
