"""Exchanges with the machine-learning resource provider held against Microsoft's published OpenAPI (Swagger 2.0)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "azure-specs"
PROVIDER = "Microsoft.MachineLearningServices"
VERSIONS = ("2024-01-01-preview", "2024-10-01", "2024-10-01-preview")
_FEW = 12  # a run of a part of the tests leaves most operations out, which is nothing to list
_METHODS = ("get", "put", "post", "patch", "delete", "head")

# Where answers differ from the specification on purpose: operation and place as patterns, and why.
REASONS = (
    (
        r"Datastores_.*",
        r".*\.credentials\.secrets: is required and missing",
        "Azure's recorded answers leave secrets out",
    ),
    (r"Jobs_.*", r".*\.outputs\.\*\.assetVersion: is unknown.*", "Azure's recorded answers have it"),
    (
        r"(Data|Model)Versions_.*",
        r".*\.(autoDeleteSetting|stage|intellectualProperty): .*",
        "Azure's recorded answers have it",
    ),
    (r"CodeVersions_.*", r".*\.properties\.\*: is int, not string", "azure-ai-ml sends a number here"),
    (r"CodeVersions_CreateOrGetStartPendingUpload", r"request: is missing", "azure-ai-ml sends no body here"),
    (
        r"ServerlessEndpoints_.*",
        r".*\.authMode: '(AAD|KeyAndAAD)' is not among Key",
        "the version 2025-12-01, which has it, is not at hand",
    ),
    (
        r".*",
        r"response header Retry-After: is in milliseconds",
        "below pace 1 pollers come back sooner than in a second",
    ),
)


@dataclass(frozen=True)
class Difference:
    """One way in which an exchange is not what the specification says."""

    operation: str
    place: str
    what: str

    @property
    def reason(self) -> str | None:
        """Why it is meant; None where it is not."""
        for operation, place, why in REASONS:
            if re.fullmatch(operation, self.operation) and re.fullmatch(place, f"{self.place}: {self.what}"):
                return why
        return None

    def __str__(self) -> str:
        return f"{self.operation} · {self.place}: {self.what}"


@dataclass(frozen=True)
class Node:
    """A piece of a specification file: what it says, and the file that its references are relative to."""

    says: dict[str, Any]
    file: Path

    def follow(self) -> Node:
        """Return what it stands for, references followed."""
        node = self
        while "$ref" in node.says:
            name, _, pointer = node.says["$ref"].partition("#")
            file = (node.file.parent / name).resolve() if name else node.file
            found: Any = document(file)
            for key in pointer.strip("/").split("/"):
                found = found[key.replace("~1", "/").replace("~0", "~")]
            node = Node(found, file)
        return node

    def at(self, *keys: Any) -> Node:
        """Return a part of it."""
        says: Any = self.says
        for key in keys:
            says = says[key]
        return Node(says, self.file)

    @property
    def bases(self) -> Iterator[Node]:
        """It and all that it is composed of."""
        node = self.follow()
        yield node
        for index in range(len(node.says.get("allOf", []))):
            yield from node.at("allOf", index).bases


@dataclass(frozen=True)
class Operation:
    """One method of one path in one version."""

    name: str
    method: str
    pattern: re.Pattern[str]
    node: Node
    version: str


@cache
def document(file: Path) -> dict[str, Any]:
    """Return a specification file."""
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))
    return loaded


class Specifications:
    """The published versions under one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def operations(self) -> list[Operation]:
        """All operations of all versions."""
        found = []
        root = self._folder / "specification/machinelearningservices/resource-manager" / PROVIDER
        for version in VERSIONS:
            kind = "preview" if version.endswith("preview") else "stable"
            for file in sorted((root / kind / version).glob("*.json")):
                for path, methods in document(file)["paths"].items():
                    pattern = re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(path))
                    for method in set(methods) & set(_METHODS):
                        node = Node(methods[method], file)
                        name = node.says["operationId"]
                        found.append(Operation(name, method, re.compile(pattern, re.IGNORECASE), node, version))
        return found

    def find(self, method: str, path: str, version: str) -> Operation | None:
        """Return the operation that a request is, in its own version, the nearest later one, or the newest."""
        fitting = [
            operation
            for operation in self.operations
            if operation.method == method.lower() and operation.pattern.fullmatch(path)
        ]
        fitting.sort(key=lambda operation: operation.version)
        return next((operation for operation in fitting if operation.version >= version), (fitting or [None])[-1])

    def check(self, exchange: dict[str, Any]) -> tuple[Operation | None, list[Difference]]:
        """Return the operation of a recorded exchange and the ways in which it differs."""
        query = dict(pair.partition("=")[::2] for pair in exchange["query"].split("&"))
        operation = self.find(exchange["method"], exchange["path"], query.get("api-version", ""))
        if operation is None:
            return None, []
        checker = Checker(operation.name)
        status = str(exchange["status"])
        responses = operation.node.at("responses")
        failed = exchange["status"] >= 400
        if status not in responses.says and not failed:
            checker.differ("status", f"{status} is not among {', '.join(responses.says)}")
        else:
            response = responses.at(status if status in responses.says else "default").follow()
            if "schema" in response.says and exchange["method"] != "HEAD":
                checker.check(response.at("schema"), exchange["response"], "response")
            for header in response.says.get("headers", {}):
                if header.lower() in exchange["headers"] or header.lower() == "x-ms-async-operation-timeout":
                    continue
                paced = header.lower() == "retry-after" and "x-ms-retry-after-ms" in exchange["headers"]
                checker.differ(f"response header {header}", "is in milliseconds" if paced else "is missing")
        if not failed:
            for index, raw in enumerate(operation.node.says.get("parameters", [])):
                parameter = operation.node.at("parameters", index).follow()
                if parameter.says.get("in") == "body":
                    if exchange["request"] is not None or parameter.says.get("required"):
                        checker.lenient = True
                        checker.check(parameter.at("schema"), exchange["request"], "request")
                elif parameter.says.get("in") == "query" and parameter.says.get("required") and raw:
                    name = parameter.says["name"]
                    if name not in query:
                        checker.differ(f"query {name}", "is missing")
        return operation, checker.differences


