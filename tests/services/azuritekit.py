"""Azurite, Microsoft's blob service emulator from npm: an independent server for the own upload to prove itself on."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from azure.core.credentials import TokenCredential
from azure.storage.blob import AccountSasPermissions, BlobServiceClient, ResourceTypes, generate_account_sas

from tui.services import pipeline
from tui.services.clients import Azure
from tui.services.projects import Workspace
from tui.services.tokens import Tokens
from tui.settings import Settings

# Azurite's documented account.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "azureml-blobstore"
WORKSPACE = Workspace("/subscriptions/s/resourceGroups/g/providers/p/workspaces/w", "w", "project", "s", "g", "eastus2")


def _program() -> str | None:
    """Path of `azurite-blob`: named by PHIFT_AZURITE, installed for the client tests, or on the path."""
    own = Path(__file__).parents[2] / ".venv/clients/node_modules/.bin/azurite-blob"
    return os.environ.get("PHIFT_AZURITE") or (str(own) if own.exists() else shutil.which("azurite-blob"))


PROGRAM = _program()


class Account:
    """The part of a connection that an upload asks about its datastore, answered for Azurite's account."""

    def __init__(self, port: int, settings: Settings) -> None:
        self.settings = settings
        self.transport = pipeline.Patient(settings, Tokens(cast(TokenCredential, None)))
        self.url = f"http://{ACCOUNT}.blob.localhost:{port}"
        self._port = port

    now = Azure.now
    sdk = Azure.sdk
    _clock_offset = dt.timedelta(0)

    def rest(self, method: str, path: str, **_: Any) -> dict[str, Any]:
        if path.endswith("/listSecrets"):
            return {"sasToken": self.signature()}
        return {
            "properties": {
                "protocol": "http",
                "accountName": ACCOUNT,
                "containerName": CONTAINER,
                "endpoint": f"localhost:{self._port}",
                "credentials": {"credentialsType": "AccountKey"},
            }
        }

    def signature(self) -> str:
        """A shared access signature for everything in the account."""
        return generate_account_sas(
            ACCOUNT,
            KEY,
            ResourceTypes(service=True, container=True, object=True),
            AccountSasPermissions(read=True, write=True, create=True, add=True, list=True, delete=True),
            dt.datetime.now(dt.UTC) + dt.timedelta(hours=1),
            protocol="https,http",
        )


@contextmanager
def azurite(folder: Path) -> Iterator[Azure]:
    """A running Azurite with one container, seen as a connection to Azure; its host names lead to this machine."""
    assert PROGRAM
    process = subprocess.Popen(
        [PROGRAM, "--blobPort", "0", "--location", str(folder), "--skipApiVersionCheck", "--disableTelemetry"],
        stdout=subprocess.PIPE,
        text=True,
    )
    resolve = socket.getaddrinfo

    def here(host: Any, *arguments: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **named)

    try:
        assert process.stdout
        port = 0
        for line in process.stdout:
            if told := re.search(r"listen\w* (?:at|on) https?://[^:]+:(\d+)", line):
                port = int(told[1])
                break
        assert port, "Azurite ended before it listened"
        socket.getaddrinfo = here
        account = Account(port, Settings(state=folder / "state"))
        BlobServiceClient(account.url, credential=account.signature()).create_container(CONTAINER)
        yield cast(Azure, account)
    finally:
        socket.getaddrinfo = resolve
        process.terminate()
        process.communicate()
