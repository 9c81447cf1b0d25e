"""Hub and project: where in Azure the run lives, with what is there already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.confirm import Confirm
from screens.page import Step
from tui import actions, backend, text
from tui.messages import t
from tui.services.errors import NotFound, PermissionDenied, PhiftError
from tui.widgets.field import Field

if TYPE_CHECKING:
    from tui.services.access import ResourceGroup
    from tui.services.progress import Cancel, Report
    from tui.services.projects import Workspace

T = TypeVar("T")
LISTING, CREATE = "workspaces", "project"


@dataclass(frozen=True)
class Known:
    """What is there."""

    groups: tuple[ResourceGroup, ...]
    locations: tuple[str, ...]
    hubs: tuple[Workspace, ...]
    projects: tuple[Workspace, ...]
    accounts: tuple[str, ...]
    """Resource ids of the Azure AI Services accounts."""


class ProjectScreen(Step):
    """The third step."""

    PLACE = "project"
    INTRO = "What does not exist yet is made when the run is submitted; F6 makes it now."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("project"))

    def __init__(self) -> None:
        super().__init__()
        self._accounts: tuple[str, ...] = ()
        self._offered: object = None
        self._asked_for: object = None

    def content(self) -> ComposeResult:
        """The fields, what exists, and the projects to choose from."""
        yield Field("target.hub", t("Hub"), hint=t("3–33 letters, 0–9 - _"))
        yield Field("target.project", t("Project"), hint=t("3–33 letters, 0–9 - _"))
        yield Field("target.resource_group", t("Resource group"), hint=t("up to 90 characters"))
        yield Field("target.location", t("Region"), hint=t("for example eastus2"))
        yield Field("target.ai_services", t("AI Services"), hint=t("empty: none · new · an id"),
                    help_line=t("Connected to the hub; Azure AI Search is not needed."))  # fmt: skip
        yield Static("", id="existing", markup=False)
        yield OptionList(id="projects")

    def entered(self) -> None:
        """Ask what is there, once for a subscription."""
        key = (self.wizard.facts.azure, self.wizard.recipe.target.subscription)
        if key[0] and key[1] and key != self._asked_for and not self.program.tasks.of(LISTING):
            self.action_refresh()

    def action_refresh(self) -> None:
        """Ask what is there."""
        azure, subscription = self.wizard.facts.azure, self.wizard.recipe.target.subscription
        if azure is None or not subscription:
            return
        self._asked_for = (azure, subscription)

        def work(report: Report, cancel: Cancel) -> Known:
            return Known(
                _visible(lambda: backend.access.resource_groups(azure, subscription)),
                _visible(lambda: backend.access.locations(azure, subscription)),
                tuple(backend.projects.hubs(azure, subscription)),
                tuple(backend.projects.projects(azure, subscription)),
                _visible(lambda: backend.projects.ai_services(azure, subscription)),
            )

        self.run_task(LISTING, t("Reading hubs and projects"), work, self._learn, failed=self._not_read)

    def _not_read(self, error: PhiftError) -> None:
        """Who may only make a project need not be able to list what there is: the fields can be filled all the same."""
        self.query_one("#existing", Static).update("")
        reason = error.message.rstrip(".")
        self.notice(t("What exists already was not read: {reason}. Type the names.", reason=reason), problem=True)

    def _learn(self, known: Known) -> None:
        self._accounts = known.accounts
        self.wizard.learn(
            resource_groups=known.groups, locations=known.locations, hubs=known.hubs, projects=known.projects
        )

    def state_changed(self) -> None:
        """Show what exists and what will be made."""
        facts, target = self.wizard.facts, self.wizard.recipe.target
        offered = (facts.projects, facts.hubs, facts.locations, facts.resource_groups)
        if offered != self._offered:
            self._offered = offered
            for name, values in (
                ("hub", [each.name for each in facts.hubs]),
                ("project", [each.name for each in facts.projects]),
                ("resource_group", [each.name for each in facts.resource_groups]),
                ("location", list(facts.locations)),
                ("ai_services", ["new", *self._accounts]),
            ):
                editor = self.query_one(f"#field-target-{name}", Field).editor
                assert isinstance(editor, Input)  # noqa: S101  # they are text fields
                editor.suggester = SuggestFromList(values, case_sensitive=False) if values else None
            self.query_one("#projects", OptionList).set_options(
                Option(
                    Content.assemble(
                        (text.clean_line(each.name, limit=34), "bold"),
                        (f"  {text.clean_line(each.location)}  {text.clean_line(each.resource_group)}", "$text-quiet"),
                    ),
                    each.id,
                )
                for each in facts.projects
            )
            self.query_one("#projects", OptionList).action_first()
        self.query_one("#projects").display = bool(facts.projects)
        self.query_one("#existing", Static).update(self._existing())
        region = self.query_one("#field-target-location", Field)
        if facts.locations and not region.error and target.location not in facts.locations:
            region.show_error(t("This subscription has no region {name}.", name=target.location))

    def _existing(self) -> Content:
        facts, target = self.wizard.facts, self.wizard.recipe.target
        lines = []
        if self._asked_for is None:
            return Content.styled(t("What exists is shown once you are signed in."), "$text-quiet")
        group = target.resource_group.casefold()
        groups = [each.name for each in facts.resource_groups]
        groups += [each.resource_group for each in (*facts.hubs, *facts.projects)]  # groups may be hidden
        for label, name, there, taken in (
            (t("Resource group"), target.resource_group, groups, []),
            (t("Hub"), target.hub, self._in_group(facts.hubs, group), self._in_group(facts.projects, group)),
            (t("Project"), target.project, self._in_group(facts.projects, group), self._in_group(facts.hubs, group)),
        ):
            if name.casefold() in {each.casefold() for each in taken}:
                glyph, style, word = "✗", "$text-error", t("the name is taken by something else")
            elif name.casefold() in {each.casefold() for each in there}:
                glyph, style, word = "✓", "$text-success", t("exists")
            else:
                glyph, style, word = "+", "$text-accent", t("will be made")
            lines.append(Content.assemble((f"{glyph} ", style), f"{label} {text.clean_line(name)}  ", (word, style)))
        if target.ai_services:
            account = text.clean_line(target.ai_services.rpartition("/")[2])
            word = t("will be made") if account == "new" else t("will be connected")
            lines.append(Content.assemble(("+ ", "$text-accent"), f"AI Services {account}  ", (word, "$text-accent")))
        if facts.projects:
            lines += [Content(""), Content.styled(t("Existing projects; Enter takes one:"), "$text-quiet")]
        return Content("\n").join(lines)

    @staticmethod
    def _in_group(known: tuple[Workspace, ...], group: str) -> list[str]:
        """Names of the hubs or projects in a resource group: a name is taken there, and free elsewhere."""
        return [each.name for each in known if each.resource_group.casefold() == group]

    @on(OptionList.OptionSelected, "#projects")
    def _take(self, event: OptionList.OptionSelected) -> None:
        project = next(each for each in self.wizard.facts.projects if each.id == event.option_id)
        hub = project.hub_id.rpartition("/")[2]
        changes = {"target__project": project.name, "target__resource_group": project.resource_group}
        changes["target__location"] = project.location
        if hub:
            changes["target__hub"] = hub
        if self.choose(**changes):
            self.action_forward()

    def action_create(self) -> None:
        """Ask, then make hub and project in the background."""
        if self.wizard.facts.azure is None:
            self.notice(t("Sign in first (F7)."), problem=True)
            return
        target = self.wizard.recipe.target
        body = Content("\n\n").join(
            [
                text.content(t("Hub {hub} and project {project} in {group}, {region}.", hub=target.hub,
                               project=target.project, group=target.resource_group, region=target.location)),
                Content(t("A hub brings a storage account and a key vault; both cost a little until deleted.")),
            ]
        )  # fmt: skip
        sandbox = self.in_sandbox
        question = Confirm(t("Create hub and project now?"), body, yes=t("Create"), enter_is_yes=sandbox)
        self.program.push_screen(question, self._create)

    def _create(self, answer: bool | None) -> None:
        azure, target, settings = self.wizard.facts.azure, self.wizard.recipe.target, self.program.settings
        if not answer or azure is None:
            return

        def work(report: Report, cancel: Cancel) -> Workspace:
            journal = backend.journal.Journal(settings.journal)
            hub = backend.projects.ensure_hub(azure, target, journal=journal, report=report, cancel=cancel)
            return backend.projects.ensure_project(azure, target, hub, journal=journal, report=report, cancel=cancel)

        self.run_change(azure, CREATE, t("Creating hub and project"), work, self._created)

    def _created(self, workspace: Workspace) -> None:
        self.wizard.learn(workspace=workspace)
        self.program.notify(t("The project exists now."), markup=False)
        self.action_refresh()

    def check(self) -> str:
        """The region is one that the subscription has."""
        facts, region = self.wizard.facts, self.wizard.recipe.target.location
        if facts.locations and region not in facts.locations:
            near = [name for name in facts.locations if name.startswith(region[:4])]
            return t("This subscription has no region {name}.", name=region) + (
                " " + t("Near it: {names}.", names=", ".join(near[:5])) if near else ""
            )
        return ""


def _visible(read: Callable[[], list[T]]) -> tuple[T, ...]:
    """What is only suggested; nothing where it may not be listed, as it can be typed all the same."""
    try:
        return tuple(read())
    except (PermissionDenied, NotFound):
        return ()
