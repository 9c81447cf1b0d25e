"""Measures how many tokens a character makes: the figures of `tui/dataset/tokens.py` and their errors.

The texts are the user-interface texts of Django in 24 languages, from its wheel, Python's language reference and
modules of its standard library, and the sample chats. Each is one set; the English ones and the code weigh six times,
since most training data is like them.
"""

from __future__ import annotations

import json
import pydoc_data.topics
import random
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import assets
from tui.dataset import tokens

DJANGO = "django==5.2.19"
LANGUAGES = [
    "ar", "cs", "de", "el", "es", "fa", "fr", "he", "hi", "id", "it", "ja", "ko", "nl", "pl", "pt", "pt_BR", "ru", "sv",
    "th", "tr", "uk", "vi", "zh_Hans",
]  # fmt: skip
TEXTS = 500
ENGLISH_WEIGHT = 6
_ENTRY = re.compile(r'msgstr(?:\[\d\])? "((?:[^"\\]|\\.)*)"((?:\n"(?:[^"\\]|\\.)*")*)')


def interface_texts() -> dict[str, list[str]]:
    """Return Django's translations by language."""
    found: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, DJANGO]
        subprocess.run(command, check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            for name in sorted(wheel.namelist()):
                language = name.split("/")[-3] if name.endswith("LC_MESSAGES/django.po") else ""
                if language in LANGUAGES:
                    for entry in _ENTRY.finditer(wheel.read(name).decode()):
                        pieces = [entry.group(1), *(line[1:-1] for line in entry.group(2).split("\n")[1:])]
                        text = "".join(pieces).replace("\\n", "\n").replace('\\"', '"')
                        if len(text) > 15:
                            found.setdefault(language, []).append(text)
    return found


def english_texts() -> dict[str, list[str]]:
    """Return English prose, English chats and Python code."""
    prose = [part for text in pydoc_data.topics.topics.values() for part in text.split("\n\n") if len(part) > 30]
    lines = (assets.ROOT / "samples" / "support-train.jsonl").read_text("utf-8-sig").splitlines()
    chats = [message["content"] for line in lines for message in json.loads(line)["messages"]]
    library = Path(json.__file__).parent.parent
    code = [
        part
        for path in sorted(library.glob("[a-d]*.py"))
        for part in path.read_text("utf-8", errors="replace").split("\n\n\n")
        if 50 < len(part) < 3000
    ]
    return {"en": prose, "en chats": chats, "python": code}


def main() -> int:
    """Print the figures of each vocabulary."""
    english = english_texts()
    sets = {**interface_texts(), **english}
    for texts in sets.values():
        random.Random(1).shuffle(texts)
        del texts[TEXTS:]
    for vocabulary in ("phi3", "phi4", "phi4-mini"):
        count = tokens._loaded(vocabulary)
        shares = {}
        for name, texts in sets.items():
            real = sum(count(texts))
            characters = sum(map(len, texts))
            shares[name] = (characters / real, (sum(len(text.encode()) for text in texts) - characters) / real)
        # Least squares of 1 = a * characters + b * further bytes, both as a share of the real tokens of a set.
        rows = [(x, y, ENGLISH_WEIGHT if name in english else 1) for name, (x, y) in shares.items()]
        xx, xy, yy = (
            sum(w * p * q for p, q, w in made)
            for made in (
                [(x, x, w) for x, _, w in rows],
                [(x, y, w) for x, y, w in rows],
                [(y, y, w) for _, y, w in rows],
            )
        )
        x1, y1 = sum(w * x for x, _, w in rows), sum(w * y for _, y, w in rows)
        a = (x1 * yy - y1 * xy) / (xx * yy - xy * xy)
        b = (y1 * xx - x1 * xy) / (xx * yy - xy * xy)
        errors = {name: a * x + b * y - 1 for name, (x, y) in shares.items()}
        ordered = sorted(map(abs, errors.values()))
        nine = ordered[len(ordered) * 9 // 10]
        print(f"{vocabulary}: {a:.4f} a character, {b:.4f} a further byte, nine in ten {nine:.2f}")
        print("   ", " ".join(f"{name} {error:+.2f}" for name, error in errors.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
