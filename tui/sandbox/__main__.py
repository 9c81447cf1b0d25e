"""The process that `tui.sandbox.daemon.start` starts: it detaches, serves, and says on a pipe when it is ready."""

from __future__ import annotations

import argparse
import logging
import os
import sqlite3
from datetime import date
from pathlib import Path


def main() -> None:
    """Detach from the starter and serve until a signal."""
    parser = argparse.ArgumentParser(prog="python -m tui.sandbox")
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--pace", type=float, default=1.0)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--as-of", type=date.fromisoformat)
    parser.add_argument("--ready", type=int, required=True, help="the descriptor to write the outcome to")
    arguments = parser.parse_args()
    # Forked before anything heavy is imported; the starter, which is the parent, ends and is reaped at once.
    if os.fork():
        os._exit(0)

    from tui.sandbox import serve
    from tui.sandbox.daemon import SandboxInfo

    started = False

    def tell(message: str) -> None:
        os.write(arguments.ready, message.encode())
        os.close(arguments.ready)

    def ready(info: SandboxInfo) -> None:
        nonlocal started
        started = True
        tell("ready")

    try:
        serve.log_to(arguments.state)
        serve.run(arguments.state, as_of=arguments.as_of, pace=arguments.pace, port=arguments.port, ready=ready)
    except Exception as error:
        logging.getLogger(__name__).exception("the sandbox cannot run")
        if not started:
            tell(_outcome(error, arguments.state))
        raise SystemExit(1) from error


def _outcome(error: Exception, folder: Path) -> str:
    from tui.sandbox.daemon import SandboxRefusedError

    if isinstance(error, SandboxRefusedError):
        return f"refused {error}"
    if isinstance(error, OSError | sqlite3.Error):
        return f"refused its state in {folder} cannot be used ({error}): free some space, or mend its permissions"
    return f"failed {type(error).__name__}: {error}; see {folder / 'sandbox.log'}"


if __name__ == "__main__":
    main()
