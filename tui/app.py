"""The Textual application: places, the wizard's state, background tasks, signals of the system, themes.

How the parts fit together. `PhiftApp.wizard` (tui/wizard.py) holds the recipe and the facts; it is the only state. A
screen changes it with `wizard.change(part__field=value)` or `wizard.learn(fact=value)`; the app then publishes
`state_signal`, on which every screen redraws what differs, and writes the draft. Each place of the rail is a Textual
mode whose screen is imported when it is first visited. Service calls run through `Page.run_task` in daemon threads
(tui/tasks.py), take the modules from `tui.backend`, and come back through a callback on the event loop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import on
from textual.binding import BindingType
from textual.screen import ModalScreen, Screen
from textual.signal import Signal

from assets import ROOT
from tui import actions, messages, terminal, themes
from tui.services.errors import Cancelled, PhiftError
from tui.tasks import TaskMoved, Tasks
from tui.terminal_app import TerminalApp
from tui.watching import JobWatch
from tui.wizard import PLACES, Wizard

if TYPE_CHECKING:
    from textual._path import CSSPathType
    from textual.command import Provider

    from tui.driver import BackgroundSeen
    from tui.preferences import Preferences
    from tui.recipe import Recipe
    from tui.settings import Settings

STYLES = sorted(ROOT.glob("*.tcss"))
"""The style sheets of all pages."""
_WIDTHS = [(0, "-tiny"), (60, "-narrow"), (100, "-medium"), (140, "-wide")]
_HEIGHTS = [(0, "-flat"), (18, "-short"), (34, "-tall")]
_DIALOGS = {
    "help": "screens.help:Help",
    "keys": "screens.help:KeyMap",
    "tour": "screens.help:Tour",
    "jump": "screens.jump:Jump",
    "drafts": "screens.drafts:Drafts",
    "appearance": "screens.appearance:Appearance",
    "tasks": "screens.background:Background",
}


def _screen(path: str) -> Screen[Any]:
    module, _, name = path.partition(":")
    return cast("Screen[Any]", getattr(import_module(module), name)())


def _palette() -> type[Provider]:
    from tui.palette import Commands

    return Commands


class PhiftApp(TerminalApp):
    """The wizard and the monitor."""

    TITLE = "phift-tui"
    CSS_PATH: ClassVar[CSSPathType | None] = [*STYLES]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        place.name: partial(_screen, place.screen) for place in PLACES
    }
    DEFAULT_MODE = PLACES[0].name
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_palette}
    BINDINGS: ClassVar[list[BindingType]] = list(actions.bindings(actions.EVERYWHERE))
    HORIZONTAL_BREAKPOINTS = _WIDTHS
    VERTICAL_BREAKPOINTS = _HEIGHTS

    settings: Settings
    """The settings in force."""
    wizard: Wizard
    """The recipe and the facts."""
    preferences: Preferences
    given: Recipe | None

    def __init__(
        self,
        settings: Settings | None,
        *,
        sandbox: bool = False,
        recipe: Recipe | None = None,
        base: Path | None = None,
        ascii_only: bool = False,
    ) -> None:
        """Make the program.

        Args:
            settings: the settings in force; None: `begin` is called with them before the first page is shown.
            sandbox: use Azure on the loopback interface.
            recipe: see `begin`.
            base: see `begin`.
            ascii_only: draw with ASCII characters only; also where the locale has no others.
        """
        super().__init__(ascii_only=ascii_only)
        self.sandbox = sandbox
        self.begun = self._quits_unsaved = False
        self.tasks = Tasks(self.post_message, sandbox=sandbox)
        self.state_signal: Signal[None] = Signal(self, "state")
        self.tasks_signal: Signal[None] = Signal(self, "tasks")
        self.job_signal: Signal[None] = Signal(self, "job")
        self.followed = JobWatch(self)
        self._light = terminal.background_is_light()
        self._few_colours = self.console.color_system == "standard"
        if settings is not None:
            self.begin(settings, recipe, base)

    def begin(self, settings: Settings, recipe: Recipe | None = None, base: Path | None = None) -> None:
        """Take what the pages stand on.

        Args:
            settings: the settings in force.
            recipe: what the wizard opens with; None: the last draft is offered.
            base: folder that the recipe's relative paths start from; None: the current one.

        Raises:
            SettingsError: the settings name a key wrongly.
        """
        # With pydantic, which takes longer to load than all that the first frame needs.
        from tui import preferences
        from tui.autosave import Autosave
        from tui.recipe import Recipe

        self.preferences = preferences.load(settings.state)
        messages.use(settings.language or self.preferences.language)
        actions.choose_keys(settings.keys)
        self.settings, self.given = settings, recipe
        self.wizard = Wizard(recipe or Recipe(), base or Path.cwd(), self._state_changed)
        self.autosave = Autosave(self)
        if self._few_colours:
            for theme in themes.for_few_colours():
                self.register_theme(theme)
        wanted = themes.WITHOUT_COLOUR if self.no_color else settings.theme or self.preferences.theme
        self._theme_chosen = wanted in self.available_themes
        self.theme = wanted if self._theme_chosen else self._fitting_theme()
        self.set_keymap(settings.keys)
        for action in actions.newly_keyed():
            self.bind(",".join(actions.keys_of(action)), action.action, description=action.title, show=False)
        self.begun = self._has_theme = True

    # --- start and end -----------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Offer the last draft."""
        if self.begun:
            self.call_after_refresh(self.offer)

    def offer(self) -> None:
        """Offer the drafts, or the tour to who has none."""
        from screens.drafts import offer

        untouched = self.autosave.is_written
        offer(self)
        if untouched:  # the name that is free was neither typed nor chosen
            self.autosave.count_as_written()
        if not self.preferences.tour_seen:
            self.remember(tour_seen=True)
            self.action_show("tour")  # not over the drafts: who has drafts knows the program

    def leave(self, number: int) -> None:
        """The system's signal `number` asks to end: write the draft before."""
        if self.begun:
            with contextlib.suppress(PhiftError):  # nobody is left to be told
                self.autosave.now()
        self.tasks.cancel_all()
        super().leave(number)

    async def action_quit(self) -> None:
        """Leave: write the draft, leave hung calls behind; what cannot be written is not lost without a question."""
        if self.begun and not self._quits_unsaved:
            try:
                self.autosave.now()
            except PhiftError as error:
                from tui.farewell import unsaved

                self._quits_unsaved = True  # the same key again is an answer too
                self.push_screen(unsaved(error), self._quit_unsaved)
                return
        self._quit()

    def _quit_unsaved(self, answer: bool | None) -> None:
        self._quits_unsaved = False
        if answer:
            self._quit()

    def _quit(self) -> None:
        self.tasks.cancel_all()
        said = ""
        if self.begun:
            from tui.farewell import farewell

            said = farewell(self)
        self.exit(message=Text(said) if said else None)

    # --- state -------------------------------------------------------------------------------------------------------

    def _state_changed(self) -> None:
        self.followed.sync()
        self.state_signal.publish(None)
        self.autosave.changed()

    def remember(self, **values: Any) -> None:
        """Keep preferences for the next start."""
        self.preferences = self.preferences.model_copy(update=values)
        self.autosave.changed()

    @on(TaskMoved)
    def _task_moved(self, event: TaskMoved) -> None:
        task = event.task
        if not self.is_running:
            return  # closing: its screens may have no widgets any more
        if event.ended and self.tasks.current(task):
            if task.state == "done":
                if task.done:
                    task.done(task.result)
            elif task.error:
                if task.failed:
                    task.failed(task.error)
                elif not isinstance(task.error, Cancelled):
                    self.show_error(task.error, task.title)
        self.tasks_signal.publish(None)

    def _fitting_theme(self) -> str:
        return themes.fitting(self._light, few_colours=self._few_colours)

    def on_background_seen(self, event: BackgroundSeen) -> None:
        """The terminal told its background: unless a theme was chosen, take the one for it."""
        self._light = event.light
        if self.begun and not self._theme_chosen:
            self.theme = self._fitting_theme()

    # --- going about -------------------------------------------------------------------------------------------------

    def go(self, place: str) -> None:
        """Show a place."""
        self.wizard.left_at = ""
        self.switch_mode(place)
        self.autosave.changed()

    def dialog(self, path: str, *arguments: Any, then: Callable[[Any], None] | None = None) -> None:
        """Show the modal screen `module:Class`, unless one is shown already.

        Args:
            path: of the class; imported now.
            arguments: for its constructor.
            then: called with its result, which is None where the user left it by Esc.
        """
        if isinstance(self.screen, ModalScreen):
            return
        module, _, name = path.partition(":")
        self.push_screen(getattr(import_module(module), name)(*arguments), then)

    def show_error(self, error: PhiftError, task: str = "") -> None:
        """Say what happened (in the task of that title), what it means and what to do next."""
        from screens.error import ErrorDialog

        self.push_screen(ErrorDialog(error, task))

    def show_text(self, title: str, content: str) -> None:
        """Show text plainly, to be read, copied or written to a file."""
        self.dialog("screens.plain_text:PlainText", title, content)

    def action_show(self, dialog: str) -> None:
        """Show one of the program's dialogs."""
        self.dialog(_DIALOGS[dialog])

    def action_command_palette(self) -> None:
        """The command palette, its words in the person's language."""
        self.dialog("tui.palette:Palette")

    def action_export(self, kind: str) -> None:
        """The run in another form (`recipe`, `cli`, `python` or `bicep`), as plain text to copy or to write."""
        from screens.exports import show

        show(self, kind)

    def action_edit_recipe(self) -> None:
        """The recipe in $EDITOR."""
        from screens.editor import edit_recipe

        edit_recipe(self)

    def action_edit_prompt(self) -> None:
        """The prompt in $EDITOR."""
        from screens.editor import edit_prompt

        edit_prompt(self)
