"""The inference plane: chat completions of deployed endpoints, with keys, limits, content safety and streaming."""

from __future__ import annotations

import hmac
import http.client
import json
import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from tui.sandbox import base_models, online, safety
from tui.sandbox.errors import ServiceError
from tui.sandbox.models import SERVERLESS_TYPE
from tui.sandbox.serverless import keys
from tui.sandbox.wire import answer
from tui.sandbox.worker import Serving, WorkerError

if TYPE_CHECKING:
    from tui.sandbox.base_models import Answerer
    from tui.sandbox.server import Sandbox

# "Rate limits": 200,000 tokens a minute and 1,000 requests a minute for each deployment. A scenario may set others.
TOKENS_PER_MINUTE, REQUESTS_PER_MINUTE = 200_000, 1_000
LIMITS = {"tokens": TOKENS_PER_MINUTE, "requests": REQUESTS_PER_MINUTE}
MINUTE = 60.0
ANSWER_SECONDS = 300.0
TOKEN_AUDIENCES = ("https://ml.azure.com",)
STAND_IN_HEADER = "x-phift-sandbox-answered-by"


@dataclass
class Limiter:
    """What one endpoint used in the last minute."""

    used: deque[tuple[float, int]] = field(default_factory=deque)

    def check(self, now: float, limits: dict[str, int]) -> None:
        """Let a request through.

        Args:
            now: Seconds of a clock that only goes forward.
            limits: ``tokens`` and ``requests`` a minute.

        Raises:
            ServiceError: 429 with Retry-After in whole seconds.
        """
        while self.used and self.used[0][0] <= now - MINUTE:
            self.used.popleft()
        if len(self.used) < limits["requests"] and sum(tokens for _, tokens in self.used) < limits["tokens"]:
            return
        wait = max(1, math.ceil(self.used[0][0] + MINUTE - now))
        raise ServiceError(
            429,
            "RateLimitReached",
            f"The endpoint's limit of {limits['tokens']:,} tokens or {limits['requests']:,} requests a minute is "
            f"reached. Please retry after {wait} seconds.",
            headers={"Retry-After": str(wait), "retry-after-ms": str(wait * 1000)},
        )

    def note(self, now: float, tokens: int) -> None:
        """Count an answered request."""
        self.used.append((now, tokens))


def find_endpoint(sandbox: Sandbox, host: str) -> dict[str, Any]:
    """The endpoint behind a host name, serverless (`models.ai`) or managed online (`inference.ml`).

    Raises:
        ServiceError: 404 for none, or one that is not online.
    """
    name, region, zone = host.split(".")[:3]
    kind = SERVERLESS_TYPE if zone == "models" else online.ONLINE_TYPE
    for body in sandbox.state.of_type(kind, name):
        ready = body["properties"].get("endpointState") == "Online" or kind == online.ONLINE_TYPE
        if body["location"] == region and ready:
            return body
    raise ServiceError(404, "NotFound", f"There is no endpoint online at '{host}'.")


