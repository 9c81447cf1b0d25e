"""The log file: what the Azure SDK and Python's warnings say goes there, redacted, and never to the terminal."""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

from tui.services.redaction import redact
from tui.settings import Settings

# Our own logger, and those of the libraries below the services. azure-ai-ml gives five of its own a handler on the
# stderr of import time.
_LIBRARIES = ("phift", "azure", "msal", "urllib3", "py.warnings", "keyring")
_LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"


class _PrivateFile(RotatingFileHandler):
    """A rotating file of mode 0600 that survives a full disk."""

    def _open(self):  # type: ignore[no-untyped-def]  # the base class's type is private to typeshed
        os.close(os.open(self.baseFilename, os.O_CREAT | os.O_WRONLY, 0o600))
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the base class's name
        """Drop the line: a full disk must neither stop the work nor print on the terminal."""


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def log_file(settings: Settings) -> Path:
    """The log file."""
    return settings.state / "phift-tui.log"


def capture(settings: Settings) -> None:
    """Send the libraries' log lines and warnings to the log file only; call again after an import added handlers."""
    handler = _handler(log_file(settings))
    logging.captureWarnings(True)
    for name in list(logging.Logger.manager.loggerDict):
        if name.partition(".")[0] in _LIBRARIES:
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.WARNING)
        logger.propagate = False


_handlers: dict[Path, logging.Handler] = {}


def _handler(path: Path) -> logging.Handler:
    if path not in _handlers:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = _PrivateFile(path, maxBytes=1_000_000, backupCount=2, encoding="utf-8", delay=True)
        handler.setFormatter(_Redacted(_LINE))
        _handlers[path] = handler
    return _handlers[path]
