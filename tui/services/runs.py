"""Watching a run: status, events, metrics, the growing log and the reason of a failure, with as few bytes as it takes.

Sources: the job (resource manager), run history, the metric service and, where that has nothing, MLflow's routes; log
files by range.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from tui.messages import mark, t
from tui.services import jobs
from tui.services.answers import error_in
from tui.services.errors import Cancelled, JobFailed, NotFound, PhiftError, ServiceError, Throttled, Unreachable
from tui.services.jobs import Job, parse_time
from tui.services.progress import Cancel

if TYPE_CHECKING:
    from tui.services.clients import Azure
    from tui.services.projects import Workspace

_T = TypeVar("_T")

_FIRST_LOG_BYTES = 64 * 1024
_LOG_PIECE = 256 * 1024
_LOG_NAMES = ("user_logs/std_log.txt", "user_logs/std_log_process_0.txt", "logs/user/std_log.txt")
# The own trainer's lines ("step 24/200") and the bars of Hugging Face's (" 12%|█▏ | 24/200 [00:31<…").
_BAR = re.compile(r"(?:\bstep |\|\s*)(\d+)/(\d+)(?: |\s*\[)")
_QUICK, _SLOW = 2.0, 15.0
_PATIENT_AFTER = 600.0


@dataclass(frozen=True)
class Point:
    """One value of a metric."""

    step: int
    value: float
    time: datetime | None


@dataclass(frozen=True)
class Metric:
    """One metric's course, by step."""

    name: str
    points: tuple[Point, ...]

    @property
    def last(self) -> float | None:
        """The latest value; None where there is none."""
        return self.points[-1].value if self.points else None


@dataclass(frozen=True)
class Event:
    """Something that happened to the run."""

    time: datetime
    text: str


@dataclass(frozen=True)
class Snapshot:
    """What is known of a run at one moment."""

    job: Job
    metrics: dict[str, Metric] = field(default_factory=dict)
    progress: tuple[int, int] | None = None
    """Step and all steps; None: not known."""
    seconds_left: float | None = None
    """Reckoned from the steps so far; None: not known."""
    log_tail: str = ""
    """Log text that is new since the snapshot before."""
    log_size: int = 0
    """Bytes of the log so far."""
    events: tuple[Event, ...] = ()
    failure: PhiftError | None = None
    warnings: tuple[str, ...] = ()
    fetched: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_json(self) -> dict[str, Any]:
        """The snapshot for programs, metrics by their last value."""
        return {
            "job": self.job.name,
            "status": self.job.status,
            "step": self.progress[0] if self.progress else None,
            "steps": self.progress[1] if self.progress else None,
            "seconds_left": self.seconds_left,
            "metrics": {name: metric.last for name, metric in self.metrics.items()},
            "log": self.log_tail,
            "warnings": list(self.warnings),
            "failure": self.failure.to_json() if self.failure else None,
        }

    def lines(self) -> list[str]:
        """The snapshot in one line for a person."""
        parts = [self.job.status]
        if self.progress:
            parts.append(t("step {step} of {steps}", step=self.progress[0], steps=self.progress[1]))
        parts += [
            f"{label} {metric.last:.4g}"
            for name, label in (("train_loss", t("training loss")), ("eval_loss", t("validation loss")))
            if (metric := self.metrics.get(name)) and metric.last is not None
        ]
        if self.seconds_left is not None:
            parts.append(t("about {seconds} s left", seconds=f"{self.seconds_left:.0f}"))
        return [", ".join(parts)]


OnSnapshot = Callable[[Snapshot], None]


