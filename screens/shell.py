"""The shell of every full screen: top bar, rail, body, summary, status line and key bar, in step with the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from screens.help_texts import about_page
from tui import actions, text
from tui.messages import t
from tui.widgets.field import Field
from tui.widgets.keybar import Entry, KeyBar
from tui.widgets.rail import Rail
from tui.widgets.status_line import StatusLine
from tui.widgets.summary import Summary
from tui.widgets.topbar import TopBar
from tui.wizard import BY_NAME, Wizard

if TYPE_CHECKING:
    from textual.css.query import QueryType
    from textual.geometry import Size

    from tui.app import PhiftApp

COLUMN_WIDTH = 140
"""Columns from which the summary has a column of its own."""
_RANKS = {"forward": 0, "quit": 0, "help": 2, "back": 3, "next": 3, "commands": 4, "jump": 5}
"""Which actions the key bar leaves out last; those of the page come after rank 0."""
ABOUT_HEIGHT = 50
"""Rows from which that column also says what the page is for."""


class Shell(Screen[None]):
    """Draws itself once for each change of the state while it is on screen, and catches up when it comes back."""

    PLACE: ClassVar[str]
    INTRO: ClassVar[str] = ""
    """One sentence below the title, not translated yet."""
    AUTO_FOCUS = "#body *"

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As Textual's, but a move of the focus repaints the two fields it is about, not the screen: 12 kB less a Tab."""

    def __init__(self) -> None:
        super().__init__()
        self._field_left = False
        self._left: Widget | None = None
        self._stale = False

    def content(self) -> ComposeResult:
        """The widgets of the body."""
        yield from ()

    def entered(self) -> None:
        """The page is on screen, for the first time or again: start what it needs from Azure."""

    def state_changed(self) -> None:
        """The recipe or a fact changed: show it. Called once after `content` too."""

    def forward_title(self) -> str:
        """What Enter does here now, in a word or two for the key bar."""
        return t("Continue")

    def job_line(self) -> str:
        """What the status line tells of the job that is followed."""
        return self.program.followed.line()

    @property
    def program(self) -> PhiftApp:
        """The application."""
        return cast("PhiftApp", self.app)

    @property
    def wizard(self) -> Wizard:
        """The recipe and what is known about it."""
        return self.program.wizard

    @property
    def in_sandbox(self) -> bool:
        """Whether Azure is the sandbox: by the argument, or because the environment leads there."""
        azure = self.wizard.facts.azure
        return self.program.sandbox or (azure is not None and azure.sandbox)

    def compose(self) -> ComposeResult:
        """The shell around `content`."""
        yield TopBar(sandbox=self.in_sandbox)
        with Horizontal(id="page"):
            yield Rail(self.PLACE)
            with VerticalScroll(id="body", can_focus=False):
                yield Static(t(BY_NAME[self.PLACE].title), id="page-title", markup=False)
                if self.INTRO:
                    yield Static(t(self.INTRO), id="page-intro", markup=False)
                yield from self.content()
            yield Summary()
        yield Static("", id="notice", markup=False)
        yield StatusLine()
        yield KeyBar()
        yield Static(
            t("This terminal is smaller than 60 by 18. Make it larger to go on."), id="too-small", markup=False
        )

    def on_mount(self) -> None:
        """Follow the state from now on."""
        self.notice("")
        self.program.state_signal.subscribe(self, self._state_moved)
        self.program.tasks_signal.subscribe(self, self._tasks_moved)
        self.program.job_signal.subscribe(self, self._tasks_moved)
        self._sync()
        self._sync_tasks()
        # The first focus scrolled to where its widget lay before the page had its final layout.
        self.call_after_refresh(self.query_one("#body").scroll_home, animate=False)

    def _state_moved(self, _: None) -> None:
        """Follow the state while on screen; catch up on coming back, so that a key costs one page's redraw."""
        if self.is_current:
            self._sync()
        else:
            self._stale = True

    def _tasks_moved(self, _: None) -> None:
        if self.is_current:
            self._sync_tasks()
        else:
            self._stale = True

    def _sync(self) -> None:
        self._stale = False
        self.query_one(Rail).sync(self.wizard)
        self._sync_top(self.app.size)
        self._sync_summary(self.app.size)
        for field in self.query(Field):
            field.sync()
        self.state_changed()
        self._keep_focus()
        self._sync_keys()

    def _keep_focus(self) -> None:
        """A field that was hidden gives its focus to the first that is shown, or Enter would go nowhere."""
        chain = self.focus_chain
        if self.focused is not None and self.focused not in chain:
            body = self.query_one("#body")
            self.set_focus(next((widget for widget in chain if body in widget.ancestors), None))

    def _sync_tasks(self) -> None:
        self.query_one(StatusLine).sync(self.program.tasks.running(), self.job_line())
        self._sync_keys()

    def _sync_keys(self) -> None:
        order = {actions.PAGE: 0, self.PLACE: 1, actions.STEP: 2, actions.EVERYWHERE: 3}
        entries: list[Entry] = []
        in_text = isinstance(self.focused, Input | TextArea)
        hidden_at = 0
        for action in sorted(actions.for_place(self.PLACE), key=lambda each: order[each.scope]):
            enabled = self.check_action(action.action, ())
            if not action.footer or enabled is False:
                continue
            key = actions.keys_of(action)[0]
            if in_text and len(key) == 1:
                hidden_at = hidden_at or len(entries)
                continue
            title = self.forward_title() if action.id == "forward" else t(action.title)
            rank = _RANKS.get(action.id, 1)
            entries.append(Entry(actions.key_name(key), title, bool(enabled), rank))
        if hidden_at:
            # A letter would be typed into the field: the bar shows the way to the letters in their place.
            entries.insert(hidden_at, Entry(actions.key_name("escape"), t("More keys"), rank=1))
        if isinstance(self.focused, Rail):
            entries[0] = entries[0]._replace(title=t("Go there"))
            entries.insert(1, Entry("← →", t("Choose a page")))
        self.query_one(KeyBar).show(entries)

    def on_resize(self, event: events.Resize) -> None:
        """Summary and top bar show what fits."""
        self._sync_summary(event.size)
        self._sync_top(event.size)

    def _sync_top(self, size: Size) -> None:
        saved = not self.program.autosave.refused
        self.query_one(TopBar).sync(self.wizard, width=size.width, sandbox=self.in_sandbox, saved=saved)

    def _sync_summary(self, size: Size) -> None:
        column = size.width >= COLUMN_WIDTH
        about = about_page(self.PLACE) if column and size.height >= ABOUT_HEIGHT else ""
        self.query_one(Summary).sync(self.wizard, width=size.width, column=column, about=about)

    def on_screen_resume(self) -> None:
        """Back on screen; where the user had left the field, a dialog that closes does not put them back into it."""
        if self._stale:
            self._sync()
            self._sync_tasks()
        if self._field_left:
            self.call_after_refresh(self._leave_field)
        # After the page is drawn, because the thread that this may start loads the Azure SDK.
        self.call_after_refresh(self.entered)

    def on_descendant_focus(self) -> None:
        """A field has the focus again (unless it was taken back since this message was sent)."""
        if self.focused is not None:
            self._field_left = False
        self._sync_keys()

    def on_descendant_blur(self) -> None:
        """Outside a field letters are keys."""
        self._sync_keys()

    def _leave_field(self) -> None:
        self._left = self.focused or self._left
        self.set_focus(None)
        self._field_left = True

    def focus_next(self, selector: str | type[QueryType] = "*") -> Widget | None:
        """Move the focus on; out of no field, back into the one that was left."""
        if self.focused is None and self._left in self.focus_chain:
            self.set_focus(self._left)
            return self._left
        return super().focus_next(selector)

    def notice(self, message: str, *, problem: bool = False) -> None:
        """Say one thing in the line above the key bar; empty: nothing."""
        line = self.query_one("#notice", Static)
        line.display = bool(message)
        line.set_class(problem, "-problem")
        glyph = "! " if problem else "· "
        line.update(Content.assemble((glyph, "bold"), text.clean_line(message, limit=400)))
