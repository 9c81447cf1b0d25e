"""How a model is judged and taught: losses over the positions that count, and the numbers reported from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from .data import IGNORED


def labelled_logits(model: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The logits that predict a labelled token, those tokens, and the row each of them is in.

    The head is run at the labelled columns only: with prompts longer than answers that is most of the head's work.

    Returns:
        logits (n, vocabulary) in float32, targets (n,), rows (n,).
    """
    targets = functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED)
    columns = (targets != IGNORED).any(0).nonzero().squeeze(1)
    outputs = model(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], logits_to_keep=columns, use_cache=False
    )
    targets = targets[:, columns]
    counted = targets != IGNORED
    rows = torch.arange(len(targets), device=targets.device).unsqueeze(1).expand_as(targets)[counted]
    return outputs.logits[counted].float(), targets[counted], rows


def smoothed(logits: torch.Tensor, targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Cross-entropy of each position, (n,); `smoothing` is the share of probability spread over all classes."""
    return functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)


def focal(logits: torch.Tensor, targets: torch.Tensor, gamma: float) -> torch.Tensor:
    """Cross-entropy times (1 - p)^gamma, which makes easy rows count less (Lin et al. 2017), (n,)."""
    loss = functional.cross_entropy(logits, targets, reduction="none")
    return (1 - torch.exp(-loss)) ** gamma * loss


def row_statistics(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of each row of a chat batch, (rows, 3): the sum of its tokens' losses, how many were right, their number."""
    logits, targets, rows = labelled_logits(model, batch)
    statistics = torch.zeros(len(batch["labels"]), 3, dtype=torch.float64, device=logits.device)
    loss = functional.cross_entropy(logits, targets, reduction="none").double()
    right = (logits.argmax(-1) == targets).double()
    return statistics.index_add_(0, rows, torch.stack([loss, right, torch.ones_like(loss)], dim=1))


@dataclass(frozen=True)
class ChatScore:
    """Of the assistant's tokens in a set of chats: mean loss in nats, perplexity, share right, and their number."""

    loss: float
    perplexity: float
    token_accuracy: float
    tokens: int


def chat_score(statistics: np.ndarray[Any, Any]) -> ChatScore:
    """The score over all tokens (not the mean of rows) from the statistics of the rows, (rows, 3)."""
    loss, right, count = (float(value) for value in statistics.sum(0))
    mean = loss / count if count else math.nan
    return ChatScore(mean, math.exp(min(mean, 700.0)), right / count if count else math.nan, int(count))


def score_rows(model: Any, batches: Iterable[dict[str, torch.Tensor]]) -> ChatScore:
    """The score of a chat model over `batches`."""
    with torch.inference_mode():
        parts = [row_statistics(model, batch).numpy() for batch in batches]
    return chat_score(np.concatenate(parts))


def confusion_matrix(truth: Sequence[int], predicted: Sequence[int], classes: int) -> np.ndarray[Any, Any]:
    """Counts, (classes, classes): a row is the true class, a column the predicted one."""
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (np.asarray(truth), np.asarray(predicted)), 1)
    return matrix


def class_metrics(matrix: np.ndarray[Any, Any]) -> dict[str, float]:
    """`accuracy` and `macro_f1` of a confusion matrix.

    Macro F1 is the plain mean over the classes that occur as truth or prediction; a class that is never right has 0.
    """
    right = np.diag(matrix).astype(float)
    in_truth_or_predicted = (matrix.sum(0) + matrix.sum(1)).astype(float)
    present = in_truth_or_predicted > 0
    f1 = 2 * right[present] / in_truth_or_predicted[present]
    return {"accuracy": float(right.sum() / matrix.sum()), "macro_f1": float(f1.mean())}
