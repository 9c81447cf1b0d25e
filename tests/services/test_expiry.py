"""A token or signature that ends in the middle of a step: it is replaced, or asked for, and the step goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from tui.recipe import Recipe, Target
from tui.sandbox import daemon
from tui.sandbox.daemon import SandboxInfo
from tui.services import catalog, identity, jobs, projects, submissions, uploads
from tui.services.clients import Azure
from tui.services.errors import Cancelled, SignInRequired
from tui.services.journal import Journal
from tui.services.progress import Cancel
from tui.services.projects import Workspace
from tui.services.submissions import Submission
from tui.services.tokens import Tokens
from tui.settings import Settings

Upset = Callable[..., None]


def struck(sandbox: SandboxInfo) -> int:
    """How often the armed faults have struck."""
    return sum(fault["fired"] for fault in daemon.control(sandbox, "GET", "/faults")["faults"])


@pytest.mark.parametrize("route", ["PUT */data/*", "PUT *.blob.core.windows.net/*", "GET */datastores/*"])
def test_in_the_middle_of_an_upload_and_of_the_registration_by_the_sdk(
    azure: Azure, sandbox: SandboxInfo, project: Workspace, journal: Journal, chats: Callable[..., Path], upset: Upset,
    route: str,
) -> None:  # fmt: skip
    upset(route, "expired-sas" if "blob" in route else "expired-token", count=1)
    asset = uploads.upload(azure, project, chats(8, seed=f"expiry {route}"), "expiry", journal=journal)
    assert not asset.reused
    assert struck(sandbox) == 1
    assert journal.open() == []


def test_in_the_middle_of_an_upload_by_identity(
    azure: Azure, sandbox: SandboxInfo, project: Workspace, journal: Journal, chats: Callable[..., Path], upset: Upset
) -> None:
    upset(storage={"account_keys": "forbidden"}, access={"role": "Owner", "data_role": "Storage Blob Data Contributor"})
    # The first is refused as signed with a forbidden key, the second for its token.
    upset("PUT *.blob.core.windows.net/*", "expired-token", count=1, skip=1)
    uploads.upload(azure, project, chats(8, seed="by identity"), "expiry", journal=journal)
    assert struck(sandbox) >= 1


def test_in_the_sdks_submit_and_while_it_is_watched(
    azure: Azure, sandbox: SandboxInfo, project: Workspace, recipe: Recipe, journal: Journal,
    chats: Callable[..., Path], upset: Upset,
) -> None:  # fmt: skip
    training = uploads.upload(azure, project, chats(12, seed="expiring submit"), "expiry", journal=journal)
    model = catalog.require(azure, recipe)
    upset("PUT */jobs/*", "expired-token", count=1)
    upset("GET */jobs/*", "expired-token", count=1, skip=1)
    wanted = Submission(project, recipe, model, training, None, submissions.new_name(recipe), rows=12)
    job = submissions.submit(azure, wanted, journal=journal)
    assert struck(sandbox) == 2
    jobs.cancel(azure, project, job.name)
    assert journal.open() == []


def test_in_the_creation_of_a_hub(
    azure: Azure, sandbox: SandboxInfo, own_target: Target, journal: Journal, upset: Upset
) -> None:
    upset("PUT */workspaces/*", "expired-token", count=1)
    upset("GET */workspaces/*", "expired-token", count=1, skip=2)
    assert projects.ensure_hub(azure, own_target, journal=journal).kind == "hub"
    assert struck(sandbox) == 2


class Dead:
    """A credential whose sign-in has ended for good."""

    def get_token(self, *scopes: str, **_: object) -> AccessToken:
        raise ClientAuthenticationError("AADSTS700082: The refresh token has expired due to inactivity.")


def test_where_no_token_comes_any_more_the_person_is_asked_and_the_step_goes_on(
    azure: Azure, sandbox: SandboxInfo, settings: Settings, project: Workspace, upset: Upset
) -> None:
    asked: list[SignInRequired] = []

    def sign_in(error: SignInRequired, cancel: Cancel) -> bool:
        asked.append(error)
        azure.credential.take(identity.connect(settings).credential)
        return True

    azure.credential.take(Tokens(Dead()))
    azure.credential.ask = sign_in
    upset("GET */workspaces/*", "expired-token", count=1)
    assert projects.get(azure, project.subscription, project.resource_group, project.name) == project
    (error,) = asked
    assert error.code == "AADSTS700082"


def test_a_person_who_gives_up_is_told_what_ended_the_step(azure: Azure, project: Workspace, upset: Upset) -> None:
    azure.credential.take(Tokens(Dead()))
    azure.credential.ask = lambda error, cancel: False
    upset("GET */workspaces/*", "expired-token", count=1)
    with pytest.raises(SignInRequired):
        projects.get(azure, project.subscription, project.resource_group, project.name)


def test_waiting_for_the_person_ends_with_the_step(azure: Azure, project: Workspace, upset: Upset) -> None:
    cancel = Cancel()

    def wait(error: SignInRequired, given: Cancel) -> bool:
        assert given is cancel
        cancel.set()
        given.check()
        return True

    azure.credential.take(Tokens(Dead()))
    azure.credential.ask = wait
    upset("GET */workspaces/*", "expired-token", count=1)
    with pytest.raises(Cancelled):
        azure.rest("GET", project.id, api_version=projects.API, cancel=cancel)


def test_a_key_of_an_endpoint_is_not_taken_for_a_token(azure: Azure) -> None:
    assert azure.credential.in_place_of("the key of an endpoint") is None
