"""Keeps in what must not leave: keys, paths of this machine, the prompt's own words, and markup that a reader would load."""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import unquote

from prompts.draft import DraftSentence
from prompts.fencing import visible_text

WITHHELD = "‹withheld›"
# Characters, of text squeezed to its letters and digits. A shorter run of a key helps nobody; a run of the prompt as long
# as this, six or seven words, is no accident: none of 38,000 pieces of recorded lectures holds one.
KEY_WINDOW, PROMPT_WINDOW = 10, 32
# A shorter key is a stand-in, such as "ollama" for an endpoint that wants none.
MIN_KEY_CHARACTERS = 12
# Words of a prompt that are codes and not language: its boundary, a canary, a name with a number.
CODE_WORD = re.compile(r"(?=\S*[\d_]|[A-Z]+-[A-Z-]+\b)[\w-]{8,}")
KEY_SHAPE = re.compile(
    r"\b(?:sk-[\w-]{20,}|AKIA[0-9A-Z]{16}|gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|hf_[A-Za-z]{30,}"
    r"|xox[abeoprs]-[\w-]{10,}|AIza[\w-]{35}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|(?<=://)[^\s/@:]*:[^\s/@]+(?=@)"
)
# In an error of a server: any path below the folders that systems keep people's and programs' files in.
SYSTEM_PATH = re.compile(
    r"(?<![\w.:/])(?:/(?:home|Users|root|etc|var|tmp|private|opt|mnt|srv|usr|proc|run)|[A-Za-z]:\\)(?:[\\/]+[^\s\"'<>|,;:)]+)+"
)
ENCODED = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
SEPARATOR = r"(?:[\\/]+|%2f|%5c)+"


class OutputFilter:
    """What one process must keep to itself: `keys` as configured, and its private `folders` as absolute paths."""

    def __init__(self, keys: Iterable[str] = (), folders: Iterable[str] = ()) -> None:
        self._keys = [key for key in keys if len(squeezed(key)) >= MIN_KEY_CHARACTERS]
        self._key_windows = frozenset(window for key in self._keys for window in key_windows(key))
        self._folders = [folder_pattern(folder) for folder in folders if re.search(r"[^\\/]", folder)]

    def leak(self, text: str, told: frozenset[str] = frozenset(), held: str = "") -> str | None:
        """What the text gives away, for people; None for nothing.

        `told` are the windows of the instructions that its writer was given. What `held`, the evidence, holds too of them
        and of paths gives nothing away. Text is also read backwards, and decoded.
        """
        known = squeezed(held)
        for reading in readings(text):
            letters = squeezed(reading)
            if any(found_windows(letters, self._key_windows)) or KEY_SHAPE.search(reading):
                return "a key"
            if any(window not in known for window in found_windows(letters, told)):
                return "the instructions of the model"
            if any(squeezed(found) not in known for folder in self._folders for found in folder.findall(reading)):
                return "a path of this machine"
        return None

    def redact(self, text: str) -> str:
        """An error or a reason without keys and paths; where they are disguised, nothing of it is left."""
        for key in self._keys:
            text = re.sub(re.escape(key), WITHHELD, text, flags=re.IGNORECASE)
        text = SYSTEM_PATH.sub(WITHHELD, KEY_SHAPE.sub(WITHHELD, text))
        for folder in self._folders:
            text = folder.sub(WITHHELD, text)
        return WITHHELD if self.leak(text) else text

    def gate(self, prompt: str = "") -> OutputGate:
        """A gate for the sentences of one reply to `prompt`."""
        return OutputGate(self, prompt)


