"""Jobs from submission to output: what is reported, what is written, how they end and go on, and how they fail."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from support_chats import classification_rows, support_chats
from trainkit import Job, wait_for

from tui.trainer import places

MakeJob = Callable[..., Job]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def weights(folder: Path) -> str:
    (file,) = folder.glob("*model.safetensors")
    return digest(file)


def test_a_job_reports_itself_and_leaves_a_model_that_transformers_loads(make_job: MakeJob) -> None:
    job = make_job()
    last = job.run(epochs=6, notes=["sandbox: a note"], warnings=["sandbox: a warning"])
    warning, started = job.events()[:2]
    assert (warning["type"], warning["message"]) == ("warning", "sandbox: a warning")
    assert last["type"] == "done"
    assert last["output"] == str(job.output)
    assert started["type"] == "started"
    assert (started["train_rows"], started["validation_rows"], started["steps"]) == (16, 4, 12)
    assert started["model_description"] == "stand-in 'tiny': 1.4 M parameters, Phi-3 architecture"
    assert (started["device"], started["parallelism"], started["truncated_rows"]) == ("cpu", "none", 0)
    perplexity = job.metrics("eval_perplexity")
    assert perplexity[12] < perplexity[0] / 3
    assert set(last["values"]) >= {"eval_loss", "eval_perplexity", "eval_token_accuracy", "train_loss"}
    assert set(last["values"]) >= {"learning_rate", "grad_norm", "tokens_per_second"}
    assert job.events("progress")[-1] | {"time": ""} == {
        "time": "", "type": "progress", "step": 12, "steps": 12, "seconds_left": 0.0,
    }  # fmt: skip
    log = (job.folder / "std_log.txt").read_text()
    assert "sandbox: a note" in log
    assert "eval_perplexity" in log
    summary = json.loads((job.output / "training_summary.json").read_text())
    assert summary["base_metrics"]["eval_perplexity"] == perplexity[0]
    assert summary["metrics"]["eval_perplexity"] == perplexity[12]
    code = (
        "import sys; from transformers import AutoModelForCausalLM as M, AutoTokenizer as T;"
        "m = M.from_pretrained(sys.argv[1]); t = T.from_pretrained(sys.argv[1]);"
        "print(type(m).__name__, m.dtype, bool(t.chat_template), 'tui' in {n.split('.')[0] for n in sys.modules})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code, str(job.output)], capture_output=True, text=True, check=True, cwd="/"
    )
    assert loaded.stdout.split() == ["Phi3ForCausalLM", "torch.bfloat16", "True", "False"]


def test_a_cancelled_job_resumes_to_the_same_bytes_as_one_that_was_not(make_job: MakeJob) -> None:
    choices: dict[str, Any] = {"epochs": 6, "save_steps": 100, "eval_steps": 100, "keep_checkpoints": 5}
    whole = make_job("whole")
    assert whole.run(**choices)["type"] == "done"
    cut = make_job("cut").start(**choices)
    cut.wait_for(lambda: cut.metrics("train_loss").get(1))
    cut.signal(signal.SIGTERM)
    last = cut.last()
    assert last["type"] == "cancelled"
    step = int(Path(last["checkpoint"]).name.split("-")[1])
    assert 1 <= step < 12
    assert not cut.output.exists()
    assert cut.run(**choices, resume=True)["type"] == "done"
    assert cut.events("started")[0]["first_step"] == step
    assert weights(cut.output) == weights(whole.output)
    assert weights(cut.checkpoints / "checkpoint-12") == weights(whole.checkpoints / "checkpoint-12")
    other = make_job("other")
    other.run(**choices, seed=7)
    assert weights(other.output) != weights(whole.output)


def test_a_job_cancelled_before_it_began_has_no_checkpoint(make_job: MakeJob) -> None:
    job = make_job().start()
    job.signal(signal.SIGTERM)
    last = job.last()
    assert (last["type"], last["checkpoint"]) == ("cancelled", None)
    assert not job.metrics("train_loss")


def test_a_killed_lora_job_resumes_to_the_same_bytes(make_job: MakeJob) -> None:
    choices: dict[str, Any] = {
        "epochs": 8, "save_steps": 4, "eval_steps": 4, "method": "lora", "lora_rank": 4, "lora_dropout": 0.1,
        "optimizer": "muon", "gradient_accumulation_steps": 2, "batch_size": 4,
    }  # fmt: skip
    whole = make_job("whole")
    assert whole.run(**choices)["type"] == "done"
    cut = make_job("cut").start(**choices)
    cut.wait_for_checkpoint(4)
    cut.signal(signal.SIGKILL)
    last = cut.last()
    assert (last["code"], "SIGKILL" in last["message"]) == ("Killed", True)
    assert cut.run(**choices, resume=True)["type"] == "done"
    assert cut.events("started")[0]["first_step"] >= 4
    assert weights(cut.output) == weights(whole.output)


def test_a_job_killed_while_it_writes_a_checkpoint_keeps_the_last_whole_one(make_job: MakeJob) -> None:
    job = make_job().start(epochs=50, save_steps=1, eval_steps=1000)
    job.wait_for_checkpoint(2)
    incomplete = job.checkpoints / ".incomplete"
    wait_for(incomplete.exists, job.checkpoints)
    job.signal(signal.SIGKILL)
    job.last()
    for checkpoint in job.checkpoints.glob("checkpoint-*"):
        load_file(checkpoint / "model.safetensors")
        json.loads((checkpoint / "trainer_state.json").read_text())
    newest = max(int(path.name.split("-")[1]) for path in job.checkpoints.glob("checkpoint-*"))
    last = job.run(epochs=(newest + 1) / 2, resume=True, eval_steps=1000)
    assert last["type"] == "done"
    assert job.events("started")[0]["first_step"] == newest
    assert not incomplete.exists()


def test_a_full_disk_is_told_and_leaves_the_last_checkpoint_whole(make_job: MakeJob) -> None:
    job = make_job().start(epochs=50, save_steps=1, eval_steps=1000)
    job.wait_for_checkpoint(1)
    job.limit_file_size(1_000_000)
    last = job.last()
    assert (last["type"], last["code"]) == ("failed", "DiskFull")
    assert "resume" in last["advice"]
    assert not (job.checkpoints / ".incomplete").exists()
    newest = max(int(path.name.split("-")[1]) for path in job.checkpoints.glob("checkpoint-*"))
    assert job.run(epochs=(newest + 1) / 2, resume=True, eval_steps=1000)["type"] == "done"


def test_more_epochs_start_from_a_checkpoint(make_job: MakeJob) -> None:
    first = make_job("first")
    first.run(epochs=2)
    checkpoint = first.checkpoints / "checkpoint-4"
    more = make_job("more")
    assert more.run(epochs=4, resume_from=str(checkpoint))["type"] == "done"
    assert (more.events("started")[0]["first_step"], more.events("progress")[-1]["step"]) == (4, 8)
    again = make_job("again").run(epochs=2, resume_from=str(checkpoint))
    assert (again["code"], "Raise epochs" in again["advice"]) == ("BadCheckpoint", True)
    torn = make_job("torn").run(resume_from=str(first.folder))
    assert torn["code"] == "BadCheckpoint"


def test_old_checkpoints_go_and_the_best_stays(make_job: MakeJob) -> None:
    train, _ = support_chats(16)
    # The validation answers contradict the training, so that more training is worse.
    wrong = json.loads(json.dumps(train[:4]))
    for row in wrong:
        row["messages"][-1]["content"] = "Nobody knows; ask somebody else about this, please."
    job = make_job(train=train, validation=wrong)
    assert job.run(epochs=10, eval_steps=2, output_weights="best")["type"] == "done"
    losses = {step: loss for step, loss in job.metrics("eval_loss").items() if step}
    best = min(losses, key=lambda step: losses[step])
    assert best < 16
    kept = sorted(int(path.name.split("-")[1]) for path in job.checkpoints.glob("checkpoint-*"))
    assert kept == [best, 18, 20]
    summary = json.loads((job.output / "training_summary.json").read_text())
    assert (summary["output_step"], summary["best_step"]) == (best, best)
    stopped = make_job("stopped", train=train, validation=wrong)
    assert stopped.run(epochs=20, eval_steps=2, early_stopping_patience=2)["type"] == "done"
    assert max(stopped.metrics("eval_loss")) == best + 4


def test_accumulated_small_batches_are_one_large_batch(make_job: MakeJob) -> None:
    rows, _ = support_chats(16)
    for row in rows[:3]:
        row["weight"] = 0.25
    large, small = make_job("large", train=rows), make_job("small", train=rows)
    large.run(batch_size=8, logging_steps=1)
    small.run(batch_size=2, gradient_accumulation_steps=4, logging_steps=1)
    assert large.metrics("train_loss") == pytest.approx(small.metrics("train_loss"), rel=1e-3)


@pytest.mark.parametrize(
    "choices",
    [
        {"optimizer": "adafactor", "learning_rate": 0.01, "schedule": "constant"},
        {"optimizer": "sgd", "learning_rate": 0.3, "schedule": "linear", "warmup_ratio": 0.2},
        {"optimizer": "muon", "schedule": "inverse_sqrt", "loss": "label_smoothing"},
        {"method": "lora", "lora_targets": ["qkv_proj", "o_proj"], "lora_rank": 8, "learning_rate": 0.02},
        {"precision": "bf16", "gradient_checkpointing": True, "output_dtype": "float32"},
    ],
    ids=lambda choices: "-".join(map(str, choices.values())),
)
def test_each_choice_learns(make_job: MakeJob, choices: dict[str, Any]) -> None:
    job = make_job()
    last = job.run(epochs=5, eval_steps=10, **choices)
    assert last["type"] == "done", last
    loss = job.metrics("eval_loss")
    assert loss[10] < loss[0] - 0.3


def test_lora_is_merged_into_the_output(make_job: MakeJob) -> None:
    job = make_job()
    job.run(method="lora", learning_rate=0.02, output_dtype="float32")
    started = job.events("started")[0]
    assert started["trainable_parameters"] < 300_000
    tensors = load_file(job.output / "model.safetensors")
    assert not any("lora" in name for name in tensors)
    base = load_file(places.tiny_folder() / "model.safetensors")
    name = "model.layers.0.mlp.down_proj.weight"
    assert not tensors[name].equal(base[name].float())
    embeddings = "model.embed_tokens.weight"
    assert tensors[embeddings].equal(base[embeddings].float())


def test_a_classifier_learns_and_says_where_it_errs(make_job: MakeJob) -> None:
    job = make_job(train=classification_rows(120), validation=classification_rows(40, seed=2))
    last = job.run(task="classification", loss="focal", epochs=6, eval_steps=90)
    assert last["type"] == "done", last
    assert last["labels"] == ["colour", "delivery", "price", "warranty", "weight"]
    assert last["values"]["eval_accuracy"] > 0.8
    assert last["values"]["eval_macro_f1"] > 0.8
    assert job.metrics("eval_accuracy")[0] < 0.6
    assert sum(map(sum, last["confusion_matrix"])) == 40
    config = json.loads((job.output / "config.json").read_text())
    assert config["architectures"] == ["Phi3ForSequenceClassification"]
    answer = make_job("one", train=[row for row in classification_rows(50) if "price" in json.dumps(row)]).run(
        task="classification"
    )
    assert (answer["code"], "two classes" in answer["advice"]) == ("BadRow", True)


@pytest.mark.parametrize("choices", [{}, {"eval_steps": 1}, {"validation_file": None, "save_steps": 1}])
def test_nan_is_told_with_what_to_change_and_no_checkpoint_holds_it(make_job: MakeJob, choices: dict[str, Any]) -> None:
    job = make_job()
    last = job.run(
        learning_rate=1e30, optimizer="sgd", max_grad_norm=0, schedule="constant", warmup_ratio=0, epochs=5, **choices
    )
    assert last["code"] == "NaNLoss"
    assert "learning_rate" in last["advice"]
    for checkpoint in job.checkpoints.glob("checkpoint-*"):
        assert all(bool(weights.isfinite().all()) for weights in load_file(checkpoint / "model.safetensors").values())


def test_one_example_is_enough_and_none_is_not(make_job: MakeJob) -> None:
    rows, _ = support_chats(1)
    assert make_job("one", train=rows, validation=rows).run()["type"] == "done"
    last = make_job("none", train=[]).run()
    assert (last["code"], "train.jsonl has no rows" in last["message"]) == ("EmptyData", True)
    assert make_job("half", validation=[]).run()["code"] == "EmptyData"
    short = make_job("short").run(max_length=8)
    assert (short["code"], "8 tokens" in short["message"]) == ("EmptyData", True)


def test_cut_rows_are_warned_of(make_job: MakeJob) -> None:
    rows, _ = support_chats(16)
    rows[4]["messages"][-1]["content"] *= 20
    job = make_job(train=rows)
    job.run(max_length=100)
    (warning,) = job.events("warning")
    assert "1 of the training rows" in warning["message"]
    assert "line 5" in warning["message"]
    assert job.events("started")[0]["truncated_rows"] == 1


def test_bad_rows_and_bad_choices_are_told_in_one_line(make_job: MakeJob) -> None:
    bad = make_job("bad")
    (bad.folder / "train.jsonl").write_text('{"messages": []}\n')
    last = bad.run()
    assert (last["code"], "train.jsonl, line 1" in last["message"]) == ("BadRow", True)
    last = make_job("choice").run(epochs=-1)
    assert (last["code"], "epochs" in last["message"]) == ("BadConfig", True)
    last = make_job("length").run(max_length=100_000)
    assert (last["code"], "4096 tokens" in last["message"]) == ("BadConfig", True)
    last = make_job("targets").run(method="lora", lora_targets=["no_such_layer"])
    assert (last["code"], "no_such_layer" in last["message"]) == ("BadConfig", True)


def other_architecture(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "llama"}))
    return "'llama' model"


def missing_weight(folder: Path) -> str:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.2.self_attn.o_proj.weight"]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return "model.layers.2.self_attn.o_proj.weight"


def other_width(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 512}))
    return "mlp.down_proj.weight is 128 × 384 in the weights and 128 × 512 by config.json"


def fewer_layers(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 2}))
    return "which config.json has no place for"


def small_vocabulary(folder: Path) -> str:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:4000].clone()
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 4000}))
    return "tokenizer has 4096 tokens"


def torn_weights(folder: Path) -> str:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:100_000])
    return "weights cannot be loaded"


def too_large(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 102400, "num_hidden_layers": 64}))
    return "GiB are free"


def no_template(folder: Path) -> str:
    (folder / "chat_template.jinja").unlink()
    return "no chat template"


def no_tokenizer(folder: Path) -> str:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    return "tokenizer cannot be read"


def pickled_weights(folder: Path) -> str:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return "cannot be loaded"


@pytest.mark.parametrize(
    "damage",
    [
        other_architecture, too_large, missing_weight, other_width, fewer_layers, small_vocabulary, torn_weights,
        no_template, no_tokenizer, pickled_weights,
    ],
)  # fmt: skip
def test_a_folder_that_is_not_a_whole_phi_model_is_refused(
    make_job: MakeJob, tmp_path: Path, damage: Callable[[Path], str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(places.tiny_folder(), folder)
    expected = damage(folder)
    last = make_job().run(model=str(folder))
    assert last["code"] == ("OutOfMemory" if damage is too_large else "BadModel")
    assert expected in last["message"]
    assert "\n" not in last["message"] + last["advice"]


def test_a_model_that_is_nowhere_is_refused(make_job: MakeJob) -> None:
    last = make_job().run(model="/no/such/folder")
    assert (last["code"], "/no/such/folder" in last["message"]) == ("BadModel", True)
