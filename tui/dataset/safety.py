"""A guess, from words alone, at rows that the service's safety evaluation of training data may refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tui.messages import mark

if TYPE_CHECKING:
    from collections.abc import Iterable

_CATEGORIES = {
    # The four categories of Azure AI Content Safety, each with words of which one is in every match of its patterns.
    mark("self-harm"): (
        "kill killing suicide life cut cutting hurt hurting harm harming die",
        (
            r"kill(?:ing)? (?:my|your)self",
            r"commit(?:ting)? suicide",
            r"end(?:ing)? (?:my|your) (?:own )?life",
            r"(?:cut|hurt|harm)(?:ting|ing)? (?:my|your)self",
            r"want(?:ed)? to die\b",
        ),
    ),
    mark("violence"): (
        "bomb bombs shoot shooting kill murder stab strangle behead poison torture torturing",
        (
            r"(?:make|build|plant|detonate)(?:ing)? (?:a |an )?(?:pipe ?|nail |car |dirty )?bombs?\b",
            r"shoot(?:ing)? up (?:a |the |my |their )?(?:school|church|mosque|synagogue|office|mall)",
            r"(?:kill|murder|stab|strangle|behead|poison) "
            r"(?:him|her|them|my (?:wife|husband|boss|neighbou?r|family)|someone|people)\b",
            r"tortur(?:e|ing) (?:him|her|them|someone|people|animals)",
        ),
    ),
    mark("sexual"): (
        "porn porno pornography pornographic explicit erotic incest rape blowjob orgasm masturbate masturbating",
        (
            r"\bporn(?:o|ography|ographic)?\b",
            r"explicit (?:sex|sexual|photos?|pictures?|images?|videos?)",
            r"\b(?:erotic|incest|rape|blowjob|orgasm|masturbat\w+)\b",
        ),
    ),
    mark("hate"): (
        "hate exterminate deport gas vermin subhuman inferior animals die hitler",
        (
            r"(?:hate|exterminate|deport|gas) (?:all |the |these |those )+"
            r"(?:jews|muslims|christians|blacks|whites|asians|immigrants|gays|women|disabled)",
            r"(?:jews|muslims|blacks|asians|immigrants|gays|women) (?:are|deserve) "
            r"(?:vermin|subhuman|inferior|animals|to die)",
            r"\bheil hitler\b",
        ),
    ),
}
_PATTERNS = {name: re.compile("|".join(patterns)) for name, (_, patterns) in _CATEGORIES.items()}
_EDGES = ("", ".", ",", "?", "!", ";", ":", '"', "'", ")", '."', '?"', '!"', "'s", "...")
_TRIGGERS: dict[str, frozenset[str]] = {
    name: frozenset(start + word + end for word in words.split() for start in ("", '"', "'", "(") for end in _EDGES)
    for name, (words, _) in _CATEGORIES.items()
}
_ANY_TRIGGER = frozenset().union(*_TRIGGERS.values())


def suspected(words: Iterable[str]) -> tuple[str, ...]:
    """Return the categories that words in small letters, split at white space, make worth a look."""
    if _ANY_TRIGGER.isdisjoint(words):
        return ()
    found = _ANY_TRIGGER.intersection(words)
    return tuple(name for name, triggers in _TRIGGERS.items() if not triggers.isdisjoint(found))


def guess(text: str, categories: Iterable[str] = tuple(_CATEGORIES)) -> tuple[str, int] | None:
    """Return the category of content safety that a text seems to touch and the character where; None for none."""
    lowered = text.lower()
    for name in categories:
        if found := _PATTERNS[name].search(lowered):
            return name, found.start()
    return None
