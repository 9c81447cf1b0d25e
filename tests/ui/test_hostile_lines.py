"""What every command and the plain walk print with hostile text in all that Azure, a file, a model or a person gave."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from hostile import EVERY, MARKUP, MEGABYTE, ORDER, SEQUENCES, WIDE, poisoned, raw_in
from pydantic import SecretStr
from run_fakes import ESTIMATE, NOW, PRICE, WHO, WORKSPACE, endpoint, job, metric, snapshot
from wizard_fakes import CATALOGUE, FINDINGS, GOOD, PHI_4, SUBSCRIPTION

from tui import recipe as recipes
from tui.__main__ import main
from tui.commands import common, output
from tui.recipe import Recipe
from tui.services import errors, flow
from tui.services.cleanup import Item, Outcome
from tui.services.deployments import Keys
from tui.services.doctor import Finding
from tui.services.errors import JobFailed, PhiftError, ServiceError, Throttled
from tui.services.evaluations import AnswerComparison, Asked
from tui.services.identity import DeviceCode
from tui.services.models import TunedModel
from tui.services.progress import Progress
from tui.services.runs import Watch
from tui.services.spending import Spending, Spent

KEPT = frozenset({"kind", "level", "engine", "engines", "id", "hub_id", "step", "currency", "unit", "terminal"})
"""What the program compares with words of its own."""
KINDS = {"sequences": SEQUENCES, "order": ORDER, "markup and wide": MARKUP + WIDE, "megabyte": MEGABYTE}
"""Apart, since where a text is cut short the last of them would not be seen."""
MOST = len(MEGABYTE)
"""Characters that a command may print where each of its texts has as many."""


@dataclass
class Printed:
    """What a command wrote to its terminal."""

    code: int = -1
    text: str = ""


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, answers: bytes = b"") -> Iterator[Printed]:
    """Standard output and error are a terminal of 80 columns, standard input is a pipe with the answers."""
    printed, pieces = Printed(), []
    master, slave = pty.openpty()
    tty.setraw(slave)
    termios.tcsetwinsize(slave, (24, 80))

    def read() -> None:
        with open(master, "rb", buffering=0) as screen:
            try:
                while piece := screen.read(65_536):
                    pieces.append(piece)
            except OSError:  # how Linux says that the other end is closed
                return

    reader = threading.Thread(target=read)
    reader.start()
    with (
        open(slave, "w", encoding="utf-8", errors="replace", newline="") as stream,
        monkeypatch.context() as patch,
    ):
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(answers), errors="replace"))
        yield printed
    reader.join()
    printed.text = b"".join(pieces).decode()


class World:
    """All services below the commands, with the poison in each text of each answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, poison: str) -> None:
        def bad(value: Any) -> Any:
            return poisoned(value, poison, keep=KEPT)

        self.monkeypatch = monkeypatch
        self.poison = poison
        self.error = worse(ServiceError("Azure said no.", code="Oops", meaning="Nothing.", next_step="Later."), poison)
        failure = worse(JobFailed("The training failed.", code="Oops", next_step="Mend it."), poison)
        self.done = bad(job("one", "Completed", studio_url="https://ml.azure.com/"))
        self.done = replace(self.done, status="Completed")
        failed = replace(bad(job("three", "Failed")), error=failure)
        self.jobs = [bad(job("two")), self.done, failed]
        self.endpoints = [bad(endpoint(hourly=bad(PRICE)))]
        self.catalogue = replace(
            bad(CATALOGUE), models=(replace(bad(PHI_4), name=PHI_4.name), *bad(CATALOGUE).models), source="registry"
        )
        metrics = {name + poison: metric(name, 3.0, 2.0) for name in ("train_loss", "eval_loss")}
        self.snapshot = snapshot(failed, metrics=metrics, failure=failure)
        kinds = ("endpoint", "model", "job", "data", "project", "hub")
        items = [
            Item(kind, kind, f"{kind}{poison}", True, bad(PRICE), NOW, reason_kept=poison, detail=poison)  # type: ignore[arg-type]  # of the kinds
            for kind in kinds
        ]
        lacks = Finding("provider.Microsoft.Network", "problem", "Not there", "so", "project", "Reader", "az provider")
        asked = tuple(Asked(line, poison, poison, tuned=poison, base=poison) for line in (1, 2))
        from tui.evaluation.compare import compare

        compared = compare(["said"] * 2, ["said"] * 2, ["so"] * 2)
        azure = SimpleNamespace(
            identity=bad(WHO), sandbox=False, credential=SimpleNamespace(ask=None), settings=None, stand_in=""
        )

        def connect(settings: Any, **_: Any) -> Any:
            azure.settings = settings
            return azure

        def told(*_: Any, report: Any = None, **__: Any) -> None:
            if report:
                report(Progress(poison, 1, 2, poison, poison))

        def deploy(*_: Any, **more: Any) -> Any:
            told(**more)
            return self.endpoints[0]

        def remove(*_: Any, **more: Any) -> list[Outcome]:
            told(**more)
            return [Outcome(item, False, self.error) for item in items]

        def compare_endpoints(*_: Any, **more: Any) -> AnswerComparison:
            told(**more)
            return AnswerComparison(asked, 0.1, 0.1, compared, 1)

        def stream(*_: Any, **__: Any) -> Iterator[Any]:
            from tui.services.chat import Delta

            yield Delta(poison, model=poison)
            yield Delta(poison[::-1], finish=poison)

        key = SecretStr(f"key{poison}")
        self.put(
            identity={"connect": connect},
            projects={"subscription_of": lambda *_: "sub-1", "get": lambda *_: bad(WORKSPACE)},
            access={
                "subscriptions": lambda *_: bad([SUBSCRIPTION, replace(SUBSCRIPTION, id="sub-2")]),
                "locations": lambda *_: ["eastus2", poison],
                "register_provider": told,
            },
            doctor={"examine": lambda *_, **__: bad([*FINDINGS, lacks])},
            catalog={"models": lambda *_: self.catalogue, "cached": lambda *_, **__: self.catalogue,
                     "today": lambda *_: NOW.date()},
            jobs={"listing": lambda *_: self.jobs, "get": lambda *_: self.done, "cancel": lambda *_: self.done},
            submissions={"resume": lambda *_, **__: self.done},
            runs={"Watch": lambda *_: Script(self.snapshot, self.error)},
            models={"listing": lambda *_: bad([TunedModel("m", "1", "b", "", NOW)]),
                    "select": lambda *_: bad([TunedModel("m", "1", "b", "", NOW)]), "delete": lambda *_: None},
            deployments={
                "listing": lambda *_: self.endpoints, "get": lambda *_: self.endpoints[0], "deploy": deploy,
                "delete": told, "keys": lambda *_: Keys(key, key), "regenerate": lambda *_: Keys(key, key),
            },
            chat={"stream": stream},
            costs={"prices": lambda *_, **__: None, "estimate": lambda *_, **__: bad(ESTIMATE),
                   "check_budget": lambda *_: poison},
            evaluations={"compare_endpoints": compare_endpoints},
            export={f"as_{form}": lambda *_: poison[:40_000] for form in ("cli", "python", "bicep")},
            cleanup={"inventory": lambda *_: items, "remove": remove},
            spending={"so_far": lambda *_: Spending((Spent(poison, None, None, poison),), poison, False)},
            flow={"Flow": self._flow},
        )  # fmt: skip
        monkeypatch.setattr("tui.services.progress.Cancel.sleep", lambda *_: None)  # nobody waits for a second try
        self.state = tmp_path / "state"
        monkeypatch.setenv("PHIFT_STATE", str(self.state))
        folder = tmp_path / "data"
        folder.mkdir()
        name = re.sub(r"[/\0]", "", poison.encode("utf-8", "replace").decode())[:40]
        self.rows = folder / f"{name}.jsonl"
        self.rows.write_text(rows(poison), "utf-8", "surrogatepass")
        self.good = folder / f"good {name}.jsonl"
        shutil.copy(GOOD, self.good)
        self.recipe = folder / "recipe.toml"
        recipes.save(Recipe(name="mine").with_(data__train=str(self.good)), self.recipe)

    def put(self, **modules: dict[str, Any]) -> None:
        """Put functions into the services' modules."""
        for name, functions in modules.items():
            for function, does in functions.items():
                self.monkeypatch.setattr(f"tui.services.{name}.{function}", does)

    def _flow(
        self, recipe: Any, base: Any, settings: Any, *, connect: Any, approve: Any, on_event: Any, **_: Any
    ) -> Any:
        def run(**_: Any) -> flow.Outcome:
            connect()
            approve(poisoned(ESTIMATE, self.poison, keep=KEPT))
            for step in get_args(flow.Step):
                on_event(flow.Event(step, "started"))
                on_event(flow.Event(step, "done", {"name": self.poison, "job": self.poison}, (self.poison, "so")))
            if self.fails:
                raise self.fails
            return flow.Outcome(workspace=WORKSPACE, endpoint=self.endpoints[0])

        return SimpleNamespace(run=run)

    fails: PhiftError | None = None
    """Why a run fails; None: it is done."""

    def run(self, *arguments: object, answers: bytes = b"") -> Printed:
        """A command's exit code and what its terminal got."""
        with terminal(self.monkeypatch, answers) as printed:
            try:
                printed.code = main([str(argument) for argument in arguments])
            except SystemExit as ended:
                printed.code = int(ended.code or 0)
        return printed


