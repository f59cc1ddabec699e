"""The README tells the truth: its commands exist, its links lead somewhere, its figures have a source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import Playhead

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    set(
        re.findall(
            r"playhead (ingest|ask|search|similar|videos|show|delete|reindex|watch|evaluate|serve|demo|doctor)\b",
            README,
        )
    )
)


def test_every_link_leads_to_a_file() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_exists(playhead: Playhead, command: str) -> None:
    ran = playhead(command, "--help")
    assert (ran.status, ran.err) == (0, "")


def test_no_command_is_left_out(playhead: Playhead) -> None:
    listed = re.findall(r"^  ([a-z]+)  +[A-Z]", playhead("--help").out, re.MULTILINE)
    assert sorted(listed) == COMMANDS


def test_every_option_of_the_readme_exists(playhead: Playhead) -> None:
    for row in re.findall(r"^\| `playhead (\w+)[^|]*\|[^|]*\|$", README, re.MULTILINE):
        line = next(line for line in README.splitlines() if line.startswith(f"| `playhead {row}"))
        options = set(re.findall(r"--[a-z-]+", line))
        helped = "".join(playhead(name, "--help").out for name in re.findall(r"`playhead (\w+)", line))
        assert options <= set(re.findall(r"--[a-z-]+", helped)), row


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert (
        set(re.findall(r"make ([a-z-]+)`", README)) | set(re.findall(r"^make ([a-z-]+)$", README, re.MULTILINE))
        <= targets
    )


def test_the_demo_answers_printed_are_those_of_the_demo() -> None:
    from app.demo import DEMO_QUESTIONS

    assert DEMO_QUESTIONS[0] in README
    assert DEMO_QUESTIONS[2] in README
