"""Each step of the wizard: the way through, wrong input, a slow service, a failing one."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from run_fakes import AZURE, ESTIMATE, HOSTILE, shown, until
from textual.widgets import Input, OptionList
from wizard_fakes import BROKEN, CATALOGUE, FINDINGS, GOOD, PHI_3, Wired, recipe, wizard

from tui.recipe import Recipe
from tui.services.access import Subscription, Tenant
from tui.services.doctor import Finding
from tui.services.errors import AccessError, ServiceError, SignInRequired, Throttled
from tui.services.identity import DeviceCode
from tui.services.journal import Entry
from tui.services.progress import Cancel
from tui.settings import Profile, Settings
from tui.widgets.choice import Choice
from tui.widgets.field import Field
from tui.wizard import PLACES


async def test_enter_leads_from_sign_in_to_the_submitted_job(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, signed_in=False)
    visited = []
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(200):
            if app.wizard.facts.job:
                break
            if not visited or visited[-1] != app.current_mode:
                visited.append(app.current_mode)
            await pilot.press("enter")
            await until(pilot, lambda: not app.tasks.running(), "a task did not end")
        await until(pilot, lambda: app.current_mode == "monitor")
    assert visited == [
        "sign_in", "access", "project", "model", "data", "validation", "hyperparameters", "review"
    ]  # fmt: skip
    assert wired.called("submit") == 1
    assert {name: mark.state for name, mark in app.wizard.marks.items() if name != "monitor"} == dict.fromkeys(
        visited, "done"
    )


# --- sign in ---------------------------------------------------------------------------------------------------------


async def test_a_device_code_is_shown_with_its_address(tmp_path: Path, wired: Wired) -> None:
    settings = Settings(state=tmp_path, profiles={"default": Profile(method="device-code")})
    app = wizard(tmp_path, sandbox=False, signed_in=False, settings=settings)
    wired.gates["connect"] = threading.Event()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: wired.called("connect"))
        _, (_, prompt, _) = wired.calls[-1]
        prompt(DeviceCode("AB12CD", "https://microsoft.com/devicelogin", HOSTILE, datetime.now(UTC)))
        await until(pilot, lambda: "AB12CD" in shown(app))
        assert "https://microsoft.com/devicelogin" in shown(app)
        wired.gates["connect"].set()
        await until(pilot, lambda: app.current_mode == "access", "it goes on by itself once the code is typed")


async def test_a_refused_sign_in_says_what_to_do_and_is_tried_again(tmp_path: Path, wired: Wired) -> None:
    wired.fails["connect"] = SignInRequired("Nobody is signed in.", next_step="Run `az login`.", request_id="r-1")
    app = wizard(tmp_path, sandbox=False, signed_in=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Run `az login`." in shown(app))
        assert "r-1" in shown(app)
        assert app.wizard.marks["sign_in"].state == "attention"
        del wired.fails["connect"]
        await pilot.press("f5")
        await until(pilot, lambda: "Signed in" in shown(app))
        assert "someone@example.com" in shown(app)


async def test_a_secret_is_handed_on_and_kept_nowhere_else(tmp_path: Path, wired: Wired) -> None:
    settings = Settings(state=tmp_path, profiles={"default": Profile(method="service-principal")})
    app = wizard(tmp_path, sandbox=False, signed_in=False, settings=settings)
    async with app.run_test(size=(80, 24)) as pilot:
        app.screen.query_one("#secret", Input).value = "s3cr3t-value"
        app.screen.query_one("#client_id", Input).value = "client"
        await pilot.press("f5")
        await until(pilot, lambda: app.wizard.facts.azure)
        assert "s3cr3t-value" not in shown(app)
        await pilot.press("ctrl+q")
    _, (used, _, secret) = next(call for call in wired.calls if call[0] == "connect")
    assert secret == "s3cr3t-value"
    assert used.active_profile().client_id == "client"
    assert not _files_with(tmp_path, b"s3cr3t-value")


async def test_what_an_earlier_run_left_open_is_said_after_the_sign_in(tmp_path: Path, wired: Wired) -> None:
    wired.left_open = [Entry(1, "job", f"job-1 {HOSTILE}", "", datetime.now(UTC), outcome="done")]
    app = wizard(tmp_path, signed_in=False)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "Left open by an earlier run" in shown(app))


def _files_with(folder: Path, text: bytes) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]


PROFILES = {"a": Profile(method="device-code", tenant="t-1"), "b": Profile(method="cli", tenant="t-2")}


async def test_profiles_are_changed_by_one_key(tmp_path: Path, wired: Wired) -> None:
    settings = Settings(state=tmp_path, profile="a", profiles=PROFILES)
    app = wizard(tmp_path, sandbox=False, signed_in=False, settings=settings)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Enter signs in" in shown(app))
        assert not wired.called("connect")
        await pilot.press("f6")
        await until(pilot, lambda: app.wizard.facts.azure, "the Azure CLI asks nobody, so it is tried by itself")
        assert "Next profile" in shown(app)
        assert app.settings.profile == "b"
        _, (used, _, _) = next(call for call in wired.calls if call[0] == "connect")
        assert used.active_profile().tenant == "t-2"
        await pilot.press("f6")
        await until(pilot, lambda: app.settings.profile == "a")
        assert app.wizard.facts.azure is None, "nobody is signed in by the other profile"


async def test_another_tenant_is_chosen_where_there_are_several(tmp_path: Path, wired: Wired) -> None:
    own = wired.identity.tenant
    wired.tenants = [Tenant(own, "Home", "home.example"), Tenant("t-2", HOSTILE, "other.example")]
    app = wizard(tmp_path, sandbox=False, signed_in=False)
    async with app.run_test(size=(80, 30)) as pilot:
        await until(pilot, lambda: "other.example" in shown(app))
        listing = app.screen.query_one("#tenants", OptionList)
        listing.focus()
        listing.highlighted = 1
        await pilot.press("enter")
        await until(pilot, lambda: wired.called("connect") == 2)
        _, (used, _, _) = [call for call in wired.calls if call[0] == "connect"][1]
        assert used.active_profile().tenant == "t-2"


async def test_where_a_secret_is_kept_is_said(tmp_path: Path, wired: Wired) -> None:
    wired.identity = replace(wired.identity, kept="memory")
    app = wizard(tmp_path, sandbox=False, signed_in=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "kept until you quit" in shown(app))


async def test_a_code_can_be_copied_and_says_how_long_it_is_valid(tmp_path: Path, wired: Wired) -> None:
    settings = Settings(state=tmp_path, profiles={"default": Profile(method="device-code")})
    app = wizard(tmp_path, sandbox=False, signed_in=False, settings=settings)
    wired.gates["connect"] = threading.Event()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: wired.called("connect"))
        _, (_, prompt, _) = wired.calls[-1]
        ends = datetime.now(UTC) + timedelta(minutes=14, seconds=30)
        prompt(DeviceCode("AB12CD", "https://microsoft.com/devicelogin", "", ends))
        await until(pilot, lambda: "14 minutes left" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: app.clipboard == "AB12CD")
        wired.gates["connect"].set()


@pytest.mark.parametrize(("key", "goes_on"), [("enter", True), ("escape", False)])
async def test_a_sign_in_that_ends_in_the_middle_of_a_step_is_asked_for_and_the_step_goes_on(
    tmp_path: Path, wired: Wired, key: str, goes_on: bool
) -> None:
    app = wizard(tmp_path, sandbox=False, signed_in=False)
    answers: list[bool] = []
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.azure)
        app.go("project")
        await until(pilot, lambda: app.current_mode == "project")
        ended = SignInRequired("The refresh token has expired.", code="AADSTS700082")
        ask = app.wizard.facts.azure.credential.ask  # type: ignore[union-attr]  # signed in above
        step = threading.Thread(target=lambda: answers.append(ask(ended, Cancel())))
        step.start()
        await until(pilot, lambda: "The refresh token has expired." in shown(app))
        await pilot.press(key)
        await until(pilot, lambda: not step.is_alive(), "the step's thread goes on")
    assert answers == [goes_on]
    assert wired.called("take") == goes_on


# --- access ----------------------------------------------------------------------------------------------------------


async def test_a_problem_stops_enter_and_shows_what_mends_it(tmp_path: Path, wired: Wired) -> None:
    command = "az provider register --namespace Microsoft.Network"
    wired.findings = (
        *FINDINGS,
        Finding("provider.Microsoft.Network", "problem", "Not registered", "", "project", "Contributor", command),
    )
    app = wizard(tmp_path, "access")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.findings is not None)
        await pilot.press("enter")
        await until(pilot, lambda: "1 problem stops the run" in shown(app))
        assert app.current_mode == "access"
        assert command in shown(app)
        assert "Contributor" in shown(app)
        await pilot.press("f6")
        await until(pilot, lambda: "Register Microsoft.Network?" in shown(app))
        assert not wired.called("register_provider"), "not without a yes"
        await pilot.press("y")
        await until(pilot, lambda: wired.called("register_provider"))
        await until(pilot, lambda: wired.called("examine") == 2, "it is looked at again")
        await pilot.press("f8")
        await until(pilot, lambda: app.current_mode == "project")
    assert app.wizard.marks["access"].state == "attention"


async def test_a_hub_that_may_be_used_is_taken_in_place_of_one_that_may_not_be_made(
    tmp_path: Path, wired: Wired
) -> None:
    wired.findings = (*FINDINGS, Finding("hub.other", "warning", "The hub theirs exists", step="project", hub="/h/1"))
    app = wizard(tmp_path, "access")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.findings is not None)
        await pilot.pause()
        app.screen.query_one("#findings", OptionList).highlighted = len(wired.findings) - 1
        await until(pilot, lambda: "F6" in shown(app), "it can be mended")
        await pilot.press("f6")
        await until(pilot, lambda: app.wizard.recipe.target.hub == "theirs")
        await until(pilot, lambda: wired.called("examine") == 2, "it is looked at again")
    target = app.wizard.recipe.target
    assert (target.resource_group, target.location) == ("their-group", "westus3")


async def test_of_several_subscriptions_one_is_chosen(tmp_path: Path, wired: Wired) -> None:
    wired.subscriptions.append(Subscription("sub-2", HOSTILE, "Enabled", "PayAsYouGo"))
    app = wizard(tmp_path, "access")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.findings is not None)
        listing = app.screen.query_one("#subscriptions", OptionList)
        listing.focus()
        await pilot.press("end", "enter")
        await until(pilot, lambda: app.wizard.recipe.target.subscription == "sub-2")
        await until(pilot, lambda: wired.called("examine") == 2)


async def test_a_service_that_fails_opens_the_error_with_the_raw_answer_behind_a_key(
    tmp_path: Path, wired: Wired
) -> None:
    wired.fails["subscriptions"] = ServiceError(
        f"Azure said no {HOSTILE}", code="Oops", meaning="Nothing was changed.", next_step="Try later.",
        request_id="req-77", raw='{"error": "raw body"}',
    )  # fmt: skip
    app = wizard(tmp_path, "access")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Oops" in shown(app))
        text = shown(app)
        assert all(part in text for part in ("Nothing was changed.", "Try later.", "req-77"))
        assert "raw body" not in text
        await pilot.press("r")
        await until(pilot, lambda: "raw body" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "raw body" not in shown(app))


# --- project ---------------------------------------------------------------------------------------------------------


async def test_an_existing_project_is_taken_whole(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "project", of=recipe(target__subscription="sub-1"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.projects)
        await until(pilot, lambda: "exists" in shown(app))
        app.screen.query_one("#projects").focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "model")
    target = app.wizard.recipe.target
    assert (target.project, target.resource_group, target.hub) == ("support-agent", "phift-rg", "support-agent-hub")


async def test_who_may_not_list_projects_can_still_name_one(tmp_path: Path, wired: Wired) -> None:
    wired.fails["hubs"] = AccessError("The client may not read hubs.")
    app = wizard(tmp_path, "project", of=recipe(target__subscription="sub-1"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "was not read: The client may not read hubs. Type the names." in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "model")


async def test_a_region_that_the_subscription_lacks_stops_enter(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "project", of=recipe(target__subscription="sub-1", target__location="eastus9"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.locations)
        await pilot.press("enter")
        await until(pilot, lambda: "has no region eastus9" in shown(app))
        assert app.current_mode == "project"


async def test_hub_and_project_are_made_while_the_user_moves_on(tmp_path: Path, wired: Wired) -> None:
    wired.gates["ensure_project"] = threading.Event()
    app = wizard(tmp_path, "project", of=recipe(target__subscription="sub-1"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.projects)
        await pilot.press("f6")
        await until(pilot, lambda: "Create hub and project now?" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: wired.called("ensure_project"))
        await pilot.press("f8")
        await until(pilot, lambda: app.current_mode == "model")
        assert "Creating hub and project" in shown(app)
        wired.gates["ensure_project"].set()
        await until(pilot, lambda: app.wizard.facts.workspace is not None)
        assert app.current_mode == "model"


async def test_a_name_that_azure_would_refuse_is_said_beside_the_field_as_it_is_left(
    tmp_path: Path, wired: Wired
) -> None:
    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        field = app.screen.query_one("#field-target-hub", Field)
        field.editor.focus()
        assert isinstance(field.editor, Input)
        field.editor.value = "my hub!"
        await pilot.press("tab")
        await until(pilot, lambda: "It takes 3 to 33 letters" in shown(app))
        assert app.wizard.recipe.target.hub == "phift-hub"
        await pilot.press("enter")
        await until(pilot, lambda: app.focused is field.editor, "Enter leads back to what is wrong")
        field.editor.value = "my-hub"
        await until(pilot, lambda: "It takes 3 to 33 letters" not in shown(app))
    assert app.wizard.recipe.target.hub == "my-hub"


async def test_what_is_typed_is_not_overwritten_by_a_redraw_that_knows_an_older_value(
    tmp_path: Path, wired: Wired
) -> None:
    app = wizard(tmp_path, "project")
    async with app.run_test(size=(80, 24)) as pilot:
        field = app.screen.query_one("#field-target-hub", Field)
        editor = field.editor
        assert isinstance(editor, Input)
        seen: list[str] = []
        field.watch(editor, "value", lambda value: seen.append(value), init=False)
        editor.value = "phift-hubx"
        field.sync()  # a redraw before the field has heard of it
        editor.value = "phift-hubxy"  # the next one: when it has heard of the first letter only
        await until(pilot, lambda: app.wizard.recipe.target.hub == "phift-hubxy")
        assert seen == ["phift-hubx", "phift-hubxy"]
        app.wizard.change(target__hub="another")
        await until(pilot, lambda: editor.value == "another", "a value from elsewhere is shown")


@pytest.mark.parametrize("leads_there", [True, False])
async def test_an_environment_that_leads_to_the_sandbox_is_labelled_as_the_sandbox(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch, leads_there: bool
) -> None:
    monkeypatch.setattr(AZURE, "sandbox", leads_there)
    app = wizard(tmp_path, "project", sandbox=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Resource group" in shown(app))
        assert ("SANDBOX" in shown(app)) == leads_there


# --- model -----------------------------------------------------------------------------------------------------------


async def test_a_retired_model_is_refused_with_its_date_and_its_successor_taken(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "model", of=recipe(model__name=PHI_3.name))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "retired" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "2025-08-30" in shown(app))
        assert app.current_mode == "model"
        assert app.wizard.marks["model"].state == "attention"
        await pilot.press("f6")
        await until(pilot, lambda: app.wizard.recipe.model.name == "Phi-4-mini-instruct")
        await until(pilot, lambda: "model" not in app.wizard.marks)
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "data")


async def test_the_last_known_catalogue_is_shown_with_its_age_while_azure_does_not_answer(
    tmp_path: Path, wired: Wired
) -> None:
    wired.catalogue = replace(CATALOGUE, fetched=datetime(2026, 11, 1, tzinfo=UTC))
    wired.fails["models"] = Throttled("No answer.")
    app = wizard(tmp_path, "model", sandbox=False)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No answer." in shown(app))
        assert "days ago" in shown(app)
        assert "Phi-4-mini-instruct" in shown(app)


async def test_an_engines_fields_appear_with_it(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "model")
    async with app.run_test(size=(80, 24)) as pilot:
        weights = app.screen.query_one("#field-model-weights")
        await until(pilot, lambda: app.wizard.facts.catalogue is not None)
        assert not weights.display
        app.screen.query_one("#field-model-engine", Field).editor.focus()
        await pilot.press("end", "down", "down")
        await until(pilot, lambda: weights.display)
    assert app.wizard.recipe.model.engine == "script"


# --- data ------------------------------------------------------------------------------------------------------------


async def test_a_good_file_is_judged_and_its_lengths_are_drawn(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: all(part in shown(app) for part in ("Good to train on", "250 rows", "█")))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "validation")
    assert str(GOOD) in app.preferences.recent_files


async def test_the_numbers_of_a_file_are_a_key_away(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data")
    async with app.run_test(size=(120, 90)) as pilot:
        await until(pilot, lambda: "Good to train on" in shown(app))
        await pilot.press("escape", "n")
        await until(pilot, lambda: "System prompts in use" in shown(app))
        stats = app.wizard.facts.report.stats
        billed = f"{3 * stats.tokens_total:,}"
        for part in (f"Billed for 3 epochs: {billed}", "en 2", "Latin 250", "Tokens in the answers of a row", "95 %"):
            assert part in shown(app)


async def test_faults_are_grouped_and_the_faulty_row_is_read_with_its_message_marked(
    tmp_path: Path, wired: Wired
) -> None:
    app = wizard(tmp_path, "data", of=recipe(data__train=str(BROKEN)))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "would doom the run" in shown(app) and app.wizard.facts.report is not None)
        report = app.wizard.facts.report
        await until(pilot, lambda: all(group.code in shown(app) for group in report.errors[:3]))
        await pilot.press("enter")
        await until(pilot, lambda: "has errors" in shown(app))
        assert app.current_mode == "data"
        await pilot.press("escape", "r")
        await until(pilot, lambda: "faulty row" in shown(app))
        first = report.errors[0].first[0]
        assert f"Line {first.line} of" in shown(app)
        assert first.code in shown(app)
        await pilot.press("f")
        await until(pilot, lambda: f"Line {first.line} of" not in shown(app))


async def test_what_can_be_mended_is_written_to_a_new_file_that_takes_the_old_ones_place(
    tmp_path: Path, wired: Wired
) -> None:
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    broken = tmp_path / "broken.jsonl"
    broken.write_text("".join(json.dumps(row) + "\n" for _ in range(60)) + json.dumps(row)[:-1] + ",}\n")
    before = broken.read_bytes()
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(broken)))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "would doom the run" in shown(app))
        await pilot.press("escape", "m")
        await until(pilot, lambda: "What is to be put right" in shown(app))
        await pilot.press("w")
        await until(pilot, lambda: app.wizard.facts.report is not None and app.wizard.facts.report.ok)
    assert broken.read_bytes() == before
    assert app.wizard.recipe.data.train == str(tmp_path / "broken-mended.jsonl")


async def test_a_file_of_another_shape_is_shown_as_chats_and_converted_to_a_new_file(
    tmp_path: Path, wired: Wired
) -> None:
    table = tmp_path / "faq.csv"
    table.write_text("Question,Answer\n" + "".join(f"How far is {i}?,It is {i} km.\n" for i in range(60)))
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(table)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "E137" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "m shows what it can be converted to" in shown(app))
        await pilot.press("escape", "m")
        await until(pilot, lambda: "'Question' and 'Answer'. Below" in shown(app))
        assert "after: " in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.wizard.facts.report is not None and app.wizard.facts.report.ok)
    assert app.wizard.recipe.data.train == str(tmp_path / "faq-chat.jsonl")
    assert app.wizard.facts.report.rows == 60


async def test_a_path_into_the_home_of_nobody_does_not_exist_and_is_no_crash(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data")
    async with app.run_test(size=(80, 24)) as pilot:
        path = app.screen.query_one("#field-data-train Input", Input)
        path.focus()
        path.value = ""
        await pilot.press(*"~nobody-of-this-name/a")
        await pilot.press("enter")
        await until(pilot, lambda: "does not exist" in " ".join(shown(app).split()))
        await pilot.press("f6")
        await until(pilot, lambda: "Choose a file" in shown(app))
        app.screen.query_one("#picker-path", Input).value = "~nobody-of-this-name/a"
        await pilot.press("enter")
        await until(pilot, lambda: "There is no file ~nobody" in shown(app))


async def test_a_file_whose_name_is_not_utf_8_is_refused_with_what_to_do(tmp_path: Path, wired: Wired) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "caf\udce9.jsonl").write_bytes(GOOD.read_bytes())
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(folder / "none.jsonl")))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f6")
        await until(pilot, lambda: "caf�.jsonl" in shown(app))
        listing = app.screen.query_one("#picker-list", OptionList)
        listing.focus()
        listing.highlighted = len(listing.options) - 1
        await pilot.press("enter")
        await until(pilot, lambda: "has to be renamed" in " ".join(shown(app).split()))
    assert app.wizard.recipe.data.train == str(folder / "none.jsonl")


@pytest.mark.parametrize("content", [None, ""])
async def test_a_missing_or_empty_file_is_said_with_the_next_step(
    tmp_path: Path, wired: Wired, content: str | None
) -> None:
    path = tmp_path / f"{HOSTILE.replace('/', '')}.jsonl"
    if content is not None:
        path.write_text(content)
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(path)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "does not exist" in shown(app) or "is empty" in shown(app))
        await pilot.press("enter")
        assert app.current_mode == "data"
        assert "\x1b" not in shown(app)


async def test_a_check_is_stopped_by_a_key_and_taken_up_again_by_enter(tmp_path: Path, wired: Wired) -> None:
    wired.gates["readable"] = threading.Event()
    app = wizard(tmp_path, "data")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: wired.called("readable"))
        await pilot.press("escape", "x")
        wired.gates["readable"].set()
        await until(pilot, lambda: "was stopped" in shown(app))
        await pilot.press("f5")
        await until(pilot, lambda: "Good to train on" in shown(app))


async def test_enter_waits_for_the_check_and_escape_stays(tmp_path: Path, wired: Wired) -> None:
    wired.gates["readable"] = threading.Event()
    app = wizard(tmp_path, "data")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: wired.called("readable"))
        await pilot.press("enter")
        await until(pilot, lambda: "Goes on when this is done" in shown(app))
        await pilot.press("escape")
        assert app.focused is None, "the same key leaves the field"
        assert "Goes on when" not in shown(app)
        wired.gates["readable"].set()
        await until(pilot, lambda: "Good to train on" in shown(app))
        assert app.current_mode == "data"


async def test_the_picker_opens_folders_and_takes_a_file(tmp_path: Path, wired: Wired) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(GOOD.read_bytes())
    (folder / "notes [b].txt").write_text("x")
    app = wizard(tmp_path / "state", "data", of=recipe(data__train=str(tmp_path / "none.jsonl")))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("f6")
        await until(pilot, lambda: "Choose a file" in shown(app))
        line = app.screen.query_one("#picker-path", Input)
        line.value = str(folder)
        await pilot.press("enter")
        await until(pilot, lambda: "train.jsonl" in shown(app))
        assert "250" in shown(app), "rows of a small file"
        assert "notes [b].txt" in shown(app)
        line.value = f"{folder}/train.jsonl"
        line.focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.wizard.facts.report is not None)
    assert app.wizard.recipe.data.train == str(folder / "train.jsonl")


# --- validation ------------------------------------------------------------------------------------------------------


async def test_each_way_of_validation_says_what_it_costs(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.wizard.facts.report is not None)
        await pilot.press("enter")
        await until(pilot, lambda: "50 rows are held back. 200 are trained on" in shown(app))
        await pilot.press("down", "down")
        await until(pilot, lambda: "Every row is trained on" in shown(app))
        assert app.wizard.recipe.validation.mode == "none"
        await pilot.press("up")
        await until(pilot, lambda: app.screen.query_one("#path").display)
        assert app.wizard.recipe.validation.mode == "none", "a file way without a file is no recipe"
        await pilot.press("enter")
        await until(pilot, lambda: "Give the validation file" in shown(app))
        app.screen.query_one("#path", Input).value = str(BROKEN)
        await until(pilot, lambda: app.wizard.recipe.validation.mode == "file")
        await pilot.press("enter")
        await until(pilot, lambda: "The validation file has errors" in shown(app))
        app.screen.query_one("#path", Input).value = str(GOOD.with_name("support-heldout.jsonl"))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "hyperparameters")


async def test_rows_that_both_files_have_are_told_before_going_on(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "validation", of=recipe(validation={"mode": "file", "path": str(GOOD)}))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: "250 × training row in the validation file" in " ".join(shown(app).split()))
        assert app.current_mode == "validation"
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "hyperparameters")


# --- hyperparameters -------------------------------------------------------------------------------------------------


async def test_a_value_out_of_range_does_not_leave_its_beginning_in_the_recipe(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "hyperparameters")
    async with app.run_test(size=(80, 24)) as pilot:
        editor = app.screen.query_one("#field-hyperparameters-epochs", Field).editor
        editor.focus()
        await pilot.press("end", "backspace", *"3999", "tab")
        await until(pilot, lambda: "Allowed" in shown(app))
        assert editor.value == "3999"
        assert app.wizard.recipe.hyperparameters.epochs == Recipe().hyperparameters.epochs
        editor.focus()
        await pilot.press("backspace", "backspace")
        await until(pilot, lambda: app.wizard.recipe.hyperparameters.epochs == 39)


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("epochs", "many", "whole number"),
        ("epochs", "0", "1 – 50"),
        ("learning_rate", "5", "up to 1"),
        ("learning_rate", "nan", "above 0"),
    ],
)
async def test_a_wrong_number_is_said_with_its_range_and_not_taken(
    tmp_path: Path, wired: Wired, field: str, typed: str, said: str
) -> None:
    app = wizard(tmp_path, "hyperparameters")
    async with app.run_test(size=(120, 40)) as pilot:
        before = app.wizard.recipe.hyperparameters
        editor = app.screen.query_one(f"#field-hyperparameters-{field}", Field).editor
        assert isinstance(editor, Input)
        editor.focus()
        editor.value = typed
        await pilot.press("tab")
        await until(pilot, lambda: said in shown(app), f"{said!r} is not shown")
    assert app.wizard.recipe.hyperparameters == before


async def test_what_the_numbers_amount_to_follows_them(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "data", of=recipe(hyperparameters__epochs=1))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.wizard.facts.report is not None)
        app.go("hyperparameters")
        await until(pilot, lambda: "200 steps" in shown(app))
        await until(pilot, lambda: "1.00–1.20 USD (estimate)" in shown(app))
        editor = app.screen.query_one("#field-hyperparameters-epochs", Field).editor
        assert isinstance(editor, Input)
        editor.value = "20"
        await until(pilot, lambda: "4,000 steps" in shown(app))
        await until(pilot, lambda: "outside of what the catalogue names" in shown(app))


async def test_the_script_engine_has_more_knobs(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "hyperparameters")
    async with app.run_test(size=(120, 60)) as pilot:
        assert "LoRA rank" not in shown(app)
        app.wizard.change(model__engine="script")
        await until(pilot, lambda: "LoRA rank" in shown(app))
        choice = app.screen.query_one("#field-hyperparameters-optimizer", Field).editor
        assert isinstance(choice, Choice)
        choice.focus()
        await pilot.press("right")
        await until(pilot, lambda: app.wizard.recipe.hyperparameters.optimizer == "adafactor")


# --- review ----------------------------------------------------------------------------------------------------------


async def test_the_review_shows_recipe_price_checks_and_code(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "review", findings=FINDINGS)
    async with app.run_test(size=(120, 60)) as pilot:
        await until(pilot, lambda: "learning_rate" in shown(app))
        for said in ("about 7.35 USD", "Microsoft.Network is registered", "az ml job create", "MLClient"):
            await pilot.press("right")
            await until(pilot, lambda said=said: said in shown(app), f"{said!r} is not shown")  # type: ignore[misc]  # bound now


async def test_on_azure_enter_does_not_say_yes_to_the_bill(
    tmp_path: Path, wired: Wired, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AZURE, "sandbox", False)
    app = wizard(tmp_path, "review", sandbox=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.wizard.facts.estimate is not None)
        await pilot.press("enter")
        await until(pilot, lambda: "Submit this run?" in shown(app))
        assert "1.00–1.20 USD" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "Submit this run?" not in shown(app))
        assert not wired.called("submit")
        await pilot.press("s")
        await until(pilot, lambda: "Submit this run?" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: app.current_mode == "monitor")
    assert wired.called("submit") == 1


async def test_a_step_that_needs_attention_stops_the_submit(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "review")
    app.wizard.mark("data", "attention", "3 errors")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.wizard.facts.estimate is not None)
        await pilot.press("s")
        await until(pilot, lambda: "Data needs attention: 3 errors" in shown(app))
    assert not wired.called("submit")


async def test_a_submit_that_fails_says_so_and_can_be_tried_again(tmp_path: Path, wired: Wired) -> None:
    wired.fails["submit"] = AccessError("You may not.", next_step="Ask for the role.")
    app = wizard(tmp_path, "review")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.wizard.facts.estimate is not None)
        await pilot.press("enter")
        await until(pilot, lambda: "Submit this run?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Ask for the role." in shown(app))
        del wired.fails["submit"]
        await pilot.press("escape", "enter")
        await until(pilot, lambda: "Submit this run?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.wizard.facts.job)
    steps = (place.name for place in PLACES if place.setup)
    assert {app.wizard.state_of(step, "monitor") for step in steps} == {"done"}, "those passed by are taken as they are"


async def test_without_a_sign_in_the_steps_say_so_and_stay_open(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "access", signed_in=False, of=Recipe(name="support-agent"))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Nobody is signed in" in shown(app))
        await pilot.press("f8")
        await until(pilot, lambda: "once you are signed in" in shown(app))
        await pilot.press("f8", "f8")
        await until(pilot, lambda: app.current_mode == "data")
        await pilot.press("enter")
        await until(pilot, lambda: "Give the training file" in shown(app))


# --- review ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "seen", "submits"),
    [(1.0, "The run may cost 1.20 USD; the budget is 1.00.", False), (1.3, "92% of the budget", True)],
)
async def test_the_budget_is_said_and_kept_before_the_question(
    tmp_path: Path, wired: Wired, limit: float, seen: str, submits: bool
) -> None:
    app = wizard(tmp_path, "review", of=recipe(budget__limit=limit), estimate=ESTIMATE)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: seen in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: ("Submit this run?" in shown(app)) == submits)
        assert len(app.screen_stack) == 1 + submits


async def test_the_price_is_asked_for_before_the_question_also_by_a_program_just_opened(
    tmp_path: Path, wired: Wired
) -> None:
    wired.gates["prices"] = threading.Event()
    app = wizard(tmp_path, "review", of=recipe(budget__limit=10))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: "Goes on when this is done: Estimating the price" in shown(app))
        assert "Submit this run?" not in shown(app)
        wired.gates["prices"].set()
        await until(pilot, lambda: "Submit this run?" in shown(app))
        assert "1.00–1.20 USD" in shown(app)
        prepared = app.wizard.facts.prepared
        assert prepared is not None
        assert prepared.train_rows + prepared.validation_rows == app.wizard.facts.report.rows
        await pilot.press("escape", "right")
        await until(pilot, lambda: "Budget of a run: 10.00 USD; this one takes up to 12% of it." in shown(app))
        await until(pilot, lambda: wired.spent in shown(app))


async def test_what_nobody_has_looked_at_is_not_called_in_order(tmp_path: Path, wired: Wired) -> None:
    app = wizard(tmp_path, "review", estimate=ESTIMATE)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Data: not checked yet" in shown(app))
        assert "Access: not looked at yet" in shown(app)
        assert "Nothing is open" not in shown(app)
