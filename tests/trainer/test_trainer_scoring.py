"""Losses and metrics against their definitions and against the model's own loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support_chats import support_chats

from tui.trainer import bases, data, memory, scoring
from tui.trainer.__main__ import main


def test_losses_at_the_labelled_columns_are_the_models_own() -> None:
    base = bases.find("tiny")
    tokenizer = bases.load_tokenizer(base)
    model = bases.load_model(base, tokenizer, dtype=torch.float32).eval()
    rows = data.encode_chats(list(enumerate(support_chats(8)[0], start=1)), tokenizer, 512).rows
    batch = data.collate(rows, tokenizer.pad_token_id)
    with torch.no_grad():
        own = model(**batch)
    score = scoring.score_rows(model, [batch])
    assert score.loss == pytest.approx(own.loss.item(), rel=1e-5)
    assert score.perplexity == pytest.approx(np.exp(own.loss.item()), rel=1e-4)
    assert score.tokens == int((batch["labels"][:, 1:] != data.IGNORED).sum())
    predicted = own.logits[:, :-1].argmax(-1)
    counted = batch["labels"][:, 1:] != data.IGNORED
    right = (predicted == batch["labels"][:, 1:])[counted].float().mean().item()
    assert score.token_accuracy == pytest.approx(right)
    # The score is over tokens, so that it does not depend on how rows are put into batches.
    split = scoring.score_rows(model, [data.collate([row], tokenizer.pad_token_id) for row in rows])
    assert split.loss == pytest.approx(score.loss, rel=1e-5)


def test_focal_loss_is_cross_entropy_at_0_and_spares_the_easy() -> None:
    logits = torch.tensor([[4.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    targets = torch.tensor([0, 1])
    plain = scoring.smoothed(logits, targets, 0)
    assert torch.allclose(scoring.focal(logits, targets, 0), plain)
    probability = logits.softmax(-1)[torch.arange(2), targets]
    assert torch.allclose(scoring.focal(logits, targets, 2), -((1 - probability) ** 2) * probability.log())


def test_smoothing_spreads_its_share_over_all_classes() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0]])
    wanted = torch.tensor([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])
    expected = -(wanted * logits.log_softmax(-1)[0]).sum()
    assert torch.allclose(scoring.smoothed(logits, torch.tensor([0]), 0.1), expected)


def test_class_metrics() -> None:
    matrix = scoring.confusion_matrix([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2], 4)
    assert matrix.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    metrics = scoring.class_metrics(matrix)
    assert metrics["accuracy"] == pytest.approx(4 / 6)
    # F1 of the three classes that occur: 2*2/(3+2), 2*1/(2+2), 2*1/(1+2)
    assert metrics["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_macro_f1_is_the_mean_of_the_classes_f1(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = zip(*pairs, strict=True)
    f1 = []
    for label in set(truth) | set(predicted):
        hits = sum(t == p == label for t, p in pairs)
        precision = hits / max(1, predicted.count(label))
        recall = hits / max(1, truth.count(label))
        f1.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    metrics = scoring.class_metrics(scoring.confusion_matrix(truth, predicted, 4))
    assert metrics["macro_f1"] == pytest.approx(np.mean(f1))


def test_the_documents_table_is_the_computed_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["memory"]) == 0
    table = capsys.readouterr().out
    assert table in (Path(memory.__file__).parents[2] / "docs" / "training.md").read_text()
    # The parameter counts that Microsoft publishes.
    counts = [shape.parameters for shape in memory.PUBLISHED.values()]
    assert counts == [3_821_079_552, 3_836_021_760, 13_960_238_080, 14_659_507_200]


def test_the_memory_formula_counts_the_parameters_of_a_real_model() -> None:
    base = bases.find("tiny")
    model = bases.load_model(base, bases.load_tokenizer(base), dtype=torch.float32)
    shape = memory.shape_of(model.config)
    assert shape.parameters == model.num_parameters()
    linear = sum(p.numel() for name, p in model.named_parameters() if "_proj" in name)
    assert shape.linear_parameters == linear
