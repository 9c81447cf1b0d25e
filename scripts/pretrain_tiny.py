"""Pretrain the stand-in model `tiny` (Phi-3 architecture, 1.4 M parameters) from text that may be redistributed.

Sources, both of which have to be on the machine:

* WordNet 3.0's data files (Debian: `apt-get install wordnet-base`), WordNet licence;
* the English part of `chatterbot-corpus` (`pip download --no-deps chatterbot-corpus`, then unzip), BSD licence.

    nice python scripts/pretrain_tiny.py --wordnet /usr/share/wordnet --chatterbot DIR --output tui/trainer/models/tiny

About twelve minutes of one core. The result knows how English words follow each other and how a chat turn ends; it does
not talk sense, and is only ever a start for the sandbox's fine-tuning.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # two spinning threads on a busy machine run slower than one

import torch
import yaml
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast, Trainer, TrainingArguments, set_seed

from tui.trainer.muon import MuonWithAdamW

VOCABULARY = 4096
CONTEXT = 256
SPECIAL = ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
SYSTEM = ["You are a helpful assistant.", "You are a support agent. Answer briefly.", "You explain words."]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '<|assistant|>\\n' }}{% generation %}{{ message['content'] + '<|end|>\\n' }}{% endgeneration %}"
    "{% else %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
PATTERN = r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""GPT-2's word pattern with single digits, so that a number never seen before is still written digit by digit."""


def wordnet_chats(folder: Path, rng: random.Random) -> list[list[tuple[str, str]]]:
    """One chat of a few turns for each synset: its meaning, its synonyms, an example, and the word for a meaning."""
    chats = []
    for name in ("data.noun", "data.verb", "data.adj", "data.adv"):
        for line in (folder / name).read_text(encoding="latin-1").splitlines():
            if line.startswith("  ") or "|" not in line:
                continue
            left, gloss = line.split("|", 1)
            fields = left.split()
            words = [re.sub(r"\(\w+\)$", "", fields[4 + 2 * i]).replace("_", " ") for i in range(int(fields[3], 16))]
            meaning, *rest = (part.strip() for part in gloss.split('; "'))
            examples = [part.strip('" ;') for part in rest]
            word = rng.choice(words)
            turns = [
                (
                    rng.choice([f"What does {word} mean?", f"Define {word}.", f"What is the meaning of {word}?"]),
                    f"{word[0].upper()}{word[1:]}: {meaning}.",
                )
            ]
            if examples:
                ask = [f"Use {word} in a sentence.", f"Give me an example of {word}."]
                turns.append((rng.choice(ask), f"{examples[0][:1].upper()}{examples[0][1:]}."))
            if len(words) > 1:
                other = rng.choice([w for w in words if w != word] or words)
                ask = [f"What is another word for {word}?", f"Name a synonym of {word}."]
                turns.append((rng.choice(ask), f"Another word for {word} is {other}."))
            if rng.random() < 0.3:
                turns.append((f"Which word means: {meaning}?", f"The word is {word}."))
            rng.shuffle(turns)
            chats.append(turns)
    return chats


def chatterbot_chats(folder: Path) -> list[list[tuple[str, str]]]:
    """The corpus's distinct question-answer pairs. Its `tech_support` topic is left out: it repeats ten pairs."""
    pairs: dict[tuple[str, str], None] = {}
    for path in sorted(folder.rglob("english/*.yml")):
        if path.stem == "tech_support":
            continue
        for conversation in yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]:
            texts = [" ".join(str(text).split()) for text in conversation]
            for question, answer in zip(texts[::2], texts[1::2], strict=False):
                pairs[question, answer] = None
    return [[pair] for pair in pairs]


def render(turns: list[tuple[str, str]], rng: random.Random) -> str:
    """One chat in the model's own template, half of the time with a system message."""
    parts = [f"<|system|>\n{rng.choice(SYSTEM)}<|end|>\n"] if rng.random() < 0.5 else []
    parts += [f"<|user|>\n{user}<|end|>\n<|assistant|>\n{answer}<|end|>\n" for user, answer in turns]
    return "".join(parts) + "<|endoftext|>"


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE of 4,096 tokens with the five role tokens first, so that every text can be written."""
    from tokenizers import Regex

    bpe = Tokenizer(BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        (re.sub(r"<\|\w+\|>", " ", text) for text in texts),
        BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token="<|endoftext|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=SPECIAL[1:],
        chat_template=CHAT_TEMPLATE,
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )


def pack(texts: list[str], tokenizer: PreTrainedTokenizerFast) -> list[dict[str, list[int]]]:
    """The texts' tokens one after the other, cut into rows of 256."""
    flat: list[int] = []
    for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]:
        flat.extend(ids)
    return [{"input_ids": flat[i : i + CONTEXT]} for i in range(0, len(flat) - CONTEXT, CONTEXT)]


def collate(rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    """Packed rows as a batch whose labels are its inputs."""
    ids = torch.tensor([row["input_ids"] for row in rows])
    return {"input_ids": ids, "labels": ids.clone()}


def main() -> None:
    """Read the sources, make the tokenizer, pretrain, save, and print the held-out perplexity."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--chatterbot", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--batch-size", type=int, default=8, help="rows of 256 tokens")
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    set_seed(arguments.seed)
    rng = random.Random(arguments.seed)

    chats = wordnet_chats(arguments.wordnet, rng) + chatterbot_chats(arguments.chatterbot) * 4
    rng.shuffle(chats)
    texts = [render(turns, rng) for turns in chats]
    held_out, texts = texts[:400], texts[400:]
    tokenizer = make_tokenizer(texts[:40_000])
    needed = arguments.steps * arguments.batch_size
    rows, validation = pack(texts, tokenizer)[:needed], pack(held_out, tokenizer)

    end, stop = tokenizer.convert_tokens_to_ids(["<|end|>", "<|endoftext|>"])
    model = Phi3ForCausalLM(
        Phi3Config(
            vocab_size=len(tokenizer),
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=4096,
            original_max_position_embeddings=4096,
            tie_word_embeddings=True,
            bos_token_id=stop,
            eos_token_id=stop,
            pad_token_id=stop,
        )
    )
    model.generation_config.eos_token_id = [end, stop]
    model.generation_config.pad_token_id = stop
    print(f"{model.num_parameters():,} parameters, {len(rows)} rows of {CONTEXT} tokens, {len(validation)} held out")
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(arguments.output),
            max_steps=arguments.steps,
            per_device_train_batch_size=arguments.batch_size,
            per_device_eval_batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            max_grad_norm=1.0,
            logging_steps=50,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            dataloader_pin_memory=False,
            disable_tqdm=True,
            seed=arguments.seed,
        ),
        train_dataset=rows,
        eval_dataset=validation,
        data_collator=collate,
        optimizers=(MuonWithAdamW(model, arguments.learning_rate, weight_decay=0.01), None),
    )
    before = trainer.evaluate()["eval_loss"]
    started = time.process_time()
    trainer.train()
    after = trainer.evaluate()["eval_loss"]
    model.to(torch.bfloat16).save_pretrained(arguments.output)
    tokenizer.save_pretrained(arguments.output)
    summary = {
        "parameters": model.num_parameters(),
        "tokens": len(rows) * CONTEXT,
        "cpu_seconds": round(time.process_time() - started),
        "held_out_perplexity": [round(float(torch.tensor(x).exp()), 1) for x in (before, after)],
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
