"""Money: prices from Microsoft's retail price list, an estimate before anything is billed, and the budget.

An amount that is not known is said to be unknown; it is never taken for nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import assets
from tui.messages import grouped, mark, n, t
from tui.recipe import Recipe, write_private
from tui.services import machines
from tui.services.errors import BudgetExceeded, PhiftError
from tui.settings import Settings

if TYPE_CHECKING:
    from tui.dataset.describe import Stats
    from tui.services.catalog import Model
    from tui.services.clients import Azure

_URL = "https://prices.azure.com/api/retail/prices"
_API = "2023-01-01-preview"
_SNAPSHOT = "prices/retail.json"
_STALE = timedelta(days=1)
_PATIENCE = 10.0
"""Seconds that a submit waits for the list; then an older one serves, and says its date."""
CURRENCY = "USD"
"""Which Microsoft's list is asked for."""

Purpose = Literal["training", "hosting", "input", "output"]

# Words that tell a meter's purpose. Microsoft documents no scheme; "Phi-4-Input Tokens" is its published style.
_WORDS: dict[Purpose, re.Pattern[str]] = {
    "hosting": re.compile(r"\b(hosting|hosted|host)\b"),
    "input": re.compile(r"\b(input|inp)\b"),
    "output": re.compile(r"\b(output|outp)\b"),
    "training": re.compile(r"\b(training|train|fine ?tun(e|ed|ing)|ft)\b"),
}
_UNITS = {"1": 1, "1K": 1_000, "1M": 1_000_000, "1 Hour": 1, "100": 100, "10K": 10_000}


@dataclass(frozen=True)
class Price:
    """One line of the price list."""

    meter: str
    unit: str
    """`1K`, `1M` (tokens), `1 Hour`, …"""
    amount: float
    """Price of one unit, in `currency`."""
    currency: str
    region: str
    source: Literal["retail api", "snapshot"]
    date: date
    """When it was read from Microsoft's list."""
    product: str = ""
    service: str = ""
    sku: str = ""
    instance_type: str = ""
    """Virtual machine size, of such a price."""

    @property
    def each(self) -> float | None:
        """Price of one token, or of one hour; None for a unit not known here."""
        size = _UNITS.get(self.unit)
        return self.amount / size if size else None


@dataclass(frozen=True)
class Prices:
    """The price list of one region."""

    items: tuple[Price, ...]
    region: str
    source: Literal["retail api", "cache", "snapshot"]
    date: date
    """When it was read from Microsoft's list."""

    def of(self, model: str, purpose: Purpose) -> Price | None:
        """The price for a model and a purpose; None where the list has none that can be told."""
        matches = [
            price
            for price in self.items
            if _about(price, model) and _purpose(price) == purpose and price.each is not None
        ]
        # Where tuned models have input and output prices of their own, theirs are the ones that count.
        return max(matches, key=lambda price: bool(_WORDS["training"].search(_words(price))), default=None)

    def of_instance(self, instance_type: str) -> Price | None:
        """The hourly pay-as-you-go price of a virtual machine size on Linux; None where the list has none."""
        return next(
            (
                price
                for price in self.items
                if price.service == "Virtual Machines"
                and price.instance_type.casefold() == instance_type.casefold()
                and not re.search(r"(?i)windows|spot|low priority", f"{price.product} {price.meter} {price.sku}")
            ),
            None,
        )


