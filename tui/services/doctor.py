"""The access doctor: what this identity may do, which step would fail, and which command mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from tui.messages import mark, n, t
from tui.recipe import Engine, Recipe
from tui.services import catalog, machines, projects
from tui.services.access import ML, RESOURCES_API, allowed, permissions, quota, registration, subscriptions
from tui.services.errors import ModelUnavailable, NotFound, PermissionDenied, PhiftError, Unreachable
from tui.services.progress import Cancel

if TYPE_CHECKING:
    from tui.services.clients import Azure

_STORAGE_API = "2023-04-01"

Level = Literal["ok", "warning", "problem", "unknown"]
LEVELS: dict[Level, str] = {
    "ok": mark("ok"),
    "warning": mark("warning"),
    "problem": mark("problem"),
    "unknown": mark("unknown"),
}
"""The levels in words, not translated yet."""
STEPS = {
    "project": mark("project"),
    "upload": mark("upload"),
    "submit": mark("submit"),
    "monitor": mark("monitor"),
    "deploy": mark("deploy"),
    "ask": mark("ask"),
    "clean up": mark("clean up"),
}
"""The steps that findings name, in words, not translated yet."""
_Presence = Literal["present", "absent", "hidden"]
OnFinding = Callable[["Finding"], None]


@dataclass(frozen=True)
class Finding:
    """One thing that was examined."""

    code: str
    """Stable identifier, such as `provider.Microsoft.Network`."""
    level: Level
    title: str
    detail: str = ""
    step: str = ""
    """Step of the flow that fails without it."""
    role: str = ""
    """Role that mends it."""
    command: str = ""
    """Exact `az` command that mends it."""
    hub: str = ""
    """Resource id of a hub to use instead."""

    def lines(self) -> list[str]:
        """What it means, for a person: the detail, which step fails, which role mends it; not the command."""
        found = [self.detail] if self.detail else []
        if self.step and self.level != "ok":
            step = t(STEPS.get(self.step, self.step))
            sure = t("Without it this step fails: {step}.", step=step)
            found.append(
                t("If it is not in order, this step fails: {step}.", step=step) if self.level == "unknown" else sure
            )
        if self.role:
            found.append(t("Role that mends it: {role}.", role=self.role))
        return found

    def to_json(self) -> dict[str, str]:
        """The finding for programs, empty fields left out."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Provider:
    """A resource provider that the flow needs."""

    namespace: str
    step: str
    always: bool


# Source: fine-tune-serverless.md of MicrosoftDocs/azure-ai-docs names Microsoft.Network; the others are those of the
# resources that a hub is made of.
PROVIDERS = (
    Provider(ML, "project", True),
    Provider("Microsoft.Storage", "project", True),
    Provider("Microsoft.KeyVault", "project", True),
    Provider("Microsoft.Network", "submit", True),
    Provider("Microsoft.CognitiveServices", "project", False),
)


@dataclass(frozen=True)
class _Need:
    """An action that a step takes."""

    action: str
    step: str
    what: str
    role: str
    scope: Literal["subscription", "group"]
    data: bool = False


