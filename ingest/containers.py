"""Tells a media file from everything else by how its bytes begin; a name proves nothing."""

from __future__ import annotations

MOV_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"})
PICTURE_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1", b"crx "})
STARTS = (
    b"\x1aE\xdf\xa3",  # Matroska and WebM
    b"OggS",
    b"FLV\x01",
    b"0&\xb2u\x8ef\xcf\x11",  # ASF: wmv, wma
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x00\x00\x01\xb3",  # MPEG video
    b"ID3",
    b"fLaC",
    b"caff",
    b"#!AMR",
    b"\x0bw",  # AC-3
    b"riff.\x91\xcf\x11",  # Wave64
)
RIFF_KINDS = frozenset(
    {(b"RIFF", b"AVI "), (b"RIFF", b"WAVE"), (b"RF64", b"WAVE"), (b"FORM", b"AIFF"), (b"FORM", b"AIFC")}
)
TS_PACKET_BYTES = (188, 192)


def looks_like_media(head: bytes) -> bool:
    """Whether the bytes begin like one of the containers that the decoding child may open."""
    if head.startswith(STARTS) or (head[:4], head[8:12]) in RIFF_KINDS:
        return True
    if head[4:8] in MOV_BOXES:
        return head[4:8] != b"ftyp" or head[8:12] not in PICTURE_BRANDS
    return is_mpeg_audio(head) or is_transport_stream(head)


def is_mpeg_audio(head: bytes) -> bool:
    """An MP3 or ADTS frame header; layer I is left out, as the byte order mark of UTF-16 reads like it."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if layer == 0:
        return head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13
    return layer != 3 and version != 1 and head[2] >> 4 not in (0, 15) and head[2] >> 2 & 3 != 3


def is_transport_stream(head: bytes) -> bool:
    """Sync bytes of MPEG-TS, with or without the four bytes of time that cameras and discs put before each packet."""
    return any(
        len(head) > 2 * size + 4 and all(head[size - 188 + size * packet] == 0x47 for packet in range(3))
        for size in TS_PACKET_BYTES
    )
