"""Fills a prompt template: a file with a system and a user block, taken from the user's folder or from ours."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError

from prompts.draft import ChatMessage, PromptError

TEMPLATES = Path(__file__).parent / "templates"


def fill_template(name: str, values: Mapping[str, object], templates: Path | None = None) -> list[ChatMessage]:
    """The system and the user message; a folder `templates` may hold another file of this name. Raises PromptError."""
    try:
        template = _environment(templates).get_template(name)
        return [
            ChatMessage("system", _block(template, "system", values)),
            ChatMessage("user", _block(template, "user", values)),
        ]
    except (TemplateError, KeyError, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise PromptError(
            f"The template {name} in {templates or TEMPLATES} cannot be filled: {reason}. "
            "Correct it, or unset PLAYHEAD_PROMPTS."
        ) from error


@functools.lru_cache(maxsize=4)
def _environment(templates: Path | None) -> Environment:
    folders = [folder for folder in (templates, TEMPLATES) if folder]
    # The prompt is text, not HTML: what is untrusted is fenced, not escaped.
    return Environment(loader=FileSystemLoader(folders), undefined=StrictUndefined, autoescape=False)


def _block(template: Template, name: str, values: Mapping[str, object]) -> str:
    return "".join(template.blocks[name](template.new_context(dict(values)))).strip()
