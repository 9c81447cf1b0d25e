"""The themes: dark, light, high contrast, and one that is safe for colour-blind eyes; ANSI ones come with Textual."""

from __future__ import annotations

from textual.theme import Theme


# SSH does not forward COLORTERM, so most terminals get 256 colours: the dark surfaces are near-grey, each on a step of
# the grey ramp of its own, or they would all become black.
def _dark(border: str, foreground: str, quiet: str) -> dict[str, str]:
    """The variables of the dark themes; they differ in three colours."""
    return {
        "border": border,
        "border-blurred": "#747b86",
        "scrollbar": "#747b86",
        "scrollbar-background": "#131518",
        "block-cursor-background": "#1b2e5a",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#2e3238",
        "block-cursor-blurred-foreground": foreground,
        "text-quiet": quiet,
    }


DARK = Theme(
    name="phift-dark",
    primary="#7aa2d6",
    secondary="#8fb8a8",
    accent="#d6b06c",
    warning="#e0a458",
    error="#e0786e",
    success="#8fbf7f",
    foreground="#d8dce3",
    background="#131518",
    surface="#272a2f",
    panel="#1c1f23",
    boost="#2e3238",
    dark=True,
    variables=_dark("#7aa2d6", "#d8dce3", "#98a1ae"),
)

LIGHT = Theme(
    name="phift-light",
    primary="#1f5a99",
    secondary="#2c6e5c",
    accent="#80560a",
    warning="#8f5200",
    error="#a8281e",
    success="#2f6b1f",
    foreground="#20242a",
    background="#fbfaf7",
    surface="#ebebe8",
    panel="#f3f2ed",
    boost="#e2e0d8",
    dark=False,
    variables={
        "border": "#1f5a99",
        "border-blurred": "#7c7974",
        "scrollbar": "#7c7974",
        "scrollbar-background": "#fbfaf7",
        "block-cursor-background": "#d9e5f2",
        "block-cursor-foreground": "#101418",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#e6eaee",
        "block-cursor-blurred-foreground": "#20242a",
        "text-quiet": "#535862",
    },
)

CONTRAST = Theme(
    name="phift-contrast",
    primary="#ffffff",
    secondary="#ffffff",
    accent="#ffff00",
    warning="#ffd700",
    error="#ff9d9d",
    success="#7fff7f",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    boost="#1c1c1c",
    dark=True,
    text_alpha=1.0,
    variables={
        "border": "#ffff00",
        "border-blurred": "#ffffff",
        "scrollbar": "#ffffff",
        "scrollbar-background": "#000000",
        "block-cursor-background": "#303030",
        "block-cursor-foreground": "#ffff00",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#1c1c1c",
        "block-cursor-blurred-foreground": "#ffffff",
        "text-quiet": "#e6e6e6",
    },
)

# Blue, orange and yellow of Okabe and Ito's palette: told apart with any of the common colour vision deficiencies.
SAFE = Theme(
    name="phift-safe",
    primary="#56b4e9",
    secondary="#56b4e9",
    accent="#f0e442",
    warning="#e69f00",
    error="#ee8a4c",
    success="#56b4e9",
    foreground="#e4e6ea",
    background="#131518",
    surface="#272a2f",
    panel="#1c1f23",
    boost="#2e3238",
    dark=True,
    variables=_dark("#56b4e9", "#e4e6ea", "#a3abb8"),
)

THEMES = (DARK, LIGHT, CONTRAST, SAFE)
"""The project's own themes."""

NAMES = (*(theme.name for theme in THEMES), "ansi-dark", "ansi-light")
"""What the appearance dialog offers."""

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
"""Variables of ours that Textual's own themes do not set."""
