"""Talking to an endpoint: chat completions, streamed or whole, over plain HTTPS with the endpoint's key."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from tui.messages import t
from tui.services.answers import error_from
from tui.services.errors import Cancelled, PhiftError, Unreachable
from tui.services.progress import Cancel, Progress, in_thread, listening

if TYPE_CHECKING:
    from pydantic import SecretStr

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 120.0
"""A cold endpoint may think this long before its first byte."""
_RETRY_AFTER_LIMIT = 20.0


class Message(TypedDict):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer, as the endpoint counts them."""

    prompt: int
    completion: int


@dataclass(frozen=True)
class Delta:
    """A piece of a streamed answer."""

    text: str
    finish: str = ""
    """`stop`, `length`, `content_filter`; empty: goes on."""
    usage: Usage | None = None
    """On the last piece."""
    model: str = ""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    text: str
    finish: str
    usage: Usage | None
    """None: the endpoint did not say."""
    model: str
    seconds: float
    """From the request to the last piece."""
    time_to_first_token: float
    """From the request to the first text, in seconds."""


class Collected:
    """Puts the pieces of a streamed answer together, with its times; made just before the request."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._first: float | None = None
        self._last = 0.0
        self.text = ""
        self.finish = ""
        self.model = ""
        self.usage: Usage | None = None

    def add(self, delta: Delta) -> None:
        """Take one piece."""
        self._last = time.perf_counter() - self._started
        if delta.text and self._first is None:
            self._first = self._last
        self.text += delta.text
        self.finish = delta.finish or self.finish
        self.model = delta.model or self.model
        self.usage = delta.usage or self.usage

    def answer(self) -> Answer:
        """The answer so far."""
        first = self._last if self._first is None else self._first
        return Answer(self.text, self.finish, self.usage, self.model, self._last, first)

    def to_json(self) -> dict[str, Any]:
        """The answer so far, for programs."""
        return asdict(self.answer())


def stream(
    uri: str,
    key: SecretStr,
    messages: list[Message],
    *,
    temperature: float = 0.0,
    max_tokens: int = 256,
    seed: int | None = None,
    cancel: Cancel | None = None,
) -> Iterator[Delta]:
    """The answer piece by piece; closing the iterator ends the request.

    Args:
        uri: the endpoint's address.
        key: one of its keys.
        messages: the conversation so far.
        temperature: 0 to 2.
        max_tokens: longest answer.
        seed: for a repeatable answer, where the endpoint takes one.
        cancel: ends the answer between two pieces.

    Raises:
        PhiftError: the endpoint refused (wrong key, gone, throttled, content filter) or could not be reached.
        Cancelled: cancelled.
    """
    body: dict[str, Any] = {
        "messages": messages,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if seed is not None:
        body["seed"] = seed
    cancel = cancel or Cancel()
    for line in _lines(_open(uri, key, body, cancel), cancel):
        if line == "[DONE]":
            return
        yield _delta(line)
    raise Unreachable(
        t("The answer broke off."),
        code="StreamBroken",
        meaning=t("The connection ended before the endpoint said that it was done."),
        next_step=t("Ask again."),
    )


def complete(
    uri: str,
    key: SecretStr,
    messages: list[Message],
    *,
    temperature: float = 0.0,
    max_tokens: int = 256,
    seed: int | None = None,
    cancel: Cancel | None = None,
) -> Answer:
    """The whole answer, with its times; arguments and errors as `stream`."""
    collected = Collected()
    for delta in stream(uri, key, messages, temperature=temperature, max_tokens=max_tokens, seed=seed, cancel=cancel):
        collected.add(delta)
    return collected.answer()


def completions_url(uri: str) -> str:
    """Address of the chat completions of an endpoint, however its address was given."""
    base = uri.rstrip("/")
    if base.endswith("/chat/completions"):
        return base
    return f"{base}/chat/completions" if base.endswith("/v1") else f"{base}/v1/chat/completions"


def _open(uri: str, key: SecretStr, body: dict[str, Any], cancel: Cancel) -> Any:
    import requests

    from tui.services.clients import unreachable

    report, _ = listening()
    while True:
        cancel.check()
        try:
            ask = partial(
                requests.post,
                completions_url(uri),
                json=body,
                headers={"Authorization": f"Bearer {key.get_secret_value()}", "Accept": "text/event-stream"},
                stream=True,
                timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            )
            response = in_thread(ask, cancel)
        except requests.RequestException as error:
            raise unreachable(error) from None
        if response.status_code < 400:
            return response
        with response:
            wait = response.headers.get("Retry-After", "")
            if response.status_code != 429 or not wait.isdecimal() or int(wait) > _RETRY_AFTER_LIMIT:
                raise error_from(response.status_code, response.headers, response.text, response.reason or "")
        if report:
            report(Progress(t("Waiting for Azure"), 0.0, float(wait), "s", t("Azure asked to wait, or did not answer")))
        cancel.sleep(float(wait))


def _lines(response: Any, cancel: Cancel) -> Iterator[str]:
    """The data of the events as they arrive, read in one thread, since a read under way cannot be interrupted."""
    import requests

    from tui.services.clients import unreachable

    arriving: SimpleQueue[bytes | Exception | None] = SimpleQueue()
    left = threading.Event()

    def read() -> None:
        try:
            with response:
                for raw in response.iter_lines(chunk_size=None):
                    if left.is_set():
                        return
                    arriving.put(raw)
            arriving.put(None)
        except Exception as error:  # raised again in the thread that asks
            arriving.put(error)

    threading.Thread(target=read, name="answer", daemon=True).start()
    try:
        while (raw := _next(arriving, cancel)) is not None:
            if isinstance(raw, requests.RequestException):
                raise unreachable(raw) from None
            if isinstance(raw, Exception):
                raise raw
            line = raw.decode("utf-8", "replace")
            if line.startswith("data:"):
                yield line[5:].strip()
    finally:
        left.set()


def _next(arriving: SimpleQueue[bytes | Exception | None], cancel: Cancel) -> bytes | Exception | None:
    while True:
        if cancel.is_set:
            raise Cancelled(t("The answer was stopped."))
        try:
            return arriving.get(timeout=0.1)
        except Empty:
            continue


def _delta(line: str) -> Delta:
    try:
        event = json.loads(line)
    except ValueError:
        raise Unreachable(t("The endpoint sent a piece that is not JSON."), code="BadAnswer", raw=line[:2000]) from None
    if event.get("error"):
        raise _refused(event)
    choice = (event.get("choices") or [{}])[0]
    usage = event.get("usage")
    return Delta(
        text=(choice.get("delta") or {}).get("content") or "",
        finish=choice.get("finish_reason") or "",
        usage=Usage(usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)) if usage else None,
        model=event.get("model") or "",
    )


def _refused(event: dict[str, Any]) -> PhiftError:
    return error_from(400, {}, json.dumps(event))
