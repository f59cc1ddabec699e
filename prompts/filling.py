"""Fills a prompt template: a file with a system and a user block, taken from the user's folder or from ours."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, meta

from prompts.draft import ChatMessage, PromptError

TEMPLATES = Path(__file__).parent / "templates"
SUFFIX = ".jinja"
# The beginning of a template: `{# version: 3. Filled by ...`.
VERSION_LINE = re.compile(r"\s*\{#-?\s*version:\s*(\d{1,6})\b")
OWN_HASH_CHARACTERS = 8


def fill_template(name: str, values: Mapping[str, object], templates: Path | None = None) -> list[ChatMessage]:
    """The system and the user message; a folder `templates` may hold another file of this name. Raises PromptError."""
    try:
        template = _environment(templates).get_template(name)
        return [
            ChatMessage("system", _block(template, "system", values)),
            ChatMessage("user", _block(template, "user", values)),
        ]
    except (TemplateError, LookupError, ArithmeticError, TypeError, ValueError, RecursionError, OSError) as error:
        raise _unusable(name, templates, error) from error


def template_version(name: str, templates: Path | None = None) -> str:
    """Name and version of the template that would be filled: `explain/1`, or `explain/2+3f2a91c0` for a user's own.

    What stands behind the plus is of its content and of what it includes, so that an edit shows even where the number
    stayed. Raises PromptError.
    """
    source, own = _source(name, templates)
    included = [_source(other, templates) for other in _included(name, source, templates)]
    content = "\0".join([source, *(text for text, _ in included)])
    is_own = own or any(one for _, one in included)
    mark = f"+{hashlib.sha256(content.encode()).hexdigest()[:OWN_HASH_CHARACTERS]}" if is_own else ""
    return f"{name.removesuffix(SUFFIX)}/{_number(source)}{mark}"


def save_template(name: str, source: str, templates: Path) -> str:
    """Put a template into the user's folder as the next version and return that; the one it replaces stays beside it.

    `explain.jinja` of version 2 stays as `explain.2.jinja`, which nothing reads. Raises PromptError.
    """
    before, own = _source(name, templates)
    text = f"{{#- version: {_number(before) + 1} -#}}\n{VERSION_COMMENT.sub('', source, count=1).lstrip()}"
    templates.mkdir(parents=True, exist_ok=True)
    if own:
        kept = templates / f"{name.removesuffix(SUFFIX)}.{_number(before)}{SUFFIX}"
        kept.write_text(before, encoding="utf-8")
    (templates / name).write_text(text, encoding="utf-8")
    return template_version(name, templates)


VERSION_COMMENT = re.compile(VERSION_LINE.pattern + r"(?:(?!#\}).)*#\}", re.DOTALL)


def _source(name: str, templates: Path | None) -> tuple[str, bool]:
    """A template's text, and whether it is the user's."""
    try:
        environment = _environment(templates)
        assert environment.loader
        source, path, _ = environment.loader.get_source(environment, name)
    except (TemplateError, OSError, UnicodeDecodeError) as error:
        raise _unusable(name, templates, error) from error
    return source, Path(path or "").parent != TEMPLATES


def _included(name: str, source: str, templates: Path | None) -> list[str]:
    """The names of the templates that a template includes."""
    try:
        return [other for other in meta.find_referenced_templates(_environment(templates).parse(source)) if other]
    except TemplateError as error:
        raise _unusable(name, templates, error) from error


def _number(source: str) -> int:
    """The version that a template says it has; 0 for one that says nothing."""
    found = VERSION_LINE.match(source)
    return int(found[1]) if found else 0


def _unusable(name: str, templates: Path | None, error: Exception) -> PromptError:
    reason = " ".join(str(error).split())
    return PromptError(
        f"The template {name} in {templates or TEMPLATES} cannot be filled: {reason}. "
        "Correct it, or unset PLAYHEAD_PROMPTS."
    )


@functools.lru_cache(maxsize=4)
def _environment(templates: Path | None) -> Environment:
    folders = [folder for folder in (templates, TEMPLATES) if folder]
    # The prompt is text, not HTML: what is untrusted is fenced, not escaped.
    return Environment(loader=FileSystemLoader(folders), undefined=StrictUndefined, autoescape=False)


def _block(template: Template, name: str, values: Mapping[str, object]) -> str:
    return "".join(template.blocks[name](template.new_context(dict(values)))).strip()
