"""One chat completion from a loaded model, token by token, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase
from transformers.generation import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

DEFAULT_MAX_TOKENS = 256


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; temperature 0 takes the likeliest one each time."""

    max_tokens: int = DEFAULT_MAX_TOKENS
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(eq=False)
class Completion:
    """What came out: `finish` is `stop` or `length`, tokens are counted as the model made them."""

    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: str = "length"
    cancelled: threading.Event = field(default_factory=threading.Event)


class _Text(BaseStreamer):  # type: ignore[misc]  # transformers has no types here
    """Turns tokens into text pieces: never half a character, never a part of what may become a stop text."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        stop: Sequence[str],
        completion: Completion,
        deliver: Callable[[str], None],
    ) -> None:
        self._tokenizer = tokenizer
        self._stop = stop
        self._completion = completion
        self._deliver = deliver
        self._ids: list[int] = []
        self._sent = 0
        self._prompt_seen = False
        self.stopped = False

    def put(self, value: torch.Tensor) -> None:
        """Take the next tokens; the first call carries the prompt."""
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self._ids.extend(int(token) for token in value.flatten())
        self._completion.completion_tokens = len(self._ids)
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        cut = min((place for stop in self._stop if (place := text.find(stop)) >= 0), default=-1)
        if cut >= 0:
            self.stopped = True
            self._send(text[:cut])
        elif not self.stopped:
            self._send(text[: len(text) - self._held_back(text)])

    def end(self) -> None:
        """Send what was held back."""
        if not self.stopped:
            self._send(self._tokenizer.decode(self._ids, skip_special_tokens=True))

    def _held_back(self, text: str) -> int:
        if text.endswith("\N{REPLACEMENT CHARACTER}"):
            return 1  # the bytes of a character are still coming
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stop):
                return length
        return 0

    def _send(self, text: str) -> None:
        if len(text) > self._sent:
            self._completion.text = text
            self._deliver(text[self._sent :])
            self._sent = len(text)


class _Halt(StoppingCriteria):  # type: ignore[misc]  # transformers has no types here
    def __init__(self, text: _Text, completion: Completion) -> None:
        self._text = text
        self._completion = completion

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
        halt = self._text.stopped or self._completion.cancelled.is_set()
        return torch.full((len(input_ids),), halt, dtype=torch.bool, device=input_ids.device)


def complete(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    prompt: list[int],
    sampling: Sampling,
    completion: Completion,
    deliver: Callable[[str], None],
) -> None:
    """Generate an answer to `prompt` into `completion`, giving each new piece of text to `deliver`.

    Setting `completion.cancelled` from another thread ends it at the next token. Torch's random numbers are one stream
    a process, so that a seed holds only while nothing else generates: the caller lets one run at a time.
    """
    if sampling.seed is not None:
        torch.manual_seed(sampling.seed)
    else:
        torch.seed()
    streamer = _Text(tokenizer, sampling.stop, completion, deliver)
    options: dict[str, Any] = {"do_sample": False}
    if sampling.temperature > 0:
        options = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    ids = torch.tensor([prompt], device=model.device)
    with torch.inference_mode():
        output = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=sampling.max_tokens,
            streamer=streamer,
            stopping_criteria=StoppingCriteriaList([_Halt(streamer, completion)]),
            **options,
        )
    ends = model.generation_config.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    if streamer.stopped or int(output[0, -1]) in ends:
        completion.finish = "stop"


def classify(model: Any, prompt: list[int]) -> str:
    """The class that a classifier gives to `prompt`."""
    ids = torch.tensor([prompt], device=model.device)
    with torch.inference_mode():
        best = int(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.argmax(-1))
    return str(model.config.id2label[best])
