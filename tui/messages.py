"""The one catalogue of texts shown to people: gettext, English in the code, other languages in `assets/locale`."""

from __future__ import annotations

import gettext
import os
from datetime import UTC, datetime
from pathlib import Path

from assets import ROOT

_DOMAIN = "phift"
_LOCALES = Path(ROOT, "locale")
_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def languages() -> list[str]:
    """The languages that there are texts in, English first."""
    return ["en", *sorted(folder.name for folder in _LOCALES.iterdir())]


def use(language: str = "") -> None:
    """Show texts in a language from here on, in the helper processes too; English where it has no catalogue.

    Args:
        language: `en`, `bg`, or a locale like `bg_BG.UTF-8`; empty: that of the environment, where `LANGUAGE`,
            `LC_ALL`, `LC_MESSAGES` and `LANG` are asked in this order, as gettext does.
    """
    global _catalogue
    wanted = language or next(
        (os.environ[name] for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), ""
    )
    chosen: list[str] = []
    for name in wanted.split(":"):
        if name.partition(".")[0].partition("_")[0].lower() in ("c", "posix", "en"):
            break
        chosen.append(name)
    _catalogue = gettext.translation(_DOMAIN, _LOCALES, chosen, fallback=True) if chosen else gettext.NullTranslations()
    # Where argparse takes its words from, and what a helper process goes by.
    os.environ["LANGUAGE"] = ":".join([*chosen, "en"])
    gettext.bindtextdomain(_DOMAIN, str(_LOCALES))
    gettext.textdomain(_DOMAIN)


def mark(text: str) -> str:
    """The text as it is: for tables made at import, whose texts go through `t` when they are shown."""
    return text


def t(text: str, /, **values: object) -> str:
    """The text in the language in use; `{name}` places are filled from `values` after translation."""
    found = _catalogue.gettext(text) if text else ""
    return found.format(**values) if values else found


def n(one: str, many: str, count: int, /, **values: object) -> str:
    """The text for `count` things, which is also the value of `{count}`; the language decides which form."""
    return _catalogue.ngettext(one, many, count).format(count=grouped(count), **values)


_THOUSAND = mark("1,000")
"""How one thousand is written; not translated yet."""


def grouped(value: float, decimals: int = 0) -> str:
    """A number with its thousands apart as the language in use has them, and a decimal point, as in the fields."""
    written = f"{value:,}" if isinstance(value, int) and not decimals else f"{value:,.{decimals}f}"
    return written.replace(",", t(_THOUSAND)[1:-3])


def ago(moment: datetime) -> str:
    """How long ago a moment was, in words."""
    minutes = int((datetime.now(UTC) - moment).total_seconds() / 60)
    if minutes < 1:
        return t("just now")
    if minutes < 120:
        return n("{count} minute ago", "{count} minutes ago", minutes)
    if minutes < 48 * 60:
        return n("{count} hour ago", "{count} hours ago", minutes // 60)
    return n("{count} day ago", "{count} days ago", minutes // (24 * 60))


def size(count: float) -> str:
    """A number of bytes in kB or MB."""
    return f"{grouped(count / 1e6, 1)} MB" if count >= 1e6 else f"{grouped(count / 1e3, 1)} kB"
