"""The check: one case for each code, what it does with real files, and that no bytes make it fail."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.dataset import check as desk
from tui.dataset.check import Cancelled, check
from tui.dataset.codes import CODES
from tui.dataset.report import KEPT_PER_CODE
from tui.dataset.rules import Rules

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("PHIFT_SHARED", ROOT.parent / "shared")) / "samples"
ANY = Rules(bom="any", recommended_examples=1)


def chat(*contents: str, **extra: Any) -> dict[str, Any]:
    """A row of turns that alternate between user and assistant."""
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[i % 2], "content": c} for i, c in enumerate(contents)], **extra}


def row(*messages: dict[str, Any], **extra: Any) -> dict[str, Any]:
    return {"messages": list(messages), **extra}


def said(role: str, content: object, **extra: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **extra}


U, A = said("user", "What is it?"), said("assistant", "A kettle.")
CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"a": 1}'}}


def calling(**change: Any) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [{**CALL, **change}]}


def write(folder: Path, *rows: object, name: str = "data.jsonl") -> Path:
    path = folder / name
    path.write_bytes(
        b"".join(
            r + b"\n" if isinstance(r, bytes) else json.dumps(r, ensure_ascii=False).encode() + b"\n" for r in rows
        )
    )
    return path


def codes(path: Path, rules: Rules = ANY, **more: Any) -> dict[str, int]:
    counts: dict[str, int] = check(path, rules=rules, **more).to_json()["counts"]
    return counts


ROW_FAULTS: list[tuple[str, object, str]] = [
    ("E101", b'{"messages": [}', "messages[0]"),
    ("E102", [1, 2], ""),
    ("E103", b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "content": "c"}]}',
     "messages[1].content"),
    ("E103", b'{"messages": [{"r\\u006fle": "user", "role": "user", "content": "a"}, '
     b'{"role": "assistant", "content": "b"}]}', "messages[0].role"),
    ("E103", b'{"messages": [], "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}',
     "messages"),
    ("E104", b'{"messages": [{"role": "user", "content": "caf\xe9"}, {"role": "assistant", "content": "b"}]}', ""),
    ("E105", {"text": "a"}, ""),
    ("E106", {"messages": {"role": "user"}}, "messages"),
    ("E107", {"messages": []}, "messages"),
    ("E108", row(U, "yes", A), "messages[1]"),
    ("E109", row({"content": "a"}, A), "messages[0]"),
    ("E110", row(said(1, "a"), A), "messages[0].role"),  # type: ignore[arg-type]  # a wrong type is the point
    ("E111", row(said("bot", "a"), A), "messages[0].role"),
    ("E112", row(said("User ", "a"), A), "messages[0].role"),
    ("E114", row(U, {"role": "assistant"}), "messages[1]"),
    ("E115", row(U, said("assistant", 7)), "messages[1].content"),
    ("E115", row(U, said("assistant", None)), "messages[1].content"),
    ("E116", row(U, said("assistant", "")), "messages[1].content"),
    ("E116", row(U, said("assistant", " \n\t")), "messages[1].content"),
    ("E117", row(said("user", [{"type": "text", "text": "a"}]), A), "messages[0].content"),
    ("E117", row(said("user", [{"type": "image_url", "image_url": {}}]), A), "messages[0].content"),
    ("E118", row(said("user", [{"type": "text", "text": "a"}, 3]), A), "messages[0].content[1]"),
    ("E119", row(U), "messages"),
    ("E120", row(U, A, U), "messages[2]"),
    ("E121", row(U, A, A), "messages[2]"),
    ("E122", row(U, said("system", "a"), A), "messages[1]"),
    ("E122", row(said("system", "a"), said("system", "b"), U, A), "messages[1]"),
    ("E123", row(U, said("tool", "5", tool_call_id="c9"), A), "messages[1].tool_call_id"),
    ("E123", row(U, said("tool", "5"), A), "messages[1]"),
    ("E124", row(U, calling(function={"name": "f", "arguments": {"a": 1}})),
     "messages[1].tool_calls[0].function.arguments"),
    ("E124", row(U, calling(function={"name": "f", "arguments": json.dumps('{"a": 1}')})),
     "messages[1].tool_calls[0].function.arguments"),
    ("E124", row(U, calling(function={"name": "f", "arguments": '{"a": NaN}'})),
     "messages[1].tool_calls[0].function.arguments"),
    ("E124", row(U, calling(function={"name": "f", "arguments": '{"a":' * 90 + "1" + "}" * 90})),
     "messages[1].tool_calls[0].function.arguments"),
    ("E124", row(U, calling(function={"name": "f", "arguments": "{"})), "messages[1].tool_calls[0].function.arguments"),
    ("E125", row(U, calling(function={})), "messages[1].tool_calls[0]"),
    ("E125", row(U, {"role": "assistant", "content": "x", "tool_calls": "f"}), "messages[1].tool_calls"),
    ("E126", row(U, A, tools=[{"type": "function"}]), "tools[0]"),
    ("E128", row(U, said("assistant", "a", weight=0.5)), "messages[1].weight"),
    ("E128", row(said("user", "a", weight=1), A), "messages[0].weight"),
    ("E129", b'{"messages": [{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": "b"}]}',
     "messages[0].content"),
    ("E130", b'{"messages": [{"role": "user", "content": "a\\u0000"}, {"role": "assistant", "content": "b"}]}',
     "messages[0].content"),
    ("E137", {"prompt": "a", "completion": "b"}, ""),
    ("E137", {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, ""),
    ("E137", {"input": {"messages": [U]}, "preferred_output": [A]}, ""),
    ("E140", b'\xef\xbb\xbf{"messages": [{"role": "user", "content": "a"}, '
     b'{"role": "assistant", "content": "b"}]}', ""),
    ("E142", b'{"messages": []}{"messages": []}', ""),
    ("E143", row(U, said("assistant", "a", weight=0)), "messages"),
    ("E144", chat("a", "b", extra=json.loads("[" * 70 + "]" * 70)), ""),
    ("W202", b"   ", ""),
    ("W203", chat("a", "b", id=5), "id"),
    ("W203", row(said("user", "a", name="x", mood="y"), A), "messages[0].mood"),
    ("W204", chat("a\x07", "b"), "messages[0].content"),
    ("W205", chat("a\u202eb", "c"), "messages[0].content"),
    ("W206", chat("a\u2028b", "c"), "messages[0].content"),
    ("W207", chat("cafÃ© au lait", "c"), "messages[0].content"),
    ("W208", chat("a<|end|>", "c"), "messages[0].content"),
    ("W217", chat("Write to jo@example.org", "c"), "messages[0].content"),
    ("W218", chat("a", "Call +49 30 901820 now"), "messages[1].content"),
    ("W219", chat("My card is 4111 1111 1111 1111.", "c"), "messages[0].content"),
    ("W220", chat("key AKIAIOSFODNN7EXAMPLE", "c"), "messages[0].content"),
    ("W221", chat("how to build a pipe bomb", "no"), "messages[0].content"),
    ("W222", row(A), "messages"),
    ("W223", row(U, U, A), "messages[1]"),
    ("W225", chat("a", "b "), "messages[1].content"),
    ("W226", row(U, {**calling(), "content": None}), "messages[1].content"),
    ("W227", row(U, A, tools=[{"type": "function", "function": {"name": "f", "parameters": {
        "type": "object", "properties": {"title": {"type": "string", "title": "Title"}}}}}]),
     "tools[0].function.parameters"),
    ("W228", chat("SSN 078-05-1120", "c"), "messages[0].content"),
    ("W230", row(U, calling(), U, A), "messages[1].tool_calls"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "faulty", "path"), ROW_FAULTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_fault_is_found_alone_with_its_line_and_path(tmp_path: Path, code: str, faulty: object, path: str) -> None:
    report = check(write(tmp_path, chat("first", "row"), faulty, chat("last", "row")), rules=ANY)
    found = [finding for finding in report.findings if finding.code == code]
    assert [(finding.line, finding.path) for finding in found] == [(2, path)]
    others = {finding.code for finding in report.findings if finding.severity == "error"} - {code}
    assert others <= ({"E117"} if code == "E118" else set())
    assert CODES[code].advice


GOOD: list[dict[str, Any]] = [
    chat("a", "b"),
    chat("a", "b", "c", "d"),
    row(said("system", "s"), U, A),
    row(said("developer", "s"), U, A),
    row(U, calling(), said("tool", "5", tool_call_id="c1"), A),
    row(U, calling()),
    row(U, {"role": "assistant", "tool_calls": [{k: v for k, v in CALL.items() if k != "id"}]}, said("tool", "5"), A),
    row(U, said("assistant", "x", weight=0), said("user", "y"), said("assistant", "z", weight=1)),
    row(
        U,
        A,
        tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    ),
    chat("naïve façade — “quotes” 日本語 العربية 👩‍👩‍👧 \t\n", "1 000,00 € / 3.14159265358979 / 2024-01-15 / v1.2.3"),
    chat('escaped \\u0041 " \\ /', "fine"),
]


@pytest.mark.parametrize("good", GOOD, ids=range(len(GOOD)))
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_good_row_has_no_finding(tmp_path: Path, good: dict[str, Any], ascii_only: bool) -> None:
    path = tmp_path / "good.jsonl"
    path.write_text(json.dumps(good, ensure_ascii=ascii_only), encoding="utf-8")
    report = check(path, rules=ANY)
    assert (report.rows, report.findings) == (1, [])


@pytest.mark.parametrize(
    ("content", "rules", "expected"),
    [
        (b"", ANY, {"E133": 1}),
        (b"\n \n", ANY, {"E133": 1, "W202": 2}),
        (b"\xef\xbb\xbf", ANY, {"E133": 1}),
        (b"\x1f\x8b\x08\x00", ANY, {"E138": 1}),
        (b"\x00\x01\x02" * 50, ANY, {"E138": 1}),
        (b"PK\x03\x04..xl/workbook.xml", ANY, {"E138": 1}),
        (b"<!DOCTYPE html><html></html>", ANY, {"E147": 1}),
        (b"# Chats\n\nThey are\n\n```\n{}\n```\n", ANY, {"E147": 1}),
        (b"# all\nname: chats\nsplit:\n  - train\n", ANY, {"E147": 1}),
        (b"First line.\nSecond line.\n{third} line.\n", ANY, {"E147": 1}),
        (json.dumps([chat("a", "b")]).encode(), ANY, {"E136": 1}),
        (json.dumps(chat("a", "b"), indent=1).encode(), ANY, {"E136": 1}),
        (json.dumps(chat("a", "b")).encode("utf-16"), ANY, {"E135": 1}),
        (b"question,answer\na,b\n", ANY, {"E137": 1}),
        (b"%b\r%b\r" % ((json.dumps(chat("a", "b")).encode(),) * 2), ANY, {"E141": 1, "W209": 1}),
        (json.dumps(chat("a", "b")).encode() + b"\r\n", ANY, {}),
        (json.dumps(chat("a", "b")).encode(), Rules(recommended_examples=1), {"W201": 1}),
        (b"\xef\xbb\xbf" + json.dumps(chat("a", "b")).encode(), Rules(recommended_examples=1), {}),
        (b"\xef\xbb\xbf" + json.dumps(chat("a", "b")).encode(),
         Rules(bom="refused", recommended_examples=1), {"E139": 1}),
        (json.dumps(chat("a", "b")).encode(), Rules(bom="any"), {"W214": 1}),
        (json.dumps(chat("a", "b")).encode(), Rules(bom="any", min_examples=10), {"E134": 1}),
        (json.dumps(chat("a", "b")).encode(), Rules(bom="any", recommended_examples=1, max_bytes=20), {"E132": 1}),
        (json.dumps(row(said("developer", "s"), U, A)).encode(),
         Rules(bom="any", recommended_examples=1, roles=frozenset({"user", "assistant"})), {"E113": 1}),
        (json.dumps(row(U, calling())).encode(),
         Rules(bom="any", recommended_examples=1, tool_calls=False), {"E127": 1}),
        (json.dumps(row(said("user", [{"type": "text", "text": "a"}]), A)).encode(),
         Rules(bom="any", recommended_examples=1, parts=True), {}),
        (json.dumps(chat(" ".join(map(str, range(300))), "b")).encode(),
         Rules(bom="any", recommended_examples=1, context_tokens=100),
         {"E131": 1}),
    ],
)  # fmt: skip
def test_the_file_and_the_rules_are_judged(
    tmp_path: Path, content: bytes, rules: Rules, expected: dict[str, int]
) -> None:
    path = tmp_path / "data.jsonl"
    path.write_bytes(content)
    assert codes(path, rules) == expected


def test_a_line_of_many_megabytes_is_read_and_one_past_all_contexts_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, chat("a", "x" * 3_000_000), chat("c", "d"))
    assert codes(path) == {}
    monkeypatch.setattr("tui.dataset.lines.LONGEST_LINE", 2_000_000)
    monkeypatch.setattr("tui.dataset.scan.LONGEST_LINE", 2_000_000)
    report = check(path, rules=ANY)
    assert [(f.code, f.line) for f in report.findings] == [("E145", 1)]
    assert report.rows == 2


def test_all_errors_are_counted_and_few_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"messages": [{"role": "user", "content": 5}]}\n' * 5000)
    report = check(path, rules=ANY)
    assert {group.code: group.count for group in report.errors} == {"E115": 5000, "E119": 5000}
    assert all(len(group.first) == KEPT_PER_CODE for group in report.errors)
    made = report.to_json()
    assert made["truncated"] is True
    assert made["counts"]["E115"] == 5000
    assert len(made["errors"]) == 2 * KEPT_PER_CODE
    assert made["errors"][0] == {"code": "E115", "line": 1, "path": "messages[0].content", "message": "it is a number"}


def test_json_and_lines_are_plain(tmp_path: Path) -> None:
    path = write(tmp_path, chat("a\x1b[31m\u202e", "b", **{"\x1b]0;x\x07": 1}), b"\x1b[2J", chat("a", "b"))
    report = check(path, rules=ANY)
    assert all(line.isprintable() for line in report.lines())
    assert set(report.to_json()) == {"file", "rows", "errors", "warnings", "counts", "truncated", "notes", "stats"}
    json.dumps(report.to_json(), allow_nan=False)


def test_the_report_never_repeats_a_secret(tmp_path: Path) -> None:
    secrets = ("4111111111111111", "ghp_" + "a1B2" * 10, "jo@example.org", "078-05-1120")
    path = write(tmp_path, chat(" ".join(secrets), "ok"))
    report = check(path, rules=ANY)
    assert {finding.code for finding in report.findings} == {"W217", "W219", "W220", "W228"}
    text = "\n".join(report.lines()) + json.dumps(report.to_json()["errors"] + report.to_json()["warnings"])
    assert not [secret for secret in secrets if secret in text]


def test_progress_partial_reports_and_cancelling(tmp_path: Path) -> None:
    path = write(tmp_path, *[chat(f"question {i}", "x" * 4000) for i in range(1500)])
    size = path.stat().st_size
    seen: list[tuple[int, int]] = []
    partial: list[desk.Report] = []
    check(path, rules=ANY, progress=lambda done, total: seen.append((done, total)), partial=partial.append)
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)
    assert partial
    assert 0 < partial[0].rows < 1500
    assert not partial[0].complete
    asked = []
    with pytest.raises(Cancelled):
        check(path, rules=ANY, cancelled=lambda: len(asked) > 2 or bool(asked.append(1)))


def test_the_helper_process_finds_what_one_process_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[object] = [chat(f"question number {i} about the kettle", f"answer {i % 700}") for i in range(3000)]
    rows[1000] = b"{"
    rows[2500] = {"messages": 5}
    rows[2900] = rows[5]
    path = write(tmp_path, *rows)
    alone = check(path, rules=ANY)
    monkeypatch.setattr(desk, "_FIRST_STRETCH", 20_000)
    monkeypatch.setattr(desk, "_STRETCH", 40_000)
    monkeypatch.setattr(desk, "_WORTH_HELP", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    helped = check(path, rules=ANY)
    assert helped.to_json() == alone.to_json()
    assert [(f.code, f.line) for f in helped.findings][:4] == [("E101", 1001), ("E106", 2501), ("W209", 2901)]
    monkeypatch.setattr("tui.dataset.worker.sys.executable", "/bin/false")
    assert check(path, rules=ANY).to_json() == alone.to_json()


def test_structure_alone_leaves_the_text_out(tmp_path: Path) -> None:
    path = write(tmp_path, chat("jo@example.org", "b"), {"messages": []})
    report = check(path, rules=ANY, depth="structure")
    assert report.to_json()["counts"] == {"E107": 1}
    assert report.notes == ("Only the structure was looked at.",)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared sample files are not here")
@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        ("BOM_foundry_accelerator_acme_training.jsonl", 40, set()),
        ("azureml_maap_chat-completion_train.jsonl", 79, {"W201", "W225"}),
        ("azureml_maap_chat-completion_validation.jsonl", 21, {"W201", "W225"}),
        ("openai_cookbook_toy_chat_fine_tuning.jsonl", 5, {"W201", "W216", "W222", "W229", "W231"}),
    ],
)
def test_files_that_people_use_are_judged_sensibly(name: str, rows: int, expected: set[str]) -> None:
    report = check(SHARED / name, rules=Rules(recommended_examples=1))
    assert report.ok
    assert report.rows == rows
    assert set(report.to_json()["counts"]) == expected


@pytest.mark.parametrize("name", ["support-train.jsonl", "support-heldout.jsonl"])
def test_the_shipped_samples_are_clean(name: str) -> None:
    path = ROOT / "assets" / "samples" / name
    assert codes(path, Rules(recommended_examples=1)) == {}
    assert (
        codes(ROOT / "assets/samples/support-train.jsonl", validation=ROOT / "assets/samples/support-heldout.jsonl")
        == {}
    )


def test_the_broken_sample_shows_many_kinds_of_fault() -> None:
    report = check(ROOT / "assets" / "samples" / "support-broken.jsonl")
    assert len(report.errors) > 10
    assert len(report.warnings) > 10


pieces = st.sampled_from(
    [
        b"{", b"}", b"[", b"]", b'"', b":", b",", b"\n", b"\r", b"\\", b"\\u", b"d800", b"\xff", b"\xef\xbb\xbf",
        b"\x00", b"null", b'"messages"', b'"role"', b'"content"', b'"user"', b'"assistant"', b'"tool_calls"',
        b'"function"', b'"tools"', b'"weight"', b'{"messages": [', b'{"role": "user", "content": "a"}',
        b'{"role": "assistant", "content": "b"}', b"]}\n", b"1e999", b"PAR1", b"\xff\xfe", b"a,b\n",
        b"prompt,completion\n", b'"\xe2\x80\xa8"', b" ",
    ]
)  # fmt: skip
anything = st.binary(max_size=200) | st.lists(pieces, max_size=25).map(b"".join)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(anything)
def test_no_bytes_make_the_check_fail(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(data)
    report = check(path, validation=path)
    json.dumps(report.to_json(), allow_nan=False).encode()
    assert all(line.isprintable() for line in report.lines() if str(path) not in line)


mutations = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8)
    | st.sampled_from(["user", "assistant", "tool", "{}", "c1"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "messages", "role", "content", "tool_calls", "function", "name", "arguments", "id", "type",
                "tools", "text", "tool_call_id", "weight", "parameters", "properties",
            ]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=15,
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(mutations, max_size=4), mutations)
def test_no_value_makes_the_check_fail(tmp_path: Path, messages: list[Any], tools: Any) -> None:
    path = write(tmp_path, {"messages": messages, "tools": tools})
    check(path, rules=ANY)
