"""Walk the real program through a sandbox fine-tune by the Enter key, and save the pictures of the README."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SIZE = (110, 32)
PATIENCE = 300.0
"""Seconds until a condition has to be true."""


async def main() -> None:
    """Writes data.svg, review.svg, monitor.svg and playground.svg into docs/images."""
    from tui import recipe, settings
    from tui.app import PhiftApp
    from tui.sandbox import daemon

    IMAGES.mkdir(parents=True, exist_ok=True)
    configuration = settings.load()
    home = Path.cwd()
    for name in ("support-train.jsonl", "support-heldout.jsonl"):
        shutil.copy(ROOT / "assets" / "samples" / name, home)
    demo = recipe.load(ROOT / "assets" / "recipes" / "demo.toml").with_(
        data__train="support-train.jsonl", evaluation__file="support-heldout.jsonl"
    )
    app = PhiftApp(configuration, sandbox=True, recipe=demo, base=home)

    async def wait_for(description: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise SystemExit(f"never came: {description}, at {app.current_mode}")
            await pilot.pause(0.1)

    def shows(text: str) -> bool:
        return any(
            text in "".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()
        )

    def save(name: str) -> None:
        (IMAGES / f"{name}.svg").write_text(app.export_screenshot(title="phift-tui"), encoding="utf-8")
        print(f"docs/images/{name}.svg", file=sys.stderr)

    try:
        async with app.run_test(size=SIZE) as pilot:
            await wait_for("the tour", lambda: shows("Enter Begin"))
            await pilot.press("enter")
            await wait_for("signed in", lambda: shows("Signed in"))
            for place in ("access", "project", "model", "data"):
                await pilot.press("enter")
                await wait_for(place, lambda place=place: app.current_mode == place)  # type: ignore[misc]
            await wait_for("the data is checked", lambda: shows("Good to train on"))
            save("data")
            for place in ("validation", "hyperparameters", "review"):
                await pilot.press("enter")
                await wait_for(place, lambda place=place: app.current_mode == place)  # type: ignore[misc]
            await wait_for("nothing is open", lambda: shows("Nothing is open"))
            save("review")
            await pilot.press("enter")
            await wait_for("the question", lambda: shows("Submit this run?"))
            await pilot.press("enter")
            await wait_for("the monitor", lambda: app.current_mode == "monitor")
            late = [f"step {n}0 of" for n in range(20, 40)]
            await wait_for("the second half of the training", lambda: any(map(shows, late)))
            save("monitor")
            await wait_for("completed", lambda: shows("Completed"))
            await pilot.press("enter")
            await wait_for("deploy", lambda: app.current_mode == "deploy")
            await pilot.press("enter")
            await wait_for("the question", lambda: shows("Deploy as"))
            await pilot.press("enter")
            await wait_for("a question to ask", lambda: app.current_mode == "playground" and shows("Enter asks it"))
            await pilot.press("enter")
            await wait_for("an answer", lambda: shows("first after"))
            save("playground")
            await pilot.press("ctrl+q")
    finally:
        daemon.stop(configuration.sandbox_folder)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        for name in ("CONFIG", "STATE", "CACHE"):
            os.environ[f"XDG_{name}_HOME"] = str(Path(home) / name.lower())
        os.environ |= {"COLORTERM": "truecolor", "LANGUAGE": "en"}  # whatever terminal this is run in
        os.chdir(home)
        sys.path.insert(0, str(ROOT))
        asyncio.run(main())
