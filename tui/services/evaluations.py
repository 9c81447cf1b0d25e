"""Base against tuned model: by what a run measured, and by what two endpoints answer to the same questions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tui.messages import mark, n, t
from tui.services import chat, deployments
from tui.services.errors import PhiftError, UsageError
from tui.services.kept_answers import KeptAnswers
from tui.services.progress import Cancel, Progress, Report
from tui.services.runs import Metric, Snapshot

if TYPE_CHECKING:
    from tui.evaluation.compare import Comparison
    from tui.evaluation.questions import Question
    from tui.services.clients import Azure
    from tui.services.deployments import Endpoint
    from tui.services.projects import Workspace
    from tui.settings import Settings

_AT_ONCE = 4

# Wire name, what a person calls it, whether less is better.
_MEASURES = (
    ("eval_loss", mark("validation loss"), True),
    ("eval_perplexity", mark("validation perplexity"), True),
    ("eval_token_accuracy", mark("token accuracy"), False),
    ("eval_accuracy", mark("accuracy"), False),
    ("eval_macro_f1", mark("macro F1"), False),
)


@dataclass(frozen=True)
class Measure:
    """One measure of the validation rows, before and after training."""

    name: str
    base: float
    tuned: float
    less_is_better: bool

    @property
    def better(self) -> bool:
        """Whether the tuned model does better by it."""
        return self.tuned < self.base if self.less_is_better else self.tuned > self.base


@dataclass(frozen=True)
class RunComparison:
    """Base against tuned model on the run's validation rows."""

    measures: tuple[Measure, ...]
    step: int
    """Step of the tuned model's values."""

    def to_json(self) -> dict[str, Any]:
        """The comparison for programs."""
        return {"step": self.step, "measures": [{**asdict(one), "better": one.better} for one in self.measures]}

    def lines(self) -> list[str]:
        """The comparison as a table for a person."""
        shown = [_row(t("validation rows"), t("base"), t("tuned"))]
        return shown + [_row(t(one.name), f"{one.base:.4g}", f"{one.tuned:.4g}") for one in self.measures]


@dataclass(frozen=True)
class Asked:
    """One question and what was answered."""

    line: int
    """Line of the file it comes from."""
    question: str
    """The last user turn."""
    reference: str
    tuned: str
    base: str | None
    """None: no base model was asked."""

    def outcome(self) -> str:
        """`won`, `tied` or `lost` by token F1, as the comparison counts; empty where the base model was not asked."""
        from tui.evaluation.metrics import token_f1

        if self.base is None:
            return ""
        gain = token_f1(self.tuned, self.reference) - token_f1(self.base, self.reference)
        return "won" if gain > 0 else "lost" if gain < 0 else "tied"


@dataclass(frozen=True)
class AnswerComparison:
    """What one endpoint, or two, answered to held-out questions."""

    asked: tuple[Asked, ...]
    exact: float
    """Share of exact answers of the tuned model, 0 to 1."""
    f1: float
    """Mean token F1 of the tuned model, 0 to 1."""
    comparison: Comparison | None
    """Against the base model; None: none was asked."""
    refused: int
    """Questions that an endpoint refused to answer (content safety); they count as wrong."""

    def to_json(self) -> dict[str, Any]:
        """The comparison for programs."""
        return {
            "questions": len(self.asked),
            "exact": self.exact,
            "f1": self.f1,
            "refused": self.refused,
            "comparison": self.comparison.to_json() if self.comparison else None,
            "answers": [asdict(one) for one in self.asked],
        }

    def lines(self) -> list[str]:
        """The comparison for a person."""
        if self.comparison is None:
            asked = n("{count} question", "{count} questions", len(self.asked))
            exact_share, mean = f"{self.exact:.0%}", f"{self.f1:.2f}"
            shown = [t("{asked}: exact answers {exact}, token F1 {f1}", asked=asked, exact=exact_share, f1=mean)]
        else:
            exact, f1 = self.comparison.exact, self.comparison.f1
            asked = n("{count} held-out question", "{count} held-out questions", len(self.asked))
            shown = [
                _row(asked, t("base"), t("tuned")),
                _row(t("exact answers"), f"{exact.base:.0%}", f"{exact.tuned:.0%}"),
                _row(t("token F1"), f"{f1.base:.2f}", f"{f1.tuned:.2f}"),
                self.comparison.summary(),
            ]
        if self.refused:
            shown.append(
                n(
                    "{count} was refused by content safety and counts as wrong",
                    "{count} were refused by content safety and count as wrong",
                    self.refused,
                )
            )
        return shown


def _row(label: str, base: str, tuned: str) -> str:
    return f"{label:24} {base:>10} {tuned:>10}"


def from_run(snapshot: Snapshot) -> RunComparison | None:
    """Base (step 0, before training) against tuned (last) on the validation rows.

    Returns:
        The comparison; None where the run did not validate the base model or has no validation rows.
    """
    found = []
    step = 0
    for name, label, less in _MEASURES:
        pair = _ends(snapshot.metrics.get(name))
        if pair:
            base, tuned, at = pair
            step = max(step, at)
            found.append(Measure(label, base, tuned, less))
    return RunComparison(tuple(found), step) if found else None


def _ends(metric: Metric | None) -> tuple[float, float, int] | None:
    if metric is None or len(metric.points) < 2 or metric.points[0].step != 0:
        return None
    first, last = metric.points[0], metric.points[-1]
    return (first.value, last.value, last.step) if last.step > 0 else None


