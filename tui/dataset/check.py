"""The check of a dataset: every fault of every row, in bounded memory, before anything is uploaded."""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Literal, cast

from tui.dataset.convert import ConvertError
from tui.dataset.duplicates import Index
from tui.dataset.helper import Helper
from tui.dataset.lines import UTF8_BOM, newline_of
from tui.dataset.report import Collector, Finding, Group, Report
from tui.dataset.rules import DOCUMENTED, Rules
from tui.dataset.said import Grouped, Said, counted, said
from tui.dataset.scan import Partial, Stretch, messages_of, scan_stretch
from tui.dataset.shape import Shape, container_of, shape_of
from tui.dataset.tokens import EXACT_BYTES, counter
from tui.messages import n, t

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tui.dataset.tokens import Counter

__all__ = ["Cancelled", "Finding", "Group", "Report", "Rules", "check"]

_PARTIAL_SECONDS = 0.5
_FIRST_STRETCH = 2 << 20
_STRETCH = 4 << 20
_SHORTEST_STRETCH = 512 << 10
_STRETCHES_LEFT = 12
_ASKED_AHEAD = 2
_WORTH_HELP = 24 << 20
_TOLD_BYTES = 1 << 20
_OUTLIER_ROWS = 20
_FEWEST_ROWS = 3
_LONG_ROW = 500
_SHOWN_OUTLIERS = 20
_NOT_LINES = {"binary": "E138", "text": "E147", "csv": "E137", "parquet": "E137"}


class Cancelled(Exception):
    """The check was stopped at the caller's wish."""


@dataclass(slots=True)
class _File:
    """One file of a check and what is known of it so far."""

    name: str
    path: Path
    size: int
    partial: Partial = field(default_factory=Partial)
    done: int = 0


