"""One fine-tuning job, from configuration to a folder that transformers loads: the library's Trainer, our reports."""

from __future__ import annotations

import errno
import functools
import json
import logging
import math
import os
import shutil
import signal
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging as transformers_logging

from . import bases, data, memory, scoring, sharding, tracking
from .config import ConfigError, TrainingConfig
from .events import EventLog
from .failures import TrainingFailed, explain
from .muon import MuonWithAdamW

OPTIMIZERS = {"adamw": "adamw_torch_fused", "adafactor": "adafactor", "sgd": "sgd", "muon": "adamw_torch_fused"}
"""Our names to the library's; `muon` makes its own optimizer, with AdamW beside it."""

PROGRESS_SECONDS = 0.5
INCOMPLETE = ".incomplete"
ONE_THREAD_PARAMETERS = 5_000_000
"""Models below this train on one thread of a CPU: handing out their small matrices costs more than it saves (measured,
see docs/training.md), and a busy neighbour on the other core is no harm."""
ENDING = (signal.SIGTERM, signal.SIGINT)


class Cancelled:
    """Whether somebody asked the job to end (SIGTERM or SIGINT); it then writes a checkpoint at the next step."""

    def __init__(self) -> None:
        self.asked = False

    def install(self) -> None:
        """Take the two signals from now on; a worker blocks them until here, so that none of them is lost."""
        signal.signal(signal.SIGTERM, self._take)
        signal.signal(signal.SIGINT, self._take)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def run(folder: Path, *, options: Mapping[str, Any] | None = None, echo: bool = False) -> int:
    """Train the job in `folder` and report to its `events.jsonl`.

    Args:
        folder: The job's folder; checkpoints go to its `checkpoints`.
        options: Choices of `TrainingConfig` that go before those of `folder/config.json`, which need not exist then.
        echo: Write the lines for people to standard output too.

    Returns:
        The exit code: 0 done or cancelled, 1 failed (the event `failed` says why).
    """
    cancelled = Cancelled()
    cancelled.install()
    first = int(os.environ.get("RANK", "0")) == 0
    log = EventLog(folder, silent=not first, echo=echo)
    try:
        _Job(folder, _config(folder, options).resolved(), log, cancelled).run()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            # Left to the end of the process, its threads may still run when they are torn down, which aborts it.
            torch.distributed.destroy_process_group()
    except ConfigError as error:
        return _failed(log, TrainingFailed("BadConfig", str(error), "Correct this field of config.json."))
    except Exception as error:
        # Whatever went wrong, the person who waits for the job reads it in one line; the log has the rest.
        if not isinstance(error, TrainingFailed):
            log.say(traceback.format_exc())
        return _failed(log, explain(error, folder))
    return 0


def _config(folder: Path, options: Mapping[str, Any] | None) -> TrainingConfig:
    path = folder / "config.json"
    if not options:
        return TrainingConfig.from_file(path)
    given = json.loads(TrainingConfig.from_file(path).to_json()) if path.is_file() else {}
    return TrainingConfig.from_dict({**given, **options})


def _failed(log: EventLog, failure: TrainingFailed) -> int:
    log.say(f"FAILED {failure.code}: {failure.line}")
    log.emit("failed", code=failure.code, message=failure.message, advice=failure.advice)
    return 1


