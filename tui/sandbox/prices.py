"""The Retail Prices API, from the price snapshot: filter, pages, and no token needed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

import assets
from tui.sandbox.errors import ServiceError
from tui.sandbox.wire import answer

if TYPE_CHECKING:
    from tui.sandbox.server import Sandbox

_PAGE = 100
# What the snapshot adds to Microsoft's fields and the API does not answer.
_OURS = ("status", "basis")
_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z]+)|(?P<mark>[(),]))")

Item = dict[str, Any]
Predicate = Callable[[Item], bool]


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Return the route of the price list."""
    return [Route("/api/retail/prices", _prices, methods=["GET"])]


async def _prices(request: Request) -> Response:
    query = request.query_params
    currency = query.get("currencyCode", "USD").strip("'")
    if currency != "USD":
        raise ServiceError(400, "BadRequest", f"The sandbox's price list is in USD only, not in {currency}.")
    text = query.get("$filter", "")
    matches = parse(text) if text else None
    found = [item for item in _items() if matches is None or matches(item)]
    skip, top = _count(query.get("$skip"), 0), _count(query.get("$top"), _PAGE)
    shown = found[skip : skip + min(top, _PAGE)]
    left = skip + len(shown) < len(found) and top > len(shown)
    following = {key: value for key, value in query.items() if key != "$skip"} | {"$skip": str(skip + len(shown))}
    return answer(
        {
            "BillingCurrency": "USD",
            "CustomerEntityId": "Retail",
            "CustomerEntityType": "Retail",
            "Items": shown,
            "NextPageLink": f"https://prices.azure.com:443/api/retail/prices?{urlencode(following, safe='$')}"
            if left
            else None,
            "Count": len(shown),
        }
    )


def parse(text: str) -> Predicate:
    """Return the predicate of an OData filter: comparisons, contains/startswith/endswith, and/or, parentheses.

    Values compare with regard to case, as in Microsoft's API. Raises its 400 for anything else.
    """
    reader = _Reader(text)
    predicate = reader.either()
    reader.end()
    return predicate


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise _bad()
            self._tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        self._at = 0

    def either(self) -> Predicate:
        parts = [self._both()]
        while self._take("or"):
            parts.append(self._both())
        return lambda item: any(part(item) for part in parts)

    def end(self) -> None:
        if self._at != len(self._tokens):
            raise _bad()

    def _both(self) -> Predicate:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return lambda item: all(part(item) for part in parts)

    def _one(self) -> Predicate:
        if self._take("("):
            inner = self.either()
            self._need(")")
            return inner
        name = self._next("word")
        test = _TESTS.get(name.lower())
        if test is not None:
            self._need("(")
            field = self._next("word")
            self._need(",")
            part = self._value()
            self._need(")")
            return lambda item: test(str(item.get(field, "")), str(part))
        comparison = _COMPARISONS.get(self._next("word").lower())
        if comparison is None:
            raise _bad()
        value = self._value()
        return lambda item: _comparable(item.get(name), value) and comparison(item.get(name), value)

    def _value(self) -> Any:
        kind, text = self._peek()
        self._at += 1
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text)
        if kind == "word" and text in ("true", "false"):
            return text == "true"
        raise _bad()

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _next(self, kind: str) -> str:
        found, text = self._peek()
        if found != kind:
            raise _bad()
        self._at += 1
        return text

    def _take(self, text: str) -> bool:
        if self._peek()[1].lower() != text:
            return False
        self._at += 1
        return True

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise _bad()


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda whole, part: part in whole,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda one, other: bool(one == other),
    "ne": lambda one, other: bool(one != other),
    "gt": lambda one, other: bool(one > other),
    "ge": lambda one, other: bool(one >= other),
    "lt": lambda one, other: bool(one < other),
    "le": lambda one, other: bool(one <= other),
}


def _comparable(one: Any, other: Any) -> bool:
    return isinstance(one, str) == isinstance(other, str) and one is not None


def _count(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdigit():
        raise _bad()
    return int(text)


def _bad() -> ServiceError:
    return ServiceError(400, "BadRequest", "Invalid OData parameters supplied")


@cache
def _items() -> list[Item]:
    document = json.loads((assets.ROOT / "prices" / "retail.json").read_text("utf-8"))
    return [{key: value for key, value in item.items() if key not in _OURS} for item in document["Items"]]
