"""Every choice of a training job as one dataclass, read from and written to the job folder's `config.json`."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self


class ConfigError(ValueError):
    """A choice that cannot be honoured; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


Schedule = Literal["linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt"]


@dataclass(frozen=True)
class Recipe:
    """What a choice left open becomes for one kind of base model."""

    method: Literal["full", "lora"]
    learning_rate: dict[str, float]
    epochs: float
    batch_size: int
    schedule: Schedule


RECIPES = {
    # Measured on two CPU cores with the 200-row support sample; see docs/training.md.
    "tiny": Recipe("full", {"full": 3e-3, "lora": 5e-3}, 8, 4, "cosine"),
    "small": Recipe("lora", {"full": 1e-4, "lora": 1e-3}, 1, 4, "constant_with_warmup"),
    # Customary starting points for models of billions of parameters; not measured by this project.
    "other": Recipe("lora", {"full": 1e-5, "lora": 2e-4}, 3, 4, "cosine"),
}


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """A training job.

    Paths are absolute. Choices that are None take the base model's recipe (`RECIPES`) or a value drawn from the number
    of steps, as said beside each of them; `resolved()` gives the values that are used.
    """

    model: str
    """`tiny`, `small`, a local folder, or a hub id."""
    train_file: str
    """Chat JSONL, one `{"messages": [...]}` a line."""
    validation_file: str | None = None
    output_dir: str
    """Where the finished model goes; transformers loads it."""
    seed: int = 42

    task: Literal["chat", "classification"] = "chat"
    """`classification` trains `Phi3ForSequenceClassification`; the label is the row's last assistant message."""
    labels: list[str] | None = None
    """The classes in order; None takes the distinct labels of the training file, sorted."""
    method: Literal["full", "lora"] | None = None
    lora_rank: int = 16
    lora_alpha: int = 32
    lora_dropout: float = 0.0
    lora_targets: list[str] | str = "all-linear"
    """Names of linear layers (`qkv_proj`, `o_proj`, `gate_up_proj`, `down_proj`), or `all-linear`."""

    epochs: float | None = None
    batch_size: int | None = None
    """Rows a device takes at once; the global batch is this times accumulation times devices."""
    gradient_accumulation_steps: int = 1
    learning_rate: float | None = None
    schedule: Schedule | None = None
    warmup_ratio: float = 0.05
    optimizer: Literal["adamw", "adafactor", "sgd", "muon"] = "adamw"
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    """Gradients longer than this are scaled down to it; 0 switches clipping off."""
    loss: Literal["cross_entropy", "label_smoothing", "focal"] = "cross_entropy"
    """`focal` is for classification."""
    label_smoothing: float = 0.1
    """The share of probability given to all other tokens; used where `loss` is `label_smoothing`."""
    focal_gamma: float = 2.0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """`auto`: bf16 on a GPU that has it, else fp16 on a GPU, else fp32."""
    parallelism: Literal["auto", "ddp", "fsdp"] = "auto"
    """How several processes spread the work: each with the whole model, or sharing it; `auto` shares it where a full
    fine-tuning does not fit one GPU. One process, and a CPU, do not share; the job then says what ran."""
    gradient_checkpointing: bool | None = None
    """None: on for a GPU, off for a CPU."""
    max_length: int | None = None
    """Tokens of a row that are used; None: the model's context, at most 4096."""

    logging_steps: int | None = None
    """None: about 40 metrics in a run."""
    eval_steps: int | None = None
    """None: ten evaluations in a run. Step 0, the base model, is always evaluated."""
    save_steps: int | None = None
    """None: as `eval_steps`."""
    keep_checkpoints: int = 2
    """How many of the newest checkpoints are kept; the best one is kept besides."""
    output_weights: Literal["last", "best"] = "last"
    """Which weights the output has; `best` is the lowest validation loss."""
    early_stopping_patience: int | None = None
    """Evaluations without a better validation loss after which training ends; None: never."""
    output_dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto`: the type the base model is stored in."""

    resume: bool = False
    """Go on from the newest checkpoint of the job folder, where it has one."""
    resume_from: str | None = None
    """Go on from this checkpoint; with more `epochs` than it was made with, training is prolonged."""
    threads: int | None = None
    """CPU threads; None: all cores, shared among the processes of a machine; one for models below 5 M parameters."""
    notes: list[str] | None = None
    """Lines for the log of the job, such as how its choices came about."""
    warnings: list[str] | None = None
    """Lines of which the job warns as it begins."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), _hints()[field.name])
        for name in ("model", "train_file", "output_dir"):
            if not getattr(self, name):
                raise ConfigError(name, "is empty")
        positive: tuple[str, ...] = ("epochs", "batch_size", "gradient_accumulation_steps", "learning_rate")
        positive += ("lora_rank", "lora_alpha", "logging_steps", "eval_steps", "save_steps")
        positive += ("keep_checkpoints", "early_stopping_patience", "threads")
        for name in positive:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(name, f"is {value!r}; it has to be greater than 0")
        if self.max_length is not None and self.max_length < 8:
            raise ConfigError("max_length", f"is {self.max_length}; it has to be at least 8 tokens")
        for name in ("weight_decay", "max_grad_norm", "focal_gamma"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(name, f"is {value!r}; it must not be negative")
        for name in ("warmup_ratio", "label_smoothing", "lora_dropout"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise ConfigError(name, f"is {value!r}; it has to be at least 0 and below 1")
        if self.loss == "focal" and self.task != "classification":
            raise ConfigError("loss", "focal is for classification; use cross_entropy or label_smoothing for chat")
        if self.labels is not None and (self.task != "classification" or len(set(self.labels)) < 2):
            raise ConfigError("labels", "is for classification and needs at least two different labels")
        for name in ("early_stopping_patience", "output_weights"):
            if self.validation_file is None and getattr(self, name) not in (None, "last"):
                raise ConfigError(name, "needs a validation_file to judge by")

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The job written in `text`.

        Raises:
            ConfigError: with the field at fault.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ConfigError("config.json", f"is not JSON: {error}") from None
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """The job with these values; unknown and missing names are refused."""
        if not isinstance(values, dict):
            raise ConfigError("config.json", "has to hold one JSON object")
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for name in values:
            if name not in fields:
                raise ConfigError(str(name), "is not a choice of this trainer")
        for name, field in fields.items():
            if field.default is dataclasses.MISSING and name not in values:
                raise ConfigError(name, "is missing")
        return cls(**values)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """The job in the file at `path`."""
        try:
            return cls.from_json(path.read_bytes())
        except OSError as error:
            raise ConfigError("config.json", f"cannot be read: {error.strerror}") from None

    def to_json(self) -> str:
        """The job as indented JSON that `from_json` reads back to an equal one."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    def resolved(self) -> TrainingConfig:
        """The same job with the choices that the base model's recipe has an answer for filled in."""
        recipe = RECIPES.get(self.model, RECIPES["other"])
        method = self.method or recipe.method
        return dataclasses.replace(
            self,
            method=method,
            learning_rate=recipe.learning_rate[method] if self.learning_rate is None else self.learning_rate,
            epochs=recipe.epochs if self.epochs is None else self.epochs,
            batch_size=recipe.batch_size if self.batch_size is None else self.batch_size,
            schedule=self.schedule or recipe.schedule,
        )


@functools.cache
def _hints() -> dict[str, Any]:
    return typing.get_type_hints(TrainingConfig)


def _check_type(name: str, value: object, hint: Any) -> None:
    """Raise ConfigError unless `value` is what the annotation says; numbers may be written without a point."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    if not any(_matches(value, option) for option in options):
        wanted = " or ".join(_words(option) for option in options)
        raise ConfigError(name, f"is {value!r}; it has to be {wanted}")


def _matches(value: object, hint: Any) -> bool:
    if hint is type(None):
        return value is None
    if typing.get_origin(hint) is Literal:
        return isinstance(value, str) and value in typing.get_args(hint)
    if typing.get_origin(hint) is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _words(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(typing.get_args(hint))
    names = {type(None): "null", str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    return names.get(hint, "a list of texts")
