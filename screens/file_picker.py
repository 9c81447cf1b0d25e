"""A file picker for files on this machine: recent ones, folders, sizes, completion."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.dialog import Dialog, Key
from tui import text
from tui.messages import t
from tui.paths import expanded
from tui.widgets.path_suggester import PathSuggester

_ENTRIES = 2_000  # names shown of one folder
_COUNTED_BYTES = 4 << 20  # files up to this size have their rows counted as the list is drawn


def _rows(path: Path, size: int) -> str:
    """Rows of a small file; empty for a large one, whose rows the check counts."""
    if size > _COUNTED_BYTES or path.suffix != ".jsonl":
        return ""
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    return f"{sum(1 for line in data.splitlines() if line.strip()):,}"


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
            rows = _rows(Path(entry.path), size)
            about = f"{size / 1e3:>10,.1f} kB" + (f"  {rows} " + t("rows") if rows else "")
            style = "" if entry.name.endswith(".jsonl") else "$text-quiet"
            options.append(
                Option(
                    Content.assemble((f"  {text.clean_line(entry.name, limit=44):<44}", style), (about, "$text-quiet")),
                    entry.path,
                )
            )
        first_of: dict[str | None, Option] = {}
        for option in options:
            first_of.setdefault(option.id, option)  # a recent file may lie in this folder too
        listing.set_options(first_of.values())
        listing.highlighted = 0

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
