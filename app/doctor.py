"""Says which tier serves each role on this machine, how to raise it, and where everything lies."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.settings import Settings
from ingest.library import LibraryFolder
from ingest.text_embedding import packaged_minilm
from ingest.weights import hub_is_reachable, local_weights

PACKAGES = ("playhead", "av", "qdrant-edge-py", "openvino", "faster-whisper", "rapidocr", "gradio", "llama-index-core")


@dataclass(frozen=True, slots=True)
class RoleTier:
    """What serves a role, and what to do for a better one ("" when there is nothing to do)."""

    role: str
    tier: str
    raise_it: str


@dataclass(frozen=True, slots=True)
class Examination:
    """The state of this machine and library."""

    roles: tuple[RoleTier, ...]
    warnings: tuple[str, ...]
    paths: dict[str, str]
    versions: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_text(self) -> str:
        lines = [f"{item.role:18} {item.tier}" + (f"\n{'':18} -> {item.raise_it}" if item.raise_it else "") for item in self.roles]
        lines += ["", *(f"warning: {warning}" for warning in self.warnings)]
        lines += [f"{name:18} {value}" for name, value in {**self.paths, **self.versions}.items()]
        return "\n".join(lines)
