"""What screens import of the services before the first frame loads no library of Azure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tui.services

# These are made to be imported late.
MODULES = sorted({path.stem for path in Path(tui.services.__file__).parent.glob("[a-z]*.py")} - {"pipeline", "tokens"})
HEAVY = ("azure", "msal", "keyring", "requests", "textual", "torch", "transformers", "starlette", "screens")


@pytest.mark.parametrize("state", ["import", "use"])
def test_importing_the_services_is_light(state: str, tmp_path: Path) -> None:
    program = "; ".join(["import sys", *(f"import tui.services.{name}" for name in MODULES)])
    if state == "use":  # what a first frame asks for
        program += f"""
from pathlib import Path
from tui.settings import Settings
from tui.recipe import Recipe
from tui.services import catalog, costs, drafts, export, journal
settings = Settings(state=Path({str(tmp_path)!r}))
model = catalog.find(catalog.cached(settings), Recipe().model.name)
drafts.save(settings, Recipe())
journal.Journal(settings.journal).open()
export.as_cli(drafts.latest(settings), model)
costs.estimate(Recipe(), model, None, costs.prices(None, "eastus2", settings)).lines()
"""
    program += "\nprint(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & set(HEAVY) == set()
