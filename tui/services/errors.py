"""The tree of errors that services raise: what happened, what it means, what to do next.

PhiftError                  5   anything below
├── UsageError              2   the request itself is wrong (an argument, a recipe, a file name)
├── DataRefused             3   the dataset would doom the run
├── AccessError             4   signing in or permissions
│   ├── SignInRequired
│   ├── PermissionDenied
│   └── ProviderNotRegistered
├── ServiceError            5   Azure answered with an error
│   ├── NotFound
│   ├── Conflict
│   ├── Throttled
│   ├── ModelUnavailable        retired, or not offered in this region
│   └── Unreachable             no answer (network, proxy, certificate), or one of a server that failed
├── JobFailed               6
├── Cancelled               7
└── BudgetExceeded          8

The number is the exit code of the headless commands.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tui.messages import t


class PhiftError(Exception):
    """An error to be shown to a person: stable code, what happened, what it means, what to do next.

    Attributes:
        code: stable identifier; Azure's own code where Azure answered.
        message: what happened, in one sentence.
        meaning: what that means for the user's work; may be empty.
        next_step: what to do next; may be empty.
        request_id: Azure's `x-ms-request-id` (or correlation id), for a support request.
        raw: Azure's answer as it came, for the view behind one key.
    """

    exit_code: ClassVar[int] = 5
    default_code: ClassVar[str] = "Error"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        meaning: str = "",
        next_step: str = "",
        request_id: str = "",
        raw: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message
        self.meaning = meaning
        self.next_step = next_step
        self.request_id = request_id
        self.raw = raw

    def to_json(self) -> dict[str, Any]:
        """The fields that a program needs, empty ones left out."""
        fields = {
            "code": self.code,
            "message": self.message,
            "meaning": self.meaning,
            "next": self.next_step,
            "request_id": self.request_id,
        }
        return {name: value for name, value in fields.items() if value}

    def lines(self) -> list[str]:
        """The error as lines of plain text, most important first."""
        found = [f"{self.message} ({self.code})"]
        if self.meaning:
            found.append(self.meaning)
        if self.next_step:
            found.append(t("Next: {step}", step=self.next_step))
        if self.request_id:
            found.append(t("Azure request id: {id}", id=self.request_id))
        return found


class UsageError(PhiftError):
    """An argument, a recipe or a file name is wrong."""

    exit_code = 2
    default_code = "Usage"


class DataRefused(PhiftError):
    """The dataset has errors that would doom the run."""

    exit_code = 3
    default_code = "DataRefused"


class AccessError(PhiftError):
    """Signing in or permissions stand in the way."""

    exit_code = 4
    default_code = "Access"


class SignInRequired(AccessError):
    """No valid credential: never signed in, expired, or refused."""

    default_code = "SignInRequired"


class PermissionDenied(AccessError):
    """Azure refused an action for want of a role assignment."""

    default_code = "AuthorizationFailed"


class ProviderNotRegistered(AccessError):
    """The subscription is not registered for a resource provider."""

    default_code = "MissingSubscriptionRegistration"


class ServiceError(PhiftError):
    """Azure answered with an error that has no class of its own here."""

    default_code = "ServiceError"


class NotFound(ServiceError):
    """The resource does not exist."""

    default_code = "ResourceNotFound"


class Conflict(ServiceError):
    """The resource is in a state, or has a name, that forbids the request."""

    default_code = "Conflict"


class Throttled(ServiceError):
    """Azure asked to slow down, longer than we may wait."""

    default_code = "TooManyRequests"


class ModelUnavailable(ServiceError):
    """The model is retired, or not offered for fine-tuning in this region."""

    default_code = "ModelUnavailable"


class Unreachable(ServiceError):
    """No answer (name resolution, connection, certificate, time-out), or a status from 500: the effect is not known."""

    default_code = "Unreachable"


class JobFailed(PhiftError):
    """The fine-tuning job ended as failed."""

    exit_code = 6
    default_code = "JobFailed"


class Cancelled(PhiftError):
    """The user (or another user, on Azure) cancelled."""

    exit_code = 7
    default_code = "Cancelled"


class BudgetExceeded(PhiftError):
    """The estimate is over the budget."""

    exit_code = 8
    default_code = "BudgetExceeded"
