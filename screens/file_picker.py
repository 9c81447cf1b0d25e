"""A file picker for files on this machine: recent ones, folders, sizes, completion."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
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
from tui.messages import n, t
from tui.paths import expanded
from tui.widgets.path_suggester import PathSuggester

_ENTRIES = 2_000  # names shown of one folder
_ABOUT_WIDTH = 32  # cells of the size and the rows beside a name
_COUNTED_BYTES = 4 << 20  # files up to this size have their rows counted as the list is drawn


def _rows(path: Path, size: int) -> int | None:
    """Rows of a small file; None for a large one, whose rows the check counts."""
    if size > _COUNTED_BYTES or path.suffix != ".jsonl":
        return None
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return sum(1 for line in data.splitlines() if line.strip())


class FilePicker(Dialog[Path]):
    """Type a path or choose below; Enter opens a folder and takes a file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "to_list", show=False),
        Binding("ctrl+u", "up", show=False, priority=True),
    ]

    def __init__(self, start: Path) -> None:
        super().__init__(classes="-large")
        self.folder = start if start.is_dir() else start.parent
        if not self.folder.is_dir():
            self.folder = Path.cwd()

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
        """List the folder."""
        self._list()

    def _folder_text(self) -> str:
        home = str(Path.home())
        shown = str(self.folder).rstrip("/") + "/"
        return "~" + shown.removeprefix(home) if shown.startswith(home + "/") else shown

    def _list(self) -> None:
        listing, note = self.query_one("#picker-list", OptionList), self.query_one("#picker-note", Static)
        options = [
            Option(Content.assemble(("↺ ", "$text-accent"), text.clean_line(path, limit=100)), path)
            for path in self.program.preferences.recent_files
            if Path(path).is_file()
        ]
        try:
            with os.scandir(self.folder) as scan:
                entries = list(islice(scan, _ENTRIES))
        except OSError as error:
            note.update(text.line(t("{folder} cannot be read: {reason}.", folder=self.folder, reason=error.strerror)))
            entries = []
        else:
            note.update(text.line(str(self.folder), "$text-quiet"))
        options.append(Option(Content.styled("‹ ..", "$text-quiet"), ".."))
        for entry in sorted(entries, key=lambda each: (not each.is_dir(), not each.name.endswith(".jsonl"), each.name)):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folder = Content.assemble(("▸ ", "$text-quiet"), text.clean_line(entry.name) + "/")
                options.append(Option(folder, entry.path))
                continue
            try:
                size = entry.stat().st_size
            except OSError:
                continue  # removed since the folder was read, or a dangling link
            options.append(Option(self._file_line(entry.name, size, _rows(Path(entry.path), size)), entry.path))
        if not any(option.id and option.id.endswith(".jsonl") for option in options):
            options += self._samples()
        first_of: dict[str | None, Option] = {}
        for option in options:
            first_of.setdefault(option.id, option)  # a recent file may lie in this folder too
        listing.set_options(first_of.values())
        listing.highlighted = min(1, len(first_of) - 1) if options[0].id == ".." else 0

    def _file_line(self, name: str, size: int, rows: int | None) -> Content:
        width = max(min(self.size.width - _ABOUT_WIDTH, 60), 12)
        shown = Content(text.clean_line(name, limit=width))
        about = f"{size / 1e3:>10,.1f} kB"
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
        if path.is_dir():
            self.folder = path.resolve()
            line = self.query_one("#picker-path", Input)
            line.value = self._folder_text()
            line.cursor_position = len(line.value)
            self._list()
        elif path.is_file():
            self.dismiss(path.resolve())
        else:
            self.query_one("#picker-note", Static).update(text.line(t("There is no file {path}.", path=path)))

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
