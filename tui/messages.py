"""The one catalogue of texts shown to people: gettext, English in the code, other languages in `assets/locale`."""

from __future__ import annotations

import gettext
from datetime import UTC, datetime

from assets import ROOT

_DOMAIN = "phift"
_catalogue: gettext.NullTranslations = gettext.NullTranslations()


def use(language: str) -> None:
    """Show texts in `language` (`en`, `bg`, or a locale like `bg_BG.UTF-8`); English where it has no catalogue."""
    global _catalogue
    _catalogue = gettext.translation(_DOMAIN, ROOT / "locale", [language] if language else None, fallback=True)


def t(text: str, /, **values: object) -> str:
    """The text in the language in use; `{name}` places are filled from `values` after translation."""
    found = _catalogue.gettext(text) if text else ""
    return found.format(**values) if values else found


def n(one: str, many: str, count: int, /, **values: object) -> str:
    """The text for `count` things, which is also the value of `{count}`; the language decides which form."""
    return _catalogue.ngettext(one, many, count).format(count=f"{count:,}", **values)


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
