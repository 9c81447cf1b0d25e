"""Faults and scenarios: what strikes, how often, the same each time, and everything right again afterwards."""

from __future__ import annotations

import http.client
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
from azure.core.rest import HttpRequest
from azure.identity import ClientSecretCredential
from azure.mgmt.core import ARMPipelineClient
from wirekit import Wire

import assets
from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxError, SandboxInfo
from tui.sandbox.faults import Fault
from tui.trainer import places

Upset = Callable[[dict[str, Any]], None]
GROUPS = "2025-04-01"


def arm(wire: Wire, upset: Upset, **fault: Any) -> None:
    upset({"fault": [fault]})


def test_a_status_strikes_as_often_as_said(wire: Wire, upset: Upset) -> None:
    arm(wire, upset, route="GET *azure.com/subscriptions", kind="429", count=2, seconds=7)
    first, second, third = (wire.arm("GET", "/subscriptions") for _ in range(3))
    assert (first.status, first.code, first.headers["Retry-After"]) == (429, "TooManyRequests", "7")
    assert second.status == 429
    assert third.status == 200
    assert wire.control("GET", "/faults")["faults"][0]["fired"] == 2


def test_other_routes_and_methods_are_spared(wire: Wire, upset: Upset) -> None:
    arm(wire, upset, route="PUT */resourcegroups/*", kind="503")
    assert wire.arm("GET", "…/resourceGroups", version=GROUPS).status == 200
    assert wire.arm("PUT", "…/resourceGroups/x", {"location": "eastus2"}, GROUPS).status == 503
    assert wire.arm("HEAD", "…/resourceGroups/x", version=GROUPS).status == 404


@pytest.mark.parametrize("route", ["*", "* *", "put *", " PUT  */resourcegroups/*"])
def test_a_route_names_a_method_or_any(route: str) -> None:
    assert Fault(route=route, kind="503").strikes("PUT management.azure.com/subscriptions/1/resourcegroups/x")


def test_a_route_with_a_method_that_nobody_sends_is_refused() -> None:
    with pytest.raises(ValueError, match="route: 'FETCH' is no method of HTTP"):
        Fault(route="FETCH *", kind="503")


@pytest.mark.parametrize("skip", [0, 2])
def test_it_can_spare_the_first(wire: Wire, upset: Upset, skip: int) -> None:
    arm(wire, upset, route="*/subscriptions", kind="500", skip=skip, count=1)
    statuses = [wire.arm("GET", "/subscriptions").status for _ in range(4)]
    assert statuses == [500 if number == skip else 200 for number in range(4)]


def test_a_reset_before_has_no_effect_and_a_reset_after_has(wire: Wire, upset: Upset) -> None:
    for kind, kept in (("reset-before", 404), ("reset-after", 204)):
        arm(wire, upset, route="PUT */resourcegroups/*", kind=kind, count=1)
        with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
            wire.arm("PUT", f"…/resourceGroups/{kind}", {"location": "eastus2"}, GROUPS)
        assert wire.arm("HEAD", f"…/resourceGroups/{kind}", version=GROUPS).status == kept
        wire.control("DELETE", "/faults")
    wire.arm("DELETE", "…/resourceGroups/reset-after", version=GROUPS)


def test_a_body_breaks_off(wire: Wire, upset: Upset) -> None:
    arm(wire, upset, route="GET */locations", kind="truncate")
    with pytest.raises(http.client.IncompleteRead) as caught:
        wire.arm("GET", "…/locations")
    assert caught.value.partial
    assert caught.value.expected


def test_an_answer_is_slow(wire: Wire, upset: Upset) -> None:
    arm(wire, upset, route="GET *", kind="slow", seconds=0.3, count=1)
    started = time.monotonic()
    assert wire.arm("GET", "/subscriptions").status == 200
    assert time.monotonic() - started >= 0.3


def test_a_status_goes_stale(wire: Wire, upset: Upset) -> None:
    arm(wire, upset, route="GET */resourcegroups/stale", kind="stale", count=3)
    path = "…/resourceGroups/stale"
    wire.arm("PUT", path, {"location": "eastus2"}, GROUPS)
    wire.arm("GET", path, version=GROUPS)
    wire.arm("DELETE", path, version=GROUPS)
    assert [wire.arm("GET", path, version=GROUPS).status for _ in range(3)] == [200, 200, 404]


@pytest.mark.parametrize(
    ("kind", "host", "status", "code"),
    [
        ("expired-token", "management.azure.com", 401, "ExpiredAuthenticationToken"),
        ("not-ready", "ep.eastus2.models.ai.azure.com", 424, "DeploymentNotReady"),
        ("502", "eastus2.api.azureml.ms", 502, "BadGateway"),
    ],
)
def test_refusals_have_their_plane_s_shape(
    wire: Wire, upset: Upset, kind: str, host: str, status: int, code: str
) -> None:
    arm(wire, upset, route=f"{host}/*", kind=kind)
    answer = wire.send("GET", f"https://{host}/subscriptions")
    assert (answer.status, answer.code) == (status, code)


def test_an_expired_sas_is_the_blob_service_s_refusal(wire: Wire, upset: Upset) -> None:
    arm(wire, upset, route="*.blob.core.windows.net/*", kind="expired-sas")
    answer = wire.send("GET", "https://account1.blob.core.windows.net/container/blob?sig=x")
    assert answer.status == 403
    assert answer.headers["x-ms-error-code"] == "AuthenticationFailed"
    assert b"<Code>AuthenticationFailed</Code>" in answer.content


