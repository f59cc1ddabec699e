"""The program that decodes one media file inside the sandbox, in one pass; it imports `av` at once.

Called by `media.decode_media` through `sandbox.run_limited`, with the work folder as current folder. It writes
`audio.wav`, `frames/000123456.jpg` (milliseconds) and, last, `media.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import av
import av.logging
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition, Stream

from ingest.media_clock import Clock
from ingest.picture_track import PictureTrack
from ingest.schema import VideoError
from ingest.sound_track import SoundTrack
from ingest.text_track import TextTrack

# By content and never by name; none of these opens a second file or a connection.
DEMUXERS = "mov,matroska,avi,mp3,wav,w64,flac,ogg,mpegts,mpeg,mpegvideo,flv,aac,asf,aiff,caf,amr,ac3"
TEXT_CODECS = frozenset({"mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text"})
MAX_READ_ERRORS = 10
# How far the header's duration and the last timestamp may disagree before it is worth a warning.
DURATION_SLACK_SECONDS = 1.0
DURATION_SLACK_SHARE = 0.01
# These have no header that tells a duration; what is said is the difference of two timestamps, wrong in joined files. Their
# content cannot be longer than its bytes at the least rate, which keeps broken timestamps in bounds.
UNDECLARED = frozenset({"mpegts", "mpeg"})
MIN_BYTES_PER_SECOND = 1000
MAX_JUMPS_NAMED = 5


class PictureReader(Protocol):
    """Makes the track that looks at pictures, of (stream, clock, max_frames, max_pixels)."""

    def __call__(self, stream: Any, clock: Clock, max_frames: int, max_pixels: int) -> Any: ...


def main(arguments: Sequence[str], look: PictureReader = PictureTrack) -> None:
    """Decode (or only probe) the file that the job in `arguments[0]` names; raises VideoError for what is refused."""
    job = json.loads(arguments[0])
    av.logging.set_libav_level(av.logging.ERROR)
    av.logging.restore_default_callback()  # The decoders' complaints go to stderr, where the parent counts them.
    try:
        container = open_media(job["path"], job["max_pixels"])
    except FFmpegError as error:
        raise VideoError(f"cannot be opened as media ({error.strerror}). Check that it plays elsewhere.") from None
    check_caps(container, job)
    facts = probe(container, job) if job["probe"] else decode(container, job, look)
    Path("media.json").write_text(json.dumps(facts), encoding="utf-8")


def open_media(path: str, max_pixels: int) -> InputContainer:
    """Open a local file with the demuxers of the allow-list only."""
    options = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS, "max_pixels": str(max_pixels)}
    return av.open("file:" + path, "r", options=options, metadata_errors="replace")


def check_caps(container: InputContainer, job: dict[str, Any]) -> None:
    """Refuse what declares more than the limits."""
    streams, declared = container.streams, declared_seconds(container)
    if len(streams) > job["max_streams"]:
        raise VideoError(f"has {len(streams)} streams, the limit is {job['max_streams']}. Leave out tracks.")
    if declared > job["max_duration_seconds"]:
        limit = job["max_duration_seconds"]
        raise VideoError(f"lasts {declared:.0f} s, the limit is {limit:.0f} s. Split it.")
    for stream in video_streams(container):
        pixels = stream.codec_context.width * stream.codec_context.height
        if pixels > job["max_pixels"]:
            size = f"{stream.codec_context.width} x {stream.codec_context.height}"
            raise VideoError(f"has pictures of {size}, the limit is {job['max_pixels']} pixels. Re-encode it smaller.")
        rate = float(stream.average_rate or 0)
        if rate > job["max_frames_per_second"]:
            limit = job["max_frames_per_second"]
            raise VideoError(f"has {rate:.0f} pictures a second, the limit is {limit}. Re-encode it.")


def probe(container: InputContainer, job: dict[str, Any]) -> dict[str, Any]:
    """The facts without decoding; a file that does not tell its duration is read through for its timestamps."""
    video, audio = best_video(container), best_audio(container)
    clock = make_clock(container, job)
    if not declared_seconds(container):
        for packet in packets(container, [stream for stream in (video, audio) if stream], []):
            clock.set_right(packet)
    facts = common_facts(container, video, audio)
    tracks = [{**track_facts(stream), "cues": []} for stream in text_streams(container)]
    found = {"has_video": video is not None, "has_audio": audio is not None, "subtitles": tracks}
    if not (video or audio or tracks):
        raise VideoError("holds neither picture nor sound nor subtitles. Check that it plays elsewhere.")
    return {**facts, **found, "duration_seconds": declared_seconds(container) or clock.end_seconds}


def decode(container: InputContainer, job: dict[str, Any], look: PictureReader) -> dict[str, Any]:
    """Read the file once and hand each packet to its track; returns what `media.json` holds."""
    clock = make_clock(container, job)
    video, audio, texts = best_video(container), best_audio(container), text_streams(container)
    pictures = look(video, clock, job["max_frames"], job["max_pixels"]) if video and job["want_pictures"] else None
    sound = SoundTrack(audio, clock, Path("audio.wav")) if audio and job["want_sound"] else None
    subtitles = [TextTrack(stream, clock) for stream in texts]
    tracks = {track.stream.index: track for track in (pictures, sound, *subtitles) if track}
    # A part that is not wanted still tells how long the file is, where nothing else does.
    streams = [track.stream for track in tracks.values()] or [stream for stream in (video, audio) if stream]
    warnings: list[str] = []
    for packet in packets(container, streams, warnings):
        clock.set_right(packet)
        if packet.stream_index in tracks:
            tracks[packet.stream_index].take(packet)
    for track in tracks.values():
        track.finish()
    sampler = pictures.sampler if pictures else None
    facts = {
        **common_facts(container, video, audio),
        "frames": sampler.kept if sampler else [],
        "cut_seconds": sorted(sampler.keeper.cut_seconds) if sampler else [],
        "has_video": bool(sampler.kept) if sampler else video is not None,
        "has_audio": bool(sound.written) if sound else audio is not None,
        "audio_channels": sound.channels if sound and sound.written else 0,
        "subtitles": [{**track_facts(track.stream), "cues": track.cues} for track in subtitles if track.cues],
        "duration_seconds": true_duration(declared_seconds(container), clock, warnings),
    }
    damaged = sum(track.damaged for track in tracks.values())
    if damaged:
        warnings.append(f"damaged: {damaged} packets could not be decoded")
    if sampler and sampler.left_out:
        warnings.append(f"{sampler.left_out} pictures past the limit of {job['max_frames']} were left out")
    if video and not facts["has_video"]:
        warnings.append("its pictures could not be decoded")
    if audio and not facts["has_audio"]:
        warnings.append("its sound could not be decoded")
    if not (facts["has_video"] or facts["has_audio"] or facts["subtitles"]):
        raise VideoError("holds neither picture nor sound nor subtitles. Check that it plays elsewhere.")
    return {**facts, "warnings": warnings}


def make_clock(container: InputContainer, job: dict[str, Any]) -> Clock:
    """A clock that takes no time for true that lies outside the file, as far as the file tells."""
    start, declared, most = (
        (container.start_time or 0) / av.time_base,
        declared_seconds(container),
        job["max_duration_seconds"],
    )
    limit = declared + slack(declared) if declared else most
    if container.format.name in UNDECLARED:
        limit = max(limit, container.size / MIN_BYTES_PER_SECOND)
    return Clock(start, min(limit, most), most)


def packets(container: InputContainer, streams: Sequence[Stream], warnings: list[str]) -> Iterator[Packet[Any]]:
    """All packets that hold data, in file order; reading goes on after an error while the file gives more."""
    for _ in range(MAX_READ_ERRORS):
        try:
            for packet in container.demux(*streams) if streams else ():
                if packet.size:
                    yield packet
            return
        except FFmpegError as error:
            reason = error.strerror
    warnings.append(f"damaged: reading stopped before the end ({reason})")


def common_facts(container: InputContainer, video: Stream | None, audio: Stream | None) -> dict[str, Any]:
    """What the container says of itself."""
    start = (container.start_time or 0) / av.time_base
    chapters = []
    for chapter in container.chapters():
        base = float(chapter["time_base"] or 1)
        begin, end = chapter["start"] * base - start, chapter["end"] * base - start
        chapters.append([max(begin, 0.0), max(begin, end, 0.0), chapter["metadata"].get("title", "")])
    context = video.codec_context if video else None
    return {
        "container": container.format.name,
        "title": container.metadata.get("title", ""),
        "width": context.width if context else 0,  # type: ignore[attr-defined]
        "height": context.height if context else 0,  # type: ignore[attr-defined]
        "audio_language": audio.language if audio else None,
        "audio_channels": 0,
        "chapters": chapters,
        "frames": [],
        "cut_seconds": [],
        "warnings": [],
    }


def track_facts(stream: Stream) -> dict[str, Any]:
    """Who a subtitle track is for."""
    described = Disposition.descriptions | Disposition.visual_impaired
    return {
        "language": stream.language,
        "kind": "descriptions" if stream.disposition & described else "captions",
        "is_default": bool(stream.disposition & Disposition.default),
        "is_partial": bool(stream.disposition & (Disposition.forced | Disposition.comment)),
    }


def declared_seconds(container: InputContainer) -> float:
    """The duration in the header, 0 when there is none."""
    return max(0.0, (container.duration or 0) / av.time_base)


def slack(seconds: float) -> float:
    """How far two statements of a duration may be apart."""
    return max(DURATION_SLACK_SECONDS, seconds * DURATION_SLACK_SHARE)


def true_duration(declared: float, clock: Clock, warnings: list[str]) -> float:
    """The header's duration where the content agrees with it, else where the content ends."""
    seen = clock.end_seconds
    if declared and abs(declared - seen) <= slack(declared):
        return declared
    if clock.jumps:
        jumps = ", ".join(f"{seconds:.1f}" for seconds in clock.jumps[:MAX_JUMPS_NAMED])
        warnings.append(f"its timestamps begin anew at second {jumps}; the parts were put one after the other")
        return seen
    counts_from_zero = abs(declared - clock.start_seconds - seen) <= slack(declared)  # Matroska, when it starts later
    if declared and not counts_from_zero:
        warnings.append(f"the header says {declared:.1f} s, the content ends at {seen:.1f} s")
    return seen