class _Job:
    """The stations of one job, in order."""

    def __init__(self, folder: Path, config: TrainingConfig, log: EventLog, cancelled: Cancelled) -> None:
        self.folder = folder.absolute()
        self.checkpoints = self.folder / "checkpoints"
        self.config = config
        self.log = log
        self.cancelled = cancelled
        self.device = _device(log)

    def run(self) -> None:
        config = self.config
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        logging.getLogger("transformers.trainer").setLevel(logging.ERROR)
        # What the library deprecates is its own business, and would stand between the lines for people.
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\.")
        set_seed(config.seed)
        base = bases.find(config.model)
        self.log.say(f"base model: {base.description}")
        for note in config.notes or []:
            self.log.say(note)
        for warning in config.warnings or []:
            self.log.warn(warning)
        tokenizer = bases.load_tokenizer(base)
        labels = self._labels()
        self._spread(base)
        model = self._load(base, tokenizer, labels)
        torch.set_num_threads(config.threads or threads_for(model))
        train, validation = self._data(tokenizer, labels, model)
        resume = self._resume_checkpoint()
        arguments = self._arguments(len(train.rows), bool(validation), resume)
        reporter = Reporter(self, base, train, validation)
        trainer = FineTuner(
            config=config,
            labels=labels,
            model=model,
            args=arguments,
            train_dataset=train.rows,
            eval_dataset=validation.rows if validation else None,
            data_collator=functools.partial(data.collate, pad=tokenizer.pad_token_id),
            processing_class=tokenizer,
        )
        reporter.trainer = trainer
        trainer.remove_callback(PrinterCallback)
        if config.early_stopping_patience:
            trainer.add_callback(EarlyStoppingCallback(config.early_stopping_patience))
        trainer.add_callback(reporter)
        if self.cancelled.asked:
            self._end_cancelled(None)
            return
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        if reporter.stopped_by_request:
            self._end_cancelled(newest_checkpoint(self.checkpoints))
            return
        self._finish(trainer, reporter, tokenizer, labels)

    def _end_cancelled(self, checkpoint: Path | None) -> None:
        path = str(checkpoint) if checkpoint else None
        self.log.say(f"cancelled; checkpoint: {path or 'none, training had not begun'}")
        self.log.emit("cancelled", checkpoint=path)

    def _labels(self) -> list[str] | None:
        if self.config.task != "classification":
            return None
        if self.config.labels is not None:
            return self.config.labels
        rows = data.read_chats(Path(self.config.train_file))
        labels = sorted({data.class_of(row) for _, row in rows})
        if len(labels) < 2:
            raise TrainingFailed(
                "BadRow",
                f"all rows of the training file have the class {labels[0]!r}",
                "A classifier needs at least two classes.",
            )
        return labels

    def _load(self, base: bases.Base, tokenizer: PreTrainedTokenizerBase, labels: list[str] | None) -> PreTrainedModel:
        config = self.config
        lora = config.method == "lora"
        if not base.adapter:
            self._check_memory(base)
        # A frozen base may be held in half precision; weights that are trained need all of their bits.
        halves = {"bf16": torch.bfloat16, "fp16": torch.float16}
        dtype = halves.get(self._precision(), torch.float32) if lora and self.device != "cpu" else torch.float32
        model = bases.load_model(base, tokenizer, dtype=dtype, labels=labels)
        if lora:
            from peft import LoraConfig, TaskType, get_peft_model

            kind = TaskType.SEQ_CLS if labels else TaskType.CAUSAL_LM
            try:
                model = get_peft_model(
                    model,
                    LoraConfig(
                        task_type=kind,
                        r=config.lora_rank,
                        lora_alpha=config.lora_alpha,
                        lora_dropout=config.lora_dropout,
                        target_modules=config.lora_targets,
                    ),
                )
            except ValueError as error:
                raise ConfigError("lora_targets", " ".join(str(error).split())[:300]) from None
        return model

    def _check_memory(self, base: bases.Base) -> None:
        """Refuse what cannot fit: on a CPU the system would kill the process without a word."""
        if self.device != "cpu":
            return
        from transformers import AutoConfig

        shape = memory.shape_of(AutoConfig.from_pretrained(base.folder))
        method = self.config.method or "full"
        least = memory.need(shape, method=method, rows=0, tokens=0, device="cpu", rank=self.config.lora_rank).total
        available = memory.available()
        if least > available:
            raise TrainingFailed(
                "OutOfMemory",
                f"weights, gradients and optimizer alone need {least / memory.GIB:.0f} GiB, and "
                f"{available / memory.GIB:.0f} GiB are free",
                "Use method lora, a smaller model, or a machine with more memory.",
            )

    def _spread(self, base: bases.Base) -> None:
        """Have the devices share the model where it was asked for, or where no GPU could hold it whole."""
        config = self.config
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        wanted = config.parallelism == "fsdp"
        if config.parallelism == "auto" and self.device != "cpu" and not base.adapter:
            from transformers import AutoConfig

            shape = memory.shape_of(AutoConfig.from_pretrained(base.folder))
            gpu_memory = torch.cuda.get_device_properties(0).total_memory
            wanted = sharding.needed(
                shape,
                method=config.method or "full",
                rows=config.batch_size or 1,
                tokens=config.max_length or data.LONGEST,
                gpu_memory=gpu_memory,
                processes=processes,
            )
            if wanted:
                self.log.say(f"no GPU of {gpu_memory / memory.GIB:.0f} GiB can train it whole: they share it (FSDP)")
        if wanted:
            sharding.ask()

    def _data(
        self, tokenizer: PreTrainedTokenizerBase, labels: list[str] | None, model: PreTrainedModel
    ) -> tuple[data.Encoded, data.Encoded | None]:
        context = bases.context_length(model)
        max_length = self.config.max_length or min(context, data.LONGEST)
        if max_length > context:
            raise ConfigError("max_length", f"is {max_length}; this model's context is {context} tokens")
        files = [("training", self.config.train_file), ("validation", self.config.validation_file)]
        encoded: list[data.Encoded | None] = []
        for kind, name in files:
            if name is None:
                encoded.append(None)
                continue
            path = Path(name)
            rows = data.read_chats(path)
            if labels is None:
                result = data.encode_chats(rows, tokenizer, max_length)
            else:
                result = data.encode_classes(rows, tokenizer, max_length, labels, path)
            self._report_lengths(kind, path, result, max_length)
            encoded.append(result)
        train, validation = encoded
        if train is None:  # train_file is a text, so that the loop has always read it
            raise AssertionError
        return train, validation

    def _report_lengths(self, kind: str, path: Path, result: data.Encoded, max_length: int) -> None:
        if not result.rows:
            raise TrainingFailed(
                "EmptyData",
                f"no row of {path.name} has an assistant token within {max_length} tokens",
                "Raise max_length, or shorten the prompts.",
            )
        if result.truncated:
            self.log.warn(
                f"cut to {max_length} tokens: {len(result.truncated)} of the {kind} rows, {_some(result.truncated)}"
            )
        if result.dropped:
            self.log.warn(
                f"left out, because nothing of the assistant's is within {max_length} tokens: {len(result.dropped)} of "
                f"the {kind} rows, {_some(result.dropped)}"
            )

    def _resume_checkpoint(self) -> Path | None:
        shutil.rmtree(self.checkpoints / INCOMPLETE, ignore_errors=True)
        if self.config.resume_from is not None:
            path = Path(self.config.resume_from)
            if not (path / "trainer_state.json").is_file():
                raise TrainingFailed(
                    "BadCheckpoint", f"{path} is not a whole checkpoint", "Choose a folder checkpoint-N of a job."
                )
            return path
        return newest_checkpoint(self.checkpoints) if self.config.resume else None

    def _arguments(self, rows: int, evaluates: bool, resume: Path | None) -> TrainingArguments:
        config = self.config
        assert config.epochs is not None  # noqa: S101 - filled in by resolved()
        assert config.batch_size is not None  # noqa: S101 - likewise
        world = int(os.environ.get("WORLD_SIZE", "1"))
        per_epoch = math.ceil(math.ceil(rows / (config.batch_size * world)) / config.gradient_accumulation_steps)
        total = max(1, math.ceil(per_epoch * config.epochs))
        if resume is not None:
            done = json.loads((resume / "trainer_state.json").read_text())["global_step"]
            if done >= total:
                raise TrainingFailed(
                    "BadCheckpoint",
                    f"{resume.name} is at step {done}, and with epochs at {config.epochs:g} the last step is {total}",
                    "Raise epochs above what the checkpoint has.",
                )
        eval_steps = config.eval_steps or math.ceil(total / 10)
        precision = self._precision()
        checkpointing = config.gradient_checkpointing
        if checkpointing is None:
            checkpointing = self.device != "cpu"
        return TrainingArguments(
            output_dir=str(self.checkpoints),
            seed=config.seed,
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            per_device_eval_batch_size=config.batch_size * 2,
            gradient_accumulation_steps=config.gradient_accumulation_steps,
            learning_rate=config.learning_rate,
            lr_scheduler_type=config.schedule,
            warmup_steps=0 if config.schedule == "constant" else config.warmup_ratio,
            optim=OPTIMIZERS[config.optimizer],
            optim_args="momentum=0.9" if config.optimizer == "sgd" else None,
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            **({"gradient_checkpointing": True} if checkpointing else {}),
            train_sampling_strategy="group_by_length",
            logging_steps=config.logging_steps or max(1, min(10, total // 40)),
            logging_first_step=True,
            logging_nan_inf_filter=False,
            eval_strategy="steps" if evaluates else "no",
            eval_steps=eval_steps,
            eval_on_start=evaluates and resume is None,
            save_strategy="steps",
            save_steps=config.save_steps or eval_steps,
            metric_for_best_model="eval_loss" if evaluates else None,
            greater_is_better=False,
            include_num_input_tokens_seen="non_padding",
            remove_unused_columns=False,
            use_cpu=self.device == "cpu",
            dataloader_pin_memory=self.device != "cpu",
            report_to="none",
            disable_tqdm=True,
        )

    def _precision(self) -> str:
        wanted = self.config.precision
        if wanted == "fp16" and self.device == "cpu":
            raise ConfigError("precision", "fp16 needs a GPU; use fp32, or bf16")
        if wanted != "auto":
            return wanted
        if self.device == "cpu":
            return "fp32"
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"

    def _finish(
        self, trainer: FineTuner, reporter: Reporter, tokenizer: PreTrainedTokenizerBase, labels: list[str] | None
    ) -> None:
        """Write the output from the chosen checkpoint, so that LoRA, FSDP, best and last all take the same way."""
        if not trainer.is_world_process_zero():
            return
        step = trainer.state.global_step
        if self.config.output_weights == "best" and trainer.state.best_global_step:
            step = trainer.state.best_global_step
        checkpoint = bases.find(str(self.checkpoints / f"checkpoint-{step}"))
        model = bases.load_model(checkpoint, tokenizer, dtype=torch.float32, labels=labels)
        base = bases.find(self.config.model)
        wanted = base.stored_dtype if self.config.output_dtype == "auto" else self.config.output_dtype
        model.to(getattr(torch, wanted))
        model.config.use_cache = True
        if labels is None:
            model.generation_config = trainer.base_generation_config
        output = Path(self.config.output_dir)
        staging = self.folder / INCOMPLETE
        shutil.rmtree(staging, ignore_errors=True)
        model.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        summary = {
            "base_model": base.description,
            "config": json.loads(self.config.to_json()),
            "steps": trainer.state.global_step,
            "output_step": step,
            "best_step": trainer.state.best_global_step,
            "base_metrics": reporter.base_metrics,
            "metrics": reporter.last_metrics,
            **reporter.confusion(),
        }
        for notice in ("NOTICE", "LICENSE"):
            if (base.folder / notice).is_file():
                shutil.copy(base.folder / notice, staging / notice)
        (staging / "training_summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        _publish(staging, output)
        self.log.say(f"done: {output}")
        self.log.emit("done", output=str(output), values=reporter.last_metrics, **reporter.confusion())


class FineTuner(Trainer):  # type: ignore[misc]  # transformers has no types here
    """The library's Trainer with our losses, whole-set scores, and checkpoints that appear whole or not at all."""

    def __init__(self, *, config: TrainingConfig, labels: list[str] | None, model: Any, **options: Any) -> None:
        self.job = config
        self.labels = labels
        self.confusion: list[list[int]] | None = None
        self._staging: Path | None = None
        self.base_generation_config = None if labels else model.generation_config
        super().__init__(model=model, compute_metrics=self._metrics, **options)
        if labels:
            self.model_accepts_loss_kwargs = False  # one label a row: there are no tokens to count

    def create_optimizer(self, model: Any = None) -> Any:
        """The library's optimizer, or Muon with AdamW beside it, which the library does not build."""
        if self.job.optimizer != "muon" or self.optimizer is not None:
            return super().create_optimizer(model)
        if self.is_fsdp_enabled:
            raise ConfigError("optimizer", "muon does not work on sharded weights; use adamw with FSDP")
        self.optimizer: Any = MuonWithAdamW(self.model, self.args.learning_rate, self.job.weight_decay)
        return self.optimizer

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The job's loss of one batch, divided so that accumulation and several devices give the loss of one batch."""
        weights = inputs.pop("weights", None)
        if self.labels:
            logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits.float()
            losses = self._losses(logits, inputs["labels"])
            loss = (losses if weights is None else losses * weights).mean()
        else:
            logits, targets, rows = scoring.labelled_logits(model, inputs)
            losses = self._losses(logits, targets)
            if weights is not None:
                losses = losses * weights[rows]
            # num_items_in_batch counts the tokens of all devices, whose gradients are then averaged.
            loss = losses.sum() / num_items_in_batch * self.accelerator.num_processes
        if not torch.isfinite(loss):
            raise self.diverged(f"the loss became {loss.item()} at step {self.state.global_step + 1}")
        return loss

    def diverged(self, what: str) -> TrainingFailed:
        """The failure of a training whose numbers are none any more."""
        return TrainingFailed(
            "NaNLoss",
            what,
            f"Lower learning_rate (now {self.job.learning_rate:g}), or raise warmup_ratio; fp32 is the safest "
            "precision.",
        )

    def _losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if self.job.loss == "focal":
            return scoring.focal(logits, targets, self.job.focal_gamma)
        return scoring.smoothed(
            logits, targets, self.job.label_smoothing if self.job.loss == "label_smoothing" else 0.0
        )

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[None, torch.Tensor, torch.Tensor]:
        """Statistics of each row instead of logits, which would not fit for a large vocabulary."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            if self.labels:
                logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits.float()
                return None, logits, inputs["labels"]
            statistics = scoring.row_statistics(model, inputs)
        return None, statistics, statistics[:, 2]

    def _metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        if self.labels is None:
            score = scoring.chat_score(prediction.predictions)
            return {"loss": score.loss, "perplexity": score.perplexity, "token_accuracy": score.token_accuracy}
        truth = prediction.label_ids
        logits = prediction.predictions.astype(np.float64)
        shifted = logits - logits.max(-1, keepdims=True)
        log_probabilities = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        loss = -log_probabilities[np.arange(len(truth)), truth].mean()
        matrix = scoring.confusion_matrix(truth, logits.argmax(-1), len(self.labels))
        self.confusion = matrix.tolist()
        return {"loss": float(loss), **scoring.class_metrics(matrix)}

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        better = bool(super()._determine_best_metric(metrics, trial))
        if better:
            self.control.should_save = True
        return better

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._staging or super()._get_output_dir(trial))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write beside the checkpoints and rename: a kill or a full disk leaves the last good one as it was."""
        home = Path(self.args.output_dir)
        final = home / f"checkpoint-{self.state.global_step}"
        if final.exists():
            return
        trained = [weights for weights in self.model.parameters() if weights.requires_grad]
        # Shared weights are left to the loss of the next step, which shows it as well.
        if not self.is_fsdp_enabled and not all(bool(weights.isfinite().all()) for weights in trained):
            raise self.diverged(f"the weights stopped being numbers at step {self.state.global_step}")
        self._staging = home / INCOMPLETE
        if self.is_world_process_zero():
            shutil.rmtree(self._staging, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.is_world_process_zero():
                (self._staging / final.name).replace(final)
                self._rotate(home)
            self.accelerator.wait_for_everyone()
        finally:
            if self.is_local_process_zero():
                shutil.rmtree(self._staging, ignore_errors=True)
            self._staging = None
            self.state.best_model_checkpoint = None  # named the folder that is no more; best_global_step says it

    def _rotate(self, home: Path) -> None:
        keep = set(checkpoints(home)[-self.job.keep_checkpoints :])
        if self.state.best_global_step:
            keep.add(home / f"checkpoint-{self.state.best_global_step}")
        for path in checkpoints(home):
            if path not in keep:
                shutil.rmtree(path)


class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
    """Turns what the Trainer says into events, and a request to end into a checkpoint and a stop."""

    trainer: FineTuner

    def __init__(self, job: _Job, base: bases.Base, train: data.Encoded, validation: data.Encoded | None) -> None:
        self._job = job
        self._log = job.log
        self._base = base
        self._train = train
        self._validation = validation
        self.stopped_by_request = False
        self.base_metrics: dict[str, float] = {}
        self.last_metrics: dict[str, float] = {}
        self._began = self._step_began = self._reported = 0.0
        self._first_step = 0
        self._busy = 0.0
        self._tokens = 0
        self._track = tracking.tracker()

    def confusion(self) -> dict[str, Any]:
        """The classes and the last confusion matrix, rows being the true classes; empty for chat."""
        if self.trainer.confusion is None:
            return {}
        return {"labels": self.trainer.labels, "confusion_matrix": self.trainer.confusion}

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._began = time.monotonic()
        self._first_step = state.global_step
        self._tokens = state.num_input_tokens_seen
        details: dict[str, Any] = {
            "model": self._job.config.model,
            "model_description": self._base.description,
            "method": self._job.config.method,
            "train_rows": len(self._train.rows),
            "validation_rows": len(self._validation.rows) if self._validation else 0,
            "train_tokens": self._train.tokens,
            "steps": state.max_steps,
            "first_step": state.global_step,
            "truncated_rows": len(self._train.truncated),
            "dropped_rows": len(self._train.dropped),
            "device": self._job.device,
            "processes": self.trainer.accelerator.num_processes,
            "parallelism": _parallelism(self.trainer),
            "trainable_parameters": sum(p.numel() for p in self.trainer.model.parameters() if p.requires_grad),
        }
        if sharding.asked_for() and details["parallelism"] != "fsdp":
            why = (
                "one process has nobody to share with"
                if details["processes"] == 1
                else "accelerate has it for GPUs only"
            )
            self._log.warn(
                f"FSDP was asked for and is not what runs: {why}. Parallelism is {details['parallelism']}, and every "
                "process holds the whole model"
            )
        self._log.emit("started", **details)
        self._log.say("started: " + ", ".join(f"{key} {value}" for key, value in details.items()))

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._step_began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        now = time.monotonic()
        self._busy += now - self._step_began
        last = state.global_step >= state.max_steps
        if now - self._reported >= PROGRESS_SECONDS or last:
            self._reported = now
            each = (now - self._began) / (state.global_step - self._first_step)
            left = round(each * (state.max_steps - state.global_step), 1)
            self._log.emit("progress", step=state.global_step, steps=state.max_steps, seconds_left=left)
        if last and self._validation:
            control.should_evaluate = True
        if _any_process(self._job.cancelled.asked) and not last:
            self.stopped_by_request = True
            control.should_training_stop = control.should_save = True
            control.should_evaluate = False

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if control.should_training_stop:  # early stopping decides here
            control.should_save = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        logs = logs or {}
        if "loss" in logs:
            values = {"train_loss": logs["loss"], "learning_rate": logs["learning_rate"]}
            if "grad_norm" in logs:
                values["grad_norm"] = logs["grad_norm"]
            if self._busy:
                values["tokens_per_second"] = round((state.num_input_tokens_seen - self._tokens) / self._busy, 1)
            self._busy, self._tokens = 0.0, state.num_input_tokens_seen
        elif "eval_loss" in logs:
            names = ("eval_loss", "eval_perplexity", "eval_token_accuracy", "eval_accuracy", "eval_macro_f1")
            values = {name: logs[name] for name in names if name in logs}
            if not math.isfinite(logs["eval_loss"]):
                raise self.trainer.diverged(
                    f"the validation loss became {logs['eval_loss']} at step {state.global_step}"
                )
            if state.global_step == 0:
                self.base_metrics = values
        else:
            return  # the Trainer's own closing summary
        self.last_metrics = {**self.last_metrics, **values}
        epoch = round(state.epoch or 0.0, 4)
        self._log.emit("metrics", step=state.global_step, epoch=epoch, values=values)
        if self._track is not None and state.is_world_process_zero:
            try:
                self._track(values, state.global_step)
            except Exception as error:
                # Whatever the client raises, hours of training are worth more than its graph.
                self._log.warn(f"metrics no longer go to MLflow: {' '.join(str(error).split())[:200]}")
                self._track = None
        self._log.say(
            f"step {state.global_step}/{state.max_steps} epoch {epoch:g} "
            + " ".join(f"{name} {value:.4g}" for name, value in values.items())
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        path = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        best = state.best_global_step == state.global_step
        self._log.emit("checkpoint", step=state.global_step, path=str(path), best=best)
        self._log.say(f"checkpoint {path}{', the best so far' if best else ''}")


def _publish(staging: Path, output: Path) -> None:
    """Put the finished folder in its place: by renaming, or by copying where a cluster has mounted the place."""
    try:
        shutil.rmtree(output, ignore_errors=True)
        output.parent.mkdir(parents=True, exist_ok=True)
        staging.replace(output)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EBUSY, errno.EEXIST, errno.ENOTEMPTY, errno.EPERM):
            raise
        shutil.copytree(staging, output, dirs_exist_ok=True, copy_function=shutil.copyfile)
        shutil.rmtree(staging)


def checkpoints(folder: Path) -> list[Path]:
    """The whole checkpoints of a folder, oldest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("checkpoint-")))


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with the most steps, or None."""
    return next(reversed(checkpoints(folder)), None)


def _device(log: EventLog) -> str:
    if not torch.cuda.is_available():
        return "cpu"
    count = torch.cuda.device_count()
    processes = int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("WORLD_SIZE") or "1")
    if count > processes:
        if "WORLD_SIZE" not in os.environ:
            # Without a launcher the library would copy the model to every GPU at each step, which is slower than one.
            os.environ["CUDA_VISIBLE_DEVICES"] = "0"
        log.warn(
            f"GPUs here: {count}, in use: {processes}. Start a process for each: torchrun --nproc_per_node {count}, or "
            "process_count_per_instance of an Azure ML job"
        )
    return "cuda"


def threads_for(model: torch.nn.Module) -> int:
    """How many CPU threads a training of `model` is fastest with."""
    if sum(parameter.numel() for parameter in model.parameters()) < ONE_THREAD_PARAMETERS:
        return 1
    return max(1, memory.cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _parallelism(trainer: FineTuner) -> str:
    """How the work was spread: `none`, `ddp` or `fsdp`; what really ran, not what was asked for."""
    if trainer.accelerator.num_processes == 1:
        return "none"
    from accelerate.utils import DistributedType

    return "fsdp" if trainer.accelerator.distributed_type == DistributedType.FSDP else "ddp"


def _any_process(asked: bool) -> bool:
    """Whether any process of the job was asked to end; all of them have to stop at the same step."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return asked
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    flag = torch.tensor([int(asked)], device=device)
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag.item())


def _some(lines: Sequence[int]) -> str:
    """The place of each line, or of the first ten."""
    word = "line" if len(lines) == 1 else "lines"
    return f"{word} {', '.join(map(str, lines[:10]))}" + (f" and {len(lines) - 10} more" if len(lines) > 10 else "")