class Script(Watch):
    """A watch of a job that cannot be asked once, and then has failed."""

    def __init__(self, seen: Any, lost: PhiftError) -> None:
        self._seen, self._lost = seen, [Throttled(lost.message, code=lost.code)]

    @property
    def interval(self) -> float:
        """No wait."""
        return 0.0

    def poll(self, *, cancel: Any = None) -> Any:
        """What there is to see."""
        if cancel and self._lost:
            raise self._lost.pop()
        return self._seen


def worse(error: PhiftError, poison: str) -> PhiftError:
    """The error with the poison in all that it says."""
    said = {name: f"{getattr(error, name)}{poison}" for name in ("code", "meaning", "next_step", "request_id", "raw")}
    return type(error)(f"{error.message}{poison}", **said)


def rows(poison: str) -> str:
    """A chat file with the poison in roles, keys, contents, and lines that are no JSON."""
    turn = {"role": "user", "content": poison}
    short = poison[:2000]
    made = [{"messages": [turn, {"role": short, "content": short}]}, {short: 1}, {"messages": short}]
    return "\n".join([*map(json.dumps, made), short.replace("\n", " "), '{"messages": [{"role"'])


JOBS = [("list",), ("show", "one"), ("watch", "one"), ("cancel", "one"), ("metrics", "one"), ("resume", "one", "--yes")]
ENDPOINTS = [
    ("list",), ("create", "one", "--yes"), ("delete", "one", "--yes"), ("keys", "one"),
    ("keys", "one", "--regenerate", "primary"),
]  # fmt: skip


