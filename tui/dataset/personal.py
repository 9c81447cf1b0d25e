"""Personal data and secrets in a text, by their known shapes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.messages import mark

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Mention:
    """A piece of personal data or a secret.

    Attributes:
        code: W217 e-mail, W218 phone, W219 card, W220 secret, W228 identifier.
        kind: What it is, for the message.
        start: First character in the text.
        end: Character after the last.
    """

    code: str
    kind: str
    start: int
    end: int


PLACEHOLDERS = {"W217": "[EMAIL]", "W218": "[PHONE]", "W219": "[CARD]", "W220": "[SECRET]", "W228": "[ID]"}
"""What a redaction puts in the place of a mention."""

_EMAIL = re.compile(
    r"(?<![\w.+/-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}(?!(?:png|jpe?g|gif|svg|webp)\b)[A-Za-z]{2,24}(?![\w-])"
)
_NUMBER = re.compile(r"(?<![\w.,/=#-])(?:\+|\()?\d(?:[ .()/-]{0,2}\d){6,21}(?![\w/=-]|[.,]\d)")
_DIGITS = re.compile(r"[0-9](?:[ .()/-]{0,2}[0-9]){6}")
_SSN = re.compile(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
_SSN_FORM = re.compile(r"\d{3}-\d{2}-\d{4}")
_US_PHONE = re.compile(r"(?:\+?1[-. ]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4}")
_FREE_CALL = re.compile(r"(?:\+?1[-. ]?)?\(?8(?:00|33|44|55|66|77|88)\)?[-. ]")
_INTERNATIONAL = re.compile(r"\+[1-9][\d ().-]{7,20}\d")
_TRUNK = re.compile(r"\(?0\d{1,4}\)?[ /-]\d[\d /-]{4,10}\d")
_CARD = re.compile(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{1,7}|3\d{3}([ -]?)\d{6}\2\d{4,5}")
_CARD_ISSUER = re.compile(r"4|5[1-5]|2(?:2[2-9]|[3-6]|7[01]|720)|3[47]|3(?:0[0-5]|[68])|35|6(?:011|4[4-9]|5|2)")
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")

_SHORTEST_SECRET = 14
_SECRETS = tuple(
    (hint, kind, re.compile(pattern))
    for hint, kind, pattern in (
        ("AKIA", mark("AWS access key"), r"\bAKIA[0-9A-Z]{16}\b"),
        ("ASIA", mark("AWS access key"), r"\bASIA[0-9A-Z]{16}\b"),
        ("gh", mark("GitHub token"), r"\bgh[pousr]_[A-Za-z0-9]{36,251}\b"),
        ("github_pat_", mark("GitHub token"), r"\bgithub_pat_[A-Za-z0-9_]{60,90}\b"),
        ("glpat-", mark("GitLab token"), r"\bglpat-[A-Za-z0-9_-]{20,64}"),
        ("sk-", mark("API key"), r"\bsk-(?:proj-|svcacct-|ant-|or-)?[A-Za-z0-9_-]{20,200}"),
        ("k_live_", mark("Stripe key"), r"\b[sr]k_live_[0-9A-Za-z]{16,128}\b"),
        ("xox", mark("Slack token"), r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}"),
        ("hooks.slack.com", mark("Slack webhook"), r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,80}"),
        ("AIza", mark("Google API key"), r"\bAIza[0-9A-Za-z_-]{35}"),
        ("hf_", mark("Hugging Face token"), r"\bhf_[A-Za-z0-9]{30,40}\b"),
        ("npm_", mark("npm token"), r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("SG.", mark("SendGrid key"), r"\bSG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{40,46}"),
        ("8Q~", mark("Entra client secret"), r"[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{34}"),
        ("AccountKey=", mark("Azure storage key"), r"AccountKey=[A-Za-z0-9+/]{40,90}={0,2}"),
        ("AccessKey=", mark("Azure access key"), r"SharedAccessKey=[A-Za-z0-9+/]{40,90}={0,2}"),
        ("sig=", mark("shared access signature"), r"[?&]sig=[A-Za-z0-9%+/]{40,120}(?:=|%3[Dd])?"),
        ("eyJ", mark("JSON web token"), r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        (
            "PRIVATE KEY",
            mark("private key"),
            r"-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY-----(?:[^-]{0,8000}-----END (?:[A-Z]+ ){0,2}PRIVATE KEY-----)?",
        ),
        (
            "://",
            mark("password in an address"),
            r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{1,64}:[^\s/:@\"']{3,128}@[\w.-]{1,253}",
        ),
    )
)


def may_hold_any(text: str, words: Sequence[str]) -> bool:
    """Whether a text is worth a closer look, at a fraction of its price.

    Args:
        text: The text.
        words: The text split at white space.
    """
    # Every secret is a run of at least so many characters without a space, or a key block, whose lines are.
    return "@" in text or max(map(len, words), default=0) >= _SHORTEST_SECRET or _DIGITS.search(text) is not None


def mentions(text: str) -> Iterator[Mention]:
    """Yield what in a text looks like personal data or a secret, secrets first."""
    for hint, kind, pattern in _SECRETS:
        if hint in text:
            for found in pattern.finditer(text):
                yield Mention("W220", kind, found.start(), found.end())
    if "@" in text:
        for found in _EMAIL.finditer(text):
            yield Mention("W217", mark("e-mail address"), found.start(), found.end())
    if _DIGITS.search(text) is None:
        return
    for found in _NUMBER.finditer(text):
        named = _number(found.group())
        if named:
            yield Mention(*named, found.start(), found.end())
    for found in _IBAN.finditer(text):
        if _is_iban(found.group()):
            yield Mention("W228", mark("IBAN"), found.start(), found.end())


def _number(written: str) -> tuple[str, str] | None:
    if _CARD.fullmatch(written):
        digits = re.sub(r"\D", "", written)
        if 13 <= len(digits) <= 19 and _CARD_ISSUER.match(digits) and len(set(digits)) > 1 and luhn(digits):
            return "W219", mark("payment card number")
    if _SSN.fullmatch(written):
        return "W228", mark("US social security number")
    if _SSN_FORM.fullmatch(written):
        return None
    if _FREE_CALL.match(written):
        return None
    if _US_PHONE.fullmatch(written) or _TRUNK.fullmatch(written):
        return "W218", mark("phone number")
    if _INTERNATIONAL.fullmatch(written) and 8 <= sum(map(str.isdigit, written)) <= 15:
        return "W218", mark("phone number")
    return None


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others (ISO/IEC 7812)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_iban(written: str) -> bool:
    """Whether the check digits are right (ISO 13616)."""
    compact = written.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in compact[4:] + compact[:4])) % 97 == 1


def redact(text: str, codes: Collection[str]) -> str:
    """Return a text with the mentions of some codes replaced by placeholders."""
    taken: list[Mention] = []
    for mention in sorted((m for m in mentions(text) if m.code in codes), key=lambda m: (m.start, -m.end)):
        if not taken or mention.start >= taken[-1].end:
            taken.append(mention)
    for mention in reversed(taken):
        text = text[: mention.start] + PLACEHOLDERS[mention.code] + text[mention.end :]
    return text
