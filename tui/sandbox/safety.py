"""Content safety of an endpoint: Azure's annotations and refusals, from a classifier that can be replaced.

The classifier here is a stand-in: it finds the phrases listed in `assets/safety/lexicon.json` and nothing else. To put
another in its place, set the environment variable `PHIFT_SANDBOX_CLASSIFIER` of the sandbox to `module:function`; the
function takes a text and returns severities by category (`hate`, `self_harm`, `sexual`, `violence` and `jailbreak`;
0 safe, 2 low, 4 medium, 6 high), absent ones being 0.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import assets
from tui.sandbox.errors import ServiceError

Classifier = Callable[[str], Mapping[str, int]]

VARIABLE = "PHIFT_SANDBOX_CLASSIFIER"
CATEGORIES = ("hate", "self_harm", "sexual", "violence")
LEVELS = {0: "safe", 2: "low", 4: "medium", 6: "high"}
# The default filter of Azure's endpoints blocks medium and high, for prompts and completions alike.
BLOCKED_FROM = 4


@cache
def _lexicon() -> dict[str, list[tuple[int, re.Pattern[str]]]]:
    text = (assets.ROOT / "safety" / "lexicon.json").read_text("utf-8")
    return {
        category: [
            (group["severity"], re.compile("|".join(rf"\b{re.escape(phrase)}\b" for phrase in group["phrases"])))
            for group in groups
        ]
        for category, groups in json.loads(text)["categories"].items()
    }


def by_lexicon(text: str) -> dict[str, int]:
    """Severities of the listed phrases that occur in `text`, whatever its case and spacing."""
    plain = " ".join(text.lower().split())
    found = {}
    for category, groups in _lexicon().items():
        severities = [severity for severity, pattern in groups if pattern.search(plain)]
        if severities:
            found[category] = max(severities)
    return found


@cache
def classifier() -> Classifier:
    """The classifier in use.

    Raises:
        ValueError: the variable does not name a function.
    """
    place = os.environ.get(VARIABLE)
    if not place:
        return by_lexicon
    module, _, name = place.partition(":")
    try:
        chosen = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{VARIABLE}={place!r} does not name a function as module:function") from error
    if not callable(chosen):
        raise ValueError(f"{VARIABLE}={place!r} is not a function")
    return chosen  # type: ignore[no-any-return]  # what it returns is checked by `annotate`


def annotate(text: str, *, prompt: bool) -> tuple[dict[str, Any], bool]:
    """Azure's `content_filter_results` for a text, and whether the filter blocks it."""
    severities = classifier()(text)
    results: dict[str, Any] = {}
    for category in CATEGORIES:
        severity = int(severities.get(category, 0))
        results[category] = {"filtered": severity >= BLOCKED_FROM, "severity": LEVELS[severity]}
    if prompt:
        detected = int(severities.get("jailbreak", 0)) >= BLOCKED_FROM
        results["jailbreak"] = {"filtered": detected, "detected": detected}
    return results, any(result["filtered"] for result in results.values())


def check_prompt(messages: list[Any]) -> list[dict[str, Any]]:
    """Annotate a prompt: `prompt_filter_results` for the answer.

    Raises:
        ServiceError: 400 content_filter, with the annotations under `innererror`.
    """
    results, blocked = annotate("\n".join(text_of(message) for message in messages), prompt=True)
    if blocked:
        stand_in = " (The sandbox's filter is a stand-in that looks for listed phrases.)"
        raise ServiceError(
            400,
            "content_filter",
            "The response was filtered due to the prompt triggering the content management policy. Please modify your "
            f"prompt and retry.{stand_in if classifier() is by_lexicon else ''}",
            param="prompt",
            inner={"code": "ResponsibleAIPolicyViolation", "content_filter_result": results},
        )
    return [{"prompt_index": 0, "content_filter_results": results}]


def text_of(message: Any) -> str:
    """The text of a chat message, whose content may be a string or a list of parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
