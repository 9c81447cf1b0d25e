"""The endpoints of a project: their state, content safety, and what an hour of each bills."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from tui.messages import t
from tui.text import line
from tui.widgets.columns import Column
from tui.widgets.row_list import Row, RowList

if TYPE_CHECKING:
    from tui.services.deployments import Endpoint


def is_base(endpoint: Endpoint) -> bool:
    """Whether it serves a model of the registry, billed by the token, rather than one of the project."""
    return endpoint.model.lower().startswith("azureml://registries/")


def call_example(endpoint: Endpoint) -> str:
    """The endpoint's address, the command that shows its key, and a call to copy, without the key."""
    return (
        f"{t('Address')}: {endpoint.uri}\n{t('Key')}: phift-tui deployments keys {endpoint.name}\n\n"
        f"curl {endpoint.uri}/v1/chat/completions \\\n"
        "  -H \"Authorization: Bearer $KEY\" -H 'Content-Type: application/json' \\\n"
        '  -d \'{"messages": [{"role": "user", "content": "Hello"}]}\'\n\n'
        f"phift-tui chat {endpoint.name}"
    )


class EndpointList(RowList):
    """One endpoint a row."""

    def __init__(self) -> None:
        super().__init__(
            (
                Column(t("endpoint"), 0),
                Column(t("state"), 12),
                Column(t("model"), 18, from_width=90),
                Column(t("safety"), 11),
                Column(t("an hour"), 10, right=True),
                Column(t("since"), 16, from_width=70),
            ),
            t("Asking Azure for the endpoints…"),
        )
        self._endpoints: dict[str, Endpoint] = {}

    @property
    def marked(self) -> Endpoint | None:
        """The endpoint under the highlight."""
        return self._endpoints.get(self.key)

    def show_endpoints(self, endpoints: Sequence[Endpoint]) -> None:
        """Show these endpoints."""
        # A serverless and an online endpoint may have the same name.
        self._endpoints = {endpoint.id: endpoint for endpoint in endpoints}
        self.say(t("None: nothing bills by the hour."))
        self.show([self._row(endpoint) for endpoint in endpoints])

    def _row(self, endpoint: Endpoint) -> Row:
        state, colour = ("✓", "$text-success") if endpoint.ready else ("◌", "$text-warning")
        safety = {True: t("on"), False: t("off"), None: t("unknown")}[endpoint.content_safety]
        hourly = f"{endpoint.hourly.amount:.2f} {endpoint.hourly.currency}" if endpoint.hourly else t("unknown")
        if is_base(endpoint):
            hourly = t("by token")
        since = f"{endpoint.created.astimezone():%Y-%m-%d %H:%M}" if endpoint.created else ""
        return Row(
            endpoint.id,
            (
                line(endpoint.name), line(f"{state} {endpoint.state}", colour), line(endpoint.model_name),
                Content(safety), Content(hourly), Content(since),
            ),
        )  # fmt: skip
