"""Is the tuned model better: a paired comparison of two models' answers to the same questions."""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from tui.evaluation.metrics import exact_match, token_f1
from tui.messages import n, t

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RESAMPLES = 2000
"""Bootstrap resamples; the ends of a 95 % interval then move by about a twentieth of its width from seed to seed."""

SIGNIFICANT = 0.05
"""Level of the tests below which a difference is called one."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How much better one model does than the other by one measure.

    Attributes:
        measure: Name of the measure.
        base: Mean over the questions for the base model.
        tuned: Mean for the tuned model.
        difference: tuned - base.
        low: Lower end of the 95 % bootstrap interval of the difference.
        high: Upper end.
        wins: Questions on which the tuned model scores higher.
        ties: Questions on which both score the same.
        losses: Questions on which the base model scores higher.
        p_value: Two-sided exact sign test of wins against losses; for a yes-or-no measure this is McNemar's exact test.
    """

    measure: str
    base: float
    tuned: float
    difference: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int
    p_value: float


Verdict = Literal["better", "worse", "undecided"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same questions.

    Attributes:
        questions: Number of questions.
        exact: By exact match.
        f1: By token F1.
        seed: Seed of the bootstrap.
        verdict: `better` or `worse` where the sign test of one measure is below SIGNIFICANT and its interval leaves
            out 0 while the other measure does not say the opposite; `undecided` otherwise.
    """

    questions: int
    exact: Difference
    f1: Difference
    seed: int
    verdict: Verdict

    def summary(self) -> str:
        """Return the verdict and its numbers as two sentences."""
        match self.verdict:
            case "better":
                says = n(
                    "The tuned model is better than the base model on {count} question.",
                    "The tuned model is better than the base model on {count} questions.",
                    self.questions,
                )
            case "worse":
                says = n(
                    "The tuned model is worse than the base model on {count} question.",
                    "The tuned model is worse than the base model on {count} questions.",
                    self.questions,
                )
            case "undecided":
                says = n(
                    "The tuned model cannot be told from the base model on {count} question.",
                    "The tuned model cannot be told from the base model on {count} questions.",
                    self.questions,
                )
        numbers = t(
            "Exact answers {exact_base} -> {exact_tuned}, token F1 {base} -> {tuned} "
            "(difference {difference}, 95 % interval {low} to {high}, sign test p = {p}).",
            exact_base=f"{self.exact.base:.0%}",
            exact_tuned=f"{self.exact.tuned:.0%}",
            base=f"{self.f1.base:.2f}",
            tuned=f"{self.f1.tuned:.2f}",
            difference=f"{self.f1.difference:+.2f}",
            low=f"{self.f1.low:+.2f}",
            high=f"{self.f1.high:+.2f}",
            p=f"{self.f1.p_value:.2g}",
        )
        return f"{says} {numbers}"

    def to_json(self) -> dict[str, Any]:
        """Return the comparison as the command line's JSON has it."""
        return asdict(self)


def sign_test(wins: int, losses: int) -> float:
    """Return the two-sided p-value of an exact sign test; ties are left out, 1.0 where nothing differs.

    On the discordant pairs of a yes-or-no measure this is McNemar's exact test.
    """
    discordant = wins + losses
    if not discordant:
        return 1.0
    tail = sum(math.comb(discordant, k) for k in range(min(wins, losses) + 1))
    return min(1.0, float(2 * tail / 2**discordant))


def bootstrap_interval(differences: Sequence[float], seed: int, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean of paired differences.

    Args:
        differences: One difference a question.
        seed: Seed of the resampling; the same seed gives the same interval on every machine.
        resamples: Number of resamples.

    Raises:
        ValueError: There is no difference.
    """
    count = len(differences)
    if not count:
        raise ValueError("there is no question to compare on")
    source = random.Random(seed)  # noqa: S311 - resampling, not a secret
    means = sorted(math.fsum(source.choices(differences, k=count)) / count for _ in range(resamples))
    return means[math.floor(0.025 * (resamples - 1))], means[math.ceil(0.975 * (resamples - 1))]


def difference(measure: str, base: Sequence[float], tuned: Sequence[float], seed: int) -> Difference:
    """Return the paired difference of two models by one measure.

    Args:
        measure: Its name.
        base: Score of the base model on each question.
        tuned: Score of the tuned model on the same questions.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: The two have different lengths, or there are none.
    """
    gains = [after - before for before, after in zip(base, tuned, strict=True)]
    low, high = bootstrap_interval(gains, seed)
    wins, losses = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    pairs = len(gains)
    return Difference(
        measure,
        math.fsum(base) / pairs,
        math.fsum(tuned) / pairs,
        math.fsum(gains) / pairs,
        low,
        high,
        wins,
        pairs - wins - losses,
        losses,
        sign_test(wins, losses),
    )


def compare(references: Sequence[str], base: Sequence[str], tuned: Sequence[str], *, seed: int = 0) -> Comparison:
    """Compare the answers of two models with the references.

    Args:
        references: The right answer to each question.
        base: The base model's answers, in the same order.
        tuned: The tuned model's answers, in the same order.
        seed: Seed of the bootstrap.

    Returns:
        The comparison.

    Raises:
        ValueError: The three have different lengths, or there are no questions.
    """

    def scored(measure: str, score: Callable[[str, str], float]) -> Difference:
        return difference(
            measure,
            [float(score(answer, wanted)) for answer, wanted in zip(base, references, strict=True)],
            [float(score(answer, wanted)) for answer, wanted in zip(tuned, references, strict=True)],
            seed,
        )

    exact, f1 = scored("exact match", exact_match), scored("token F1", token_f1)
    signs = {_sign(measured) for measured in (exact, f1)} - {0}
    verdict: Verdict = "undecided" if len(signs) != 1 else "better" if signs == {1} else "worse"
    return Comparison(len(references), exact, f1, seed, verdict)


def _sign(measured: Difference) -> int:
    if measured.p_value >= SIGNIFICANT or measured.low <= 0 <= measured.high:
        return 0
    return 1 if measured.difference > 0 else -1
