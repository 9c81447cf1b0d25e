"""Token counts: exact where the model's vocabulary can be used, otherwise an estimate that says how wrong it may be."""

from __future__ import annotations

import base64
import gzip
import importlib.util
import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import assets
from tui.dataset.lines import is_blank
from tui.messages import t

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tui.dataset.structure import Message

Vocabulary = Literal["phi3", "phi4", "phi4-mini"]

EXACT_BYTES = 8 << 20
"""Files up to this size are counted exactly, at some megabytes a second; larger ones by a calibrated estimate."""

_SAMPLE_ROWS = 400
_LEAP = 149
_SAMPLE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class _Family:
    """How a vocabulary counts, measured with `scripts/fit_token_estimate.py` on 27 sets of texts: English chats and
    documentation, Python code, and user-interface text in 24 languages.

    Attributes:
        per_character: Tokens per character.
        per_byte: Tokens per byte that UTF-8 needs beyond one a character.
        error: Relative error of a set's total that nine sets in ten stay below; 0.14 at most for English and code.
        per_message: Tokens that the chat template adds to a message.
        file: Its file in assets/tokenizers.
        words: Regular expression that cuts a text into words before they are made of tokens; "" for phi3.
    """

    per_character: float
    per_byte: float
    error: float
    per_message: int
    file: str
    words: str = ""


