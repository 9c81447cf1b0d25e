"""The recipe: every choice of the wizard in one frozen model, kept as TOML.

A screen shows one part of it and returns a new recipe; the autosaved draft is a recipe; the headless run takes one;
"next run" is a recipe with a diff.
"""

from __future__ import annotations

import ast
import os
import tempfile
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from tui.messages import t
from tui.paths import expanded
from tui.wording import system_words, worded

Engine = Literal["serverless", "managed", "script"]

# Hub and project names: $ML's template and the portal take 3 to 33 of letters, digits, hyphen and underscore.
_WORKSPACE = r"^$|^[A-Za-z0-9][A-Za-z0-9_-]{2,32}$"
# Names of jobs, assets and endpoints: letters, digits, hyphen (underscore and dot where Azure takes them).
_ASSET = r"^$|^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$"
_ENDPOINT = r"^$|^[A-Za-z][A-Za-z0-9-]{0,50}[A-Za-z0-9]$"
# Resource groups: Azure's naming rules, letters of any script among them. The length is a limit of its own: within the
# pattern it took 45 ms of each start to compile.
_GROUP = r"^[\w().-]*[\w()-]$"
_GROUP_LENGTH = 90
_SUFFIX = r"^[A-Za-z0-9-]{0,18}$"
_LONGEST = 4096  # characters, as many as a path has on Linux
_DRAFT = r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$"
_FORMS = {
    _WORKSPACE: "3 to 33 letters, digits, hyphens and underscores, a letter or digit first",
    _ASSET: "letters, digits, hyphens, dots and underscores, a letter or digit first",
    _ENDPOINT: "2 to 52 letters, digits and hyphens, a letter first, no hyphen at the end",
    _GROUP: "1 to 90 letters, digits, hyphens, dots, underscores and parentheses, no dot at the end",
    _SUFFIX: "up to 18 letters, digits and hyphens",
    _DRAFT: "up to 60 letters, digits, spaces, dots, hyphens and underscores, a letter or digit first",
}
"""What the patterns say, in words; not translated yet."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_max_length=_LONGEST)


class Target(_Part):
    """Where in Azure the run lives."""

    tenant: str = ""
    """Tenant id; empty: the identity's own."""
    subscription: str = ""
    """Subscription id; empty: the only one, or asked."""
    resource_group: str = Field("phift-rg", pattern=_GROUP, max_length=_GROUP_LENGTH)
    """Resource group; made where it does not exist."""
    location: str = "eastus2"
    """Azure region of the hub; decides which models can be tuned."""
    hub: str = Field("phift-hub", pattern=_WORKSPACE)
    """Hub; made where it does not exist."""
    project: str = Field("phift-project", pattern=_WORKSPACE)
    """Project below the hub; made where it does not exist."""
    ai_services: str = ""
    """Azure AI Services to connect to the hub: empty: skip; "new"; or the resource id of an account."""


class ModelChoice(_Part):
    """Which model is tuned, and by which engine."""

    name: str = "Phi-4-mini-instruct"
    """Name in the `azureml` registry."""
    version: str = ""
    """Registry version; empty: the newest."""
    engine: Engine = "serverless"
    """Who trains: Foundry (`serverless`), managed compute (`managed`), our own trainer as a command job (`script`)."""
    instance_type: str = ""
    """GPU size for `managed` and `script`; empty: the model's smallest supported."""
    instance_count: int = Field(1, ge=1, le=64)
    """Nodes for `script`."""
    compute: str = ""
    """Existing cluster for `managed` and `script`; empty: serverless compute."""
    weights: str = ""
    """Folder or registry id of the weights for `script`; empty: the catalogue's model."""


class Data(_Part):
    """The training file."""

    train: str = ""
    """Path of the chat JSONL file."""
    asset: str = Field("", pattern=_ASSET)
    """Name of the data asset; empty: made from the file name."""


class Validation(_Part):
    """Where validation rows come from."""

    mode: Literal["split", "file", "none"] = "split"
    """`split`: a share of the training file; `file`: a file of its own; `none`."""
    share: float = Field(0.2, gt=0.0, lt=0.9)
    """Share of the rows that `split` holds back."""
    seed: int = Field(42, ge=0, le=2**31 - 1)
    """Seed of the split."""
    path: str = ""
    """Path of the validation file for `file`."""

    @model_validator(mode="after")
    def _file_has_a_path(self) -> Self:
        if self.mode == "file" and not self.path:
            raise ValueError(t("mode 'file' needs 'path', the validation file"))
        return self


