"""Chat completions over HTTP on the loopback interface, for any number of checkpoints in one process."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from . import bases, data, generation, memory, scoring
from .failures import TrainingFailed

MODELS_IN_MEMORY = 4
LARGEST_BODY = 16 * 2**20
SCORE_BATCH = 16
ROLES = ("system", "user", "assistant")
KNOWN = frozenset(
    {
        "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "top_p",
        "stop", "seed", "user", "n", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice",
        "presence_penalty", "frequency_penalty", "logit_bias",
    }
)  # fmt: skip
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "response_format": ({"type": "text"},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
}
"""Parameters that are understood but not honoured, with the values that ask for nothing; None always does."""


class RequestRefused(Exception):
    """A request that is answered with an error in OpenAI's shape."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "error": {"message": message, "type": "invalid_request_error", "param": param, "code": code},
        }


@dataclass
class _Loaded:
    model: Any
    tokenizer: Any
    labels: list[str] | None
    version: int


class _Models:
    """The loaded models; the one unused for the longest leaves when there are too many."""

    def __init__(self) -> None:
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()

    def names(self) -> list[str]:
        return list(self._loaded)

    def get(self, name: str) -> _Loaded:
        """The model, read from disk where it is not in memory or was written anew since."""
        base = bases.find(name)
        version = max(path.stat().st_mtime_ns for path in base.folder.glob("*.json"))
        found = self._loaded.get(name)
        if found is None or found.version != version:
            labels = bases.class_labels(base)
            tokenizer = bases.load_tokenizer(base)
            device = "cuda" if torch.cuda.is_available() else "cpu"
            dtype = torch.float32 if device == "cpu" else torch.bfloat16
            model = bases.load_model(base, tokenizer, dtype=dtype, labels=labels)
            found = _Loaded(model.to(device).eval(), tokenizer, labels, version)
        self._loaded[name] = found
        self._loaded.move_to_end(name)
        while len(self._loaded) > MODELS_IN_MEMORY:
            self._loaded.popitem(last=False)
        return found

    def drop(self, name: str) -> None:
        self._loaded.pop(name, None)


