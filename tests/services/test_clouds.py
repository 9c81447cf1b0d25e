"""Profiles of other clouds: their hosts are the SDK's own, and under such a profile no public cloud's host is asked."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloudkit import Elsewhere

from tui.recipe import Recipe
from tui.sandbox.daemon import SandboxInfo
from tui.services import access, catalog, cleanup, costs, doctor, identity, jobs, projects, runs, uploads
from tui.services.clients import ENDPOINTS, Azure
from tui.services.errors import PhiftError
from tui.services.flow import Flow
from tui.services.identity import Identity
from tui.services.progress import Cancel
from tui.services.projects import Workspace
from tui.services.tokens import Tokens
from tui.settings import Cloud, Profile, Settings

PUBLIC = ("azure.com", "microsoftonline.com", "windows.net", "azureml.ms")
OTHERS: list[Cloud] = ["government", "china"]


WORKSPACE = Workspace("/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w", "w",
                      "project", "s", "g", "usgovvirginia")  # fmt: skip


class Recorder:
    """A CONNECT proxy that notes which hosts are asked for and lets nothing through."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                head = client.recv(4096).decode("latin-1")
                self.asked.append(head.split(" ")[1].rpartition(":")[0])
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """The proxy, with this process's environment pointing at it."""
    found = Recorder()
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, found.url)
    monkeypatch.setattr("azure.core.pipeline.policies.RetryPolicy.sleep", lambda *arguments, **options: None)
    yield found
    found.close()


def with_profile(settings: Settings, **values: str) -> Settings:
    return settings.model_copy(update={"profiles": {"default": Profile.model_validate(values)}})


