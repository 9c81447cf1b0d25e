"""Makes support-agent chats from a table of facts, each fact in several phrasings, so that answers can be checked."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PRODUCTS = (
    "Aurora lamp", "Bistro kettle", "Cobalt drill", "Dune tent", "Ember stove", "Fjord kayak",
    "Garnet watch", "Harbor radio", "Iris camera", "Jasper desk", "Krill pump", "Lumen torch",
)  # fmt: skip
FACTS = {
    "price": ("costs {a} dollars", [29, 45, 129, 210, 89, 640, 175, 59, 349, 420, 99, 18]),
    "warranty": ("has a warranty of {a} months", [12, 24, 36, 18, 24, 60, 48, 12, 24, 72, 30, 6]),
    "weight": ("weighs {a} grams", [850, 1200, 1750, 2400, 3100, 21000, 95, 680, 430, 28000, 5200, 150]),
    "colour": ("comes in {a}", ["amber", "cream", "blue", "sand", "black", "red", "gold", "white", "violet", "oak",
                                "grey", "yellow"]),
    "delivery": ("is delivered within {a} days", [2, 3, 4, 5, 6, 14, 7, 8, 9, 21, 10, 1]),
}  # fmt: skip
PHRASINGS = {
    "price": ("How much is the {p}?", "What does the {p} cost?", "What is the price of the {p}?",
              "Tell me the price of the {p}, please.", "Could you say what I pay for the {p}?"),
    "warranty": ("How long is the warranty of the {p}?", "What warranty does the {p} have?",
                 "For how many months is the {p} covered?", "Tell me about the {p} warranty.",
                 "Is there a warranty on the {p}, and how long?"),
    "weight": ("How heavy is the {p}?", "What does the {p} weigh?", "What is the weight of the {p}?",
               "Tell me the weight of the {p}, please.", "Is the {p} heavy? How many grams?"),
    "colour": ("Which colour does the {p} have?", "What colour is the {p}?", "In which colour is the {p} sold?",
               "Tell me the colour of the {p}, please.", "Do you know the {p} colour?"),
    "delivery": ("How long does delivery of the {p} take?", "When will the {p} arrive?",
                 "How many days until the {p} is delivered?", "Tell me the delivery time of the {p}.",
                 "How soon can I get the {p}?"),
}  # fmt: skip
SYSTEM = "You are the support agent of Northwind. Answer in one sentence."


def support_chats(train_rows: int = 200, held_out_rows: int = 40, seed: int = 1) -> tuple[list[Any], list[Any]]:
    """Training rows, and rows whose phrasing of a trained fact is not among them."""
    rng = random.Random(seed)
    facts = [(product, fact) for product in range(len(PRODUCTS)) for fact in FACTS]
    rng.shuffle(facts)
    facts = facts[: max(1, train_rows // 4)]
    train, held_out = [], []
    for product, fact in facts:
        phrasings = list(PHRASINGS[fact])
        rng.shuffle(phrasings)
        rows = [chat(product, fact, phrasing) for phrasing in phrasings]
        train += rows[:4]
        held_out += rows[4:]
    rng.shuffle(train)
    return train[:train_rows], held_out[:held_out_rows]


def chat(product: int, fact: str, phrasing: str) -> dict[str, Any]:
    """One question and its answer."""
    statement, values = FACTS[fact]
    name = PRODUCTS[product]
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": phrasing.format(p=name)},
            {"role": "assistant", "content": f"The {name} {statement.format(a=values[product])}."},
        ]
    }


def classification_rows(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Questions whose last message is the kind of fact asked for."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        fact = rng.choice(list(FACTS))
        question = rng.choice(PHRASINGS[fact]).format(p=rng.choice(PRODUCTS))
        rows.append({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": fact}]})
    return rows


def write_jsonl(path: Path, rows: Sequence[Any]) -> Path:
    """`rows` as JSON lines at `path`."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
