"""The themes: dark, light, high contrast, one that is safe for colour-blind eyes, and two of the terminal's colours."""

from __future__ import annotations

from dataclasses import replace

from textual.theme import Theme


# SSH does not forward COLORTERM, so most terminals get 256 colours. The dark surfaces are near-grey, each on a step of
# the grey ramp of its own, or they would all become black; the colours of texts are those of the 6x6x6 cube, or blue
# would become lavender and green grey.
def _texts(primary: str, success: str, warning: str, error: str, accent: str, quiet: str) -> dict[str, str]:
    """The variables of the colours that texts have."""
    return {
        "text-primary": primary,
        "text-secondary": primary,
        "text-success": success,
        "text-warning": warning,
        "text-error": error,
        "text-accent": accent,
        "text-quiet": quiet,
    }


def _dark(border: str, foreground: str) -> dict[str, str]:
    """The variables of the dark themes' surfaces and edges."""
    return {
        "boost": "#2e3238",
        "border": border,
        "border-blurred": "#747b86",
        "scrollbar": "#747b86",
        "scrollbar-background": "#131518",
        "block-cursor-background": "#1b2e5a",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#2e3238",
        "block-cursor-blurred-foreground": foreground,
    }


DARK = Theme(
    name="phift-dark",
    primary="#5f87d7",
    secondary="#87d7af",
    accent="#d7af5f",
    warning="#d7af5f",
    error="#ff8787",
    success="#87d787",
    foreground="#d8dce3",
    background="#131518",
    surface="#272a2f",
    panel="#1c1f23",
    dark=True,
    variables={
        **_dark("#87afff", "#d8dce3"),
        **_texts("#87afff", "#87d787", "#ffaf5f", "#ff8787", "#ffd787", "#98a1ae"),
    },
)

LIGHT = Theme(
    name="phift-light",
    primary="#005faf",
    secondary="#005f5f",
    accent="#875f00",
    warning="#875f00",
    error="#af0000",
    success="#005f00",
    foreground="#20242a",
    background="#fbfaf7",
    surface="#ebebe8",
    panel="#f3f3f0",
    dark=False,
    variables={
        "boost": "#ecebe8",
        "border": "#005faf",
        "border-blurred": "#7c7974",
        "scrollbar": "#7c7974",
        "scrollbar-background": "#fbfaf7",
        "block-cursor-background": "#d9e5f2",
        "block-cursor-foreground": "#101418",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#e2e0dc",
        "block-cursor-blurred-foreground": "#20242a",
        **_texts("#005faf", "#005f00", "#5f5f00", "#870000", "#5f5f00", "#4b505a"),
    },
)

CONTRAST = Theme(
    name="phift-contrast",
    primary="#ffffff",
    secondary="#ffffff",
    accent="#ffff00",
    warning="#ffd700",
    error="#ffafaf",
    success="#87ff87",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    dark=True,
    text_alpha=1.0,
    variables={
        "boost": "#1c1c1c",
        "border": "#ffff00",
        "border-blurred": "#ffffff",
        "scrollbar": "#ffffff",
        "scrollbar-background": "#000000",
        "block-cursor-background": "#303030",
        "block-cursor-foreground": "#ffff00",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#1c1c1c",
        "block-cursor-blurred-foreground": "#ffffff",
        **_texts("#ffffff", "#87ff87", "#ffd700", "#ffafaf", "#ffff00", "#e4e4e4"),
    },
)

# Blue, orange and yellow as in Okabe and Ito's palette: told apart with any of the common colour vision deficiencies.
SAFE = Theme(
    name="phift-safe",
    primary="#5fafff",
    secondary="#5fafff",
    accent="#ffff5f",
    warning="#ffaf00",
    error="#ff875f",
    success="#5fafff",
    foreground="#e4e6ea",
    background="#131518",
    surface="#272a2f",
    panel="#1c1f23",
    dark=True,
    variables={
        **_dark("#5fafff", "#e4e6ea"),
        **_texts("#87d7ff", "#87d7ff", "#ffaf00", "#ff875f", "#ffff87", "#a3abb8"),
    },
)


