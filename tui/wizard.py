"""The wizard without a screen: its places, the recipe, what is known about it, and which steps are done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from tui.recipe import Recipe
    from tui.services.access import ResourceGroup, Subscription
    from tui.services.catalog import Catalogue, Model
    from tui.services.clients import Azure
    from tui.services.costs import Estimate
    from tui.services.datasets import Prepared
    from tui.services.deployments import Endpoint
    from tui.services.doctor import Finding
    from tui.services.projects import Workspace
    from tui.settings import Settings

State = Literal["done", "current", "attention", "todo"]


@dataclass(frozen=True)
class Place:
    """One full screen that the rail leads to."""

    name: str
    """Name of the mode."""
    title: str
    """Title on the rail, not translated yet."""
    screen: str
    """`module:Class`, imported when the place is first visited."""
    key: str
    """Letter or digit of the rail's entry in jump mode."""
    setup: bool = False
    """Whether it is a step before the submit."""


PLACES: tuple[Place, ...] = (
    Place("sign_in", "Sign in", "screens.sign_in:SignInScreen", "1", True),
    Place("access", "Access", "screens.access:AccessScreen", "2", True),
    Place("project", "Project", "screens.project:ProjectScreen", "3", True),
    Place("model", "Model", "screens.model:ModelScreen", "4", True),
    Place("data", "Data", "screens.data:DataScreen", "5", True),
    Place("validation", "Validation", "screens.validation:ValidationScreen", "6", True),
    Place("hyperparameters", "Hyperparameters", "screens.hyperparameters:HyperparametersScreen", "7", True),
    Place("review", "Review", "screens.review:ReviewScreen", "8", True),
    Place("monitor", "Monitor", "screens.monitor:MonitorScreen", "m"),
    Place("deploy", "Deploy", "screens.deploy:DeployScreen", "d"),
    Place("playground", "Playground", "screens.playground:PlaygroundScreen", "p"),
    Place("evaluate", "Evaluate", "screens.evaluate:EvaluateScreen", "e"),
    Place("cleanup", "Clean up", "screens.cleanup:CleanupScreen", "c"),
    Place("jobs", "Jobs", "screens.jobs:JobsScreen", "j"),
)
"""All places in the order of the rail; Enter leads from one to the next."""

BY_NAME = {place.name: place for place in PLACES}


@dataclass(frozen=True)
class Mark:
    """What is known of a step besides that it exists."""

    state: Literal["done", "attention"]
    note: str = ""
    """Why it needs attention, in a few words."""


@dataclass(frozen=True)
class Facts:
    """What Azure and the data desk said about the recipe. Never saved; cleared where a change makes it untrue."""

    azure: Azure | None = None
    """The connection; None: not signed in."""
    subscriptions: tuple[Subscription, ...] = ()
    resource_groups: tuple[ResourceGroup, ...] = ()
    locations: tuple[str, ...] = ()
    hubs: tuple[Workspace, ...] = ()
    projects: tuple[Workspace, ...] = ()
    findings: tuple[Finding, ...] | None = None
    """The doctor's findings; None: not examined."""
    catalogue: Catalogue | None = None
    report: Any = None
    """The data desk's report on the training file (`tui.dataset.report.Report`); None: not checked."""
    prepared: Prepared | None = None
    """Training and validation files ready for upload."""
    estimate: Estimate | None = None
    workspace: Workspace | None = None
    """The project, once it exists."""
    job: str = ""
    """Name of the job that the monitor shows."""
    endpoint: Endpoint | None = None
    """The endpoint that the playground asks."""


_OF_A_JOB = ("monitor", "deploy", "playground", "evaluate")
# What a change of a part of the recipe makes untrue: facts and steps' marks. The review is always made anew.
_FACTS_OF = {
    "target": ("findings", "workspace", "estimate"),
    "model": ("prepared", "report", "estimate", "findings"),
    "data": ("prepared", "report", "estimate"),
    "validation": ("prepared", "estimate"),
    "hyperparameters": ("estimate",),
    "budget": ("estimate",),
}
_STEPS_OF = {
    "target": ("access", "project", "model"),
    "model": ("model", "data", "validation", "hyperparameters"),
    "data": ("data", "validation"),
    "validation": ("validation",),
    "hyperparameters": ("hyperparameters",),
}


class Start(NamedTuple):
    """What the wizard begins with."""

    settings: Settings
    recipe: Recipe | None
    """None: the last draft is offered."""
    base: Path
    """Folder that the recipe's relative paths start from."""


@dataclass
class Wizard:
    """The recipe being made and what is known about it; the one place where either changes."""

    recipe: Recipe
    base: Path
    """Folder that the recipe's relative paths start from."""
    changed: Callable[[], None]
    """Called after every change."""
    facts: Facts = field(default_factory=Facts)
    marks: dict[str, Mark] = field(default_factory=dict)
    left_at: str = ""
    """Place where the draft was left, to which the sign-in leads; empty: to the next one."""

    @property
    def model(self) -> Model | None:
        """The recipe's model in the catalogue; None: no catalogue yet, or no such model in it."""
        catalogue = self.facts.catalogue
        if catalogue is None:
            return None
        from tui.services.catalog import find  # loaded already: a catalogue came from there

        return find(catalogue, self.recipe.model.name, self.recipe.model.version)

    def change(self, **changes: Any) -> None:
        """Take `part__field=value` changes.

        Raises:
            RecipeError: a value is out of range; nothing is changed.
        """
        self.take(self.recipe.with_(**changes))

    def take(self, recipe: Recipe) -> None:
        """Put another recipe in the place of this one, and forget what is no longer true."""
        parts = {key.partition(".")[0] for key, _, _ in self.recipe.diff(recipe)}
        if not parts:
            return
        self.recipe = recipe
        defaults = Facts()
        gone = {name for part in parts for name in _FACTS_OF.get(part, ())}
        self.facts = replace(self.facts, **{name: getattr(defaults, name) for name in gone})
        for step in {"review", *(name for part in parts for name in _STEPS_OF.get(part, ()))}:
            self.marks.pop(step, None)
        self.changed()

    def learn(self, **facts: Any) -> None:
        """Take facts by name; what was reached with another job is to be done anew."""
        if self.facts.job and facts.get("job", self.facts.job) != self.facts.job:
            for step in _OF_A_JOB:
                self.marks.pop(step, None)
        self.facts = replace(self.facts, **facts)
        self.changed()

    def mark(self, step: str, state: Literal["done", "attention"], note: str = "") -> None:
        """Say that a step is done or needs attention."""
        mark = Mark(state, note)
        if self.marks.get(step) != mark:
            self.marks[step] = mark
            self.changed()

    def onward(self, place: str) -> str:
        """The place that Enter leads to from another."""
        return self.left_at if self.left_at and place == PLACES[0].name else next_place(place)

    def unmark(self, step: str) -> None:
        """Say that a step is to be done."""
        if self.marks.pop(step, None):
            self.changed()

    def state_of(self, step: str, current: str) -> State:
        """What the rail shows for a step while the user is at `current`."""
        mark = self.marks.get(step)
        if mark and mark.state == "attention":
            return "attention"
        if step == current:
            return "current"
        return mark.state if mark else "todo"


def next_place(name: str) -> str:
    """The place after `name`; the last has none after it and answers itself."""
    names = list(BY_NAME)
    return names[min(names.index(name) + 1, len(names) - 1)]


def previous_place(name: str) -> str:
    """The place before `name`; the first answers itself."""
    names = list(BY_NAME)
    return names[max(names.index(name) - 1, 0)]