def commands(world: World) -> list[tuple[object, ...]]:
    """All command lines that print what others wrote; each also answers in JSON."""
    return [
        ("check", world.rows), ("check", world.good, "--validation", world.rows),
        ("check", world.rows, "--fix", world.rows.with_name(f"mended {world.rows.name}")),
        ("doctor",), ("estimate", world.recipe), ("run", world.recipe, "--yes"),
        *(("jobs", *one) for one in JOBS), *(("deployments", *one) for one in ENDPOINTS),
        ("models", "list"), ("models", "list", "--tuned"), ("models", "delete", "one", "--yes"),
        ("chat", "one", "--message", world.poison[:1000]), ("evaluate", "one", world.good, "--against", "one"),
        ("export", world.recipe, "--as", "cli"), ("cleanup", "--dry-run"), ("cleanup", "--all", "--yes"),
    ]  # fmt: skip


def harmless(printed: Printed) -> str:
    """The text, once nothing in it acts on a terminal and it is of a bearable length."""
    assert raw_in(printed.text) <= {"\n"}
    assert printed.text.strip()
    assert "Traceback" not in printed.text
    assert len(printed.text) < MOST
    return printed.text


@pytest.fixture
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    """The services with a poison, all of it in one text unless the test has it apart."""
    return World(monkeypatch, tmp_path, getattr(request, "param", EVERY))