class _Service:
    def __init__(self) -> None:
        self._models = _Models()
        self._turn = asyncio.Lock()
        """Held while a model is loaded or run: one at a time is fastest, and a seed then means something."""
        self._generating = threading.Lock()
        """Held by the thread that generates: an abandoned answer ends a token after its reader has left the turn."""
        self._running: set[generation.Completion] = set()

    def routes(self) -> list[Route]:
        return [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/score", self.score, methods=["POST"]),
            Route("/load", self.load, methods=["POST"]),
            Route("/unload", self.unload, methods=["POST"]),
            Route("/healthz", self.health),
        ]

    def close(self) -> None:
        for completion in self._running:
            completion.cancelled.set()

    async def health(self, request: Request) -> Response:
        return JSONResponse({"ready": True, "models": self._models.names()})

    async def load(self, request: Request) -> Response:
        name = _text(await _body(request), "model")
        async with self._turn:
            await self._model(name)
        return JSONResponse({"model": name})

    async def unload(self, request: Request) -> Response:
        name = _text(await _body(request), "model")
        async with self._turn:
            self._models.drop(name)
        return JSONResponse({"model": name})

    async def score(self, request: Request) -> Response:
        body = await _body(request)
        name = _text(body, "model")
        rows = body.get("rows")
        if not isinstance(rows, list) or not rows:
            raise RequestRefused(400, "invalid_value", "rows has to be a list of chats", "rows")
        async with self._turn:
            loaded = await self._model(name)
            if loaded.labels:
                raise RequestRefused(400, "invalid_value", f"{name} is a classifier and has no perplexity", "model")
            try:
                score = await asyncio.to_thread(_score, loaded, rows)
            except TrainingFailed as error:
                raise RequestRefused(400, "invalid_value", error.message, "rows") from None
        return JSONResponse(
            {
                "loss": score.loss,
                "perplexity": score.perplexity,
                "token_accuracy": score.token_accuracy,
                "tokens": score.tokens,
            }
        )

    async def chat(self, request: Request) -> Response:
        body = await _body(request)
        name = _text(body, "model")
        sampling, messages = _sampling(body), _messages(body)
        stream = _flag(body, "stream")
        options = body.get("stream_options") or {}
        if not isinstance(options, dict) or (options and not stream):
            raise RequestRefused(400, "invalid_value", "stream_options is for stream: true", "stream_options")
        usage = _flag(options, "include_usage")
        pieces = self._pieces(
            name, messages, sampling, explicit="max_tokens" in body or "max_completion_tokens" in body
        )
        # The first piece carries nothing but the completion: by then the request has been found to be good.
        completion = (await anext(pieces))[0]
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": name}
        if stream:
            events = _server_sent(head, pieces, completion, usage=usage)
            return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache"})
        try:
            async for _ in pieces:
                if await request.is_disconnected():
                    break
        finally:
            await pieces.aclose()
        message = {"role": "assistant", "content": completion.text}
        choice = {"index": 0, "message": message, "finish_reason": completion.finish, "logprobs": None}
        return JSONResponse({**head, "object": "chat.completion", "choices": [choice], "usage": _usage(completion)})

    async def _pieces(
        self, name: str, messages: list[dict[str, str]], sampling: generation.Sampling, *, explicit: bool
    ) -> AsyncGenerator[tuple[generation.Completion, str]]:
        """Pieces of the answer as they come; the first is empty and says that generation begins."""
        async with self._turn:
            loaded = await self._model(name)
            try:
                prompt = await asyncio.to_thread(data.prompt_ids, messages, loaded.tokenizer)
            except Exception as error:
                # A chat template is a program that may refuse a conversation with an error of any type.
                raise RequestRefused(
                    400, "invalid_value", f"the chat template refused it: {error}", "messages"
                ) from None
            completion = generation.Completion(prompt_tokens=len(prompt))
            if loaded.labels:
                completion.text = await asyncio.to_thread(generation.classify, loaded.model, prompt)
                completion.completion_tokens, completion.finish = 1, "stop"
                yield completion, ""
                yield completion, completion.text
                return
            room = bases.context_length(loaded.model) - len(prompt)
            wanted = sampling.max_tokens if explicit else min(sampling.max_tokens, max(room, 1))
            if wanted > room:
                raise RequestRefused(
                    400,
                    "context_length_exceeded",
                    f"This model's context is {room + len(prompt)} tokens; the messages have {len(prompt)} and "
                    f"{wanted} were asked for.",
                    "messages",
                )
            yield completion, ""
            loop = asyncio.get_running_loop()
            queue: asyncio.Queue[str | None] = asyncio.Queue()

            def deliver(piece: str | None) -> None:
                loop.call_soon_threadsafe(queue.put_nowait, piece)

            def work() -> None:
                try:
                    self._generate(
                        loaded,
                        prompt,
                        generation.Sampling(wanted, sampling.temperature, sampling.top_p, sampling.stop, sampling.seed),
                        completion,
                        deliver,
                    )
                finally:
                    deliver(None)

            self._running.add(completion)
            running = asyncio.create_task(asyncio.to_thread(work))
            try:
                while (piece := await queue.get()) is not None:
                    yield completion, piece
            finally:
                completion.cancelled.set()
                self._running.discard(completion)
                await asyncio.shield(running)

    def _generate(
        self,
        loaded: _Loaded,
        prompt: list[int],
        sampling: generation.Sampling,
        completion: generation.Completion,
        deliver: Callable[[str], None],
    ) -> None:
        with self._generating:
            generation.complete(loaded.model, loaded.tokenizer, prompt, sampling, completion, deliver)

    async def _model(self, name: str) -> _Loaded:
        try:
            return await asyncio.to_thread(self._models.get, name)
        except TrainingFailed as error:
            raise RequestRefused(404, "model_not_found", error.line, "model") from None


def _score(loaded: _Loaded, rows: list[Any]) -> scoring.ChatScore:
    """The score of chats that came over the wire; the place of a bad one is told as the line of `rows`."""
    numbered = []
    for number, row in enumerate(rows, start=1):
        data.check_messages(row, Path("rows"), number)
        numbered.append((number, row))
    encoded = data.encode_chats(numbered, loaded.tokenizer, bases.context_length(loaded.model))
    if encoded.truncated:
        raise TrainingFailed(
            "BadRow", f"row {encoded.truncated[0]} is longer than the model's context", "Shorten the chat."
        )
    ordered = sorted(encoded.rows, key=lambda row: len(row["input_ids"]))
    batches = [
        data.collate(ordered[start : start + SCORE_BATCH], loaded.tokenizer.pad_token_id)
        for start in range(0, len(ordered), SCORE_BATCH)
    ]
    device = loaded.model.device
    return scoring.score_rows(
        loaded.model, ({key: value.to(device) for key, value in batch.items()} for batch in batches)
    )


