"""Reading documents piece by piece: the same values however the pieces are cut, and the place of what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.dataset.check import check
from tui.dataset.convert import ConvertError, convert
from tui.dataset.documents import DocumentFault, chunks, elements
from tui.dataset.shape import is_record

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
CHAT = {"messages": [{"role": "user", "content": "a\né"}, {"role": "assistant", "content": "b"}]}


def cut(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


def values(text: str, size: int) -> list[Any]:
    return [value for _, value in elements(cut(text, size), is_record)]


@given(st.lists(VALUES, max_size=6), st.integers(1, 40), st.sampled_from([None, 0, 3]))
def test_an_array_is_the_same_in_pieces(wanted: list[Any], size: int, indent: int | None) -> None:
    assert values(json.dumps(wanted, indent=indent), size) == wanted


@pytest.mark.parametrize("number", ["-0.0", "1.5", "12", "1e5", "2E-7", "3.25e+2"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_a_number_is_not_cut_where_a_piece_ends(number: str, size: int) -> None:
    assert values(f"[{number}, {number}]", size) == [float(number)] * 2
    assert values(number, size) == [float(number)]


@pytest.mark.parametrize("text", ['{\n"a": %s\n}', "[%s, 1]", '[\n{"a": %s}\n]', "%s"])
@pytest.mark.parametrize("size", [700, 10_000])
def test_a_number_of_more_digits_than_python_reads_is_read(text: str, size: int) -> None:
    # As large as a float holds; Python's own reader refuses whole numbers of more than 4,300 digits.
    (found, *_) = values(text % ("9" * 5000), size)
    assert (found["a"] if isinstance(found, dict) else found) == float("inf")


@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=4), st.integers(1, 40))
def test_values_one_after_the_other_are_the_same_in_pieces(wanted: list[Any], size: int) -> None:
    assert values("\n".join(json.dumps(value, indent=1) for value in wanted), size) == wanted


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "line", "column", "before"),
    [
        ('[\n{"a": 1},\n{"a": 2},\n]', 4, 1, 2),
        ('[\n{"a": 1}\n{"a": 2}\n]', 3, 1, 1),
        ('[\n{"a": 1},\n{"a": NaN}\n]', 3, 7, 1),
        ('[\n{"a": 1},\n{"a": "x', 3, 7, 1),
        ('[\n{"a": 1}', 2, 9, 1),
        ('{\n // why\n "a": 1}', 2, 2, 0),
    ],
)  # fmt: skip
def test_a_fault_has_its_place(text: str, line: int, column: int, before: int, size: int) -> None:
    found = []
    with pytest.raises(DocumentFault) as caught:
        found.extend(elements(cut(text, size), is_record))
    assert (caught.value.line, caught.value.column, len(found)) == (line, column, before)


def test_endless_nesting_is_a_fault() -> None:
    with pytest.raises(DocumentFault):
        values("[" + "[" * 200_000, 4096)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_file_is_decoded_in_pieces(tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.dataset.documents.CHUNK", 7)
    path = tmp_path / "a.json"
    path.write_bytes('[1, "añ😀"]'.encode(encoding))
    assert "".join(chunks(path, encoding.removesuffix("-sig"))) == '[1, "añ😀"]'


def test_a_broken_array_is_told_and_not_converted_by_half(tmp_path: Path) -> None:
    path, out = tmp_path / "a.json", tmp_path / "out.jsonl"
    path.write_text("[\n" + ",\n".join(json.dumps(CHAT) for _ in range(3)) + ",\n]\n")
    found = {group.code: group.first[0] for group in check(path).errors}
    assert sorted(found) == ["E101", "E136"]
    assert (found["E101"].line, found["E101"].column) == (5, 1)
    with pytest.raises(ConvertError, match="line 5 column 1"):
        convert(path, out)
    assert not out.exists()
