"""Rules: what each removes and counts, how a wrong file is told, and how a changed one comes into force."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ingest.index import Scope
from ingest.schema import Moment, ScreenText, TranscriptSegment, Video
from retrievers.rules import Rules, Terms, allowed_videos, apply_rules, narrowed, published_day
from retrievers.rules_file import PROFANITY, RulesError, RulesFile, read_rules

EXAMPLE = Path(__file__).parent.parent / "rules.example.yaml"
TALK = Video(
    tenant="local", video_id="talk", title="A talk on bread", duration_seconds=600.0, fingerprint="f", language="en-GB",
    tags=("Talk", "food"), published_at="2023-05-01T10:00:00Z",
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    video: Video
    moment: Moment


def found(video: Video = TALK, speech: str = "the dough rises", screen: str = "", description: str = "") -> Found:
    moment = Moment(
        video.tenant, video.video_id, 0.0, 10.0, (TranscriptSegment(0.0, 5.0, speech, "sidecar captions"),),
        (ScreenText(0.0, 5.0, screen, 1.0),) if screen else (), description,
    )  # fmt: skip
    return Found(video, moment)


def rules_of(folder: Path, text: str) -> Rules:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return read_rules(path)


def removed_by(rules: Rules, candidate: Found, tenant: str = "local") -> dict[str, int]:
    kept, removed = apply_rules(rules, tenant, [candidate])
    assert len(kept) + removed.total() == 1
    return dict(removed)


@pytest.mark.parametrize(
    ("text", "removes"),
    [
        ("", None),
        ("# nothing but a comment", None),
        ("length:\n  min_seconds: 600", None),
        ("length: {min_seconds: 601}", "length.min_seconds"),
        ("length: {max_seconds: 10:00}", None),
        ("length: {max_seconds: 9:59}", "length.max_seconds"),
        ("tags: {allow: [talk]}", None),
        ("tags: {allow: FOOD}", None),
        ("tags: {allow: [interview, film]}", "tags.allow"),
        ("tags: {deny: [talks]}", None),
        ("tags: {deny: [film, Food]}", "tags.deny"),
        ("language: {allow: en}", None),
        ("language: {allow: en_gb}", None),
        ("language: {allow: [en-US, unknown]}", "language.allow"),
        ("language: {deny: [en]}", "language.deny"),
        ("language: {deny: [unknown]}", None),
        ("published: {from: 2023-05-01, to: 2023-05-01}", None),
        ("published: {from: 2023-05-02}", "published.from"),
        ("published: {to: 2023-04-30}", "published.to"),
        ("profanity: true", None),
        ("blocked_terms: [bread]", "blocked_terms"),
        ("blocked_terms: [read, 'dough rise', 'rises dough']", None),
        ("blocked_terms: ['DOUGH, rises!']", "blocked_terms"),
        ("tenants: {other: {tags: {deny: [food]}}}", None),
        ("tenants: {local: {tags: {deny: [food]}}}", "tenants.local.tags.deny"),
        ("tenants: {local: }", None),
    ],
)
def test_each_rule_removes_what_it_says(tmp_path: Path, text: str, removes: str | None) -> None:
    assert removed_by(rules_of(tmp_path, text), found()) == ({removes: 1} if removes else {})


def test_what_is_not_known_of_a_video_is_decided_by_the_rule(tmp_path: Path) -> None:
    bare = found(replace(TALK, language=None, tags=(), published_at=None))
    for text, removes in (
        ("language: {allow: [en]}", "language.allow"),
        ("language: {allow: [en, unknown]}", None),
        ("language: {deny: [unknown]}", "language.deny"),
        ("tags: {allow: [talk]}", "tags.allow"),
        ("tags: {deny: [talk]}", None),
        ("published: {from: 2000-01-01}", "published.keep_undated"),
        ("published: {from: 2000-01-01, keep_undated: true}", None),
        ("published: {keep_undated: false}", None),
    ):
        assert removed_by(rules_of(tmp_path, text), bare) == ({removes: 1} if removes else {}), text


@pytest.mark.parametrize(
    ("published_at", "day"),
    [
        ("2023-05-01", "2023-05-01"), ("20230501", "2023-05-01"), ("2023-05-01 10:00", "2023-05-01"), ("2023", "2023-01-01"),
        ("2023-05", "2023-05-01"), ("2023-13-01", None), ("May 2023", None), ("", None), (None, None), ("20235", None),
    ],
)  # fmt: skip
def test_days_are_read_from_iso_dates(published_at: str | None, day: str | None) -> None:
    assert str(published_day(published_at) or None) == str(day)


@pytest.mark.parametrize(
    ("term", "text", "is_there"),
    [
        ("ass", "a class passes", False),
        ("ass", "What an ass!", True),
        ("ass", "(ASS)", True),
        ("cafe", "the Café is open", True),
        ("Café", "the cafe is open", True),
        ("straße", "die STRASSE", True),
        ("project bluebird", "our Project-Bluebird, then", True),
        ("project bluebird", "a project about a bluebird", False),
        ("project bluebird", "project\nbluebird", True),
        ("c++", "we like c++ here", True),
        ("don't know", "I don’t know", True),
        ("клуб", "в клубе", False),
        ("क्या", "यह क्या है", True),
        ("क्या", "क्यारी", False),
        ("爆弾", "これは爆弾です", True),
        ("弾", "これは爆弾です", True),
        ("爆弾", "爆発", False),
        ("snake_case", "the snake case", True),
    ],
)
def test_terms_are_whole_words_folded(term: str, text: str, is_there: bool) -> None:
    assert Terms([term]).are_in(text) is is_there
    assert Terms(["nowhere", "not at all", "無", term]).are_in(text) is is_there


def test_words_are_looked_for_in_every_channel_and_in_the_title(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "blocked_terms: [bluebird plan]")
    said, shown = found(speech="the bluebird plan"), found(screen="Bluebird Plan")
    described, named = found(description="a slide of the bluebird plan"), found(replace(TALK, title="Bluebird plan"))
    split = found(speech="the bluebird", screen="plan")  # two channels do not make one phrase
    kept, removed = apply_rules(rules, "local", [said, shown, split, described, named])
    assert (kept, removed) == ([split], {"blocked_terms": 4})


def test_the_own_list_of_profanity(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "profanity: true")
    assert removed_by(rules, found(speech="this is bullshit")) == {"profanity": 1}
    assert removed_by(rules, found(speech="the cock crows, a bitter assessment in Scunthorpe, breast cancer")) == {}
    (tmp_path / "mine.txt").write_text("# mine\nrotten luck\n\ndrat\n", encoding="utf-8")
    rules = rules_of(tmp_path, "profanity: mine.txt")
    assert removed_by(rules, found(speech="this is bullshit")) == {}
    assert removed_by(rules, found(speech="what rotten luck")) == {"profanity": 1}
    words = [line for line in PROFANITY.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert words == sorted(set(words))


def test_counts_add_up_and_the_order_stays(tmp_path: Path) -> None:
    rules = rules_of(
        tmp_path, "length: {max_seconds: 60}\nblocked_terms: [dough]\ntenants: {acme: {blocked_terms: [oven]}}"
    )
    short = replace(TALK, duration_seconds=60.0)
    both, dough = found(), found(short)
    first, second, oven = found(short, "one"), found(short, "two"), found(short, "the oven")
    everything = [first, both, dough, oven, second]
    assert apply_rules(rules, "local", everything) == (
        [first, oven, second],
        {"length.max_seconds": 1, "blocked_terms": 1},
    )
    kept, removed = apply_rules(rules, "acme", everything)
    assert kept == [first, second]
    assert removed == {"length.max_seconds": 1, "blocked_terms": 1, "tenants.acme.blocked_terms": 1}


def test_a_scope_is_narrowed_to_the_videos_that_are_allowed(tmp_path: Path) -> None:
    rules = rules_of(tmp_path, "tags: {deny: [draft]}\nblocked_terms: [secret, dough]")
    videos = [
        replace(TALK, video_id="a"),
        replace(TALK, video_id="b", tags=("draft",)),
        replace(TALK, video_id="c"),
        replace(TALK, video_id="d", title="Secret"),
    ]
    assert [video.video_id for video in allowed_videos(rules, "local", videos)] == ["a", "c"]
    scope = Scope("local", labels={"year": ("2023",)})
    assert narrowed(rules, scope, videos) == replace(scope, video_ids=("a", "c"))
    assert narrowed(rules, Scope("local", ("c", "b")), videos) == Scope("local", ("c",))
    assert narrowed(rules, Scope("local", ("b",)), videos) is None  # no ids would mean all videos
    assert narrowed(Rules(), scope, videos) is scope


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tags: {alow: [x]}", "line 1: tags.alow is no rule. Did you mean allow?"),
        ("\nlenght: {}", "line 2: lenght is no rule. Did you mean length?"),
        ("categories: [x]", "line 1: categories is no rule. Did you mean tags?"),
        ("colour: red", "colour is no rule. Rules here are length, tags, language"),
        ("tags: {deny: [a]}\ntags: {deny: [b]}", "line 2: tags is there twice"),
        ("tags: [a]", "line 1: tags is ['a'], not keys with values"),
        ("- tags", "line 1: the file is ['tags'], not keys"),
        ("tags:\n  deny: [2023]", "line 2: tags.deny holds 2023, which is no text. Put it in quotes"),
        ("language: {deny: [no]}", "language.deny holds False"),
        ("language: {allow: []}", "language.allow is empty, which would remove every video"),
        ("tags: {allow: }", "tags.allow is empty"),
        ("length: {min_seconds: long}", "length.min_seconds is 'long', not a number of seconds"),
        ("length: {min_seconds: -1}", "is -1, not a number"),
        ("length: {max_seconds: true}", "is True, not a number"),
        ("length: {max_seconds: .inf}", "is inf, not a number"),
        ("length: {min_seconds: 9, max_seconds: 8}", "length.min_seconds is 9, above max_seconds 8"),
        ("published: {from: May}", "published.from is 'May', not a day. Write it as 2024-03-31"),
        ("published: {from: 2024-13-31}", "published.from is '2024-13-31', which YAML cannot read"),
        ("published: {from: 2024-02-01, to: 2024-01-31}", "published.from is 2024-02-01, after to 2024-01-31"),
        ("published: {keep_undated: maybe}", "keep_undated is 'maybe'. Write true or false"),
        ("profanity: 7", "profanity is 7. Write true, or the name"),
        ("profanity: missing.txt", "line 1: profanity names a word list that cannot be used"),
        ("blocked_terms: ['...']", "blocked_terms holds '...', which has no letter or digit"),
        ("blocked_terms: [ok, '']", "blocked_terms holds ''"),
        ("tenants: {'../x': {}}", "tenants.../x names no tenant"),
        ("tenants: {acme: {tenants: {}}}", "tenants.acme.tenants is no rule"),
        ("tenants: {acme: {tags: {deny: [1]}}}", "tenants.acme.tags.deny holds 1"),
        ("tags: {deny: [a", "line 1 is no YAML"),
        ("a: b\n---\nc: d", "is no YAML"),
        ("tags: \x00", "is no YAML"),
        ("[" * 5000, "is no YAML"),
    ],
)
def test_a_wrong_file_is_told_with_line_key_value_and_remedy(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(RulesError, match=re.escape(told)) as error:
        rules_of(tmp_path, text)
    assert str(tmp_path / "rules.yaml") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RulesError, match="not UTF-8"):
        read_rules(tmp_path / "rules.yaml")
    with pytest.raises(RulesError, match="cannot be read"):
        read_rules(tmp_path)


def edit(path: Path, text: str) -> None:
    """Write a file so that it counts as changed, however coarse the file system's clock."""
    later = path.stat().st_mtime_ns + 2_000_000_000 if path.exists() else None
    path.write_text(text, encoding="utf-8")
    if later:
        os.utime(path, ns=(later, later))


