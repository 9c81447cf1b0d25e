"""Clean up: what exists, what of it bills, and removing it in the order that Azure asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import OptionList, Static

from screens.confirm_typed import ConfirmTyped
from screens.run_page import RunPage, day
from tui import actions, backend
from tui.messages import n, t
from tui.services.errors import Cancelled, PhiftError
from tui.text import line
from tui.widgets.check_list import CheckList
from tui.widgets.columns import Column
from tui.widgets.live_line import LiveLine
from tui.widgets.progress_line import ProgressLine
from tui.widgets.row_list import Row

if TYPE_CHECKING:
    from tui.services.cleanup import Item, Outcome
    from tui.services.clients import Azure
    from tui.services.projects import Workspace

_REMOVE = "cleanup.remove"
_LOOK = "cleanup.look"
_SPENT = "cleanup.spent"
_KINDS = {
    "endpoint": "endpoint",
    "job": "job",
    "model": "model",
    "data": "data",
    "project": "project",
    "hub": "hub",
    "storage": "storage",
    "vault": "vault",
}
_LISTED = 4  # more than this many removals are said as a number
_ORDER = tuple(_KINDS)  # as Azure asks for it: what depends on something goes before it


class CleanupScreen(RunPage):
    """The inventory of the project."""

    PLACE = "cleanup"
    SHOWS = _REMOVE
    INTRO = "What this project has on Azure, in the order of removal. Space marks, Enter removes."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("cleanup"))

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[str, Item] = {}
        self._marked_once = False
        self._list = CheckList(
            (
                Column(t("kind"), 12),
                Column(t("name"), 0),
                Column(t("bills"), 20),
                Column(t("state"), 28, from_width=96),
                Column(t("since"), 16, from_width=110),
            ),
            t("Asking Azure what there is…"),
        )

    def content(self) -> ComposeResult:
        """What bills, the list, progress, outcomes."""
        yield LiveLine(classes="trouble")
        yield LiveLine(classes="billing")
        spent = LiveLine(classes="spent quiet")
        spent.display = False
        yield spent
        yield self._list
        yield LiveLine(classes="about quiet")
        yield ProgressLine(classes="progress")
        yield Static(classes="outcomes", markup=False)

    def blocked(self, reason: str) -> None:
        """There is nothing to list."""
        self._list.say(reason)

    def ready(self, azure: Azure, workspace: Workspace) -> None:
        """Ask what there is."""
        if self.program.tasks.of(_REMOVE):
            return
        self.program.tasks.start(
            _LOOK, t("Asking what there is"),
            lambda report, cancel: backend.cleanup.inventory(azure, workspace),
            done=self._looked, failed=lambda error: self.not_answered(error, self._items), quiet=True,
        )  # fmt: skip

        self.program.tasks.start(
            _SPENT, t("Reckoning what was spent"),
            lambda report, cancel: backend.spending.so_far(azure, workspace).line(),
            done=self._reckoned, failed=lambda _: None, quiet=True,
        )  # fmt: skip

    def _reckoned(self, spent: str) -> None:
        shown = self.query_one(".spent", LiveLine)
        shown.display = True
        shown.show(line(spent), layout=True)

    def _looked(self, items: list[Item]) -> None:
        self.tell_trouble("")
        ordered = sorted(items, key=lambda item: _ORDER.index(item.kind) if item.kind in _ORDER else len(_ORDER))
        self._items = {item.id: item for item in ordered}
        rows = self._list
        rows.say(t("Nothing is left in this project."))
        rows.show([self._row(item) for item in ordered])
        billing = [item for item in ordered if item.billable]
        if not self._marked_once:
            self._marked_once = True
            rows.choose([item.id for item in billing])
        self.query_one(".billing", LiveLine).show(self._billing(billing), layout=True)
        if billing:
            self.wizard.unmark(self.PLACE)
        else:
            self.wizard.mark(self.PLACE, "done")
        if self.focused is None:
            rows.options.focus()
        self._about()

    def _billing(self, billing: list[Item]) -> Content:
        if not billing:
            return Content.styled(t("✓ Nothing here bills by the hour."), "$text-success")
        known = [item.hourly for item in billing if item.hourly]
        said = n("! {count} thing bills while it stands", "! {count} things bill while they stand", len(billing))
        if len(known) == len(billing) and len({price.currency for price in known}) == 1:
            total = sum(price.amount for price in known)
            said += t(": {amount:.2f} {currency} an hour", amount=total, currency=known[0].currency)
            spent = [item.accrued for item in billing if item.accrued is not None]
            if spent:
                said += t(", about {amount:.2f} so far", amount=sum(spent))
        else:
            said += t("; the price of some is unknown")
        return Content.styled(said, "bold $text-warning")

    def _row(self, item: Item) -> Row:
        bills = Content("—")
        if item.billable:
            said = t("yes; price unknown")
            if item.hourly:
                said = t("{amount:.2f} {currency} an hour", amount=item.hourly.amount, currency=item.hourly.currency)
            bills = Content.styled(f"! {said}", "$text-warning")
        kind = Content(t(_KINDS.get(item.kind, item.kind)))
        state = line(item.reason_kept or item.detail)
        return Row(item.id, (kind, line(item.name), bills, state, Content(day(item.created))))

    @on(OptionList.OptionHighlighted)
    @on(CheckList.Changed)
    def _about(self) -> None:
        rows = self._list
        item = self._items.get(rows.key)
        parts = [n("{count} marked", "{count} marked", len(rows.chosen))] if self._items else []
        if item and item.reason_kept:
            parts.append(t("{name} stays for now: {reason}", name=item.name, reason=item.reason_kept))
        self.query_one(".about", LiveLine).show(line(" · ".join(parts)))
        self._sync_keys()

    @on(OptionList.OptionSelected)
    def _entered_row(self) -> None:
        self.action_forward()

    # --- what the user does ------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing can be marked where nothing is."""
        if action == "choose_billing":
            return any(item.billable for item in self._items.values())
        return bool(self._items) or action not in ("mark", "choose_all")

    def action_mark(self) -> None:
        """Mark the highlighted thing, or no longer."""
        self._list.action_turn_over()

    def action_choose_billing(self) -> None:
        """Mark what bills, and nothing else."""
        self._list.choose([key for key, item in self._items.items() if item.billable])

    def action_choose_all(self) -> None:
        """Mark everything, or nothing."""
        rows = self._list
        rows.choose([] if len(rows.chosen) == len(self._items) else list(self._items))

    def onward_title(self) -> str:
        """Enter removes what is marked."""
        return t("Remove") if self._list.chosen else t("Continue")

    def action_forward(self) -> None:
        """Remove what is marked, after its number or name was typed; with nothing marked, go on."""
        chosen = [self._items[key] for key in self._list.chosen]
        if self.before_project() or not chosen or self.program.tasks.of(_REMOVE):
            super().action_forward()
            return
        whole = next((item for item in chosen if item.kind in ("project", "hub", "storage", "vault")), None)
        word = whole.name if whole else str(len(chosen))
        hint = t("To remove them, type the name") if whole else t("To remove them, type their number,")
        lines = [f"{t(_KINDS[item.kind])} {item.name}" for item in chosen]
        title = n("Remove {count} thing from Azure?", "Remove {count} things from Azure?", len(chosen))
        self.app.push_screen(
            ConfirmTyped(title, [t("This cannot be undone:"), *lines], t("Remove"), word, hint),
            lambda yes: self._remove(chosen) if yes else None,
        )

    def _remove(self, chosen: list[Item]) -> None:
        azure = self.azure
        self.query_one(".outcomes", Static).update("")
        self.run_task(
            _REMOVE,
            n("Removing {count} thing", "Removing {count} things", len(chosen)),
            lambda report, cancel: backend.cleanup.remove(azure, chosen, report=report, cancel=cancel),
            self._removed,
            failed=self._not_removed,
        )

    def _not_removed(self, error: PhiftError) -> None:
        if not isinstance(error, Cancelled):
            self.program.show_error(error)
            return
        self.notice(t("The removal was stopped; what Azure had begun goes on, and what is left is listed anew."))
        self.action_refresh()

    def _removed(self, outcomes: list[Outcome]) -> None:
        done = [outcome for outcome in outcomes if outcome.removed]
        left = [outcome for outcome in outcomes if not outcome.removed]
        shown = [Content.assemble(("! ", "$text-error"), line(outcome.line(), limit=300)) for outcome in left]
        if len(done) > _LISTED:
            said = n("{count} thing removed", "{count} things removed", len(done))
            shown.append(Content.styled(f"✓ {said}", "$text-success"))
        else:
            shown += [Content.assemble(("✓ ", "$text-success"), line(outcome.line(), limit=300)) for outcome in done]
        self.query_one(".outcomes", Static).update(Content("\n").join(shown))
        gone = {outcome.item.name for outcome in outcomes if outcome.removed and outcome.item.kind == "endpoint"}
        endpoint = self.wizard.facts.endpoint
        if endpoint and endpoint.name in gone:
            self.wizard.learn(endpoint=None)
        if any(outcome.removed and outcome.item.kind == "project" for outcome in outcomes):
            self.program.tasks.cancel(_LOOK)
            self.wizard.learn(workspace=None, job="", endpoint=None)
            self._items = {}
            self._list.show([])
            self.blocked(t("The project is gone."))
            for name in (".billing", ".about"):
                self.query_one(name, LiveLine).show(Content(""))
            return
        self.action_refresh()
