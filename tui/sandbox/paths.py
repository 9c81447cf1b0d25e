"""Resource paths: Azure's are case-insensitive in their fixed segments, the router's are not."""

from __future__ import annotations

GROUP = "/subscriptions/{subscription}/resourceGroups/{group}"
WORKSPACES = GROUP + "/providers/Microsoft.MachineLearningServices/workspaces"
WORKSPACE = WORKSPACES + "/{workspace}"

# The spelling that routes and stored identifiers use; requests may spell any of these otherwise.
_CANONICAL = {
    word.lower(): word
    for word in (
        "subscriptions", "tenants", "locations", "resourceGroups", "providers", "deployments", "operations",
        "operationStatuses", "operationResults", "register", "unregister", "resources",
        "Microsoft.MachineLearningServices", "Microsoft.Resources", "Microsoft.Authorization", "Microsoft.Storage",
        "Microsoft.KeyVault", "Microsoft.Network", "Microsoft.CognitiveServices", "Microsoft.Insights",
        "Microsoft.ContainerRegistry", "Microsoft.OperationalInsights", "Microsoft.ManagedIdentity",
        "roleAssignments", "roleDefinitions", "permissions", "storageAccounts", "vaults", "blobServices", "containers",
        "listKeys", "regenerateKey", "regenerateKeys", "checkNameAvailability", "workspaces", "datastores", "default",
        "listSecrets", "connections", "data", "models", "versions", "jobs", "cancel", "codes", "environments",
        "components", "computes", "serverlessEndpoints", "onlineEndpoints", "batchEndpoints",
        "marketplaceSubscriptions", "usages", "quotas", "vmSizes", "token", "getLogs", "skus", "registries", "runs",
        "experiments", "history", "workspaceOperationsStatus", "workspaceOperationResults", "mfeOperationsStatus",
        "mfeOperationResults",
        "asyncOperations", "startPendingUpload", "listStorageAccountKeys", "notebookAccessToken", "outboundRules",
        "hubs", "classicAdministrators",
    )
}  # fmt: skip


def canonical(path: str) -> str:
    """Return `path` with its fixed segments in the spelling that the routes use; names are left as they are.

    From ``subscriptions`` on, segments alternate between a type and a name, and ``providers`` puts a namespace
    between; so a workspace that somebody called "Jobs" keeps its capital.
    """
    at = path.lower().find("/subscriptions")
    if at < 0:
        return path
    head, segments = path[: at + 1], path[at + 1 :].split("/")
    kind = "type"
    for at, segment in enumerate(segments):
        if kind == "name":
            kind = "type"
            continue
        segments[at] = _CANONICAL.get(segment.lower(), segment)
        follows_namespace = kind == "namespace"
        kind = "type" if follows_namespace else "namespace" if segments[at] == "providers" else "name"
    return head + "/".join(segments)


def parent_of(resource_id: str) -> str:
    """Return the identifier of the resource that `resource_id` lives in ("" at the root)."""
    head = resource_id.rsplit("/", 2)[0]
    before, slash, last = head.rpartition("/")
    if slash and before.endswith("/providers") and "." in last:
        return before.removesuffix("/providers")
    return head


def name_of(resource_id: str) -> str:
    """Return the last segment of a resource identifier."""
    return resource_id.rsplit("/", 1)[-1]


def segment_after(resource_id: str, word: str) -> str | None:
    """Return the segment after `word` in an identifier (case-insensitive), or None where it has no such segment."""
    segments = resource_id.split("/")
    lowered = [segment.lower() for segment in segments]
    wanted = word.lower()
    if wanted not in lowered:
        return None
    at = lowered.index(wanted) + 1
    return segments[at] if at < len(segments) else None
