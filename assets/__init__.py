"""Files that ship with the program: style sheets, sample data and recipes, price and catalogue snapshots."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent
"""The folder of the assets, wherever the package is installed."""
