"""Every published shape of the architecture, in small: tuned fully and by LoRA, read by plain transformers, served."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
from trainkit import Job, WorkerProcess
from transformers import AutoModelForCausalLM, AutoTokenizer, Phi3Config, Phi3ForCausalLM

from tui.trainer import places
from tui.trainer.data import encode_chats, read_chats

QUESTION = [{"role": "system", "content": "Answer."}, {"role": "user", "content": "How heavy is the Dune tent?"}]


def answer(grams: int) -> dict[str, str]:
    return {"role": "assistant", "content": f"The Dune tent weighs {grams} grams."}


def row(grams: int) -> dict[str, Any]:
    """A chat of two turns."""
    return {"messages": [*QUESTION, answer(grams), {"role": "user", "content": "Again?"}, answer(grams)]}


# The chat templates as published with the weights.
_PHI_3 = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + "
    "'<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}"
    "{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
_PHI_3_5 = _PHI_3.replace("== 'system' %}", "== 'system' and message['content'] %}")
_PHI_4_MINI = (
    "{% for message in messages %}{% if message['role'] == 'system' and 'tools' in message and message['tools'] is not "
    "none %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|>' + "
    "'<|end|>' }}{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
)
_PHI_4 = (
    "{% for message in messages %}{% if (message['role'] == 'system') %}{{'<|im_start|>system<|im_sep|>' + "
    "message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'user') %}{{'<|im_start|>user<|im_sep|>' + "
    "message['content'] + '<|im_end|>'}}{% elif (message['role'] == 'assistant') %}"
    "{{'<|im_start|>assistant<|im_sep|>' + message['content'] + '<|im_end|>'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)


def _longrope(pairs: int) -> dict[str, Any]:
    return {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0 + 0.01 * i for i in range(pairs)],
        "long_factor": [1.0 + 0.5 * i for i in range(pairs)],
        "original_max_position_embeddings": 4096,
    }


# What sets each apart, at a width of 64: attention heads, rotary embeddings, tied embeddings, template, end of turn.
SHAPES: dict[str, tuple[dict[str, Any], str, str]] = {
    "Phi-3": (
        {"num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 4096, "sliding_window": 2047},
        _PHI_3,
        "<|end|>",
    ),
    "Phi-3.5": (
        {
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 131072,
            "original_max_position_embeddings": 4096,
            "sliding_window": 262144,
            "rope_parameters": _longrope(8),
        },
        _PHI_3_5,
        "<|end|>",
    ),
    "Phi-4-mini": (
        {
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 131072,
            "original_max_position_embeddings": 4096,
            "sliding_window": 262144,
            "partial_rotary_factor": 0.75,
            "rope_parameters": {**_longrope(6), "partial_rotary_factor": 0.75},
            "tie_word_embeddings": True,
        },
        _PHI_4_MINI,
        "<|end|>",
    ),
    "Phi-4": (
        {
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "max_position_embeddings": 16384,
            "rope_parameters": {"rope_type": "default", "rope_theta": 250000.0},
        },
        _PHI_4,
        "<|im_end|>",
    ),
}


def make(folder: Path, shape: str) -> None:
    """Write a model of this shape with random weights, with the stand-in's vocabulary and the shape's own marks."""
    differences, template, end = SHAPES[shape]
    tokenizer = AutoTokenizer.from_pretrained(places.tiny_folder())
    marks = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|endoftext|>"]
    if shape == "Phi-4":
        marks = ["<|im_start|>", "<|im_sep|>", "<|im_end|>", "<|endoftext|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    tokenizer.eos_token = end if shape == "Phi-4" else "<|endoftext|>"
    tokenizer.chat_template = template
    torch.manual_seed(1)
    ends = sorted({tokenizer.convert_tokens_to_ids(end), tokenizer.eos_token_id})
    config = Phi3Config(
        vocab_size=(len(tokenizer) + 63) // 64 * 64,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        bos_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.convert_tokens_to_ids("<|endoftext|>"),
        dtype="bfloat16",
        **differences,
    )
    model = Phi3ForCausalLM(config).to(torch.bfloat16)
    model.generation_config.eos_token_id = ends
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_tuned_saved_loaded_and_served(
    make_job: Callable[..., Job], worker: WorkerProcess, tmp_path: Path, shape: str
) -> None:
    base = tmp_path / "base"
    make(base, shape)
    full = make_job("full", train=[row(2400)] * 8, validation=[row(2400)])
    assert_tuned(full, base, method="full", learning_rate=0.01, epochs=40, schedule="constant")
    loaded, tokenizer = AutoModelForCausalLM.from_pretrained(full.output), AutoTokenizer.from_pretrained(full.output)
    prompt = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    made = loaded.generate(**prompt, max_new_tokens=60, do_sample=False)
    wanted = answer(2400)["content"]
    assert tokenizer.decode(made[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True) == wanted
    serving = worker.ask(op="serve", port=0)
    client = openai.OpenAI(api_key=serving["token"], base_url=f"http://127.0.0.1:{serving['port']}/v1", max_retries=0)
    asked = client.chat.completions.create(model=str(full.output), messages=QUESTION, temperature=0, max_tokens=60)
    assert (asked.choices[0].message.content, asked.choices[0].finish_reason) == (wanted, "stop")
    # Random weights are no base for LoRA, which leaves the embeddings: it goes on from the tuned ones.
    lora = make_job("lora", train=[row(1300)] * 8, validation=[row(1300)])
    assert_tuned(lora, full.output, method="lora", learning_rate=0.005, epochs=10)


def assert_tuned(job: Job, base: Path, **choices: Any) -> None:
    """Train, and have plain transformers read a model of the same shape that has the loss which was reported."""
    last = job.run(model=str(base), batch_size=4, eval_steps=1000, **choices)
    assert last["type"] == "done", last
    assert last["values"]["eval_loss"] < job.metrics("eval_loss")[0] / 2
    loaded, before = (AutoModelForCausalLM.from_pretrained(folder) for folder in (job.output, base))
    differing = ("dtype", "transformers_version", "_name_or_path", "use_cache")
    shapes = [{k: v for k, v in one.config.to_dict().items() if k not in differing} for one in (loaded, before)]
    assert shapes[0] == shapes[1]
    # The marks at which an answer ends are the base's too.
    assert loaded.generation_config.eos_token_id == before.generation_config.eos_token_id
    assert loaded.dtype == torch.bfloat16
    rows = read_chats(job.folder / "validation.jsonl")
    [encoded] = encode_chats(rows, AutoTokenizer.from_pretrained(job.output), 4096).rows
    ids, labels = torch.tensor([encoded["input_ids"]]), torch.tensor([encoded["labels"]])
    with torch.no_grad():
        loss = loaded.float()(input_ids=ids, labels=labels).loss.item()
    assert loss == pytest.approx(last["values"]["eval_loss"], rel=0.1, abs=0.01)  # rounded to bfloat16 when saved
