"""BM25 vectors: the weights are BM25's (against rank_bm25), and every kind of text becomes tokens or nothing."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from ingest.bm25 import (
    AVERAGE_CONTENT_WORDS,
    K1,
    STOP_WORDS,
    B,
    bm25_document,
    bm25_query,
    content_words,
    fold,
    stem,
    token_id,
    tokenize,
)


def weights(text: str) -> dict[int, float]:
    vector = bm25_document(text)
    return dict(zip(vector.indices, vector.values, strict=True)) if vector else {}


def corpus_of_average_length(documents: int) -> list[list[str]]:
    """Random documents of random lengths whose mean is the constant's, of words that stemming does not change."""
    rng = random.Random(4)
    lengths = [AVERAGE_CONTENT_WORDS + 2 * (number - (documents - 1) // 2) for number in range(documents)]
    return [[f"w{int(rng.expovariate(0.02))}q" for _ in range(length)] for length in lengths]


def test_scores_are_those_of_bm25_okapi() -> None:
    corpus = corpus_of_average_length(41)
    oracle = BM25Okapi(corpus, k1=K1, b=B)
    assert oracle.avgdl == AVERAGE_CONTENT_WORDS
    documents = [weights(" ".join(words)) for words in corpus]
    for question in (["w1q", "w30q"], ["w5q", "w70q", "w111q"], ["w2q", "w2q"], ["missing"]):
        query = bm25_query(" ".join(question))
        assert query is not None
        rarity = {token_id(stem(word)): oracle.idf.get(word, 0.0) for word in question}
        ours = [sum(rarity[index] * document.get(index, 0.0) for index in query.indices) for document in documents]
        assert ours == pytest.approx(list(oracle.get_scores(sorted(set(question)))))


def test_repetition_saturates_and_length_costs() -> None:
    once, often = weights("piston")[token_id("piston")], weights("piston " * 50)[token_id("piston")]
    assert once < often < K1 + 1
    filler = " ".join(f"word{number}" for number in range(300))
    assert weights(f"piston {filler}")[token_id("piston")] < once


def test_stop_words_are_stored_but_have_no_length() -> None:
    bare, padded = weights("piston engine"), weights("the piston of the engine is there")
    assert {index: padded[index] for index in bare} == bare
    assert token_id("the") in padded


@pytest.mark.parametrize(
    ("question", "tokens"),
    [
        ("What is a piston?", {"piston"}),
        ("the who", {"the", "who"}),
        ("To be, or not to be", {"to", "be", "or", "not"}),
        ("Don't the pistons' engines run?", {"piston", "engin", "run"}),
        ("Pistons piston PISTON", {"piston"}),
    ],
)
def test_questions_drop_stop_words_unless_nothing_is_left(question: str, tokens: set[str]) -> None:
    query = bm25_query(question)
    assert query is not None
    assert set(query.indices) == {token_id(stem(token)) for token in tokens}
    assert set(query.values) == {1.0}


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, World!", ["hello", "world"]),
        ("snake_case x-ray 3.14", ["snake", "case", "x", "ray", "3", "14"]),
        ("Café NAÏVE Zürich", ["cafe", "naive", "zurich"]),
        ("Cafe\u0301", ["cafe"]),
        ("Straße \ufb01sh \uff21\uff22", ["strasse", "fish", "ab"]),
        ("İstanbul ΆΛΦΑ ёлка", ["istanbul", "αλφα", "елка"]),
        ("l'avion d’été", ["l", "avion", "d", "ete"]),
        ("機械学習", ["機械", "械学", "学習"]),
        ("猫", ["猫"]),
        ("GPUで学習する", ["gpu", "で学", "学習", "習す", "する"]),
        ("がぎ", ["がぎ"]),
        ("ｶﾞﾝ", ["ガン"]),
        ("한국어 검색", ["한국", "국어", "검색"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("العربية", ["العربية"]),
        ("rocket 🚀 launch 👩🏽‍🚀", ["rocket", "launch"]),
        ("broken \ud83d surrogate", ["broken", "surrogate"]),
        ("nul\x00byte", ["nul", "byte"]),
    ],
)
def test_tokens(text: str, tokens: list[str]) -> None:
    assert tokenize(text) == tokens


@pytest.mark.parametrize("text", ["", "   \n\t", "!?… — ·", "🚀🎬", "\ud800\udfff", "\x00", "___", "\u0301"])
def test_texts_without_a_token_have_no_vector(text: str) -> None:
    assert bm25_document(text) is None
    assert bm25_query(text) is None


def test_accents_case_and_word_forms_meet() -> None:
    for question, text in [("cafe", "Cafés"), ("RUNNING", "he runs"), ("機械", "機械学習"), ("été", "ETE")]:
        query = bm25_query(question)
        assert query is not None
        assert set(query.indices) <= set(weights(text))


def test_long_texts_stay_fast_and_long_words_are_cut() -> None:
    start = time.perf_counter()
    document = bm25_document("lorem ipsum dolor " * 60_000)
    assert document is not None
    assert len(document.indices) == 3
    assert bm25_document("x" * 1_000_000) == bm25_document("x" * 64)
    assert len(weights("語" * 100_000)) == 1
    assert time.perf_counter() - start < 10


@given(st.text(alphabet=st.characters(), max_size=60))
def test_any_text_gives_a_vector_that_engines_take(text: str) -> None:
    vector = bm25_document(text)
    query = bm25_query(text)
    assert (vector is None) == (query is None)
    if vector and query:
        assert len(set(vector.indices)) == len(vector.indices) == len(vector.values)
        assert all(0 <= index < 2**32 for index in vector.indices)
        assert all(0 < value < K1 + 1 for value in vector.values)
        assert set(query.indices) <= set(vector.indices)


@given(st.text(max_size=40))
def test_folding_is_final(text: str) -> None:
    assert [token for token in tokenize(text) if fold(token) != token] == []


def test_ids_are_the_same_in_every_process() -> None:
    assert token_id("piston") == 1289702807
    assert bm25_document("piston") == bm25_document("PISTON")


def test_threads_share_the_stemmer() -> None:
    words = [f"{head}{number}ations" for number in range(400) for head in ("form", "creat", "relat")]
    alone = [stem(word) for word in words]
    stem.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(stem, words)) == alone


def test_stop_words_are_folded_single_tokens() -> None:
    assert [word for word in STOP_WORDS if tokenize(word) != [word]] == []


def test_stop_words_are_left_out_unless_there_is_nothing_else() -> None:
    assert content_words("Who are the bees?") == ("bees",)
    assert content_words("The Who") == ("the", "who")
    assert content_words("...") == ()
