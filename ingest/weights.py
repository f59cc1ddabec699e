"""Finds model weights: a local folder, the hub's local cache, then the hub itself, asked once and with a short time-out."""

from __future__ import annotations

import functools
import logging
from pathlib import Path

HUB_TIMEOUT_SECONDS = 3.0

log = logging.getLogger(__name__)


def find_weights(name: str, patterns: tuple[str, ...]) -> Path | None:
    """The folder that holds a model's files, downloaded if need be, or None when they cannot be had here.

    `name` is a folder or a hub repository; `patterns` limit the download (safetensors, never pickles), the
    first names the weights. Honours HF_HUB_OFFLINE, HF_HOME and HF_ENDPOINT through huggingface_hub.
    """
    found = local_weights(name, patterns)
    if found or name.count("/") != 1 or not hub_is_reachable():
        return found
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(patterns), etag_timeout=HUB_TIMEOUT_SECONDS))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        log.warning("could not download %s: %s", name, str(error).splitlines()[0])
        return None


def local_weights(name: str, patterns: tuple[str, ...]) -> Path | None:
    """The folder that holds a model's files on this machine, or None; never asks the network."""
    if Path(name).is_dir():
        return Path(name)
    if name.count("/") != 1:
        return None
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        found = Path(snapshot_download(name, allow_patterns=list(patterns), local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return found if (found / patterns[0]).exists() else None  # a broken download left only part of it


@functools.cache
def hub_is_reachable() -> bool:
    """Whether the model hub answers; asked once per process, so that a machine without network waits once at most."""
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        httpx.head(constants.ENDPOINT, timeout=HUB_TIMEOUT_SECONDS)
    except httpx.HTTPError:
        return False
    return True
