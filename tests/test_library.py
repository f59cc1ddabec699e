"""The library folder: its format, its models, its errors in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.library import FORMAT_VERSION, LibraryFolder, ModelRecord, check_tenant, frame_name
from ingest.schema import IndexMismatchError, LibraryError


def test_models_are_remembered(tmp_path: Path) -> None:
    folder = LibraryFolder(tmp_path / "new" / "library")
    assert folder.models() is None
    folder.create()
    models = {"text": ModelRecord("all-MiniLM-L6-v2", 384, "53aa")}
    folder.record_models(models)
    assert LibraryFolder(folder.path).models() == models
    assert LibraryFolder(folder.path).library_id() == folder.library_id()


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (f'{{"format_version": {FORMAT_VERSION + 1}}}', IndexMismatchError),
        ('{"format_version": 0}', IndexMismatchError),
        ('{"format_version": "x"}', IndexMismatchError),
        ("not json", LibraryError),
        ("[]", LibraryError),
        ('{"format_version": 1, "models": 7}', LibraryError),
        ('{"format_version": 1, "models": {"text": {"name": "x"}}}', LibraryError),
    ],
)
def test_a_record_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, content: str, error: type[LibraryError]
) -> None:
    (tmp_path / "library.json").write_text(content)
    with pytest.raises(error) as told:
        LibraryFolder(tmp_path).models()
    assert "\n" not in str(told.value)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LibraryError, match="--library"):
        LibraryFolder(tmp_path / "file" / "library").create()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 65, "a b", "é"])
def test_a_tenant_that_could_not_be_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="tenant"):
        check_tenant(name)


def test_frames_are_named_by_their_milliseconds() -> None:
    assert frame_name(1.5) == "000001500.jpg"


def test_what_a_kill_left_is_removed_and_what_can_be_gone_on_with_is_kept(tmp_path: Path) -> None:
    folder = LibraryFolder(tmp_path)
    kept = [tmp_path / "index/live", tmp_path / "frames/local/known", tmp_path / "work/local/begun"]
    kept += [tmp_path / "tokens/local/known", tmp_path / "tokens/local/begun"]
    gone = [tmp_path / "index/old", tmp_path / "frames/local/unknown", tmp_path / "work/local/given-up"]
    gone += [tmp_path / "tokens/local/unknown", tmp_path / "tokens/other/known"]
    for path in (*kept, *gone):
        path.mkdir(parents=True)
    folder.remove_leftovers("live", {("local", "known")}, {("local", "begun")})
    assert [path.exists() for path in (*kept, *gone)] == [True] * len(kept) + [False] * len(gone)
