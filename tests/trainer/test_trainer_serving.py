"""The serving process, spoken to by the official client over HTTP."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from support_chats import chat, classification_rows, support_chats, write_jsonl
from trainkit import Job, WorkerProcess

from tui.trainer import places

QUESTION = [{"role": "user", "content": "How heavy is the Dune tent?"}]


class Server:
    """The serving process of the session's worker."""

    def __init__(self, worker: WorkerProcess) -> None:
        self.answer = worker.ask(op="serve", port=0)
        self.url = f"http://127.0.0.1:{self.answer['port']}"
        self.client = openai.OpenAI(api_key=self.answer["token"], base_url=f"{self.url}/v1", max_retries=0)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        return self.client.post(f"{self.url}{path}", body=body, cast_to=object)

    def ask(self, **options: Any) -> Any:
        return self.client.chat.completions.create(**{"model": "tiny", "messages": QUESTION, "seed": 1, **options})


@pytest.fixture(scope="module")
def server(worker: WorkerProcess) -> Server:
    return Server(worker)


@pytest.fixture(scope="module")
def tuned(worker: WorkerProcess, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A model that knows one fact by heart."""
    folder = tmp_path_factory.mktemp("tuned")
    row = chat(3, "weight", "How heavy is the {p}?")
    del row["messages"][0]
    write_jsonl(folder / "train.jsonl", [row] * 8)
    write_jsonl(folder / "validation.jsonl", [row])
    job = Job(folder, worker)
    assert job.run(epochs=40, eval_steps=40)["type"] == "done"
    return job


def test_the_tuned_model_answers(server: Server, tuned: Job) -> None:
    answer = server.ask(model=str(tuned.output), temperature=0)
    assert answer.choices[0].message.content == "The Dune tent weighs 2400 grams."
    assert (answer.choices[0].finish_reason, answer.object) == ("stop", "chat.completion")
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 5 < usage.completion_tokens < 30
    assert answer.model == str(tuned.output)


def test_a_stream_carries_the_same_answer_and_its_usage(server: Server, tuned: Job) -> None:
    whole = server.ask(model=str(tuned.output), temperature=0)
    chunks = list(
        server.ask(model=str(tuned.output), temperature=0, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert len(chunks) > 5
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    plain = list(server.ask(model=str(tuned.output), temperature=0, stream=True))
    assert all(chunk.usage is None for chunk in plain)


@pytest.mark.parametrize("stream", [False, True])
def test_stop_cuts_before_the_stop_text(server: Server, tuned: Job, stream: bool) -> None:
    options = {"model": str(tuned.output), "temperature": 0, "stop": ["nothing", "t weighs"], "stream": stream}
    answer = server.ask(**options)
    if stream:
        chunks = list(answer)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        finish = chunks[-1].choices[0].finish_reason
    else:
        text, finish = answer.choices[0].message.content, answer.choices[0].finish_reason
    assert (text, finish) == ("The Dune ten", "stop")


def test_max_tokens_ends_an_answer(server: Server, tuned: Job) -> None:
    answer = server.ask(model=str(tuned.output), temperature=0, max_tokens=3)
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (3, "length")


def test_seed_temperature_and_top_p(server: Server) -> None:
    def text(**options: Any) -> str:
        return str(server.ask(max_tokens=24, **options).choices[0].message.content)

    assert text(seed=5) == text(seed=5)
    assert len({text(seed=seed) for seed in range(4)}) > 1
    assert len({text(seed=seed, temperature=0) for seed in range(4)}) == 1
    assert text(seed=5, top_p=1e-6) == text(temperature=0)


@pytest.mark.parametrize(
    ("parameter", "value", "code"),
    [
        ("n", 2, "unsupported_parameter"),
        ("logprobs", True, "unsupported_parameter"),
        ("response_format", {"type": "json_object"}, "unsupported_parameter"),
        ("tools", [{"type": "function", "function": {"name": "f"}}], "unsupported_parameter"),
        ("presence_penalty", 1, "unsupported_parameter"),
        ("temperature", 3, "invalid_value"),
        ("top_p", 0, "invalid_value"),
        ("max_tokens", 0, "invalid_value"),
        ("stop", ["a"] * 5, "invalid_value"),
        ("messages", [], "invalid_value"),
        ("messages", [{"role": "tool", "content": "x"}], "invalid_value"),
        ("stream_options", {"include_usage": True}, "invalid_value"),
    ],
)
def test_what_cannot_be_honoured_is_refused(server: Server, parameter: str, value: Any, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        server.ask(**{parameter: value})
    assert (caught.value.code, caught.value.param) == (code, parameter)


def test_values_that_ask_for_nothing_pass(server: Server) -> None:
    neutral = {"n": 1, "logprobs": False, "response_format": {"type": "text"}, "presence_penalty": 0, "user": "u"}
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "text", "text": "!"}]}]
    assert server.ask(**neutral, messages=parts, max_tokens=2).usage.completion_tokens == 2


def test_too_long_a_conversation_is_refused(server: Server) -> None:
    for options in ({"messages": [{"role": "user", "content": "word " * 5000}]}, {"max_tokens": 4090}):
        with pytest.raises(openai.BadRequestError) as caught:
            server.ask(**options)
        assert caught.value.code == "context_length_exceeded"
        assert "4096" in caught.value.message


def test_only_the_token_opens_the_door_and_unknown_models_are_not_found(server: Server) -> None:
    stranger = openai.OpenAI(api_key="wrong", base_url=f"{server.url}/v1", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="tiny", messages=QUESTION)  # type: ignore[arg-type]
    with pytest.raises(openai.NotFoundError) as caught:
        server.ask(model="/no/such/model")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as bad:
        server.client.post(f"{server.url}/v1/chat/completions", content=b"{", cast_to=object)
    assert bad.value.code == "invalid_json"


def test_the_score_is_what_training_reported(server: Server, tuned: Job) -> None:
    rows = [json.loads(line) for line in (tuned.folder / "validation.jsonl").read_text().splitlines()]
    base = server.post("/v1/score", {"model": "tiny", "rows": rows})
    assert base["perplexity"] == pytest.approx(tuned.metrics("eval_perplexity")[0], rel=1e-4)
    score = server.post("/v1/score", {"model": str(tuned.output), "rows": rows})
    # The output is rounded to bfloat16, as its base is stored.
    assert score["loss"] == pytest.approx(tuned.metrics("eval_loss")[40], abs=0.02)
    assert score["token_accuracy"] == 1
    assert score["tokens"] == base["tokens"]
    with pytest.raises(openai.BadRequestError, match=r"line 1: messages\[0\]\.role"):
        server.post("/v1/score", {"model": "tiny", "rows": [{"messages": [{"role": "x", "content": ""}]}]})


def test_models_share_the_process_and_the_unused_leave(server: Server, tmp_path: Path) -> None:
    names = []
    for number in range(5):
        shutil.copytree(places.tiny_folder(), tmp_path / str(number))
        names.append(str(tmp_path / str(number)))
        server.post("/load", {"model": names[-1]})
    health = server.client.get(f"{server.url}/healthz", cast_to=object)
    assert health == {"ready": True, "models": names[1:]}
    server.post("/unload", {"model": names[4]})
    assert server.client.get(f"{server.url}/healthz", cast_to=object)["models"] == names[1:4]  # type: ignore[index]


def test_a_model_written_anew_is_read_anew(server: Server, tuned: Job, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(places.tiny_folder(), folder)
    before = server.ask(model=str(folder), temperature=0, max_tokens=20).choices[0].message.content
    shutil.rmtree(folder)
    shutil.copytree(tuned.output, folder, copy_function=shutil.copyfile)
    after = server.ask(model=str(folder), temperature=0, max_tokens=20).choices[0].message.content
    assert before != after == "The Dune tent weighs 2400 grams."


def test_a_reader_that_leaves_frees_the_turn(server: Server) -> None:
    def begin() -> Iterator[Any]:
        return iter(server.ask(stream=True, temperature=2, max_tokens=4000))

    stream = begin()
    next(stream)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    done = threading.Event()

    def other() -> None:
        server.ask(max_tokens=1)
        done.set()

    threading.Thread(target=other, daemon=True).start()
    assert done.wait(20), "the abandoned answer still runs"


def test_a_classifier_answers_with_its_class(server: Server, worker: WorkerProcess, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", classification_rows(60))
    job = Job(tmp_path, worker)
    last = job.run(task="classification", validation_file=None, epochs=4)
    assert last["type"] == "done", last
    answer = server.ask(model=str(job.output), messages=[{"role": "user", "content": "How much is the Iris camera?"}])
    assert answer.choices[0].message.content in {"colour", "delivery", "price", "warranty", "weight"}
    with pytest.raises(openai.BadRequestError, match="classifier"):
        server.post("/v1/score", {"model": str(job.output), "rows": support_chats(1)[0]})


def test_an_adapter_checkpoint_is_served_merged(server: Server, worker: WorkerProcess, tmp_path: Path) -> None:
    train, _ = support_chats(8)
    write_jsonl(tmp_path / "train.jsonl", train)
    job = Job(tmp_path, worker)
    job.run(method="lora", validation_file=None, epochs=2, learning_rate=0.02, output_dtype="float32")
    rows = {"rows": train}
    adapter = server.post("/v1/score", {"model": str(job.checkpoints / "checkpoint-2"), **rows})
    merged = server.post("/v1/score", {"model": str(job.output), **rows})
    assert adapter["loss"] == pytest.approx(merged["loss"], rel=1e-4)
