"""The models that can be trained and served: finding them, saying which one it is, and loading them whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError

from . import places
from .failures import TrainingFailed, out_of_memory

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Base:
    """A model on disk, and what to call it before people."""

    folder: Path
    tokenizer: Path
    """Where its tokenizer is: mostly the same folder; MLflow's layout, which Azure's registry uses, has it apart."""
    description: str
    adapter: bool
    stored_dtype: str


def find(name: str) -> Base:
    """The model called `name`: `tiny`, `small`, a folder, or a hub id (downloaded through huggingface_hub).

    Raises:
        TrainingFailed: `BadModel` where there is none, or it is not of the Phi-3 architecture (which Phi-3, Phi-3.5,
            Phi-4-mini and Phi-4 share).
    """
    folder = _folder(name)
    tokenizer = folder.parent / "tokenizer" if folder.parts[-2:] == ("data", "model") else folder
    if not (tokenizer / "tokenizer_config.json").is_file():
        tokenizer = folder
    adapter = (folder / "adapter_config.json").is_file()
    config = _read(folder / "config.json") if not adapter else {}
    if not adapter and config.get("model_type") != "phi3":
        kind = config.get("model_type", "without a model_type")
        raise TrainingFailed(
            "BadModel",
            f"{folder} is a {kind!r} model, not one of the Phi-3 architecture",
            "Use Phi-3-mini, Phi-3-medium, Phi-3.5-mini, Phi-4-mini or Phi-4 weights (model_type phi3).",
        )
    stored = str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")
    return Base(folder, tokenizer, _description(name, folder, config), adapter, stored)


def load_tokenizer(base: Base) -> PreTrainedTokenizerBase:
    """The model's own tokenizer with its chat template.

    Raises:
        TrainingFailed: `BadModel` where it has no tokenizer or template, or lacks a token to pad with.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base.tokenizer, local_files_only=True)
    except (OSError, ValueError) as error:
        raise _bad(base, f"its tokenizer cannot be read ({_line(error)})", "Copy the tokenizer's files too.") from None
    if not tokenizer.chat_template:
        raise _bad(base, "it has no chat template", "Use an instruct model, or add its chat_template.jinja.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(
    base: Base,
    tokenizer: PreTrainedTokenizerBase,
    *,
    dtype: torch.dtype,
    labels: list[str] | None = None,
) -> PreTrainedModel:
    """The weights, checked: none missing, none left over, none of another shape, and a row for every token.

    Args:
        base: From `find`; an adapter is merged into the model below it.
        tokenizer: The model's own.
        dtype: What the weights are computed in.
        labels: Where given, a `Phi3ForSequenceClassification` for these classes, with a new head unless the model has
            one for the same classes; else a `Phi3ForCausalLM`.
    """
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    if base.adapter:
        return _load_adapter(base, tokenizer, dtype)
    options: dict[str, Any] = {}
    kind: Any = AutoModelForCausalLM
    expected_missing = {"lm_head.weight"} if _read(base.folder / "config.json").get("tie_word_embeddings") else set()
    if labels is not None:
        kind = AutoModelForSequenceClassification
        expected_missing = {"score.weight"}
        options = {
            "num_labels": len(labels),
            "id2label": dict(enumerate(labels)),
            "label2id": {label: i for i, label in enumerate(labels)},
        }
    try:
        model, report = kind.from_pretrained(
            base.folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,  # a pickle could run code
            trust_remote_code=False,
            ignore_mismatched_sizes=True,  # so that they can be named
            output_loading_info=True,
            **options,
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        if out_of_memory(error):
            raise
        raise _bad(base, f"its weights cannot be loaded ({_line(error)})", "Compare with the model's source.") from None
    together = "config.json and the weights do not belong together, or a shard is missing."
    for name, stored, wanted in sorted(report["mismatched_keys"]):
        if name not in expected_missing:
            shapes = f"{_shape(stored)} in the weights and {_shape(wanted)} by config.json"
            raise _bad(base, f"{name} is {shapes}", together)
    missing = sorted(set(report["missing_keys"]) - expected_missing)
    if missing:
        raise _bad(base, f"its weights lack {_first(missing)}", together)
    # The other kind's head is left over where a chat model becomes a classifier, or the other way round.
    left_over = sorted(set(report["unexpected_keys"]) - {"lm_head.weight", "score.weight"})
    if left_over:
        raise _bad(base, f"its weights have {_first(left_over)}, which config.json has no place for", together)
    if len(tokenizer) > model.config.vocab_size:
        raise _bad(
            base,
            f"its tokenizer has {len(tokenizer)} tokens and the model only {model.config.vocab_size}",
            "Use the tokenizer that belongs to these weights.",
        )
    return model


def class_labels(base: Base) -> list[str] | None:
    """The classes of a classifier's folder, or None where it is a chat model."""
    config = _read(base.folder / "config.json") if not base.adapter else {}
    if "Phi3ForSequenceClassification" not in config.get("architectures", []):
        return None
    by_id = config.get("id2label", {})
    return [by_id[key] for key in sorted(by_id, key=int)]


def context_length(model: PreTrainedModel) -> int:
    """The longest conversation the model was made for, in tokens."""
    return int(model.config.max_position_embeddings)


def _folder(name: str) -> Path:
    if name == "tiny":
        return places.tiny_folder()
    if name == "small":
        if not places.small_is_here():
            raise TrainingFailed("BadModel", "the stand-in 'small' is not on this machine", places.FETCH_IT)
        return places.small_folder()
    folder = Path(name).expanduser()
    if folder.is_dir():
        for place in (folder, folder / "data" / "model"):
            if any((place / wanted).is_file() for wanted in ("config.json", "adapter_config.json")):
                return place.resolve()
        raise TrainingFailed("BadModel", f"{folder} has no config.json", "Give the folder with the model's files.")
    if folder.is_absolute() or name.startswith(".") or name.count("/") != 1:
        raise TrainingFailed("BadModel", f"there is no model at {name}", "Use tiny, small, a folder, or a hub id.")
    return _download(name)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.model", "*.jinja"]))
    except Exception as error:
        # The hub's client raises some twenty types; all of them mean that the model is not to be had.
        raise TrainingFailed(
            "BadModel",
            f"{name} could not be downloaded from the hub: {str(error).partition(chr(10))[0]}",
            "Check the id and the network, or give a local folder.",
        ) from None


def _description(name: str, folder: Path, config: dict[str, Any]) -> str:
    if name == "tiny":
        return f"stand-in 'tiny': {_size(_parameters(folder))} parameters, Phi-3 architecture"
    if name == "small":
        return f"stand-in 'small': SmolLM2-135M-Instruct laid out as Phi-3, {_size(_parameters(folder))} parameters"
    if not config:
        return f"{folder.name}: an adapter"
    layers = config.get("num_hidden_layers")
    return f"{name}: {_size(_parameters(folder))} parameters, Phi-3 architecture, {layers} layers"


def _parameters(folder: Path) -> int:
    """The number of values in the folder's safetensors files, read from their headers."""
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        for name, tensor in header.items():
            if name != "__metadata__":
                count = 1
                for side in tensor["shape"]:
                    count *= side
                total += count
    return total


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.1f} M" if count < 1e7 else f"{count / 1e6:.0f} M"


def _load_adapter(base: Base, tokenizer: PreTrainedTokenizerBase, dtype: torch.dtype) -> PreTrainedModel:
    from peft import PeftModel

    below = find(_read(base.folder / "adapter_config.json")["base_model_name_or_path"])
    model = load_model(below, tokenizer, dtype=dtype)
    merged: PreTrainedModel = PeftModel.from_pretrained(model, base.folder).merge_and_unload()
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingFailed("BadModel", f"{path} cannot be read: {_line(error)}", "Copy the model again.") from None
    if not isinstance(value, dict):
        raise TrainingFailed("BadModel", f"{path} does not hold one JSON object", "Copy the model again.")
    return value


def _first(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _shape(sides: Iterable[int]) -> str:
    return " × ".join(map(str, sides))


def _bad(base: Base, what: str, advice: str) -> TrainingFailed:
    return TrainingFailed("BadModel", f"{base.folder} cannot be used: {what}", advice)


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