async def _server_sent(
    head: dict[str, Any],
    pieces: AsyncGenerator[tuple[generation.Completion, str]],
    completion: generation.Completion,
    *,
    usage: bool,
) -> AsyncIterator[str]:
    def event(choices: list[dict[str, Any]], **extra: Any) -> str:
        body = {**head, "object": "chat.completion.chunk", "choices": choices, **extra}
        return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"

    none = {"usage": None} if usage else {}
    yield event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}], **none)
    try:
        async for _, piece in pieces:
            yield event([{"index": 0, "delta": {"content": piece}, "finish_reason": None}], **none)
    except Exception as error:
        # The status is long sent: the reader learns it from the stream, the log from what is raised on.
        yield event([], error={"message": str(error), "type": "server_error", "param": None, "code": "server_error"})
        raise
    finally:
        await pieces.aclose()
    yield event([{"index": 0, "delta": {}, "finish_reason": completion.finish}], **none)
    if usage:
        yield event([], usage=_usage(completion))
    yield "data: [DONE]\n\n"


def _usage(completion: generation.Completion) -> dict[str, int]:
    prompt, answer = completion.prompt_tokens, completion.completion_tokens
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


async def _body(request: Request) -> dict[str, Any]:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST_BODY:
            raise RequestRefused(413, "too_large", f"a request has at most {LARGEST_BODY} bytes")
        parts.append(part)
    try:
        body = json.loads(b"".join(parts))
    except ValueError as error:
        raise RequestRefused(400, "invalid_json", f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise RequestRefused(400, "invalid_json", "the body has to be one JSON object")
    return body


def _sampling(body: dict[str, Any]) -> generation.Sampling:
    """The sampling asked for; what cannot be honoured is refused rather than ignored."""
    for name, value in body.items():
        if name not in KNOWN:
            raise RequestRefused(400, "unsupported_parameter", f"{name} is not known here", name)
        if value is not None and name in NEUTRAL and value not in NEUTRAL[name]:
            raise RequestRefused(400, "unsupported_parameter", f"{name} = {value!r} cannot be honoured here", name)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    stop = body.get("stop") or []
    stop = [stop] if isinstance(stop, str) else stop
    if not isinstance(stop, list) or len(stop) > 4 or not all(isinstance(text, str) and text for text in stop):
        raise RequestRefused(400, "invalid_value", "stop is a text or up to four", "stop")
    return generation.Sampling(
        max_tokens=int(_number("max_tokens", limit, generation.DEFAULT_MAX_TOKENS, 1, 1_000_000, whole=True)),
        temperature=_number("temperature", body.get("temperature"), 1.0, 0, 2),
        top_p=_number("top_p", body.get("top_p"), 1.0, 1e-6, 1),
        stop=tuple(stop),
        seed=None
        if body.get("seed") is None
        else int(_number("seed", body["seed"], 0, -(2**63), 2**63 - 1, whole=True)),
    )


def _number(name: str, value: Any, default: float, low: float, high: float, *, whole: bool = False) -> float:
    if value is None:
        return default
    good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not good or not low <= value <= high:
        raise RequestRefused(400, "invalid_value", f"{name} has to be a number from {low:g} to {high:g}", name)
    return float(value)


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name)
    if value not in (None, True, False):
        raise RequestRefused(400, "invalid_value", f"{name} has to be true or false", name)
    return bool(value)


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise RequestRefused(400, "invalid_value", f"{name} has to be a text", name)
    return value


def _messages(body: dict[str, Any]) -> list[dict[str, str]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RequestRefused(400, "invalid_value", "messages has to be a list that is not empty", "messages")
    result = []
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise RequestRefused(400, "invalid_value", f"{place}.role has to be one of {', '.join(ROLES)}", "messages")
        content = message.get("content")
        if isinstance(content, list):
            if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
                raise RequestRefused(400, "unsupported_parameter", f"{place} has parts that are not text", "messages")
            content = "".join(part["text"] for part in content)
        if not isinstance(content, str):
            raise RequestRefused(400, "invalid_value", f"{place}.content has to be a text", "messages")
        result.append({"role": message["role"], "content": content})
    return result


class _Bearer:
    """Lets in who has the token; written for ASGI, because a wrapper around requests would hold streams back."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not secrets.compare_digest(given, self._wanted):
                refused = RequestRefused(401, "invalid_api_key", "the bearer token is missing or wrong")
                await JSONResponse(refused.body, 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _refuse(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestRefused):
        raise error
    return JSONResponse(error.body, error.status)


def run(listener: socket.socket, token: str, watched: int) -> int:
    """Serve on `listener` until SIGTERM, or until the other end of the pipe `watched` is closed.

    Returns:
        The exit code.
    """
    torch.set_num_threads(memory.cores())
    service = _Service()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        def leave() -> None:
            server.should_exit = True
            loop.remove_reader(watched)

        loop = asyncio.get_running_loop()
        loop.add_reader(watched, leave)
        yield
        service.close()

    app = Starlette(
        routes=service.routes(),
        middleware=[Middleware(_Bearer, token=token)],
        exception_handlers={RequestRefused: _refuse},
        lifespan=lifespan,
    )
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="on")
    )
    server.run(sockets=[listener])
    return 0
