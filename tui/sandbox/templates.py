"""Resource Manager templates: parameters, variables, conditions and the expressions in them, turned into resources."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tui.sandbox.errors import ServiceError

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[()\[\].,]))"
)


@dataclass(frozen=True)
class Resource:
    """One resource that a template asks for, with every expression worked out.

    Attributes:
        id: Its full identifier.
        type: Namespace and type.
        body: What a direct PUT of it would carry.
        depends_on: Identifiers of resources that come first, some of which the template's conditions may leave out.
    """

    id: str
    type: str
    body: dict[str, Any]
    depends_on: tuple[str, ...]


def expand(template: dict[str, Any], given: dict[str, Any], group: dict[str, Any], tenant: str) -> list[Resource]:
    """Return the resources of `template`, each after those it depends on.

    Args:
        template: The template object.
        given: The deployment's ``parameters``, name to ``{"value": …}``.
        group: The body of the resource group that is deployed to.
        tenant: The subscription's tenant.

    Raises:
        ServiceError: Azure's 400 ``InvalidTemplate`` with the reason.
    """
    scope = _Scope(template, given, group, tenant)
    return _ordered(scope.resources(template.get("resources") or [], None))


def _invalid(reason: str) -> ServiceError:
    return ServiceError(400, "InvalidTemplate", f"Deployment template validation failed: '{reason}'.")


class _Scope:
    """The values that expressions of one template see."""

    def __init__(self, template: dict[str, Any], given: dict[str, Any], group: dict[str, Any], tenant: str) -> None:
        self._declared: dict[str, Any] = template.get("parameters") or {}
        self._variables: dict[str, Any] = template.get("variables") or {}
        self._given = {name.lower(): entry for name, entry in given.items()}
        self._group = group
        self._tenant = tenant
        self._subscription = group["id"].split("/")[2]
        self._functions = self._table()
        unknown = sorted(set(self._given) - {name.lower() for name in self._declared})
        if unknown:
            listed = ", ".join(unknown)
            raise _invalid(
                f"The template parameters '{listed}' in the parameters file are not valid; they are not "
                "present in the original template and can therefore not be provided at deployment time"
            )

    def resources(self, declared: list[dict[str, Any]], parent: Resource | None) -> list[Resource]:
        """Return the declared resources whose condition holds, and those nested in them."""
        found: list[Resource] = []
        for entry in declared:
            if self.value(entry.get("condition", True)) in (False, "false", "False"):
                continue
            kind, name = str(entry.get("type", "")), str(self.value(entry.get("name", "")))
            if parent is not None:
                kind, name = f"{parent.type}/{kind}", f"{parent.body['name']}/{name}"
            identifier = self._identifier(kind, name.split("/"))
            skipped = ("condition", "dependsOn", "resources", "apiVersion", "type", "name")
            body = {key: self.value(value) for key, value in entry.items() if key not in skipped}
            resource = Resource(
                identifier,
                kind,
                {**body, "name": name},
                tuple(str(self.value(item)) for item in entry.get("dependsOn", [])),
            )
            found.append(resource)
            found += self.resources(entry.get("resources") or [], resource)
        return found

    def value(self, raw: Any) -> Any:
        """Return `raw` with every expression in it replaced by its value."""
        if isinstance(raw, dict):
            return {self.value(key): self.value(item) for key, item in raw.items()}
        if isinstance(raw, list):
            return [self.value(item) for item in raw]
        if isinstance(raw, str) and raw.startswith("[") and raw.endswith("]"):
            return raw[1:] if raw.startswith("[[") else _Expression(raw[1:-1], self._functions).evaluate()
        return raw

    def _identifier(self, kind: str, names: list[str]) -> str:
        namespace, _, types = kind.partition("/")
        pairs = "".join(f"/{one}/{name}" for one, name in zip(types.split("/"), names, strict=False))
        return f"{self._group['id']}/providers/{namespace}{pairs}"

    def _parameter(self, name: str) -> Any:
        declared = next((entry for key, entry in self._declared.items() if key.lower() == name.lower()), None)
        if declared is None:
            raise _invalid(f"The template parameter '{name}' is not found")
        entry = self._given.get(name.lower())
        if isinstance(entry, dict) and "value" in entry:
            value = entry["value"]
        elif "defaultValue" in declared:
            value = self.value(declared["defaultValue"])
        else:
            raise _invalid(f"The value for the template parameter '{name}' is not provided")
        allowed = declared.get("allowedValues")
        if allowed is None or str(value).lower() in [str(one).lower() for one in allowed]:
            return value
        meant = _enumerated(value, allowed)
        if meant is None:
            raise _invalid(
                f"The provided value '{value}' for the template parameter '{name}' is not valid. The value is not part "
                f"of the allowed value(s): '{','.join(map(str, allowed))}'"
            )
        return meant

    def _variable(self, name: str) -> Any:
        found = next((value for key, value in self._variables.items() if key.lower() == name.lower()), None)
        if found is None:
            raise _invalid(f"The template variable '{name}' is not found")
        return self.value(found)

    def _resource_id(self, *parts: str) -> str:
        """Build an identifier from ``[subscription], [group], type, name…``; the type is the part with a slash."""
        at = next((index for index, part in enumerate(parts) if "/" in str(part)), None)
        if at is None or at > 2:
            raise _invalid("Unable to evaluate the template language function 'resourceId'")
        group = parts[at - 1] if at else self._group["name"]
        subscription = parts[0] if at == 2 else self._subscription
        namespace, _, types = parts[at].partition("/")
        pairs = "".join(f"/{one}/{name}" for one, name in zip(types.split("/"), parts[at + 1 :], strict=False))
        return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{namespace}{pairs}"

    def _table(self) -> dict[str, Callable[..., Any]]:
        group = {key: self._group[key] for key in ("id", "name", "location")}
        return {
            "parameters": self._parameter,
            "variables": self._variable,
            "resourceid": self._resource_id,
            "subscriptionresourceid": lambda kind, *names: (
                f"/subscriptions/{self._subscription}/providers/{kind}/{'/'.join(names)}"
            ),
            "resourcegroup": lambda: group,
            "subscription": lambda: {
                "id": f"/subscriptions/{self._subscription}",
                "subscriptionId": self._subscription,
                "tenantId": self._tenant,
            },
            "and": lambda *items: all(map(_truth, items)),
            "or": lambda *items: any(map(_truth, items)),
            "not": lambda item: not _truth(item),
            "equals": lambda one, other: one == other,
            "empty": lambda item: item in (None, "", [], {}),
            "concat": _concat,
            "array": lambda item: item if isinstance(item, list) else [item],
            "tolower": lambda text: str(text).lower(),
            "json": json.loads,
            "string": lambda item: item if isinstance(item, str) else json.dumps(item),
            "guid": lambda *items: str(uuid.uuid5(uuid.NAMESPACE_URL, "-".join(map(str, items)))),
            "newguid": lambda: str(uuid.uuid4()),
            "uniquestring": _unique,
        }


class _Expression:
    """One expression, evaluated while it is read; the branch of an ``if`` that is not taken is only skipped over."""

    def __init__(self, text: str, functions: dict[str, Callable[..., Any]]) -> None:
        self._text = text
        self._functions = functions
        self._tokens = self._split(text)
        self._at = 0

    def evaluate(self) -> Any:
        value = self._term(live=True)
        if self._at != len(self._tokens):
            raise _invalid(f"Unable to parse language expression '{self._text}'")
        return value

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens, at, text = [], 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise _invalid(f"Unable to parse language expression '{text}'")
            tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        return tokens

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _invalid(f"Unable to parse language expression '{self._text}'")
        self._at += 1
        return self._tokens[self._at - 1]

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _term(self, *, live: bool) -> Any:
        kind, text = self._next()
        value: Any
        if kind == "text":
            value = text[1:-1].replace("''", "'")
        elif kind == "number":
            value = int(text)
        elif kind == "name" and self._peek() == "(":
            value = self._call(text, live=live)
        else:
            raise _invalid(f"Unable to parse language expression '{self._text}'")
        while self._peek() in (".", "["):
            if self._next()[1] == ".":
                key: Any = self._next()[1]
            else:
                key = self._term(live=live)
                self._next()
            if live:
                try:
                    value = value[key]
                except (KeyError, IndexError, TypeError) as error:
                    raise _invalid(f"The language expression property '{key}' doesn't exist") from error
        return value

    def _call(self, name: str, *, live: bool) -> Any:
        self._next()
        if name.lower() == "if":
            condition = _truth(self._term(live=live)) if live else False
            self._expect(",")
            taken = self._term(live=live and condition)
            self._expect(",")
            other = self._term(live=live and not condition)
            self._expect(")")
            return taken if condition else other
        arguments = []
        while self._peek() != ")":
            arguments.append(self._term(live=live))
            if self._peek() == ",":
                self._next()
        self._expect(")")
        if not live:
            return None
        function = self._functions.get(name.lower())
        if function is None:
            raise _invalid(f"The template function '{name}' is not valid")
        try:
            return function(*arguments)
        except (TypeError, ValueError) as error:
            raise _invalid(f"Unable to evaluate the template language function '{name}': {error}") from error

    def _expect(self, mark: str) -> None:
        if self._next()[1] != mark:
            raise _invalid(f"Unable to parse language expression '{self._text}': expected '{mark}'")


def _enumerated(value: Any, allowed: list[Any]) -> Any:
    """Return the allowed value that a Python enumeration's text stands for, or None.

    azure-ai-ml 1.35.2 sends ``PublicNetworkAccessType.ENABLED`` for a project's ``Enabled``. Whether Azure lets that
    pass could not be tried; here it has to, or its stock client could make no project.
    """
    last = str(value).rpartition(".")[2].lower()
    return next((one for one in allowed if str(one).lower() == last), None)


def _truth(value: Any) -> bool:
    return value.lower() == "true" if isinstance(value, str) else bool(value)


def _concat(*items: Any) -> Any:
    if items and isinstance(items[0], list):
        return [one for item in items for one in item]
    return "".join(str(item) for item in items)


def _unique(*items: str) -> str:
    """Return 13 characters that depend on the arguments only; Azure's own hash is not published."""
    digest = hashlib.sha256("-".join(map(str, items)).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:13]


def _ordered(resources: list[Resource]) -> list[Resource]:
    """Return the resources each after its dependencies; raises Azure's 400 for a circle."""
    left = {resource.id.lower(): resource for resource in resources}
    done: list[Resource] = []
    while left:
        free = [
            key
            for key, resource in left.items()
            if not any(item.lower() in left or _named(item, left) for item in resource.depends_on)
        ]
        if not free:
            raise _invalid("Circular dependency detected on resource: '" + next(iter(left.values())).id + "'")
        done += [left.pop(key) for key in free]
    return done


def _named(dependency: str, left: dict[str, Resource]) -> bool:
    """Whether a dependency that is given by type and name, not by identifier, is still to come."""
    return not dependency.startswith("/") and any(key.endswith("/" + dependency.lower()) for key in left)
