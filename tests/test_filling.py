"""Templates: which one is filled, its version, and saving another one as the next version."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompts.draft import PromptError
from prompts.filling import TEMPLATES, fill_template, save_template, template_version

OURS = sorted(path.name for path in TEMPLATES.glob("*.jinja"))
SHORT = "{% block system %}Be short.{% endblock %}{% block user %}{{ question }}{% endblock %}"


@pytest.mark.parametrize("name", OURS)
def test_each_template_of_ours_has_a_version(name: str) -> None:
    stem, number = template_version(name).split("/")
    assert stem == name.removesuffix(".jinja")
    assert int(number) >= 1


def test_a_template_of_the_user_is_told_apart_by_its_content(tmp_path: Path) -> None:
    assert template_version("explain.jinja", tmp_path) == template_version("explain.jinja")
    own = tmp_path / "explain.jinja"
    own.write_text("{# version: 7. Mine. #}" + SHORT)
    first = template_version("explain.jinja", tmp_path)
    own.write_text("{# version: 7. Mine. #}" + SHORT.replace("short", "brief"))
    second = template_version("explain.jinja", tmp_path)
    assert first.startswith("explain/7+") and second.startswith("explain/7+") and first != second
    own.write_text(SHORT)
    assert template_version("explain.jinja", tmp_path).startswith("explain/0+")


def test_an_included_template_of_the_user_shows_too(tmp_path: Path) -> None:
    (tmp_path / "evidence.jinja").write_text("{# version: 9 #}Evidence\nRead it.")
    changed = template_version("explain.jinja", tmp_path)
    assert changed.startswith(template_version("explain.jinja") + "+")
    assert template_version("condense.jinja", tmp_path) == template_version("condense.jinja")
    (tmp_path / "explain.jinja").write_text("{% include %}")
    with pytest.raises(PromptError, match="explain.jinja"):
        template_version("explain.jinja", tmp_path)


def test_saving_makes_the_next_version_and_keeps_the_last(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    ours = int(template_version("explain.jinja").split("/")[1])
    first = save_template("explain.jinja", "{#- version: 40. Old. -#}\n" + SHORT, folder)
    assert first.startswith(f"explain/{ours + 1}+")
    assert fill_template("explain.jinja", {"question": "Why?"}, folder)[0].content == "Be short."
    second = save_template("explain.jinja", SHORT.replace("short", "brief"), folder)
    assert second.startswith(f"explain/{ours + 2}+")
    assert fill_template("explain.jinja", {"question": "Why?"}, folder)[0].content == "Be brief."
    assert "Be short." in (folder / f"explain.{ours + 1}.jinja").read_text()
    assert sorted(path.name for path in folder.iterdir()) == [f"explain.{ours + 1}.jinja", "explain.jinja"]


def test_a_template_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for call in (lambda: template_version("nothing.jinja", tmp_path), lambda: save_template("x.jinja", "", tmp_path)):
        with pytest.raises(PromptError, match="PLAYHEAD_PROMPTS"):
            call()
