"""How much memory a training takes: the formula behind docs/training.md and the check before a job."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import psutil

GIB = 2**30


@dataclass(frozen=True)
class Shape:
    """The sizes of a Phi-3-architecture model, as its config.json has them."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary: int
    tied: bool = False

    @property
    def linear_parameters(self) -> int:
        """Parameters of the layers' linear projections, which LoRA adapts."""
        head = self.hidden // self.heads
        attention = self.hidden * head * (self.heads + 2 * self.key_value_heads) + self.hidden * self.hidden
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def parameters(self) -> int:
        """All parameters."""
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.linear_parameters + embeddings + self.hidden * (2 * self.layers + 1)

    def lora_parameters(self, rank: int) -> int:
        """Parameters of adapters of `rank` on all linear projections: rank x (inputs + outputs) of each."""
        head = self.hidden // self.heads
        qkv = self.hidden + head * (self.heads + 2 * self.key_value_heads)
        sides = qkv + 2 * self.hidden + (self.hidden + 2 * self.intermediate) + (self.intermediate + self.hidden)
        return self.layers * rank * sides


def shape_of(config: Any) -> Shape:
    """The sizes in a transformers `Phi3Config`."""
    return Shape(
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        key_value_heads=config.num_key_value_heads,
        vocabulary=config.vocab_size,
        tied=config.tie_word_embeddings,
    )


PUBLISHED = {
    "Phi-3-mini, Phi-3.5-mini": Shape(3072, 8192, 32, 32, 32, 32064),
    "Phi-4-mini": Shape(3072, 8192, 32, 24, 8, 200064, tied=True),
    "Phi-3-medium": Shape(5120, 17920, 40, 40, 10, 32064),
    "Phi-4": Shape(5120, 17920, 40, 40, 10, 100352),
}
"""From the config.json that Microsoft published with each model."""


@dataclass(frozen=True)
class Need:
    """Bytes of one device."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """Bytes in all."""
        return self.weights + self.gradients + self.optimizer + self.activations


def need(
    shape: Shape,
    *,
    method: Literal["full", "lora"],
    rows: int,
    tokens: int,
    device: Literal["cpu", "gpu"],
    rank: int = 16,
    shards: int = 1,
) -> Need:
    """Memory of one device for one step.

    The assumptions: AdamW (two float32 moments a trained parameter); trained parameters and their gradients in float32;
    a frozen base in bfloat16 on a GPU and float32 on a CPU; on a GPU mixed precision (a bfloat16 copy of the trained
    parameters, under FSDP of two units at a time) and bfloat16 activations with checkpointing (the input of each layer,
    and one layer's inside); on a CPU float32 activations of all layers; attention without its matrix (sdpa); logits in
    float32, twice, at all positions. FSDP divides weights, gradients and optimizer by `shards`. What the allocator
    wastes, the CUDA context (0.5 to 1 GiB) and communication buffers are not in it.
    """
    trained = shape.parameters if method == "full" else shape.lora_parameters(rank)
    frozen = 0 if method == "full" else shape.parameters
    positions = rows * tokens
    width = 2 if device == "gpu" else 4
    inside = width * positions * (10 * shape.hidden + 4 * shape.intermediate)
    kept = width * positions * shape.hidden * shape.layers
    activations = inside + kept if device == "gpu" else inside * shape.layers
    activations += 2 * 4 * positions * shape.vocabulary
    copies = 0.0
    if device == "gpu":
        unit = max(shape.linear_parameters // shape.layers, shape.vocabulary * shape.hidden)
        copies = 2.0 * (trained if shards == 1 else min(trained, 2 * unit))
    return Need(
        weights=(4 * trained + width * frozen) / shards + copies,
        gradients=4 * trained / shards,
        optimizer=8 * trained / shards,
        activations=activations,
    )


def table() -> str:
    """The Markdown table of docs/training.md: GiB of each GPU for one row of 2,048 tokens."""
    ways: list[tuple[str, Literal["full", "lora"], int]] = [
        ("LoRA, 1 GPU", "lora", 1),
        ("LoRA, FSDP over 4", "lora", 4),
        ("full, 1 GPU", "full", 1),
        ("full, FSDP over 4", "full", 4),
        ("full, FSDP over 8", "full", 8),
    ]
    lines = [
        "| model | parameters | " + " | ".join(title for title, _, _ in ways) + " |",
        "|---|---:|" + "---:|" * len(ways),
    ]
    for name, shape in PUBLISHED.items():
        cells = [
            f"{need(shape, method=method, rows=1, tokens=2048, device='gpu', shards=shards).total / GIB:.0f}"
            for _, method, shards in ways
        ]
        lines.append(f"| {name} | {shape.parameters / 1e9:.2f} B | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def available() -> int:
    """Bytes of main memory and swap that a new process could have."""
    return int(psutil.virtual_memory().available + psutil.swap_memory().free)


def resident() -> int:
    """Bytes of main memory that this process has, shared pages included."""
    return int(psutil.Process().memory_info().rss)


def cores() -> int:
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        return os.cpu_count() or 1