def video_streams(container: InputContainer) -> list[Any]:
    """Moving pictures that a decoder exists for: cover art and thumbnails are no video."""
    still = Disposition.attached_pic | Disposition.timed_thumbnails
    return [stream for stream in container.streams.video if stream.codec_context and not stream.disposition & still]


def best_video(container: InputContainer) -> Any:
    """The default track, of several the one with most pixels; None where there is none."""

    def rank(stream: Any) -> tuple[bool, int]:
        return bool(stream.disposition & Disposition.default), stream.codec_context.width * stream.codec_context.height

    return max(video_streams(container), key=rank, default=None)


def best_audio(container: InputContainer) -> Any:
    """The default track, and no commentary or audio description where there is another; None where there is none."""
    aside = Disposition.comment | Disposition.visual_impaired | Disposition.descriptions

    def rank(stream: Any) -> tuple[bool, bool]:
        return not stream.disposition & aside, bool(stream.disposition & Disposition.default)

    return max((stream for stream in container.streams.audio if stream.codec_context), key=rank, default=None)


def text_streams(container: InputContainer) -> list[Any]:
    """Subtitle tracks made of text; tracks of pictures are left out."""
    known = [stream for stream in container.streams.subtitles if stream.codec_context]
    return [stream for stream in known if stream.codec_context.name in TEXT_CODECS]
