"""Fine-tuning from the first byte to the first answer, with azure-ai-ml and openai against the sandbox."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from azure.ai.ml import Input, Output
from azure.ai.ml.entities import CustomModelFineTuningJob, Data, MarketplaceSubscription, ServerlessEndpoint
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from mlkit import PHI, Cloud, World, chats, client, make_world, pointed_at
from waiting import until

from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo

# One worker trains all of these: each process that trains has to load the training libraries first.
pytestmark = [pytest.mark.usefixtures("sandbox_env"), pytest.mark.xdist_group("training")]

RETIRED = "azureml://registries/azureml/models/Phi-3-mini-4k-instruct"
QUESTION = [{"role": "user", "content": "What does the lamp number 3 cost?"}]


@pytest.fixture(scope="module")
def world(sandbox: SandboxInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("data")
    with pointed_at(sandbox, folder):
        yield make_world(sandbox, "finetuning", folder)


@pytest.fixture(scope="module")
def trained(world: World) -> str:
    """Name of a job that completed, submitted through the SDK."""
    job = CustomModelFineTuningJob(
        name="trained",
        display_name="The trained one",
        experiment_name="tests",
        task="chatCompletion",
        model=Input(type="mlflow_model", path=PHI),
        training_data=Input(type="uri_file", path=world.train),
        validation_data=Input(type="uri_file", path=world.validation),
        hyperparameters={
            "per_device_train_batch_size": "1",
            "learning_rate": "0.00002",
            "num_train_epochs": "6",
        },
        outputs={"registered_model": Output(type="mlflow_model", name="tuned")},
    )
    created = world.ml.jobs.create_or_update(job)
    assert created.status == "NotStarted"
    assert world.ended("trained") == "Completed", world.details("trained")["error"]
    return "trained"


@pytest.fixture(scope="module")
def endpoint(world: World, trained: str) -> str:
    """Name of a serverless endpoint with the tuned model, made through the SDK."""
    made = world.ml.serverless_endpoints.begin_create_or_update(
        ServerlessEndpoint(name="tuned-endpoint", model_id=world.model_id())
    ).result()
    assert made.provisioning_state == "succeeded"
    assert made.scoring_uri == "https://tuned-endpoint.eastus2.models.ai.azure.com"
    return "tuned-endpoint"


# the job


def test_a_completed_job_registered_its_model(world: World, trained: str) -> None:
    job = world.ml.jobs.get(trained)
    assert (job.status, job.display_name) == ("Completed", "The trained one")
    assert (job.outputs["registered_model"].name, job.outputs["registered_model"].version) == ("tuned", "1")
    model = world.ml.models.get("tuned", version="1")
    assert model.job_name == trained
    assert model.properties["baseModelId"] == PHI
    assert model.properties["hasDeltaWeights"] == "true"
    assert "1.4 M" in model.properties["phift.sandbox.answeredBy"]


def test_the_run_has_logs_that_are_read_by_ranges(world: World, trained: str) -> None:
    details = world.details(trained)
    assert (details["runId"], details["status"], details["error"]) == (trained, "Completed", None)
    url = details["logFiles"]["user_logs/std_log.txt"]
    whole = requests.get(url, timeout=30).text
    assert "base model: stand-in 'tiny'" in whole
    part = requests.get(url, headers={"Range": "bytes=5-14"}, timeout=30)
    assert (part.status_code, part.text) == (206, whole[5:15])


def test_the_run_says_what_the_stand_in_makes_of_the_hyperparameters(world: World, trained: str) -> None:
    told = "asked 2e-05, used 0.003, because the stand-in 'tiny'"
    details = world.details(trained)
    assert any(told in warning["message"] for warning in details["warnings"])
    assert details["properties"]["phift.sandbox.learning_rate"].startswith(told)
    log = requests.get(details["logFiles"]["user_logs/std_log.txt"], timeout=30).text
    assert f"sandbox: learning_rate {told}" in log


def test_metrics_are_listed_and_read_in_full(world: World, trained: str) -> None:
    listed = world.cloud.ok("POST", world.plane("metric/v2.0", trained, "/list"), {})
    names = {entry["metricKey"]["name"] for entry in listed["value"]}
    assert {"train_loss", "eval_loss", "eval_perplexity", "learning_rate"} <= names
    full = world.cloud.ok("POST", world.plane("metric/v2.0", trained, "/full"), {"metricName": "eval_loss"})
    values = [(value["step"], value["data"]["eval_loss"]) for value in full["value"]]
    assert values[0][0] == 0
    assert values[-1][1] < values[0][1]


def test_the_sdk_streams_the_log_to_its_end(world: World, trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    world.ml.jobs.stream(trained)
    assert f"RunId: {trained}" in capsys.readouterr().out


def inner_error(error: dict[str, Any]) -> Any:
    return next(entry["info"]["value"] for entry in error["additionalInfo"] if entry["type"] == "InnerError")


def test_a_named_output_is_downloaded(world: World, trained: str, tmp_path: Path) -> None:
    world.ml.jobs.download(trained, download_path=tmp_path, output_name="registered_model")
    folder = tmp_path / "named-outputs" / "registered_model"
    assert {"config.json", "model.safetensors"} <= {path.name for path in folder.iterdir()}


def test_the_same_request_again_answers_the_same_job(world: World, trained: str) -> None:
    same = world.submit(trained, hyperparameters={"num_train_epochs": "6"})
    assert (same.status_code, same.json()["properties"]["status"]) == (200, "Completed")
    other = world.submit(trained, hyperparameters={"num_train_epochs": "5"})
    assert other.status_code == 400
    assert "the existing job's FineTuningDetails cannot be changed" in other.json()["error"]["message"]
    assert inner_error(other.json()["error"])["innerError"]["code"] == "JobPropertyImmutable"


def test_a_job_is_archived_and_brought_back(world: World, trained: str) -> None:
    world.ml.jobs.archive(trained)
    assert trained not in [job.name for job in world.ml.jobs.list() if job]
    assert trained in [job.name for job in world.ml.jobs.list(list_view_type="ArchivedOnly") if job]
    world.ml.jobs.restore(trained)
    assert trained in [job.name for job in world.ml.jobs.list() if job]


def test_jobs_are_listed_in_pages(world: World, trained: str) -> None:
    assert world.submit("second-of-list").status_code == 201
    first = world.cloud.ok("GET", f"{world.project['id']}/jobs", **{"$top": "1"})
    assert len(first["value"]) == 1
    following = world.cloud.session.get(first["nextLink"], timeout=30).json()
    assert first["value"][0]["name"] != following["value"][0]["name"]
    world.cloud.ok("POST", f"{world.job('second-of-list')}/cancel")
    assert world.ended("second-of-list") == "Canceled"


# what is refused


def given(part: str, uri: str) -> dict[str, Any]:
    """A change of a job: another model or other data."""
    kind = "mlflow_model" if part == "model" else "uri_file"
    return {"details": {part: {"jobInputType": kind, "uri": uri}}}


@pytest.mark.parametrize(
    ("changes", "status", "code", "words"),
    [
        (given("model", PHI.replace("-mini-instruct", "-nothing")), 404, "NotFoundError", "not found"),
        (given("model", RETIRED), 400, "ModelRetired", "2025-08-30"),
        (given("trainingData", "azureml:none:1"), 404, "NotFound", "none:1"),
        (given("trainingData", "azureml://datastores/workspaceblobstore/paths/no"), 404, "NotFound", "Upload it"),
        (given("trainingData", "azureml://datastores/nostore/paths/no"), 404, "NotFound", "nostore"),
        (given("trainingData", "/etc/passwd"), 400, "BadArgument", "neither"),
        ({"details": {"modelProvider": "AzureOpenAI"}}, 400, "BadArgument", "AzureOpenAI"),
        ({"details": {"taskType": "Translation"}}, 400, "BadArgument", "Translation"),
        ({"hyperparameters": {"n_epochs": "3"}}, 400, "BadArgument", "n_epochs"),
        ({"hyperparameters": {"learning_rate": "fast"}}, 400, "BadArgument", "learning_rate"),
        ({"outputs": {}}, 400, "BadArgument", "assetName"),
        ({"jobType": "Sweep"}, 400, "JobTypeNotSupported", "Sweep"),
    ],
    ids=["model", "retired", "asset", "file", "store", "path", "provider", "task", "knob", "number", "output", "type"],
)
def test_a_job_that_cannot_run_is_refused(
    world: World, changes: dict[str, Any], status: int, code: str, words: str
) -> None:
    response = world.submit("refused", **changes)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, "UserError")
    assert code in json.dumps(inner_error(error))
    assert words in error["message"]
    assert world.cloud.call("GET", world.job("refused")).status_code == 404


def test_a_region_without_the_model_is_refused(world: World) -> None:
    elsewhere = world.cloud.project("elsewhere", location="swedencentral")
    body = world.body(details={"trainingData": {"jobInputType": "uri_file", "uri": world.train}})
    response = world.cloud.call("PUT", f"{elsewhere['id']}/jobs/here", {"properties": body})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "UserError")
    assert inner_error(error)["innerError"]["code"] == "ModelNotSupportedByMaaS"


@pytest.mark.parametrize(
    ("scenario", "status", "code", "words"),
    [
        ({"providers": {"Microsoft.Network": "NotRegistered"}}, 409, "MissingSubscriptionRegistration", "Network"),
        ({"subscription": {"quota_id": "FreeTrial_2014-09-01"}}, 400, "UserError", "FreeTrial_2014-09-01"),
        ({"access": {"role": "Reader"}}, 403, "AuthorizationFailed", "workspaces/jobs/write"),
        ({"subscription": {"state": "Disabled"}}, 409, "ReadOnlyDisabledSubscription", "read only"),
    ],
    ids=["provider", "free", "reader", "disabled"],
)
def test_a_subscription_that_may_not_is_refused(
    world: World,
    upset: Callable[[dict[str, Any]], None],
    scenario: dict[str, Any],
    status: int,
    code: str,
    words: str,
) -> None:
    upset(scenario)
    response = world.submit("not-allowed")
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert words in response.json()["error"]["message"]


@pytest.fixture
def calendar(sandbox: SandboxInfo) -> Iterator[Callable[[str], None]]:
    """Set the catalogue's date; afterwards it is today again."""

    def set_to(day: str) -> None:
        daemon.control(sandbox, "PUT", "/calendar", {"as_of": day})

    yield set_to
    set_to(datetime.now(UTC).date().isoformat())


