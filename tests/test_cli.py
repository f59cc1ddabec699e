"""The command line keeps its contract: JSON, exit statuses, one line for every error."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chat_server import ChatServer, says
from clips import Scene, make_clip
from conftest import TALKS, Playhead, write_talk

from app.cli import hoist_global_options
from ingest.schema import LibraryError

HIT_KEYS = {
    "rank", "moment_id", "video_id", "video_title", "video_path", "video_url", "start_seconds", "end_seconds",
    "text", "score", "channels", "thumbnail",
}  # fmt: skip
ANSWER_KEYS = {
    "id", "question", "route", "status", "answer", "citations", "evidence", "confidence", "reason", "tiers", "timings_ms",
}  # fmt: skip
CITATION_KEYS = {"number", "moment_id", "video_id", "video_title", "start_seconds", "end_seconds", "quote", "url"}


def one_line(text: str) -> bool:
    return text.count("\n") == 1 and text.startswith("playhead: ")


def test_ingest_twice_changes_nothing(playhead: Playhead, talks: Path) -> None:
    first = playhead("ingest", talks, "--json")
    assert first.status == 0
    assert {video["status"] for video in first.json["videos"]} == {"indexed"}
    keys = {"video_id", "path", "title", "status", "moments", "keyframes", "duration_seconds", "channels", "error"}
    assert keys <= set(first.json["videos"][0])
    second = playhead("ingest", talks, "--json")
    assert {video["status"] for video in second.json["videos"]} == {"unchanged"}
    ids = [{video["video_id"] for video in run.json["videos"]} for run in (first, second)]
    assert ids[0] == ids[1]


def test_search_and_ask_keep_their_json(playhead: Playhead, talks: Path) -> None:
    playhead("ingest", talks)
    found = playhead("--json", "search", "who reads the bee dance", "--k", "2").json
    assert set(found) >= {"id", "query", "hits", "tiers", "timings_ms"}
    assert set(found["hits"][0]) >= HIT_KEYS
    assert found["hits"][0]["video_title"] == "bees"
    assert set(found["timings_ms"]) >= {"embed", "search", "rerank", "total"}
    answer = playhead("ask", "Who won the Nobel Prize for reading the dance?", "--json").json
    assert set(answer) >= ANSWER_KEYS
    assert answer["status"] == "answered"
    assert "[1]" in answer["answer"]
    (citation, *_) = answer["citations"]
    assert set(citation) >= CITATION_KEYS
    assert "Karl von Frisch" in citation["quote"]
    assert citation["url"].startswith("file://")


def test_a_question_that_no_video_answers_abstains_with_status_zero(playhead: Playhead, talks: Path) -> None:
    playhead("ingest", talks)
    ran = playhead("ask", "Who won the football world cup in 1998?", "--json")
    assert (ran.status, ran.json["status"], ran.json["citations"]) == (0, "abstained", [])
    assert ran.json["evidence"]
    assert 0.0 <= ran.json["confidence"] <= 1.0


def test_a_batch_keeps_order_ids_and_ignores_gold(playhead: Playhead, talks: Path, tmp_path: Path) -> None:
    playhead("ingest", talks)
    lines = [
        {"id": "b", "question": "What makes dough rise?", "video": "bees", "answers": ["wrong gold"]},
        {"id": 7, "question": "What makes dough rise?", "scope": {"video": "bees"}},
        {"id": "x", "question": " "},
        {"id": "a", "question": "How far could sailors see the lamp?"},
    ]
    file = tmp_path / "questions.jsonl"
    file.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    answers = [json.loads(line) for line in playhead("--json", "ask", "--questions", file).out.splitlines()]
    assert [answer["id"] for answer in answers] == ["b", 7, "x", "a"]
    assert answers[0]["evidence"][0]["video_title"] == "bread"
    assert {hit["video_title"] for hit in answers[1]["evidence"]} == {"bees"}
    assert answers[2]["status"] == "clarify"
    found = [json.loads(line) for line in playhead("--json", "search", "--questions", file).out.splitlines()]
    assert [result["id"] for result in found] == ["b", 7, "x", "a"]
    assert found[2]["hits"] == []


def test_a_manifest_without_media_links_to_its_url_at_the_second(playhead: Playhead, tmp_path: Path) -> None:
    write_talk(tmp_path, "bees", TALKS["bees"])
    row = {
        "title": "On bees", "captions": "bees.vtt", "url": "https://video.example/watch?v=1",
        "duration_seconds": 40, "tags": ["nature"], "published_at": "2023-05-01",
    }  # fmt: skip
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert playhead("ingest", tmp_path / "manifest.jsonl").status == 0
    answer = playhead(
        "ask", "Who won the Nobel Prize?", "--json", "--filter", "tag=nature", "--filter", "year=2023"
    ).json
    (citation,) = answer["citations"]
    assert citation["url"] == "https://video.example/watch?v=1&t=24"
    assert citation["start_seconds"] <= citation["play_seconds"] <= citation["end_seconds"]
    assert playhead("search", "bees", "--json", "--filter", "year=1999").json["hits"] == []


def test_a_changed_caption_file_updates_its_video(playhead: Playhead, talks: Path, tmp_path: Path) -> None:
    playhead("ingest", talks)
    write_talk(talks, "bread", ["Soup is boiled from bones and carrots."])
    changed = {v["title"]: v["status"] for v in playhead("ingest", talks, "--json").json["videos"]}
    assert changed == {"bees": "unchanged", "bread": "updated", "lighthouses": "unchanged"}
    titles = [video["title"] for video in playhead("videos", "--json").json["videos"]]
    assert titles == ["bees", "bread", "lighthouses"]
    texts = [hit["text"] for hit in playhead("search", "dough", "--json").json["hits"]]
    assert not any("gluten" in text for text in texts)


def test_show_and_delete_find_a_video_by_any_of_its_names(playhead: Playhead, talks: Path) -> None:
    playhead("ingest", talks)
    shown = playhead("show", "bees", "--json").json
    assert shown["transcript"][0]["text"] == TALKS["bees"][0]
    assert shown["coverage"]["speech"] == 1.0
    for name in (shown["video_id"], shown["video_id"][:6], str(talks / "bees.vtt"), "BEES"):
        assert playhead("show", name, "--json").json["video_id"] == shown["video_id"]
    deleted = playhead("delete", "bees", "--purge", "--json").json
    assert (deleted["moments_removed"] > 0, deleted["moments_left"]) == (True, 0)
    assert playhead("show", "bees").status == 2


def test_purge_leaves_no_byte_in_the_library(playhead: Playhead, tmp_path: Path) -> None:
    talk = write_talk(tmp_path, "secret", ["The canary word is xylophonequartz and nothing else."])
    write_talk(tmp_path, "other", ["Something else is said here."])
    playhead("ingest", tmp_path)
    playhead("ask", "What is the canary word?")
    playhead("delete", "secret", "--purge")
    assert talk.exists()
    library = tmp_path / "library"
    kept = [path for path in library.rglob("*") if path.is_file() and b"xylophonequartz" in path.read_bytes()]
    assert kept == []
    assert playhead("search", "something else", "--json").json["hits"]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["ask", "anything"], 1, "no library"),
        (["ingest", "missing"], 1, "missing"),
        (["ask"], 2, "No question"),
        (["ingest", ""], 2, "empty"),
        (["serve", "--port", "70000"], 2, "--port"),
        (["ask", ""], 2, "empty"),
        (["ask", "x" * 5000], 2, "2,000 at most"),
        (["search", "x", "--channel", "smell"], 2, "smell"),
        (["search", "x", "--filter", "colour=red"], 2, "colour=red"),
        (["search", "--image", "missing.png"], 2, "missing.png"),
        (["ask", "--questions", "missing.jsonl"], 2, "missing.jsonl"),
        (["show", "nothing"], 2, "nothing"),
        (["reindex", "--channel", "smell"], 2, "smell"),
        (["--tenant", "../x", "videos"], 2, "../x"),
        (["search", "--image", __file__, "--channel", "speech"], 2, "one of them"),
        (["fly"], 2, "fly"),
        (["search", "x", "--k", "0"], 2, "--k"),
    ],
)
def test_every_error_is_one_line(playhead: Playhead, talks: Path, arguments: list[str], status: int, told: str) -> None:
    if told != "no library":
        playhead("ingest", talks)
    ran = playhead(*arguments)
    assert ran.status == status
    lines = ran.err if ran.err else ran.out
    assert told in lines
    if ran.err:
        assert one_line(ran.err), ran.err


def test_a_bad_file_never_stops_the_others(playhead: Playhead, talks: Path) -> None:
    (talks / "broken.vtt").write_bytes(b"\x00\x01\x02 nothing")
    (talks / "film.mp4").write_bytes(b"this is no film")
    ran = playhead("ingest", talks, "--json")
    assert ran.status == 1
    ended = {Path(video["path"]).name: video["status"] for video in ran.json["videos"]}
    assert ended["broken.vtt"] == ended["film.mp4"] == "failed"
    assert [ended[f"{name}.vtt"] for name in TALKS] == ["indexed"] * 3
    assert all("\n" not in video["error"] for video in ran.json["videos"] if video["error"])


def test_an_ambiguous_video_is_a_wrong_call(playhead: Playhead, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_talk(tmp_path / name, "talk", [f"This is the talk called {name}."])
    playhead("ingest", tmp_path / "a", tmp_path / "b")
    ran = playhead("show", "talk")
    assert (ran.status, one_line(ran.err)) == (2, True)


def test_a_library_made_with_another_model_or_format_is_refused_with_the_remedy(
    playhead: Playhead, talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    playhead("ingest", talks)
    monkeypatch.setenv("PLAYHEAD_TEXT_MODEL", "BAAI/bge-m3")
    ran = playhead("ask", "anything")
    assert (ran.status, one_line(ran.err)) == (1, True)
    assert "all-MiniLM-L6-v2 (384" in ran.err
    assert "playhead reindex" in ran.err
    monkeypatch.delenv("PLAYHEAD_TEXT_MODEL")
    record = tmp_path / "library" / "library.json"
    for version in (0, 99):
        record.write_text(json.dumps({**json.loads(record.read_text()), "format_version": version}))
        ran = playhead("videos")
        assert (ran.status, one_line(ran.err)) == (1, True)
        assert f"format {version}" in ran.err


def test_a_second_process_is_told_who_has_the_library(playhead: Playhead, talks: Path, tmp_path: Path) -> None:
    playhead("ingest", talks)
    code = (
        "import sys, time; from pathlib import Path; from ingest.owner_lock import OwnerLock;"
        "OwnerLock(Path(sys.argv[1])).acquire('playhead serve on http://127.0.0.1:7860');"
        "print('held', flush=True); time.sleep(30)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "library")], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        ran = playhead("ask", "anything")
        assert (ran.status, one_line(ran.err)) == (1, True)
        assert str(holder.pid) in ran.err
        assert "http://127.0.0.1:7860" in ran.err
        assert playhead("videos").status == 0
    finally:
        holder.kill()
        holder.wait()
    assert playhead("ask", "what rises").status == 0


def test_a_model_endpoint_that_is_down_is_told_and_the_answer_is_quoted(
    playhead: Playhead, talks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    playhead("ingest", talks)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("PLAYHEAD_CHAT_MODEL", "any")
    started = time.monotonic()
    answer = playhead("ask", "Who won the Nobel Prize for reading the dance?", "--json").json
    assert time.monotonic() - started < 30
    assert (answer["status"], answer["tiers"]["answer"]) == ("answered", "extractive")
    assert "127.0.0.1:9" in answer["reason"]


def test_doctor_names_every_role(playhead: Playhead, talks: Path) -> None:
    playhead("ingest", talks)
    report = playhead("doctor", "--json").json
    roles = {role["role"] for role in report["roles"]}
    assert roles >= {"speech", "text embedding", "visual embedding", "screen text", "rerank", "description", "answer"}
    assert playhead("doctor").status == 0


def test_doctor_warns_of_a_language_that_the_text_model_does_not_know(playhead: Playhead, tmp_path: Path) -> None:
    german = ["Der Hund läuft über die Straße und sucht seinen Herrn in der großen alten Stadt am Fluss."] * 4
    write_talk(tmp_path, "hund.de", german)
    ran = playhead("ingest", tmp_path, "--json")
    assert any("language de" in warning for warning in ran.json["videos"][0]["warnings"])
    assert "PLAYHEAD_TEXT_MODEL" in playhead("doctor").out


def test_reindex_embeds_again_and_keeps_answers(playhead: Playhead, talks: Path) -> None:
    playhead("ingest", talks)
    before = [hit["moment_id"] for hit in playhead("search", "dough", "--json").json["hits"]]
    assert playhead("reindex", "--json").json == {"videos": 3}
    assert [hit["moment_id"] for hit in playhead("search", "dough", "--json").json["hits"]] == before


def test_reindex_to_another_model_keeps_every_video_and_leaves_nothing_of_the_old(
    playhead: Playhead, talks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_text_embedding import tiny_model

    playhead("ingest", talks)
    monkeypatch.setenv("PLAYHEAD_TEXT_MODEL", str(tiny_model(tmp_path / "model", "mean_tokens")))
    assert playhead("ask", "what rises").status == 1
    assert playhead("reindex", "--json").json == {"videos": 3}
    found = playhead("search", "dough", "--json").json
    assert found["tiers"]["text embedding"] == str(tmp_path / "model")
    assert {hit["video_title"] for hit in found["hits"]} == set(TALKS)
    assert len(list((tmp_path / "library" / "index").iterdir())) == 1


def test_reindex_to_a_model_that_cannot_be_had_loses_nothing(
    playhead: Playhead, talks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    playhead("ingest", talks)
    monkeypatch.setenv("PLAYHEAD_TEXT_MODEL", "nobody/no-such-model")
    ran = playhead("reindex")
    assert (ran.status, one_line(ran.err)) == (1, True)
    monkeypatch.delenv("PLAYHEAD_TEXT_MODEL")
    assert "MiniLM" in playhead("search", "dough", "--json").json["tiers"]["text embedding"]


def test_a_lost_index_is_read_again(playhead: Playhead, talks: Path, tmp_path: Path) -> None:
    playhead("ingest", talks)
    shutil.rmtree(tmp_path / "library" / "index")
    assert {video["status"] for video in playhead("ingest", talks, "--json").json["videos"]} == {"updated"}
    assert playhead("search", "dough", "--json").json["hits"]


def test_two_addresses_with_one_caption_file_stay_two_videos(playhead: Playhead, tmp_path: Path) -> None:
    write_talk(tmp_path, "bees", TALKS["bees"])
    rows = [{"title": f"T{n}", "captions": "bees.vtt", "url": f"https://video.example/{n}"} for n in (1, 2)]
    (tmp_path / "manifest.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    for _ in range(2):
        assert playhead("ingest", tmp_path / "manifest.jsonl").status == 0
    assert [video["title"] for video in playhead("videos", "--json").json["videos"]] == ["T1", "T2"]


def test_a_bad_line_in_a_batch_of_searches_is_told_and_counted(playhead: Playhead, talks: Path, tmp_path: Path) -> None:
    playhead("ingest", talks)
    file = tmp_path / "questions.jsonl"
    rows = [{"id": 1, "image": "missing.png", "question": ""}, {"id": 2, "question": "dough"}]
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    ran = playhead("search", "--questions", file, "--json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.status == 1
    assert "missing.png" in lines[0]["error"]
    assert lines[1]["hits"]
    assert "\ndough\n" in playhead("search", "--questions", file).out


def test_numbers_in_brackets_that_a_video_says_are_no_citations(playhead: Playhead, tmp_path: Path) -> None:
    write_talk(tmp_path, "prizes", ["Karl von Frisch won the Nobel Prize [2] in 1973 [7] for bees."])
    playhead("ingest", tmp_path / "prizes.vtt")
    answer = playhead("ask", "Who won the Nobel Prize for bees?", "--json").json
    assert "(2)" in answer["answer"]
    assert "[2]" not in answer["answer"]


def test_without_a_command_the_guide_is_printed(playhead: Playhead) -> None:
    ran = playhead()
    assert (ran.status, ran.err) == (0, "")
    assert "First steps" in ran.out


def test_looking_at_a_library_that_is_not_there_makes_none(playhead: Playhead, tmp_path: Path) -> None:
    for command in (["videos"], ["ask", "x"], ["doctor"]):
        playhead("--library", tmp_path / "typo", *command)
    assert not (tmp_path / "typo").exists()


def test_a_dry_run_reads_nothing(playhead: Playhead, talks: Path, tmp_path: Path) -> None:
    ran = playhead("ingest", "--dry-run", talks, "--json")
    assert (ran.status, len(ran.json["videos"])) == (0, 3)
    assert not (tmp_path / "library" / "library.json").exists()


def test_a_vision_model_describes_pictures_which_can_then_be_searched(
    playhead: Playhead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_clip(tmp_path / "silent.mp4", [Scene(2.0, 1), Scene(2.0, 2)])
    with ChatServer(says("A baker folds dough on a floured table.")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("PLAYHEAD_DESCRIBE_MODEL", "seeing-model")
        monkeypatch.setenv("PLAYHEAD_DESCRIBE_DOLLARS", "2")
        told = playhead("ingest", "--dry-run", tmp_path / "silent.mp4", "--json").json["description_cost"]
        assert "dollars" in told
        assert server.requests == []
        ran = playhead("ingest", tmp_path / "silent.mp4", "--json")
        assert told in ran.err
        (video,) = ran.json["videos"]
        assert video["channels"]["description"] == "seeing-model"
        assert len(server.requests) == video["keyframes"]
        hits = playhead("search", "dough on a table", "--channel", "description", "--json").json["hits"]
        assert hits[0]["video_id"] == video["video_id"]
        asked = len(server.requests)
        assert playhead("reindex", "--channel", "description", "--json").json == {"videos": 1}
        assert len(server.requests) == asked  # what the same model described is not asked again


def test_an_unfinished_reading_is_listed_until_it_succeeds(
    playhead: Playhead, talks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise LibraryError("The disk is full. Free some.")

    monkeypatch.setattr("ingest.edge_index.EdgeIndex.replace", fails)
    assert playhead("ingest", talks / "bees.vtt").status == 1
    monkeypatch.undo()
    listed = playhead("--library", talks.parent / "library", "videos", "--json").json
    assert [(row["status"], row["error"]) for row in listed["unfinished"]] == [
        ("failed", "The disk is full. Free some.")
    ]


@pytest.mark.parametrize(
    ("given", "hoisted"),
    [
        (["ask", "why?", "--json"], ["--json", "ask", "why?"]),
        (["ask", "--library", "x", "why?"], ["--library", "x", "ask", "why?"]),
        (["ask", "--library=x", "why?"], ["--library=x", "ask", "why?"]),
        (["ask", "--", "--json"], ["ask", "--", "--json"]),
        (["show", "a", "--tenant", "t", "--debug"], ["--tenant", "t", "--debug", "show", "a"]),
    ],
)
def test_global_options_may_follow_the_command(given: list[str], hoisted: list[str]) -> None:
    assert hoist_global_options(given) == hoisted


def test_the_command_line_tells_what_an_answer_took(
    playhead: Playhead, talks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert playhead("ingest", talks).status == 0
    with ChatServer(says("Karl von Frisch won it [1].", prompt_tokens=1200, completion_tokens=30)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("PLAYHEAD_ANSWER_DOLLARS", "0.4/1.6")
        shown = playhead("ask", "Who won the Nobel Prize for reading the dance?")
        told = playhead("ask", "--json", "Who won the Nobel Prize for reading the dance?").json
    assert "Karl von Frisch won it. [1]" in shown.out
    assert "(1,200 tokens asked, 30 replied, 0.0005 dollars)" in shown.out
    assert told["usage"] == {
        "prompt_tokens": 1200, "reply_tokens": 30, "is_estimated": False, "dollars": pytest.approx(0.000528)
    }  # fmt: skip
    assert told["tiers"]["answer"] == "scripted-model"
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert playhead("ask", "--json", "Who won the Nobel Prize for reading the dance?").json["usage"] is None
