"""Settings come from the environment, are checked, and never print a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import SettingsError, read_settings
from ingest.schema import WrongCallError


def test_defaults_need_nothing() -> None:
    settings = read_settings({})
    assert (settings.tenant, settings.host, settings.port, settings.text_model) == ("local", "127.0.0.1", 7860, "auto")
    assert settings.openai_api_key is None


def test_options_win_over_the_environment() -> None:
    given = {"PLAYHEAD_LIBRARY": "/env", "PLAYHEAD_TENANT": "env", "PLAYHEAD_PORT": "8000"}
    settings = read_settings(given, library=Path("/option"))
    assert (settings.library, settings.tenant, settings.port) == (Path("/option"), "env", 8000)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"PLAYHEAD_PORT": "many"}, "PLAYHEAD_PORT is 'many'"),
        ({"PLAYHEAD_ANSWER_SECONDS": "0"}, "must be above 0"),
        ({"PLAYHEAD_ANSWER_SECONDS": "inf"}, "must be above 0"),
        ({"PLAYHEAD_TENANT": "../other"}, "'../other'"),
        ({"PLAYHEAD_ANSWER_TOKENS": "0"}, "must be above 0"),
        ({"PLAYHEAD_ANSWER_TOKENS_A_DAY": "none"}, "is 'none', not a number"),
        ({"PLAYHEAD_ANSWER_DOLLARS": "0.4"}, "PLAYHEAD_ANSWER_DOLLARS is '0.4'. Write dollars for a million"),
        ({"PLAYHEAD_ANSWER_DOLLARS": "0.4/-1"}, "as 0.4/1.6"),
        ({"PLAYHEAD_CHAT_PICTURES": "maybe"}, "Set it to 1 or 0"),
    ],
)
def test_a_bad_value_is_told_with_the_remedy(given: dict[str, str], told: str) -> None:
    with pytest.raises((SettingsError, WrongCallError), match=told.replace(".", r"\.")):
        read_settings(given)


def test_what_an_answer_may_take() -> None:
    assert read_settings({}).chat_pictures and read_settings({}).answer_tokens_a_day is None
    given = {
        "PLAYHEAD_ANSWER_TOKENS_A_DAY": "5000",
        "PLAYHEAD_ANSWER_DOLLARS": "0.4/1.6",
        "PLAYHEAD_CHAT_PICTURES": "0",
    }
    settings = read_settings(given)
    assert (settings.answer_tokens_a_day, settings.answer_dollars, settings.chat_pictures) == (5000, (0.4, 1.6), False)


def test_keys_are_not_printed() -> None:
    settings = read_settings({"OPENAI_API_KEY": "sk-canary", "PLAYHEAD_QDRANT_API_KEY": "canary-2"})
    assert "canary" not in repr(settings)


def test_a_dotenv_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PLAYHEAD_TENANT=from-file\nPLAYHEAD_PORT=9000\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLAYHEAD_PORT", "9001")
    monkeypatch.delenv("PLAYHEAD_TENANT", raising=False)
    settings = read_settings()
    assert (settings.tenant, settings.port) == ("from-file", 9001)
