"""The library folder: where everything lies, the format it has, and the models it was built with."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ingest.schema import IndexMismatchError, LibraryError, WrongCallError

FORMAT_VERSION = 1
TENANT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """The model that made a role's vectors."""

    name: str
    dimension: int
    revision: str

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and isinstance(self.dimension, int) and isinstance(self.revision, str)):
            raise TypeError(f"a model has a name, a dimension and a revision, got {self!r}")


class LibraryFolder:
    """One folder: `library.json`, `id`, `catalog.sqlite`, `index/`, `frames/TENANT/VIDEO/`, `tokens/`, `work/`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self._check_format()

    def create(self) -> None:
        """Make the folder, unless it is there; LibraryError when it cannot be written."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise LibraryError(
                f"The library folder {self.path} cannot be written ({error.strerror}). Choose another with --library DIR."
            ) from error

    def check_exists(self) -> None:
        """LibraryError when nothing has been ingested here yet."""
        if not (self.path / "library.json").is_file():
            raise LibraryError(f"There is no library at {self.path} yet. Run: playhead ingest ~/Videos")

    @property
    def index_folder(self) -> Path:
        return self.path / "index"

    @property
    def catalog_url(self) -> str:
        return f"sqlite:///{self.path / 'catalog.sqlite'}"

    def frames_folder(self, tenant: str, video_id: str) -> Path:
        """Where the JPEG keyframes of one video lie."""
        return self.path / "frames" / own_folder(tenant, video_id)

    def frame_path(self, tenant: str, video_id: str, time_seconds: float) -> Path:
        """The JPEG of the keyframe at a time."""
        return self.frames_folder(tenant, video_id) / frame_name(time_seconds)

    def remove_frames(self, tenant: str, video_id: str) -> None:
        """Delete the keyframes of one video."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.frames_folder(tenant, video_id))

    def calibration_path(self, tenant: str) -> Path:
        """Where the confidence that was fitted on a tenant's own questions lies."""
        return self.path / f"calibration-{check_tenant(tenant)}.json"

    def tokens_folder(self, tenant: str, video_id: str) -> Path:
        """Where the token vectors of one video lie."""
        return self.path / "tokens" / own_folder(tenant, video_id)

    def work_folder(self, tenant: str, video_id: str) -> Path:
        """Where the unfinished reading of one video lies."""
        return self.path / "work" / own_folder(tenant, video_id)

    def remove_leftovers(
        self, live_index: str, video_ids: Collection[tuple[str, str]], unfinished: Collection[tuple[str, str]]
    ) -> None:
        """Remove what a killed ingest or reindex left: other indexes, and pictures, tokens and work of no (tenant, video).

        Only the owner of the library may call it.
        """
        indexes = [path for path in self.index_folder.glob("*") if path.name != live_index]
        frames = [path for path in self.path.glob("frames/*/*") if (path.parent.name, path.name) not in video_ids]
        wanted = {*video_ids, *unfinished}
        tokens = [path for path in self.path.glob("tokens/*/*") if (path.parent.name, path.name) not in wanted]
        work = [path for path in self.path.glob("work/*/*") if (path.parent.name, path.name) not in unfinished]
        for path in (*indexes, *frames, *tokens, *work):
            shutil.rmtree(path, ignore_errors=True)

    def library_id(self) -> str:
        """A name that no other library has; made with the folder, so that libraries can share a Qdrant server."""
        path = self.path / "id"
        if not path.exists():
            scratch = self.path / f"id.{os.getpid()}"
            scratch.write_text(uuid.uuid4().hex[:12], encoding="ascii")
            with contextlib.suppress(FileExistsError):
                os.link(scratch, path)  # unlike a rename, it never replaces the name another process just gave
            scratch.unlink()
        return path.read_text(encoding="ascii").strip()

    def models(self) -> dict[str, ModelRecord] | None:
        """The models by role ("text", "visual") that the library was built with, or None for a new library."""
        recorded = self._read().get("models")
        try:
            return None if recorded is None else {role: ModelRecord(**fields) for role, fields in recorded.items()}
        except (AttributeError, TypeError) as error:
            raise self._unreadable(error) from error

    def record_models(self, models: Mapping[str, ModelRecord]) -> None:
        """Write down the models, once the library is built with them."""
        content = {
            "format_version": FORMAT_VERSION,
            "models": {role: asdict(model) for role, model in models.items()},
        }
        scratch = self.path / "library.json.new"
        with scratch.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, self.path / "library.json")

    def _read(self) -> dict[str, Any]:
        path = self.path / "library.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            if not isinstance(content, dict):
                raise ValueError("no object")
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        return content

    def _unreadable(self, error: Exception) -> LibraryError:
        record = self.path / "library.json"
        return LibraryError(f"{record} cannot be read ({error}). Restore it, or delete the folder and ingest again.")

    def _check_format(self) -> None:
        version = self._read().get("format_version", FORMAT_VERSION)
        if version != FORMAT_VERSION:
            age = "newer" if isinstance(version, int) and version > FORMAT_VERSION else "older"
            remedy = "Upgrade Playhead" if age == "newer" else "Ingest the videos into a new folder (--library DIR)"
            raise IndexMismatchError(
                f"The library {self.path} has format {version}, {age} than format {FORMAT_VERSION} of this Playhead. {remedy}."
            )


def frame_name(time_seconds: float) -> str:
    """The file name of the keyframe at a time: its milliseconds."""
    return f"{round(time_seconds * 1000):09}.jpg"


def own_folder(tenant: str, video_id: str) -> Path:
    """Where a tenant keeps what belongs to a video, below a folder for all; an id that leads elsewhere is refused."""
    if not video_id or Path(video_id).name != video_id or video_id == "..":
        raise WrongCallError(f"A video's id is the name of a folder, got {video_id!r}.")
    return Path(check_tenant(tenant)) / video_id


def check_tenant(name: str) -> str:
    """The tenant's name, refused when it could not be a folder's name."""
    if not TENANT_NAME.fullmatch(name):
        raise WrongCallError(f"A tenant is named by 1 to 64 letters, digits, - or _, got {name!r}.")
    return name