_DEVELOPER = "Azure AI Developer"
# Azure AI Developer's definition excludes creating hubs and reading their keys (hub-rbac-foundry.md), so Contributor is
# named where it does not suffice.
_GROUP_NEED = _Need(
    "Microsoft.Resources/subscriptions/resourceGroups/write",
    "project",
    mark("create the resource group"),
    "Contributor",
    "subscription",
)
_HUB_NEEDS = (
    _Need(
        "Microsoft.Storage/storageAccounts/write",
        "project",
        mark("create the hub's storage account"),
        "Contributor",
        "group",
    ),
    _Need("Microsoft.KeyVault/vaults/write", "project", mark("create the hub's key vault"), "Contributor", "group"),
    _Need(f"{ML}/workspaces/write", "project", mark("create the hub"), "Contributor", "group"),
    _Need(f"{ML}/workspaces/hubs/write", "project", mark("create the hub"), "Contributor", "group"),
)
# Or _JOIN, where the project is to be in the hub's default resource group.
_PROJECT_NEEDS = (_Need(f"{ML}/workspaces/write", "project", mark("create the project"), "Contributor", "group"),)
_JOIN = f"{ML}/workspaces/hubs/join/action"
_HUBS_LOOKED_AT = 5
_TRAINING_NEEDS = (
    _Need(f"{ML}/workspaces/datastores/listSecrets/action", "upload", mark("upload the data"), _DEVELOPER, "group"),
    _Need(f"{ML}/workspaces/data/versions/write", "upload", mark("register the data"), _DEVELOPER, "group"),
    _Need(f"{ML}/workspaces/jobs/write", "submit", mark("submit the job"), _DEVELOPER, "group"),
    _Need(f"{ML}/workspaces/jobs/cancel/action", "monitor", mark("cancel the job"), _DEVELOPER, "group"),
)
_CODE_NEEDS = (
    _Need(f"{ML}/workspaces/codes/versions/write", "submit", mark("register the trainer"), _DEVELOPER, "group"),
)


def _endpoint_needs(kind: str) -> tuple[_Need, ...]:
    endpoints = f"{ML}/workspaces/{kind}"
    return (
        _Need(f"{endpoints}/write", "deploy", mark("deploy the model"), _DEVELOPER, "group"),
        _Need(f"{endpoints}/listKeys/action", "ask", mark("read the endpoint's key"), _DEVELOPER, "group"),
        _Need(f"{endpoints}/delete", "clean up", mark("delete the endpoint"), _DEVELOPER, "group"),
    )


_ONLINE_NEEDS = (
    _Need(
        f"{ML}/workspaces/onlineEndpoints/deployments/write", "deploy", mark("deploy the model"), _DEVELOPER, "group"
    ),
    *_endpoint_needs("onlineEndpoints"),
)
_CLEANING_NEEDS = (
    _Need(f"{ML}/workspaces/models/versions/delete", "clean up", mark("delete the model"), _DEVELOPER, "group"),
)
# What a model that an engine tuned is deployed by, and what else the engine takes.
_RUN_NEEDS: dict[Engine, tuple[_Need, ...]] = {
    "serverless": (*_TRAINING_NEEDS, *_endpoint_needs("serverlessEndpoints"), *_CLEANING_NEEDS),
    "managed": (*_TRAINING_NEEDS, *_ONLINE_NEEDS, *_CLEANING_NEEDS),
    "script": (*_TRAINING_NEEDS, *_CODE_NEEDS, *_ONLINE_NEEDS, *_CLEANING_NEEDS),
}
_BLOB_NEED = _Need(
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "upload",
    mark("upload the data by identity"),
    "Storage Blob Data Contributor",
    "group",
    data=True,
)


# What could not be examined, by the examination, and the step that may fail for it.
_UNSEEN = {
    "subscription": (mark("The subscription could not be examined"), "project"),
    "providers": (mark("The resource providers could not be examined"), "project"),
    "region": (mark("The model and its region could not be examined"), "submit"),
    "permissions": (mark("The permissions could not be examined"), "project"),
    "quota": (mark("The quota could not be examined"), "submit"),
    "storage": (mark("The storage account could not be examined"), "upload"),
}


def examine(
    azure: Azure, recipe: Recipe, *, on_finding: OnFinding | None = None, cancel: Cancel | None = None
) -> list[Finding]:
    """Look at everything that the recipe's run will need; nothing is registered or created.

    Args:
        azure: the connection.
        recipe: what is to be run; its target's subscription must be set.
        on_finding: told of each finding as it is made.
        cancel: stops between two questions.

    Returns:
        The findings in the order of the flow; those of level `problem` stop the run.

    Raises:
        Unreachable: Azure does not answer at all.
    """
    findings: list[Finding] = []
    cancel = cancel or Cancel()

    def add(finding: Finding) -> None:
        cancel.check()
        findings.append(finding)
        if on_finding:
            on_finding(finding)

    doctor = _Doctor(azure, recipe)
    for examination in (
        doctor.subscription,
        doctor.providers,
        doctor.region,
        doctor.permissions,
        doctor.quota,
        doctor.storage,
    ):
        try:
            for finding in examination():
                add(finding)
        except PhiftError as error:
            if not isinstance(error, PermissionDenied | NotFound) and error.exit_code != 5:
                raise
            if isinstance(error, Unreachable) and not findings:
                raise  # nothing can be asked; the others would only wait as long each
            add(doctor.unseen(examination.__name__, error))
    return findings