def check(
    path: Path,
    *,
    validation: Path | None = None,
    rules: Rules = DOCUMENTED,
    tokenizer: Path | None = None,
    depth: Literal["full", "structure"] = "full",
    progress: Callable[[int, int], None] | None = None,
    partial: Callable[[Report], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Report:
    """Check a training file, and a validation file beside it.

    Args:
        path: The training file.
        validation: The validation file, checked the same way and against the training file.
        rules: What the model and the engine accept.
        tokenizer: The model's own `tokenizer.json`, in the place of the vocabulary that `rules` name.
        depth: `structure` leaves out the text of the rows: characters, personal data, duplicates, tokens and numbers.
        progress: Called with (bytes done, bytes in all), at most once a megabyte.
        partial: Called with the report so far: after the first two megabytes, then at most twice a second.
        cancelled: Asked once a megabyte whether to stop.

    Returns:
        The report.

    Raises:
        Cancelled: `cancelled` answered True.
        OSError: A file cannot be read.
        ValueError: `tokenizer` is no tokenizer.
    """
    run = _Run(path, validation, rules, progress, partial, cancelled)
    with closing(run.index):
        if depth == "full":
            run.look_first()
            run.counter = _counter(rules, run.files[0], tokenizer)
        for file in run.files:
            run.judge(file)
        return run.finish()


class _Run:
    """One check under way."""

    def __init__(
        self,
        path: Path,
        validation: Path | None,
        rules: Rules,
        progress: Callable[[int, int], None] | None,
        partial: Callable[[Report], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.rules = rules
        self.index = Index()
        self.files = [_File("train", Path(path), Path(path).stat().st_size)]
        if validation is not None:
            self.files.append(_File("validation", Path(validation), Path(validation).stat().st_size))
        self.counter: Counter | None = None
        self._progress = progress
        self._partial = partial
        self._cancelled = cancelled
        self._shown = 0.0
        self._reached = 0

    def _stop_if_asked(self) -> None:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled

    def look_first(self) -> None:
        """Show what is wrong with the structure of the first rows, while the vocabulary is still to be loaded."""
        file = self.files[0]
        if self._partial is None or file.size <= _FIRST_STRETCH or container_of(file.path).container != "jsonl":
            return
        newline = newline_of(file.path)
        first = next(_pieces(file, self._mark(file, Collector()), newline))
        file.partial = scan_stretch(self._stretch(file, *first, newline), lambda consumed: self._stop_if_asked())
        file.done = first[1]
        self._partial(self.report(complete=False))
        file.partial = Partial()
        file.done = 0

    def judge(self, file: _File) -> None:
        """Judge one file."""
        self._stop_if_asked()
        whole = Collector()
        if file.size > self.rules.max_bytes:
            text = said(
                "{size} MB; at most {most} MB are taken",
                size=Grouped(round(file.size / 2**20)),
                most=Grouped(round(self.rules.max_bytes / 2**20)),
            )
            whole.add(Finding("E132", 0, "", text))
        start = self._mark(file, whole)
        shape = container_of(file.path)
        file.partial.collector.merge(whole)
        if not self._is_lines(file, shape):
            file.done = file.size
            return
        newline = newline_of(file.path)
        if newline == b"\r":
            text = said("the file has carriage returns and no line feed")
            file.partial.collector.add(Finding("E141", 0, "", text))
        with ExitStack() as stack:
            for stretch, made in self._stretches(file, start, newline, stack):
                self._take(file, stretch, made)
        self._judge_size(file)

    def _mark(self, file: _File, whole: Collector) -> int:
        """Judge the byte order mark and return the first byte after it."""
        with file.path.open("rb") as stream:
            marked = stream.read(3) == UTF8_BOM
        if marked and self.rules.bom == "refused":
            whole.add(Finding("E139", 0, "", said("the file starts with a byte order mark")))
        elif not marked and self.rules.bom == "asked" and file.size:
            whole.add(Finding("W201", 0, "", said("the file does not start with a byte order mark")))
        return len(UTF8_BOM) if marked else 0

    def _is_lines(self, file: _File, shape: Shape) -> bool:
        """Report a file that is not made of lines of JSON."""
        if shape.container == "jsonl" and shape.encoding == "utf-8":
            return True
        unreadable = ""
        try:
            shape = shape_of(file.path)
        except ConvertError as error:
            if fault := error.fault:
                file.partial.collector.add(
                    Finding("E136" if fault.is_json else "E101", fault.line, "", fault.said, fault.column)
                )
            else:
                unreadable = str(error)
        code = _NOT_LINES.get(shape.container, "E136")
        if shape.encoding not in ("utf-8", ""):
            code = "E135"
        text = said("the file is {shape}; it can be converted") if shape.is_convertible else said("the file is {shape}")
        if unreadable:
            text = said("the file is {shape}; {reason}", reason=unreadable)
        file.partial.collector.groups.pop("W201", None)
        file.partial.collector.add(Finding(code, 0, "", Said(text.text, {**text.values, "shape": shape.said})))
        return False

    def _stretches(
        self, file: _File, start: int, newline: bytes, stack: ExitStack
    ) -> Iterator[tuple[Stretch, Partial]]:
        """Judge the file stretch by stretch, on two cores where it is worth that, and yield them in order."""
        stretches = [self._stretch(file, begun, end, newline) for begun, end in _pieces(file, start, newline)]
        work = deque(enumerate(stretches))
        asked: SimpleQueue[int | None] = SimpleQueue()
        done: dict[int, Partial | None] = {}
        helper: Helper | None = None
        waiting: Thread | None = None

        def gather(helper: Helper) -> None:
            # It only waits: all that decides is done by the caller's thread, whose computing it would else interrupt.
            while (number := asked.get()) is not None:
                done[number] = helper.answer()

        def hand_over() -> None:
            # More than it works on, so that it need not wait for this thread's turn.
            while helper is not None and work and asked.qsize() < _ASKED_AHEAD:
                number, stretch = work.popleft()
                helper.ask(scan_stretch, stretch)
                asked.put(number)

        if file.size > _WORTH_HELP and _cores() > 1:
            with suppress(OSError):
                helper = stack.enter_context(Helper())
                waiting = Thread(target=gather, args=[helper], daemon=True)
                waiting.start()
        following = 0
        try:
            hand_over()
            while work:
                number, stretch = work.popleft()
                done[number] = self._scan(stretch, hand_over)
                while following in done:
                    yield self._judged(stretches[following], done.pop(following))
                    following += 1
        finally:
            asked.put(None)
        if waiting is not None:
            waiting.join()
        while following in done:
            yield self._judged(stretches[following], done.pop(following))
            following += 1

    def _judged(self, stretch: Stretch, made: Partial | None) -> tuple[Stretch, Partial]:
        """Return a stretch with what it amounts to, judging here what the helper failed to."""
        self._block(stretch.end)
        return stretch, made if made is not None else self._scan(stretch)

    def _stretch(self, file: _File, start: int, end: int, newline: bytes) -> Stretch:
        return Stretch(str(file.path), start, end, newline, self.rules, self.counter)

    def _scan(self, stretch: Stretch, each_block: Callable[[], None] = lambda: None) -> Partial:
        def judged(consumed: int) -> None:
            each_block()
            self._block(stretch.start + consumed)

        return scan_stretch(stretch, judged)

    def _block(self, done: int) -> None:
        self._stop_if_asked()
        if self._progress is not None:
            before = sum(file.size for file in self.files if file.done == file.size)
            total = sum(file.size for file in self.files)
            if before + done >= min(self._reached + _TOLD_BYTES, total):
                self._reached = before + done
                self._progress(self._reached, total)

    def _take(self, file: _File, stretch: Stretch, made: Partial) -> None:
        """Add what a stretch amounts to."""
        known = file.partial
        known.collector.merge(made.collector, lines=known.lines)
        known.describer.merge(made.describer, known.lines)
        known.longest = sorted([*known.longest, *((t, line - known.lines) for t, line in made.longest)])[
            -_SHOWN_OUTLIERS:
        ]
        self.index.add(made.prints, known.lines, validation=file.name == "validation")
        known.lines += made.lines
        known.rows += made.rows
        file.done = stretch.end
        now = time.monotonic()
        if self._partial is not None and now - self._shown >= _PARTIAL_SECONDS:
            self._shown = now
            self._partial(self.report(complete=False))

    def _judge_size(self, file: _File) -> None:
        add = file.partial.collector.add
        rows, rules = file.partial.rows, self.rules
        if not rows:
            add(Finding("E133", 0, "", said("the file holds no row")))
        elif rows < rules.min_examples and file.name == "train":
            text = counted(
                "{count} row; at least {least} are needed",
                "{count} rows; at least {least} are needed",
                rows,
                least=rules.min_examples,
            )
            add(Finding("E134", 0, "", text))
        elif rows < rules.recommended_examples and file.name == "train":
            text = counted(
                "{count} row; {advised} are advised to start with",
                "{count} rows; {advised} are advised to start with",
                rows,
                advised=rules.recommended_examples,
            )
            add(Finding("W214", 0, "", text))
        file.done = file.size

    def finish(self) -> Report:
        """Judge what only the whole file tells, and return the report."""
        for file in self.files:
            self._judge_numbers(file)
        collectors = [file.partial.collector for file in self.files]
        self.index.report(collectors[0], collectors[1] if len(collectors) > 1 else None, self._stop_if_asked)
        return self.report(complete=True)

    def _judge_numbers(self, file: _File) -> None:
        describer, add = file.partial.describer, file.partial.collector.add
        if describer.rows >= _FEWEST_ROWS:
            middle, low, high = (describer.row_tokens.at(percent) for percent in (50, 25, 75))
            bound = max(4 * middle, high + 6 * (high - low))
            if describer.rows < _OUTLIER_ROWS:
                # Quarters of so few rows say little: only what is far off is told.
                bound = max(10 * middle, _LONG_ROW)
            for tokens, line in sorted(file.partial.longest, key=lambda item: -item[1]):
                if tokens > bound:
                    text = said(
                        "about {tokens} tokens; half of the rows have {middle} or fewer",
                        tokens=Grouped(tokens),
                        middle=Grouped(middle),
                    )
                    add(Finding("W216", -line, "", text))
        if lopsided := describer.imbalance():
            common, most, rare, fewest = lopsided
            text = said(
                "{common} answers {most} of {rows} rows, {rare} {fewest}",
                common=ascii(common),
                most=Grouped(most),
                rows=Grouped(describer.rows),
                rare=ascii(rare),
                fewest=Grouped(fewest),
            )
            add(Finding("W215", 0, "", text))
        without = describer.rows_without_system
        if 0 < without < describer.rows:
            text = counted(
                "{count} row of {rows} has no system message, this one first",
                "{count} rows of {rows} have no system message, this one first",
                without,
                rows=Grouped(describer.rows),
            )
            add(Finding("W229", describer.first_without_system, "messages", text))

    def report(self, *, complete: bool) -> Report:
        """Return what is known."""
        main = self.files[0]
        both = Collector()
        for file in self.files:
            both.merge(file.partial.collector, file=file.name)
        ordered = [both.groups[code] for code in sorted(both.groups)]
        notes = []
        if self.counter is None and complete:
            notes.append(t("Only the structure was looked at."))
        if foreign := main.partial.describer.rows_not_english():
            notes.append(
                n(
                    "{count} row is not in English; the guess about safety (W221) knows English words only.",
                    "{count} rows are not in English; the guess about safety (W221) knows English words only.",
                    foreign,
                )
            )
        if self.index.skipped_near:
            notes.append(
                n(
                    "{count} row was not searched for near duplicates.",
                    "{count} rows were not searched for near duplicates.",
                    self.index.skipped_near,
                )
            )
        count = self.counter
        return Report(
            file=str(main.path),
            rows=main.partial.rows,
            bytes=main.size,
            errors=[group for group in ordered if group.code[0] == "E"],
            warnings=[group for group in ordered if group.code[0] == "W"],
            stats=main.partial.describer.stats(
                tokenizer=count.name if count else "",
                is_estimate=count is None or count.is_estimate,
                error=count.error if count else 0.0,
            ),
            complete=complete,
            notes=tuple(notes),
        )


def _counter(rules: Rules, file: _File, tokenizer: Path | None) -> Counter:
    """Return what counts the tokens of a file."""
    asked = rules.vocabulary, file.path, messages_of, tokenizer
    if file.size > EXACT_BYTES:
        # The vocabulary is needed for the calibration alone, and its memory would not come back to the system.
        with suppress(OSError), Helper() as helper:
            helper.ask(counter, *asked)
            if (made := helper.answer()) is not None:
                return cast("Counter", made)
    return counter(*asked)


def _cores() -> int:
    """Return how many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pieces(file: _File, start: int, newline: bytes) -> Iterator[tuple[int, int]]:
    """Yield (first byte, byte after the last) of stretches that end with a line: a short one, then long ones.

    They become short again towards the end, so that the one who ends first need not wait long for the other.
    """
    wanted = _FIRST_STRETCH
    with file.path.open("rb") as stream:
        while start < file.size:
            end = min(start + wanted, file.size)
            stream.seek(end)
            while end < file.size and (data := stream.read(1 << 16)):
                found = data.find(newline)
                end = min(end + (found + 1 if found >= 0 else len(data)), file.size)
                if found >= 0:
                    break
            yield start, end
            start = end
            wanted = min(_STRETCH, max(_SHORTEST_STRETCH, (file.size - start) // _STRETCHES_LEFT))
