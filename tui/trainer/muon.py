"""Muon for the hidden weight matrices and AdamW for everything else, as one optimizer that the Trainer can drive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class MuonWithAdamW(torch.optim.Optimizer):
    """`torch.optim.Muon` on the matrices inside the layers, `torch.optim.AdamW` on embeddings, head and vectors."""

    def __init__(self, model: torch.nn.Module, learning_rate: float, weight_decay: float) -> None:
        """Split the trained parameters of `model`; `learning_rate` is Muon's."""
        matrices: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                inside = parameter.ndim == 2 and ".layers." in name
                (matrices if inside else others).append(parameter)
        # adjust_lr_fn makes Muon's steps as long as AdamW's, so that one learning rate fits both.
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            self.parts.append(
                torch.optim.Muon(matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
            )
        if others:
            self.parts.append(torch.optim.AdamW(others, lr=learning_rate, weight_decay=weight_decay))
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        # The schedule changes the groups seen from outside: they have to be the parts' own.
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]  # torch's overloads
        """Let both parts take one step."""
        loss = closure() if closure is not None else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The state of both parts."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]
