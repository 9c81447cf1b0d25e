"""What every full screen has: top bar, rail, body, summary, status line and key bar; how Enter goes forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static

from tui import actions, text
from tui.messages import t
from tui.services.errors import PhiftError
from tui.tasks import Task, Work
from tui.widgets.choice import Choice
from tui.widgets.field import Field
from tui.widgets.keybar import KeyBar
from tui.widgets.rail import Rail
from tui.widgets.status_line import StatusLine
from tui.widgets.summary import Summary
from tui.widgets.topbar import TopBar
from tui.wizard import BY_NAME, Wizard, next_place, previous_place

if TYPE_CHECKING:
    from tui.app import PhiftApp

T = TypeVar("T")
COLUMN_WIDTH = 140
"""Columns from which the summary has a column of its own."""


class Page(Screen[None]):
    """A place of the rail; a subclass sets `PLACE`, `INTRO`, `BINDINGS = actions.bindings(PLACE)`, gives `content`."""

    PLACE: ClassVar[str]
    INTRO: ClassVar[str] = ""
    """One sentence below the title, not translated yet."""
    AUTO_FOCUS = "#body *"
    BINDINGS: ClassVar[list[BindingType]] = [
        *actions.bindings(actions.PAGE),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("pagedown", "scroll_body(1)", show=False),
        Binding("pageup", "scroll_body(-1)", show=False),
    ]

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As Textual's, but a move of the focus repaints the two fields it is about, not the screen: 12 kB less a Tab."""

    def __init__(self) -> None:
        super().__init__()
        self._goes_on = False
        self._field_left = False

    # --- what a subclass gives ---------------------------------------------------------------------------------------

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

    def before_forward(self) -> None:
        """Enter was pressed: start what has to be done before the page can be left, if it is not running yet."""

    def waits_for(self) -> str:
        """Group of the task that going forward has to wait for; empty: none."""
        return ""

    def check(self) -> str:
        """Why the page cannot be left forward, with what to do; empty: it can."""
        return ""

    def leaving(self) -> bool:
        """The page is left forward: do what that means. False: something else is shown first, do not go on."""
        return True

    def action_refresh(self) -> None:
        """Ask Azure again."""
        self.entered()

    def plain_text(self) -> str:
        """The page as plain text."""
        lines: list[str] = []
        for widget in self.query("#body *"):
            if not all(node.display for node in widget.ancestors_with_self if isinstance(node, Widget)):
                continue
            if isinstance(widget, Field):
                lines.append(widget.plain_text())
            elif isinstance(widget, OptionList):
                lines += [str(option.prompt) for option in widget.options]
            elif isinstance(widget, Static | Choice) and not any(isinstance(each, Field) for each in widget.ancestors):
                lines.append(str(widget.render()))
        return "\n".join(line for line in lines if line.strip())

    # --- what every page does ----------------------------------------------------------------------------------------

    @property
    def program(self) -> PhiftApp:
        """The application."""
        return cast("PhiftApp", self.app)

    @property
    def wizard(self) -> Wizard:
        """The recipe and what is known about it."""
        return self.program.wizard

    def compose(self) -> ComposeResult:
        """The shell around `content`."""
        yield TopBar(sandbox=self.program.sandbox)
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
        self.program.state_signal.subscribe(self, lambda _: self._sync())
        self.program.tasks_signal.subscribe(self, lambda _: self._sync_tasks())
        self._sync()
        self._sync_tasks()
        # The first focus scrolled to where its widget lay before the page had its final layout.
        self.call_after_refresh(self.query_one("#body").scroll_home, animate=False)

    def _sync(self) -> None:
        self.query_one(Rail).sync(self.wizard)
        self.query_one(TopBar).sync(self.wizard)
        self.query_one(Summary).sync(self.wizard, column=self.app.size.width >= COLUMN_WIDTH)
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
        self.query_one(StatusLine).sync(self.program.tasks.running())
        self._sync_keys()

    def _sync_keys(self) -> None:
        order = {actions.PAGE: 0, self.PLACE: 1, actions.STEP: 2, actions.EVERYWHERE: 3}
        entries = []
        for action in sorted(actions.for_place(self.PLACE), key=lambda each: order[each.scope]):
            enabled = self.check_action(action.action, ())
            if action.footer and enabled is not False:
                title = self.forward_title() if action.id == "forward" else t(action.title)
                entries.append((actions.key_name(action.key.split(",")[0]), title, bool(enabled)))
        self.query_one(KeyBar).show(entries)

    def on_resize(self, event: events.Resize) -> None:
        """The summary changes its shape with the width."""
        self.query_one(Summary).sync(self.wizard, column=event.size.width >= COLUMN_WIDTH)

    def on_screen_resume(self) -> None:
        """Back on screen; where the user had left the field, a dialog that closes does not put them back into it."""
        self._goes_on = False
        if self._field_left:
            self.call_after_refresh(self._leave_field)
        self.entered()

    def on_descendant_focus(self) -> None:
        """A field has the focus again (unless it was taken back since this message was sent)."""
        if self.focused is not None:
            self._field_left = False

    def _leave_field(self) -> None:
        self.set_focus(None)
        self._field_left = True

    def on_screen_suspend(self) -> None:
        """Off screen: a wait for going forward ends."""
        self._goes_on = False

    def notice(self, message: str, *, problem: bool = False) -> None:
        """Say one thing in the line above the key bar; empty: nothing."""
        line = self.query_one("#notice", Static)
        line.display = bool(message)
        line.set_class(problem, "-problem")
        glyph = "! " if problem else "· "
        line.update(Content.assemble((f" {glyph}", "bold"), text.clean_line(message, limit=400)))

    def run_task(
        self,
        group: str,
        title: str,
        work: Work[T],
        done: Callable[[T], None] | None = None,
        *,
        failed: Callable[[PhiftError], None] | None = None,
        quiet: bool = False,
    ) -> Task[T]:
        """Run service calls in the background (see `Tasks.start`); a wait for going forward ends with the task."""

        def finished(result: T) -> None:
            if done:
                done(result)
            if self._goes_on and self.is_current:
                self._goes_on = False
                self.action_forward()

        def stopped(error: PhiftError) -> None:
            self._goes_on = False
            self.notice("")
            if failed:
                failed(error)
            else:
                self.program.show_error(error)

        return self.program.tasks.start(group, title, work, done=finished, failed=stopped, quiet=quiet)

    @property
    def is_waiting(self) -> bool:
        """Whether the page goes forward by itself when its task is done."""
        return self._goes_on

    def action_forward(self) -> None:
        """Check the page and go on; where a task has to end first, go on when it has."""
        for field in self.query(Field):
            if field.error and field.display:
                field.show_error()
                field.editor.focus()
                self.notice(f"{field.label}: {field.error}", problem=True)
                return
        self.before_forward()
        group = self.waits_for()
        running = self.program.tasks.of(group) if group else None
        if running:
            self._goes_on = True
            self.notice(t("Goes on when this is done: {task}. Esc: stay here.", task=running.title))
            return
        problem = self.check()
        if problem:
            self.notice(problem, problem=True)
            return
        self.notice("")
        if self.leaving():
            self.program.go(next_place(self.PLACE))

    def action_next(self) -> None:
        """Go on without a check."""
        self.program.go(next_place(self.PLACE))

    def action_back(self) -> None:
        """Go back."""
        self.program.go(previous_place(self.PLACE))

    def action_leave_field(self) -> None:
        """Leave the field, or stop waiting to go forward; destroys nothing."""
        if self._goes_on:
            self._goes_on = False
        else:
            self._leave_field()
        self.notice("")

    def action_scroll_body(self, pages: int) -> None:
        """Scroll the body by pages."""
        body = self.query_one("#body", VerticalScroll)
        body.scroll_relative(y=pages * max(body.size.height - 2, 1), animate=False)

    def action_plain(self) -> None:
        """Show the page as plain text."""
        self.program.show_text(t(BY_NAME[self.PLACE].title), self.plain_text())

    @on(Input.Submitted)
    def _enter_in_field(self, event: Input.Submitted) -> None:
        self.action_forward()

    @on(Field.Changed)
    def _field_mended(self, event: Field.Changed) -> None:
        self.notice("")

    @on(Rail.Chosen)
    def _chosen(self, event: Rail.Chosen) -> None:
        self.program.go(event.place)


class Step(Page):
    """A step before the submit: done when it was left forward."""

    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings(actions.STEP)]

    def leaving(self) -> bool:
        """Mark the step as done."""
        self.wizard.mark(self.PLACE, "done")
        return True