@dataclass(frozen=True)
class Line:
    """One line of an estimate."""

    label: str
    low: float | None
    """None: not known."""
    high: float | None
    basis: str
    """How it was reckoned, for a person."""
    known: bool
    once: bool = True
    """False: a rate (an hour, a month), not part of the total."""


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to cost."""

    items: tuple[Line, ...]
    total_low: float
    """Sum of the known amounts that fall due once."""
    total_high: float
    currency: str
    unknown: tuple[str, ...]
    """Labels of the lines whose amount is not known; the total is without them."""
    hourly: float | None
    """Hosting of the deployed model an hour, from deployment until deletion; None: not known."""
    source: str
    """Where the prices come from, and of which day."""
    note: str = ""
    """That nothing is billed in the sandbox (not translated yet), or empty."""

    def lines(self) -> list[str]:
        """The estimate for a person."""
        shown = [f"{t(line.label)}: {_amount(line, self.currency)} ({line.basis})" for line in self.items]
        missing = [t(line.label) for line in self.items if line.once and not line.known]
        shown.append(
            t("Total before deployment: unknown; what is missing: {names}", names=", ".join(missing))
            if missing
            else t("Total before deployment: {amount} (estimate)",
                   amount=amount_of(self.total_low, self.total_high, self.currency))
        )  # fmt: skip
        shown.append(t("Prices: {source}", source=self.source))
        return [*shown, t(self.note)] if self.note else shown

    def to_json(self) -> dict[str, Any]:
        """The estimate for programs."""
        return {
            "currency": self.currency,
            "low": self.total_low,
            "high": self.total_high,
            "hourly": self.hourly,
            "unknown": list(self.unknown),
            "source": self.source,
            "note": self.note,
            "lines": [
                {"label": line.label, "low": line.low, "high": line.high, "basis": line.basis, "once": line.once}
                for line in self.items
            ],
        }


def amount_of(low: float, high: float, currency: str) -> str:
    """An amount, or the range that it lies in, for a person."""
    least, most = grouped(low, 2), grouped(high, 2)
    if least == most:
        return f"{most} {currency}"
    return t("{low} to {high} {currency}", low=least, high=most, currency=currency)


def _amount(line: Line, currency: str) -> str:
    if line.low is None or line.high is None:
        return t("unknown")
    return amount_of(line.low, line.high, currency)


def _words(price: Price) -> str:
    return re.sub(r"[-_ ]+", " ", f"{price.meter} {price.sku}".casefold())


def _purpose(price: Price) -> Purpose | None:
    """What a meter is for; a hosting, input or output price of a tuned model names fine-tuning too."""
    return next((purpose for purpose, words in _WORDS.items() if words.search(_words(price))), None)


def _about(price: Price, model: str) -> bool:
    """Whether a meter is of exactly this model: "Phi-4" is not about "Phi-4-mini"."""
    names = re.sub(r"[^a-z0-9.]+", " ", f"{price.meter} {price.sku}".casefold()).split()
    wanted = re.sub(r"[^a-z0-9.]+", " ", re.sub(r"(?i)-instruct$", "", model).casefold()).split()
    variants = {"mini", "multimodal", "reasoning", "medium", "small", "moe", "vision", "silica", "128k", "4k", "8k"}
    return all(word in names for word in wanted) and not (variants & set(names)) - set(wanted)


def prices(azure: Azure | None, region: str, settings: Settings, *, instance_type: str = "") -> Prices:
    """The price list of a region: from Microsoft where it is a day old or more, else the one read last.

    With no connection (`azure` None, or no answer) the last one read, or the one shipped with the program.

    Args:
        azure: the connection.
        region: such as `eastus2`.
        settings: where the lists are kept.
        instance_type: virtual machine size whose price is wanted too.
    """
    cloud = "sandbox" if azure is not None and azure.sandbox else "azure"
    file = settings.state / f"prices-{'-'.join(filter(None, (cloud, _safe(region), _safe(instance_type))))}.json"
    known = _read(file, region)
    # Microsoft publishes this list for its public cloud; from another cloud, no host of that one is asked.
    elsewhere = azure is not None and azure.endpoints.sdk_name != "AzureCloud"
    if azure is None or elsewhere or (known and datetime.now(UTC).date() - known.date < _STALE):
        return known or _shipped(region)
    try:
        here = f"armRegionName eq {_quoted(region)}"
        items = _fetch(azure, f"contains(productName, 'Phi') and {here}")
        if instance_type:
            machine = f"serviceName eq 'Virtual Machines' and armSkuName eq {_quoted(instance_type)}"
            items += _fetch(azure, f"{machine} and {here}")
    except PhiftError:
        # The list is public and may be blocked by a proxy that lets Azure through: an older list with its date is of
        # more use than none.
        return known or _shipped(region)
    day = datetime.now(UTC).date()
    write_private(file, json.dumps({"date": day.isoformat(), "Items": items}))
    return Prices(_prices(items, region, "retail api", day), region, "retail api", day)


def _safe(region: str) -> str:
    return re.sub(r"[^a-z0-9]", "", region.lower())


def _quoted(text: str) -> str:
    """A string of an OData filter."""
    return "'" + text.replace("'", "''") + "'"


def _fetch(azure: Azure, condition: str) -> list[dict[str, Any]]:
    query = {"currencyCode": f"'{CURRENCY}'", "$filter": condition}
    answer = azure.send("GET", _URL, api_version=_API, params=query, signed=False, patience=_PATIENCE).body
    items = list(answer.get("Items") or [])
    while answer.get("NextPageLink"):
        answer = azure.send("GET", answer["NextPageLink"], signed=False, patience=_PATIENCE).body
        items += answer.get("Items") or []
    return items


def _read(file: Path, region: str) -> Prices | None:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        day = date.fromisoformat(document["date"])
        return Prices(_prices(document["Items"], region, "retail api", day), region, "cache", day)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never read, or written by another version


def _shipped(region: str) -> Prices:
    document = json.loads((assets.ROOT / _SNAPSHOT).read_text("utf-8"))
    items = [item for item in document["Items"] if item.get("armRegionName") == region]
    day = date.fromisoformat(document["date"])
    return Prices(_prices(items, region, "snapshot", day), region, "snapshot", day)


def _prices(
    items: list[dict[str, Any]], region: str, source: Literal["retail api", "snapshot"], day: date
) -> tuple[Price, ...]:
    return tuple(
        Price(
            meter=str(item.get("meterName", "")),
            unit=str(item.get("unitOfMeasure", "")),
            amount=float(item["retailPrice"]),
            currency=str(item.get("currencyCode", CURRENCY)),
            region=str(item.get("armRegionName", region)),
            source=source,
            date=day,
            product=str(item.get("productName", "")),
            service=str(item.get("serviceName", "")),
            sku=str(item.get("skuName", "")),
            instance_type=str(item.get("armSkuName", "")),
        )
        for item in items
        if item.get("type", "Consumption") == "Consumption" and item.get("retailPrice") is not None
    )


def estimate(recipe: Recipe, model: Model, stats: Stats | None, prices: Prices, *, sandbox: bool = False) -> Estimate:
    """What the recipe's run is expected to cost.

    Args:
        recipe: the choices.
        model: the catalogue's entry.
        stats: tokens of the training rows (after the split); None: not counted yet.
        prices: the price list of the target's region.
        sandbox: whether it runs in the sandbox, where nothing is billed.
    """
    hosting = prices.of(model.name, "hosting")
    lines = [_training(recipe, model, stats, prices)]
    if recipe.model.engine == "serverless":
        hour = t("an hour from deployment until it is deleted")
        million = t("for a million tokens")
        lines.append(_rate(mark("Hosting of the deployed model"), hosting, hour, 1))
        lines.append(_rate(mark("Input"), prices.of(model.name, "input"), million, 1_000_000))
        lines.append(_rate(mark("Output"), prices.of(model.name, "output"), million, 1_000_000))
        if recipe.deployment.content_safety:
            lines.append(
                Line(
                    mark("Content safety"),
                    None,
                    None,
                    t("billed by Azure AI Content Safety for each request"),
                    False,
                    once=False,
                )
            )
    once = [line for line in lines if line.once]
    return Estimate(
        items=tuple(lines),
        total_low=sum(line.low or 0.0 for line in once if line.known),
        total_high=sum(line.high or 0.0 for line in once if line.known),
        currency=prices.items[0].currency if prices.items else CURRENCY,
        unknown=tuple(line.label for line in lines if not line.known),
        hourly=hosting.each if hosting else None,
        source=_source(prices, sandbox),
        note=mark("sandbox: nothing is billed") if sandbox else "",
    )


def _source(prices: Prices, sandbox: bool) -> str:
    if sandbox:
        return t("the sandbox's stand-in for Microsoft's retail price list")
    if prices.source == "snapshot":
        return t("estimates shipped with the program, of {date}; not Microsoft's list", date=prices.date)
    return t("Microsoft's retail price list for {region}, {date}", region=prices.region, date=prices.date)


def _rate(label: str, price: Price | None, per: str, times: int) -> Line:
    if price is None or price.each is None:
        return Line(label, None, None, t("no price in Microsoft's list"), False, once=False)
    amount = price.each * times
    return Line(label, amount, amount, f"{per} ({price.meter})", True, once=False)


def _training(recipe: Recipe, model: Model, stats: Stats | None, prices: Prices) -> Line:
    label, epochs = mark("Training"), recipe.hyperparameters.epochs
    if recipe.model.engine != "serverless":
        instance = machines.chosen(recipe, model)
        price = prices.of_instance(instance) if instance else None
        count = f"{recipe.model.instance_count} × {instance}"
        if not instance:
            basis = t("the GPU size is not chosen, and how long the run takes is not known before it")
        elif price is None:
            basis = t("{machines}; neither their price nor the time is known before the run", machines=count)
        else:
            basis = t(
                "{machines} at {amount} {currency} an hour each, for a time that is not known before the run",
                machines=count,
                amount=f"{price.amount:.2f}",
                currency=price.currency,
            )
        return Line(label, None, None, basis, False)
    price = prices.of(model.name, "training")
    if price is None or price.each is None:
        return Line(label, None, None, t("no fine-tuning price for this model in Microsoft's list"), False)
    if stats is None:
        return Line(label, None, None, t("the tokens are not counted yet"), False)
    tokens = stats.billable_tokens(epochs)
    error = stats.tokens_error if stats.tokens_are_estimate else 0.0
    amount = tokens * price.each
    counted = (
        n("about {count} token", "about {count} tokens", tokens)
        if stats.tokens_are_estimate
        else n("{count} token", "{count} tokens", tokens)
    )
    passes = n("{each} × {count} epoch", "{each} × {count} epochs", epochs, each=grouped(stats.tokens_total))
    return Line(
        label,
        amount * (1 - error),
        amount * (1 + error),
        f"{counted} ({passes}), {price.amount:g} {price.currency}/{price.unit}",
        True,
    )


def to_remember(estimate: Estimate, recipe: Recipe, prices: Prices) -> dict[str, Any]:
    """What the journal keeps of a run's price, from which is told later what it has cost; empty: not known."""
    if recipe.model.engine == "serverless":
        if any(line.once and not line.known for line in estimate.items):
            return {}
        return {"low": estimate.total_low, "high": estimate.total_high, "currency": estimate.currency}
    price = prices.of_instance(recipe.model.instance_type)
    if price is None:
        return {}
    return {"machine_hour": price.amount * recipe.model.instance_count, "currency": price.currency}


