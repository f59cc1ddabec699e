"""The process that PocketSphinx works in: takes utterances on its input, gives their words as lines of JSON.

PocketSphinx keeps Python's interpreter lock while it searches, 16 s for 11 s of speech on a busy machine: in the process of
a server, nobody else would be served. Run as a file; it ends when its input does.
"""

from __future__ import annotations

import json
import struct
import sys
from typing import Any

FRAMES_PER_SECOND = 100
LENGTH = struct.Struct("<I")


def main() -> None:
    import pocketsphinx

    pocketsphinx.set_loglevel("FATAL")
    decoder = pocketsphinx.Decoder()
    while head := sys.stdin.buffer.read(LENGTH.size):
        print(json.dumps(words_in(decoder, sys.stdin.buffer.read(LENGTH.unpack(head)[0]))), flush=True)


def words_in(decoder: Any, samples: bytes) -> list[tuple[str, float, float, float]]:
    """(word, start, end, probability) of 16 kHz 16-bit samples, times in seconds from their start."""
    decoder.reinit_feat()  # what was heard before would change the probabilities
    decoder.start_utt()
    decoder.process_raw(samples, full_utt=True)
    decoder.end_utt()
    if decoder.hyp() is None:
        return []
    return [
        (
            heard.word.split("(")[0],  # "the(2)" is the second pronunciation of "the"
            heard.start_frame / FRAMES_PER_SECOND,
            (heard.end_frame + 1) / FRAMES_PER_SECOND,
            min(1.0, heard.prob),
        )
        for heard in decoder.seg()
        if not heard.word.startswith(("<", "[", "++"))  # <sil>, [NOISE], ++BREATH++
    ]


if __name__ == "__main__":
    main()
