"""The registry of actions: bindings, footer, palette, context help and the key map are all made from this one table.

Keys are letters, digits, function keys and the few control keys that every terminal, tmux and screen let through. A
letter works where no field has the focus (Esc leaves a field). Esc never destroys anything.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from textual.binding import Binding
from textual.keys import Keys

from tui.messages import t
from tui.wizard import BY_NAME

EVERYWHERE = "app"
PAGE = "page"
STEP = "step"


@dataclass(frozen=True)
class Action:
    """Something the user can do."""

    id: str
    """Stable name; a keymap refers to it."""
    key: str
    """Textual's name of the key unless the user chose another; several are divided by commas, the first is shown.

    Empty: the palette alone has it, until the user gives it a key."""
    title: str
    """Two or three words, for the footer and the palette; not translated yet."""
    help: str
    """One sentence for the help; not translated yet."""
    scope: str
    """`app`: everywhere; `page`: on every full screen; `step`: on the wizard's steps; or the name of a place."""
    action: str
    """Textual's action string."""
    footer: bool = False
    """Whether the key bar shows it."""
    palette: bool = True
    """Whether the palette lists it."""
    priority: bool = False
    """Whether the key works while a field has the focus."""


# fmt: off
ACTIONS: tuple[Action, ...] = (
    Action("forward", "enter", "Continue", "Do what the key bar says of Enter, or check this page and go on.", PAGE,
           "forward", footer=True),
    Action("back", "f7", "Back", "Go back one page; nothing is lost.", PAGE, "back", footer=True, priority=True),
    Action("next", "f8", "Next", "Go on one page without checking this one.", PAGE, "next", footer=True, priority=True),
    Action("refresh", "f5", "Refresh", "Ask Azure again for what this page shows.", PAGE, "refresh", priority=True),
    Action("leave_field", "escape", "Leave field", "Leave the field, so that letters are keys.", PAGE, "leave_field",
           palette=False),
    Action("plain", "f10", "Plain text", "This page as plain text: to read, to copy, to write to a file.", PAGE,
           "plain", priority=True),
    Action("profile", "f6", "Next profile", "Sign in by the next profile of the settings.", "sign_in", "profile",
           footer=True, priority=True),
    Action("copy_code", "c", "Copy code", "The device code into the clipboard.", "sign_in", "copy_code", footer=True),
    Action("mend", "f6", "Mend", "Register the provider, make the group, or take the hub that the finding names.",
           "access", "mend", footer=True, priority=True),
    Action("command", "c", "Command", "The command that mends the finding, as plain text to copy.", "access",
           "command", footer=True),
    Action("create", "f6", "Create now", "Create hub and project now instead of at the submit.", "project", "create",
           footer=True, priority=True),
    Action("successor", "f6", "Take successor", "Choose the model that Microsoft names in place of a retired one.",
           "model", "successor", footer=True, priority=True),
    Action("pick", "f6", "Pick file", "Choose the file from folders and recent files.", "data", "pick", footer=True,
           priority=True),
    Action("rows", "r", "Rows", "Read the rows of the file, from the faulty one on.", "data", "rows", footer=True),
    Action("fix", "m", "Mend", "See what can be put right, and write a mended copy.", "data", "fix", footer=True),
    Action("stop", "x", "Stop check", "Stop the check that is running.", "data", "stop", footer=True),
    Action("numbers", "n", "Numbers", "Tokens, lengths, languages and system prompts of the file.", "data", "numbers",
           footer=True),
    Action("pick_validation", "f6", "Pick file", "Choose the validation file.", "validation", "pick", footer=True,
           priority=True),
    Action("submit", "s", "Submit", "Submit the run; asks once more, with the price.", "review", "submit"),
    Action("copy_tab", "c", "Copy", "What the tab shows as plain text, to copy or write to a file.", "review", "plain",
           footer=True),
    Action("help", "f1", "Help", "What this page is for, and its keys.", EVERYWHERE, "app.show('help')",
           footer=True, priority=True),
    Action("commands", "ctrl+p", "Commands", "Find anything by its name.", EVERYWHERE, "app.command_palette",
           footer=True, palette=False, priority=True),
    Action("jump", "ctrl+o", "Jump", "Show a letter at every field and page; press it to go there.", EVERYWHERE,
           "app.show('jump')", footer=True, priority=True),
    Action("keys", "question_mark", "All keys", "The key map.", EVERYWHERE, "app.show('keys')"),
    Action("drafts", "f2", "Drafts", "Open, rename, copy or remove drafts.", EVERYWHERE,
           "app.show('drafts')", priority=True),
    Action("edit_recipe", "f3", "Edit recipe", "Open the whole recipe in $EDITOR.", EVERYWHERE, "app.edit_recipe",
           priority=True),
    Action("export_recipe", "", "Export the recipe", "The recipe as TOML, for `phift-tui run`.", EVERYWHERE,
           "app.export('recipe')"),
    Action("export_cli", "", "Export az commands", "The same run as `az` commands.", EVERYWHERE,
           "app.export('cli')"),
    Action("export_python", "", "Export Python", "The same run as a Python program.", EVERYWHERE,
           "app.export('python')"),
    Action("export_bicep", "", "Export Bicep", "The same run as Bicep.", EVERYWHERE,
           "app.export('bicep')"),
    Action("appearance", "f4", "Appearance", "Theme and profile.", EVERYWHERE, "app.show('appearance')", priority=True),
    Action("tasks", "f9", "Background", "What is running in the background, and stop it.", EVERYWHERE,
           "app.show('tasks')", priority=True),
    Action("tour", "f12", "Tour", "The short tour of the program.", EVERYWHERE, "app.show('tour')"),
    Action("suspend", "ctrl+z", "Suspend", "Back to the shell; `fg` returns.", EVERYWHERE, "app.suspend_process",
           priority=True),
    Action("redraw", "ctrl+l", "Redraw", "Draw the whole screen anew, after another program wrote over it.", EVERYWHERE,
           "app.redraw", priority=True),
    Action("cancel_job", "x", "Cancel job", "Ask Azure to cancel the job, after a question.", "monitor", "cancel_job",
           footer=True),
    Action("find_in_log", "slash", "Find", "Find text in the log.", "monitor", "find", footer=True),
    Action("find_next", "n", "Next found", "The next line that was found.", "monitor", "find_next(1)", palette=False),
    Action("find_previous", "N", "Previous found", "The line found before.", "monitor", "find_next(-1)",
           palette=False),
    Action("follow_log", "f", "Follow log", "Follow the end of the log, or hold it still.", "monitor", "follow_log"),
    Action("log_only", "l", "Whole log", "The log over the whole page, or as it was.", "monitor", "log_only",
           footer=True),
    Action("raw_answer", "v", "Azure's answer", "The job as Azure answered, and the reason of a failure.", "monitor",
           "raw_answer", footer=True),
    Action("cancel_listed", "x", "Cancel job", "Cancel the marked job, after a question.", "jobs", "cancel_job",
           footer=True),
    Action("next_run", "n", "Next run",
           "A new draft with the marked job's choices; shows what differs from the present one.", "jobs", "next_run",
           footer=True),
    Action("run_again", "r", "Run again", "Submit the marked job's choices once more, by way of the review.", "jobs",
           "run_again", footer=True),
    Action("archive_job", "a", "Archive", "Hide the marked job from the list; Azure keeps it.", "jobs", "archive_job",
           footer=True),
    Action("delete_endpoint", "x", "Delete endpoint",
           "Delete the marked endpoint, after a question; it stops billing.", "deploy", "delete_endpoint",
           footer=True),
    Action("how_to_call", "u", "How to call it", "The address of the marked endpoint, and a call to copy.", "deploy",
           "how_to_call", footer=True),
    Action("stop_answer", "f6", "Stop", "Stop the answer that is being streamed.", "playground", "stop", footer=True,
           priority=True),
    Action("new_chat", "n", "New chat", "Begin a new conversation.", "playground", "new_chat", footer=True),
    Action("chat_settings", "s", "Settings", "System prompt, temperature, longest answer.", "playground", "settings",
           footer=True),
    Action("compare_chat", "c", "Compare", "Ask another endpoint, such as the base model's, side by side.",
           "playground", "compare", footer=True),
    Action("edit_prompt", "ctrl+g", "Edit prompt", "Open the question, or the setting in focus, in $EDITOR.",
           "playground", "app.edit_prompt", priority=True),
    Action("write_chat", "w", "Transcript", "The conversation as plain text: to copy or to write to a file.",
           "playground", "transcript", footer=True),
    Action("stop_evaluation", "f6", "Stop", "Stop asking; nothing is lost but the answers so far.", "evaluate",
           "stop", footer=True, priority=True),
    Action("ask_again", "r", "Ask again", "Back to the plan: another file, more questions.", "evaluate", "ask_again",
           footer=True),
    Action("mark", "space", "Mark", "Mark the highlighted thing, or no longer.", "cleanup", "mark", footer=True),
    Action("choose_billing", "b", "What bills", "Mark everything that bills, and nothing else.", "cleanup",
           "choose_billing", footer=True),
    Action("choose_all", "a", "All", "Mark everything, or nothing.", "cleanup", "choose_all", footer=True),
    Action("quit", "ctrl+q", "Quit", "Leave; the draft is saved, and what runs on Azure goes on.", EVERYWHERE,
           "app.quit", footer=True, priority=True),
    Action("quit_letter", "q", "Quit", "Leave; the draft is saved, and what runs on Azure goes on.", EVERYWHERE,
           "app.quit", palette=False),
)
# fmt: on
"""All actions, in the order in which the footer and the help list them."""