def compare_endpoints(
    azure: Azure,
    workspace: Workspace,
    base: Endpoint | None,
    tuned: Endpoint,
    data: Path,
    *,
    questions: int = 20,
    max_tokens: int = 64,
    seed: int = 42,
    report: Report | None = None,
    cancel: Cancel | None = None,
) -> AnswerComparison:
    """Ask held-out questions of the tuned model, and of the base model where it is given, and compare.

    Answers are kept in the state folder as they come: the same comparison, made again after it broke off, asks for the
    others only.

    Args:
        azure: the connection.
        workspace: the project of the endpoints.
        base: the base model's endpoint.
        tuned: the tuned model's endpoint.
        data: chat JSONL, whose last assistant turns are the right answers.
        questions: how many rows are asked.
        max_tokens: longest answer.
        seed: of the choice of rows and of the bootstrap.
        report: told of each answer.
        cancel: stops between answers.

    Raises:
        UsageError: the file has no question.
        PhiftError: an endpoint refused for another reason than content safety.
    """
    from tui.evaluation.questions import questions as chosen

    try:
        rows = chosen(data, questions, seed)
    except OSError as error:
        raise UsageError(t("{path} cannot be read: {reason}.", path=data, reason=error.strerror or error)) from None
    if not rows:
        raise UsageError(t("{file} has no row with a user turn and an answer to it.", file=data), code="NoQuestions")
    # A name may serve another model by now; the base model's endpoint may have been made for the comparison only.
    created = tuned.created.isoformat() if tuned.created else ""
    models = [[workspace.id, tuned.model, tuned.content_safety, created], base and [base.model, base.content_safety]]
    kept = KeptAnswers(folder(azure.settings), [models, [row.messages for row in rows], max_tokens, seed])
    asker = _Asker(azure, workspace, rows, max_tokens, seed, report, cancel or Cancel(), kept)
    answers = asker.ask([tuned] if base is None else [tuned, base])
    mine, theirs = answers[0], answers[1] if base else None
    asked = [
        Asked(row.line, row.messages[-1][1], row.reference, mine[at] or "", (theirs[at] or "") if theirs else None)
        for at, row in enumerate(rows)
    ]
    found = scored(asked, seed, refused=sum(answer is None for given in answers for answer in given))
    kept.forget()
    return found


def folder(settings: Settings) -> Path:
    """Where comparisons are written."""
    return settings.state / "evaluations"


def scored(asked: Sequence[Asked], seed: int, *, refused: int) -> AnswerComparison:
    """Answers compared with what was expected, and with each other where the base model was asked too.

    Args:
        asked: the questions with their answers; at least one.
        seed: of the bootstrap.
        refused: answers that content safety refused.
    """
    from tui.evaluation.compare import compare
    from tui.evaluation.metrics import exact_match, token_f1

    wanted, mine = [one.reference for one in asked], [one.tuned for one in asked]
    theirs = [one.base for one in asked if one.base is not None]
    return AnswerComparison(
        asked=tuple(asked),
        exact=sum(map(exact_match, mine, wanted)) / len(asked),
        f1=sum(map(token_f1, mine, wanted)) / len(asked),
        comparison=compare(wanted, theirs, mine, seed=seed) if theirs else None,
        refused=refused,
    )


class _Asker:
    """Asks rows of endpoints, some at once."""

    def __init__(
        self,
        azure: Azure,
        workspace: Workspace,
        rows: Sequence[Question],
        max_tokens: int,
        seed: int,
        report: Report | None,
        cancel: Cancel,
        kept: KeptAnswers,
    ) -> None:
        self._azure, self._workspace, self._rows = azure, workspace, rows
        self._max_tokens, self._seed = max_tokens, seed
        self._report, self._cancel, self._kept = report, cancel, kept

    def ask(self, endpoints: list[Endpoint]) -> list[list[str | None]]:
        """The answers of each endpoint, in the order of the rows; None: refused by content safety."""
        secrets = [deployments.keys(self._azure, self._workspace, endpoint.name).primary for endpoint in endpoints]
        every = [(which, row) for row in range(len(self._rows)) for which in range(len(endpoints))]
        work = [place for place in every if place not in self._kept.given]
        # In a random order, a slow or failing stretch of time does not fall on one model only.
        random.Random(self._seed).shuffle(work)  # noqa: S311 - an order, not a secret
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ask") as pool:
            futures = [pool.submit(self._take, which, row, endpoints[which], secrets[which]) for which, row in work]
            try:
                for done, future in enumerate(as_completed(futures), len(every) - len(work) + 1):
                    self._cancel.check()
                    future.result()
                    if self._report:
                        self._report(Progress(t("Asking held-out questions"), done, len(every), "answers"))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [[self._kept.given[which, row] for row in range(len(self._rows))] for which in range(len(endpoints))]

    def _take(self, which: int, row: int, endpoint: Endpoint, key: Any) -> None:
        self._kept.keep(which, row, self._answer(endpoint, key, self._rows[row]))

    def _answer(self, endpoint: Endpoint, key: Any, row: Question) -> str | None:
        messages: list[chat.Message] = [{"role": role, "content": text} for role, text in row.messages]  # type: ignore[typeddict-item]  # roles are the file's

        def ask() -> chat.Answer:
            limit, seed, cancel = self._max_tokens, self._seed, self._cancel
            return chat.complete(endpoint.uri, key, messages, max_tokens=limit, seed=seed, cancel=cancel)

        try:
            answer = self._azure.outlast(ask, self._report, self._cancel)
        except PhiftError as error:
            if error.code == "content_filter":
                return None
            raise
        return answer.text
