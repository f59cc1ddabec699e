"""What queries mean: a table of queries with their plans, and plain questions that must stay as they are."""

from __future__ import annotations

import json
import os
import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.schema import Video
from retrievers.query_plan import QueryPlan, Sought, parse_query

DATA = Path(os.environ.get("PLAYHEAD_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
TODAY = date(2026, 11, 21)
LIBRARY = (
    Video("local", "1", "Warsaw", 2800.0, "x", tags=("physics", "black holes")),
    Video("local", "2", "Apollo program", 2900.0, "x", tags=("Space",)),
)

PLANS = [
    # phrases
    ('"great wall"', 'moments about "great wall"'),
    ("“great wall”", 'moments about "great wall"'),
    ('great wall "of china"', 'moments about great wall of china, saying "of china"'),
    ('"cold night" "the fridge"', 'moments about cold night the fridge, saying "cold night", saying "the fridge"'),
    ('where is "cold night" said?', 'moments about where is cold night said?, saying "cold night"'),
    # exclusions
    ("bees -dance", "moments about bees, not about dance"),
    ('bees -"round dance"', 'moments about bees, not about "round dance"'),
    ("bees -dance -honey", "moments about bees, not about dance, not about honey"),
    ("bees, but not dance", "moments about bees, not about dance"),
    ("bees but not about the waggle dance", "moments about bees, not about the waggle dance"),
    ("moments about bees but not about dance or honey", "moments about bees, not about dance, not about honey"),
    ("find moments about bees except dance", "moments about bees, not about dance"),
    ("everything about bees excluding honey", "moments about bees, not about honey"),
    ("bees excluding honey, wax or pollen", "moments about bees, not about honey, not about wax, not about pollen"),
    ("find the parts that mention bees without mentioning the sun", "moments about bees, not about the sun"),
    ("videos about bees without dance", "moments about bees, not about dance"),
    ('videos about bread without "baking powder"', 'moments about bread, not about "baking powder"'),
    ("bread without yeast", "moments about bread without yeast, not about yeast"),
    ("which videos talk about bees but not about dance?", "moments about which videos talk about bees, not about dance"),
    ("where is Warsaw mentioned but not Chopin?", "moments about where is Warsaw mentioned, not about Chopin"),
    # times
    ("bees at the beginning", "moments about bees, at the start"),
    ("bees at the end of the video", "moments about bees, at the end"),
    ("at the end bees", "moments about bees, at the end"),
    ("chess in the middle", "moments about chess, in the middle"),
    ("bees in the first five minutes", "moments about bees, in the first 5 minutes"),
    ("what is said about bees in the last five minutes?", "moments about what is said about bees?, in the last 5 minutes"),
    ("bees in the last 30 seconds", "moments about bees, in the last 30 seconds"),
    ("What title is shown at the beginning of the clip?", "moments about What title is shown?, at the start"),
    ("Who speaks in the first minute of the video?", "moments about Who speaks?, in the first minute"),
    ("chess after 10:00", "moments about chess, after 10:00"),
    ("chess before 1:05:00", "moments about chess, before 1:05:00"),
    ("chess between 2:00 and 3:30", "moments about chess, between 2:00 and 3:30"),
    ("chess from 2:00 to 3:30", "moments about chess, between 2:00 and 3:30"),
    ("what is shown between 2:00 and 3:30?", "moments about what is shown?, between 2:00 and 3:30"),
    ("what is said around minute 12?", "moments about what is said?, around 12:00"),
    ("Is anything said between second 20 and second 39?", "moments about Is anything said?, between 0:20 and 0:39"),
    ("What is shown ten seconds into the video?", "moments about What is shown?, around 0:10"),
    ("rocket time:start", "moments about rocket, at the start"),
    ("rocket time:middle", "moments about rocket, in the middle"),
    ("rocket time:2:00-3:30", "moments about rocket, between 2:00 and 3:30"),
    ("rocket time:10:00-", "moments about rocket, after 10:00"),
    ("rocket time:-5:00", "moments about rocket, before 5:00"),
    ("rocket time:12:00", "moments about rocket, around 12:00"),
    # filters
    ("in videos from 2023 about warsaw", "moments about warsaw, year 2023"),
    ("videos from 2023 about warsaw", "moments about warsaw, year 2023"),
    ("warsaw in videos from 2023", "moments about warsaw, year 2023"),
    ("find videos from last year about chess", "moments about chess, year 2025"),
    ("bees in german videos", "moments about bees, language de"),
    ("in german videos: bees", "moments about bees, language de"),
    ("bees in videos in German", "moments about bees, language de"),
    ("What is said about bees in German videos?", "moments about What is said about bees?, language de"),
    ("gravity tagged physics", "moments about gravity, tag physics"),
    ("videos tagged black holes about gravity", "moments about gravity, tag black holes"),
    ('gravity in videos tagged "black holes"', "moments about gravity, tag black holes"),
    ("chopin in the video called Warsaw", "moments about chopin, in the video Warsaw"),
    ('launch in the video called "Apollo Program"', "moments about launch, in the video Apollo program"),
    ("who was born in the video about Warsaw?", "moments about who was born?, in the video Warsaw"),
    ('rocket video:"Apollo program" year:1969', "moments about rocket, year 1969, in the video Apollo program"),
    ("rocket language:de tag:physics", "moments about rocket, language de, tag physics"),
    # operators, written out
    ("great wall >> chess", "moments about great wall and, within 2 minutes, chess"),
    ('"great wall" >> chess -computer', 'moments about "great wall" and, within 2 minutes, chess, not about computer'),
    ("bees while: map", "moments about bees at the same time as map"),
    ("first: chess", "the first time in each video of chess"),
    ('Last: "black holes"', 'the last time in each video of "black holes"'),
    ("count: dance", "how many times in each video: dance"),
    ("before: the waggle dance", "what comes right before the waggle dance"),
    ("after: dance time:end", "what comes right after dance, at the end"),
    # operators in words
    ("the first time chess is mentioned", "the first time in each video of chess"),
    ("first time chess is mentioned", "the first time in each video of chess"),
    ("where is chess last mentioned in the video?", "the last time in each video of chess"),
    ("when is chess first mentioned in the video?", "the first time in each video of chess"),
    ("the last time they mention chess", "the last time in each video of chess"),
    ("find the first time the bird appears", "the first time in each video of the bird"),
    ("first mention of chess", "the first time in each video of chess"),
    ("how many times is chess mentioned?", "how many times in each video: chess"),
    ("how many times is the word banana said in the videos?", "how many times in each video: banana"),
    ('how many times is "cold night" said?', 'how many times in each video: "cold night"'),
    ("how often do they say chess?", "how many times in each video: chess"),
    ("how many times does the speaker mention bees?", "how many times in each video: bees"),
    ("what happens right after the part about bees?", "what comes right after bees"),
    ("right after the part about bees", "what comes right after bees"),
    ("what comes before the scene where the bird lands?", "what comes right before the bird lands"),
    ("what is shown right before the bird appears?", "what comes right before the bird"),
    ("what is said right after bees?", "what comes right after bees"),
    ("right before bees", "what comes right before bees"),
    ("where chess is mentioned and then bees", "moments about chess and, within 2 minutes, bees"),
    ("where is chess mentioned and then bees?", "moments about chess and, within 2 minutes, bees"),
    ("moments where they mention chess and then bees", "moments about chess and, within 2 minutes, bees"),
    ("find moments about chess followed by bees", "moments about chess and, within 2 minutes, bees"),
    ("chess, then bees", "moments about chess and, within 2 minutes, bees"),
    ("moments about bees during the map", "moments about bees at the same time as the map"),
    ("chess while a map is shown", "moments about chess at the same time as a map"),
    ("where is chess mentioned while a map is shown?", "moments about chess at the same time as a map"),
    # together
    ("the first time they mention bees in the last five minutes", "the first time in each video of bees, in the last 5 minutes"),
    ('"honey" in the first 2 minutes of the video -dance', 'moments about "honey", not about dance, in the first 2 minutes'),
    ("find moments about bees", "moments about bees"),
]  # fmt: skip

PLAIN = """
What happened after the war?
Who was the first president?
What did Curie do before moving to Paris?
Which year did the reign end?
What is not allowed in the reactor?
What happens right after fertilization?
What happens after a star dies?
What happens before the court?
What happened at the end of the Cold War?
What happened at the beginning of the 20th century?
Who is elected at the beginning of each term?
Who won in the last five minutes of the game?
How many goals were scored in the first half?
What is released in the first minute of a fire?
how far does light travel in the first second
When was oxygen first mentioned in the literature?
When is Warsaw first mentioned?
When was the term first used?
How many times was the treaty mentioned in the report?
How many times is God mentioned in the Bible?
How many times has Poland won the cup?
How often is the flame lit?
how many times a day should you eat
How do planes fly without engines?
What can bread be made of without yeast?
Which countries except Germany signed the treaty?
Was the corporation prohibited from telling anyone else except for the Air Force?
Is it true that bees see without light?
Which is not about money?
What trains leave between 7:00 and 9:00?
What trains leave after 10:00 am?
trains after 10:00 am
What was the final score, 2:1?
who ran the mile in 3:43?
What did Tesla do while in school?
Why do people talk while sleeping?
If the first packet is lost, then what is sent?
How is lightning followed by thunder explained?
What follows when A is true and then B is false?
Where is the middle of the town?
What lies in the middle of the lake?
Which part of the brain works without oxygen?
Which scene of the play is set in Venice?
parts of speech
scenes of war
points of interest
places where gold is found
back then france
now and then
life before birth
day after tomorrow
first aid
first world war
first time buyers
the end of history
beginning of the universe
count dracula
the day the earth stood still
What does the law say about videos from 2015?
Who uploaded the first video?
What is the film about?
Which film was made before 1950?
Who were the German recordings made by?
Which language is spoken in German Switzerland?
What was tagged by the biologists?
gravity tagged biology
who was born in the video about Paris?
What is the video game series called?
x-ray machines
e-mail and e-commerce
temperatures of -40 degrees
What is said at the end of a prayer?
What is shown at the beginning of a trial?
What do they say in the Bible about bread?
What comes after the letter B?
What comes right before the number ten?
Who lived right after the revolution?
Why is the first mention of Warsaw important?
What is the first appearance of Batman worth?
What were the last words of Caesar?
Where was he in the last minutes of his life?
What happened around minute 90 of the final?
not about bees
without bees
rocket time:noon
note: bees
"
"" what
"!!!" nothing
""".strip().splitlines()  # fmt: skip


def plan(query: str) -> QueryPlan:
    return parse_query(query, lambda: LIBRARY, TODAY)


@pytest.mark.parametrize(("query", "described"), PLANS)
def test_a_query_means_its_plan(query: str, described: str) -> None:
    made = plan(query)
    assert made.describe() == described
    assert made.question == query


@pytest.mark.parametrize("query", PLAIN)
def test_a_plain_question_is_searched_as_it_is(query: str) -> None:
    made = plan(query)
    assert made.plain, made.describe()
    assert made.sought == Sought(query)


def test_a_phrase_in_a_plain_question_is_loose_and_in_words_it_is_not() -> None:
    assert plan('Why is it called the "Phoenix City"?').loose
    assert not plan('"Phoenix City"').loose
    assert not plan('where is "Phoenix City" mentioned?').loose


def test_words_in_quotes_are_no_operators() -> None:
    made = plan('"the first time" -"in the last five minutes"')
    assert (made.operator, made.windows) == (None, ())
    assert made.sought.without_phrases == ("in the last five minutes",)


def test_then_takes_two() -> None:
    with pytest.raises(ValueError, match="two"):
        QueryPlan("a", Sought("a"), "then")


def test_the_library_is_read_only_for_what_names_a_tag_or_title() -> None:
    def never() -> tuple[Video, ...]:
        raise AssertionError("the catalog was read")

    for query in ("bees -dance", "Who built the palace?", "first: bees", "bees in german videos", "videos of bees"):
        parse_query(query, never, TODAY)


@given(st.text(max_size=300).filter(str.strip))
def test_any_text_has_a_plan_with_words(query: str) -> None:
    made = plan(query)
    assert made.question == query
    assert made.sought.words.strip()
    assert made.describe()


@pytest.mark.parametrize(
    "query",
    [
        "where is " + "said and then " * 140,
        "the first time " * 130,
        '"a" ' * 480,
        "in the last 5 minutes " * 90,
        "- -a" * 490,
    ],
)
def test_a_long_query_is_read_at_once(query: str) -> None:
    started = time.process_time()
    plan(query)
    assert time.process_time() - started < 0.2


def read_questions(*names: str) -> list[str]:
    missing = [name for name in names if not (DATA / name).exists()]
    if missing:
        pytest.skip(f"no shared test data (set PLAYHEAD_TEST_DATA): {missing[0]}")
    return [
        " ".join(json.loads(line)["question"].split())
        for name in names
        for line in (DATA / name).read_text("utf-8").splitlines()
    ]


def test_hardly_any_of_many_real_questions_gets_a_plan_but_for_its_quotes() -> None:
    asked = read_questions(
        "spoken_library/questions.jsonl", "spoken_library/unanswerable.jsonl", "media/questions.jsonl"
    )
    planned = [query for query in asked if not plan(query).plain]
    quoted = [query for query in planned if plan(query).loose and plan(query).sought.phrases]
    others = [query for query in planned if query not in quoted]
    assert len(others) <= 0.001 * len(asked), others  # those of the clips that name a time in them
    assert len(quoted) <= 0.01 * len(asked)


def test_reading_a_query_takes_less_than_a_millisecond() -> None:
    queries = [query for query, _ in PLANS] + PLAIN
    started = time.process_time()
    for query in queries:
        plan(query)
    assert (time.process_time() - started) / len(queries) < 0.001
