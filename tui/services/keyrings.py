"""The keyring: whether one can be used, and what this program keeps there; a keyring of plain text counts as none."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import TypeVar

_SERVICE = "phift-tui"
_SECONDS = 2.0
# Back ends that keep nothing, or keep it where anybody with the file can read it (keyrings.alt's PlaintextKeyring and
# its weakly encrypted EncryptedKeyring are both in `keyrings.alt.file`).
_UNFIT = re.compile(r"(?i)plaintext|\.file\b|\.null\b|\.fail\b")
_T = TypeVar("_T")


def put(name: str, value: str) -> bool:
    """Keep a value and read it back; False where no keyring can be used, or none answers within two seconds."""

    def store() -> bool:
        import keyring

        first = getattr(keyring.get_keyring(), "backends", [keyring.get_keyring()])[0]
        if _UNFIT.search(f"{type(first).__module__}.{type(first).__name__}"):
            return False
        keyring.set_password(_SERVICE, name, value)
        return keyring.get_password(_SERVICE, name) == value

    return _in_time(store) or False


def get(name: str) -> str | None:
    """The value kept under that name; None where there is none, or no keyring that answers."""

    def read() -> str | None:
        import keyring

        return keyring.get_password(_SERVICE, name)

    return _in_time(read)


def forget(name: str) -> None:
    """Remove a value, where it is kept."""

    def remove() -> None:
        import keyring

        keyring.delete_password(_SERVICE, name)

    _in_time(remove)


def _in_time(call: Callable[[], _T]) -> _T | None:
    """What a keyring call returns; None where it fails, or waits for a window to unlock it that nobody sees."""
    ended: list[_T] = []

    def run() -> None:
        try:
            ended.append(call())
        except Exception:  # keyring back ends raise whatever they like; any of it means: not usable
            return

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return ended[0] if ended else None
