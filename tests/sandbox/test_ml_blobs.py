"""The blob service, spoken to by azure-storage-blob."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import resource
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    AccountSasPermissions,
    BlobBlock,
    BlobClient,
    BlobSasPermissions,
    BlobServiceClient,
    ContainerClient,
    ContentSettings,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
)
from mlkit import Cloud

from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo

STORAGE_VERSION = "2023-04-01"
LEASE = "00000000-0000-0000-0000-000000000001"


@pytest.fixture(scope="module")
def cloud(sandbox: SandboxInfo) -> Iterator[Cloud]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in daemon.env_lines(sandbox).items():
            patch.setenv(name, value)
        yield Cloud(sandbox)


@pytest.fixture(scope="module")
def account(cloud: Cloud) -> str:
    """Identifier of a storage account of its own."""
    group = f"/subscriptions/{cloud.info.subscription}/resourceGroups/blobs"
    cloud.ok("PUT", group, {"location": "eastus2"}, "2021-04-01")
    identifier = f"{group}/providers/Microsoft.Storage/storageAccounts/blobtests"
    body = {"location": "eastus2", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}, "properties": {}}
    cloud.ok("PUT", identifier, body, STORAGE_VERSION)
    return identifier


@pytest.fixture(scope="module")
def key(cloud: Cloud, account: str) -> str:
    return str(cloud.ok("POST", f"{account}/listKeys", {}, STORAGE_VERSION)["keys"][0]["value"])


@pytest.fixture
def service(sandbox_env: SandboxInfo, key: str) -> BlobServiceClient:
    return BlobServiceClient("https://blobtests.blob.core.windows.net", credential=key, retry_total=0)


@pytest.fixture
def container(service: BlobServiceClient, request: pytest.FixtureRequest) -> ContainerClient:
    return service.create_container(hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:40])


def test_a_blob_comes_back_as_it_was_sent(container: ContainerClient) -> None:
    content = os.urandom(300_000)
    settings = ContentSettings(content_type="text/x-chat", cache_control="no-store")
    container.upload_blob("folder/ä b+%20.jsonl", content, content_settings=settings, metadata={"who": "me"})
    blob = container.get_blob_client("folder/ä b+%20.jsonl")
    assert blob.download_blob().readall() == content
    found = blob.get_blob_properties()
    assert found.size == len(content)
    assert found.content_settings.content_type == "text/x-chat"
    assert found.content_settings.cache_control == "no-store"
    assert bytes(found.content_settings.content_md5) == hashlib.md5(content).digest()
    assert found.metadata == {"who": "me"}
    assert found.blob_type == "BlockBlob"


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (999, 1), (10, 500), (990, 100), (0, 1000)])
def test_a_range_is_that_part_of_the_blob(container: ContainerClient, offset: int, length: int) -> None:
    content = os.urandom(1000)
    blob = container.upload_blob("ranged", content)
    assert blob.download_blob(offset=offset, length=length).readall() == content[offset : offset + length]


def test_a_range_past_the_end_is_refused(container: ContainerClient) -> None:
    blob = container.upload_blob("short", b"abc")
    with pytest.raises(HttpResponseError) as caught:
        blob.download_blob(offset=10, length=5)
    assert (caught.value.status_code, caught.value.error_code) == (416, "InvalidRange")


def test_blocks_are_uncommitted_until_the_list_is_put(container: ContainerClient) -> None:
    blob = container.get_blob_client("blocks")
    blob.stage_block("aaaa", b"1" * 10)
    blob.stage_block("bbbb", b"2" * 20)
    blob.stage_block("cccc", b"3" * 30)
    blob.stage_block("bbbb", b"4" * 5)
    assert not blob.exists()
    committed, fresh = blob.get_block_list("all")
    assert committed == []
    assert {(block.id, block.size) for block in fresh} == {("aaaa", 10), ("bbbb", 5), ("cccc", 30)}
    blob.commit_block_list([BlobBlock("cccc"), BlobBlock("bbbb")], metadata={"part": "two"})
    assert blob.download_blob().readall() == b"3" * 30 + b"4" * 5
    assert blob.download_blob(offset=28, length=4).readall() == b"3344"
    committed, fresh = blob.get_block_list("all")
    assert ([block.id for block in committed], fresh) == (["cccc", "bbbb"], [])


def test_a_committed_block_can_be_kept_beside_a_new_one(container: ContainerClient) -> None:
    blob = container.get_blob_client("kept")
    blob.stage_block("one1", b"one")
    blob.commit_block_list([BlobBlock("one1")])
    blob.stage_block("two2", b"two")
    blob.commit_block_list([BlobBlock("two2"), BlobBlock("one1")])
    assert blob.download_blob().readall() == b"twoone"


def test_a_list_with_an_unknown_block_is_refused_and_changes_nothing(container: ContainerClient) -> None:
    blob = container.upload_blob("unknown", b"before")
    with pytest.raises(HttpResponseError) as caught:
        blob.commit_block_list([BlobBlock("none")])
    assert (caught.value.status_code, caught.value.error_code) == (400, "InvalidBlockList")
    assert blob.download_blob().readall() == b"before"


def test_a_large_file_goes_up_in_blocks_and_comes_back(container: ContainerClient, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(9_000_000))
    client = BlobClient(
        f"https://{container.account_name}.blob.core.windows.net", container.container_name, "large",
        credential=container.credential, max_single_put_size=1 << 20, max_block_size=1 << 20,
    )  # fmt: skip
    with path.open("rb") as file:
        client.upload_blob(file, max_concurrency=4)
    assert client.download_blob(max_concurrency=4).readall() == path.read_bytes()
    assert len(client.get_block_list("committed")[0]) == 9


def test_writing_over_a_blob_needs_saying_so(container: ContainerClient) -> None:
    blob = container.upload_blob("twice", b"1")
    with pytest.raises(ResourceExistsError) as caught:
        blob.upload_blob(b"2")
    assert caught.value.error_code == "BlobAlreadyExists"
    blob.upload_blob(b"2", overwrite=True)
    assert blob.download_blob().readall() == b"2"


def test_conditions_hold_for_reads_and_writes(container: ContainerClient) -> None:
    blob = container.upload_blob("conditional", b"1")
    old = blob.get_blob_properties().etag
    blob.upload_blob(b"2", overwrite=True, etag=old, match_condition=MatchConditions.IfNotModified)
    with pytest.raises(ResourceModifiedError) as caught:
        blob.upload_blob(b"3", overwrite=True, etag=old, match_condition=MatchConditions.IfNotModified)
    assert (caught.value.status_code, caught.value.error_code) == (412, "ConditionNotMet")
    new = blob.get_blob_properties().etag
    with pytest.raises(HttpResponseError) as unchanged:
        blob.get_blob_properties(etag=new, match_condition=MatchConditions.IfModified)
    assert (unchanged.value.status_code, unchanged.value.error_code) == (304, "ConditionNotMet")
    with pytest.raises(ResourceModifiedError):
        blob.delete_blob(etag=old, match_condition=MatchConditions.IfNotModified)
    assert blob.get_blob_properties(etag=old, match_condition=MatchConditions.IfModified).etag == new


def test_metadata_is_replaced_and_changes_the_etag(container: ContainerClient) -> None:
    blob = container.upload_blob("meta", b"1", metadata={"a": "1"})
    before = blob.get_blob_properties().etag
    blob.set_blob_metadata({"upload_status": "completed", "version": "3"})
    found = blob.get_blob_properties()
    assert found.metadata == {"upload_status": "completed", "version": "3"}
    assert found.etag != before
    assert blob.download_blob().readall() == b"1"


def test_a_full_disk_is_told_and_leaves_the_blob_as_it_was(container: ContainerClient, sandbox: SandboxInfo) -> None:
    blob = container.get_blob_client("kept")
    blob.upload_blob(b"before")
    # A file that must not grow fails its writer as a full disk does.
    _, hard = resource.prlimit(sandbox.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(sandbox.pid, resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(HttpResponseError, match="is full: free some space there and try again"):
            blob.upload_blob(b"x" * (1 << 20), overwrite=True, retry_total=0)
    finally:
        resource.prlimit(sandbox.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert blob.download_blob().readall() == b"before"
    blob.upload_blob(b"after", overwrite=True)


def test_listing_pages_and_rolls_folders_up(container: ContainerClient) -> None:
    names = ["a.txt", "logs/1.txt", "logs/2.txt", "logs2/3.txt", "zoo<&>.txt"]
    for name in names:
        container.upload_blob(name, name.encode(), metadata={"n": name[0]})
    assert [blob.name for blob in container.list_blobs()] == names
    assert [blob.name for blob in container.list_blobs(name_starts_with="logs/")] == ["logs/1.txt", "logs/2.txt"]
    pages = [[blob.name for blob in page] for page in container.list_blobs(results_per_page=2).by_page()]
    assert pages == [names[:2], names[2:4], names[4:]]
    assert {blob.name for blob in container.walk_blobs()} == {"a.txt", "logs/", "logs2/", "zoo<&>.txt"}
    assert next(iter(container.list_blobs(include=["metadata"]))).metadata == {"n": "a"}


def test_a_deleted_blob_is_gone(container: ContainerClient) -> None:
    blob = container.upload_blob("gone", b"1")
    blob.delete_blob()
    with pytest.raises(ResourceNotFoundError) as caught:
        blob.download_blob()
    assert caught.value.error_code == "BlobNotFound"
    with pytest.raises(ResourceNotFoundError):
        blob.delete_blob()


def test_containers_are_made_listed_and_deleted(service: BlobServiceClient) -> None:
    made = service.create_container("lifecycle", metadata={"k": "v"})
    assert "lifecycle" in [found.name for found in service.list_containers()]
    assert made.get_container_properties().metadata == {"k": "v"}
    with pytest.raises(ResourceExistsError):
        service.create_container("lifecycle")
    made.upload_blob("inside", b"1")
    made.delete_container()
    with pytest.raises(ResourceNotFoundError) as caught:
        made.upload_blob("inside", b"1")
    assert caught.value.error_code == "ContainerNotFound"


def test_a_log_grows_by_appending(container: ContainerClient) -> None:
    blob = container.get_blob_client("log.txt")
    blob.create_append_blob()
    blob.append_block(b"first\n")
    blob.append_block(b"second\n", appendpos_condition=6)
    assert blob.download_blob(offset=6).readall() == b"second\n"
    with pytest.raises(HttpResponseError) as caught:
        blob.append_block(b"third\n", appendpos_condition=6)
    assert caught.value.error_code == "AppendPositionConditionNotMet"


def test_a_wrong_checksum_is_refused(container: ContainerClient, key: str) -> None:
    sas = _blob_sas(container, key, "summed", "cw")
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    headers = {"x-ms-blob-type": "BlockBlob", "Content-MD5": wrong}
    response = requests.put(f"{container.url}/summed?{sas}", data=b"content", headers=headers, timeout=30)
    assert (response.status_code, response.headers["x-ms-error-code"]) == (400, "Md5Mismatch")
    assert not container.get_blob_client("summed").exists()


def _blob_sas(container: ContainerClient, key: str, blob: str, permission: str, *, minutes: float = 5) -> str:
    return generate_blob_sas(
        str(container.account_name), container.container_name, blob, account_key=key,
        permission=BlobSasPermissions.from_string(permission), expiry=datetime.now(UTC) + timedelta(minutes=minutes),
    )  # fmt: skip


@pytest.mark.usefixtures("sandbox_env")
def test_a_blob_sas_gives_what_it_names_and_no_more(container: ContainerClient, key: str) -> None:
    container.upload_blob("mine", b"content")
    container.upload_blob("other", b"content")
    sas = _blob_sas(container, key, "mine", "r")
    assert BlobClient.from_blob_url(f"{container.url}/mine?{sas}").download_blob().readall() == b"content"
    with pytest.raises(ClientAuthenticationError) as caught:
        BlobClient.from_blob_url(f"{container.url}/other?{sas}").download_blob()
    assert caught.value.error_code == "AuthenticationFailed"
    with pytest.raises(HttpResponseError) as refused:
        BlobClient.from_blob_url(f"{container.url}/mine?{sas}").delete_blob()
    assert (refused.value.status_code, refused.value.error_code) == (403, "AuthorizationPermissionMismatch")


@pytest.mark.usefixtures("sandbox_env")
def test_an_expired_sas_is_refused_with_its_times(container: ContainerClient, key: str) -> None:
    container.upload_blob("mine", b"content")
    sas = _blob_sas(container, key, "mine", "r", minutes=-1)
    response = requests.get(f"{container.url}/mine?{sas}", timeout=30)
    assert (response.status_code, response.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
    assert "Signature not valid in the specified time frame" in response.text


@pytest.mark.usefixtures("sandbox_env")
@pytest.mark.parametrize(
    ("types", "permission", "status"),
    [("co", "l", 200), ("o", "l", 403), ("co", "r", 403)],
    ids=["right", "type", "letter"],
)
def test_an_account_sas_holds_for_its_types_and_letters(
    container: ContainerClient, key: str, types: str, permission: str, status: int
) -> None:
    sas = generate_account_sas(
        str(container.account_name), key, ResourceTypes.from_string(types),
        AccountSasPermissions.from_string(permission), datetime.now(UTC) + timedelta(minutes=5),
    )  # fmt: skip
    response = requests.get(f"{container.url}?restype=container&comp=list&{sas}", timeout=30)
    assert response.status_code == status


@pytest.mark.usefixtures("sandbox_env")
def test_a_changed_signature_is_refused(container: ContainerClient, key: str) -> None:
    container.upload_blob("mine", b"content")
    sas = _blob_sas(container, key, "mine", "r").replace("sp=r", "sp=rd")
    assert requests.delete(f"{container.url}/mine?{sas}", timeout=30).status_code == 403
    assert container.get_blob_client("mine").exists()


@pytest.mark.usefixtures("sandbox_env")
def test_without_authorization_the_answer_says_where_to_get_it(container: ContainerClient) -> None:
    response = requests.get(f"{container.url}/any", timeout=30)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")


def test_a_token_needs_a_data_role(cloud: Cloud, account: str, container: ContainerClient) -> None:
    container.upload_blob("mine", b"content")
    client = BlobServiceClient(container.url.rsplit("/", 1)[0], credential=cloud.credential, retry_total=0)
    blob = client.get_blob_client(container.container_name, "mine")
    with pytest.raises(HttpResponseError) as caught:
        blob.download_blob()
    assert (caught.value.status_code, caught.value.error_code) == (403, "AuthorizationPermissionMismatch")
    role = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    definition = f"/subscriptions/{cloud.info.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    token = cloud.credential.get_token("https://management.azure.com/.default").token
    claims = token.split(".")[1]
    oid = re.search(r'"oid":\s*"([^"]+)"', base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)).decode())
    assert oid
    assignment = f"{account}/providers/Microsoft.Authorization/roleAssignments/5f0a0a39-6b3c-4f80-a1a3-0a4d27b4ad11"
    properties = {"roleDefinitionId": definition, "principalId": oid[1], "principalType": "ServicePrincipal"}
    cloud.ok("PUT", assignment, {"properties": properties}, "2022-04-01")
    assert blob.download_blob().readall() == b"content"
    blob.upload_blob(b"changed", overwrite=True)
    cloud.ok("DELETE", assignment, None, "2022-04-01")


def test_an_account_that_forbids_keys_refuses_all_that_is_signed_with_them(
    cloud: Cloud, account: str, container: ContainerClient, key: str
) -> None:
    container.upload_blob("mine", b"content")
    cloud.ok("PATCH", account, {"properties": {"allowSharedKeyAccess": False}}, STORAGE_VERSION)
    try:
        for url in (container.url + "/mine?" + _blob_sas(container, key, "mine", "r"),):
            assert requests.get(url, timeout=30).headers["x-ms-error-code"] == "KeyBasedAuthenticationNotPermitted"
        with pytest.raises(HttpResponseError) as caught:
            container.get_blob_client("mine").download_blob()
        assert (caught.value.status_code, caught.value.error_code) == (403, "KeyBasedAuthenticationNotPermitted")
    finally:
        cloud.ok("PATCH", account, {"properties": {"allowSharedKeyAccess": True}}, STORAGE_VERSION)


@pytest.mark.usefixtures("sandbox_env")
@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../../b", "a/..", "%2e%2e/%2e%2e/x", "a\\..\\..\\b"])
def test_a_name_that_climbs_is_refused(container: ContainerClient, key: str, name: str) -> None:
    request = requests.Request("PUT", "https://x/", data=b"1", headers={"x-ms-blob-type": "BlockBlob"}).prepare()
    sas = generate_account_sas(
        str(container.account_name), key, ResourceTypes.from_string("co"), AccountSasPermissions.from_string("cw"),
        datetime.now(UTC) + timedelta(minutes=5),
    )  # fmt: skip
    request.url = f"{container.url}/{name}?{sas}"
    with requests.Session() as session:
        settings = session.merge_environment_settings(container.url, {}, None, None, None)
        response = session.send(request, timeout=30, **settings)
    assert (response.status_code, response.headers["x-ms-error-code"]) == (400, "InvalidUri")


@pytest.mark.usefixtures("sandbox_env")
def test_errors_are_the_xml_of_the_service(container: ContainerClient, key: str) -> None:
    sas = _blob_sas(container, key, "none", "r")
    response = requests.get(f"{container.url}/none?{sas}", timeout=30)
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/xml"
    assert "<Code>BlobNotFound</Code>" in response.text
    assert re.search(r"RequestId:[0-9a-f-]{36}", response.text)


def test_what_the_service_does_not_have_is_refused_in_its_own_codes(container: ContainerClient) -> None:
    blob = container.upload_blob("plain", b"text")
    for attempt, code in (
        (blob.acquire_lease, "NotImplemented"),
        (blob.create_snapshot, "NotImplemented"),
        (lambda: blob.set_standard_blob_tier("Cool"), "NotImplemented"),
        (lambda: container.get_blob_client("copy").start_copy_from_url(blob.url), "NotImplemented"),
        (lambda: blob.download_blob(lease=LEASE), "LeaseNotPresentWithBlobOperation"),
        (lambda: container.get_blob_client("plain", snapshot="2026-01-01T00:00:00Z").download_blob(), "BlobNotFound"),
    ):
        with pytest.raises(HttpResponseError) as caught:
            attempt()
        assert caught.value.error_code == code
    assert blob.download_blob().readall() == b"text"


@pytest.mark.usefixtures("sandbox_env")
def test_a_block_list_with_a_document_type_is_refused(container: ContainerClient, key: str) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><BlockList><Latest>&a;</Latest></BlockList>'
    sas = _blob_sas(container, key, "bomb", "cw")
    response = requests.put(f"{container.url}/bomb?comp=blocklist&{sas}", data=bomb, timeout=30)
    assert response.headers["x-ms-error-code"] == "InvalidXmlDocument"
