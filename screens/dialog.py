"""What every dialog has: a title, a body that scrolls, a line of keys; Esc closes it and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import ComposeResult, RenderResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.reactive import Reactive
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from tui.messages import t
from tui.widgets.progress_line import ProgressLine

if TYPE_CHECKING:
    from tui.app import PhiftApp

ResultT = TypeVar("ResultT")
Key = tuple[str, str]
"""Name of a key as people write it, and what it does."""


class Overlay(ModalScreen[ResultT]):
    """Closes once: a second key that was typed before it was gone neither answers again nor closes what is below."""

    _answered = False

    def dismiss(self, result: ResultT | None = None) -> AwaitComplete:
        """Close with a result, unless it is closed."""
        if self._answered:
            return AwaitComplete()
        self._answered = True
        return super().dismiss(result)


class KeyLine(Widget):
    """The keys of a dialog, on as many rows as they need; a key and what it does stay on one."""

    keys: Reactive[tuple[Key, ...]] = Reactive((), layout=True)

    def __init__(self, keys: Sequence[Key], *, name: str = "dialog-keys") -> None:
        super().__init__(id=name)
        self.set_reactive(KeyLine.keys, tuple(keys))

    def show(self, keys: Sequence[Key]) -> None:
        """Show these keys; draws only if they differ."""
        self.keys = tuple(keys)

    def _rows(self, width: int) -> list[Content]:
        rows: list[Content] = []
        for key, title in self.keys:
            entry = Content.assemble((key, "bold $text-accent"), f" {title}")
            if rows and rows[-1].cell_length + 3 + entry.cell_length <= width:
                rows[-1] = Content("   ").join([rows[-1], entry])
            else:
                rows.append(entry)
        return rows

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the keys need."""
        return len(self._rows(width))

    def render(self) -> RenderResult:
        """The rows."""
        return Content("\n").join(self._rows(self.content_size.width))


class Dialog(Overlay[ResultT | None]):
    """A panel over the page. A subclass gives `heading`, `content` and `keys`."""

    AUTO_FOCUS = "#dialog-body *"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", show=False),
        Binding("down", "scroll_text(1)", show=False),
        Binding("up", "scroll_text(-1)", show=False),
        Binding("pagedown", "scroll_text(10)", show=False),
        Binding("pageup", "scroll_text(-10)", show=False),
    ]

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As in `Page`."""

    @property
    def program(self) -> PhiftApp:
        """The application."""
        return cast("PhiftApp", self.app)

    def heading(self) -> str:
        """The title."""
        return ""

    def content(self) -> ComposeResult:
        """The widgets of the body."""
        yield from ()

    def keys(self) -> Sequence[Key]:
        """The keys beside Esc."""
        return ()

    def compose(self) -> ComposeResult:
        """The panel."""
        with Vertical(id="dialog"):
            yield Static(self.heading(), id="dialog-title", markup=False)
            with VerticalScroll(id="dialog-body", can_focus=False):
                yield from self.content()
            yield KeyLine((*self.keys(), ("Esc", t("Close"))))

    def follow(self, group: str) -> None:
        """From now on the dialog's `ProgressLine` shows how far the task of a group is."""

        def show(_: None) -> None:
            for line in self.query(ProgressLine):
                line.show_task(self.program.tasks.of(group))

        self.program.tasks_signal.subscribe(self, show)

    def on_resize(self) -> None:
        """Say how to read on where the text is longer than the panel."""
        self.call_after_refresh(self._say_how_to_read_on)

    def _say_how_to_read_on(self) -> None:
        longer = self.query_one("#dialog-body").max_scroll_y > 0 and not self.focused
        more = [("↑ ↓", t("Scroll"))] if longer and not any(key == "↑ ↓" for key, _ in self.keys()) else []
        self.query_one(KeyLine).show((*self.keys(), *more, ("Esc", t("Close"))))

    def action_scroll_text(self, by: int) -> None:
        """Scroll the text by lines."""
        self.query_one("#dialog-body").scroll_relative(y=by, animate=False)

    def action_close(self) -> None:
        """Close without a result."""
        self.dismiss(None)
