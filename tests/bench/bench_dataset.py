"""How fast the data desk is, as ratios measured in one run: `python tests/bench/bench_dataset.py [MEGABYTES]`.

It writes a file of chats (400 MB, 300,000 rows unless told otherwise) to a temporary folder and times, alternating and
best of three: a bare typed decode, a plain `json.loads` loop, the format checks of OpenAI's cookbook written anew, and
the check. Then near duplicates in 120,000 rows, the first findings, and the peak memory at a tenth and at all of the
size.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from tui.dataset.check import Cancelled, check
from tui.dataset.duplicates import Index, Prints
from tui.dataset.report import Collector

NEAR_ROWS = 120_000


class Message(msgspec.Struct):
    """What a bare decode makes of a message."""

    role: str
    content: str


class Row(msgspec.Struct):
    """What a bare decode makes of a row."""

    messages: list[Message]


def write(path: Path, megabytes: int) -> int:
    """Write a file of chats with words as frequent as in English; return its rows."""
    source = random.Random(7)
    words = ["".join(source.choices("etaoinshrdlucmfwyp", k=source.randint(2, 9))) for _ in range(8000)]
    weights = [1 / (rank + 5) for rank in range(len(words))]

    def text(fewest: int, most: int) -> str:
        made = source.choices(words, weights, k=source.randint(fewest, most))
        return " ".join(made).capitalize() + "."

    pool = [text(8, 60) for _ in range(4000)]
    rows = 0
    with path.open("w", encoding="utf-8") as stream:
        while stream.tell() < megabytes * 1_000_000:
            for _ in range(500):
                messages = [{"role": "system", "content": "You are a helpful support agent."}]
                for _ in range(source.randint(1, 2)):
                    messages.append({"role": "user", "content": " ".join(source.choices(pool, k=1))})
                    answer = (
                        "\n".join(source.choices(pool, k=2)) if rows % 4 == 0 else " ".join(source.choices(pool, k=2))
                    )
                    messages.append({"role": "assistant", "content": answer})
                stream.write(json.dumps({"messages": messages}) + "\n")
                rows += 1
    return rows


def bare_decode(path: Path) -> None:
    """Decode every line into structs."""
    decode = msgspec.json.Decoder(Row).decode
    with path.open("rb") as stream:
        for line in stream:
            decode(line)


def json_loads(path: Path) -> None:
    """Decode every line with the standard library."""
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            json.loads(line)


def cookbook(path: Path) -> dict[str, int]:
    """Make the format checks that OpenAI's cookbook describes for chat files."""
    errors: dict[str, int] = {}

    def note(name: str) -> None:
        errors[name] = errors.get(name, 0) + 1

    with path.open(encoding="utf-8") as stream:
        examples = [json.loads(line) for line in stream]
    for example in examples:
        if not isinstance(example, dict):
            note("data_type")
            continue
        messages = example.get("messages")
        if not messages:
            note("missing_messages_list")
            continue
        for message in messages:
            if "role" not in message or "content" not in message:
                note("message_missing_key")
            if any(key not in ("role", "content", "name", "function_call", "weight") for key in message):
                note("message_unrecognized_key")
            if message.get("role") not in ("system", "user", "assistant", "function"):
                note("unrecognized_role")
            content, call = message.get("content"), message.get("function_call")
            if (not content and not call) or not isinstance(content, str):
                note("missing_content")
        if not any(message.get("role") == "assistant" for message in messages):
            note("example_missing_assistant_message")
    return errors


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def near_duplicates() -> tuple[float, int]:
    """Return (seconds, pairs found) for rows of 60 words of which one in forty is a changed copy."""
    source = random.Random(3)
    words = ["".join(source.choices("etaoinshrdlu", k=source.randint(3, 8))) for _ in range(5000)]
    rows = [source.choices(words, k=60) for _ in range(NEAR_ROWS)]
    for number in range(NEAR_ROWS // 40):
        rows[-number - 1] = [*rows[number][:30], "changed", *rows[number][31:]]
    collector = Collector()

    def search() -> None:
        index = Index()
        for start in range(0, NEAR_ROWS, 1000):
            prints = Prints()
            prints.sign([(i - start + 1, i, rows[i]) for i in range(start, start + 1000)])
            index.add(prints, start, validation=False)
        index.report(collector, None, lambda: None)
        index.close()

    seconds = timed(search)
    return seconds, collector.groups["W210"].count


def on_one_core(path: Path) -> float:
    """Return the seconds that the structural check takes in a process that may use one core only."""
    script = (
        "import os, sys, time\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from pathlib import Path\n"
        "from tui.dataset.check import check\n"
        "begun = time.perf_counter()\n"
        "check(Path(sys.argv[1]), depth='structure')\n"
        "print(time.perf_counter() - begun)\n"
    )
    out = subprocess.run([sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True)
    return float(out.stdout)


def peak_memory(path: Path) -> tuple[int, int]:
    """Return the peak resident memory in MB of `phift-tui check`: (its own process, all its processes at one time)."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tui", "check", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    own = together = 0
    while process.poll() is None:
        with suppress(OSError, AttributeError, ValueError):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            threads = Path(f"/proc/{process.pid}/task")
            for thread in threads.iterdir():
                children += (thread / "children").read_text().split()
            held = {pid: resident(int(pid)) for pid in {str(process.pid), *children}}
            own = max(own, held[str(process.pid)])
            together = max(together, sum(held.values()))
        time.sleep(0.01)
    return own // 1024, together // 1024


def resident(pid: int) -> int:
    """Return the resident memory of a process in kB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found.group(1)) if found else 0


def first_findings(path: Path) -> float:
    """Return the seconds until a full check gives its first report."""
    begun = time.perf_counter()
    seen: list[float] = []
    with suppress(Cancelled):
        check(path, partial=lambda report: seen.append(time.perf_counter() - begun), cancelled=lambda: bool(seen))
    return seen[0]


def main() -> int:
    """Print the figures and return 1 where one is out of its bound."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    results: list[tuple[str, float, str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        path, small = Path(name) / "large.jsonl", Path(name) / "small.jsonl"
        rows = write(path, megabytes)
        write(small, max(1, megabytes // 10))
        tell(f"{path.stat().st_size / 1e6:,.0f} MB, {rows:,} rows")
        ways: dict[str, Callable[[], object]] = {
            "bare typed decode": lambda: bare_decode(path),
            "json.loads": lambda: json_loads(path),
            "structure": lambda: check(path, depth="structure"),
            "cookbook": lambda: cookbook(path),
        }
        best = dict.fromkeys([*ways, "structure, one core"], float("inf"))
        for _ in range(3):
            for way, work in ways.items():
                best[way] = min(best[way], timed(work))
            best["structure, one core"] = min(best["structure, one core"], on_one_core(path))
        for way, seconds in best.items():
            tell(f"  {way:20} {seconds:7.2f} s {megabytes / seconds:7.0f} MB/s {seconds / rows * 1e6:7.2f} µs a row")
        structure = best["structure"]
        results += [
            (
                "structural check on one core / bare typed decode, rate",
                best["bare typed decode"] / best["structure, one core"],
                ">=",
                0.5,
            ),
            ("structural check / bare typed decode, rate", best["bare typed decode"] / structure, ">=", 0.5),
            ("structural check / OpenAI cookbook, rate", best["cookbook"] / structure, ">=", 6.0),
            ("structural check / json.loads, rate", best["json.loads"] / structure, ">=", 2.5),
        ]
        results.append(("seconds to the first findings", first_findings(path), "<=", 1.0))
        full = timed(lambda: check(path))
        tell(f"  {'full check':20} {full:7.2f} s {megabytes / full:7.0f} MB/s {full / rows * 1e6:7.2f} µs a row")
        seconds, pairs = near_duplicates()
        tell(f"  near duplicates: {NEAR_ROWS:,} rows, {pairs:,} of {NEAR_ROWS // 40:,} changed copies found")
        results.append((f"seconds for near duplicates in {NEAR_ROWS:,} rows", seconds, "<=", 10.0))
        at_small, at_large = peak_memory(small), peak_memory(path)
        tell(f"  without its helper process: {at_small[0]} MB, then {at_large[0]} MB")
        results += [
            (f"peak memory in MB at {megabytes // 10} MB, all processes", at_small[1], "<=", 150.0),
            (f"peak memory in MB at {megabytes} MB, all processes", at_large[1], "<=", 150.0),
        ]
    for name, value, sign, bound in results:
        kept = value >= bound if sign == ">=" else value <= bound
        tell(f"{'ok  ' if kept else 'MISS'} {name}: {value:.2f} (wanted {sign} {bound:g})")
    return 0 if all(v >= b if s == ">=" else v <= b for _, v, s, b in results) else 1


if __name__ == "__main__":
    sys.exit(main())