def check_key(sandbox: Sandbox, request: Request, endpoint: dict[str, Any]) -> None:
    """Let a request with one of the endpoint's keys pass (`Authorization: Bearer`, the bare key, or `api-key`).

    An endpoint whose authMode is not Key takes tokens for https://ml.azure.com, besides or in place of its keys.

    Raises:
        ServiceError: 401 unauthorized.
    """
    given = request.headers.get("api-key") or request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    mode = endpoint["properties"]["authMode"]
    if mode != "Key" and given.count(".") == 2:
        sandbox.identity.authenticate(request, TOKEN_AUDIENCES)
        return
    known = keys(sandbox, endpoint["id"]).values() if mode in ("Key", "KeyAndAAD") else ()
    if not any(hmac.compare_digest(given.encode(), key.encode()) for key in known):
        raise ServiceError(
            401,
            "unauthorized",
            "Access denied due to invalid key. Please ensure you are using the valid key of this endpoint.",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _ask(serving: Serving, body: dict[str, Any]) -> http.client.HTTPResponse:
    """Send a chat request to the serving process; the answer's body is still to be read.

    Raises:
        ServiceError: what the serving process refused, or 503 when it is gone.
    """
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=ANSWER_SECONDS)
    headers = {"Authorization": f"Bearer {serving.token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
    except OSError as error:
        raise ServiceError(
            503, "ModelNotReady", f"The model is not ready: {error}", headers={"Retry-After": "2"}
        ) from error
    if response.status == 200:
        return response
    refusal = json.loads(response.read())["error"]
    if response.status >= 500:
        raise ServiceError(424, "ModelError", str(refusal["message"]))
    raise ServiceError(response.status, str(refusal["code"]), str(refusal["message"]), param=refusal.get("param"))


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    """The JSON objects of a server-sent event stream, up to its end mark."""
    for line in response:
        text = line.decode().strip()
        if text.startswith("data:") and text != "data: [DONE]":
            yield json.loads(text.removeprefix("data:"))


def _sse(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def _filtered(choice: dict[str, Any], text: str) -> bool:
    """Annotate a choice with the filter's findings on `text`; a blocked one loses its content."""
    results, blocked = safety.annotate(text, prompt=False)
    choice["content_filter_results"] = results
    if blocked:
        choice["finish_reason"] = "content_filter"
    return blocked


class Chat:
    """One chat request on its way to the serving process and back."""

    def __init__(
        self, limiter: Limiter, answerer: Answerer, body: dict[str, Any], prompt_results: list[Any] | None
    ) -> None:
        self._limiter = limiter
        self._answerer = answerer
        self._prompt_results = prompt_results
        self._wants_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        self.body = {**body, "model": answerer.weights}
        if body.get("stream"):
            # The limits count tokens, so the usage is asked for in any case.
            self.body["stream_options"] = {"include_usage": True}

    @property
    def headers(self) -> dict[str, str]:
        """What the answer says of who answered."""
        return {STAND_IN_HEADER: self._answerer.description}

    def whole(self, serving: Serving) -> Response:
        """The complete answer."""
        result = json.loads(_ask(serving, self.body).read())
        self._limiter.note(time.monotonic(), result["usage"]["total_tokens"])
        result["model"] = self._answerer.label
        if self._prompt_results is not None:
            result["prompt_filter_results"] = self._prompt_results
            for choice in result["choices"]:
                if _filtered(choice, choice["message"]["content"] or ""):
                    choice["message"]["content"] = ""
        return answer(result, headers=self.headers)

    def streamed(self, response: http.client.HTTPResponse) -> Iterator[bytes]:
        """The answer as it is made; a blocked one ends where the filter found something."""
        text = ""
        with response:
            for chunk in _events(response):
                chunk["model"] = self._answerer.label
                usage = chunk.get("usage")
                if usage:
                    self._limiter.note(time.monotonic(), usage["total_tokens"])
                    if not self._wants_usage and not chunk["choices"]:
                        continue
                if not self._wants_usage:
                    chunk.pop("usage", None)
                if self._prompt_results is not None:
                    yield from self._announce(chunk)
                    blocked = False
                    for choice in chunk["choices"]:
                        text += choice["delta"].get("content") or ""
                        blocked = _filtered(choice, text)
                        if blocked:
                            choice["delta"] = {}
                    if blocked:
                        self._limiter.note(time.monotonic(), 0)
                        yield _sse(chunk)
                        break
                yield _sse(chunk)
        yield b"data: [DONE]\n\n"

    def _announce(self, chunk: dict[str, Any]) -> Iterator[bytes]:
        """Azure's first event: the prompt's annotations, without choices."""
        if self._prompt_results:
            first = {key: chunk[key] for key in ("id", "object", "created", "model")}
            yield _sse({**first, "choices": [], "prompt_filter_results": self._prompt_results})
            self._prompt_results = []


async def _read(request: Request) -> dict[str, Any]:
    """The chat request.

    Raises:
        ServiceError: 400 invalid_request_error naming the field.
    """
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise ServiceError(400, "invalid_request_error", f"The request body is not JSON: {error}") from error
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not messages:
        raise ServiceError(400, "invalid_request_error", "'messages' has to be a list of messages.", param="messages")
    assert isinstance(body, dict)  # noqa: S101 - it had a key
    return body


def routes(sandbox: Sandbox) -> list[BaseRoute]:
    """Routes of every endpoint's host."""
    limiters: dict[str, Limiter] = {}

    def admitted(request: Request) -> dict[str, Any]:
        endpoint = find_endpoint(sandbox, request.scope["host"])
        check_key(sandbox, request, endpoint)
        return endpoint

    def answerer_of(endpoint: dict[str, Any]) -> Answerer:
        if endpoint["type"] == SERVERLESS_TYPE:
            return base_models.answerer(sandbox, endpoint["properties"]["modelSettings"]["modelId"])
        return base_models.answerer(sandbox, online.deployed(sandbox, endpoint)["properties"]["model"])

    async def chat(request: Request) -> Response:
        endpoint = admitted(request)
        limiter = limiters.setdefault(endpoint["id"].lower(), Limiter())
        limiter.check(time.monotonic(), LIMITS | sandbox.state.settings.get("limits", {}))
        body = await _read(request)
        guarded = endpoint["properties"].get("contentSafety", {}).get("contentSafetyStatus") == "Enabled"
        prompt_results = safety.check_prompt(body["messages"]) if guarded else None
        exchange = Chat(limiter, answerer_of(endpoint), body, prompt_results)
        try:
            serving = await sandbox.supervisor.serving()
        except (WorkerError, OSError) as error:
            raise ServiceError(503, "ModelNotReady", str(error), headers={"Retry-After": "5"}) from error
        if not body.get("stream"):
            return await run_in_threadpool(exchange.whole, serving)
        response = await run_in_threadpool(_ask, serving, exchange.body)
        return StreamingResponse(
            exchange.streamed(response),
            media_type="text/event-stream",
            headers={**exchange.headers, "cache-control": "no-cache"},
        )

    async def info(request: Request) -> Response:
        answerer = answerer_of(admitted(request))
        return answer(
            {
                "model_name": answerer.label,
                "model_type": "chat-completion",
                "model_provider_name": "phift-tui sandbox",
                "model_description": answerer.description,
            },
            headers={STAND_IN_HEADER: answerer.description},
        )

    async def list_models(request: Request) -> Response:
        endpoint = admitted(request)
        label = answerer_of(endpoint).label
        return answer(
            {"object": "list", "data": [{"id": label, "object": "model", "created": 0, "owned_by": "sandbox"}]}
        )

    return [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/chat/completions", chat, methods=["POST"]),
        Route("/info", info, methods=["GET"]),
        Route("/v1/models", list_models, methods=["GET"]),
    ]
