"""A guess, from words alone, at rows that the service's safety evaluation of training data may refuse."""

from __future__ import annotations

import re

_CATEGORIES = {
    # The four categories are those of Azure AI Content Safety.
    "self-harm": (
        r"kill(?:ing)? (?:my|your)self",
        r"commit(?:ting)? suicide",
        r"end(?:ing)? (?:my|your) (?:own )?life",
        r"(?:cut|hurt|harm)(?:ting|ing)? (?:my|your)self",
        r"want(?:ed)? to die\b",
    ),
    "violence": (
        r"(?:make|build|plant|detonate)(?:ing)? (?:a |an )?(?:pipe ?|nail |car |dirty )?bombs?\b",
        r"(?:shoot|shooting) up (?:a |the |my |their )?(?:school|church|mosque|synagogue|office|mall)",
        r"(?:kill|murder|stab|strangle|behead|poison) (?:him|her|them|my (?:wife|husband|boss|neighbou?r|family)|someone|people)\b",
        r"tortur(?:e|ing) (?:him|her|them|someone|people|animals)",
    ),
    "sexual": (
        r"\bporn(?:o|ography|ographic)?\b",
        r"(?:sexually )?explicit (?:sex|sexual|photos?|pictures?|images?|videos?)",
        r"\b(?:child|minor|teen)s? (?:porn|sex|erotic)",
        r"\b(?:erotic|incest|rape|blow ?job|orgasm|masturbat\w+)\b",
    ),
    "hate": (
        r"(?:hate|exterminate|deport|gas|kill|get rid of) (?:all |the |these |those )+(?:jews|muslims|christians|blacks|whites|asians|immigrants|gays|women|disabled)",
        r"(?:jews|muslims|blacks|asians|immigrants|gays|women) (?:are|deserve) (?:vermin|subhuman|inferior|animals|to die)",
        r"\bwhite power\b|\bheil hitler\b|\bgas the\b",
    ),
}
_PATTERNS = {name: re.compile("|".join(patterns)) for name, patterns in _CATEGORIES.items()}
_STEMS = (
    "self", "suicid", " life", " die", "bomb", "shoot", "kill", "murder", "stab", "strangl", "behead", "poison", "tortur",
    "porn", "explicit", "erotic", "incest", "rape", "blow", "orgasm", "masturb", " sex", "hate ", "extermin", "deport",
    "gas ", "get rid", "vermin", "subhuman", "inferior", " animals", "white power", "hitler",
)


def guess(text: str) -> tuple[str, int] | None:
    """Return the category of content safety that a text seems to touch and the character where; None for none."""
    lowered = text.lower()
    if not any(stem in lowered for stem in _STEMS):
        return None
    for name, pattern in _PATTERNS.items():
        if found := pattern.search(lowered):
            return name, found.start()
    return None
