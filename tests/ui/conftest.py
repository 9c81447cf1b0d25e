"""What the tests of the screens share."""

from __future__ import annotations

import os

# Read by Textual as it is imported.
os.environ["TEXTUAL_ANIMATIONS"] = "none"

from wizard_fakes import Wired, wired  # after the environment is set

__all__ = ["Wired", "wired"]
