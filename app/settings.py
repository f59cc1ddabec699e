"""Every setting, read once from the environment and a `.env` file into plain values; nothing else reads the environment."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import dotenv_values
from platformdirs import user_cache_path, user_data_path

from guards.privacy import KINDS
from ingest.library import check_tenant
from ingest.schema import PlayheadError, WrongCallError

SWITCHES = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class SettingsError(PlayheadError):
    """A setting has a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run uses. Model settings take a name, a folder or "auto", which is the default rung of the ladder."""

    library: Path
    cache: Path
    tenant: str = "local"
    catalog_url: str | None = None
    qdrant_url: str | None = None
    qdrant_api_key: str | None = field(default=None, repr=False)
    text_model: str = "auto"
    speech_model: str = "auto"
    visual_model: str = "auto"
    screen_language: str = "auto"
    tags: Path | None = None
    every_frame: bool = False
    hear_captioned: bool = False
    rerank_model: str = "auto"
    rules: Path | None = None
    chat_model: str | None = None
    describe_model: str | None = None
    describe_tokens: int = 200_000
    describe_dollars: float | None = None
    openai_base_url: str | None = None
    openai_api_key: str | None = field(default=None, repr=False)
    prompts: Path | None = None
    mask: frozenset[str] = frozenset()
    mask_names: Path | None = None
    answer_seconds: float = 60.0
    answer_tokens: int = 3000
    answer_tokens_a_day: int | None = None
    answer_dollars: tuple[float, float] | None = None
    chat_pictures: bool = True
    decode_seconds: float = 900.0
    host: str = "127.0.0.1"
    port: int = 7860

    @property
    def rules_path(self) -> Path:
        """Where the rules of what searches may return are, if there are any."""
        return self.rules or self.library.expanduser().resolve() / "rules.yaml"


def read_settings(
    environment: Mapping[str, str] | None = None, *, library: Path | None = None, tenant: str | None = None
) -> Settings:
    """Settings from the environment, then `.env` in the current folder, then defaults; raises SettingsError."""
    given = environment if environment is not None else {**_dotenv(), **os.environ}

    def text(name: str) -> str | None:
        return given.get(name, "").strip() or None

    def number(name: str, default: float) -> float:
        value = text(name)
        try:
            found = default if value is None else float(value)
        except ValueError:
            raise SettingsError(f"{name} is {value!r}, not a number. Set it to a number or unset it.") from None
        if not 0 < found < float("inf"):
            raise SettingsError(f"{name} is {value!r}, and must be above 0. Set it to a positive number or unset it.")
        return found

    def prices(name: str) -> tuple[float, float] | None:
        value = text(name)
        if value is None:
            return None
        try:
            prompt, reply = (float(part) for part in value.split("/"))
        except ValueError:
            prompt = reply = -1.0
        if not (0 <= prompt < float("inf") and 0 <= reply < float("inf")):
            raise SettingsError(f"{name} is {value!r}. Write dollars for a million prompt/reply tokens, as 0.4/1.6.")
        return prompt, reply

    def folder(name: str) -> Path | None:
        value = text(name)
        return Path(value).expanduser() if value else None

    def switch(name: str, default: str = "0") -> bool:
        value = (text(name) or default).casefold()
        if value not in SWITCHES:
            raise SettingsError(f"{name} is {value!r}. Set it to 1 or 0.")
        return SWITCHES[value]

    def file(name: str) -> Path | None:
        path = folder(name)
        if path and not path.is_file():
            raise SettingsError(f"{name} is {path}, which is not a file. Make it or unset it.")
        return path

    def kinds(name: str) -> frozenset[str]:
        value = (text(name) or "off").casefold()
        listed = frozenset(part.strip() for part in value.split(","))
        if SWITCHES.get(value) is None and not listed <= set(KINDS):
            raise SettingsError(f"{name} is {value!r}. Set it to 1, to 0, or to some of {','.join(KINDS)}.")
        return (frozenset(KINDS) if SWITCHES[value] else frozenset()) if value in SWITCHES else listed

    named = tenant if tenant is not None else text("PLAYHEAD_TENANT")
    if named is None and switch("PLAYHEAD_TENANT_REQUIRED"):
        raise WrongCallError(
            "No tenant was named, and this library needs one. Give --tenant NAME or set PLAYHEAD_TENANT."
        )
    prompts = folder("PLAYHEAD_PROMPTS")
    if prompts and not prompts.is_dir():
        raise SettingsError(f"PLAYHEAD_PROMPTS is {prompts}, which is not a folder. Make it or unset it.")
    port = number("PLAYHEAD_PORT", 7860)
    if port != int(port) or port > 65535:
        raise SettingsError(f"PLAYHEAD_PORT is {port:g}, not a port. Set it to a number from 1 to 65535.")
    return Settings(
        library=library or folder("PLAYHEAD_LIBRARY") or user_data_path("playhead"),
        cache=folder("PLAYHEAD_CACHE") or user_cache_path("playhead"),
        tenant=check_tenant(named if named is not None else "local"),
        catalog_url=text("PLAYHEAD_CATALOG_URL"),
        qdrant_url=text("PLAYHEAD_QDRANT_URL"),
        qdrant_api_key=text("PLAYHEAD_QDRANT_API_KEY"),
        text_model=text("PLAYHEAD_TEXT_MODEL") or "auto",
        speech_model=text("PLAYHEAD_SPEECH_MODEL") or "auto",
        visual_model=text("PLAYHEAD_VISUAL_MODEL") or "auto",
        screen_language=text("PLAYHEAD_SCREEN_LANGUAGE") or "auto",
        tags=file("PLAYHEAD_TAGS"),
        every_frame=switch("PLAYHEAD_EVERY_FRAME"),
        hear_captioned=switch("PLAYHEAD_HEAR_CAPTIONED"),
        rerank_model=text("PLAYHEAD_RERANK_MODEL") or "auto",
        rules=file("PLAYHEAD_RULES"),
        chat_model=text("PLAYHEAD_CHAT_MODEL"),
        describe_model=text("PLAYHEAD_DESCRIBE_MODEL"),
        describe_tokens=int(number("PLAYHEAD_DESCRIBE_TOKENS", 200_000)),
        describe_dollars=number("PLAYHEAD_DESCRIBE_DOLLARS", 1.0) if text("PLAYHEAD_DESCRIBE_DOLLARS") else None,
        openai_base_url=text("OPENAI_BASE_URL"),
        openai_api_key=text("OPENAI_API_KEY"),
        prompts=prompts,
        mask=kinds("PLAYHEAD_MASK"),
        mask_names=file("PLAYHEAD_MASK_NAMES"),
        answer_seconds=number("PLAYHEAD_ANSWER_SECONDS", 60.0),
        answer_tokens=math.ceil(number("PLAYHEAD_ANSWER_TOKENS", 3000)),
        answer_tokens_a_day=math.ceil(number("PLAYHEAD_ANSWER_TOKENS_A_DAY", 1))
        if text("PLAYHEAD_ANSWER_TOKENS_A_DAY")
        else None,
        answer_dollars=prices("PLAYHEAD_ANSWER_DOLLARS"),
        chat_pictures=switch("PLAYHEAD_CHAT_PICTURES", "1"),
        decode_seconds=number("PLAYHEAD_DECODE_SECONDS", 900.0),
        host=text("PLAYHEAD_HOST") or "127.0.0.1",
        port=int(port),
    )


def _dotenv() -> dict[str, str]:
    """The lines of `.env` in the current folder; a file that cannot be read as such is a SettingsError."""
    path = Path.cwd() / ".env"
    if not path.is_file():
        return {}
    try:
        found = dotenv_values(path, verbose=False)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({error}). Save it as UTF-8 text or remove it.") from None
    broken = [name for name, value in found.items() if value is None]
    if broken:
        raise SettingsError(f"{path} holds {broken[0]!r}, which is no NAME=value line. Correct it.")
    return {name: value for name, value in found.items() if value is not None}