def test_a_model_is_tuned_and_deployed_while_it_lives_and_answers_until_it_is_retired(
    world: World, calendar: Callable[[str], None]
) -> None:
    base = RETIRED.partition("/versions/")[0]
    endpoint = ServerlessEndpoint(name="old-base", model_id=base)
    with pytest.raises(HttpResponseError) as caught:
        world.ml.serverless_endpoints.begin_create_or_update(endpoint).result()
    assert caught.value.status_code == 400
    calendar("2025-01-15")
    assert world.submit("in-january", **given("model", RETIRED)).status_code == 201
    world.cloud.ok("POST", f"{world.job('in-january')}/cancel")
    world.ml.serverless_endpoints.begin_create_or_update(endpoint).result()
    ask = {"model": "any", "messages": QUESTION, "max_tokens": 2}
    chat = client(world, "old-base").chat.completions
    assert chat.create(**ask).model == "Phi-3-mini-4k-instruct@sandbox-tiny"
    calendar("2025-09-01")
    with pytest.raises(openai.NotFoundError):
        chat.create(**ask)
    world.ml.serverless_endpoints.begin_delete("old-base").result()


def test_data_with_a_bad_row_fails_the_job_with_the_reason(world: World, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(chats(tmp_path / "good.jsonl", 3).read_text() + '{"messages": "none"}\n')
    data = world.ml.data.create_or_update(Data(name="bad", type="uri_file", path=str(path)))
    world.submit("bad-row", details={"trainingData": {"jobInputType": "uri_file", "uri": data.id}})
    assert world.ended("bad-row") == "Failed"
    error = world.details("bad-row")["error"]["error"]
    assert error["innerError"]["code"] == "BadRow"
    assert "4" in error["message"]


# cancelling and queueing


def test_a_managed_job_beyond_the_quota_fails_as_it_is_prepared(
    world: World, sandbox: SandboxInfo, tmp_path: Path
) -> None:
    daemon.control(sandbox, "PUT", "/scenario", {"quota": {"StandardNCADSA100v4Family": 47}})
    try:
        world.submit("beyond", resources={"instanceTypes": ["Standard_NC48ads_A100_v4"]})
        assert world.ended("beyond") == "Failed"
        message = world.details("beyond")["error"]["error"]["message"]
        assert "JobNodeCountExceedsCoreQuota" in message
        assert "vCPU quota of 47 and is less than the requested job node count of 1 which maps to 48 vCPUs" in message
        # Of several sizes one that can be had is enough.
        world.submit("within", resources={"instanceTypes": ["Standard_NC48ads_A100_v4", "Standard_NC24ads_A100_v4"]})
        until(lambda: world.status("within") != "NotStarted")
        world.ml.jobs.begin_cancel("within").result()
        assert world.ended("within") == "Canceled"
    finally:
        daemon.control(sandbox, "PUT", "/scenario", {"quota": {}})


def test_one_job_trains_and_the_next_waits_until_it_is_cancelled(world: World) -> None:
    world.submit("long", hyperparameters={"num_train_epochs": "100"})
    world.submit("waiting")
    until(lambda: world.status("long") == "Running")
    until(lambda: world.status("waiting") == "Queued")
    response = world.cloud.call("POST", f"{world.job('long')}/cancel")
    assert response.status_code == 202
    assert "Location" in response.headers
    assert world.ended("long") == "Canceled"
    assert world.ended("waiting") == "Completed"
    again = world.cloud.call("POST", f"{world.job('long')}/cancel")
    assert (again.status_code, again.json()["error"]["code"]) == (400, "UserError")


def test_a_cancelled_job_can_be_deleted(world: World) -> None:
    world.submit("short-lived", hyperparameters={"num_train_epochs": "50"})
    running = world.cloud.call("DELETE", world.job("short-lived"))
    assert running.status_code == 400
    world.ml.jobs.begin_cancel("short-lived").result()
    assert world.ended("short-lived") == "Canceled"
    world.ml.jobs.begin_delete("short-lived").result()
    assert world.cloud.call("GET", world.job("short-lived")).status_code == 404


# the endpoint


def test_the_endpoint_answers_from_the_tuned_weights(world: World, endpoint: str) -> None:
    answered = client(world, endpoint).chat.completions.create(
        model="any", messages=QUESTION, temperature=0, max_tokens=20
    )
    assert answered.choices[0].message.content
    assert answered.model == "tuned:1@sandbox-tiny"
    assert answered.usage.total_tokens == answered.usage.prompt_tokens + answered.usage.completion_tokens
    assert answered.choices[0].model_extra["content_filter_results"]["hate"] == {"filtered": False, "severity": "safe"}
    assert answered.model_extra["prompt_filter_results"][0]["prompt_index"] == 0


def test_the_stream_is_the_answer_in_pieces(world: World, endpoint: str) -> None:
    chat = client(world, endpoint).chat.completions
    whole = chat.create(model="any", messages=QUESTION, temperature=0, max_tokens=20)
    pieces = list(
        chat.create(
            model="any", messages=QUESTION, temperature=0, max_tokens=20, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == whole.choices[0].message.content
    assert pieces[-1].usage == whole.usage
    assert len(pieces) > 3


def test_a_stream_tells_no_usage_unasked(world: World, endpoint: str) -> None:
    pieces = list(
        client(world, endpoint).chat.completions.create(model="m", messages=QUESTION, max_tokens=5, stream=True)
    )
    assert all(piece.usage is None for piece in pieces)


def test_a_harmful_prompt_is_refused_with_its_categories(world: World, endpoint: str) -> None:
    messages = [{"role": "user", "content": "Tell me how to build a bomb"}]
    with pytest.raises(openai.BadRequestError) as caught:
        client(world, endpoint).chat.completions.create(model="any", messages=messages)
    assert caught.value.code == "content_filter"
    assert caught.value.body["innererror"]["content_filter_result"]["violence"] == {
        "filtered": True,
        "severity": "high",
    }


def test_a_wrong_key_is_refused(world: World, endpoint: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        client(world, endpoint, "0" * 32).chat.completions.create(model="any", messages=QUESTION)


def test_an_unknown_endpoint_is_not_found(world: World, endpoint: str) -> None:
    with pytest.raises(openai.NotFoundError):
        client(world, "nobody", "0" * 32).chat.completions.create(model="any", messages=QUESTION)


@pytest.mark.parametrize("wish", [{"n": 2}, {"logprobs": True}, {"response_format": {"type": "json_object"}}])
def test_what_cannot_be_honoured_is_refused(world: World, endpoint: str, wish: dict[str, Any]) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client(world, endpoint).chat.completions.create(model="any", messages=QUESTION, **wish)
    assert caught.value.code == "unsupported_parameter"
    assert caught.value.param == next(iter(wish))


def test_info_says_who_answers(world: World, endpoint: str) -> None:
    key = world.ml.serverless_endpoints.get_keys(endpoint).secondary_key
    base = f"https://{endpoint}.eastus2.models.ai.azure.com"
    response = requests.get(f"{base}/info", headers={"api-key": key}, timeout=30)
    assert response.json()["model_name"] == "tuned:1@sandbox-tiny"
    assert "1.4 M parameters" in response.json()["model_description"]


def test_an_endpoint_over_its_limit_says_when_to_come_back(world: World, endpoint: str, throttled: None) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        client(world, endpoint).chat.completions.create(model="any", messages=QUESTION, max_tokens=2)
    assert caught.value.response.headers["Retry-After"] == "7"
    assert caught.value.code == "TooManyRequests"


@pytest.fixture
def throttled(sandbox: SandboxInfo) -> Iterator[None]:
    """The next chat is one too many for the endpoint's minute."""
    fault = {"route": "POST */chat/completions", "kind": "429", "count": 1, "seconds": 7}
    daemon.control(sandbox, "POST", "/faults", fault)
    yield
    daemon.control(sandbox, "DELETE", "/faults")


def test_the_limiter_counts_what_an_endpoint_answered(world: World, endpoint: str, sandbox: SandboxInfo) -> None:
    asking = client(world, endpoint)

    def ask() -> None:
        asking.chat.completions.create(model="any", messages=QUESTION, max_tokens=2)

    ask()
    daemon.control(sandbox, "PUT", "/scenario", {"limits": {"requests": 1}})
    try:
        with pytest.raises(openai.RateLimitError) as caught:
            ask()
    finally:
        daemon.control(sandbox, "PUT", "/scenario", {"limits": {}})
    assert caught.value.code == "RateLimitReached"
    assert 1 <= int(caught.value.response.headers["Retry-After"]) <= 60
    ask()


def curl(world: World, endpoint: str, key: str, **body: Any) -> tuple[int, str]:
    """Status and body that plain curl gets with nothing but the lines of `sandbox env` in its environment."""
    program = shutil.which("curl")
    if program is None:
        pytest.skip("there is no curl here")
    url = f"https://{endpoint}.eastus2.models.ai.azure.com/v1/chat/completions"
    headers = ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"]
    sent = json.dumps({"messages": QUESTION, "max_tokens": 5, "temperature": 0, **body})
    done = subprocess.run(
        [program, "-sS", "-N", "-w", "\n%{http_code}", *headers, "-d", sent, url],
        capture_output=True, text=True, check=True, timeout=60,
        env={"PATH": os.environ["PATH"], **daemon.env_lines(world.cloud.info)},
    )  # fmt: skip
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


def test_curl_gets_an_answer_whole_and_streamed(world: World, endpoint: str) -> None:
    key = world.ml.serverless_endpoints.get_keys(endpoint).primary_key
    status, text = curl(world, endpoint, key)
    whole = json.loads(text)
    assert (status, whole["object"]) == (200, "chat.completion")
    assert whole["usage"]["total_tokens"] == whole["usage"]["prompt_tokens"] + whole["usage"]["completion_tokens"]
    status, text = curl(world, endpoint, key, stream=True, stream_options={"include_usage": True})
    events = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert (status, events.pop()) == (200, "[DONE]")
    chunks = [json.loads(event) for event in events]
    said = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert said == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"] == whole["usage"]


def test_curl_is_refused_in_the_same_words_as_openai(world: World, endpoint: str) -> None:
    key = world.ml.serverless_endpoints.get_keys(endpoint).primary_key
    bomb = [{"role": "user", "content": "Tell me how to build a bomb"}]
    for (status, text), expected in (
        (curl(world, endpoint, "0" * 32), 401),
        (curl(world, "nobody", key), 404),
        (curl(world, endpoint, key, messages=bomb), 400),
    ):
        assert (status, json.loads(text)["error"]["status"]) == (expected, expected)
    assert json.loads(text)["error"]["code"] == "content_filter"


def test_curl_over_the_limit_is_refused(world: World, endpoint: str, throttled: None) -> None:
    key = world.ml.serverless_endpoints.get_keys(endpoint).primary_key
    status, text = curl(world, endpoint, key)
    assert (status, json.loads(text)["error"]["code"]) == (429, "TooManyRequests")


def test_a_base_model_answers_untuned_and_otherwise(world: World, endpoint: str) -> None:
    world.ml.serverless_endpoints.begin_create_or_update(
        ServerlessEndpoint(name="base-endpoint", model_id=PHI.partition("/versions/")[0])
    ).result()
    ask = {"model": "any", "messages": QUESTION, "temperature": 0, "max_tokens": 20}
    base = client(world, "base-endpoint").chat.completions.create(**ask)
    tuned = client(world, endpoint).chat.completions.create(**ask)
    assert base.model == "Phi-4-mini-instruct@sandbox-tiny"
    assert base.choices[0].message.content != tuned.choices[0].message.content
    assert {found.name for found in world.ml.serverless_endpoints.list()} >= {"base-endpoint", endpoint}
    assert world.ml.serverless_endpoints.get("base-endpoint").model_id == PHI.partition("/versions/")[0]
    world.ml.serverless_endpoints.begin_delete("base-endpoint").result()
    with pytest.raises(ResourceNotFoundError):
        world.ml.serverless_endpoints.get("base-endpoint")


def test_content_safety_is_chosen_at_creation(world: World) -> None:
    identifier = f"{world.project['id']}/serverlessEndpoints/unguarded"
    properties = {
        "authMode": "Key",
        "modelSettings": {"modelId": PHI.partition("/versions/")[0]},
        "contentSafety": {"contentSafetyStatus": "Disabled"},
    }
    body = {"location": "eastus2", "sku": {"name": "Consumption"}, "properties": properties}
    made = world.cloud.call("PUT", identifier, body, "2024-10-01")
    assert made.status_code == 201
    assert "Azure-AsyncOperation" in made.headers
    assert made.json()["properties"]["contentSafety"] == {"contentSafetyStatus": "Disabled"}
    answered = client(world, "unguarded").chat.completions.create(
        model="any", messages=[{"role": "user", "content": "how to build a bomb"}], max_tokens=3
    )
    assert "prompt_filter_results" not in (answered.model_extra or {})
    assert world.cloud.call("DELETE", identifier).status_code == 202


def test_an_endpoint_for_tokens_takes_tokens_and_no_key(world: World) -> None:
    identifier = f"{world.project['id']}/serverlessEndpoints/for-tokens"
    properties = {"authMode": "AAD", "modelSettings": {"modelId": PHI.partition("/versions/")[0]}}
    body = {"location": "eastus2", "sku": {"name": "Consumption"}, "properties": properties}
    assert world.cloud.call("PUT", identifier, body, "2024-10-01").status_code == 400
    world.cloud.ok("PUT", identifier, body, "2025-12-01")
    token = world.cloud.credential.get_token("https://ml.azure.com/.default").token
    for_arm = world.cloud.credential.get_token("https://management.azure.com/.default").token
    ask = {"model": "any", "messages": QUESTION, "max_tokens": 2}
    assert client(world, "for-tokens", token).chat.completions.create(**ask).choices
    for wrong in (for_arm, world.ml.serverless_endpoints.get_keys("for-tokens").primary_key):
        with pytest.raises(openai.AuthenticationError):
            client(world, "for-tokens", wrong).chat.completions.create(**ask)
    world.cloud.ok("DELETE", identifier)


def test_a_second_deployment_of_a_tuned_model_is_refused(world: World, endpoint: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        world.ml.serverless_endpoints.begin_create_or_update(
            ServerlessEndpoint(name="second-endpoint", model_id=world.model_id())
        ).result()
    assert caught.value.status_code == 409
    assert "Only one deployment" in caught.value.message


def test_a_deployed_model_is_not_deleted(world: World, endpoint: str) -> None:
    response = world.cloud.call("DELETE", f"{world.project['id']}/models/tuned/versions/1", None, "2024-10-01")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "Conflict")
    assert endpoint in response.json()["error"]["message"]


def test_a_new_key_ends_the_old_one(world: World, endpoint: str) -> None:
    before = world.ml.serverless_endpoints.get_keys(endpoint)
    identifier = f"{world.project['id']}/serverlessEndpoints/{endpoint}"
    response = world.cloud.call("POST", f"{identifier}/regenerateKeys", {"keyType": "Primary"})
    assert response.status_code == 202
    after = world.ml.serverless_endpoints.get_keys(endpoint)
    assert after.primary_key != before.primary_key
    assert after.secondary_key == before.secondary_key
    with pytest.raises(openai.AuthenticationError):
        client(world, endpoint, before.primary_key).chat.completions.create(model="any", messages=QUESTION)


def test_marketplace_subscriptions_are_refused_for_microsoft_models(world: World) -> None:
    wanted = MarketplaceSubscription(name="phi", model_id=PHI.partition("/versions/")[0])
    with pytest.raises(HttpResponseError, match="needs no subscription") as caught:
        world.ml.marketplace_subscriptions.begin_create_or_update(wanted).result()
    assert caught.value.status_code == 400
    assert list(world.ml.marketplace_subscriptions.list()) == []


# what survives


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world of its own, whose processes the tests may kill."""
    folder = tmp_path_factory.mktemp("own")
    state = folder / "state"
    info = daemon.start(state, pace=0.0)
    with pointed_at(info, folder):
        yield make_world(info, "own", folder)
    daemon.stop(state)


@pytest.fixture
def at_own(own: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """That world, with this process's environment pointing at it."""
    for name, value in daemon.env_lines(own.cloud.info).items():
        monkeypatch.setenv(name, value)
    return own


def _training(own: World, name: str) -> tuple[Path, int]:
    """A job's folder and the pid of its training, once that has evaluated the base model."""

    def evaluated() -> Path | None:
        for folder in (Path(own.cloud.info.state) / "jobs").glob(f"{name}-*"):
            events = folder / "events.jsonl"
            if events.exists() and "eval_loss" in events.read_text():
                return folder
        return None

    folder = until(evaluated)
    return folder, int((folder / "pid").read_text())


@pytest.mark.slow
def test_a_killed_training_is_reported_with_its_reason(at_own: World) -> None:
    at_own.submit("killed", hyperparameters={"num_train_epochs": "100"})
    _, pid = _training(at_own, "killed")
    os.kill(pid, signal.SIGKILL)
    assert at_own.ended("killed") == "Failed"
    assert "SIGKILL. The system kills" in at_own.details("killed")["error"]["error"]["message"]


@pytest.mark.slow
def test_trainings_and_endpoints_outlive_the_server(at_own: World, monkeypatch: pytest.MonkeyPatch) -> None:
    base = PHI.partition("/versions/")[0]
    at_own.ml.serverless_endpoints.begin_create_or_update(ServerlessEndpoint(name="stays", model_id=base)).result()
    key = at_own.ml.serverless_endpoints.get_keys("stays").primary_key
    at_own.submit("survivor", hyperparameters={"num_train_epochs": "20"})
    folder, pid = _training(at_own, "survivor")
    state = Path(at_own.cloud.info.state)
    os.kill(at_own.cloud.info.pid, signal.SIGKILL)
    until(lambda: daemon.status(state) is None)
    info = daemon.start(state, pace=0.0)
    for name, value in daemon.env_lines(info).items():
        monkeypatch.setenv(name, value)
    back = dataclasses.replace(at_own, cloud=Cloud(info))
    answered = client(back, "stays", key).chat.completions.create(model="any", messages=QUESTION, max_tokens=3)
    assert answered.model == "Phi-4-mini-instruct@sandbox-tiny"
    assert back.ended("survivor") == "Completed"
    assert _training(back, "survivor") == (folder, pid)
    assert (folder / "events.jsonl").read_text().count('"type": "started"') == 1