class Always:
    """A credential with a token at hand."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: object) -> object:
        from azure.core.credentials import AccessToken

        self.scopes += scopes
        return AccessToken("token", 2**31)


@pytest.mark.parametrize("cloud", ["public", *OTHERS])
def test_hosts_are_those_of_the_sdk(cloud: Cloud) -> None:
    from azure.ai.ml._azure_environments import _get_cloud

    ours, theirs = ENDPOINTS[cloud], _get_cloud(ENDPOINTS[cloud].sdk_name)
    assert f"{ours.arm}/" == theirs["resource_manager"]
    assert f"https://{ours.authority}/" == theirs["active_directory"]
    assert ours.storage == theirs["storage_endpoint"]
    assert f"https://{ours.registry}/" == theirs["registry_discovery_endpoint"]
    assert ours.registry.endswith(ours.azureml)


@pytest.mark.parametrize("cloud", OTHERS)
@pytest.mark.parametrize("method", ["service-principal", "device-code"])
def test_signing_in_asks_the_clouds_own_hosts(
    recorder: Recorder, settings: Settings, cloud: Cloud, method: str
) -> None:
    wanted = with_profile(settings, method=method, cloud=cloud, tenant="11111111-1111-1111-1111-111111111111",
                          client_id="app")  # fmt: skip
    with pytest.raises(PhiftError):
        identity.connect(wanted, secret="s", prompt=lambda code: None)
    assert set(recorder.asked) == {ENDPOINTS[cloud].authority}


@pytest.mark.parametrize("cloud", OTHERS)
def test_calls_and_the_sdks_client_ask_the_clouds_own_hosts(
    recorder: Recorder, settings: Settings, recipe: Recipe, cloud: Cloud
) -> None:
    credential = Always()
    who = Identity("n", "o", "t", "cli", None)
    azure = Azure(Tokens(credential), who, with_profile(settings, cloud=cloud), sandbox=False)  # type: ignore[arg-type]  # a token is all it takes
    for call in (
        lambda: access.subscriptions(azure),
        lambda: doctor.examine(azure, recipe),
        lambda: catalog.models(azure, refresh=True),
        lambda: projects.get(azure, "s", "g", "w"),
        lambda: azure.ml(WORKSPACE).data.list(),
        lambda: next(iter(azure.ml(WORKSPACE).data.list())),
        lambda: runs.Watch(azure, WORKSPACE, "job").poll(),
        lambda: jobs.cancel(azure, WORKSPACE, "job"),
    ):
        with contextlib.suppress(Exception):  # each ends in its own way; what was asked counts
            call()
    assert costs.prices(azure, "usgovvirginia", azure.settings).items == ()
    assert recorder.asked
    assert not [host for host in recorder.asked if host.endswith(PUBLIC)]
    assert set(recorder.asked) == {ENDPOINTS[cloud].arm.removeprefix("https://"), ENDPOINTS[cloud].registry}
    assert all(scope.startswith(ENDPOINTS[cloud].arm) for scope in credential.scopes)


@pytest.mark.parametrize("cloud", OTHERS)
def test_storage_and_the_regions_services_are_the_clouds_own(
    recorder: Recorder, settings: Settings, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("azure.storage.blob._shared.policies.StorageRetryPolicy.sleep", lambda *rest, **options: None)
    credential = Always()
    who = Identity("n", "o", "t", "cli", None)
    azure = Azure(Tokens(credential), who, with_profile(settings, cloud=cloud), sandbox=False)  # type: ignore[arg-type]  # a token is all it takes
    ours = ENDPOINTS[cloud]
    with pytest.raises(PhiftError):
        azure.rest("GET", jobs.history_url(azure, WORKSPACE), api_version="")
    assert credential.scopes == [f"{ours.arm}/.default"]
    # What Azure says of a datastore may leave its endpoint out; a keyless one is opened by a token for storage.
    store = {"accountName": "account", "containerName": "c", "credentials": {"credentialsType": "None"}}
    monkeypatch.setattr(azure, "rest", lambda *rest, **options: {"properties": store})
    with pytest.raises(PhiftError):
        uploads._Target(uploads._Store(azure, WORKSPACE, None, Cancel()), "rows.jsonl").put_whole(b"rows")
    assert set(recorder.asked) == {f"{WORKSPACE.location}.{ours.azureml}", f"account.blob.{ours.storage}"}
    assert set(credential.scopes[1:]) == {"https://storage.azure.com/.default"}


@pytest.mark.xdist_group("training")
@pytest.mark.parametrize("cloud", OTHERS)
def test_the_whole_flow_runs_on_the_clouds_own_hosts(
    cloud: Cloud, sandbox: SandboxInfo, recipe: Recipe, settings: Settings, chats: Callable[..., Path],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With one exception: endpoints answer where Azure says, and where that is in another cloud is not published."""
    elsewhere = Elsewhere(cloud, sandbox, tmp_path)
    for name in ("HTTPS_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, elsewhere.proxy)
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(elsewhere.certificate))
    chats(12, cloud, name="rows.jsonl")
    wanted = recipe.with_(
        target__resource_group=cloud, target__hub=f"{cloud}-hub", target__project=f"{cloud}-project",
        data__train="rows.jsonl", hyperparameters__epochs=1, output__model=cloud,
    )  # fmt: skip
    abroad = with_profile(settings, method="service-principal", cloud=cloud, tenant=sandbox.tenant,
                          client_id=sandbox.client_id)  # fmt: skip
    try:
        flow = Flow(
            wanted, tmp_path, abroad, approve=lambda _: True,
            connect=lambda: identity.connect(abroad, secret=sandbox.client_secret),
        )  # fmt: skip
        outcome = flow.run(deploy=True, evaluate=True)
        assert outcome.workspace
        assert outcome.answer
        azure = identity.connect(abroad, secret=sandbox.client_secret)
        assert not azure.sandbox
        left = cleanup.remove(azure, cleanup.inventory(azure, outcome.workspace))
        assert [one.line() for one in left if not one.removed] == []
    finally:
        elsewhere.close()
    foreign = {host for host in elsewhere.asked if not host.endswith(".models.ai.azure.com")}
    ours = ENDPOINTS[cloud]
    assert {ours.arm.removeprefix("https://"), ours.authority, ours.registry, f"eastus2.{ours.azureml}"} <= foreign
    assert [host for host in foreign if host.endswith(f".blob.{ours.storage}")]
    assert not [host for host in foreign if host.endswith(PUBLIC)]