def test_the_same_seed_strikes_the_same_requests(wire: Wire, upset: Upset) -> None:
    runs = []
    for _ in range(2):
        wire.control("DELETE", "/faults")
        arm(wire, upset, route="*/subscriptions", kind="503", probability=0.5, seed=42)
        runs.append([wire.arm("GET", "/subscriptions").status for _ in range(12)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 503}


def test_counters_survive_a_restart() -> None:
    fault = Fault(route="*", kind="503", probability=0.5, seed=3)
    before = [fault.strikes("GET x/y") for _ in range(10)]
    again = Fault(**fault.to_json())
    assert again.fired == sum(before)
    fresh = Fault(route="*", kind="503", probability=0.5, seed=3)
    assert [fresh.strikes("GET x/y") for _ in range(20)][10:] == [again.strikes("GET x/y") for _ in range(10)]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"route": "*", "kind": "sneeze"}, "kind"),
        ({"route": "*", "kind": "200"}, "kind"),
        ({"route": "*", "kind": "503", "probability": 2}, "probability"),
        ({"route": "*", "kind": "503", "count": 0}, "count"),
        ({"kind": "503"}, "route"),
        ({"route": "*", "kind": "503", "colour": "red"}, "colour"),
    ],
)
def test_a_bad_fault_names_its_field(wire: Wire, values: dict[str, Any], field: str) -> None:
    with pytest.raises(SandboxError, match=field):
        wire.control("POST", "/faults", values)
    assert wire.control("GET", "/faults")["faults"] == []


def test_azure_core_s_retries_live_with_a_rough_network(sandbox_env: SandboxInfo, wire: Wire, upset: Upset) -> None:
    for kind in ("429", "503", "reset-before"):
        arm(wire, upset, route="GET */subscriptions", kind=kind, count=1, seconds=1)
    credential = ClientSecretCredential(sandbox_env.tenant, sandbox_env.client_id, sandbox_env.client_secret)
    policies = [
        RetryPolicy(retry_total=5, retry_backoff_factor=0.01),
        BearerTokenCredentialPolicy(credential, "https://management.azure.com/.default"),
    ]
    with ARMPipelineClient(base_url="https://management.azure.com", policies=policies) as client:
        request = HttpRequest("GET", "https://management.azure.com/subscriptions?api-version=2022-12-01")
        answer = client.send_request(request)
    assert answer.status_code == 200
    assert sum(fault["fired"] for fault in wire.control("GET", "/faults")["faults"]) == 3


@pytest.mark.parametrize("path", sorted((assets.ROOT / "scenarios").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_scenario_applies(upset: Upset, path: Path) -> None:
    scenario = tomllib.loads(path.read_text("utf-8"))
    assert scenario["title"]
    assert scenario["description"]
    if scenario.get("models") == {"stand_in": "small"} and not places.small_is_here():
        with pytest.raises(SandboxError, match="phift-tui sandbox fetch small"):
            upset(scenario)
    else:
        upset(scenario)


@pytest.mark.parametrize(
    ("scenario", "place"),
    [
        ({"weather": {}}, "weather"),
        ({"access": {"role": "King"}}, "access.role"),
        ({"access": "Owner"}, "access"),
        ({"providers": {"Contoso.X": "Registered"}}, "providers.Contoso.X"),
        ({"providers": {"Microsoft.Network": "Maybe"}}, "providers.Microsoft.Network"),
        ({"subscription": {"state": "Enabled", "colour": "red"}}, "subscription.colour"),
        ({"quota": {"abacus": 3}}, "quota.abacus"),
        ({"quota": {"cores": -1}}, "quota.cores"),
        ({"project": [{"group": "g"}]}, "project"),
        ({"clock": {"skew": "late"}}, "clock.skew"),
    ],
)
def test_a_bad_scenario_names_its_place_and_changes_nothing(wire: Wire, scenario: dict[str, Any], place: str) -> None:
    before = wire.arm("GET", "…").json
    with pytest.raises(SandboxError, match=place):
        wire.control("PUT", "/scenario", {"subscription": {"spending_limit": "On"}, **scenario})
    assert wire.arm("GET", "…").json == before


def test_a_wrong_region_is_a_real_hub(wire: Wire, upset: Upset) -> None:
    upset(tomllib.loads((assets.ROOT / "scenarios/wrong-region.toml").read_text("utf-8")))
    listed = wire.arm("GET", "…/providers/Microsoft.MachineLearningServices/workspaces", kind="hub,project").json[
        "value"
    ]
    mine = {one["name"]: one["location"] for one in listed if "westeurope" in one["name"]}
    assert mine == {"hub-westeurope": "westeurope", "project-westeurope": "westeurope"}
    wire.arm("DELETE", "…/resourceGroups/rg-westeurope", version=GROUPS)


def test_keys_can_be_forbidden(wire: Wire, upset: Upset, group: str) -> None:
    path = f"…/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/keysforbidden"
    wire.arm("PUT", path, {"location": "eastus2"})
    upset({"storage": {"account_keys": "forbidden"}})
    assert wire.arm("GET", path).json["properties"]["allowSharedKeyAccess"] is False


def test_the_sandbox_is_spared_its_own_faults(wire: Wire, upset: Upset) -> None:
    arm(wire, upset, route="*", kind="503")
    assert daemon.control(wire.info, "GET", "/faults")["faults"]