class Checker:
    """Walks a value along its schema.

    Attributes:
        lenient: Enumerations match without regard to case and unknown fields pass, as Azure reads requests.
    """

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self.lenient = False
        self.differences: list[Difference] = []

    def differ(self, place: str, what: str) -> None:
        """Note a difference."""
        self.differences.append(Difference(self._operation, re.sub(r"\[\d+\]", "[]", place), what))

    def check(self, schema: Node, value: Any, place: str) -> None:
        """Compare one value with its schema."""
        node = schema.follow()
        if value is None:
            if place in ("request", "response"):
                self.differ(place, "is missing")
            # A property that is not required may be null: Azure's recorded answers are full of such.
            return
        kind = node.says.get("type") or ("object" if "properties" in node.says or "allOf" in node.says else None)
        tests: dict[str, Any] = {
            "string": lambda: isinstance(value, str),
            "integer": lambda: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda: isinstance(value, int | float) and not isinstance(value, bool),
            "boolean": lambda: isinstance(value, bool),
            "array": lambda: isinstance(value, list),
            "object": lambda: isinstance(value, dict),
        }
        if kind in tests and not tests[kind]():
            self.differ(place, f"is {type(value).__name__}, not {kind}")
            return
        if isinstance(value, str):
            self._text(node, value, place)
        elif isinstance(value, list) and "items" in node.says:
            for index, item in enumerate(value):
                self.check(node.at("items"), item, f"{place}[{index}]")
        elif isinstance(value, dict) and kind == "object":
            self._object(node, value, place)

    def _text(self, node: Node, value: str, place: str) -> None:
        allowed = node.says.get("enum")
        if allowed is not None and value not in allowed:
            same = value.lower() in (str(one).lower() for one in allowed)
            if not (same and self.lenient):
                self.differ(place, f"{value!r} is not among {', '.join(map(str, allowed))}")
        if node.says.get("format") == "date-time":
            try:
                datetime.fromisoformat(value)
            except ValueError:
                self.differ(place, f"{value!r} is no date-time")
        pattern = node.says.get("pattern")
        if pattern and not re.search(pattern, value) and not self.lenient:
            self.differ(place, f"{value!r} does not match {pattern}")

    def _object(self, schema: Node, value: dict[str, Any], place: str) -> None:
        node = self._subtype(schema, value)
        bases = list(node.bases)
        properties = {name: base.at("properties", name) for base in bases for name in base.says.get("properties", {})}
        required = {name for base in bases for name in base.says.get("required", [])}
        for name in sorted(required):
            if value.get(name) is None and not properties[name].follow().says.get("readOnly"):
                self.differ(f"{place}.{name}", "is required and missing")
        extra = next(
            (
                base.at("additionalProperties")
                for base in bases
                if isinstance(base.says.get("additionalProperties"), dict)
            ),
            None,
        )
        open_ended = not properties or any(base.says.get("additionalProperties") is True for base in bases)
        for name, item in value.items():
            if name in properties:
                self.check(properties[name], item, f"{place}.{name}")
            elif extra is not None:
                self.check(extra, item, f"{place}.*")
            elif not open_ended and not self.lenient:
                self.differ(f"{place}.{name}", "is unknown to the specification")

    def _subtype(self, schema: Node, value: dict[str, Any]) -> Node:
        node = schema.follow()
        for base in node.bases:
            name = base.says.get("discriminator")
            if name and isinstance(value.get(name), str):
                definitions = document(base.file)["definitions"]
                for says in definitions.values():
                    wanted = says.get("x-ms-discriminator-value", "")
                    derived = Node(says, base.file)
                    if wanted.lower() == value[name].lower() and any(one.says is base.says for one in derived.bases):
                        return derived if derived.says is base.says else self._subtype_of(derived, base, value)
        return node

    def _subtype_of(self, derived: Node, base: Node, value: dict[str, Any]) -> Node:
        if derived.says.get("discriminator") and derived.says["discriminator"] != base.says.get("discriminator"):
            return self._subtype(derived, value)
        return derived