def check_again(cost: dict[str, Any], settings: Settings) -> None:
    """Compare what the journal keeps of a run's price (see `to_remember`) with the budget, before it is run again.

    Raises:
        BudgetExceeded: it is over the budget of the settings, or not known while there is one.
    """
    if settings.budget is not None:
        _within(settings.budget, cost.get("high"), str(cost.get("currency", CURRENCY)))


def check_budget(estimate: Estimate, recipe: Recipe, settings: Settings) -> str:
    """Compare an estimate with the budget of the recipe and of the settings; the lower counts.

    Returns:
        A warning where the estimate comes near it, else an empty text.

    Raises:
        BudgetExceeded: the highest estimate is over it, or the training has no known price while there is one.
    """
    limits = [limit for limit in (recipe.budget.limit, settings.budget) if limit is not None]
    if not limits:
        return ""
    limit = min(limits)
    known = all(line.known for line in estimate.items if line.once)
    _within(limit, estimate.total_high if known else None, estimate.currency)
    share = estimate.total_high / limit
    if share >= settings.budget_warning:
        return t(
            "The run may cost {amount} {currency}, {share} of the budget.",
            amount=f"{estimate.total_high:.2f}",
            currency=estimate.currency,
            share=f"{share:.0%}",
        )
    return ""


def _within(limit: float, amount: float | None, currency: str) -> None:
    if amount is None:
        raise BudgetExceeded(
            t(
                "There is a budget of {limit} {currency}, and the price of the training is not known.",
                limit=f"{limit:.2f}",
                currency=currency,
            ),
            code="PriceUnknown",
            meaning=t("Nothing was submitted."),
            next_step=t("Look up the price, and take the budget out of the recipe or settings for this run."),
        )
    if amount > limit:
        raise BudgetExceeded(
            t(
                "The run may cost {amount} {currency}; the budget is {limit}.",
                amount=f"{amount:.2f}",
                currency=currency,
                limit=f"{limit:.2f}",
            ),
            meaning=t("Nothing was submitted."),
            next_step=t("Fewer epochs or rows cost less; or raise the budget in the recipe or settings."),
        )