class Watch:
    """Follows one run; each `poll` fetches only what is new."""

    def __init__(self, azure: Azure, workspace: Workspace, name: str) -> None:
        self._azure = azure
        self._workspace = workspace
        self._name = name
        self._metrics: dict[str, dict[tuple[int, str], Point]] = {}
        self._events: list[Event] = []
        self._log_read = 0
        self._log_name = ""
        self._bar: tuple[int, int] | None = None
        self._source: _Metrics | None = None
        self._status = ""
        self._since = datetime.now(UTC)
        self._last: Snapshot | None = None

    @property
    def interval(self) -> float:
        """Seconds to wait before the next `poll`: short while things happen, long in a queue."""
        if self._last is None:
            return 0.0
        if self._last.job.status in ("Running", "Finalizing") and self._last.metrics:
            return _QUICK
        waited = (datetime.now(UTC) - self._since).total_seconds()
        return min(_QUICK + waited / 60, _SLOW) if waited < _PATIENT_AFTER else _SLOW

    def poll(self, *, cancel: Cancel | None = None) -> Snapshot:
        """Ask once and return what is known now.

        Raises:
            NotFound: there is no such job.
            PhiftError: Azure could not be asked about the job itself; what else cannot be read is left as it was.
        """
        job = jobs.get(self._azure, self._workspace, self._name)
        details = self._optional(self._details) or {}
        job = jobs.with_times(job, details)
        self._note(job)
        tail = ""
        if job.status not in ("NotStarted", "Queued", "Provisioning"):
            tail = self._optional(lambda: self._read_log(details, cancel)) or ""
            self._optional(self._read_metrics)
        progress = self._progress(job)
        self._last = Snapshot(
            job=job,
            metrics=self._collected(),
            progress=progress,
            seconds_left=self._seconds_left(job, progress),
            log_tail=tail,
            log_size=self._log_read,
            events=tuple(self._events),
            failure=_failure(job, details),
            warnings=tuple(str(item.get("message", "")) for item in details.get("warnings") or []),
        )
        return self._last

    def _note(self, job: Job) -> None:
        """Keep what has happened: what run history dates, and each status as it is first seen."""
        if not self._events:
            dated = [("Submitted", job.created), ("Started", job.started)]
            if job.terminal:
                dated.append((job.status, job.ended))
                self._status = job.status
            self._events = [Event(moment, text) for text, moment in dated if moment]
        if job.status != self._status:
            self._status, self._since = job.status, datetime.now(UTC)
            self._events.append(Event(self._azure.now(), job.status))

    def _optional(self, call: Callable[[], _T]) -> _T | None:
        """Run history and its like lag behind the job and may be away while the job goes on."""
        try:
            return call()
        except (ServiceError, Throttled):
            return None

    def _details(self) -> dict[str, Any]:
        url = f"{jobs.history_url(self._azure, self._workspace)}/runs/{self._name}/details"
        return self._azure.rest("GET", url, api_version="v1.0")

    def _read_log(self, details: dict[str, Any], cancel: Cancel | None) -> str:
        files: dict[str, str] = details.get("logFiles") or {}
        if not files:
            return ""
        name = self._log_name or _main_log(files)
        if name not in files:
            return ""
        self._log_name = name
        text, size = read_range(self._azure, files[name], self._log_read, first=self._log_read == 0, cancel=cancel)
        self._log_read = size
        for match in _BAR.finditer(text):
            self._bar = (int(match[1]), int(match[2]))
        return text

    def _read_metrics(self) -> None:
        if self._source is None:
            self._source = _Metrics(self._azure, self._workspace, self._name)
        for name, points in self._source.read().items():
            known = self._metrics.setdefault(name, {})
            for key, point in points:
                known[key] = point

    def _collected(self) -> dict[str, Metric]:
        return {
            name: Metric(name, tuple(sorted(points.values(), key=lambda point: (point.step, point.time or _EPOCH))))
            for name, points in sorted(self._metrics.items())
        }

    def _progress(self, job: Job) -> tuple[int, int] | None:
        step = max((point.step for points in self._metrics.values() for point in points.values()), default=0)
        # The log says how many steps there really are; the tag is what was reckoned at the submission, for one device.
        steps = self._bar[1] if self._bar else job.steps
        if self._bar:
            step = max(step, self._bar[0])
        if job.succeeded and step:
            return step, step
        if steps and (self._bar or step):
            return (step, steps) if steps >= step else None
        return None

    def _seconds_left(self, job: Job, progress: tuple[int, int] | None) -> float | None:
        if progress is None or job.terminal:
            return None
        timed = [
            point for points in self._metrics.values() for point in points.values() if point.time and point.step > 0
        ]
        if not timed:
            return None
        first, last = min(timed, key=lambda point: point.step), max(timed, key=lambda point: point.step)
        if last.step <= first.step or not first.time or not last.time:
            return None
        each = (last.time - first.time).total_seconds() / (last.step - first.step)
        since = (self._azure.now() - last.time).total_seconds()
        return max(each * (progress[1] - last.step) - max(since, 0.0), 0.0)