class Hyperparameters(_Part):
    """The portal's three knobs; `script` takes the rest too."""

    batch_size_multiplier: int = Field(1, ge=1, le=32)
    """Examples a step and device (wire key `per_device_train_batch_size`)."""
    learning_rate: float = Field(0.00002, gt=0.0, le=1.0)
    """Absolute learning rate (wire key `learning_rate`)."""
    epochs: int = Field(3, ge=1, le=50)
    """Passes over the training file (wire key `num_train_epochs`)."""
    seed: int = Field(42, ge=0, le=2**31 - 1)
    """Seed of the training; `script` only."""
    method: Literal["lora", "full"] = "lora"
    """LoRA or full fine-tuning; `script` only."""
    lora_rank: int = Field(16, ge=1, le=512)
    """Rank of the LoRA matrices; `script` only."""
    lora_alpha: int = Field(32, ge=1, le=1024)
    """Scale of the LoRA update; `script` only."""
    loss: Literal["cross-entropy", "label-smoothing"] = "cross-entropy"
    """Training loss; `script` only."""
    optimizer: Literal["adamw", "adafactor", "sgd"] = "adamw"
    """Optimizer; `script` only."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Learning-rate schedule; `script` only."""
    gradient_accumulation: int = Field(1, ge=1, le=1024)
    """Steps whose gradients are summed; `script` only."""


class Output(_Part):
    """What the run leaves behind."""

    model: str = Field("phift-tuned", pattern=_ASSET)
    """Name under which the tuned model is registered."""
    experiment: str = Field("phift", pattern=_ASSET)
    """Experiment that groups the runs."""
    suffix: str = Field("", pattern=_SUFFIX)
    """Word added to the job's name."""


class Deployment(_Part):
    """How the tuned model is served."""

    endpoint: str = Field("", pattern=_ENDPOINT)
    """Endpoint name; empty: made from the model's name."""
    content_safety: bool = True
    """Azure AI Content Safety on the endpoint (portal's default: on)."""


class Evaluation(_Part):
    """How base and tuned model are compared."""

    questions: int = Field(20, ge=1, le=1000)
    """Held-out rows asked of both models."""
    file: str = ""
    """Held-out chat JSONL; empty: the validation rows."""
    max_tokens: int = Field(64, ge=1, le=4096)
    """Longest answer, in tokens."""
    seed: int = Field(42, ge=0, le=2**31 - 1)
    """Seed of the choice of rows and of the bootstrap."""


class Budget(_Part):
    """What may be spent."""

    limit: float | None = Field(None, gt=0)
    """Highest estimate in US dollars at which a submit is allowed; unset: no limit."""


LABELS = {
    "target.subscription": "Subscription",
    "target.resource_group": "Resource group",
    "target.location": "Region",
    "target.hub": "Hub",
    "target.project": "Project",
    "model.name": "Model",
    "model.engine": "Engine",
    "model.instance_type": "GPU size",
    "model.instance_count": "Nodes",
    "model.compute": "Cluster",
    "model.weights": "Weights",
    "validation.share": "Share",
    "validation.seed": "Seed",
    "hyperparameters.epochs": "Epochs",
    "hyperparameters.learning_rate": "Learning rate",
    "hyperparameters.batch_size_multiplier": "Batch size",
    "hyperparameters.seed": "Seed",
    "hyperparameters.method": "Method",
    "hyperparameters.lora_rank": "LoRA rank",
    "hyperparameters.lora_alpha": "LoRA alpha",
    "hyperparameters.loss": "Loss",
    "hyperparameters.optimizer": "Optimizer",
    "hyperparameters.schedule": "Schedule",
    "hyperparameters.gradient_accumulation": "Gradient accumulation",
    "output.model": "Tuned model",
    "deployment.content_safety": "Content safety",
    "budget.limit": "Budget",
}
"""What the fields that are asked for are called, in the portal's words where it has one; not translated yet."""

_SCRIPT_ENDING = "`script` only."


