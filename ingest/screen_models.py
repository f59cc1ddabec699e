"""Finds the model that reads a language on the screen: in RapidOCR's wheel, in its folder, else downloaded once."""

from __future__ import annotations

from pathlib import Path

from ingest.schema import PlayheadError
from ingest.text_embedding import file_sha256
from ingest.weights import HUB_TIMEOUT_SECONDS

DETECTION_FILE = "PP-OCRv6_det_small.onnx"
RECOGNITION_FILE = "PP-OCRv6_rec_small.onnx"


# Languages that need another model than the one in RapidOCR's wheel, with RapidOCR's name of that model.
DOWNLOADED_MODELS = {
    "korean": ("ko",),
    "eslav": ("ru", "uk", "be"),
    "cyrillic": ("bg", "sr", "mk", "mn", "kk"),
    "arabic": ("ar", "fa", "ur"),
    "devanagari": ("hi", "mr", "ne", "sa"),
    "th": ("th",),
    "el": ("el",),
    "ta": ("ta",),
    "te": ("te",),
}


def models_folder() -> Path:
    """Where RapidOCR keeps its models: inside its package."""
    import rapidocr

    return Path(rapidocr.__file__).parent / "models"


def downloaded_model(language: str) -> str | None:
    """RapidOCR's name of the model for a language, None where the wheel's own model reads it."""
    from rapidocr import ModelType, OCRVersion
    from rapidocr.utils.model_resolver import route_to_model_key
    from rapidocr.utils.typings import TaskType

    for model, languages in DOWNLOADED_MODELS.items():
        if language == model or language in languages:
            return model
    try:
        if language != "auto":
            route_to_model_key(TaskType.REC, OCRVersion.PPOCRV6, language, ModelType.SMALL)
    except ValueError:
        known = ", ".join(sorted(code for codes in DOWNLOADED_MODELS.values() for code in codes))
        raise PlayheadError(
            f"No model reads {language!r} on the screen. Choose auto (Chinese, Japanese and most languages in Latin letters) "
            f"or one of {known}."
        ) from None
    return None


def fetched(model: str) -> Path:
    """The file of a model outside the wheel, downloaded now if need be; PlayheadError when it cannot be had."""
    from huggingface_hub import constants
    from rapidocr import EngineType, ModelType, OCRVersion
    from rapidocr.inference_engine.base import FileInfo, InferSession
    from rapidocr.utils.download_file import DownloadFile, DownloadFileException, DownloadFileInput
    from rapidocr.utils.log import logger
    from rapidocr.utils.typings import TaskType

    asked = FileInfo(EngineType.OPENVINO, OCRVersion.PPOCRV5, TaskType.REC, model, ModelType.MOBILE)
    source = InferSession.get_model_url(asked)
    path = models_folder() / Path(source["model_dir"]).name
    if path.is_file() and file_sha256(path) == source["SHA256"]:
        return path
    remedy = f"Connect once, or put {source['model_dir']} into {path.parent}"
    if constants.HF_HUB_OFFLINE:
        raise PlayheadError(f"The screen text model {model} is not here, and HF_HUB_OFFLINE is set. {remedy}")
    logger.setLevel("CRITICAL")
    DownloadFile.REQUEST_TIMEOUT = HUB_TIMEOUT_SECONDS
    try:
        DownloadFile.run(DownloadFileInput(source["model_dir"], path, logger, source["SHA256"], verbose=False))
    except (DownloadFileException, OSError) as error:
        path.unlink(missing_ok=True)
        raise PlayheadError(f"The screen text model {model} cannot be downloaded. {remedy}") from error
    return path
