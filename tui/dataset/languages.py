"""A guess at the script and the language of a text, without a model."""

from __future__ import annotations

import unicodedata
from collections import Counter

_LOOKED_AT = 300
_FEWEST_WORDS = 2
_STOPWORDS = {
    "en": "the and of to is in that it for you with are this what how can my not have from your",
    "de": "der die und das ist nicht ich sie mit ein eine zu auf für von den wie kann wir auch",
    "fr": "le la les des est et une dans que pour pas vous avec sur ce je du au qui comment",
    "es": "el los las una que es para por con como está del mi se lo más pero cómo su al",
    "it": "il che di non per una sono con come è della mi gli nel più questo ho alla si lo",
    "pt": "não uma para com como que os está você do em mais da meu por são dos ao ou seu",
    "nl": "het een van niet ik dat is en zijn met voor op hoe mijn deze naar ook wat kan je",
    "pl": "nie się na jest to jak że czy do od jestem moje dla przez ale tak można po co mnie",
    "sv": "och att det är som inte jag en för på med kan hur min till av den ett har vad",
    "tr": "bir ve bu için ile nasıl değil ne var mı çok daha ben olan gibi olarak benim sen en",
    "id": "yang dan di untuk dengan saya ini itu tidak apa adalah bagaimana dari ke bisa anda pada akan",
    "ru": "и в не на я что как это по но с для мне вы все так мой если у меня",
    "uk": "і в не на що як це та для мені з до ви мій якщо є чи про й або",
    "bg": "и на да се за от не че как това съм ми са по при ще или какво си мога",
    "ar": "في من على ما هل أن كيف هذا إلى لا مع أو هو هي عن هذه كان التي",
    "fa": "در از به که است را این با برای چه می آن من یا تا شما هم چگونه",
    "hi": "है के में की और का क्या से को यह नहीं मैं हैं कैसे पर एक लिए",
    "cs": "je se na že jak není do to ale jsem pro jsou mi co tak by ve který můj při",
}
LATIN_BUT_ENGLISH = frozenset(_STOPWORDS) - {"en", "ru", "uk", "bg", "ar", "fa", "hi"}
"""Languages in Latin script that are guessed at, without English."""
_LANGUAGES: dict[str, list[str]] = {}
for _name, _words in _STOPWORDS.items():
    for _word in _words.split():
        _LANGUAGES.setdefault(_word, []).append(_name)
_OF_SCRIPT = {
    "Hangul": "ko",
    "Hiragana": "ja",
    "Katakana": "ja",
    "Greek": "el",
    "Hebrew": "he",
    "Thai": "th",
    "Georgian": "ka",
    "Armenian": "hy",
}
_IDEOGRAPHS = {"CJK": "Han"}


def script_of(text: str) -> str:
    """Return the script of most letters: Latin, Cyrillic, Han, Arabic, …; "none" for a text without letters."""
    piece = text[:_LOOKED_AT]
    if piece.isascii():
        return "Latin" if any(map(str.isalpha, piece)) else "none"
    counts: Counter[str] = Counter()
    for char in piece:
        if char.isascii():
            if char.isalpha():
                counts["Latin"] += 1
        elif char.isalpha():
            name = unicodedata.name(char, "").split(" ")[0]
            counts[_IDEOGRAPHS.get(name, name.title())] += 1
    if not counts:
        return "none"
    if counts["Hiragana"] + counts["Katakana"] > sum(counts.values()) // 10:
        return "Hiragana"
    return counts.most_common(1)[0][0]


def language_of(text: str, script: str) -> str:
    """Return the guessed language as an ISO 639-1 code; "unknown" where there is too little to go by."""
    if script in _OF_SCRIPT:
        return _OF_SCRIPT[script]
    if script == "Han":
        return "zh"
    votes: dict[str, int] = {}
    for word in _LANGUAGES.keys() & text[:_LOOKED_AT].lower().split():
        for name in _LANGUAGES[word]:
            votes[name] = votes.get(name, 0) + 1
    best = max(votes.values(), default=0)
    first = [name for name, count in votes.items() if count == best]
    return first[0] if best >= _FEWEST_WORDS and len(first) == 1 else "unknown"