class RecipeError(ValueError):
    """A recipe that cannot be read; `place` is `file: table.field`."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


class Recipe(_Part):
    """All choices of one fine-tuning run."""

    name: str = Field("untitled", pattern=_DRAFT)
    """Name of the draft."""
    target: Target = Target()
    model: ModelChoice = ModelChoice()
    data: Data = Data()
    validation: Validation = Validation()
    hyperparameters: Hyperparameters = Hyperparameters()
    output: Output = Output()
    deployment: Deployment = Deployment()
    evaluation: Evaluation = Evaluation()
    budget: Budget = Budget()

    def with_(self, **changes: Any) -> Recipe:
        """A copy with `part__field=value` changes, validated.

        Raises:
            RecipeError: a value is out of range; its place is `part.field`.
        """
        document = self.model_dump()
        for key, value in changes.items():
            part, _, field = key.partition("__")
            if field:
                document[part][field] = value
            else:
                document[part] = value
        return _validated(document, "")

    def to_toml(self) -> str:
        """The recipe as TOML; unset fields are left out."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    def diff(self, other: Recipe) -> list[tuple[str, Any, Any]]:
        """What changes from this recipe to `other`: (`part.field`, old, new), in the recipe's order."""
        old, new = _flat(self.model_dump()), _flat(other.model_dump())
        return [(key, old[key], new[key]) for key in old if old[key] != new[key]]

    def data_path(self, base: Path) -> Path:
        """The training file, relative paths taken from `base`, `~` expanded."""
        return Path(os.path.normpath(base / expanded(self.data.train)))


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            found.update({f"{key}.{field}": inner for field, inner in value.items()})
        else:
            found[key] = value
    return found


def _validated(document: dict[str, Any], place: str) -> Recipe:
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        at = ": ".join(part for part in (place, field) if part)
        raise RecipeError(at or t("recipe"), worded(first, field_of(field), _FORMS)) from None


def field_of(path: str) -> FieldInfo | None:
    """The metadata of the recipe's field `part.field` (or `name`); None: there is no such field."""
    part, _, name = path.partition(".")
    found = Recipe.model_fields.get(part)
    if found is None or not name:
        return found
    fields: dict[str, FieldInfo] = getattr(found.annotation, "model_fields", {})
    return fields.get(name)


@cache
def _said_of_fields() -> dict[str, dict[str, str]]:
    """The texts below the fields, by class and field. Pydantic would read them at import, for a quarter of its time."""
    classes = (
        node for node in ast.parse(Path(__file__).read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)
    )
    said: dict[str, dict[str, str]] = {}
    for each in classes:
        for field, below in pairwise(each.body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = (
                    below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
                )
                if isinstance(text, str):
                    said.setdefault(each.name, {})[field.target.id] = text
    return said


def help_of(path: str) -> str:
    """One line about the recipe's field `part.field`, not translated yet; empty: nothing is said of it."""
    part, _, name = path.partition(".")
    return _said_of_fields().get(type(getattr(Recipe(), part)).__name__, {}).get(name, "")


@cache
def script_only() -> tuple[str, ...]:
    """The hyperparameters that only the engine `script` takes, as is said of them."""
    return tuple(
        name for name in Hyperparameters.model_fields if help_of(f"hyperparameters.{name}").endswith(_SCRIPT_ENDING)
    )


def loads(text: str, place: str = "") -> Recipe:
    """The recipe in a TOML text.

    Raises:
        RecipeError: not TOML (with line and column), an unknown field, or a value out of range.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(place or t("recipe"), t("not TOML: {error}", error=error)) from None
    return _validated(document, place)


def load(path: Path) -> Recipe:
    """The recipe in a TOML file.

    Raises:
        RecipeError: as `loads`, or the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(str(path), t("not UTF-8 at byte {number}", number=error.start)) from None
    except OSError as error:
        raise RecipeError(str(path), system_words(error)) from None
    return loads(text, str(path))


def save(recipe: Recipe, path: Path) -> None:
    """Write the recipe to `path` atomically, mode 0600.

    Raises:
        OSError: the folder cannot be written or the disk is full; the old file is intact.
    """
    write_private(path, recipe.to_toml())


def write_private(path: Path, text: str) -> None:
    """Replace the file at `path` atomically with `text`, mode 0600, its folder 0700 if it has to be made.

    Half a character, which a model may answer with and a file's name may have, is written as a question mark.

    Raises:
        OSError: the folder cannot be written or the disk is full; the old file is intact.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