@dataclass
class Report:
    """What a set of exchanges showed.

    Attributes:
        exchanges: How many were of the resource provider.
        covered: How often each operation, with its version, was exercised.
        unknown: Requests that are no operation of the specification.
        differences: How often each difference was seen.
        meant: How often each of `REASONS` applied.
    """

    exchanges: int
    covered: Counter[str]
    unknown: Counter[str]
    differences: Counter[Difference]
    meant: Counter[str]

    def lines(self) -> list[str]:
        """Return the report for a person."""
        names = sorted({name.rpartition(" ")[0] for name in self.covered})
        missing = [name for name in FLOW if name not in names]
        shown = [
            f"{self.exchanges} exchanges of {len(names)} operations held against Azure's OpenAPI: "
            f"{len(self.differences)} differences",
            f"operations of the flow exercised: {len(FLOW) - len(missing)} of {len(FLOW)}"
            + (f"; not: {', '.join(missing)}" if 0 < len(missing) <= _FEW else ""),
        ]
        if self.unknown:
            shown.append("not in the specification: " + ", ".join(sorted(self.unknown)))
        shown += [f"  {count} × meant: {reason}" for reason, count in self.meant.most_common()]
        shown += [f"  {count} × {difference}" for difference, count in self.differences.most_common()]
        return shown


# The operations that the flow of the wizard, of the clean-up and of the monitor consists of.
FLOW = (
    "Workspaces_ListBySubscription", "Workspaces_ListByResourceGroup", "Workspaces_CreateOrUpdate", "Workspaces_Get",
    "Workspaces_Update", "Workspaces_Delete", "WorkspaceConnections_List", "WorkspaceConnections_Create",
    "WorkspaceConnections_Get", "WorkspaceConnections_Delete", "Datastores_List", "Datastores_Get",
    "Datastores_ListSecrets", "DataVersions_CreateOrUpdate", "DataVersions_Get", "DataVersions_List",
    "DataContainers_Get", "Jobs_CreateOrUpdate", "Jobs_Get", "Jobs_List", "Jobs_Cancel", "Jobs_Delete",
    "ModelContainers_List", "ModelContainers_Get", "ModelVersions_List", "ModelVersions_Get",
    "ModelVersions_CreateOrUpdate", "ModelVersions_Delete", "ServerlessEndpoints_CreateOrUpdate",
    "ServerlessEndpoints_Get", "ServerlessEndpoints_List", "ServerlessEndpoints_ListKeys",
    "ServerlessEndpoints_RegenerateKeys", "ServerlessEndpoints_Delete", "OnlineEndpoints_CreateOrUpdate",
    "OnlineEndpoints_Get", "OnlineEndpoints_List", "OnlineEndpoints_ListKeys", "OnlineEndpoints_Delete",
    "OnlineDeployments_CreateOrUpdate", "OnlineDeployments_Get", "OnlineDeployments_List", "OnlineDeployments_Delete",
    "MarketplaceSubscriptions_CreateOrUpdate", "Usages_List",
)  # fmt: skip


def report(folder: Path, files: list[Path]) -> Report:
    """Return what the recorded exchanges in `files` show against the specifications in `folder`."""
    specifications = Specifications(folder)
    result = Report(0, Counter(), Counter(), Counter(), Counter())
    for file in files:
        for line in file.read_text("utf-8").splitlines():
            exchange = json.loads(line)
            if f"/providers/{PROVIDER}/".lower() not in exchange["path"].lower():
                continue
            result.exchanges += 1
            operation, differences = specifications.check(exchange)
            if operation is None:
                kinds = exchange["path"].partition(f"/providers/{PROVIDER}/")[2].split("/")[::2]
                result.unknown[f"{exchange['method']} {'/'.join(kinds)}"] += 1
                continue
            result.covered[f"{operation.name} {operation.version}"] += 1
            for difference in differences:
                reason = difference.reason
                if reason is None:
                    result.differences[difference] += 1
                else:
                    result.meant[reason] += 1
    return result