_EPOCH = datetime.fromtimestamp(0, UTC)


class _Metrics:
    """The metrics of one run, by the metric service or by MLflow's routes, whichever has them."""

    def __init__(self, azure: Azure, workspace: Workspace, run: str) -> None:
        self._azure = azure
        self._native = f"{jobs.history_url(azure, workspace, 'metric/v2.0')}/runs/{run}"
        self._mlflow = f"{jobs.history_url(azure, workspace, 'mlflow/v2.0')}/api/2.0/mlflow"
        self._run = run
        self._latest: dict[str, str] = {}

    def read(self) -> dict[str, list[tuple[tuple[int, str], Point]]]:
        """Name to points, each with a key that makes it one; only new ones where the service can tell."""
        try:
            names = self._names()
        except (NotFound, ServiceError) as error:
            if isinstance(error, Throttled | Unreachable):
                raise
            names = []
        if names:
            return {name: self._native_points(name, namespace) for name, namespace in names}
        return self._by_mlflow()

    def _names(self) -> list[tuple[str, str]]:
        body = self._azure.rest("POST", f"{self._native}/list", api_version="v1.0", body={})
        found = []
        for item in body.get("value") or []:
            key = item.get("metricKey") or {}
            columns = item.get("columns") or {}
            if key.get("name") and ("Double" in columns.values() or "Int" in columns.values() or not columns):
                found.append((str(key["name"]), str(key.get("namespace") or "")))
        return found

    def _native_points(self, name: str, namespace: str) -> list[tuple[tuple[int, str], Point]]:
        body: dict[str, Any] = {"metricName": name, "metricNamespace": namespace}
        if name in self._latest:
            body["startTime"] = self._latest[name]
        found: list[tuple[tuple[int, str], Point]] = []
        while True:
            answer = self._azure.rest("POST", f"{self._native}/full", api_version="v1.0", body=body)
            for item in answer.get("value") or []:
                stamp = str(item.get("createdUtc") or "")
                values = [value for value in (item.get("data") or {}).values() if isinstance(value, int | float)]
                if values:
                    step = int(item.get("step") or 0)
                    key = (step, str(item.get("metricId") or stamp))
                    found.append((key, Point(step, float(values[0]), parse_time(stamp))))
                self._latest[name] = max(self._latest.get(name, ""), stamp)
            if not answer.get("continuationToken"):
                return found
            body["continuationToken"] = answer["continuationToken"]

    def _by_mlflow(self) -> dict[str, list[tuple[tuple[int, str], Point]]]:
        run = self._azure.rest("GET", f"{self._mlflow}/runs/get", api_version="", params={"run_id": self._run})
        names = [str(item["key"]) for item in ((run.get("run") or {}).get("data") or {}).get("metrics") or []]
        found = {}
        for name in names:
            body = self._azure.rest(
                "GET",
                f"{self._mlflow}/metrics/get-history",
                api_version="",
                params={"run_id": self._run, "metric_key": name},
            )
            points = []
            for item in body.get("metrics") or []:
                moment = datetime.fromtimestamp(int(item.get("timestamp") or 0) / 1000, UTC)
                point = Point(int(item.get("step") or 0), float(item["value"]), moment)
                points.append(((point.step, moment.isoformat()), point))
            found[name] = points
        return found


def read_range(
    azure: Azure, url: str, start: int, *, first: bool = False, cancel: Cancel | None = None
) -> tuple[str, int]:
    """The text of a log from a byte on, cut at its last whole line, and the byte to go on from.

    Args:
        azure: the connection.
        url: signed address of the log.
        start: byte to read from.
        first: read only the end of a long log.
        cancel: ends a wait.
    """
    span = _FIRST_LOG_BYTES if first else _LOG_PIECE
    data, begins, size = _piece(azure, url, start, span, cancel)
    if first and size > span:
        data, begins, _ = _piece(azure, url, size - span, span, cancel)
        cut = data.find(b"\n") + 1  # begin at a line
        data, begins = data[cut:], begins + cut
    ended = data.rfind(b"\n") + 1
    data = data[: ended or len(data)]
    return data.decode("utf-8", "replace"), begins + len(data)


