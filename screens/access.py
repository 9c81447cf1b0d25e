"""Access: which subscription, and whether this identity can do there what the run needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.confirm import Confirm
from screens.page import Step
from tui import actions, backend, text
from tui.messages import n, t

if TYPE_CHECKING:
    from tui.services.access import Subscription
    from tui.services.doctor import Finding
    from tui.services.progress import Cancel, Report
    from tui.services.projects import Workspace

SUBSCRIPTIONS, DOCTOR, MEND = "subscriptions", "doctor", "mend"
GLYPHS = {"ok": "✓", "warning": "!", "problem": "✗", "unknown": "?"}
STYLES = {"ok": "$text-success", "warning": "$text-warning", "problem": "$text-error", "unknown": "$text-quiet"}
WORDS = {"ok": "ok", "warning": "warning", "problem": "problem", "unknown": "unknown"}


def finding_line(finding: Finding) -> Content:
    """A finding as one line: glyph, word, title."""
    style = STYLES[finding.level]
    return Content.assemble(
        (f"{GLYPHS[finding.level]} {t(WORDS[finding.level]):<8} ", style), text.clean_line(finding.title, limit=120)
    )


class AccessScreen(Step):
    """The second step."""

    PLACE = "access"
    INTRO = "Looks whether the run will be allowed; nothing is changed by looking."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("access"))

    class Found(Message):
        """The doctor made a finding; posted from the task's thread."""

        def __init__(self, finding: Finding) -> None:
            super().__init__()
            self.finding = finding

    def __init__(self) -> None:
        super().__init__()
        self._found: list[Finding] = []
        self._drawn: object = None
        self._offered: object = None

    def content(self) -> ComposeResult:
        """The subscriptions, the findings, and what mends the highlighted one."""
        yield Static("", id="subscription", markup=False)
        subscriptions = OptionList(id="subscriptions")
        subscriptions.display = False
        yield subscriptions
        yield OptionList(id="findings")
        yield Static("", id="finding", markup=False)

    def entered(self) -> None:
        """Ask for the subscriptions, then examine."""
        if self.wizard.facts.azure is None:
            self.notice(t("Nobody is signed in. F7 goes back to sign in; F8 goes on without looking."), problem=True)
        elif not self.wizard.facts.subscriptions:
            self._ask_subscriptions()
        elif self.wizard.facts.findings is None and not self.program.tasks.of(DOCTOR):
            self._examine()

    def action_refresh(self) -> None:
        """Look again."""
        if self.wizard.facts.azure:
            self._ask_subscriptions()

    def _ask_subscriptions(self) -> None:
        azure = self.wizard.facts.azure
        if azure is None:
            return

        def work(report: Report, cancel: Cancel) -> tuple[Subscription, ...]:
            return tuple(backend.access.subscriptions(azure))

        self.run_task(SUBSCRIPTIONS, t("Reading the subscriptions"), work, self._learn_subscriptions)

    def _learn_subscriptions(self, found: tuple[Subscription, ...]) -> None:
        self.wizard.learn(subscriptions=found)
        chosen = self.wizard.recipe.target.subscription
        if found and chosen not in {each.id for each in found} and (len(found) == 1 or not chosen):
            self.choose(target__subscription=found[0].id)
        if found:
            self._examine()
        else:
            self.wizard.mark(self.PLACE, "attention", t("no subscription"))

    def _examine(self) -> None:
        azure, recipe = self.wizard.facts.azure, self.wizard.recipe
        if azure is None:
            return
        self._found = []

        def tell(finding: Finding) -> None:
            self.post_message(self.Found(finding))

        def work(report: Report, cancel: Cancel) -> tuple[Finding, ...]:
            return tuple(backend.doctor.examine(azure, recipe, on_finding=tell, cancel=cancel))

        self.run_task(DOCTOR, t("Looking at permissions, providers and regions"), work, self._examined)
        self._draw()

    def _examined(self, findings: tuple[Finding, ...]) -> None:
        self.wizard.learn(findings=findings)
        problems = sum(finding.level == "problem" for finding in findings)
        if problems:
            self.wizard.mark(self.PLACE, "attention", n("{count} problem", "{count} problems", problems))
        else:
            self.wizard.mark(self.PLACE, "done")

    @on(Found)
    def _show_found(self, event: Found) -> None:
        self._found.append(event.finding)
        self._draw()

    def state_changed(self) -> None:
        """Show subscriptions and findings."""
        facts, chosen = self.wizard.facts, self.wizard.recipe.target.subscription
        names = {each.id: each.name for each in facts.subscriptions}
        options = self.query_one("#subscriptions", OptionList)
        options.display = len(facts.subscriptions) > 1
        offered = (facts.subscriptions, chosen)
        if offered != self._offered:
            self._offered = offered
            options.set_options(
                Option(Content.assemble(("● " if each.id == chosen else "○ "), text.clean_line(each.name)), each.id)
                for each in facts.subscriptions
            )
        name = names.get(chosen, chosen) or t("none chosen yet")
        self.query_one("#subscription", Static).update(
            Content.assemble((t("Subscription") + "  ", "$text-quiet"), (text.clean_line(name), "bold"))
        )
        self._draw()

    def _findings(self) -> tuple[Finding, ...]:
        known = self.wizard.facts.findings
        return known if known is not None else tuple(self._found)

    def _draw(self) -> None:
        findings = self._findings()
        drawn = (findings, self.wizard.facts.findings is None)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        listing = self.query_one("#findings", OptionList)
        before = listing.highlighted
        listing.set_options(Option(finding_line(finding)) for finding in findings)
        worst = next((index for index, each in enumerate(findings) if each.level == "problem"), 0)
        worst = next((index for index, each in enumerate(findings) if each.hub), worst)  # it mends all of them
        if findings:
            # While findings come in, the highlight stays where the user has it; then it goes to what stops the run.
            examined = self.wizard.facts.findings is not None
            listing.highlighted = worst if examined or before is None else before
        self._explain()

    def _highlighted(self) -> Finding | None:
        index, findings = self.query_one("#findings", OptionList).highlighted, self._findings()
        return findings[index] if index is not None and index < len(findings) else None

    @on(OptionList.OptionHighlighted, "#findings")
    def _explain(self) -> None:
        finding = self._highlighted()
        parts = []
        if finding:
            parts += [text.content(line, "$text-quiet" if index else "") for index, line in enumerate(finding.lines())]
            if finding.command:
                parts.append(Content.assemble(("$ ", "$text-accent"), text.clean(finding.command, limit=1_000)))
        self.query_one("#finding", Static).update(Content("\n").join(parts))
        self._sync_keys()

    @on(OptionList.OptionSelected, "#subscriptions")
    def _choose(self, event: OptionList.OptionSelected) -> None:
        if self.choose(target__subscription=event.option_id):
            self._examine()

    @on(OptionList.OptionSelected, "#findings")
    def _enter(self) -> None:
        self.action_forward()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The mending keys belong to findings that can be mended."""
        finding = self._highlighted() if self.is_mounted and action in {"mend", "command"} else None
        if action == "mend":
            return bool(finding and finding.level != "ok" and self._remedy(finding))
        if action == "command":
            return bool(finding and finding.command)
        return super().check_action(action, parameters)

    def _remedy(self, finding: Finding) -> str:
        """What this program can do about a finding itself: `register NAMESPACE`, `group`, `hub ID`, or nothing."""
        if finding.hub:
            return f"hub {finding.hub}"
        kind, _, what = finding.code.partition(".")
        if kind == "provider" and "." in what:
            return f"register {what}"
        return "group" if finding.code.startswith("group") else ""

    def action_mend(self) -> None:
        """Do what mends the finding, after a yes where that changes something on Azure; then look again."""
        finding, azure, target = self._highlighted(), self.wizard.facts.azure, self.wizard.recipe.target
        if finding is None or azure is None:
            return
        remedy, _, what = self._remedy(finding).partition(" ")
        if remedy == "hub":
            self.run_task(
                MEND, t("Reading the hub"), lambda report, cancel: backend.projects.at(azure, what), self._use
            )
            return

        def work(report: Report, cancel: Cancel) -> None:
            if remedy == "register":
                backend.access.register_provider(azure, target.subscription, what, report=report, cancel=cancel)
            else:
                backend.access.create_resource_group(azure, target.subscription, target.resource_group, target.location)

        def answered(yes: bool | None) -> None:
            if yes:
                self.run_change(azure, MEND, title, work, lambda _: self._examine())

        if remedy == "register":
            title, question = t("Registering {name}", name=what), t("Register {name}?", name=what)
        else:
            title = t("Making the resource group")
            question = t("Make the resource group {name}?", name=target.resource_group)
        body = finding.detail or t("It costs nothing.")
        self.program.push_screen(Confirm(question, text.content(body), yes=t("Yes, do it")), answered)

    def _use(self, hub: Workspace) -> None:
        """Make the run's project in a hub that exists."""
        if self.choose(target__hub=hub.name, target__resource_group=hub.default_group, target__location=hub.location):
            self._examine()

    def action_command(self) -> None:
        """Show the command that mends the finding."""
        finding = self._highlighted()
        if finding:
            self.program.show_text(t("Command"), finding.command)

    def waits_for(self) -> str:
        """The doctor."""
        return SUBSCRIPTIONS if self.program.tasks.of(SUBSCRIPTIONS) else DOCTOR

    def check(self) -> str:
        """Nothing that stops the run."""
        if self.wizard.facts.azure is None:
            return t("Nobody is signed in. F7 goes back; F8 goes on without looking.")
        problems = sum(finding.level == "problem" for finding in self.wizard.facts.findings or ())
        if problems:
            return n(
                "{count} problem stops the run: see what mends it below. F8 goes on all the same.",
                "{count} problems stop the run: see what mends them below. F8 goes on all the same.",
                problems,
            )
        return ""