class OutputGate:
    """Lets the sentences of one reply out, one after the other, until one of them gives something away.

    A key split over several is seen at the second, and the others stay in.
    """

    def __init__(self, outputs: OutputFilter, prompt: str) -> None:
        self._outputs = outputs
        self._told = frozenset(prompt_windows(prompt))
        self._before = ""
        self.withheld: str | None = None

    def let_out(self, sentence: DraftSentence, held: str) -> DraftSentence | None:
        """The sentence with inert text; None from the one on that gives something away, which `withheld` then tells."""
        self.withheld = self.withheld or self._outputs.leak(self._before + sentence.text, self._told, held)
        if self.withheld:
            return None
        self._before = (self._before + sentence.text)[-2 * PROMPT_WINDOW :]
        return DraftSentence(inert(sentence.text), sentence.numbers)


def inert(text: str) -> str:
    """The text with no image, link or tag that any reader of Markdown or HTML would load; its words stay."""
    text = re.sub(r"\b[a-z][a-z0-9+.-]*:(?:/|\\){2}", "", visible_text(text), flags=re.IGNORECASE)
    text = re.sub(r"\b(javascript|vbscript|data|file|blob):(?=\S)", r"\1 ", text, flags=re.IGNORECASE)
    text = re.sub(r"\](?=[(\[:])", "] ", text)
    return re.sub(r"<(?=[a-z/!?])", "‹", text, flags=re.IGNORECASE)


def readings(text: str) -> Iterator[str]:
    """The text as it stands, unescaped, backwards, rotated by 13, and what is decoded from base64 or hexadecimal."""
    plain = unicodedata.normalize("NFKC", html.unescape(unquote(text)))
    yield plain
    yield plain[::-1]
    yield codecs.encode(plain, "rot13")
    decoded = " ".join(part for run in ENCODED.findall(plain) for part in decodings(run))
    if decoded:
        yield decoded


def decodings(run: str) -> Iterator[str]:
    """A run of base64 or hexadecimal digits as the ASCII text that it hides, wherever its first whole group begins."""
    for start in range(4):
        whole = run[start:].rstrip("=").replace("-", "+").replace("_", "/")
        whole = whole[:-1] if len(whole) % 4 == 1 else whole
        yield from _ascii(base64.b64decode(whole + "=" * (-len(whole) % 4)))
    if re.fullmatch(r"[0-9a-fA-F]+", run):
        yield from _ascii(binascii.unhexlify(run[: len(run) // 2 * 2]))


def _ascii(data: bytes) -> Iterator[str]:
    text = data.decode("ascii", errors="ignore")
    if len(text) > len(data) * 3 // 4:
        yield text


def squeezed(text: str) -> str:
    """Letters and digits alone, without case: what is left when a secret is spaced out or punctuated."""
    return "".join(character for character in text.casefold() if character.isalnum())


def key_windows(key: str) -> Iterator[str]:
    """The runs that give a key away; of one that is all words, the whole."""
    letters = squeezed(key)
    size = KEY_WINDOW if any(character.isdigit() for character in letters) else len(letters)
    yield from (letters[start : start + size] for start in range(len(letters) - size + 1))


def prompt_windows(prompt: str) -> Iterator[str]:
    """The runs that give a prompt away: its codes, and each run of several words."""
    yield from (squeezed(word) for word in CODE_WORD.findall(prompt))
    letters = squeezed(prompt)
    yield from (letters[start : start + PROMPT_WINDOW] for start in range(len(letters) - PROMPT_WINDOW + 1))


def found_windows(letters: str, windows: frozenset[str]) -> Iterator[str]:
    """The windows that stand in the squeezed text."""
    for size in {len(window) for window in windows}:
        runs = (letters[start : start + size] for start in range(len(letters) - size + 1))
        yield from (run for run in runs if run in windows)


def folder_pattern(folder: str) -> re.Pattern[str]:
    """A folder in any spelling of its separators, with what lies below it; of a folder at the root, only what does."""
    parts: Sequence[str] = [re.escape(part) for part in re.split(r"[\\/]+", folder) if part]
    below = f"{SEPARATOR}[^\\s\"'<>|]+"
    tail = f"(?:{below})?" if len(parts) > 1 else below
    return re.compile(rf"(?<!\w){SEPARATOR}{SEPARATOR.join(parts)}\b{tail}", re.IGNORECASE)
