"""What every dialog has: a title, a body that scrolls, a line of keys; Esc closes it and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.reactive import Reactive
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from tui.messages import t

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


class Dialog(Overlay[ResultT | None]):
    """A panel over the page. A subclass gives `heading`, `content` and `keys`."""

    AUTO_FOCUS = "#dialog-body *"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", show=False)]

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
            yield Static(self._key_line(), id="dialog-keys", markup=False)

    def _key_line(self) -> Content:
        parts = []
        for key, title in (*self.keys(), ("Esc", t("Close"))):
            parts += [Content.styled(key, "bold $text-accent"), Content(f" {title}   ")]
        return Content("").join(parts)

    def action_close(self) -> None:
        """Close without a result."""
        self.dismiss(None)
