"""Evidence for recall, summaries, comparisons and timelines, and the quotes made of it: from the right videos, in order."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import ScriptedChat
from talks_library import TalksLibrary, make_library

from app.gathering import named_videos, words_beside
from ingest.index import Scope
from ingest.schema import Video
from prompts.kinds import Kind
from retrievers.evidence import Evidence

LONG = [f"Chapter {number} of the story tells of topic{number} and place{number} at length." for number in range(60)]
TALKS = {
    "The Honey Bees": [
        "Good morning and welcome to everybody who came here today.",
        "A honey bee dances to tell the others where flowers are.",
        "The angle of the dance gives the direction to the sun.",
        "A longer waggle means that the flowers are farther away.",
        "Karl von Frisch won the Nobel Prize for reading the dance.",
        "Beekeepers place hives next to orchards in early spring.",
    ],
    "Bread at Home": [
        "Yeast eats the sugar in the flour and gives off gas.",
        "The gas is caught by gluten and the dough rises slowly.",
        "The dough rests in the fridge for nine cold hours.",
        "Bake it at two hundred and thirty degrees.",
    ],
    "Bread in a Day": [
        "This bread needs no night in the fridge at all.",
        "The dough rests for two hours beside the oven.",
        "Fold the dough twice before it goes into the pot.",
    ],
    "The Endless Story": LONG,
}
PUBLISHED = {"Bread at Home": "2021-04-01", "Bread in a Day": "2019-02-03"}
LOCAL = Scope("local")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> TalksLibrary:
    return make_library(tmp_path_factory.mktemp("talks"), TALKS, PUBLISHED)


def titles(evidence: tuple[Evidence, ...]) -> list[str]:
    return list(dict.fromkeys(item.video.title for item in evidence))


def starts(evidence: tuple[Evidence, ...]) -> list[float]:
    return [item.moment.start_seconds for item in evidence]


def video(title: str) -> Video:
    return Video("local", title.lower(), title, 9.0, "f")


VIDEOS = [video(title) for title in ("Bread at Home", "Bread in a Day", "Bread", "The Honey Bees", "Warsaw")]


@pytest.mark.parametrize(
    ("subject", "named"),
    [
        ("Bread at Home", ["Bread at Home"]),
        ("“bread in a day” and bread at home", ["Bread in a Day", "Bread at Home"]),
        ("the honey video", ["The Honey Bees"]),
        ("the bee talk", ["The Honey Bees"]),
        ("what Napoleon did in Warsaw", ["Warsaw"]),
        ("this video", []),
        ("the video about sharks", []),
        ("the day or home video", []),
        ("", []),
    ],
)
def test_videos_are_named_by_their_titles(subject: str, named: list[str]) -> None:
    assert [one.title for one in named_videos(subject, VIDEOS)] == named


def test_a_word_that_two_titles_hold_names_both_only_in_the_plural() -> None:
    two = [video("Bread at Home"), video("Bread in a Day")]
    assert named_videos("the bread video", two) == []
    assert named_videos("the bread videos", two) == two
    assert words_beside("what Bread at Home says about yeast", two[:1]) == "yeast"


def test_ordinary_questions_pass_through(library: TalksLibrary) -> None:
    found = library.gatherer.search("Who won the Nobel Prize for the dance?", LOCAL, 3)
    assert found.evidence[0].video.title == "The Honey Bees"
    assert len(found.evidence) <= 3


def test_a_video_looked_for_is_found_once(library: TalksLibrary) -> None:
    found = library.gatherer.search("Which video is about dough in the fridge?", LOCAL, 6)
    assert len(found.evidence) == len(titles(found.evidence)) > 1
    assert [item.number for item in found.evidence] == list(range(1, len(found.evidence) + 1))
    answer = library.answerer().ask("Which video is about dough that rests in the fridge?", LOCAL)
    assert (answer.status, answer.kind) == ("answered", "recall")
    assert answer.text.startswith("“Bread at Home”: “")
    assert answer.citations[0].evidence.video.title == "Bread at Home"


def test_a_long_video_is_summarised_from_all_of_its_parts_in_order(library: TalksLibrary) -> None:
    found = library.gatherer.search("Summarise The Endless Story", LOCAL, 6)
    assert titles(found.evidence) == ["The Endless Story"]
    begin = starts(found.evidence)
    assert begin == sorted(begin) and len(begin) == 6
    assert begin[0] < 80.0 and begin[-1] >= 400.0
    answer = library.answerer().ask("Summarise The Endless Story", LOCAL)
    assert (answer.status, answer.kind) == ("answered", "summarise")
    assert [citation.number for citation in answer.citations] == [1, 2, 3, 4, 5, 6]


def test_a_short_video_is_summarised_without_overlap_and_without_greeting(library: TalksLibrary) -> None:
    found = library.gatherer.search("Give me a short summary of the honey video", LOCAL, 6)
    spans = [(item.moment.start_seconds, item.moment.end_seconds) for item in found.evidence]
    assert len(spans) == 2
    assert spans[0][1] <= spans[1][0] + 3.0
    answer = library.answerer().ask("Give me a short summary of the honey video", LOCAL)
    assert len(answer.citations) == 2


def test_a_summary_of_a_topic_is_of_moments_about_it(library: TalksLibrary) -> None:
    found = library.gatherer.search("Summarise what is said about dough", LOCAL, 6)
    assert set(titles(found.evidence)) == {"Bread at Home", "Bread in a Day"}


def test_the_scope_names_the_video(library: TalksLibrary) -> None:
    found = library.gatherer.search("What is this video about?", Scope("local", ("bread-in-a-day",)), 6)
    assert titles(found.evidence) == ["Bread in a Day"]


def test_a_summary_about_what_the_video_does_not_tell_abstains(library: TalksLibrary) -> None:
    answer = library.answerer().ask("Summarise what The Honey Bees says about submarines and volcanoes", LOCAL)
    assert answer.status == "abstained"
    assert library.answerer().ask("What is this video about?", Scope("local", ("the-honey-bees",))).confidence == 1.0


def test_a_video_that_is_not_there_is_not_summarised(library: TalksLibrary) -> None:
    answer = library.answerer().ask("Summarise the video about quantum computers", LOCAL)
    assert (answer.status, answer.citations) == ("abstained", ())
    assert answer.evidence


def test_a_filter_holds_for_a_named_video(library: TalksLibrary) -> None:
    only = Scope("local", labels={"tag": ("bread",)})
    assert titles(library.gatherer.search("Summarise Bread at Home", only, 6).evidence) == ["Bread at Home"]
    assert library.gatherer.search("Summarise The Honey Bees", only, 6).evidence == ()


def test_another_tenant_has_no_such_video(library: TalksLibrary) -> None:
    assert library.gatherer.search("Summarise The Honey Bees", Scope("other"), 6).evidence == ()


def test_two_named_videos_are_compared_from_both(library: TalksLibrary) -> None:
    question = "Compare how long the dough rests in Bread at Home and Bread in a Day"
    found = library.gatherer.search(question, LOCAL, 6)
    assert titles(found.evidence) == ["Bread at Home", "Bread in a Day"]
    answer = library.answerer().ask(question, LOCAL)
    assert (answer.status, answer.kind) == ("answered", "compare")
    assert "nine cold hours" in answer.text and "two hours" in answer.text
    assert [citation.evidence.video.title for citation in answer.citations] == ["Bread at Home", "Bread in a Day"]


def test_videos_are_compared_on_a_topic(library: TalksLibrary) -> None:
    answer = library.answerer().ask("Do the videos agree on how long the dough rests?", LOCAL)
    assert titles(tuple(citation.evidence for citation in answer.citations)) == ["Bread at Home", "Bread in a Day"] or (
        titles(tuple(citation.evidence for citation in answer.citations)) == ["Bread in a Day", "Bread at Home"]
    )


def test_a_timeline_is_in_order_older_videos_first(library: TalksLibrary) -> None:
    answer = library.answerer().ask("Timeline of the bread dough", LOCAL)
    assert (answer.status, answer.kind) == ("answered", "timeline")
    places = [(item.video.published_at, item.moment.start_seconds) for item in answer.evidence]
    assert places == sorted(places, key=lambda place: (place[0] or "", place[1]))
    assert titles(answer.evidence) == ["Bread in a Day", "Bread at Home"]
    assert [item.number for item in answer.evidence] == list(range(1, len(answer.evidence) + 1))


def test_a_timeline_of_a_topic_within_a_named_video_is_of_moments_about_it(library: TalksLibrary) -> None:
    found = library.gatherer.search("Timeline of topic7 and topic40 in The Endless Story", LOCAL, 6)
    assert titles(found.evidence) == ["The Endless Story"]
    assert all("topic7" in item.moment.speech or "topic40" in item.moment.speech for item in found.evidence)


def test_rules_hold_for_a_summary(tmp_path: Path) -> None:
    ruled = make_library(tmp_path, TALKS, rules="blocked_terms:\n  - gluten\n")
    found = ruled.gatherer.search("Summarise Bread at Home", LOCAL, 6)
    assert "gluten" not in " ".join(item.moment.speech for item in found.evidence)


@pytest.mark.parametrize(
    ("question", "kind", "task"),
    [
        ("Who won the Nobel Prize for the dance?", "explain", "You answer a question"),
        ("Which video is about the dance of the bees?", "recall", "looks for a video"),
        ("Quote what is said about the dance", "quote", "You quote"),
        ("Summarise The Honey Bees", "summarise", "You summarise"),
        ("Compare The Honey Bees and Bread in a Day", "compare", "You compare"),
        ("Timeline of the dance of the bees", "timeline", "You tell how a topic"),
    ],
)
def test_a_model_is_asked_with_the_template_of_the_kind_and_its_version_is_told(
    library: TalksLibrary, question: str, kind: Kind, task: str
) -> None:
    chat = ScriptedChat("A honey bee dances to tell the others where flowers are [1].")
    answer = library.answerer(chat).ask(question, LOCAL)
    assert answer.text == "A honey bee dances to tell the others where flowers are. [1]"
    assert (answer.kind, answer.prompt_version) == (kind, f"{kind}/1")
    assert task in chat.prompts[0][0].content


def test_a_template_of_the_user_shows_in_the_version(library: TalksLibrary, tmp_path: Path) -> None:
    (tmp_path / "explain.jinja").write_text(
        "{#- version: 5 -#}{% block system %}x{% endblock %}{% block user %}{{ question }}{% endblock %}"
    )
    answer = library.answerer(ScriptedChat("NOT FOUND"), tmp_path).ask("Who won the Nobel Prize for the dance?", LOCAL)
    assert answer.status == "abstained"
    assert (answer.prompt_version or "").startswith("explain/5+")
    assert library.answerer().ask("Who won the Nobel Prize for the dance?", LOCAL).prompt_version is None