def test_a_changed_file_comes_into_force_and_a_broken_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rules.yaml"
    file = RulesFile(path)
    assert removed_by(file.current(), found()) == {}
    edit(path, "tags: {deny: [food]}")
    assert removed_by(file.current(), found()) == {"tags.deny": 1}
    assert file.current() is file.current()
    edit(path, "tags: {deny: [food]}\ntenants: {acme: {blocked_terms: [1984]}}")
    held = file.current()
    assert removed_by(held, found()) == {"tags.deny": 1}
    assert "rules.yaml was changed and cannot be used" in held.warning
    assert "1984" in caplog.text and "1984" not in held.warning  # acme's rules are nobody else's business
    path.unlink()
    assert removed_by(file.current(), found()) == {"tags.deny": 1}
    path.write_text("length: {min_seconds: 900}", encoding="utf-8")
    assert (removed_by(file.current(), found()), file.current().warning) == ({"length.min_seconds": 1}, "")
    edit(path, "")
    assert (removed_by(file.current(), found()), file.current().warning) == ({}, "")


def test_a_changed_word_list_comes_into_force_also_one_that_was_missing(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("drat", encoding="utf-8")
    (tmp_path / "rules.yaml").write_text("profanity: words.txt", encoding="utf-8")
    file = RulesFile(tmp_path / "rules.yaml")
    assert removed_by(file.current(), found()) == {}
    edit(tmp_path / "words.txt", "dough")
    assert removed_by(file.current(), found()) == {"profanity": 1}
    edit(tmp_path / "rules.yaml", "profanity: later.txt")
    assert file.current().warning
    (tmp_path / "later.txt").write_text("drat", encoding="utf-8")
    assert (removed_by(file.current(), found()), file.current().warning) == ({}, "")


def test_a_broken_file_at_the_start_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text("tags: 7", encoding="utf-8")
    with pytest.raises(RulesError):
        RulesFile(tmp_path / "rules.yaml")


def test_the_example_is_all_comments_and_holds_when_they_are_taken_away(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert read_rules(EXAMPLE) == Rules()
    lines = [line if re.match(r"# \S", line) else line.removeprefix("#") for line in text.splitlines()]
    rules = rules_of(tmp_path, "\n".join(lines))
    assert rules.common.max_seconds == 7200.0
    assert rules.common.profanity and rules.common.blocked_terms and rules.common.keep_undated
    assert rules.tenants["acme"].tags_denied == {"internal"}
