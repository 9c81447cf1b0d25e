"""The credential of a connection: tokens are replaced when Azure refuses them, and the person is asked when none comes.

Imports azure-core, so it is imported where it is needed and not before.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from tui.services.clients import sign_in_error
from tui.services.errors import SignInRequired
from tui.services.progress import Cancel, in_thread

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_REMEMBERED = 32

Ask = Callable[[SignInRequired, Cancel], bool]
"""Asks the person to sign in anew and waits until they have, or until cancelled; whether they did."""


class Tokens:
    """A credential around azure-identity's: cancellable, replaceable, and willing to ask; any thread may use it."""

    def __init__(self, source: TokenCredential, *, claims: bool = True, got: Callable[[], None] | None = None) -> None:
        """Wrap a credential.

        Args:
            source: azure-identity's.
            claims: whether it takes claims, by which it is told not to answer from its cache; the Azure CLI does not.
            got: called after each token, to keep what has to be kept.
        """
        self._source = source
        self._claims = claims
        self._got = got
        self._turn = threading.Lock()
        self._renewal = threading.Lock()
        self._issued: OrderedDict[str, tuple[tuple[str, ...], str]] = OrderedDict()
        self._in_place_of: dict[str, str] = {}
        self.ask: Ask | None = None
        """Asked where no token comes any more, so that the step goes on by itself; None: the step fails."""
        self.cancel: Callable[[], Cancel | None] = lambda: None
        """The stop signal of the call that runs in this thread."""

    def take(self, other: Tokens) -> None:
        """Go on with the credential of another sign-in."""
        self._source, self._claims, self._got = other._source, other._claims, other._got

    def get_token(self, *scopes: str, claims: str | None = None, tenant_id: str | None = None, **_: Any) -> AccessToken:
        """A token for `scopes`.

        Raises:
            ClientAuthenticationError: none comes, and nobody was there to ask or they gave up.
            Cancelled: the call that needs it was cancelled.
        """
        cancel = self.cancel() or Cancel()
        with _alone(self._turn, cancel):  # one asks the person; the others wait and get the same
            return self._get(scopes, claims, tenant_id or "", cancel)

    def _get(self, scopes: tuple[str, ...], claims: str | None, tenant: str, cancel: Cancel) -> AccessToken:
        while True:
            options: dict[str, Any] = {"claims": claims} if claims and self._claims else {}
            if tenant:
                options["tenant_id"] = tenant
            source = self._source
            try:
                token = in_thread(lambda source=source, options=options: source.get_token(*scopes, **options), cancel)  # type: ignore[misc]  # the defaults bind the loop's values
            except ClientAuthenticationError as error:
                told = sign_in_error(error)
                if self.ask is None or not isinstance(told, SignInRequired) or not self.ask(told, cancel):
                    raise
                if self._source is not source:
                    claims = None  # a new sign-in has new tokens
                continue
            self._remember(token.token, scopes, tenant)
            if self._got:
                self._got()
            return AccessToken(token.token, token.expires_on)

    def _remember(self, token: str, scopes: tuple[str, ...], tenant: str) -> None:
        self._issued[token] = (scopes, tenant)
        while len(self._issued) > _REMEMBERED:
            old, _ = self._issued.popitem(last=False)
            self._in_place_of.pop(old, None)

    def in_place_of(self, refused: str) -> str | None:
        """Another token for what `refused` was for; None where that is none of ours, as an endpoint's key is not."""
        known = self._issued.get(refused)
        if known is None:
            return None
        with _alone(self._renewal, self.cancel() or Cancel()):
            if refused not in self._in_place_of:
                scopes, tenant = known
                # A claims challenge that no cached token meets, worded as continuous access evaluation words it.
                claims = json.dumps({"access_token": {"nbf": {"essential": True, "value": str(int(time.time()))}}})
                self._in_place_of[refused] = self.get_token(*scopes, claims=claims, tenant_id=tenant or None).token
            return self._in_place_of[refused]


@contextmanager
def _alone(lock: threading.Lock, cancel: Cancel) -> Iterator[None]:
    """Hold a lock, waiting for it no longer than until a stop is asked for."""
    while not lock.acquire(timeout=0.1):
        cancel.check()
    try:
        yield
    finally:
        lock.release()
