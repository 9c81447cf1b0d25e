"""Other shapes: what they are recognised as, and the chat rows they become."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.dataset.check import check
from tui.dataset.convert import ConvertError, convert, recognise
from tui.dataset.rules import Rules

CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}


def turns(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in pairs]}


def lines(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


ONE = [turns(("user", "a"), ("assistant", "b"))]
SHAPES: list[tuple[str, bytes, str, list[Any]]] = [
    ("prompt and completion", lines({"prompt": "a", "completion": " b"}), "pair", ONE),
    ("names in capitals", lines({"Question": "a", "Answer": "b"}), "pair", ONE),
    ("Alpaca", lines({"instruction": "a", "input": "x", "output": "b"}), "pair",
     [turns(("user", "a\n\nx"), ("assistant", "b"))]),
    ("Alpaca without input", lines({"instruction": "a", "input": "", "output": "b", "text": "z"}), "pair", ONE),
    ("with a system field", lines({"system": "s", "question": "a", "response": "b"}), "pair",
     [turns(("system", "s"), ("user", "a"), ("assistant", "b"))]),
    ("ShareGPT", lines({"id": 1, "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}),
     "turns", ONE),
    ("ShareGPT with a system turn", lines({"conversations": [{"from": "system", "value": "s"},
     {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}), "turns",
     [turns(("system", "s"), ("user", "a"), ("assistant", "b"))]),
    ("preference pairs", lines({"input": {"messages": CHAT["messages"][:1]}, "preferred_output": CHAT["messages"][1:],
     "non_preferred_output": []}), "preference", ONE),
    ("Gemini", lines({"systemInstruction": {"parts": [{"text": "s"}]}, "contents": [
     {"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]}), "turns",
     [turns(("system", "s"), ("user", "a"), ("assistant", "b"))]),
    ("Bedrock", lines({"schemaVersion": "bedrock-conversation-2024", "system": [{"text": "s"}], "messages": [
     {"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": [{"text": "b"}]}]}), "turns",
     [turns(("system", "s"), ("user", "a"), ("assistant", "b"))]),
    ("Anthropic", lines({"system": "s", **CHAT}), "turns", [turns(("system", "s"), ("user", "a"), ("assistant", "b"))]),
    ("prompt, chosen and rejected", lines({"prompt": "a", "chosen": "b", "rejected": "c"}), "pair", ONE),
    ("prompt and completion as turns", lines({"prompt": CHAT["messages"][:1], "completion": CHAT["messages"][1:]}),
     "pair", ONE),
    ("chosen turns after a prompt of turns", lines({"prompt": CHAT["messages"][:1], "chosen": CHAT["messages"][1:],
     "rejected": []}), "turns", ONE),
    ("chosen and rejected", lines({"chosen": CHAT["messages"], "rejected": []}), "turns", ONE),
    ("CSV", b'question,answer\n"a",b\n"a, ""q""\nz",c\n', "pair",
     [*ONE, turns(("user", 'a, "q"\nz'), ("assistant", "c"))]),
    ("CSV with a mark and semicolons", "\ufeffprompt;completion\na;b\n".encode(), "pair", ONE),
    ("tab-separated", b"id\tinput\toutput\n1\ta\tb\n", "pair", ONE),
    ("a JSON array", json.dumps([CHAT]).encode(), "chat", [CHAT]),
    ("a pretty-printed array", json.dumps([{"prompt": "a", "completion": "b"}], indent=2).encode(), "pair", ONE),
    ("a pretty-printed object", json.dumps(CHAT, indent=2).encode(), "chat", [CHAT]),
    ("pretty-printed objects", (json.dumps(CHAT, indent=2) + "\n" + json.dumps(CHAT, indent=2)).encode(), "chat",
     [CHAT, CHAT]),
    ("an object with one list",
     json.dumps({"version": 1, "data": [{"prompt": "a", "completion": "b"}]}, indent=1).encode(), "pair", ONE),
    ("an object around its records, on one line", json.dumps({"version": [{"a": 1}], "rows": [CHAT, CHAT]}).encode(),
     "chat", [CHAT, CHAT]),
    ("a record with a list of objects beside it", json.dumps({"prompt": "a", "completion": "b", "tags": [{"x": 1}]},
     indent=1).encode(), "pair", ONE),
    ("CSV in Windows-1252", "question;answer\nWas heißt „naïf“?;§ 5 €\n".encode("cp1252"), "pair",
     [turns(("user", "Was heißt „naïf“?"), ("assistant", "§ 5 €"))]),
    ("JSON Lines in Windows-1252", '{"prompt": "é", "completion": "b"}\n'.encode("cp1252"), "pair",
     [turns(("user", "é"), ("assistant", "b"))]),
    ("CSV with carriage returns only", b"prompt,completion\ra,b\r", "pair", ONE),
    ("CSV that names its separator", b"sep=;\r\nprompt;completion\r\na;b\r\n", "pair", ONE),
    ("Alpaca with a history", lines({"instruction": "a", "output": "b", "history": [["x", "y"]]}), "pair",
     [turns(("user", "x"), ("assistant", "y"), ("user", "a"), ("assistant", "b"))]),
    ("senders", lines({"chat_messages": [{"sender": "human", "text": "a"}, {"sender": "assistant", "text": "b"}]}),
     "turns", ONE),
    ("UTF-16", "".join(json.dumps(CHAT) + "\r\n" for _ in range(2)).encode("utf-16"), "chat", [CHAT, CHAT]),
    ("UTF-16 without a mark", json.dumps(CHAT).encode("utf-16-le"), "chat", [CHAT]),
    ("UTF-32", json.dumps(CHAT).encode("utf-32"), "chat", [CHAT]),
    ("UTF-16 CSV", "prompt,completion\na,b\n".encode("utf-16"), "pair", ONE),
]  # fmt: skip


@pytest.mark.parametrize(("content", "records", "expected"), [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_a_shape_is_recognised_and_converted(tmp_path: Path, content: bytes, records: str, expected: list[Any]) -> None:
    path, out = tmp_path / "in.data", tmp_path / "out.jsonl"
    path.write_bytes(content)
    shape = recognise(path)
    assert (shape.records, shape.is_convertible, shape.is_chat) == (records, True, False)
    result = convert(path, out)
    assert out.read_bytes().startswith(b"\xef\xbb\xbf")
    assert [json.loads(line) for line in out.read_text("utf-8-sig").splitlines()] == expected
    assert (result.rows, result.skipped) == (len(expected), 0)
    assert check(out, rules=Rules(recommended_examples=1)).ok
    assert path.read_bytes() == content


def test_parquet_columns_become_rows(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    table = pyarrow.table({"question": ["a", "c"], "answer": ["b", None], "n": [1, 2]})
    pyarrow.parquet.write_table(table, path)
    assert recognise(path).records == "pair"
    result = convert(path, tmp_path / "out.jsonl", system="s")
    assert (result.rows, result.skipped, result.reasons) == (1, 1, ((2, "has no text under 'answer'"),))
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8-sig"))["messages"][0] == {
        "role": "system",
        "content": "s",
    }
    assert [f.code for f in check(path).findings] == ["E137"]


def test_chat_rows_need_no_conversion(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    path.write_bytes(lines(CHAT))
    assert recognise(path).is_chat
    assert not recognise(path).is_convertible


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "none of the known fields"),
        (b"just text\n", "none of the known fields"),
        (b"\x1f\x8b\x08", "gzip"),
        (lines({"a": 1}), "none of the known fields"),
        (lines({"prompt": "", "completion": "b"}), "record 1 has no text under 'prompt'"),
        (lines({"prompt": {"0": "a", "1": "b"}, "completion": {"0": "a", "1": "b"}}), "none of the known fields"),
        (lines({"prompt": "a", "completion": "b", "history": "x"}), "record 1 has a history that is not made of"),
        (json.dumps({"train": [CHAT], "test": [CHAT]}).encode(), "line 1 column .*: a second list of records"),
        (b'{"v": 1, "rows": [{"prompt": "a", "completion": "b"}', "line 1 column .*: the array is never closed"),
        (
            lines({"messages": [{"role": "user", "content": [{"type": "thinking"}]}], "system": "s"}),
            "turn without text",
        ),
        (b"PAR1 and nothing more", "not readable as Parquet"),
    ],
)
def test_what_cannot_be_converted_is_said(tmp_path: Path, content: bytes, words: str) -> None:
    path, out = tmp_path / "in.data", tmp_path / "out.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConvertError, match=words):
        convert(path, out)
    assert not out.exists()


def test_records_that_make_no_row_are_counted_with_their_reason(tmp_path: Path) -> None:
    path, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    path.write_bytes(lines({"prompt": "a", "completion": "b"}, {"prompt": "a"}, 5) + b"{bad\n")
    result = convert(path, out)
    assert (result.rows, result.skipped) == (1, 3)
    assert result.reasons == ((2, "has no text under 'completion'"), (3, "is not an object"), (4, "is not an object"))


def test_a_row_of_a_table_with_too_many_fields_is_not_cut(tmp_path: Path) -> None:
    path, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    path.write_bytes(b"prompt,completion\na,b\nc,d, and e\n")
    ((number, reason),) = convert(path, out).reasons
    assert (number, reason.partition(";")[0]) == (2, "has more fields than there are columns")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=120) | st.text('prompt,completion\t\n"{}[]:a ', max_size=80).map(str.encode))
def test_no_bytes_make_recognising_fail(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(data)
    try:
        shape = recognise(path)
        if shape.is_convertible:
            convert(path, tmp_path / "out.jsonl")
    except ConvertError:
        pass


def test_tool_calls_of_sharegpt_become_calls_with_ids(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "How far?"},
        {"from": "function_call", "value": '{"name": "way", "arguments": {"to": "x"}}'},
        {"from": "observation", "value": "9 km"},
        {"from": "gpt", "value": "Nine kilometres."},
    ]
    (made,) = converted(tmp_path, [{"conversations": turns, "tools": '[{"name": "way", "parameters": {}}]'}])
    called, result = made["messages"][1:3]
    assert called["tool_calls"][0]["function"] == {"name": "way", "arguments": '{"to": "x"}'}
    assert result == {"role": "tool", "content": "9 km", "tool_call_id": called["tool_calls"][0]["id"]}
    assert made["tools"] == [{"type": "function", "function": {"name": "way", "parameters": {}}}]


CALLED = {"id": "1", "type": "function", "function": {"name": "way", "arguments": '{"to": "x"}'}}
TOOL = {"type": "function", "function": {"name": "way", "parameters": {"type": "object"}}}
ASKED, ANSWERED = {"role": "user", "content": "How far?"}, {"role": "assistant", "content": "Nine kilometres."}
SYSTEM = {"role": "system", "content": "s"}


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (
            {"system": "s", "tools": [{"name": "way", "input_schema": {"type": "object"}}], "messages": [
                ASKED,
                {"role": "assistant", "content": [{"type": "text", "text": "A moment."},
                    {"type": "tool_use", "id": "1", "name": "way", "input": {"to": "x"}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1",
                    "content": [{"type": "text", "text": "9 km"}]}]},
                {"role": "assistant", "content": [{"type": "text", "text": "Nine kilometres."}]}]},
            {"content": "A moment."},
        ),
        (
            {"schemaVersion": "x", "system": [{"text": "s"}], "toolConfig": {"tools": [
                {"toolSpec": {"name": "way", "inputSchema": {"json": {"type": "object"}}}}]}, "messages": [
                {"role": "user", "content": [{"text": "How far?"}]},
                {"role": "assistant", "content": [
                    {"toolUse": {"toolUseId": "1", "name": "way", "input": {"to": "x"}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "1", "content": [{"text": "9 km"}]}}]},
                {"role": "assistant", "content": [{"text": "Nine kilometres."}]}]},
            {},
        ),
        (
            {"systemInstruction": {"parts": [{"text": "s"}]}, "tools": [{"functionDeclarations": [
                {"name": "way", "parameters": {"type": "OBJECT"}}]}], "contents": [
                {"role": "user", "parts": [{"text": "How far?"}]},
                {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "way", "args": {"to": "x"}}}]},
                {"role": "function", "parts": [{"functionResponse": {"name": "way", "response": "9 km"}}]},
                {"role": "model", "parts": [{"text": "Nine kilometres."}]}]},
            {},
        ),
    ],
    ids=["Anthropic", "Bedrock", "Gemini"],
)  # fmt: skip
def test_tool_blocks_become_calls_and_their_results(tmp_path: Path, record: Any, text: dict[str, str]) -> None:
    (made,) = converted(tmp_path, [record])
    assert made == {
        "messages": [
            SYSTEM,
            ASKED,
            {"role": "assistant", **text, "tool_calls": [CALLED]},
            {"role": "tool", "content": "9 km", "tool_call_id": "1"},
            ANSWERED,
        ],
        "tools": [TOOL],
    }
    assert check(tmp_path / "out.jsonl").ok


def test_calls_without_ids_are_answered_by_their_names(tmp_path: Path) -> None:
    def call(name: str) -> dict[str, Any]:
        return {"functionCall": {"name": name, "args": {}}}

    def result(name: str) -> dict[str, Any]:
        return {"functionResponse": {"name": name, "response": {"of": name}}}

    (made,) = converted(
        tmp_path,
        [
            {
                "contents": [
                    {"role": "user", "parts": [{"text": "a"}]},
                    {"role": "model", "parts": [call("f"), call("g")]},
                    {"role": "user", "parts": [result("g"), result("f")]},
                    {"role": "model", "parts": [{"text": "b"}]},
                ]
            }
        ],
    )
    called = {each["id"]: each["function"]["name"] for each in made["messages"][1]["tool_calls"]}
    assert [(called[each["tool_call_id"]], each["content"]) for each in made["messages"][2:4]] == [
        ("g", '{"of": "g"}'),
        ("f", '{"of": "f"}'),
    ]
    assert check(tmp_path / "out.jsonl").ok


def test_the_preferred_answer_is_kept_and_an_answer_marked_as_bad_is_not(tmp_path: Path) -> None:
    asked = {"from": "human", "value": "q"}
    pair = {"conversations": [asked], "chosen": {"from": "gpt", "value": "good"}, "rejected": {"value": "bad"}}
    (made,) = converted(tmp_path, [pair])
    assert made["messages"][-1] == {"role": "assistant", "content": "good"}
    chat = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    assert len(converted(tmp_path, [{**chat, "label": True}, {**chat, "label": False}])) == 1


def test_an_answer_that_is_an_object_is_written_as_json(tmp_path: Path) -> None:
    (made,) = converted(tmp_path, [{"input": "Anna, 7", "output": {"name": "Anna", "age": 7}}])
    assert made["messages"][1]["content"] == '{"name": "Anna", "age": 7}'


def test_a_table_of_unknown_columns_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("breed,share,rows\n" + "pug,0.5,12\n" * 5)
    shape = recognise(path)
    assert (shape.title, shape.is_convertible) == ("CSV with the columns breed, share, rows", False)
    path.write_text("You are a bot, what is this?, A thing.\nYou are a bot, who\n")
    assert recognise(path).container == "jsonl"


def converted(folder: Path, records: list[dict[str, object]]) -> list[dict[str, Any]]:
    """The rows that a JSON array of records becomes."""
    path, out = folder / "in.json", folder / "out.jsonl"
    path.write_text(json.dumps(records))
    convert(path, out)
    return [json.loads(line) for line in out.read_text("utf-8-sig").splitlines()]


def test_a_conversion_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    path, out = folder / "in.jsonl", folder / "out.jsonl"
    path.write_bytes(lines(*[{"prompt": "a", "completion": "b"}] * 1000))

    def stop(done: int) -> None:
        raise InterruptedError(done)

    with pytest.raises(InterruptedError):
        convert(path, out, progress=stop)
    assert [each.name for each in folder.iterdir()] == ["in.jsonl"]


@pytest.fixture
def little_room() -> Iterator[None]:
    """Files cannot grow beyond 16 kB, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_in_the_middle_leaves_the_file_that_was_there(tmp_path: Path, little_room: None) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    path, out = folder / "in.csv", folder / "out.jsonl"
    path.write_text("Question,Answer\n" + "a,b\n" * 3000)
    out.write_text("mine")
    with pytest.raises(OSError, match="File too large"):
        convert(path, out)
    assert out.read_text() == "mine"
    assert sorted(each.name for each in folder.iterdir()) == ["in.csv", "out.jsonl"]
