"""Model and engine: what is tuned and who trains, with the catalogue's dates instead of a fixed list."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from screens.lookups import CATALOGUE, load_catalogue
from screens.page import Step
from tui import actions, text
from tui.messages import ago, t
from tui.widgets.field import Field

if TYPE_CHECKING:
    from tui.services.catalog import Catalogue, Model

GLYPHS = {"available": "✓", "deprecated": "!", "retired": "✗", "unknown": "?"}
WORDS = {"available": "available", "deprecated": "deprecated", "retired": "retired", "unknown": "unknown"}
STYLES = {
    "available": "$text-success",
    "deprecated": "$text-warning",
    "retired": "$text-error",
    "unknown": "$text-quiet",
}
ENGINES = (
    ("serverless", "serverless", "Foundry trains; a price for each token"),
    ("managed", "managed", "the same job on GPUs of yours; a price for each hour"),
    ("script", "script", "this program's trainer as a command job; every knob"),
)


class ModelScreen(Step):
    """The fourth step."""

    PLACE = "model"
    INTRO = "Arrows look at a model, Enter takes it and goes on."
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings("model"))

    def __init__(self) -> None:
        super().__init__()
        self._drawn: object = None

    def content(self) -> ComposeResult:
        """The models, what is known of the highlighted one, the engine and what it needs."""
        yield OptionList(id="models")
        yield Static("", id="model", markup=False)
        yield Field("model.engine", t("Engine"), options=tuple((v, t(a), t(b)) for v, a, b in ENGINES), rows=True,
                    help_line=" ")  # fmt: skip
        yield Field("model.instance_type", t("GPU size"), hint=t("for managed and script"))
        yield Field("model.instance_count", t("Nodes"))
        yield Field("model.compute", t("Cluster"), hint=t("empty: serverless compute"))
        yield Field("model.weights", t("Weights"), hint=t("empty: the catalogue's"))
        yield Static(t("Reading the model catalogue"), id="catalogue-age", markup=False)

    def entered(self) -> None:
        """Read the catalogue."""
        if not self.program.tasks.of(CATALOGUE):
            load_catalogue(self)

    def action_refresh(self) -> None:
        """Read the catalogue anew."""
        load_catalogue(self, refresh=True)

    def state_changed(self) -> None:
        """Show the models and the fields that the engine needs."""
        facts, choice = self.wizard.facts, self.wizard.recipe.model
        for name, wanted in (
            ("instance_type", choice.engine != "serverless"),
            ("instance_count", choice.engine == "script"),
            ("compute", choice.engine != "serverless"),
            ("weights", choice.engine == "script"),
        ):
            self.query_one(f"#field-model-{name}", Field).display = wanted
        drawn = (facts.catalogue, choice, self.wizard.recipe.target.location)
        if drawn == self._drawn or facts.catalogue is None:
            return
        self._drawn = drawn
        listing = self.query_one("#models", OptionList)
        models = self._models()
        chosen = next((i for i, model in enumerate(models) if model.name == choice.name), None)
        listing.set_options(Option(self._line(model, facts.catalogue), str(i)) for i, model in enumerate(models))
        listing.highlighted = chosen if chosen is not None else 0
        self.query_one("#catalogue-age", Static).update(self._age(facts.catalogue))
        self._judge(facts.catalogue)
        self._describe()

    def _line(self, model: Model, catalogue: Catalogue) -> Content:
        status = model.status(catalogue.today())
        mark = "●" if model.name == self.wizard.recipe.model.name else " "
        longest = max(len(each.name) for each in catalogue.models)
        name = text.clean_line(model.name, limit=32).ljust(min(longest, 32))
        context = t("{size}k context", size=round(model.context_length / 1024)) if model.context_length else ""
        return Content.assemble(
            (f"{mark} {name} ", "bold" if mark == "●" else ""),
            (f"{GLYPHS[status]} {t(WORDS[status]):<11}", STYLES[status]),
            (f"{context:>13}  {text.clean_line(model.license, limit=12)}", "$text-quiet"),
            ("  " + t("preview") if model.preview else "", "$text-accent"),
        )

    def _age(self, catalogue: Catalogue) -> Content:
        age = ago(catalogue.fetched)
        source = {
            "registry": t("Catalogue read from Azure {age}.", age=age),
            "cache": t("Catalogue as last read from Azure, {age}.", age=age),
            "snapshot": t("Catalogue as shipped with the program, {age}.", age=age),
        }[catalogue.source]
        return Content.styled(source + " " + t("F5 reads it anew."), "$text-quiet")

    def _highlighted(self) -> Model | None:
        models, index = self._models(), self.query_one("#models", OptionList).highlighted
        return models[index] if index is not None and index < len(models) else None

    def _models(self) -> list[Model]:
        """The catalogue's models, those that can be tuned before others."""
        catalogue = self.wizard.facts.catalogue
        if catalogue is None:
            return []
        day, order = catalogue.today(), list(GLYPHS)
        return sorted(catalogue.models, key=lambda model: (order.index(model.status(day)), model.name))

    @on(OptionList.OptionHighlighted, "#models")
    def _describe(self) -> None:
        model, catalogue = self._highlighted(), self.wizard.facts.catalogue
        if model is None or catalogue is None:
            return
        region, lines = self.wizard.recipe.target.location, []
        if model.summary:
            lines.append(text.line(model.summary, limit=200))
        said = model.retirements(catalogue.today())
        if said and model.successor:
            said.append(t("Successor: {name} (F6 takes it).", name=model.successor))
        if said:
            retired = model.status(catalogue.today()) == "retired"
            lines.append(text.line(" ".join(said), "$text-warning" if retired else "$text-quiet"))
        for engine, label, _ in ENGINES:
            found = model.availability(engine, catalogue.today(), region)  # type: ignore[arg-type]  # ENGINES lists the engines
            glyph, word, style = {
                True: ("✓", t("yes"), "$text-success"),
                False: ("✗", t("no"), "$text-error"),
                None: ("?", t("unknown"), "$text-quiet"),
            }[found.ok]
            reason = f"  {text.clean_line(found.reason, limit=120)}" if found.reason else ""
            lines.append(Content.assemble((f"{glyph} {t(label):<11}{word}", style), (reason, "$text-quiet")))
        self.query_one("#model", Static).update(Content("\n").join(lines))
        self._sync_keys()

    def _judge(self, catalogue: Catalogue) -> None:
        problem = self.check()
        if problem:
            self.wizard.mark(self.PLACE, "attention", problem)
        elif self.wizard.marks.get(self.PLACE) and self.wizard.marks[self.PLACE].state == "attention":
            self.wizard.unmark(self.PLACE)

    @on(OptionList.OptionSelected, "#models")
    def _take(self) -> None:
        model = self._highlighted()
        if model and self.choose(model__name=model.name, model__version=""):
            self.action_forward()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only a model with a successor can be succeeded."""
        if action == "successor":
            model = self._highlighted() if self.is_mounted else None
            return bool(model and model.successor)
        return super().check_action(action, parameters)

    def action_successor(self) -> None:
        """Take the highlighted model's successor."""
        model = self._highlighted()
        if model and model.successor:
            self.choose(model__name=model.successor, model__version="")

    def waits_for(self) -> str:
        """The catalogue."""
        return CATALOGUE if self.wizard.facts.catalogue is None else ""

    def check(self) -> str:
        """The engine can tune the model here and today."""
        catalogue, model, recipe = self.wizard.facts.catalogue, self.wizard.model, self.wizard.recipe
        if catalogue is None:
            return t("The catalogue is not read yet; F5 reads it.")
        if recipe.model.engine == "script" and recipe.model.weights:
            return ""
        if model is None:
            return t("The catalogue has no model {name}.", name=recipe.model.name)
        found = model.availability(recipe.model.engine, catalogue.today(), recipe.target.location)
        if found.ok is False:
            advice = t("Take {name} (F6), or another engine.", name=model.successor) if model.successor else t(
                "Choose another model, engine or region."
            )  # fmt: skip
            return t("{model} cannot be tuned by {engine}: {reason}.", model=model.name, engine=recipe.model.engine,
                     reason=found.reason) + " " + advice  # fmt: skip
        return ""
