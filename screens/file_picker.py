"""A file picker for files on this machine: recent ones, folders, sizes, completion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from assets import ROOT
from screens.dialog import Dialog, Key
from tui import text
from tui.folders import Entry, listing
from tui.messages import n, size, t
from tui.paths import abbreviated, expanded
from tui.services.errors import PhiftError, UsageError
from tui.services.progress import Cancel, Report
from tui.widgets.path_suggester import PathSuggester
from tui.wording import system_words

TASK = "folder.read"
_ABOUT_WIDTH = 32  # cells of the size and the rows beside a name
_PATH_WIDTH = 40  # characters of a path within a sentence
_SLOW = 0.3  # seconds after which it is said that a folder is being read


@dataclass(frozen=True)
class Looked:
    """A folder, and what is in it."""

    folder: Path
    entries: list[Entry]
    recent: list[str]
    """Files used before that are still there."""
    trouble: str = ""
    """Why the folder could not be read; empty: it was."""


def _short(path: Path) -> str:
    """A path within a sentence; its end is what is looked at."""
    said = text.clean_line(path, limit=1000)
    return said if len(said) <= _PATH_WIDTH else "…" + said[-_PATH_WIDTH:]


class FilePicker(Dialog[Path]):
    """Type a path or choose below; Enter opens a folder and takes a file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "to_list", show=False),
        Binding("ctrl+u", "up", show=False, priority=True),
    ]

    def __init__(self, start: Path) -> None:
        super().__init__(classes="-large")
        self._start = start
        self.folder = start.parent if start.suffix else start
        """The one that is listed; until it was read, where it probably is."""
        self._shown: Looked | None = None

    def heading(self) -> str:
        """That a file is to be chosen."""
        return t("Choose a file on this machine")

    def content(self) -> ComposeResult:
        """The path, and what is in the folder."""
        yield Input(self._folder_text(), suggester=PathSuggester(Path.cwd()), id="picker-path", select_on_focus=False)
        yield Static("", id="picker-note", markup=False)
        yield OptionList(id="picker-list")

    def keys(self) -> Sequence[Key]:
        """How to move."""
        return [
            ("Enter", t("Open or take")),
            ("→", t("Complete")),
            ("Tab", t("Path or list")),
            ("^U", t("Folder above")),
        ]

    def on_mount(self) -> None:
        """List the folder to begin in."""
        start = self._start

        def nearest() -> Path:
            """The folder itself, or that of the file, or where the program was started."""
            return next((folder for folder in (start, start.parent) if os.path.isdir(folder)), Path.cwd())

        self._read(nearest)

    def on_unmount(self) -> None:
        """Closing stops the reading."""
        self.program.tasks.cancel(TASK)

    def on_resize(self) -> None:
        """Names have another width."""
        super().on_resize()
        if self._shown:
            listing = self.query_one("#picker-list", OptionList)
            highlighted = listing.highlighted
            self._list(self._shown)
            listing.highlighted = highlighted

    def _folder_text(self) -> str:
        return abbreviated(str(self.folder).rstrip("/") + "/")

    def _note(self, message: str, style: str = "") -> None:
        self.query_one("#picker-note", Static).update(text.line(message, style))

    def _read(self, choose: Callable[[], Path]) -> None:
        """List the folder, or take the file, that `choose` says; the disk is touched in the background only."""
        known = self.program.preferences.recent_files

        def work(report: Report, cancel: Cancel) -> Looked | Path:
            path = choose()
            try:
                if path.is_file():
                    return path.resolve()
                if not path.is_dir():
                    raise UsageError(t("There is no file {path}.", path=_short(path)))
                folder, recent = path.resolve(), [each for each in known if os.path.isfile(each)]
            except OSError as error:
                said = t("{path} cannot be read: {reason}.", path=_short(path), reason=system_words(error))
                raise UsageError(said) from None
            try:
                return Looked(folder, listing(folder, cancel), recent)
            except OSError as error:
                said = t("{path} cannot be read: {reason}.", path=_short(folder), reason=system_words(error))
                return Looked(folder, [], recent, said)

        task = self.program.tasks.start(
            TASK, t("Reading the folder"), work, done=self._found, failed=self._not_found, quiet=True
        )

        def still() -> None:
            if self.program.tasks.of(TASK) is task:
                self._note(t("Reading the folder …  Esc stops it."))

        self.set_timer(_SLOW, still)

    def _not_found(self, error: PhiftError) -> None:
        if self.is_attached:
            self._note(error.message)

    def _found(self, found: Looked | Path) -> None:
        if not self.is_attached:
            return
        if isinstance(found, Path):
            self.dismiss(found)
            return
        self.folder, self._shown = found.folder, found
        line = self.query_one("#picker-path", Input)
        line.value = self._folder_text()
        line.cursor_position = len(line.value)
        self._note(found.trouble or str(found.folder), "" if found.trouble else "$text-quiet")
        self._list(found)

    def _list(self, found: Looked) -> None:
        listing = self.query_one("#picker-list", OptionList)
        options = [
            Option(Content.assemble(("↺ ", "$text-accent"), text.clean_line(path, limit=100)), path)
            for path in found.recent
        ]
        options.append(Option(Content.styled("‹ ..", "$text-quiet"), ".."))
        for entry in found.entries:
            if entry.size is None:
                shown = Content.assemble(("▸ ", "$text-quiet"), text.clean_line(entry.name) + "/")
            else:
                shown = self._file_line(entry.name, entry.size, entry.rows)
            options.append(Option(shown, entry.path))
        if not any(option.id and option.id.endswith(".jsonl") for option in options):
            options += self._samples()
        first_of: dict[str | None, Option] = {}
        for option in options:
            first_of.setdefault(option.id, option)  # a recent file may lie in this folder too
        listing.set_options(first_of.values())
        listing.highlighted = min(1, len(first_of) - 1) if options[0].id == ".." else 0

    def _file_line(self, name: str, count: int, rows: int | None) -> Content:
        width = max(min(self.size.width - _ABOUT_WIDTH, 60), 12)
        shown = Content(text.clean_line(name, limit=width))
        about = f"{size(count):>13}"
        if rows is not None:
            about += "  " + n("{count} row", "{count} rows", rows)
        style = "" if name.endswith(".jsonl") else "$text-quiet"
        blank = " " * max(width - shown.cell_length, 0)
        return Content.assemble("  ", shown.stylize(style), blank, (about, "$text-quiet"))

    def _samples(self) -> Iterator[Option]:
        """The datasets that come with the program, where there is nothing else to begin with."""
        for path in sorted((ROOT / "samples").glob("*.jsonl")):
            about = t("{file}: a sample that comes with the program", file=path.name)
            yield Option(Content.assemble(("◇ ", "$text-accent"), about), str(path))

    def _open(self, path: Path) -> None:
        self._read(lambda: path)

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self._open(expanded(event.value.strip()))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id:
            self._open(self.folder.parent if event.option_id == ".." else Path(event.option_id))

    def action_to_list(self) -> None:
        """From the path into the list."""
        self.query_one("#picker-list").focus()

    def action_up(self) -> None:
        """The folder above."""
        self._open(self.folder.parent)