class _Doctor:
    """One examination; what one question learns, later ones use."""

    def __init__(self, azure: Azure, recipe: Recipe) -> None:
        self.azure = azure
        self.recipe = recipe
        self.target = recipe.target
        self.scope = f"/subscriptions/{self.target.subscription}"
        self.group = f"{self.scope}/resourceGroups/{self.target.resource_group}"
        self.hub: projects.Workspace | None = None
        self.model: catalog.Model | None = None
        self.usable = True

    def unseen(self, examination: str, error: PhiftError) -> Finding:
        """What became of an examination that ended with an error; the command shows it to who may see it."""
        title, step = _UNSEEN[examination]
        commands = {
            "providers": f"az provider list --subscription {self.target.subscription} "
            '--query "[].[namespace,registrationState]" --output table',
            "storage": f"az storage account show --ids {self.hub.storage_id} --query allowSharedKeyAccess"
            if self.hub
            else "",
            "quota": f"az ml compute list-usage --location {self.target.location} --output table",
        }
        command = commands.get(examination, "") if isinstance(error, PermissionDenied) else ""
        return Finding(f"{examination}.unknown", "unknown", t(title), error.message, step, command=command)

    def subscription(self) -> Iterable[Finding]:
        # The list has every subscription with any role in it; reading one directly takes a role on the subscription.
        wanted = self.target.subscription.casefold()
        item = next((one for one in subscriptions(self.azure) if one.id.casefold() == wanted), None)
        if item is None:
            self.usable = False
            yield Finding(
                "subscription.missing",
                "problem",
                t("The subscription cannot be seen by this identity"),
                t("{subscription}; signed in as {name}", subscription=self.target.subscription,
                  name=self.azure.identity.name),
                "project",
                "Reader",
                self._assign("Reader", self.scope),
            )  # fmt: skip
            return
        if item.state not in ("Enabled", "Warned", "PastDue"):
            yield Finding(
                "subscription.state",
                "problem",
                t("The subscription {name} is {state}", name=item.name, state=item.state),
                t("Nothing can be created in it. Its owner activates it again in the portal; or choose another one."),
                "project",
                command="az account list --output table",
            )
        elif item.is_free:
            yield Finding(
                "subscription.free",
                "problem",
                t("The subscription {name} is of the kind {kind}", name=item.name, kind=item.kind),
                t("Fine-tuning needs a paid subscription; free and trial ones are refused."),
                "submit",
                "",
                "az account list --output table",
            )
        else:
            kind = t("Its kind: {kind}", kind=item.kind) if item.kind else t("kind not said")
            yield Finding("subscription", "ok", t("Subscription {name}", name=item.name), kind)

    def providers(self) -> Iterable[Finding]:
        if not self.usable:
            return
        for provider in PROVIDERS:
            if not provider.always and not self.target.ai_services:
                continue
            name = provider.namespace
            state = registration(self.azure, self.target.subscription, name)
            code = f"provider.{name}"
            if state == "Registered":
                yield Finding(code, "ok", t("{name} is registered", name=name))
            elif state == "Registering":
                yield Finding(code, "warning", t("{name} is being registered", name=name), step=provider.step)
            else:
                yield Finding(
                    code,
                    "problem",
                    t("{name} is not registered", name=name),
                    t("Registering is free and done once for a subscription."),
                    provider.step,
                    "Contributor",
                    f"az provider register --namespace {name} --subscription {self.target.subscription}",
                )

    def region(self) -> Iterable[Finding]:
        if not self.usable:
            return
        try:
            model = self.model = catalog.require(self.azure, self.recipe)
        except ModelUnavailable as error:
            yield Finding("model", "problem", error.message, f"{error.meaning} {error.next_step}".strip(), "submit")
            return
        region = self.target.location
        where = model.availability(self.recipe.model.engine, self.azure.today(), region)
        title = (
            t("{model} can be tuned in {region}", model=model.name, region=region)
            if where.ok
            else t("{model} in {region}: not known", model=model.name, region=region)
        )
        yield Finding("model", "ok" if where.ok else "unknown", title, where.reason)

    def permissions(self) -> Iterable[Finding]:
        if not self.usable:
            return
        group = self._presence(self.group, RESOURCES_API)
        above = permissions(self.azure, self.scope)
        entries = above if group == "absent" else permissions(self.azure, self.group)
        place = (self.target.subscription, self.target.resource_group)
        # That the resource group cannot be seen does not hide the hub in it from Azure AI Developer.
        hub = "absent" if group == "absent" else self._presence(projects.workspace_path(*place, self.target.hub))
        project = "absent" if hub == "absent" else self._presence(projects.workspace_path(*place, self.target.project))
        if hub == "present":
            self.hub = projects.get(self.azure, *place, self.target.hub)
        yield self._hub_finding(group, hub)
        by_joining = self._joins() and allowed(entries, _JOIN)
        presences: list[tuple[_Presence, tuple[_Need, ...]]] = [
            ("present" if hub == "present" else group, (_GROUP_NEED,)),
            (hub, _HUB_NEEDS),
            ("present" if by_joining else project, _PROJECT_NEEDS),
            ("absent", _RUN_NEEDS[self.recipe.model.engine]),
        ]
        looked = 0
        denied: list[_Need] = []
        for presence, needs in presences:
            for need in needs if presence != "present" else ():
                looked += 1
                wide = need.scope == "subscription" or group == "absent"
                if allowed(above if wide else entries, need.action):
                    continue
                denied.append(need)
                role = _DEVELOPER if need in _PROJECT_NEEDS and self._joins() else need.role
                detail = need.action
                if presence == "hidden":
                    detail = t("{action}; needed only where it does not exist, which cannot be seen", action=detail)
                yield Finding(
                    f"permission.{need.action}",
                    "warning" if presence == "hidden" else "problem",
                    t("Not permitted: {what}", what=t(need.what)),
                    detail,
                    need.step,
                    role,
                    self._assign(role, self.scope if wide else self.group),
                )
        if not denied:
            yield Finding(
                "permissions",
                "ok",
                t("All steps are permitted"),
                n("{count} action looked at", "{count} actions looked at", looked),
            )
        elif any(need in (_GROUP_NEED, *_HUB_NEEDS) for need in denied):
            yield from self._other_hubs()

    def _joins(self) -> bool:
        """Whether the project is where the hub makes one for those who may not make workspaces themselves."""
        return self.hub is not None and self.hub.default_group.casefold() == self.target.resource_group.casefold()

    def _other_hubs(self) -> Iterable[Finding]:
        """Hubs that exist and can be used by who may not make one; those where the model can be tuned first."""
        engine, day = self.recipe.model.engine, self.azure.today()

        def suits(hub: projects.Workspace) -> bool:
            where = self.model.availability(engine, day, hub.location) if self.model else None
            return where is not None and where.ok is not False

        found = sorted(projects.hubs(self.azure, self.target.subscription), key=lambda hub: not suits(hub))
        for hub in found[:_HUBS_LOOKED_AT]:
            if suits(hub) and hub.default_group and allowed(permissions(self.azure, hub.id), _JOIN):
                yield Finding(
                    "hub.other",
                    "warning",
                    t("The hub {name} exists, and you may add a project to it", name=hub.name),
                    t("It is in {region}, resource group {group}. Take it, and nothing has to be granted.",
                      region=hub.location, group=hub.default_group),
                    "project",
                    hub=hub.id,
                )  # fmt: skip
                return

    def quota(self) -> Iterable[Finding]:
        if not self.usable:
            return
        choice = self.recipe.model
        if choice.engine == "serverless":
            yield Finding(
                "quota",
                "ok",
                t("Serverless fine-tuning takes no quota of virtual machines"),
                t("An endpoint answers at most 200,000 tokens and 1,000 requests a minute."),
            )
            return
        if choice.compute or self.model is None:
            return  # an existing cluster has its machines
        size = machines.chosen(self.recipe, self.model)
        if not size:
            yield Finding("quota", "unknown", t("The GPU size is not chosen, so its quota is not known"), step="submit")
            return
        found = quota(self.azure, self.target.subscription, self.target.location, size)
        if found is None:
            yield Finding("quota", "unknown", t("The quota for {size} is not known", size=size), step="submit")
            return
        needed, free = found.cores * choice.instance_count, found.limit - found.used
        enough = needed <= free
        yield Finding(
            "quota",
            "ok" if enough else "problem",
            t("{machines} × {size} takes {needed} cores; {free} are free", machines=choice.instance_count, size=size,
              needed=needed, free=free),
            found.family if enough
            else t("{family}; ask for more in the portal: Machine Learning, Quotas.", family=found.family),
            "submit",
            command="" if enough else f"az ml compute list-usage --location {self.target.location} --output table",
        )  # fmt: skip

    def storage(self) -> Iterable[Finding]:
        if self.hub is None or not self.hub.storage_id:
            return
        body = self.azure.rest("GET", self.hub.storage_id, api_version=_STORAGE_API)
        if (body.get("properties") or {}).get("allowSharedKeyAccess") is not False:
            yield Finding("storage", "ok", t("The hub's storage account takes uploads by key"))
            return
        entries = permissions(self.azure, self.hub.storage_id)
        if allowed(entries, _BLOB_NEED.action, data=True):
            yield Finding("storage", "ok", t("The hub's storage account takes uploads by identity"))
            return
        yield Finding(
            "storage",
            "problem",
            t("The hub's storage account forbids keys, and the role for its data is missing"),
            t("Owner and Contributor do not include it."),
            "upload",
            _BLOB_NEED.role,
            self._assign(_BLOB_NEED.role, self.hub.storage_id),
        )

    def _presence(self, path: str, api_version: str = projects.API) -> _Presence:
        try:
            self.azure.rest("GET", path, api_version=api_version)
        except NotFound:
            return "absent"
        except PermissionDenied:
            return "hidden"
        return "present"

    def _hub_finding(self, group: _Presence, hub: _Presence) -> Finding:
        name = self.target.hub
        if hub == "hidden":
            return Finding(
                "hub", "unknown", t("The hub {name} cannot be seen by this identity", name=name), step="project"
            )
        if self.hub is None:
            if group != "absent":
                return Finding("hub", "ok", t("The hub {name} will be created", name=name))
            title = t(
                "The hub {name} will be created, with the resource group {group}",
                name=name,
                group=self.target.resource_group,
            )
            return Finding("hub", "ok", title)
        if self.hub.kind != "hub":
            return Finding(
                "hub", "problem", t("{name} exists and is not a hub", name=name), t("Choose another name."), "project"
            )
        if self.hub.location.replace(" ", "").lower() != self.target.location.lower():
            return Finding(
                "hub",
                "problem",
                t("The hub {name} is in {there}, not in {here}", name=name, there=self.hub.location,
                  here=self.target.location),
                t("The region of the hub decides which models can be tuned. Choose its region, or another hub."),
                "project",
            )  # fmt: skip
        return Finding("hub", "ok", t("The hub {name} exists", name=name), self.hub.location)

    def _assign(self, role: str, scope: str) -> str:
        return f'az role assignment create --assignee {self.azure.identity.object_id} --role "{role}" --scope {scope}'
