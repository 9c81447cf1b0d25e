"""A form field made from the recipe's own metadata: label, range, unit, default, help, and the error beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast, get_args, get_origin

from pydantic.fields import FieldInfo
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from tui import text
from tui.messages import t
from tui.recipe import Recipe, RecipeError, help_of
from tui.widgets.choice import Choice, Option
from tui.wording import range_of

if TYPE_CHECKING:
    from tui.app import PhiftApp
    from tui.wizard import Wizard


def info_of(path: str) -> FieldInfo:
    """The metadata of the recipe's field `part.field`."""
    part, _, name = path.partition(".")
    model: Any = Recipe.model_fields[part].annotation
    found: FieldInfo = model.model_fields[name]
    return found


def shown(value: Any) -> str:
    """A value as the field shows it."""
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


class Field(Vertical):
    """One choice of the recipe, `part.field`; a valid value goes into the recipe as it is typed."""

    class Changed(Message):
        """A valid value went into the recipe."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

        @property
        def control(self) -> Field:
            """The field that changed."""
            return self.field

    def __init__(
        self,
        path: str,
        label: str,
        *,
        unit: str = "",
        help_line: str = "",
        options: tuple[Option, ...] = (),
        rows: bool = False,
        hint: str | None = None,
        suggester: Suggester | None = None,
    ) -> None:
        """Make the field.

        Args:
            path: `part.field` of the recipe.
            label: what it is called.
            unit: unit of the number.
            help_line: one line of help; without it, the recipe's own description.
            options: choices with label and help; without them a `Literal` field offers its values.
            rows: choices one below the other.
            hint: what is shown beside the field instead of the range and the default; empty: nothing.
            suggester: completes what is typed (right arrow accepts).
        """
        super().__init__(id=f"field-{path.replace('.', '-')}", classes="field -rows" if rows else "field")
        self.path = path
        self.label = label
        self._info = info_of(path)
        # What is said beside a number is longer than the number.
        kinds = get_args(self._info.annotation) or (self._info.annotation,)
        self.set_class(int in kinds or float in kinds, "-number")
        self._help = help_line or t(help_of(path))
        if not options and get_origin(self._info.annotation) is Literal:
            options = tuple((value, value, "") for value in get_args(self._info.annotation))
        if self._info.annotation is bool:
            options = options or (("True", t("on"), ""), ("False", t("off"), ""))
        self._options = options
        self._rows = rows
        self._suggester = suggester
        parts = [unit, range_of(self._info)]
        default = shown(self._info.default)
        if default and not options:
            parts.append(t("default {value}", value=default))
        self._hint = " · ".join(part for part in parts if part) if hint is None else hint
        self._told = ""
        self._before: Any = None
        self._seen: Any = None
        self.error = ""
        """Why what is typed is not taken; empty: it is."""

    def compose(self) -> ComposeResult:
        """Label, editor and hint in a row; help or error below."""
        self._before = self._seen = self._value()
        value = shown(self._before)
        with Horizontal(classes="field-row"):
            yield Static(self.label, classes="field-label", markup=False)
            if self._options:
                yield Choice(self._options, value, rows=self._rows)
            else:
                yield Input(value, suggester=self._suggester, select_on_focus=False)
                if self._hint:
                    yield Static(self._hint, classes="field-hint", markup=False)
        yield Static(self._help, classes="field-note", markup=False)

    def plain_text(self) -> str:
        """Label, value, hint, and the help or the error, on one line."""
        editor = self.editor
        about = self.error or self._help
        hint = f" ({self._hint})" if self._hint and not self._options else ""
        return f"{self.label}: {editor.value}{hint}. {about}"

    @property
    def editor(self) -> Input | Choice:
        """The widget that takes the focus."""
        return self.query_one(Choice) if self._options else self.query_one(Input)

    @property
    def _wizard(self) -> Wizard:
        return cast("PhiftApp", self.app).wizard

    def _value(self) -> Any:
        part, _, name = self.path.partition(".")
        return getattr(getattr(self._wizard.recipe, part), name)

    def _parsed(self, raw: str) -> Any:
        kinds = get_args(self._info.annotation) or (self._info.annotation,)
        raw = raw.strip()
        if not raw and type(None) in kinds:
            return None
        try:
            if bool in kinds:
                return raw == "True"
            if int in kinds:
                return int(raw.replace(",", "").replace("_", ""))
            if float in kinds:
                return float(raw)
        except ValueError:
            kind = t("a whole number") if int in kinds else t("a number like 0.00002 or 2e-5")
            raise RecipeError(self.path, t("this has to be {kind}", kind=kind)) from None
        return raw

    def take(self, raw: str) -> bool:
        """Put what is typed into the recipe; False, with the reason in `error`, where it is not valid.

        What is not valid leaves the recipe with what it had before the typing, and not with the valid beginning of it.
        """
        key = self.path.replace(".", "__")
        try:
            self._seen = self._parsed(raw)
            self._wizard.change(**{key: self._seen})
        except RecipeError as error:
            self.error = self._advice(error.message)
            self._seen = self._before
            self._wizard.change(**{key: self._before})
            return False
        self.error = ""
        return True

    def _advice(self, message: str) -> str:
        allowed = range_of(self._info)
        sentence = message[:1].upper() + message[1:]
        if not allowed or allowed in message:
            return f"{sentence}."
        return t("{error}. Allowed: {range}.", error=sentence, range=allowed)

    def show_error(self, error: str | None = None) -> None:
        """Show the error (or another one) in the help's place; the help again where there is none."""
        if error is not None:
            self.error = error
        if self.error == self._told:
            return
        self._told = self.error
        note = self.query_one(".field-note", Static)
        self.set_class(bool(self.error), "-wrong")
        if self.error:
            note.update(Content.assemble(("! ", "bold"), text.clean_line(self.error, limit=300)))
        else:
            note.update(self._help)

    def sync(self) -> None:
        """Show the recipe's value where it is another than what is typed."""
        value = self._value()
        editor = self.editor
        if isinstance(editor, Choice):
            editor.value = shown(value)
            return
        # What this field wrote itself is older than what was typed since, if it differs.
        was_seen, self._seen = value == self._seen, value
        if self.error or was_seen:
            return
        try:
            same = self._parsed(editor.value) == value
        except RecipeError:
            same = False
        if not same:
            with editor.prevent(Input.Changed):
                editor.value = shown(value)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        wrong, recipe = bool(self.error), self._wizard.recipe
        if self.take(event.value):
            if wrong:
                self.show_error()
            if self._wizard.recipe is not recipe:
                self.post_message(self.Changed(self))

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        event.stop()
        recipe = self._wizard.recipe
        self.take(event.value)
        self.show_error()
        if self._wizard.recipe is not recipe:
            self.post_message(self.Changed(self))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """What is typed from here on is one change."""
        if not self.error:
            self._before = self._value()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Say what is wrong as the field is left."""
        self.show_error()
