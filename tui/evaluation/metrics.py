"""Measures of one answer against a reference, and of a model on held-out text."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Return a text without case, ASCII punctuation, English articles and extra white space.

    The normalisation of SQuAD (Rajpurkar et al., 2016), after Unicode compatibility folding (NFKC).
    """
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def exact_match(answer: str, reference: str) -> bool:
    """Return whether an answer equals the reference once both are normalised."""
    return normalised(answer) == normalised(reference)


def _tokens(text: str) -> list[str]:
    """Return the words; text of scripts that put no space between words becomes single characters."""
    found: list[str] = []
    for word in normalised(text).split():
        if any(
            "\u3040" <= char <= "\u30ff" or "\u3400" <= char <= "\u9fff" or "\u0e00" <= char <= "\u0e7f"
            for char in word
        ):
            found.extend(word)
        else:
            found.append(word)
    return found


def token_f1(answer: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall over words, between 0 and 1 (as in SQuAD)."""
    given, wanted = _tokens(answer), _tokens(reference)
    if not given or not wanted:
        return float(given == wanted)
    common = sum((Counter(given) & Counter(wanted)).values())
    return 2 * common / (len(given) + len(wanted))


def perplexity(loss: float) -> float:
    """Return exp(loss) for a mean negative log-likelihood in nats; infinity where that is past a float."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
