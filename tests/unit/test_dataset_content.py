"""What the text of a row is searched for: personal data, secrets, harmful characters, unsafe words, languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.dataset.characters import faults
from tui.dataset.content import SEPARATOR, check_content
from tui.dataset.languages import language_of, script_of
from tui.dataset.personal import PLACEHOLDERS, luhn, may_hold_any, mentions, redact
from tui.dataset.safety import guess, suspected
from tui.dataset.structure import Message

KEY = "a1B2c3D4e5F6g7H8"
FOUND = [
    ("W217", "jane.doe+news@mail.example.co.uk"),
    ("W217", "müller@beispiel.de"),
    ("W218", "+49 30 901820"),
    ("W218", "+1 (202) 555-0143"),
    ("W218", "(202) 555-0143"),
    ("W218", "202-555-0143"),
    ("W218", "+442079460958"),
    ("W218", "030 1234567"),
    ("W218", "0171/1234567"),
    ("W219", "4111 1111 1111 1111"),
    ("W219", "4111111111111111"),
    ("W219", "5555-5555-5555-4444"),
    ("W219", "378282246310005"),
    ("W219", "3782 822463 10005"),
    ("W220", "AKIAIOSFODNN7EXAMPLE"),
    ("W220", "ghp_" + KEY * 3),
    ("W220", "github_pat_" + KEY * 5),
    ("W220", "glpat-" + KEY + "abcd"),
    ("W220", "sk-proj-" + KEY * 3),
    ("W220", "sk-" + KEY * 3),
    ("W220", "sk_live_" + KEY * 2),
    ("W220", "xoxb-1234567890-" + KEY),
    ("W220", "AIza" + KEY * 2 + "abc"),
    ("W220", "hf_" + "abcdefghijklmnopqr" * 2),
    ("W220", "npm_" + KEY * 2 + "abcd"),
    ("W220", "AccountKey=" + "A" * 86 + "=="),
    ("W220", "?sig=" + "A" * 43 + "%3D"),
    ("W220", "abc8Q~" + "x" * 34),
    ("W220", f"eyJ{KEY}.eyJ{KEY}.{KEY}"),
    ("W220", "-----BEGIN RSA PRIVATE KEY-----\n" + "A" * 64 + "\n-----END RSA PRIVATE KEY-----"),
    ("W220", "https://user:hunter2@db.example"),
    ("W228", "078-05-1120"),
    ("W228", "DE89 3704 0044 0532 0130 00"),
    ("W228", "GB82WEST12345698765432"),
]
CLEAN = [
    "4111 1111 1111 1112",
    "0000 0000 0000 0000",
    "on 2024-01-15 at 12:30:45",
    "version 1.2.3.4 of 192.168.100.200",
    "3.14159265358979 and 1,000,000,000",
    "order 12345678 and invoice 20240115001",
    "call 1-800-555-0150 for free",
    "000-12-3456 and 666-12-3456",
    "DE89 3704 0044 0532 0130 01",
    "sk-learn and task-oriented, gh_actions",
    "a@b and @handle and 5 @ 3 EUR",
    "https://host:8080/path@2x.png",
    "uuid 123e4567-e89b-12d3-a456-426614174000",
    "ISBN 978-3-16-148410-0 x=1234567890123",
    "5 000 000 000 years",
]


@pytest.mark.parametrize(("code", "value"), FOUND)
def test_known_shapes_are_found_and_replaced(code: str, value: str) -> None:
    text = f"It is {value} (see above)."
    assert (code, value) in {(m.code, text[m.start : m.end]) for m in mentions(text)}
    assert redact(text, [code]) == f"It is {PLACEHOLDERS[code]} (see above)."
    assert may_hold_any(text, text.split())


@pytest.mark.parametrize("text", CLEAN)
def test_what_only_looks_alike_is_left_alone(text: str) -> None:
    assert [text[m.start : m.end] for m in mentions(text)] == []


@given(st.text(alphabet="0123456789 -+().@/:abcAKIAsk_=eyJ", max_size=60))
def test_a_redacted_text_has_nothing_left_to_redact(text: str) -> None:
    if list(mentions(text)):
        assert may_hold_any(text, text.split())
    for code in PLACEHOLDERS:
        once = redact(text, [code])
        assert redact(once, [code]) == once


def test_the_check_digit_is_iso_7812s() -> None:
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\x07b", "W204"), ("a\x85b", "W206"), ("a\u2029b", "W206"), ("a\u202eb", "W205"), ("a\u200bb", "W205"),
        ("a\ufeffb", "W205"), ("a\U000e0041b", "W205"), ("donâ€™t", "W207"), ("a\ufffdb", "W207"), ("CafÃ©", "W207"),
        ("<|user|>", "W208"), ("<|im_end|>", "W208"),
    ],
)  # fmt: skip
def test_harmful_characters_are_named_with_their_place(text: str, code: str) -> None:
    ((found, text_of),) = faults(text)
    message = str(text_of)
    assert found == code
    assert "at character" in message
    assert message.isprintable()


def test_characters_that_languages_need_are_left_alone() -> None:
    assert faults("tab\t, lines\r\n, می‌خواهم, 👩‍👩‍👧‍👦, שלום\u200f, São Paulo, Ångström, Âge, a <|b|> c, <|x") == []


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("I want to kill myself.", "self-harm"),
        ("Tell me how to build a pipe bomb!", "violence"),
        ("Show me porn, please", "sexual"),
        ("We hate all immigrants", "hate"),
    ],
)
def test_unsafe_words_are_guessed_at(text: str, category: str) -> None:
    assert category in suspected(text.lower().split())
    assert (guess(text) or ("",))[0] == category


@pytest.mark.parametrize(
    "text",
    ["How do I kill a process?", "The bombshell report", "She cut the cake", "This game is a blast", "Hateful Eight"],
)
def test_harmless_words_are_not(text: str) -> None:
    assert guess(text) is None


def test_every_pattern_can_be_reached_through_its_words() -> None:
    for text in (
        "committing suicide", "ending my own life", "hurting yourself", "wanted to die", "shoot up a school",
        "poison people", "torturing animals", "explicit photos", "incest", "masturbating", "women are inferior",
        "heil hitler",
    ):  # fmt: skip
        assert guess(text) is not None
        assert guess(text, suspected(text.split())) == guess(text)


def test_faults_are_placed_in_their_message() -> None:
    row = [Message("user", "ok"), Message("assistant", "jo@example.org, al@example.org\u202e ")]
    whole = SEPARATOR.join(message.content for message in row)
    found: list[tuple[str, str, object]] = []
    check_content(row, whole, whole.lower().split(), lambda *finding: found.append(finding))
    assert [(code, path, str(text)) for code, path, text in found] == [
        ("W205", "messages[1].content", "U+202E right-to-left override at character 31"),
        ("W217", "messages[1].content", "e-mail address at character 1, and 1 more"),
        ("W225", "messages[1].content", "the answer starts or ends with white space"),
    ]


@pytest.mark.parametrize(
    ("text", "script", "language"),
    [
        ("How do I reset the oven to its settings?", "Latin", "en"),
        ("Wie kann ich den Ofen auf die Werte zurücksetzen?", "Latin", "de"),
        ("Comment est-ce que je peux nettoyer le four avec une éponge ?", "Latin", "fr"),
        ("¿Cómo puedo limpiar el horno con una esponja?", "Latin", "es"),
        ("Come posso pulire il forno con una spugna?", "Latin", "it"),
        ("Jak mogę wyczyścić piekarnik, czy to nie jest trudne?", "Latin", "pl"),
        ("烤箱怎么清洁？", "Han", "zh"),
        ("オーブンの掃除はどうしますか", "Hiragana", "ja"),
        ("오븐을 어떻게 청소하나요?", "Hangul", "ko"),
        ("كيف أنظف الفرن؟", "Arabic", "unknown"),
        ("Как почистить духовку?", "Cyrillic", "unknown"),
        ("Πώς καθαρίζω τον φούρνο;", "Greek", "el"),
        ("HO-77", "Latin", "unknown"),
        ("12345 !?", "none", "unknown"),
        ("", "none", "unknown"),
    ],
)
def test_script_and_language_are_guessed(text: str, script: str, language: str) -> None:
    assert script_of(text) == script
    assert language_of(text, script) == language


def repetitions(*contents: str) -> list[tuple[str, str, str]]:
    """What is found in a row of these messages."""
    found: list[tuple[str, str, str]] = []
    row = [Message(role, content) for role, content in zip(("user", "assistant"), contents, strict=True)]
    whole = SEPARATOR.join(message.content for message in row)
    check_content(row, whole, whole.lower().split(), lambda *finding: found.append((*finding[:2], str(finding[2]))))
    return found


def test_a_text_that_repeats_itself_is_told_and_a_long_natural_one_is_not() -> None:
    loop = "The same sentence comes again and again until the row is full. " * 40
    natural = " ".join(f"word{number * number % 397}" for number in range(400))
    told = "480 words, of which 11 are different"
    assert repetitions(natural, loop.strip()) == [("W231", "messages[1].content", told)]


@pytest.mark.parametrize("text", ["今天天气很好，我们去公园散步吧。", "สวัสดีครับผมชื่อสมชาย", "明日は雨が降るでしょう。"])
def test_repetition_is_seen_without_spaces_too(text: str) -> None:
    different = "".join(chr(0x4E00 + number * number % 19_997) for number in range(3000))
    assert [finding[:2] for finding in repetitions(different, text * 100)] == [("W231", "messages[1].content")]
