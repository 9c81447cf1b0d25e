"""The split: the same everywhere, the share in every stratum, equal prompts on one side, nothing lost."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui.dataset.split import SplitError, split

ROOT = Path(__file__).resolve().parents[2]


def chat(question: str, answer: str = "b", system: str = "") -> bytes:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return json.dumps({"messages": messages}).encode()


def parts(folder: Path, lines: list[bytes], share: float, seed: int = 7) -> tuple[list[bytes], list[bytes]]:
    path, train, validation = folder / "all.jsonl", folder / "train.jsonl", folder / "validation.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    made = split(path, share, seed, train, validation)
    found = train.read_bytes().splitlines(), validation.read_bytes().splitlines()
    assert (made.train_rows, made.validation_rows) == (len(found[0]), len(found[1]))
    return found


def test_the_split_of_the_sample_is_the_same_on_every_machine(tmp_path: Path) -> None:
    train, validation = tmp_path / "t.jsonl", tmp_path / "v.jsonl"
    made = split(ROOT / "assets" / "samples" / "support-train.jsonl", 0.2, 42, train, validation)
    assert (made.train_rows, made.validation_rows, made.kept_together) == (200, 50, 0)
    # Any change of this digest gives people another split for a seed they have noted down.
    assert hashlib.sha256(validation.read_bytes()).hexdigest()[:16] == "8f1c0bd746a517c7"
    assert train.read_bytes().startswith(b"\xef\xbb\xbf")
    assert validation.read_bytes().startswith(b"\xef\xbb\xbf")
    assert validation.stat().st_mode & 0o777 == 0o600


def test_seeds_differ_and_repeat(tmp_path: Path) -> None:
    lines = [chat(f"question {i}") for i in range(100)]
    first = parts(tmp_path, lines, 0.2, 1)
    assert parts(tmp_path, lines, 0.2, 1) == first
    assert parts(tmp_path, lines, 0.2, 2) != first


def test_the_share_is_kept_in_every_system_prompt_and_length(tmp_path: Path) -> None:
    lines = [chat(f"{i} " + "word " * (400 if i % 5 == 0 else 3), "b", f"prompt {i % 4}") for i in range(400)]
    _, validation = parts(tmp_path, lines, 0.25)
    assert len(validation) == 100
    found = [json.loads(line)["messages"] for line in validation]
    by_prompt = Counter(messages[0]["content"] for messages in found)
    assert all(24 <= count <= 26 for count in by_prompt.values())
    assert 18 <= sum(len(messages[1]["content"]) > 1000 for messages in found) <= 22


def test_equal_prompts_stay_together_whatever_their_spacing(tmp_path: Path) -> None:
    lines = [chat(f"question {i % 50}" if i < 100 else f" QUESTION  {i % 50}", f"answer {i}") for i in range(200)]
    train, validation = parts(tmp_path, lines, 0.3)

    def prompts(rows: list[bytes]) -> set[str]:
        return {" ".join(json.loads(line)["messages"][0]["content"].lower().split()) for line in rows}

    assert not prompts(train) & prompts(validation)
    assert 48 <= len(validation) <= 72


def test_lines_are_copied_in_their_order_and_blank_ones_left_out(tmp_path: Path) -> None:
    lines = [chat(f"question {i}") for i in range(20)]
    train, validation = parts(tmp_path, [*lines[:10], b"", b"not json", *lines[10:]], 0.2)
    order = [*lines[:10], b"not json", *lines[10:]]
    assert sorted(train + validation) == sorted(order)
    assert train == [line for line in order if line in train]


def test_one_prompt_for_all_rows_still_splits(tmp_path: Path) -> None:
    train, validation = parts(tmp_path, [chat("Write a poem.", f"poem {i}") for i in range(50)], 0.2)
    assert (len(train), len(validation)) == (40, 10)


@pytest.mark.parametrize(
    ("lines", "share", "words"),
    [([chat("a")], 0.2, "at least two"), ([chat("a")] * 3, 0.2, "equal"), ([chat("a"), chat("b")], 1.0, "between")],
)
def test_what_cannot_be_split_is_said(tmp_path: Path, lines: list[bytes], share: float, words: str) -> None:
    with pytest.raises(SplitError, match=words):
        parts(tmp_path, lines, share)
    assert not (tmp_path / "train.jsonl").exists()


def test_it_tells_how_far_it_is_and_can_be_stopped_at_any_time_with_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.dataset.split._STEPS", 10_000)
    folder = tmp_path / "parts"
    folder.mkdir()
    path = tmp_path / "all.jsonl"
    path.write_bytes(b"".join(chat(str(number)) + b"\n" for number in range(2500)))
    out = folder / "t.jsonl", folder / "v.jsonl"
    told: list[tuple[int, int]] = []
    split(path, 0.1, 7, *out, progress=lambda *far: told.append(far))
    for written in out:
        written.unlink()
    half = path.stat().st_size
    assert told == sorted(told)
    assert {total for _, total in told} == {2 * half}
    assert [sum(done < half for done, _ in told), sum(done > half for done, _ in told)] == [2, 2]
    assert sum(done == half for done, _ in told) > 2  # while the rows are drawn
    for last in range(len(told)):
        calls = iter(range(last))

        def stop(done: int, total: int, calls: Iterator[int] = calls) -> None:
            if next(calls, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            split(path, 0.1, 7, *out, progress=stop)
        assert list(folder.iterdir()) == []


def test_an_output_cannot_be_the_source(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(chat("a") + b"\n" + chat("b"))
    with pytest.raises(SplitError, match="different files"):
        split(path, 0.5, 1, path, tmp_path / "v.jsonl")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=2, max_size=60),
    st.floats(0.05, 0.95),
    st.integers(0, 2**64),
)
def test_no_row_is_lost_and_neither_side_is_empty(
    tmp_path: Path, rows: list[tuple[int, int]], share: float, seed: int
) -> None:
    lines = [chat(f"question {number}", "b", f"prompt {system}") for number, system in rows]
    if len(set(lines)) == 1:
        return
    train, validation = parts(tmp_path, lines, share, seed)
    assert sorted(train + validation) == sorted(lines)
    assert train
    assert validation
    assert not set(train) & set(validation)
