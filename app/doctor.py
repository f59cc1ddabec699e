"""Says which tier serves each role on this machine, how to raise it, and where everything lies. Loads and downloads nothing."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.settings import Settings
from ingest.catalog import Catalog
from ingest.library import LibraryFolder
from ingest.schema import PlayheadError
from ingest.speech import HUB_FILES as WHISPER_FILES
from ingest.text_embedding import HUB_FILES as TEXT_FILES
from ingest.text_embedding import MINILM, is_known_language, packaged_minilm
from ingest.visual_embedding import CLIP
from ingest.visual_embedding import HUB_FILES as CLIP_FILES
from ingest.weights import hub_is_reachable, local_weights
from retrievers.rerank import CROSS_ENCODER
from retrievers.rerank import HUB_FILES as CROSS_ENCODER_FILES
from retrievers.rules_file import RulesFile

PACKAGES = ("playhead", "av", "qdrant-edge-py", "openvino", "faster-whisper", "rapidocr", "gradio", "llama-index-core")
WHISPER_BASE = "Systran/faster-whisper-base"


@dataclass(frozen=True, slots=True)
class RoleTier:
    """What serves a role, and what to do for a better one ("" when there is nothing to do)."""

    role: str
    tier: str
    raise_it: str = ""


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
        lines = []
        for item in self.roles:
            lines.append(f"{item.role:17} {item.tier}")
            lines += [f"{'':17} -> {item.raise_it}"] if item.raise_it else []
        lines += ["", *(f"warning: {warning}" for warning in self.warnings)]
        return "\n".join([*lines, *(f"{name:17} {value}" for name, value in {**self.paths, **self.versions}.items())])


def examine(settings: Settings) -> Examination:
    """Look at the machine, the settings and, when there is one, the library."""
    folder = LibraryFolder(settings.library)
    roles = (
        _speech(settings),
        _text(settings),
        _downloaded("visual embedding", settings.visual_model, CLIP, CLIP_FILES, "perceptual fingerprint"),
        _screen_text(),
        _downloaded("rerank", settings.rerank_model, CROSS_ENCODER, CROSS_ENCODER_FILES, "late interaction"),
        RoleTier(
            "description",
            settings.describe_model or "off",
            "" if settings.describe_model else "PLAYHEAD_DESCRIBE_MODEL",
        ),
        _answer(settings),
        RoleTier(
            "index", f"Qdrant server {settings.qdrant_url}" if settings.qdrant_url else "Qdrant Edge, in this process"
        ),
    )
    recorded = folder.models()
    rules = settings.rules_path
    built_with = ", ".join(f"{role}: {model.name}" for role, model in (recorded or {}).items())
    return Examination(
        roles=roles,
        warnings=(
            *(_language_warnings(settings, folder) if recorded is not None else ()),
            *_rules_warnings(rules),
        ),
        paths={
            "library": f"{folder.path} ({'built with ' + built_with if recorded else 'no videos yet'})",
            "cache": str(settings.cache),
            "rules": f"{rules}{'' if rules.is_file() else ' (not there: searches may return everything)'}",
        },
        versions={"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
    )


def _speech(settings: Settings) -> RoleTier:
    item = _downloaded("speech", settings.speech_model, WHISPER_BASE, WHISPER_FILES, "")
    if item.tier or settings.speech_model != "auto":
        return item
    if importlib.util.find_spec("pocketsphinx"):
        return RoleTier("speech", "PocketSphinx en-us", item.raise_it)
    return RoleTier("speech", "off", "pip install 'playhead[offline]', or connect once for Whisper")


def _text(settings: Settings) -> RoleTier:
    if settings.text_model == "auto" and packaged_minilm():
        return RoleTier(
            "text embedding", f"{MINILM} (installed package)", "PLAYHEAD_TEXT_MODEL, then: playhead reindex"
        )
    return _downloaded("text embedding", settings.text_model, MINILM, TEXT_FILES, "off: words only (BM25)")


def _downloaded(role: str, asked: str, default: str, files: tuple[str, ...], lower: str) -> RoleTier:
    """A role whose better tier lives on the hub: there already, downloaded at first use, or out of reach."""
    name = default if asked == "auto" else asked
    if local_weights(name, files):
        return RoleTier(role, name)
    if asked in ("fingerprint", "pocketsphinx"):
        return RoleTier(role, asked, "unset the model's setting for the default")
    if hub_is_reachable():
        return RoleTier(role, f"{name} (downloaded at first use)")
    if asked != "auto":
        return RoleTier(
            role, f"off: {name} cannot be had here", "give a folder or a hub name, or unset the model's setting"
        )
    return RoleTier(role, lower, f"connect this machine once: {name} is then downloaded and kept")


def _screen_text() -> RoleTier:
    if importlib.util.find_spec("rapidocr"):
        return RoleTier("screen text", "RapidOCR")
    return RoleTier("screen text", "off", "pip install rapidocr")


def _answer(settings: Settings) -> RoleTier:
    if settings.openai_base_url or settings.openai_api_key:
        endpoint = settings.openai_base_url or "OpenAI"
        return RoleTier("answer", f"{settings.chat_model or 'the first model'} at {endpoint}")
    return RoleTier("answer", "extractive: quotes", "set OPENAI_API_KEY, or OPENAI_BASE_URL for a local model")


def _language_warnings(settings: Settings, folder: LibraryFolder) -> list[str]:
    """Languages of the library that its text model does not know."""
    model = (folder.models() or {}).get("text")
    try:
        catalog = Catalog(settings.catalog_url or folder.catalog_url)
    except PlayheadError as error:
        return [str(error)]
    languages = {video.language for video in catalog.videos(settings.tenant) if video.language}
    catalog.close()
    unknown = sorted(language for language in languages if model and not is_known_language(model.name, language))
    if not model or not unknown:
        return []
    return [
        f"the library holds {', '.join(unknown)}, which {model.name} does not know. Set PLAYHEAD_TEXT_MODEL to a "
        "multilingual model and run: playhead reindex"
    ]


def _rules_warnings(path: Path) -> list[str]:
    """What is wrong with the rules file."""
    try:
        RulesFile(path)
    except PlayheadError as error:
        return [str(error)]
    return []


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
