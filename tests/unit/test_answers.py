"""Azure's refusals in the error tree: kind, code, request id, what to do; no secret on the way."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.services.answers import error_from, error_in
from tui.services.errors import (
    AccessError,
    Conflict,
    ModelUnavailable,
    NotFound,
    PermissionDenied,
    PhiftError,
    ProviderNotRegistered,
    ServiceError,
    SignInRequired,
    Throttled,
    Unreachable,
)
from tui.services.redaction import MASK, redact


def body(code: str, message: str = "Something happened", **more: Any) -> str:
    return json.dumps({"error": {"code": code, "message": message, **more}})


@pytest.mark.parametrize(
    ("status", "text", "kind", "code", "exit_code"),
    [
        (401, body("InvalidAuthenticationToken"), SignInRequired, "InvalidAuthenticationToken", 4),
        (403, body("AuthorizationFailed"), PermissionDenied, "AuthorizationFailed", 4),
        (
            403,
            "<Error><Code>AuthenticationFailed</Code><Message>No</Message></Error>",
            AccessError,
            "AuthenticationFailed",
            4,
        ),
        (403, body("SomethingNew"), PermissionDenied, "SomethingNew", 4),
        (404, body("ResourceNotFound"), NotFound, "ResourceNotFound", 5),
        (409, body("MissingSubscriptionRegistration"), ProviderNotRegistered, "MissingSubscriptionRegistration", 4),
        (409, body("NameTaken"), Conflict, "NameTaken", 5),
        (
            400,
            body("UserError", innererror={"code": "BadArgument", "innererror": {"code": "ModelNotSupportedByMaaS"}}),
            ModelUnavailable,
            "ModelNotSupportedByMaaS",
            5,
        ),
        (
            400,
            body("DeploymentFailed", "See details", details=[{"code": "SkuNotAvailable", "message": "No such size"}]),
            ServiceError,
            "SkuNotAvailable",
            5,
        ),
        (
            400,
            body("content_filter", "The prompt was filtered", innererror={"code": "ResponsibleAIPolicyViolation"}),
            ServiceError,
            "content_filter",
            5,
        ),
        (429, body("TooManyRequests"), Throttled, "TooManyRequests", 5),
        (503, "", Unreachable, "Http503", 5),
        (502, "<html>bad gateway</html>", Unreachable, "Http502", 5),
        (
            403,
            "<Error><Code>KeyBasedAuthenticationNotPermitted</Code><Message>No keys\nTime</Message></Error>",
            PermissionDenied,
            "KeyBasedAuthenticationNotPermitted",
            4,
        ),
        (
            401,
            json.dumps({"error": "invalid_client", "error_description": "AADSTS7000215: Wrong secret. Trace ID: 1"}),
            SignInRequired,
            "invalid_client",
            4,
        ),
        (
            400,
            json.dumps({"error": {"error": {"code": "UserError", "message": "No such run"}}}),
            ServiceError,
            "UserError",
            5,
        ),
    ],
)
def test_a_refusal_has_its_kind_and_azures_innermost_code(
    status: int, text: str, kind: type[PhiftError], code: str, exit_code: int
) -> None:
    error = error_from(status, {"x-ms-request-id": "r-1"}, text, "Reason")
    assert type(error) is kind
    assert (error.code, error.exit_code, error.request_id) == (code, exit_code, "r-1")
    assert error.message
    assert error.raw == redact(text)


def test_every_kind_that_a_person_can_mend_says_how() -> None:
    for code in ("AuthorizationFailed", "MissingSubscriptionRegistration", "ModelNotSupportedByMaaS", "QuotaExceeded"):
        error = error_from(400, {}, body(code))
        assert error.meaning
        assert error.next_step


def test_a_failed_operation_is_read_like_a_refusal() -> None:
    error = error_in({"status": "Failed", "error": {"code": "QuotaExceeded", "message": "Too many"}}, "It failed.")
    assert (error.code, error.message) == ("QuotaExceeded", "Too many")
    assert error_in({}, "It failed.").message == "It failed."


JSONISH: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "details", "innererror", "error_description"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.integers(400, 599), JSONISH.map(json.dumps) | st.text(max_size=80))
def test_no_body_breaks_the_reader(status: int, text: str) -> None:
    error = error_from(status, {}, text)
    assert error.message
    assert error.code


TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJvaWQiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        (TOKEN, f"got {TOKEN} back"),
        (TOKEN, json.dumps({"access_token": TOKEN})),
        ("abc%2Bdef%3D", "https://a.blob.core.windows.net/c/b?sv=1&sig=abc%2Bdef%3D&se=2"),
        ("abc/def=", '{"sasToken":"?sv=1&sig=abc/def="}'),
        ("k3y-v4lue", '{"primaryKey": "k3y-v4lue"}'),
        ("0123456789abcdefXYZ", "Authorization: Bearer 0123456789abcdefXYZ"),
        ("hunter2hunter2", "grant_type=x&client_secret=hunter2hunter2&scope=y"),
        ("QUJDREVGR0hJSktMTU5PUFFSU1Q=", "AccountName=a;AccountKey=QUJDREVGR0hJSktMTU5PUFFSU1Q=;x"),
    ],
)
def test_secrets_are_masked_everywhere(secret: str, text: str) -> None:
    assert secret not in redact(text)
    assert MASK in redact(text)
    error = error_from(400, {}, body("Bad", text))
    assert secret not in "".join([*error.lines(), error.raw, str(error), json.dumps(error.to_json())])


@given(st.text(max_size=200))
def test_masking_twice_is_masking_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)
