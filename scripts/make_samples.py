"""Writes the sample datasets of assets/samples: a support agent for a product line that does not exist.

Each fact is asked in six ways. One of the six, a different one from fact to fact, is held out, so that every held-out
question is new for its fact while its wording is known from other facts.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "samples"
SYSTEM = "You are the support agent of Brightwell kitchen appliances. Answer in one sentence."
HELD_OUT = 40

QUESTIONS = {
    "capacity": (
        "How much does the {0} hold?",
        "What is the capacity of the {0}?",
        "I am cooking for guests. How much fits into the {0}?",
        "Can you tell me how big the {0} is inside?",
        "What's the most I can put in my {0} at once?",
        "Before I buy the {0}: what is its maximum fill?",
    ),
    "warranty": (
        "How long is the warranty on the {0}?",
        "My {0} broke. Am I still covered?",
        "Which guarantee comes with the {0}?",
        "For how many years is the {0} under warranty?",
        "I lost the papers of my {0}. How long does the cover last?",
        "Does the {0} come with a warranty, and for how long?",
    ),
    "reset": (
        "How do I reset the {0}?",
        "My {0} does not respond any more. What can I do?",
        "The display of the {0} is frozen, please help.",
        "Is there a way to restart the {0}?",
        "The {0} stopped in the middle of its work. How do I get it going again?",
        "What are the steps for a factory reset of the {0}?",
    ),
    "cleaning": (
        "How do I clean the {0}?",
        "What is the best way to clean my {0}?",
        "Can I put the {0} in the dishwasher?",
        "My {0} looks dirty. How should I wash it?",
        "Which cleaner may I use on the {0}?",
        "How do I look after the {0} so that it stays clean?",
    ),
    "part": (
        "Which spare part does the {0} need most often?",
        "What is the part number of the filter or seal for the {0}?",
        "I need to order a spare for my {0}. Which one is it?",
        "Something inside the {0} is worn out. What do I order?",
        "Where do I find the right replacement for the {0}?",
        "How often must I change the spare part of the {0}, and which is it?",
    ),
}

PRODUCTS = {
    "Ember kettle": {
        "capacity": "The Ember kettle holds 1.7 litres of water.",
        "warranty": "The Ember kettle has a warranty of two years.",
        "reset": "To reset the Ember kettle, lift it off its base for ten seconds.",
        "cleaning": "To clean the Ember kettle, boil it once with a spoon of citric acid.",
        "part": "The Ember kettle needs a new lime filter EK-12 every six months.",
    },
    "Pip grinder": {
        "capacity": "The Pip grinder takes 60 grams of coffee beans.",
        "warranty": "The Pip grinder is covered for three years.",
        "reset": "To reset the Pip grinder, hold the dial down until the light turns blue.",
        "cleaning": "To clean the Pip grinder, brush the burrs dry and never use water.",
        "part": "The Pip grinder needs a new burr set PG-40 about every two years.",
    },
    "Marlow toaster": {
        "capacity": "The Marlow toaster takes four slices of bread.",
        "warranty": "The Marlow toaster is covered for one year.",
        "reset": "To reset the Marlow toaster, unplug it and push the lever down twice.",
        "cleaning": "To clean the Marlow toaster, empty the crumb tray once a week.",
        "part": "The Marlow toaster needs a new crumb tray MT-05 when the old one bends.",
    },
    "Tarn blender": {
        "capacity": "The Tarn blender holds 900 millilitres.",
        "warranty": "The Tarn blender has a warranty of five years on the motor.",
        "reset": "To reset the Tarn blender, let it cool for twenty minutes and press pulse.",
        "cleaning": "To clean the Tarn blender, run it with warm soapy water for thirty seconds.",
        "part": "The Tarn blender needs a new blade seal TB-21 as soon as the jug leaks.",
    },
    "Holt oven": {
        "capacity": "The Holt oven has room for 34 litres, or one whole chicken.",
        "warranty": "The Holt oven is covered for four years.",
        "reset": "To reset the Holt oven, press clock and stop together for five seconds.",
        "cleaning": "To clean the Holt oven, start the steam program and wipe it while warm.",
        "part": "The Holt oven needs a new door seal HO-77 every three years.",
    },
    "Fenn espresso machine": {
        "capacity": "The Fenn espresso machine holds 1.2 litres in its tank.",
        "warranty": "The Fenn espresso machine has a warranty of thirty months.",
        "reset": "To reset the Fenn espresso machine, switch it off and hold both cup buttons.",
        "cleaning": "To clean the Fenn espresso machine, flush it with a cleaning tablet each month.",
        "part": "The Fenn espresso machine needs a new group seal FE-58 once a year.",
    },
    "Wren scale": {
        "capacity": "The Wren scale weighs up to five kilograms.",
        "warranty": "The Wren scale is covered for eighteen months.",
        "reset": "To reset the Wren scale, take the battery out and press tare.",
        "cleaning": "To clean the Wren scale, wipe the glass with a damp cloth only.",
        "part": "The Wren scale needs a new battery door WS-03 when the old one is loose.",
    },
    "Cobalt freezer": {
        "capacity": "The Cobalt freezer holds 92 litres in three drawers.",
        "warranty": "The Cobalt freezer has a warranty of ten years on the compressor.",
        "reset": "To reset the Cobalt freezer, turn it to zero, wait two minutes and turn it back.",
        "cleaning": "To clean the Cobalt freezer, defrost it twice a year and wipe it with vinegar.",
        "part": "The Cobalt freezer needs a new drawer rail CF-90 when a drawer sticks.",
    },
    "Juno rice cooker": {
        "capacity": "The Juno rice cooker makes eight cups of rice.",
        "warranty": "The Juno rice cooker is covered for two and a half years.",
        "reset": "To reset the Juno rice cooker, press keep warm three times.",
        "cleaning": "To clean the Juno rice cooker, soak the pot and use a soft sponge.",
        "part": "The Juno rice cooker needs a new steam valve JR-16 every two years.",
    },
    "Sable mixer": {
        "capacity": "The Sable mixer takes two kilograms of dough in its bowl.",
        "warranty": "The Sable mixer has a warranty of seven years.",
        "reset": "To reset the Sable mixer, set it to zero and lift its head once.",
        "cleaning": "To clean the Sable mixer, put only the bowl and hooks in the dishwasher.",
        "part": "The Sable mixer needs new carbon brushes SM-33 after about 500 hours.",
    },
}


def chat(question: str, answer: str) -> dict[str, object]:
    """Return one row."""
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }


def rows() -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    """Return (rows to train on, held-out rows)."""
    train: list[dict[str, object]] = []
    held_out: list[dict[str, object]] = []
    fact = 0
    for product, answers in PRODUCTS.items():
        for topic, answer in answers.items():
            for number, question in enumerate(QUESTIONS[topic]):
                row = chat(question.format(product), answer)
                (held_out if number == (fact // 5 + fact % 5) % 6 else train).append(row)
            fact += 1
    order = random.Random(20261122)
    order.shuffle(train)
    order.shuffle(held_out)
    return train, held_out[:HELD_OUT]


def line(*turns: tuple[str, str]) -> str:
    """Return a row of (role, content) pairs as JSON."""
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]})


def broken() -> bytes:
    """Return a file with the faults that a demonstration needs, among good rows."""
    train, _ = rows()
    good = [json.dumps(row, ensure_ascii=False) for row in train[:20]]
    freezer = ("user", "How big is the Cobalt freezer inside?")
    call = {"id": "c1", "type": "function", "function": {"name": "find_part", "arguments": {"product": "Juno"}}}
    faults = [
        line(("user", "How much does the Wren scale hold?"), ("assistant", "Five kilograms.")).replace("}]", "},]"),
        line(("user", "My Ember kettle broke."), ("Assistant", "The Ember kettle has a warranty of two years.")),
        line(("user", "How do I reset the Holt oven?"), ("assistant", "")),
        line(("system", "Answer in one sentence."), ("user", "Where is my order?")),
        line(("user", "How do I clean the Pip grinder?"), ("assistant", "Brush it dry."), ("user", "Thanks!")),
        json.dumps({"prompt": "Which guarantee comes with the Sable mixer?", "completion": "Seven years."}),
        line(("user", "What holds the Tarn blender?"), ("assistant", "900 millilitres."), ("assistant", "More?")),
        line(("user", "Is the Marlow toaster covered?"), ("assistant", "For one year.")).replace(
            '"role": "user"', '"role": "user", "role": "user"'
        ),
        line(("user", "Write to dana.reyes@example.org or call +1 202 555 0143."), ("assistant", "We will.")),
        line(("user", "Please charge card 4111 1111 1111 1111."), ("assistant", "Never send card numbers in a chat.")),
        "",
        line(("user", "Restart the \u202eFenn machine"), ("assistant", "Hold both cup buttons.  ")),
        line(freezer, ("assistant", "It holds 92 litres in three drawers.")),
        line(freezer, ("assistant", "It holds 110 litres.")),
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": "Which part does the Juno need?"},
                    {"role": "assistant", "content": None, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": "c2", "content": "JR-16"},
                    {"role": "assistant", "content": "Order the steam valve JR-16."},
                ]
            }
        ),
        good[3],
        line(("user", "Is the seal in stock?"), ("bot", "Yes.")),
    ]
    made = []
    for number, text in enumerate(good):
        made.append(text)
        if number < len(faults):
            made.append(faults[number])
    cut = made.pop()[:90]
    return "\n".join([*made, cut]).encode() + b"\n"


def main() -> None:
    """Write the three files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    train, held_out = rows()
    for name, made in (("support-train.jsonl", train), ("support-heldout.jsonl", held_out)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made)
        # The service's documentation asks for UTF-8 with a byte order mark.
        (FOLDER / name).write_text(text, encoding="utf-8-sig", newline="\n")
    (FOLDER / "support-broken.jsonl").write_bytes(broken())


if __name__ == "__main__":
    main()
