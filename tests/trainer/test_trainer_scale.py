"""The scaled-out path on this machine, the stand-in `small`, and a cluster's way to start a job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from support_chats import support_chats, write_jsonl
from trainkit import Job
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from tui.trainer import bases, memory, sharding, small
from tui.trainer.failures import TrainingFailed

LAUNCH = Path(bases.__file__).parent / "launch"

pytestmark = pytest.mark.xdist_group("training")


def train_losses(folder: Path) -> list[float]:
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return [e["values"]["train_loss"] for e in events if e["type"] == "metrics" and "train_loss" in e["values"]]


def launch(launcher: list[str], folder: Path, **options: Any) -> dict[str, Any]:
    """Train in new processes; the event `started`."""
    train, validation = support_chats(16, 4)
    folder.mkdir()
    given = {
        "model": "tiny",
        "train-file": write_jsonl(folder / "train.jsonl", train),
        "validation-file": write_jsonl(folder / "validation.jsonl", validation),
        "output-dir": folder / "output",
        "epochs": 2,
        "logging-steps": 1,
        "threads": 1,
        **options,
    }
    words = [str(word) for name, value in given.items() for word in (f"--{name}", value)]
    command = [*launcher, "tui.trainer", "train", str(folder), *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert events[-1]["type"] == "done"
    assert (folder / "output" / "model.safetensors").exists()
    return next(event for event in events if event["type"] == "started")


def test_two_processes_give_the_losses_of_one(make_job: Callable[..., Job], tmp_path: Path) -> None:
    one = make_job("one")
    one.run(batch_size=8, logging_steps=1)
    two = tmp_path / "two"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"]
    started = launch(torchrun, two, **{"batch-size": 4})
    assert (started["processes"], started["parallelism"], started["steps"]) == (2, "ddp", 4)
    assert train_losses(two) == pytest.approx(train_losses(one.folder), rel=1e-4)


@pytest.mark.slow
def test_fsdp_that_does_not_run_is_said_to_be_none(tmp_path: Path) -> None:
    config = yaml.safe_load((LAUNCH / "fsdp.yaml").read_text())
    mine = tmp_path / "fsdp.yaml"
    mine.write_text(yaml.safe_dump({**config, "mixed_precision": "no", "use_cpu": True}))
    accelerate = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(mine)]
    accelerate += ["--main_process_port", "0", "-m"]
    started = launch(accelerate, tmp_path / "job", **{"batch-size": 4})
    assert started["parallelism"] == "ddp"
    events = [json.loads(line) for line in (tmp_path / "job" / "events.jsonl").read_text().splitlines()]
    (warning,) = [event["message"] for event in events if event["type"] == "warning"]
    assert "FSDP was asked for and is not what runs" in warning


def test_sharing_the_model_is_chosen_where_no_gpu_holds_it() -> None:
    phi = memory.PUBLISHED["Phi-4-mini"]
    job: dict[str, Any] = {"method": "full", "rows": 1, "tokens": 2048, "gpu_memory": 80 * memory.GIB, "processes": 8}
    assert sharding.needed(phi, **job)
    assert not sharding.needed(phi, **{**job, "method": "lora"})
    assert not sharding.needed(phi, **{**job, "processes": 1})
    assert not sharding.needed(phi, **{**job, "gpu_memory": 94 * memory.GIB})


def test_fsdp_for_one_process_is_said_to_be_none(make_job: Callable[..., Job]) -> None:
    job = make_job()
    assert job.run(parallelism="fsdp", epochs=1)["type"] == "done"
    (warning,) = job.events("warning")
    assert "one process has nobody to share with" in warning["message"]
    assert job.events("started")[0]["parallelism"] == "none"


def test_the_package_trains_alone_under_the_name_it_has_on_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "trainer").symlink_to(Path(bases.__file__).parent)
    train, _ = support_chats(8)
    write_jsonl(tmp_path / "train.jsonl", train)
    (tmp_path / "mounted").mkdir()
    options = ["--model", "tiny", "--train-file", "train.jsonl", "--output-dir", "mounted", "--epochs", "1"]
    options += ["--batch-size", "8"]
    program = "import runpy, sys; runpy.run_module('trainer', run_name='__main__', alter_sys=True)"
    check = "import atexit; atexit.register(lambda: print('tui' in {m.split('.')[0] for m in sys.modules}))"
    result = subprocess.run(
        [sys.executable, "-c", f"{check.replace('import atexit', 'import atexit, sys')}; {program}", "train", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "step 1/1 epoch 1 train_loss" in result.stdout
    assert result.stdout.splitlines()[-1] == "False"
    assert (tmp_path / "mounted" / "model.safetensors").exists()
    assert (tmp_path / "outputs" / "checkpoints" / "checkpoint-1").exists()


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> tuple[LlamaForCausalLM, Path]:
    """A Llama of random weights, and the GGUF file that llama.cpp's converter would make of it."""
    from gguf import GGUFWriter, TokenType

    torch.manual_seed(0)
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [chr(256 + i) for i in range(33)]
    tokens += [chr(c) for c in range(33, 127)] + ["he", "ll", "hell"]
    config = LlamaConfig(
        vocab_size=len(tokens), hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    path = tmp_path_factory.mktemp("gguf") / "llama.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_feed_forward_length(96)
    writer.add_head_count(6)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(100000.0)
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * 3 + [TokenType.NORMAL] * (len(tokens) - 3))
    writer.add_token_merges(["h e", "l l", "he ll"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}")
    state = model.state_dict()

    def interleaved(name: str, heads: int) -> np.ndarray[Any, Any]:
        matrix = state[name].numpy()
        return matrix.reshape(heads, 2, -1, matrix.shape[1]).swapaxes(1, 2).reshape(matrix.shape)

    writer.add_tensor("token_embd.weight", state["model.embed_tokens.weight"].numpy())
    writer.add_tensor("output_norm.weight", state["model.norm.weight"].numpy())
    names = {
        "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
    }  # fmt: skip
    for number in range(2):
        place = f"model.layers.{number}."
        writer.add_tensor(f"blk.{number}.attn_q.weight", interleaved(place + "self_attn.q_proj.weight", 6))
        writer.add_tensor(f"blk.{number}.attn_k.weight", interleaved(place + "self_attn.k_proj.weight", 2))
        for new, old in names.items():
            writer.add_tensor(f"blk.{number}.{new}.weight", state[f"{place}{old}.weight"].numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model, path


def test_a_llama_laid_out_as_phi_3_computes_the_same(llama: tuple[LlamaForCausalLM, Path], tmp_path: Path) -> None:
    original, path = llama
    told: list[tuple[str, int, int]] = []
    small.convert(path, tmp_path, lambda *what: told.append(what), dtype=torch.float32)
    base = bases.find(str(tmp_path))
    tokenizer = bases.load_tokenizer(base)
    model = bases.load_model(base, tokenizer, dtype=torch.float32).eval()
    assert type(model).__name__ == "Phi3ForCausalLM"
    ids = torch.randint(0, original.config.vocab_size, (2, 40))
    with torch.no_grad():
        assert torch.equal(model(ids).logits, original(ids).logits)
    assert told[-1] == ("convert", 20, 20)
    assert tokenizer.convert_ids_to_tokens(tokenizer("hell42")["input_ids"]) == ["hell", "4", "2"]
    assert tokenizer.eos_token == "<|im_end|>"


def test_a_file_with_another_checksum_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "w.gguf").write_bytes(b"something else")
    with pytest.raises(TrainingFailed, match="checksum"):
        small._check(tmp_path / "w.gguf", small.GGUF_SHA256)


@pytest.mark.skipif("PHIFT_FETCH" not in os.environ, reason="downloads 93 MB; `make clients` runs it (PHIFT_FETCH=1)")
def test_small_is_fetched_and_talks(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    folder = small.fetch(lambda *what: told.append(what), tmp_path / "models" / "small")
    assert "convert" in {stage for stage, _, _ in told}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    assert "Paris" in tokenizer.decode(output[0][inputs["input_ids"].shape[1] :])
    assert sorted(path.name for path in folder.parent.iterdir()) == ["small"]
