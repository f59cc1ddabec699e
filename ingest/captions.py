"""Reads caption files, in any encoding and as damaged as they come, into transcript segments."""

from __future__ import annotations

import codecs
import functools
import html
import itertools
import math
import os
import re
import stat
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ingest.schema import TranscriptSegment, TranscriptSource, VideoError

CAPTION_SUFFIXES = frozenset({".srt", ".vtt", ".ass", ".ssa", ".sub", ".ttml"})
MAX_CAPTION_BYTES = 50_000_000  # a day of dense captions is 5 MB
MAX_CAPTION_SECONDS = 48 * 3600.0  # later cues are typing errors, and would stretch the video with empty moments
MIN_WORDS_TO_DETECT = 20
MIN_LANGUAGE_PROBABILITY = 0.8  # twenty words of real captions reach 0.83, lists of names 0.5
MAX_CHARACTERS_TO_DETECT = 20_000
MAX_ROLLING_LINES = 4  # roll-up captions show four rows at most (CEA-608)
ROLLING_GAP_SECONDS = 1.0
ROLLING_SHARE = 0.25  # of neighbours; YouTube's automatic captions reach 0.5, 70 files made by people 0.0

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Encodings subtitles are met in; the guesser's full list takes short texts for EBCDIC, UTF-16 or Icelandic Macintosh.
LEGACY_ENCODINGS = ["cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"]
LEGACY_ENCODINGS += ["cp874", "gb18030", "big5", "cp932", "euc_jp", "cp949"]
# ISO 639: two letters, then three-letter codes of the same language. "ii" (Sichuan Yi) is left out: it numbers parts.
LANGUAGE_CODES = """
aa aar,ab abk,ae ave,af afr,ak aka,am amh,an arg,ar ara,as asm,av ava,ay aym,az aze,ba bak,be bel,bg bul,bi bis,bm bam,
bn ben,bo bod tib,br bre,bs bos,ca cat,ce che,ch cha,co cos,cr cre,cs ces cze,cu chu,cv chv,cy cym wel,da dan,
de deu ger,dv div,dz dzo,ee ewe,el ell gre,en eng,eo epo,es spa,et est,eu eus baq,fa fas per,ff ful,fi fin,fj fij,
fo fao,fr fra fre,fy fry,ga gle,gd gla,gl glg,gn grn,gu guj,gv glv,ha hau,he heb iw,hi hin,ho hmo,hr hrv,ht hat,hu hun,
hy hye arm,hz her,ia ina,id ind,ie ile,ig ibo,ik ipk,io ido,is isl ice,it ita,iu iku,ja jpn,jv jav,ka kat geo,kg kon,
ki kik,kj kua,kk kaz,kl kal,km khm,kn kan,ko kor,kr kau,ks kas,ku kur,kv kom,kw cor,ky kir,la lat,lb ltz,lg lug,li lim,
ln lin,lo lao,lt lit,lu lub,lv lav,mg mlg,mh mah,mi mri mao,mk mkd mac,ml mal,mn mon,mr mar,ms msa may,mt mlt,
my mya bur,na nau,nb nob,nd nde,ne nep,ng ndo,nl nld dut,nn nno,no nor,nr nbl,nv nav,ny nya,oc oci,oj oji,om orm,
or ori,os oss,pa pan,pi pli,pl pol,ps pus,pt por,qu que,rm roh,rn run,ro ron rum,ru rus,rw kin,sa san,sc srd,sd snd,
se sme,sg sag,sh hbs,si sin,sk slk slo,sl slv,sm smo,sn sna,so som,sq sqi alb,sr srp,ss ssw,st sot,su sun,sv swe,
sw swa,ta tam,te tel,tg tgk,th tha,ti tir,tk tuk,tl tgl,tn tsn,to ton,tr tur,ts tso,tt tat,tw twi,ty tah,ug uig,uk ukr,
ur urd,uz uzb,ve ven,vi vie,vo vol,wa wln,wo wol,xh xho,yi yid,yo yor,za zha,zh zho chi cmn,zu zul,ceb,fil,haw,yue
"""

