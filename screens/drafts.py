"""Drafts: go on with one, start anew, keep a copy under another name, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from screens.dialog import Dialog, Key
from tui import resuming, text
from tui.messages import ago, t
from tui.recipe import Recipe, RecipeError
from tui.services import drafts
from tui.services.drafts import free_name
from tui.services.errors import PhiftError
from tui.wizard import BY_NAME

if TYPE_CHECKING:
    from tui.app import PhiftApp

NEW, GIVEN = "new recipe", "given recipe"
"""Options that are no draft; a draft's option is its name after a slash."""


def offer(program: PhiftApp) -> None:
    """At the start: offer the drafts, unless the recipe given is what its draft has.

    Whatever is chosen in the dialog, what is typed next never overwrites an older draft of that name.
    """
    found, recipe = drafts.listing(program.settings), program.wizard.recipe
    same = next((draft for draft in found if draft.name == recipe.name and not draft.error), None)
    differs = same is not None and drafts.load(program.settings, same.name) != recipe
    if differs or (program.given is None and found):
        program.wizard.recipe = recipe.with_(name=free_name(recipe.name, {draft.name for draft in found}))
        program.action_show("drafts")
    elif same:
        program.autosave.opened(recipe)
        resuming.go_on(program, program.preferences.left.get(same.name))
    else:
        program.wizard.recipe = recipe.with_(name=free_name(recipe.name, {draft.name for draft in found}))


class Drafts(Dialog[None]):
    """Enter takes the highlighted draft."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "rename", show=False),
        Binding("k", "keep_copy", show=False),
        Binding("delete,x", "remove", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._copy = False
        self._removing = ""

    def heading(self) -> str:
        """What is offered."""
        return t("Drafts: Enter goes on with the one highlighted")

    def content(self) -> ComposeResult:
        """The drafts, a line for a name, a line for what happened."""
        yield OptionList(id="drafts-list")
        yield Input(placeholder=t("Name; Enter takes it"), id="drafts-name")
        yield Static("", id="drafts-note", markup=False)

    def keys(self) -> Sequence[Key]:
        """What can be done with one."""
        return [("Enter", t("Open")), ("r", t("Rename this one")), ("k", t("Keep a copy")), ("x", t("Remove"))]

    def on_mount(self) -> None:
        """List them."""
        self.query_one("#drafts-name").display = False
        self._list()

    def _list(self) -> None:
        current, given = self.program.wizard.recipe, self.program.given
        found = drafts.listing(self.program.settings)
        options = []
        for draft in found:
            mark, left = "● " if draft.name == current.name else "  ", self.program.preferences.left.get(draft.name)
            name = f"{text.clean_line(draft.name, limit=40):<40}"
            line = Content.assemble(mark, (name, "bold"), f"  {ago(draft.changed)}")
            if draft.error:
                fault = text.clean_line(draft.error.removeprefix(f"{draft.path}: "), limit=200)
                line = Content.assemble(line, "\n", (f"    ! {fault}", "$text-error"))
            elif left and left.place in BY_NAME:
                line = Content.assemble(line, f" · {t(BY_NAME[left.place].title)}")
            options.append(Option(line, f"/{draft.name}", disabled=bool(draft.error)))
        if given:
            name = text.clean_line(given.name, limit=40)
            options.append(Option(Content("  " + t("Start from the recipe {name} as it was given", name=name)), GIVEN))
        options.append(Option(Content("  " + t("Start a new recipe")), NEW))
        listing = self.query_one("#drafts-list", OptionList)
        listing.set_options(options)
        listing.action_first()
        listing.focus()

    def _note(self, message: str) -> None:
        self.query_one("#drafts-note", Static).update(text.line(message, limit=300))

    def _highlighted(self) -> str:
        option = self.query_one("#drafts-list", OptionList).highlighted_option
        return option.id.removeprefix("/") if option and option.id and option.id.startswith("/") else ""

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        program, taken = self.program, {draft.name for draft in drafts.listing(self.program.settings)}
        try:
            if event.option_id == NEW:
                program.wizard.take(Recipe(name=free_name("untitled", taken)))
            elif event.option_id == GIVEN and program.given:
                program.wizard.take(program.given.with_(name=free_name(program.given.name, taken)))
            else:
                resuming.open_draft(program, self._highlighted())
        except PhiftError as error:
            self._note(error.message)
        else:
            self.dismiss(None)

    def action_rename(self) -> None:
        """Give the recipe being edited another name."""
        self._ask(copy=False)

    def action_keep_copy(self) -> None:
        """Keep the recipe as it is, and go on under another name."""
        self._ask(copy=True)

    def _ask(self, *, copy: bool) -> None:
        self._copy = copy
        line = self.query_one("#drafts-name", Input)
        line.value = self.program.wizard.recipe.name
        line.display = True
        line.focus()

    @on(Input.Submitted)
    def _named(self, event: Input.Submitted) -> None:
        event.stop()
        wizard, before = self.program.wizard, self.program.wizard.recipe
        name = event.value.strip()
        if name in {draft.name for draft in drafts.listing(self.program.settings)} and name != before.name:
            self._note(t("There is a draft {name} already.", name=name))
            return
        try:
            wizard.change(name=name)
        except RecipeError:
            self._note(t("Letters, digits, spaces, - . _ only, beginning with a letter or digit, up to 60."))
            return
        try:
            if self._copy:
                drafts.save(self.program.settings, before)
            drafts.save(self.program.settings, wizard.recipe)
            if not self._copy and name != before.name:  # only now: a full disk must not leave neither
                drafts.remove(self.program.settings, before.name)
        except PhiftError as error:
            self._note(error.message)
            return
        event.input.display = False
        self._list()

    def action_remove(self) -> None:
        """Remove the highlighted draft, on the second press."""
        name = self._highlighted()
        if not name:
            return
        if name == self.program.wizard.recipe.name:
            self._note(t("This draft is being edited; open another one first."))
        elif self._removing != name:
            self._removing = name
            self._note(t("Press x once more to remove {name}.", name=name))
        else:
            self._removing = ""
            try:
                drafts.remove(self.program.settings, name)
            except PhiftError as error:
                self._note(error.message)
                return
            self._note(t("{name} is removed.", name=name))
            self._list()
