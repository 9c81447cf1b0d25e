"""Machine sizes: every size that the catalogue offers for tuning is known, with its GPUs."""

from __future__ import annotations

import re

import assets
from tui.services import machines


def test_every_size_of_the_catalogue_is_known_and_fits_its_name() -> None:
    text = (assets.ROOT / "catalog/models.json").read_text("utf-8")
    names = set(re.findall(r"Standard_N[A-Za-z0-9_]+", text))
    assert names
    for name in names:
        size = machines.size(name)
        assert size is not None, name
        assert f"{size.vcpus}" in name
        assert size.gpus in (1, 2, 4, 8)


def test_a_process_for_each_gpu() -> None:
    assert machines.processes("standard_nd96asr_v4") == 8
    assert machines.processes("Standard_NC24ads_A100_v4") == 1
    assert machines.processes("Standard_Unheard_Of") == 1
