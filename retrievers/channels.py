"""The channels a moment can be found through, and the index legs that each is made of."""

from __future__ import annotations

CHANNEL_LEGS: dict[str, tuple[str, ...]] = {
    "speech": ("speech_dense", "speech_bm25"),
    "screen": ("screen_dense", "screen_bm25"),
    "description": ("description_dense", "description_bm25"),
    "visual": ("visual",),
}
CHANNELS = tuple(CHANNEL_LEGS)
