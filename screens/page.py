"""What a place of the rail can do: go forward by Enter, back and next; run tasks; be shown as plain text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input

from screens.shell import Shell
from tui import actions
from tui.messages import t
from tui.recipe import RecipeError
from tui.services.errors import PhiftError, UsageError
from tui.services.progress import Cancel, Report
from tui.tasks import Task, Work
from tui.widgets.field import Field
from tui.widgets.labelled_input import LabelledInput
from tui.widgets.page_text import page_text
from tui.widgets.rail import Rail
from tui.wizard import BY_NAME, next_place, previous_place

if TYPE_CHECKING:
    from tui.services.clients import Azure

T = TypeVar("T")


class Page(Shell):
    """A place of the rail; a subclass sets `PLACE`, `INTRO`, `BINDINGS = actions.bindings(PLACE)`, gives `content`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *actions.bindings(actions.PAGE),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("pagedown", "scroll_body(1)", show=False),
        Binding("pageup", "scroll_body(-1)", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._goes_on = False

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

    def choose(self, **changes: Any) -> bool:
        """Take `part__field=value` changes that were not typed; False, with the reason said: one is not possible."""
        try:
            self.wizard.change(**changes)
        except RecipeError as error:
            self.program.show_error(UsageError(t("Not possible: {reason}.", reason=error)))
            return False
        return True

    def action_refresh(self) -> None:
        """Ask Azure again."""
        self.entered()

    def plain_text(self) -> str:
        """The page as plain text."""
        return page_text(self.query("#body *"))

    def on_screen_resume(self) -> None:
        """Back on screen: going forward is a new decision."""
        self._goes_on = False

    def on_screen_suspend(self) -> None:
        """Off screen: a wait for going forward ends."""
        self._goes_on = False

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
                self.program.show_error(error, title)

        return self.program.tasks.start(group, title, work, done=finished, failed=stopped, quiet=quiet)

    def run_change(
        self,
        azure: Azure,
        group: str,
        title: str,
        work: Work[T],
        done: Callable[[T], None] | None = None,
        *,
        failed: Callable[[PhiftError], None] | None = None,
    ) -> Task[T]:
        """Run what changes something on Azure and may be repeated: it outlasts a lost network, until it is stopped."""

        def lasting(report: Report, cancel: Cancel) -> T:
            return azure.outlast(lambda: work(report, cancel), report, cancel)

        return self.run_task(group, title, lasting, done, failed=failed)

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
            self.program.go(self.wizard.onward(self.PLACE))

    def action_next(self) -> None:
        """Go on without a check."""
        self.program.go(next_place(self.PLACE))

    def action_back(self) -> None:
        """Go back."""
        self.program.go(previous_place(self.PLACE))

    def action_leave_field(self) -> None:
        """Leave the field, and stop waiting to go forward; destroys nothing."""
        self._goes_on = False
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
    @on(LabelledInput.PutRight)
    def _field_mended(self) -> None:
        self.notice("")

    @on(Rail.Chosen)
    def _chosen(self, event: Rail.Chosen) -> None:
        if event.place == self.PLACE:
            self.action_forward()
        else:
            self.program.go(event.place)


class Step(Page):
    """A step before the submit: done when it was left forward."""

    BINDINGS: ClassVar[list[BindingType]] = [*actions.bindings(actions.STEP)]

    def leaving(self) -> bool:
        """Mark the step as done."""
        self.wizard.mark(self.PLACE, "done")
        return True