@pytest.mark.parametrize("world", KINDS.values(), ids=KINDS, indirect=True)
def test_no_command_prints_it_raw(world: World) -> None:
    for line in commands(world):
        printed = world.run(*line)
        text = harmless(printed)
        assert printed.code in {0, 3, 4, 5, 6}, (line, text[-500:])
        assert "made a mistake" not in text


def test_json_is_whole_and_of_printable_ascii(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    kept = world.poison.encode("utf-16", "surrogatepass").decode("utf-16")  # two halves are one character
    for line in commands(world):
        main([*map(str, line), "--json"])
        out, err = capfd.readouterr()
        assert raw_in(out) | raw_in(err) <= {"\n"}, line
        assert out.isascii()
        values = [json.loads(each) for each in out.splitlines()]
        if line[0] not in ("check", "estimate"):  # which shorten, and leave out
            assert kept in "".join(texts(values)), line


def texts(value: Any) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    for each in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts(each)


FIRST = ("identity.connect", "projects.get", "jobs.get", "deployments.get", "catalog.cached", "cleanup.inventory")


@pytest.mark.parametrize(
    ("fault", "world", "calls"),
    [*((fault, EVERY, FIRST) for fault in ("service", "program", "disk")), ("program", MEGABYTE, FIRST[:1])],
    ids=["service", "program", "disk", "megabyte"],
    indirect=["world"],
)
def test_no_error_is_told_raw(world: World, fault: str, calls: tuple[str, ...]) -> None:
    kinds: dict[str, BaseException] = {
        "service": world.error,
        "program": RuntimeError(world.poison),
        "disk": OSError(28, world.poison, world.poison),
    }

    def fail(*_: Any, **__: Any) -> Any:
        raise kinds[fault]

    for name in calls:
        with world.monkeypatch.context() as patch:
            patch.setattr(f"tui.services.{name}", fail)
            for line in commands(world)[5::4]:
                harmless(world.run(*line))
    world.fails = worse(JobFailed("It failed."), world.poison)
    assert world.run("run", world.recipe, "--yes").code == 6


def test_what_was_mistyped_is_repeated_harmlessly(world: World) -> None:
    typed = world.poison[:1000].replace("\0", "").encode("utf-8", "replace").decode()
    for line in [
        ("check", typed), ("check", world.good, typed), ("jobs", typed), ("jobs", "show", typed), (typed,),
        ("chat", "one", "--max-tokens", typed), ("export", world.recipe, "--as", typed), ("run", typed),
        ("sandbox", "fault", "apply", typed), ("sandbox", "start", "--as-of", typed), ("--recipe", typed, "--plain"),
        ("jobs", "list", "--recipe", typed), ("check", world.good, "--model", typed),
    ]:  # fmt: skip
        printed = world.run(*line)
        assert printed.code == 2, line
        harmless(printed)


def test_what_the_sandbox_says_of_itself_is_harmless(world: World) -> None:
    from tui.sandbox import daemon

    poison = world.poison.encode("utf-8", "replace").decode()  # a path has no halves of characters
    info = daemon.SandboxInfo(pid=1, **{name: f"{name}{poison}" for name in fields_of(daemon.SandboxInfo) - {"pid"}})
    fault = {"id": 1, "kind": poison, "route": poison, "fired": 1, "count": None}
    status = {"date": poison, "skew": 0.0, "pace": 1.0, "faults": [fault]}

    def control(info: Any, method: str, path: str, body: Any = None) -> Any:
        return fault if (method, path) == ("POST", "/faults") else status

    for name, does in {"status": lambda *_: info, "start": lambda *_, **__: info, "control": control}.items():
        world.monkeypatch.setattr(daemon, name, does)
    for line in [
        ("start",), ("status",), ("env",), ("fault", "list"), ("fault", "add", "GET *", "500"), ("fault", "clear"),
    ]:  # fmt: skip
        assert world.run("sandbox", *line).code == 0
        harmless(world.run("sandbox", *line))

    def fail(*_: Any, **__: Any) -> Any:
        raise daemon.SandboxError(poison)

    world.monkeypatch.setattr(daemon, "status", fail)
    harmless(world.run("sandbox", "status"))


def fields_of(kind: Any) -> set[str]:
    """The names of a dataclass's fields."""
    return set(kind.__dataclass_fields__)


def test_a_device_code_and_its_address_are_harmless(world: World) -> None:
    with terminal(world.monkeypatch) as printed:
        common.show_code(DeviceCode(*[f"A1{world.poison}"] * 3, datetime.now(UTC)))
        output.ProgressLine()(Progress(*[world.poison, 1.0, 2.0, world.poison, world.poison]))
    harmless(printed)


def test_the_plain_walk_prints_nothing_of_it_raw(world: World) -> None:
    drafts = world.state / "drafts"
    drafts.mkdir(parents=True)
    (drafts / f"{world.good.stem}.toml").write_bytes(world.recipe.read_bytes())
    typed = world.poison[:300].replace("\n", "").replace("\r", "").encode("utf-8", "replace").decode()
    answers = [
        "new",
        *("environment", "1", typed, "my-group", typed, "eastus2", "?", "", typed, "", "no", "yes"),
        *(PHI_4.name, "serverless"),
        *(typed, str(world.rows), "no", str(world.good)),
        *(typed, "split", typed, "", ""),
        *(typed, "", "", "", typed, ""),
        *(typed, "", "", "", typed, "", "yes", ""),
        *("bicep", "submit", typed, "yes", typed, "", "yes"),
    ]
    printed = world.run("--plain", answers="\n".join([*answers, ""]).encode())
    text = harmless(printed)
    assert printed.code in {0, 7}, text[-3000:]
    for step in ("Step 8 of 8", "Submit this run?", "Ask the tuned model", "Remove what is billed now?"):
        assert step in text, text[-3000:]


def test_exported_code_is_to_the_letter_where_it_is_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    letter = "name\tof\u200d\u202efile\x1b[m" + "x" * 30_000
    world = World(monkeypatch, tmp_path, letter)
    for form in ("cli", "python", "bicep"):
        main(["export", str(world.recipe), "--as", form])
        assert capfdbinary.readouterr().out.decode() == letter + "\n"


def test_a_crash_of_the_screens_prints_no_message_raw_and_no_megabytes(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from hostile import EVERY, MEGABYTE
from tui.app import PhiftApp
from tui.settings import Profile, Settings

class Broken(PhiftApp):
    def action_show(self, dialog):
        token = "s3cr3t-" + "sentinel"[::-1]
        try:
            raise LookupError(MEGABYTE if token else "")
        except LookupError as error:
            raise RuntimeError("on_purpose " + EVERY) from error

async def press(pilot):
    await pilot.press("f1")

Broken(Settings(state=Path(sys.argv[1]), profiles={"default": Profile(method="device-code")})).run(
    headless=True, mouse=False, auto_pilot=press
)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        check=False,
    )
    said = done.stderr.decode()
    assert "LookupError" in said
    assert "on_purpose" in said
    assert raw_in(said) <= {"\n"}
    assert len(said) < MOST
    assert "lenitnes" not in said


@pytest.mark.parametrize("asked", ["nan", "-3", "1e999", "²", "soon", EVERY, "9" * 5000])
def test_whatever_azure_says_of_waiting_the_wait_is_bearable(asked: str) -> None:
    from tui.services import clients

    assert 0 <= clients._retry_after({"Retry-After": asked}) <= 30


def test_every_error_of_the_tree_is_told_in_lines_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PhiftError)]
    assert len(kinds) > 10
    for kind in kinds:
        with terminal(monkeypatch) as printed:
            printed.code = output.show(worse(kind("It is so."), EVERY))
        assert printed.code == kind.exit_code
        harmless(printed)
