"""The HTTP API: byte ranges, unknown and hostile ids, headers, the Host check, wrong bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clips import Scene, make_clip
from fastapi.testclient import TestClient
from playable_library import PlayableLibrary, cite, make_answer, make_evidence, make_picture, make_video

from app.answer import Answer
from app.http_api import MAX_BODY_BYTES, MAX_TURNS, create_api, media_type
from ingest.schema import LibraryError
from prompts.followup import CitedMoment
from retrievers.search import MAX_QUESTION_CHARACTERS

KNOTS = make_video("ab" * 16, "Knots", paths=("/videos/knots.mp4",))
TALK = make_video("cd" * 16, "A talk", url="https://videos.example/1")
EVIDENCE = make_evidence(1, KNOTS, 20.0, "The bowline does not slip.")


def answer_or_fail(question: str, on_sentence: Callable[[str], None]) -> Answer:
    if question == "broken":
        raise LibraryError("The index is away. Run: playhead doctor")
    if question == "crash":
        raise RuntimeError("the password is hunter2")
    if not question.strip():
        raise ValueError("The question is empty. Ask something about the videos.")
    return make_answer(question, "The bowline. [1]", [cite(EVIDENCE, "The bowline", 21.5)], [EVIDENCE])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "knots.mp4", [Scene(2, 1), Scene(2, 2)])


@pytest.fixture
def client(clip: Path, tmp_path: Path) -> Iterator[TestClient]:
    picture = tmp_path / "frame.jpg"
    make_picture(picture, 1)
    library = PlayableLibrary(
        answer_or_fail, [KNOTS, TALK], {KNOTS.video_id: clip}, {KNOTS.video_id: picture}, (EVIDENCE,)
    )
    with TestClient(create_api(library), base_url="http://127.0.0.1") as client:
        yield client


MEDIA = f"/api/v1/media/{KNOTS.video_id}"


def test_the_whole_file(client: TestClient, clip: Path) -> None:
    reply = client.get(MEDIA)
    assert (reply.status_code, reply.content) == (200, clip.read_bytes())
    assert reply.headers["content-type"] == "video/mp4"
    assert reply.headers["accept-ranges"] == "bytes"
    assert "content-disposition" not in reply.headers


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=100-100", 100, 100),
        ("bytes=500-", 500, -1),
        ("bytes=-64", -64, -1),
        ("bytes=0-99999999999", 0, -1),
    ],
)
def test_one_range(client: TestClient, clip: Path, asked: str, first: int, last: int) -> None:
    whole = clip.read_bytes()
    start, end = first % len(whole), last % len(whole)
    reply = client.get(MEDIA, headers={"range": asked})
    assert reply.status_code == 206
    assert reply.content == whole[start : end + 1]
    assert reply.headers["content-range"] == f"bytes {start}-{end}/{len(whole)}"
    assert reply.headers["content-length"] == str(end - start + 1)


def test_a_range_beyond_the_end(client: TestClient, clip: Path) -> None:
    size = clip.stat().st_size
    for asked in (f"bytes={size}-", f"bytes={size + 5}-{size + 9}", "bytes=-0"):
        reply = client.get(MEDIA, headers={"range": asked})
        assert (reply.status_code, reply.headers["content-range"]) == (416, f"bytes */{size}")
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_odd_ranges_never_send_more_than_the_file(client: TestClient, clip: Path) -> None:
    size = clip.stat().st_size
    many = "bytes=" + ",".join("0-" for _ in range(5000))
    for asked in (
        "bytes=9-3",
        "bytes=a-b",
        "lines=0-3",
        "bytes=",
        "bytes=-5-2",
        "bytes=0-1,5-9",
        "bytes=0-,0-,0-",
        many,
    ):
        reply = client.get(MEDIA, headers={"range": asked})
        assert reply.status_code in (200, 206, 400, 416), asked
        assert len(reply.content) <= size + 1024, asked


def test_head_tells_without_sending(client: TestClient, clip: Path) -> None:
    reply = client.head(MEDIA)
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["content-length"] == str(clip.stat().st_size)


@pytest.mark.parametrize("door", ["media", "thumbnails"])
@pytest.mark.parametrize(
    "video_id",
    [
        "nothing", "..", "../../etc/passwd", "%2e%2e%2fetc%2fpasswd", "..%2f..%2fetc%2fpasswd", "%252e%252e%252fetc%252fpasswd",
        "%00", f"{KNOTS.video_id}%00.mp4", f"{KNOTS.video_id}/..", f"{KNOTS.video_id}%2F..%2F{KNOTS.video_id}", "/etc/passwd", "%2fetc%2fpasswd",
        "file:///etc/passwd", "C:%5Cwindows", "%5C%5Cserver%5Cshare", KNOTS.video_id.upper(), "a" * 5000, "%ff%fe", "%0d%0aset-cookie:a=b",
    ],
)  # fmt: skip
def test_only_known_ids_are_served(client: TestClient, door: str, video_id: str) -> None:
    reply = client.get(f"/api/v1/{door}/{video_id}")
    assert reply.status_code == 404
    assert b"root:" not in reply.content
    assert "set-cookie" not in reply.headers


def test_a_video_without_media_and_a_file_that_went_away(client: TestClient, tmp_path: Path) -> None:
    assert client.get(f"/api/v1/media/{TALK.video_id}").status_code == 404
    library = PlayableLibrary(
        answer_or_fail, [KNOTS], {KNOTS.video_id: tmp_path / "gone.mp4"}, {KNOTS.video_id: tmp_path}
    )
    with TestClient(create_api(library), base_url="http://127.0.0.1") as other:
        assert other.get(MEDIA).status_code == 404
        assert other.get(f"/api/v1/thumbnails/{KNOTS.video_id}").status_code == 404


def test_a_media_file_is_never_a_page() -> None:
    assert media_type(Path("a.MP4")) == "video/mp4"
    assert media_type(Path("a.mp3")) == "audio/mpeg"
    for name in ("a.html", "a.svg", "a.js", "a.xhtml", "a", "a.unknown"):
        assert media_type(Path(name)) == "application/octet-stream"


def test_thumbnails(client: TestClient) -> None:
    reply = client.get(f"/api/v1/thumbnails/{KNOTS.video_id}?t=20.5")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/jpeg")
    assert reply.content.startswith(b"\xff\xd8")
    assert "max-age=" in reply.headers["cache-control"]
    for seconds in ("-1", "nan", "inf", "x"):
        assert client.get(f"/api/v1/thumbnails/{KNOTS.video_id}?t={seconds}").status_code == 422


def test_ask_and_search(client: TestClient) -> None:
    asked = client.post("/api/v1/ask", json={"question": "Which knot?", "id": 7}).json()
    assert (asked["id"], asked["status"], asked["citations"][0]["play_seconds"]) == (7, "answered", 21.5)
    found = client.post("/api/v1/search", json={"query": "knot", "limit": 1}).json()
    assert (found["id"], [hit["video_id"] for hit in found["hits"]]) == (None, [KNOTS.video_id])


def test_an_answer_goes_back_in_as_history() -> None:
    library = PlayableLibrary(answer_or_fail, [KNOTS], found=(EVIDENCE,))
    with TestClient(create_api(library), base_url="http://127.0.0.1") as client:
        first = client.post("/api/v1/ask", json={"question": "Which knot?"}).json()
        reply = client.post("/api/v1/ask", json={"question": "and then?", "history": [first]})
    assert (reply.status_code, reply.json()["asked_as"]) == (200, None)
    assert library.told_before[0] == ()
    (turn,) = library.told_before[1]
    assert (turn.question, turn.answer, turn.asked_back) == ("Which knot?", "The bowline. [1]", False)
    assert turn.cited == (CitedMoment(KNOTS.video_id, "Knots", 20.0, 30.0, "The bowline"),)


def test_wrong_history_is_one_line(client: TestClient) -> None:
    turn = {"question": "Which knot?"}
    cited = {"video_id": "v", "start_seconds": 1.0, "end_seconds": 2.0}
    assert client.post("/api/v1/ask", json={"question": "q", "history": [turn] * MAX_TURNS}).status_code == 200
    for history in (
        [turn] * (MAX_TURNS + 1),
        ["x"],
        {"question": "x"},
        [{"answer": "no question"}],
        [{**turn, "question": "x" * (MAX_QUESTION_CHARACTERS + 1)}],
        [{**turn, "answer": "x" * 20_001}],
        [{**turn, "citations": [{**cited, "start_seconds": -1}]}],
        [{**turn, "citations": [{**cited, "start_seconds": 3.0}]}],
        [{**turn, "citations": [cited] * 51}],
        [{**turn, "citations": [{"video_id": 7}]}],
    ):
        reply = client.post("/api/v1/ask", json={"question": "q", "history": history})
        assert reply.status_code == 422, history
        assert len(one_line(reply)) < 300
    infinite = b'{"question": "q", "history": [{"question": "q", "citations": [{"video_id": "v", "start_seconds": 0, "end_seconds": 1e999}]}]}'
    assert client.post("/api/v1/ask", content=infinite, headers={"content-type": "application/json"}).status_code == 422


def test_the_list_and_the_health(client: TestClient) -> None:
    assert [video["title"] for video in client.get("/api/v1/videos").json()["videos"]] == ["Knots", "A talk"]
    assert client.get("/api/v1/health").json() == {"status": "ok", "videos": 2}


def one_line(reply: object) -> str:
    detail: str = reply.json()["detail"]  # type: ignore[attr-defined]
    assert isinstance(detail, str) and "\n" not in detail
    assert "Traceback" not in detail
    return detail


def test_wrong_bodies_are_one_line(client: TestClient) -> None:
    longest = "x" * MAX_QUESTION_CHARACTERS
    assert client.post("/api/v1/ask", json={"question": longest}).status_code == 200
    for body in (
        {"question": longest + "x"},
        {"question": ""},
        {"question": "  "},
        {"question": 5},
        {"query": "x"},
        [],
        "x",
        None,
    ):
        reply = client.post("/api/v1/ask", json=body)
        assert reply.status_code == 422, body
        assert len(one_line(reply)) < 200
    for body in ({"query": "x", "limit": 0}, {"query": "x", "limit": 10_000}):
        assert client.post("/api/v1/search", json=body).status_code == 422
    not_json = client.post("/api/v1/ask", content=b"{not json", headers={"content-type": "application/json"})
    assert not_json.status_code == 422
    one_line(not_json)
    assert (
        client.post(
            "/api/v1/ask", content=b'{"question": "\\ud800"}', headers={"content-type": "application/json"}
        ).status_code
        == 422
    )


def test_a_huge_body_is_refused(client: TestClient) -> None:
    assert client.post("/api/v1/ask", json={"question": "x" * MAX_BODY_BYTES}).status_code == 413


def test_another_site_cannot_ask_in_plain_text(client: TestClient) -> None:
    reply = client.post("/api/v1/ask", content=b'{"question": "Which knot?"}', headers={"content-type": "text/plain"})
    assert reply.status_code == 422
    allowed = client.options(
        "/api/v1/ask", headers={"origin": "https://evil.example", "access-control-request-method": "POST"}
    )
    assert not [name for name in allowed.headers if name.startswith("access-control-")]


def test_a_broken_library_is_one_line(client: TestClient) -> None:
    reply = client.post("/api/v1/ask", json={"question": "broken"})
    assert (reply.status_code, one_line(reply)) == (503, "The index is away. Run: playhead doctor")


def test_a_crash_is_one_line_without_secrets(client: TestClient) -> None:
    reply = client.post("/api/v1/ask", json={"question": "crash"})
    assert reply.status_code == 500
    assert "RuntimeError" in one_line(reply) and "hunter2" not in reply.text


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "LOCALHOST:7860", "[::1]:7860"])
def test_this_machine_is_a_known_host(client: TestClient, host: str) -> None:
    assert client.get("/api/v1/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "169.254.169.254", "[::2]"]
)
def test_another_host_name_is_refused(client: TestClient, host: str) -> None:
    reply = client.get("/api/v1/videos", headers={"host": host})
    assert reply.status_code == 400
    assert "Knots" not in reply.text
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_the_bound_address_is_a_known_host(clip: Path) -> None:
    for bound, named in (("192.168.1.5", "192.168.1.5:7860"), ("fe80::1", "[fe80::1]:7860")):
        with TestClient(create_api(PlayableLibrary(answer_or_fail, []), bound), base_url="http://127.0.0.1") as client:
            assert client.get("/api/v1/health", headers={"host": named}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/api/v1/health", MEDIA, "/api/v1/media/nothing", "/nowhere", "/api/v1/ask", "/api/v1/openapi.json"]
)
def test_every_reply_has_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    policy = headers["content-security-policy"]
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert "http" not in policy and "*" not in policy
    for rule in ("default-src 'self'", "object-src 'none'", "frame-ancestors 'none'", "form-action 'self'"):
        assert rule in policy


def test_the_documentation_pages_that_load_remote_scripts_are_off(client: TestClient) -> None:
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404
