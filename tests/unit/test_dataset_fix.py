"""The remedies: what each does to a row, that the original stays, and that a mended file passes the check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.dataset import fix
from tui.dataset.check import check
from tui.dataset.codes import CODES
from tui.dataset.fix import REST, TITLES, FixError, apply, remedies
from tui.dataset.mending import dump, repair
from tui.dataset.rules import Rules
from tui.dataset.shape import shape_of

ANY = Rules(bom="any", recommended_examples=1)
U, A = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}


def m(role: str, content: Any, **extra: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **extra}


def mended(folder: Path, before: object, code: str, rules: Rules = ANY) -> list[Any]:
    """The rows that one remedy makes of a row."""
    path, out = folder / "before.jsonl", folder / "after.jsonl"
    path.write_bytes(before + b"\n" if isinstance(before, bytes) else json.dumps(before).encode() + b"\n")
    kept = path.read_bytes()
    apply(path, out, [code], rules)
    assert path.read_bytes() == kept
    return [json.loads(line) for line in out.read_text("utf-8-sig").splitlines() if line.strip()]


def rows(*messages: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return {"messages": list(messages), **extra}


GOOD = json.dumps(rows(U, A)).encode()

CASES: list[tuple[str, object, list[Any]]] = [
    ("E101", b'{"messages": [{"role": "user", "content": "a",},], "x": NaN},', [{"messages": [U], "x": None}]),
    ("E101", b"{'messages': [{'role': 'user', 'content': None}]}", [rows(m("user", None))]),
    ("E101", b'{"messages": [{"role": "user", "content": "a\tb"}]} // why', [rows(m("user", "a\tb"))]),
    ("E102", [U, A], [rows(U, A)]),
    ("E102", json.dumps(rows(U, A)), [rows(U, A)]),
    ("E103", b'{"messages": [{"role": "user", "content": "x", "content": "a"}]}', [rows(U)]),
    ("E104", b'{"messages": [{"role": "user", "content": "caf\xe9 \x80 \x81"}]}', [rows(m("user", "café € \x81"))]),
    ("E104", "{\"messages\": \"é".encode() + b'\xe9"}', [{"messages": "éé"}]),
    (REST, json.dumps(rows(m("user", "привет"), A), ensure_ascii=False).encode("cp1251") + b"\n" + GOOD,
     [json.loads(GOOD)]),
    ("E111", rows(m("Human", "a"), m("Chatbot", "b"), m("poet", "c"), m("function_call", "{}")),
     [rows(U, A, m("poet", "c"), m("function_call", "{}"))]),
    ("E112", rows(m("USER ", "a"), m("Assistant", "b")), [rows(U, A)]),
    (
        "E114",
        rows(U, m("assistant", None, function_call={"name": "f", "arguments": '{"x": 1}'}),
             m("function", "9", name="f"), A, functions=[{"name": "f", "parameters": {}}]),
        [rows(U, {"role": "assistant", "tool_calls": [{**CALL, "id": "call_1"}]},
              m("tool", "9", name="f", tool_call_id="call_1"), A,
              tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}])],
    ),
    ("E116", rows(m("system", " "), U, A), [rows(U, A)]),
    ("E117", rows(m("user", [{"type": "text", "text": "a"}]), A), [rows(U, A)]),
    ("E117", rows(m("user", [{"type": "text", "value": "a"}]), A), [rows(U, A)]),
    (
        "E117",
        rows(U, m("assistant", [{"type": "text", "text": "b"}, {"type": "tool_use", "id": "1", "name": "f",
             "input": {"x": 1}}]), m("user", [{"type": "tool_result", "tool_use_id": "1", "content": "9"}]), A),
        [rows(U, m("assistant", "b", tool_calls=[{**CALL, "id": "1"}]), m("tool", "9", tool_call_id="1"), A)],
    ),
    ("E117", rows(m("user", [{"type": "image_url"}]), A), [rows(m("user", [{"type": "image_url"}]), A)]),
    ("E120", rows(U, A, U, U), [rows(U, A)]),
    ("E121", rows(U, A, m("assistant", "c")), [rows(U, m("assistant", "b\n\nc"))]),
    ("E122", rows(U, m("system", "s"), A, m("system", "t")), [rows(m("system", "s\n\nt"), U, A)]),
    (
        "E124",
        rows(U, {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {"x": 1}}}]}),
        [rows(U, {"role": "assistant", "tool_calls": [CALL]})],
    ),
    (
        "E124",
        rows(U, {"role": "assistant", "tool_calls": [{**CALL, "function": {
            "name": "f", "arguments": json.dumps('{"x": 1}')}}]}),
        [rows(U, {"role": "assistant", "tool_calls": [CALL]})],
    ),
    (
        "E126",
        rows(U, A, tools=[{"name": "f", "input_schema": {"type": "object"}}]),
        [rows(U, A, tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}])],
    ),
    ("E128", rows(m("user", "a", weight=1), m("assistant", "b", weight=0.5)), [rows(U, A)]),
    ("E129", b'{"messages": [{"role": "user", "content": "a\\ud800"}]}', [rows(m("user", "a\ufffd"))]),
    ("E130", b'{"messages": [{"role": "user", "content": "a\\u0000"}]}', [rows(U)]),
    ("E140", b'\xef\xbb\xbf\xef\xbb\xbf{"messages": []}', [rows()]),
    ("E142", b'{"messages": []} {"messages": [{}]}', [rows(), rows({})]),
    ("W202", b"  \n" + json.dumps(rows(U, A)).encode(), [rows(U, A)]),
    ("W203", rows(m("user", "a", x=1), A, id=3), [rows(U, A)]),
    ("W204", rows(m("user", "a\x07"), A), [rows(U, A)]),
    ("W205", rows(m("user", "\u202ea\u200b"), A), [rows(U, A)]),
    ("W206", rows(m("user", "a\u2028b"), A), [rows(m("user", "a\nb"), A)]),
    ("W208", rows(m("user", "a<|end|>"), A), [rows(U, A)]),
    ("W209", json.dumps(rows(U, A)).encode() + b'\n{"messages":' + json.dumps([U, A]).encode() + b"}", [rows(U, A)]),
    ("W217", rows(m("user", "to jo@example.org"), A), [rows(m("user", "to [EMAIL]"), A)]),
    ("W218", rows(m("user", "+49 30 901820"), A), [rows(m("user", "[PHONE]"), A)]),
    ("W219", rows(m("user", "4111-1111-1111-1111"), A), [rows(m("user", "[CARD]"), A)]),
    ("W220", rows(m("user", "AKIAIOSFODNN7EXAMPLE"), A), [rows(m("user", "[SECRET]"), A)]),
    ("W223", rows(U, m("user", "c"), A), [rows(m("user", "a\n\nc"), A)]),
    ("W225", rows(U, m("assistant", " b\n")), [rows(U, A)]),
    ("W226", rows(U, m("assistant", None, tool_calls=[CALL])), [rows(U, {"role": "assistant", "tool_calls": [CALL]})]),
    (
        "W227",
        rows(U, A, tools=[{"type": "function", "function": {"name": "f", "parameters": {"title": "T", "properties": {
            "title": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "title": "Title"}}}}}]),
        [rows(U, A, tools=[{"type": "function", "function": {"name": "f", "parameters": {"properties": {
            "title": {"type": "string"}}}}}])],
    ),
    ("W228", rows(m("user", "078-05-1120"), A), [rows(m("user", "[ID]"), A)]),
    (REST, json.dumps(rows(U)).encode() + b"\n" + GOOD, [json.loads(GOOD)]),
    (REST, b'{"messages": [], "x": 1e999}\n' + GOOD, [json.loads(GOOD)]),
    ("E120", json.dumps(rows(A, U)).encode() + b"\n" + GOOD, [rows(A, U), json.loads(GOOD)]),
    (REST, b"\xff{\n" + GOOD, [json.loads(GOOD)]),
    (REST, b'{"messages": [\n' + GOOD, [json.loads(GOOD)]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "before", "after"), CASES, ids=[case[0] for case in CASES])
def test_a_remedy_mends_its_fault(tmp_path: Path, code: str, before: object, after: list[Any]) -> None:
    assert mended(tmp_path, before, code) == after


def test_every_remedy_is_tried_and_has_a_code() -> None:
    whole_file = {"E139", "E141", "W201"}
    assert {case[0] for case in CASES} | whole_file == set(TITLES)
    assert set(TITLES) - {REST} <= set(CODES)


def test_marks_and_line_ends_of_the_whole_file(tmp_path: Path) -> None:
    path, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    line = json.dumps(rows(U, A)).encode()
    path.write_bytes(line + b"\r" + line)
    apply(path, out, ["E141", "W201"])
    assert out.read_bytes() == b"\xef\xbb\xbf" + (line + b"\n") * 2
    apply(out, path, ["E139"], Rules(bom="refused"))
    assert path.read_bytes() == (line + b"\n") * 2


def test_remedies_show_what_they_do_and_to_how_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([json.dumps(rows(U, A)), json.dumps(rows(m("User", "q"), A)), json.dumps(rows(U))]))
    found = {remedy.code: remedy for remedy in remedies(path, ANY)}
    assert set(found) == {"E112", REST}
    assert (found["E112"].rows, found["E112"].line) == (1, 2)
    assert '"User"' in found["E112"].example_before
    assert '"user"' in found["E112"].example_after
    assert (found[REST].line, found[REST].example_after) == (3, "")


def test_rows_that_need_nothing_are_copied_as_they_are(tmp_path: Path) -> None:
    path, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    odd = b'{ "messages":[{"content":"\\u00e9","role":"user"} ,{"role":"assistant","content":"b"}]}'
    path.write_bytes(odd + b"\n" + json.dumps(rows(m("User", "a"), A)).encode() + b"\n")
    result = apply(path, out, ["E112"])
    assert out.read_bytes().split(b"\n")[0] == odd
    assert (result.rows_read, result.rows_written, result.rows_changed, result.rows_dropped) == (2, 2, 1, 0)
    assert result.applied == {"E112": 1}
    assert out.stat().st_mode & 0o777 == 0o600


def test_the_original_cannot_be_overwritten_and_codes_must_be_known(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}")
    with pytest.raises(FixError, match="original"):
        apply(path, path)
    with pytest.raises(FixError, match="E999"):
        apply(path, tmp_path / "b.jsonl", ["E999"])


def test_repair_refuses_what_it_cannot_tell() -> None:
    for text in ("{", "messages: a", '{"a": b}', "__import__('os')", "(" * 5000, "[1, 2"):
        assert repair(text) is None


pieces = st.sampled_from(
    [
        b"{", b"}", b"]", b'"', b",", b"\n", b"\r", b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"\x00", b"\\u0000",
        b" ", b'{"messages": [', b'{"role": "user", "content": "a"}', b'{"role": "Assistant", "content": "b "}',
        b'{"role": "system", "content": "s"}', b'{"role": "assistant", "content": "b"}', b"]}\n",
        b'{"role": "assistant", "tool_calls": [{"id": "c", "type": "function", '
        b'"function": {"name": "f", "arguments": {}}}]}',
        b'{"role": "tool", "content": "1", "tool_call_id": "c"}',
        b'{"role": "user", "content": [{"type": "text", "text": "x"}]}',
        b'{"role": "assistant", "content": "b", "weight": 0}', b'{"role": "assistant", "content": null}', b"'a'",
        b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n',
        b'{"messages": [{"role": "user", "content": "jo@example.org 4111111111111111"}, '
        b'{"role": "assistant", "content": "a"}]}\n',
    ]
)  # fmt: skip


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(pieces, max_size=14).map(b"".join) | st.binary(max_size=80), st.booleans())
def test_a_mended_file_passes_the_check(tmp_path: Path, data: bytes, everything: bool) -> None:
    path, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_bytes(data)
    before = check(path)
    if {group.code for group in before.errors} & {"E133", "E135", "E136", "E137", "E138"}:
        return  # nothing is left to mend, or the file has to be converted first
    out.unlink(missing_ok=True)
    try:
        apply(path, out, list(TITLES) if everything else None)
    except FixError:
        assert not out.exists()  # no row is left
        return
    after = check(out)
    assert after.ok
    mendable = {code for code in TITLES if code[0] == "W"}
    if everything:
        assert not {group.code for group in after.warnings} & mendable
    again = tmp_path / "c.jsonl"
    apply(out, again, list(TITLES) if everything else None)
    assert again.read_bytes() == out.read_bytes()


TEXTS = st.sampled_from(
    [
        "a", " a", "a\n", "  ", "", "é", "a@example.com", "+44 20 7946 0958", "4111 1111 1111 1111", "20",
        "078-05-1120", "4111 1111", "1111 1111", "GB82 WEST 1234 5698 7654 32", "hf_" + "a1" * 17,
        "<|im_start|>", "\x07", "\u202e",
        "\u200b", "\u2028", "\ufeff", "\0", "\ud800", "a\"b", '"role"', "\\u00e9",
    ]
)  # fmt: skip
TURNS = st.tuples(TEXTS, TEXTS).map(lambda texts: [m("user", texts[0]), m("assistant", texts[1])])
ANY_TURNS = st.lists(st.builds(m, st.sampled_from(["system", "user", "assistant", "human", "tool"]), TEXTS), max_size=4)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(TURNS | ANY_TURNS, st.booleans(), st.booleans()), min_size=1, max_size=4))
def test_a_row_that_is_left_alone_at_a_glance_is_one_that_no_remedy_changes(
    tmp_path: Path, made: list[tuple[list[dict[str, Any]], bool, bool]]
) -> None:
    path = tmp_path / "some.jsonl"
    lines = [
        json.dumps(rows(*turns, **({"id": 1} if more else {})), ensure_ascii=escaped) for turns, more, escaped in made
    ]
    path.write_bytes("\n".join(lines).encode(errors="surrogatepass"))
    found, copied = [], []
    for look in (fix._is_clean, lambda messages: False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fix, "_is_clean", look)
            found.append(remedies(path, ANY))
            try:
                apply(path, tmp_path / "out.jsonl", TITLES, ANY)
                copied.append((tmp_path / "out.jsonl").read_bytes())
            except FixError as error:
                copied.append(str(error).encode())
    assert found[0] == found[1]
    assert copied[0] == copied[1]


def test_the_dump_is_what_the_check_reads(tmp_path: Path) -> None:
    value = rows(m("user", "é\u2028\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")), A)
    path = tmp_path / "a.jsonl"
    path.write_text(dump(value), encoding="utf-8")
    assert check(path, rules=ANY).ok


def test_a_text_that_is_looked_at_as_python_says_nothing_on_the_screen(recwarn: pytest.WarningsRecorder) -> None:
    assert repair("{'a': 1is 1}") is None
    assert not recwarn.list


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "gbk", "big5", "shift_jis", "euc-kr"])
def test_text_of_another_encoding_is_not_garbled(tmp_path: Path, encoding: str) -> None:
    text = {
        "cp1251": "Сколько это стоит",
        "koi8-r": "Сколько это стоит",
        "gbk": "你叫什么名字",
        "big5": "請問這個多少錢",
        "shift_jis": "東京大学",
        "euc-kr": "얼마입니까",
    }[encoding]
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(json.dumps(rows(m("user", text), A), ensure_ascii=False).encode(encoding) + b"\n" + GOOD)
    assert apply(path, out).rows_dropped == 1
    table = tmp_path / "in.csv"
    table.write_bytes(f"question,answer\n{text},{text}\n".encode(encoding))
    assert not shape_of(table).is_convertible
    assert "save it as UTF-8" in shape_of(table).title