_FAMILIES: dict[str, _Family] = {
    # <|user|> \n … <|end|> \n; revisions of the published tokenizer differ by up to two tokens a message.
    "phi3": _Family(0.2912, 0.5982, 0.31, 4, "phi3.json.gz"),
    # <|im_start|> user <|im_sep|> … <|im_end|>
    "phi4": _Family(
        0.2468, 0.4973, 0.33, 4, "cl100k.tiktoken.gz",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    # <|user|> … <|end|>
    "phi4-mini": _Family(
        0.2430, 0.1916, 0.21, 2, "o200k.tiktoken.gz",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
}  # fmt: skip


def vocabulary_of(model: str) -> Vocabulary:
    """Return which vocabulary a model of a name like `Phi-3.5-mini-instruct` has, the newest for any other name."""
    name = model.casefold()
    if "phi-3-small" in name or ("phi-4" in name and "mini" not in name and "multimodal" not in name):
        return "phi4"
    return "phi3" if "phi-3" in name else "phi4-mini"


class Counter(Protocol):
    """Counts the tokens of conversations."""

    @property
    def name(self) -> str:
        """What counts, for people."""

    @property
    def is_estimate(self) -> bool:
        """Whether the counts are estimates."""

    @property
    def error(self) -> float:
        """Relative error to expect of a total, 0.0 where the count is exact."""

    @property
    def row_error(self) -> float:
        """Relative error that the count of a single row hardly ever exceeds."""

    def count(self, rows: Sequence[Sequence[Message]]) -> list[tuple[int, int]]:
        """Return (all tokens, tokens of assistant turns) of each row, chat template included."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Counts from the length of the text.

    Attributes:
        vocabulary: Whose tokens are estimated.
        ratio: Calibration by rows of the file itself.
        error: Relative error to expect of a total.
        row_error: Relative error that the count of a single row hardly ever exceeds.
        calibrated: Whether the three before come from the file.
    """

    vocabulary: str
    ratio: float
    error: float
    row_error: float
    calibrated: bool

    @property
    def name(self) -> str:
        """What counts."""
        if self.calibrated:
            return t("estimate for {vocabulary}, calibrated on rows of the file", vocabulary=self.vocabulary)
        return t("estimate for {vocabulary}, from the length of the text", vocabulary=self.vocabulary)

    @property
    def is_estimate(self) -> bool:
        """True."""
        return True

    def count(self, rows: Sequence[Sequence[Message]]) -> list[tuple[int, int]]:
        """Return (all tokens, tokens of assistant turns) of each row."""
        family = _FAMILIES[self.vocabulary]
        return _by_row(rows, self._lengths(rows, family), family.per_message)

    def _lengths(self, rows: Sequence[Sequence[Message]], family: _Family) -> Iterator[int]:
        per_character, per_byte = family.per_character * self.ratio, family.per_byte * self.ratio
        for message in chain.from_iterable(rows):
            content = message.content
            tokens = len(content) * per_character
            if not content.isascii():
                tokens += (len(content.encode()) - len(content)) * per_byte
            yield round(tokens)


def _by_row(rows: Sequence[Sequence[Message]], lengths: Iterator[int], per_message: int) -> list[tuple[int, int]]:
    """Return (all tokens, tokens of assistant turns) of each row from the tokens of each message's text."""
    made = []
    for row in rows:
        total = assistant = 0
        for message in row:
            tokens = next(lengths) + per_message
            total += tokens
            if message.role == "assistant":
                assistant += tokens
        made.append((total, assistant))
    return made


def _uncalibrated(vocabulary: str) -> Estimate:
    error = _FAMILIES[vocabulary].error
    return Estimate(vocabulary, 1.0, error, 2 * error, calibrated=False)


@dataclass(frozen=True, slots=True)
class Exact:
    """Counts with the vocabulary itself.

    Attributes:
        vocabulary: Which one, or the path of a `tokenizer.json`.
        per_message: Tokens that the chat template adds to a message.
    """

    vocabulary: str
    per_message: int

    @property
    def name(self) -> str:
        """What counts."""
        return Path(self.vocabulary).name

    @property
    def is_estimate(self) -> bool:
        """False."""
        return False

    @property
    def error(self) -> float:
        """0.0."""
        return 0.0

    @property
    def row_error(self) -> float:
        """0.0."""
        return 0.0

    def count(self, rows: Sequence[Sequence[Message]]) -> list[tuple[int, int]]:
        """Return (all tokens, tokens of assistant turns) of each row."""
        texts = [message.content for message in chain.from_iterable(rows)]
        return _by_row(rows, iter(_loaded(self.vocabulary)(texts)), self.per_message)


@lru_cache(maxsize=1)
def _loaded(vocabulary: str) -> Callable[[list[str]], list[int]]:
    """Return what tells the number of tokens of each of some texts."""
    family = _FAMILIES.get(vocabulary)
    if family is None or not family.words:
        from tokenizers import Tokenizer

        content = Path(vocabulary).read_bytes() if family is None else gzip.decompress(_path(family).read_bytes())
        tokenizer = Tokenizer.from_str(content.decode())
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return lambda texts: [len(found) for found in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
    import tiktoken

    # Line by line: two hundred thousand lines at once would be the most that the check ever holds.
    with gzip.open(_path(family), "rb") as lines:
        ranks = {base64.b64decode(token): int(rank) for token, rank in map(bytes.split, lines)}
    encoding = tiktoken.Encoding(vocabulary, pat_str=family.words, mergeable_ranks=ranks, special_tokens={})
    return lambda texts: [len(encoding.encode_ordinary(text)) for text in texts]


def _path(family: _Family) -> Path:
    return Path(assets.ROOT, "tokenizers", family.file)


def _can_load(vocabulary: str) -> bool:
    """Whether the library that reads a vocabulary is installed."""
    family = _FAMILIES.get(vocabulary)
    return importlib.util.find_spec("tiktoken" if family and family.words else "tokenizers") is not None


def counter(
    vocabulary: Vocabulary, path: Path, read: Callable[[bytes], Sequence[Message]], tokenizer: Path | None = None
) -> Counter:
    """Return what counts the tokens of a file.

    Args:
        vocabulary: The model's vocabulary.
        path: The file; one of more than EXACT_BYTES is estimated, calibrated on rows from all over it.
        read: Makes messages of a line.
        tokenizer: A `tokenizer.json` that is used in the place of the vocabulary that ships with the program.

    Raises:
        OSError: A file cannot be read.
        ValueError: The tokenizer cannot be used.
    """
    source = str(tokenizer) if tokenizer is not None else vocabulary
    if not _can_load(source):
        return _uncalibrated(vocabulary)
    if tokenizer is not None:
        try:
            _loaded(source)
        except OSError:
            raise
        except Exception as reason:  # the library raises nothing narrower
            said = t("{file} is not a tokenizer.json: {reason}", file=tokenizer, reason=reason)
            raise ValueError(said) from reason
    exact = Exact(source, _FAMILIES[vocabulary].per_message)
    if path.stat().st_size <= EXACT_BYTES:
        return exact
    rows = _sample(path, read)
    if not rows:
        return _uncalibrated(vocabulary)
    family = _FAMILIES[vocabulary]
    real = [total for total, _ in exact.count(rows)]
    template = [family.per_message * len(row) for row in rows]
    text = [total - fixed for total, fixed in zip(real, template, strict=True)]
    guessed = [total - fixed for (total, _), fixed in zip(_uncalibrated(vocabulary).count(rows), template, strict=True)]
    ratio = sum(text) / max(1, sum(guessed))
    misses = [a - ratio * b for a, b in zip(text, guessed, strict=True)]
    # Three standard errors of a ratio estimate (Cochran, Sampling Techniques, 6.4): it hardly ever is further off.
    error = 3 * math.sqrt(sum(miss**2 for miss in misses)) / sum(real)
    relative = sorted(abs(miss) / a for miss, a in zip(misses, real, strict=True))
    return Estimate(vocabulary, ratio, error, relative[len(relative) * 99 // 100], calibrated=True)


def _sample(path: Path, read: Callable[[bytes], Sequence[Message]]) -> list[Sequence[Message]]:
    """Return the conversations of lines that stand at even distances in a file, fewer where they are very long."""
    size = path.stat().st_size
    found = []
    read_bytes = 0
    with path.open("rb") as stream:
        for step in range(_SAMPLE_ROWS):
            # In leaps, so that the first of them come from all over the file too.
            stream.seek(size * (step * _LEAP % _SAMPLE_ROWS) // _SAMPLE_ROWS)
            read_bytes += len(stream.readline(EXACT_BYTES))
            line = stream.readline(EXACT_BYTES)
            read_bytes += len(line)
            if read_bytes > _SAMPLE_BYTES:
                break
            if not is_blank(line) and (messages := read(line)):
                found.append(messages)
    return found
