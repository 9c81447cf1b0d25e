"""The strict JSON reader against the grammar of RFC 8259 and against the standard library."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.dataset.check import check
from tui.dataset.jsontext import MAX_DEPTH, JsonFault, parse

VALID = [
    "null", "true", "false", "0", "-0", "0e1", "0E+1", "1e-2", "-123.456e+789", "123123e100000", "1" * 5000, '""',
    '"a"', '"\\u0060\\u012a\\u12AB"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\\ud801\\udc37"', '"\\ud800"',
    '"\\udc00\\ud800"', '"\\u0000"', '"\x7f"', '"\u2028\u2029"', '"\ufeff"', '"€𝄞"', "[]", "{}", "[[]]", '{"":0}',
    '{"a":[1,{"b":null}]}', ' [ 1 , 2 ]\t\r\n', "[" * 500 + "]" * 500, '{"a":' * 300 + "0" + "}" * 300,
    "[" * 100_000 + "]" * 100_000, "[1,2,3]", '[1e400, -1e400]', '{"a":"b","c":"d"}', '["\\uDBFF\\uDFFE"]',
    '{"\\u0061":1}', "\n1",
]  # fmt: skip
INVALID = [
    "", " ", "\ufeff1", "[", "]", "{", "}", "[1,]", "[,1]", "[,]", "[1,,2]", "[1 2]", "[1}", "{]", '{"a"}',
    '{"a":}', '{"a" 1}', '{"a":1,}', '{"a":1,,"b":2}', "{,}", "{1:2}", "{a:1}", "{'a':1}", '{"a":\'b\'}', "[1:2]",
    "nul", "tru", "True", "None", "NaN", "-NaN", "Infinity", "-Infinity", "[NaN]", "+1", "01", "-01", "1.", ".1",
    "-.1", "1.e1", "1e", "1e+", "0x1", "1_000", "1 000", "--1", "-", "1a", "１", "[-]", '"', '"a', '"\\"',
    '"\\x41"', '"\\u12"', '"\\u12G4"', '"\\ud8"', '"\\', '"\t"', '"\n"', '"\x00"', '"\x1f"', "'a'", "a", "[a]",
    "1 2", "{} {}", "[][]", "1,", ",1", "[1],", "// c\n1", "[1]//c", "[1/*c*/]", "#1", "\x0b1", "\u00a01",
    "[\x0c1]", "\u20601", "[1\x00]", "[" * 100_000, "[{\"a\":" * 5000, "]" * 10, '{"a":1', '["a', "“a”", "<a/>",
    "nullnull", "truefalse", "[true1]", "undefined", "1e1e1", '"a"b', "[\"a\" \"b\"]", "&", "\\", "\\n1",
]  # fmt: skip


@pytest.mark.parametrize("text", VALID, ids=lambda text: ascii(text[:24]))
def test_json_is_accepted(text: str) -> None:
    parse(text)


@pytest.mark.parametrize("text", INVALID, ids=lambda text: ascii(text[:24]))
def test_what_is_not_json_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(JsonFault) as fault:
        parse(text)
    assert 0 <= fault.value.position <= len(text)
    assert fault.value.message.isprintable()


@pytest.mark.parametrize("text", VALID, ids=lambda text: ascii(text[:24]))
def test_the_check_calls_json_what_is_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text, encoding="utf-8", newline="")
    report = check(path, depth="structure")
    assert not report.ok  # it is JSON, and no row
    assert not {"E101", "E142"} & {group.code for group in report.errors}


@pytest.mark.parametrize("text", [text for text in INVALID if text[:1] != "\ufeff"], ids=lambda text: ascii(text[:24]))
def test_the_check_refuses_what_is_not(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text, encoding="utf-8", newline="")
    found = {group.code for group in check(path, depth="structure").errors}
    # Nothing at all and several values on a line have codes of their own.
    assert found & ({"E101", "E142"} if text.strip() else {"E133"})


def strictly(text: str) -> object:
    """The standard library's reading, made strict."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return json.loads(text, parse_constant=refuse)


json_like = st.text(st.sampled_from(list("{}[],:\"\\ue09.-+aNtrlfs'\n\t ")), max_size=24)


@given(json_like | st.text(max_size=20))
def test_it_agrees_with_the_standard_library_on_what_json_is(text: str) -> None:
    try:
        expected = strictly(text)
    except ValueError:
        with pytest.raises(JsonFault):
            parse(text)
    else:
        assert parse(text).value == expected


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.booleans())
def test_what_json_writes_is_read_back(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse(text).value == value
    # More brackets than the quick way takes send the same text through the explaining reader.
    assert parse(f"[{text}, {json.dumps('[' * (MAX_DEPTH + 1))}]").value[0] == value


@pytest.mark.parametrize(
    ("text", "column", "path", "words"),
    [
        ('{"messages": [{"role": "user",}]}', 30, "messages[0].role", "comma before"),
        ('{"a": NaN}', 7, "a", "NaN"),
        ('{"a": "b\tc"}', 9, "a", "raw tab"),
        ('{"a": 1} {"b": 2}', 10, "", "second value"),
        ('{"messages": [{"content": "it', 27, "messages[0].content", "never closed"),
        ("{'a': 1}", 2, "", "single-quoted"),
        ('{"a": True}', 7, "a", "Python"),
        ('{"a b": [1, x]}', 13, "['a b'][1]", "double quotes"),
        ('{"a": 1 "b": 2}', 9, "a", "comma is missing"),
        ('{"a": “b”}', 7, "a", "typographic"),
        ("[1, 2] // two", 8, "", "after the end"),
    ],
)
def test_the_fault_is_explained_at_its_place(text: str, column: int, path: str, words: str) -> None:
    with pytest.raises(JsonFault) as fault:
        parse(text)
    assert (fault.value.position + 1, fault.value.path) == (column, path)
    assert words in fault.value.message


def test_duplicate_keys_are_told_with_their_path() -> None:
    parsed = parse('{"m": [{"role": 1, "r\\u006fle": 2}], "m": 3}')
    assert [path for path, _ in parsed.duplicates] == ["m[0].role", "m"]
    assert parsed.value == {"m": 3}


def test_depth_is_told_and_never_recursed_into() -> None:
    assert parse("[" * 3000 + "]" * 3000).depth == 3000