def _piece(azure: Azure, url: str, start: int, span: int, cancel: Cancel | None) -> tuple[bytes, int, int]:
    """Bytes of a blob from `start`, where they begin, and the size of the blob.

    Blob storage has no ranges counted from the end; a range past the end answers 416, which is nothing new.
    """
    headers = {"Range": f"bytes={start}-{start + span - 1}", "Accept-Encoding": "identity"}
    try:
        answer = azure.send("GET", url, headers=headers, signed=False, cancel=cancel, raw=True)
    except PhiftError as error:
        if error.code in ("InvalidRange", "Http416"):
            return b"", start, start
        raise
    found = re.match(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("Content-Range", ""))
    if found:
        return answer.content, int(found[1]), int(found[2])
    return answer.content[start:], start, len(answer.content)  # a server without ranges sends everything


def _main_log(files: dict[str, str]) -> str:
    for name in _LOG_NAMES:
        if name in files:
            return name
    users = sorted(name for name in files if "std_log" in name or name.startswith("user_logs/"))
    return users[0] if users else sorted(files)[0]


def _failure(job: Job, details: dict[str, Any]) -> PhiftError | None:
    if job.status != "Failed":
        return None
    told = error_in(details.get("error") or {}, t("The job failed, and run history gives no reason."))
    if job.error and not details.get("error"):
        told = job.error
    code = told.code if told.code != ServiceError.default_code else JobFailed.default_code
    meaning, next_step = _ADVICE.get(code, ("", mark("Read the log's last lines; the job can be run again.")))
    return JobFailed(told.message, code=code, meaning=t(meaning), next_step=t(next_step), raw=told.raw)


# What a person can change, by the trainer's and the service's failure codes.
_ADVICE = {
    "OutOfMemory": (
        mark("The rows and the batch did not fit into the memory of the device."),
        mark("Lower the batch size multiplier, or shorten the longest rows."),
    ),
    "NaNLoss": (mark("The training diverged."), mark("Lower the learning rate, for instance to a tenth.")),
    "BadRow": (mark("A row of the data could not be trained on."), mark("Check the data; the message names the row.")),
    "BadModel": (mark("The base model could not be loaded."), mark("Choose another model or weights.")),
    "DiskFull": (mark("There was no room for a checkpoint."), mark("Free space where the job runs.")),
    "UserError": ("", mark("Mend what the message names, and submit again.")),
}


def follow(
    azure: Azure,
    workspace: Workspace,
    name: str,
    *,
    on_snapshot: OnSnapshot | None = None,
    on_lost: Callable[[PhiftError], None] | None = None,
    cancel: Cancel | None = None,
) -> Snapshot:
    """Watch a run until it ends; a lost connection is waited out for as long as the caller does not cancel.

    Args:
        azure: the connection.
        workspace: the project.
        name: the job.
        on_snapshot: given each snapshot.
        on_lost: told each time that Azure could not be asked, before the next try.
        cancel: ends the watching.

    Raises:
        NotFound: there is no such job.
        Cancelled: the watching was cancelled; the job goes on.
    """
    watch = Watch(azure, workspace, name)
    cancel = cancel or Cancel()
    lost = 0
    try:
        while True:
            try:
                snapshot = watch.poll(cancel=cancel)
            except (Unreachable, Throttled) as error:
                if on_lost:
                    on_lost(error)
                cancel.sleep(min(_QUICK * (lost + 1), _SLOW))
                lost += 1
                continue
            lost = 0
            if on_snapshot:
                on_snapshot(snapshot)
            if snapshot.job.terminal:
                return snapshot
            cancel.sleep(watch.interval)
    except Cancelled:
        raise Cancelled(
            t("No longer watching."),
            meaning=t("The job {name} goes on in Azure.", name=name),
            next_step=t("Watch it again with `phift-tui jobs watch {name}`.", name=name),
        ) from None