LANGUAGE_TAG = re.compile(r"([a-z]{2,3})(?:[-_](?:[a-z]{2}|\d{3}|hans|hant|latn|cyrl|arab|orig))*", re.IGNORECASE)
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")  # Chinese and Japanese write no spaces: a character is a word
NEWLINE = re.compile(r"\r*\n|\r")
# Every pattern stops at the next opening bracket, so that hostile text costs linear time.
LINE_BREAK = re.compile(r"<[bB][rR]\s*/?>|\\N")
TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<\s?\d[\w:.]*\s?>|</?>")
UNCLOSED_TAG = re.compile(r"</?(?:c|v|i|b|u|lang|ruby|rt)(?:\.[\w-]+)*(?=[\s<]|$)|<\d+:[\d:.]*(?=[\s<]|$)")
VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s([^<>]+)>")
OVERRIDE = re.compile(r"(\{\\[^{}]*\})")
DRAWING = re.compile(r"\\p(\d)")
ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]\w{1,30});")
INVISIBLE = re.compile("[\u00ad\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
UNSTORABLE = re.compile("[\ud800-\udfff]")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
TIME = r"(-?)(?:(\d{1,4})\s?:\s?)?(\d{1,2})\s?:\s?(\d{1,2})(?:\s?[.,:]\s?(\d{1,3}))?"
TIME_LINE = re.compile(rf"\s*{TIME}\s*--?>\s*{TIME}(?!\S)")
BROKEN_TIME_LINE = re.compile(r"\s*-?\d.*-->")
DIALOGUE_TIME = r"\s*-?\d{1,2}:\d{1,2}:\d{1,2}[.:,]\d{1,3}\s*"
DIALOGUE = re.compile(rf"\s*Dialogue:[^,]*,{DIALOGUE_TIME},{DIALOGUE_TIME},(?:[^,]*,){{6}}")
MICRODVD = re.compile(r"^ *\{ *\d+ *\} *\{ *\d+ *\}", re.MULTILINE)
MICRODVD_STYLE = re.compile(r"\{[a-zA-Z]:[^{}]*\}?")


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption as written: text with its tags and line breaks, and times that may be anything (NaN: unreadable)."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class CaptionTrack:
    """What one caption file or embedded track says: segments in order of time, its language, and what was left out."""

    segments: tuple[TranscriptSegment, ...]
    language: str | None
    warnings: tuple[str, ...] = ()


def read_captions(path: Path, source: TranscriptSource) -> CaptionTrack:
    """The captions of one file; raises VideoError for a file that is unreadable, too large, binary or without a cue."""
    text, notes = _decode(_read_bytes(path), path)
    track = segments_from_cues(_cues(text, path), source, language_of_name(path))
    if not track.segments:
        counted = f" ({'; '.join(track.warnings)})" if track.warnings else ""
        raise VideoError(f"{printable(path)} holds no caption that can be shown{counted}. Give captions with times.")
    return replace(track, warnings=(*notes, *track.warnings))


def segments_from_cues(cues: Iterable[Cue], source: TranscriptSource, language: str | None = None) -> CaptionTrack:
    """Cleaned, sorted segments without repeats; `language` is any tag (eng, pt-BR), or None to detect it."""
    every = list(cues)
    timed = [cue for cue in every if _is_possible(cue)]
    shown = {(max(c.start_seconds, 0.0), c.end_seconds, _lines(c.text), _speaker(c)): None for c in timed}
    spoken = _without_rolling(sorted((item for item in shown if item[2]), key=lambda item: item[:2]))
    found = short_language(language) or detect_language(" ".join(" ".join(lines) for _, _, lines, _ in spoken))
    segments = tuple(
        TranscriptSegment(start, end, " ".join(lines), source, found, speaker=speaker)
        for start, end, lines, speaker in spoken
    )
    dropped = len(every) - len(timed)
    return CaptionTrack(segments, found, (f"captions left out for impossible times: {dropped}",) if dropped else ())


def clean_cue_text(text: str) -> str:
    """What a viewer reads, as one line: no tags, overrides, drawings or entities. Clean once: `&lt;b&gt;` is `<b>`."""
    return " ".join(_lines(text))


def one_line(text: str) -> str:
    """Text without control characters, invisible direction marks and lone surrogates, its white space collapsed."""
    return " ".join(CONTROL.sub(" ", UNSTORABLE.sub("\ufffd", INVISIBLE.sub("", text))).split())


def printable(path: Path | str) -> str:
    """A path as one line that any terminal can show: what is invisible or cannot be encoded is escaped."""
    return "".join(character if _is_shown(character) else ascii(character)[1:-1] for character in str(path))


def short_language(tag: str | None) -> str | None:
    """The two-letter code of a language tag (`pt-BR` pt, `ger` de), three letters where it has none, else None."""
    match = LANGUAGE_TAG.fullmatch(tag or "")
    return _language_codes().get(match[1].lower()) if match else None


def language_of_name(path: Path) -> str | None:
    """The language a caption file's name tells: `talk.en.vtt`, `talk.pt-BR.srt`, `talk.ger.srt`."""
    _, dot, tag = path.stem.rpartition(".")
    return short_language(tag) if dot else None


def detect_language(text: str) -> str | None:
    """The language of a text, or None when it is too short or too mixed to tell.

    The first call of a process takes up to 1 s and 90 MB to load the model; later ones 2 ms.
    """
    sample = text[:MAX_CHARACTERS_TO_DETECT]
    if len(WORD.findall(sample)) < MIN_WORDS_TO_DETECT:
        return None
    language, probability = _language_identifier().classify(sample)
    return short_language(language) if probability >= MIN_LANGUAGE_PROBABILITY else None


def find_sidecars(media_path: Path, names: Iterable[str] | None = None) -> tuple[Path, ...]:
    """The caption files beside a media file, sorted: its stem or whole name, with or without a language tag.

    `names` are the names in its folder, for a caller that asks for many files of one folder and has listed it.
    """
    if names is None:
        try:
            with os.scandir(media_path.parent) as entries:
                names = [entry.name for entry in entries]
        except OSError:
            return ()
    stem = media_path.stem
    near = sorted(name for name in names if name.startswith(stem))
    found = (media_path.with_name(name) for name in near if _is_sidecar(Path(name), media_path))
    return tuple(path for path in found if path.is_file())


def _is_sidecar(caption: Path, media_path: Path) -> bool:
    if caption.suffix.lower() not in CAPTION_SUFFIXES:
        return False
    own_stems = (media_path.stem, media_path.name)
    base, _, tag = caption.stem.rpartition(".")
    if caption.stem in own_stems or base not in own_stems or not short_language(tag):
        return caption.stem in own_stems
    return not media_path.with_name(caption.stem + media_path.suffix).exists()  # talk.en.mp4 keeps its talk.en.vtt


@functools.cache
def _language_identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def _language_codes() -> dict[str, str]:
    return {code: entry.split()[0] for entry in LANGUAGE_CODES.split(",") for code in entry.split()}


def _is_shown(character: str) -> bool:
    joiner = character in "\u200c\u200d"  # Persian, Hindi and emoji need them
    return joiner or character == " " or unicodedata.category(character)[0] not in "CZ" or character == "\u3000"


def _read_bytes(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise VideoError(f"{printable(path)} is not a regular file. Give a caption file.")
        with path.open("rb") as file:
            data = file.read(MAX_CAPTION_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise VideoError(f"{printable(path)} cannot be read ({reason}). Check its name and its permissions.") from error
    if len(data) > MAX_CAPTION_BYTES:
        limit = f"{MAX_CAPTION_BYTES // 10**6} MB"
        raise VideoError(f"{printable(path)} is larger than {limit}, too large for captions. Split it.")
    return data


def _decode(data: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    """Text by byte order mark, UTF-8, UTF-16 without mark, then the most likely legacy encoding, which is said."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace"), ()
    data = data.rstrip(b"\0")  # a file system that lost its power pads with zeros
    if b"\0" in data:
        return _decode_utf16(data, path), ()
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError:
        return _decode_legacy(data, path)


def _decode_utf16(data: bytes, path: Path) -> str:
    """UTF-16 shows in the zero half of each digit and line end; anything else with zero bytes is no text."""
    encoding = "utf-16-be" if data[::2].count(0) > data[1::2].count(0) else "utf-16-le"
    text = (data + b"\0" * (len(data) % 2)).decode(encoding, "replace")
    if "\0" in text or "\n" not in text or text.count("\ufffd") * 10 > len(text):
        raise VideoError(f"{printable(path)} is binary, not text. Give captions as text, such as .srt or .vtt.")
    return text


def _decode_legacy(data: bytes, path: Path) -> tuple[str, tuple[str, ...]]:
    nearly = data.decode("utf-8", "replace")
    if nearly.count("\ufffd") * 4 <= sum(map(len, re.findall(r"[^\x00-\x7f]+", nearly))):
        return nearly, ("some bytes are not valid UTF-8 and were replaced",)
    from charset_normalizer import from_bytes

    telling = itertools.islice((line for line in data.splitlines() if not line.isascii()), 500)
    guesses = from_bytes(b"\n".join(line[:500] for line in telling), cp_isolation=LEGACY_ENCODINGS)
    if not guesses:
        raise VideoError(f"{printable(path)} is in no known text encoding. Save it as UTF-8.")
    # Best first; among equals Western European, which is the commonest.
    guess = min(guesses, key=lambda guess: (guess.chaos, -guess.coherence, guess.encoding != "cp1252"))
    note = f"the text encoding was guessed as {guess.encoding}; save the file as UTF-8 if words look wrong"
    return data.decode(guess.encoding, "replace"), (note,)


def _cues(text: str, path: Path) -> list[Cue]:
    """The cues of a text, its format told by its content."""
    lines = NEWLINE.split(text)
    is_vtt = text.lstrip().startswith("WEBVTT") or path.suffix.lower() == ".vtt"
    cues = list(_timed_blocks(lines, blank_line_ends=is_vtt))
    if is_vtt and not any(cue.text for cue in cues):
        cues = list(_timed_blocks(lines, blank_line_ends=False))  # blank lines between time and text
    if cues:
        return cues
    dialogue = [line for line in lines if line.lstrip().startswith("Dialogue:")]
    if dialogue:
        whole = [line for line in dialogue if DIALOGUE.match(line)]
        broken = [Cue(math.nan, math.nan, line) for line in dialogue if not DIALOGUE.match(line)]
        return broken + _pysubs2_cues("\n".join(whole), "ssa" if "[V4 Styles]" in text else "ass", path)
    if MICRODVD.search(text):
        return _pysubs2_cues(MICRODVD_STYLE.sub(" ", text), "microdvd", path)
    return _pysubs2_cues(text, "ttml", path) if "http://www.w3.org/ns/ttml" in text else []


def _timed_blocks(lines: Sequence[str], blank_line_ends: bool) -> Iterator[Cue]:
    """SubRip and WebVTT: a line of times, then text until the next one (WebVTT: or until an empty line).

    Written here because pysubs2 reads WebVTT as SubRip, which puts NOTE blocks and cue names into the text.
    """
    starts = [number for number, line in enumerate(lines) if "->" in line and _is_time_line(line)]
    for number, following in itertools.pairwise([*starts, len(lines)]):
        body = list(lines[number + 1 : following])
        ends = blank_line_ends and "" in body
        body = body[: body.index("")] if ends else _without_index(body, is_last=following == len(lines))
        match = TIME_LINE.match(lines[number])
        start, end = (_seconds(match.groups()[:5]), _seconds(match.groups()[5:])) if match else (math.nan, math.nan)
        yield Cue(start, end, "\n".join(body).strip())


def _is_time_line(line: str) -> bool:
    return bool(TIME_LINE.match(line) or BROKEN_TIME_LINE.match(line))


def _without_index(body: list[str], is_last: bool) -> list[str]:
    """A block's lines without the number of the cue that follows; in the last block that stands after an empty line."""
    while body and not body[-1].strip():
        body.pop()
    is_index = body and body[-1].strip().isdecimal() and not (is_last and (len(body) == 1 or body[-2].strip()))
    return body[:-1] if is_index else body


def _seconds(groups: Sequence[str | None]) -> float:
    """Seconds from sign, hours, minutes, seconds and fraction; NaN for a minute or second beyond 59."""
    sign, hours, minutes, seconds, fraction = groups
    if int(minutes or 0) > 59 or int(seconds or 0) > 59:
        return math.nan
    whole = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return int(f"{sign or ''}{whole}{fraction or 0:0<3}") / 1000


def _pysubs2_cues(text: str, kind: str, path: Path) -> list[Cue]:
    import pysubs2

    if "<!ENTITY" in text:  # a few lines of entities can unfold to gigabytes
        raise VideoError(f"{printable(path)} defines XML entities, which are not read. Convert it to .srt or .vtt.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about margins and colours
            events = pysubs2.SSAFile.from_string(text, format_=kind).events
    except pysubs2.UnknownFPSError:
        raise VideoError(
            f"{printable(path)} counts frames and does not give their rate. "
            "Put {1}{1}25.0 (the frames per second) on its first line, or convert it to .srt."
        ) from None
    except Exception as error:  # pysubs2 lets out whatever its parsers meet
        fact = one_line(f"cannot be read as {kind} ({type(error).__name__}: {error}")[:120]
        raise VideoError(f"{printable(path)} {fact}). Convert it to .srt or .vtt.") from error
    return [
        Cue(event.start / 1000, event.end / 1000, event.text.replace("\\n", "\n"), event.name)
        for event in events
        if not event.is_comment
    ]


def _is_possible(cue: Cue) -> bool:
    return 0.0 <= cue.end_seconds <= MAX_CAPTION_SECONDS and cue.start_seconds <= cue.end_seconds


def _speaker(cue: Cue) -> str | None:
    names = [one_line(html.unescape(name)) for name in VOICE.findall(cue.text)] or [one_line(cue.speaker or "")]
    return ", ".join(dict.fromkeys(filter(None, names))) or None


def _lines(text: str) -> tuple[str, ...]:
    """The lines of a caption as a viewer reads them, without empty ones."""
    bare = UNCLOSED_TAG.sub("", TAG.sub("", LINE_BREAK.sub("\n", _without_overrides(text))).replace("\\h", " "))
    plain = ENTITY.sub(lambda entity: html.unescape(entity[0]), bare)
    return tuple(line for line in map(one_line, NEWLINE.split(plain)) if line)


def _without_overrides(text: str) -> str:
    r"""Text without SubStation overrides `{\an8}` and without the drawings they switch on and off."""
    kept, drawing = [], False
    for part in OVERRIDE.split(text):
        if OVERRIDE.fullmatch(part):
            switches = DRAWING.findall(part)
            drawing = switches[-1] != "0" if switches else drawing
        elif not drawing:
            kept.append(part)
    return "".join(kept)


Shown = tuple[float, float, tuple[str, ...], str | None]


def _without_rolling(shown: Sequence[Shown]) -> list[Shown]:
    """Each line once: in rolling captions a cue repeats the last lines of the one before, and adds one."""
    repeats = [0, *(_repeated_lines(before, after) for before, after in itertools.pairwise(shown))]
    growing = sum(0 < repeat < len(cue[2]) for repeat, cue in zip(repeats, shown, strict=False))
    if not growing or growing < ROLLING_SHARE * (len(shown) - 1):
        return list(shown)
    rolled = zip(repeats, shown, strict=True)
    return [(start, end, lines[repeat:], who) for repeat, (start, end, lines, who) in rolled if lines[repeat:]]


def _repeated_lines(before: Shown, after: Shown) -> int:
    """How many of the first lines of a cue are the last lines of the cue just before it."""
    if after[0] - before[1] > ROLLING_GAP_SECONDS:
        return 0
    most = min(len(before[2]), len(after[2]), MAX_ROLLING_LINES)
    return next((count for count in range(most, 0, -1) if before[2][-count:] == after[2][:count]), 0)