# The surfaces are the terminal's own, so the texts are its bright colours on a dark one and its darkest on a light one:
# blue on black and green on white, as Textual's own ANSI themes have them, are hard to read on many terminals.
def _ansi(border: str, behind: str, before: str, chosen: str, texts: dict[str, str]) -> dict[str, str]:
    """The variables of the themes of the terminal's sixteen colours."""
    return {
        **texts,
        "ansi-background": behind,
        "ansi-foreground": before,
        "block-cursor-background": chosen,
        "border": border,
        "border-blurred": "ansi_bright_black",
        "scrollbar": "ansi_bright_black",
        "scrollbar-hover": "ansi_bright_black",
        "scrollbar-active": "ansi_bright_black",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
    }


ANSI_DARK = Theme(
    name="ansi-dark",
    ansi=True,
    primary="ansi_bright_cyan",
    secondary="ansi_bright_green",
    warning="ansi_bright_yellow",
    error="ansi_bright_red",
    success="ansi_bright_green",
    accent="ansi_bright_yellow",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables=_ansi(
        "ansi_bright_cyan",
        "ansi_black",
        "ansi_white",
        "ansi_blue",
        _texts(
            "ansi_bright_cyan", "ansi_bright_green", "ansi_bright_yellow", "ansi_bright_red", "ansi_bright_yellow",
            "ansi_default",
        ),
    ),
)  # fmt: skip

ANSI_LIGHT = Theme(
    name="ansi-light",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_magenta",
    warning="ansi_magenta",
    error="ansi_red",
    success="ansi_blue",
    accent="ansi_magenta",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=False,
    variables=_ansi(
        "ansi_blue",
        "ansi_white",
        "ansi_black",
        "ansi_white",
        _texts("ansi_blue", "ansi_blue", "ansi_magenta", "ansi_red", "ansi_magenta", "ansi_default"),
    ),
)

THEMES = (DARK, LIGHT, CONTRAST, SAFE, ANSI_DARK, ANSI_LIGHT)
"""All themes; the last two have the names of Textual's, in whose places they stand."""

NAMES = tuple(theme.name for theme in THEMES)
"""What the appearance dialog offers."""


def _with(theme: Theme, variables: dict[str, str]) -> Theme:
    return replace(theme, variables={**theme.variables, **variables})


def for_few_colours() -> tuple[Theme, ...]:
    """The themes of colours of their own, for a terminal of sixteen, under the same names.

    The greys of the surfaces would become the one grey of the sixteen, on which red and yellow are hard to see: dark
    surfaces are black here, and the marked row is blue.
    """
    row = {"block-cursor-background": "#000080"}
    edges = {"boost": "#000000", "border-blurred": "#808080", "scrollbar": "#808080"}
    dark = {**row, **edges, "block-cursor-blurred-background": "#000000"}
    light = {"text-quiet": "#000000", "text-warning": "#800080", "text-accent": "#800080", "border-blurred": "#000000"}
    black = "#000000"
    return (
        *(
            _with(replace(each, primary="#00ffff", background=black, surface=black, panel=black), dark)
            for each in (DARK, SAFE)
        ),
        _with(replace(LIGHT, warning="#800080", accent="#800080"), light),
        _with(CONTRAST, row),
    )


WITHOUT_COLOUR = "ansi-dark"
"""The theme that sends no colour at all when NO_COLOR is set."""


def fitting(light: bool | None, *, few_colours: bool) -> str:
    """The theme where none was chosen.

    Args:
        light: whether the terminal's background is light; None: that is not known.
        few_colours: the terminal has sixteen, among which the surfaces of the project's own themes become one.
    """
    if few_colours:
        return "ansi-light" if light else "ansi-dark"
    return LIGHT.name if light else DARK.name


ANSI_VARIABLES = {"text-quiet": "ansi_default"}
"""Variables of ours that Textual's other themes do not set."""