def scoped(scope: str) -> list[Action]:
    """The actions of one scope."""
    return [action for action in ACTIONS if action.scope == scope]


def bindings(*scopes: str) -> list[Binding]:
    """Textual bindings of the actions of these scopes; the key bar draws them, so Textual's footer need not."""
    return [
        Binding(action.key, action.action, action.title, show=False, priority=action.priority, id=action.id)
        for scope in scopes
        for action in scoped(scope)
        if action.key
    ]


def for_place(place: str) -> list[Action]:
    """What can be done at a place: its own actions, then a step's, a page's and the program's."""
    step = [STEP] if BY_NAME[place].setup else []
    return [action for scope in (place, *step, PAGE, EVERYWHERE) for action in scoped(scope)]


_own: dict[str, str] = {}
_SIGNS = {unicodedata.name(sign).lower().translate({32: "_", 45: "_"}) for sign in string.punctuation}
_NAMES = {key.value for key in Keys} | _SIGNS | {*string.ascii_letters, *string.digits}


def choose_keys(own: Mapping[str, str]) -> None:
    """Take the user's own keys, by the actions' names; from now on they are shown.

    Raises:
        SettingsError: no such action or key, or one key for two actions at one place; nothing is changed.
    """
    from tui.settings import SettingsError, config_path  # pydantic takes longer to load than all that is here

    def wrong(reason: str) -> SettingsError:
        return SettingsError(t("setting keys ({file}): {reason}", file=config_path(), reason=reason))

    known = [action.id for action in ACTIONS]
    for name, keys in own.items():
        if name not in known:
            raise wrong(t("no action is called {name}; known: {names}", name=name, names=", ".join(known)))
        for key in keys.split(","):
            if key not in _NAMES:
                raise wrong(t("{key} (for {name}) is no key", key=repr(key), name=name))
    for place in BY_NAME:
        taken: dict[str, str] = {}
        for action in for_place(place):
            for key in filter(None, own.get(action.id, action.key).split(",")):
                other = taken.setdefault(key, action.id)
                if other != action.id:
                    said = t("{key} would be both {one} and {other}", key=key, one=other, other=action.id)
                    raise wrong(f"{said} ({t(BY_NAME[place].title)})")
    _own.clear()
    _own.update(own)


_KEY_NAMES = {"question_mark": "?", "escape": "Esc", "enter": "Enter", "space": "Space", "delete": "Del", "slash": "/"}


def key_name(key: str) -> str:
    """A key as people write it: `^P` for ctrl+p, `F1`, `Enter`."""
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+").upper()
    if key in _KEY_NAMES:
        return t(_KEY_NAMES[key])
    return key.upper() if key.startswith("f") and key[1:].isdigit() else key


def keys_of(action: Action) -> list[str]:
    """The keys of an action: the user's own, else those of the registry; none: the palette alone has it."""
    return list(filter(None, _own.get(action.id, action.key).split(",")))


def newly_keyed() -> list[Action]:
    """The actions that only the user's own choice gives a key; `bindings` lacks them."""
    return [action for action in ACTIONS if not action.key and keys_of(action)]


def key_names(action: Action) -> str:
    """All keys of an action, as people write them; of one that has none, the palette's."""
    keys = keys_of(action) or keys_of(next(each for each in ACTIONS if each.id == "commands"))
    return " ".join(key_name(key) for key in keys)
