"""The official openai SDK sees an ordinary OpenAI-compatible service."""

import collections
import concurrent.futures
import json
import os
import random

import httpx
import openai
import pytest

ENDPOINT = os.environ["COCOON_ENDPOINT"]
MODEL = "cocoon-tiny"
QUESTION = [{"role": "user", "content": "What is Toncoin?"}]


@pytest.fixture(scope="module")
def client():
    return openai.OpenAI(base_url=ENDPOINT, api_key="none", max_retries=0, timeout=60)


def test_models_are_listed(client):
    models = list(client.models.list())
    assert [m.id for m in models] == [MODEL]
    assert models[0].object == "model"


def test_chat(client):
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0)
    choice = answer.choices[0]
    assert choice.finish_reason == "stop"
    assert "Toncoin" in choice.message.content
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_streamed_chat_with_usage_says_the_same(client):
    whole = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0)
    stream = client.chat.completions.create(
        model=MODEL, messages=QUESTION, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert sum(1 for c in chunks if c.choices and c.choices[0].delta.content) > 1, "it really streams"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert all(c.usage is None for c in chunks[:-1])


def test_max_tokens_is_kept(client):
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, max_tokens=3)
    assert answer.usage.completion_tokens == 3
    assert answer.choices[0].finish_reason == "length"


def test_several_choices_are_all_billed(client):
    one = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0)
    two = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, n=2)
    assert [c.index for c in two.choices] == [0, 1]
    assert two.usage.completion_tokens == 2 * one.usage.completion_tokens


def test_a_stop_string_is_not_part_of_the_answer(client):
    whole = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0).choices[0].message.content
    stop = whole.split()[3]
    cut = client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, stop=stop)
    assert cut.choices[0].message.content == whole.split(stop)[0]
    assert cut.choices[0].finish_reason == "stop"


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="gpt-17", messages=QUESTION)
    assert error.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"n": 0}, "n"),
        ({"temperature": -1}, "temperature"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, None),
    ],
)
def test_a_bad_request_is_refused_by_name(client, change, param):
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(**{"model": MODEL, "messages": QUESTION} | change)
    assert error.value.code == "bad_request"
    if param:
        assert error.value.param == param


def test_a_prompt_over_the_context_is_refused(client):
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "word " * 20_000}])
    assert error.value.code == "context_length_exceeded"


def test_a_caller_that_leaves_in_mid_stream_harms_nobody(client):
    stream = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Tell me a story."}], temperature=0, stream=True
    )
    next(iter(stream))
    stream.close()
    assert client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0).choices[0].finish_reason == "stop"


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 50_000, b"\x00", b'{"model":"\xff"}', b"null", b"[]", b"1e999"])
def test_attack_83_garbage_gets_an_error_and_breaks_nothing(client, body):
    answer = httpx.post(f"{ENDPOINT}/chat/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"
    assert client.models.list().data


def test_attack_83_an_oversized_body_is_refused(client):
    body = b'{"model":"cocoon-tiny","messages":[{"role":"user","content":"' + b"a" * 2_000_000 + b'"}]}'
    answer = httpx.post(f"{ENDPOINT}/chat/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "bad_request"


def test_attack_87_another_origin_gets_no_permission(client):
    answer = httpx.get(f"{ENDPOINT}/models", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    posted = httpx.post(
        f"{ENDPOINT}/chat/completions",
        json={"model": MODEL, "messages": QUESTION},
        headers={"origin": "https://evil.example"},
    )
    assert posted.status_code == 403


SEED = 5
JUNK = [
    None, True, 0, -1, 1, 2, 1e308, 1.5, "", [], {}, "x" * 50, "\u0000", [1], {"a": 1}, 2**63, 2**64, -(2**63), ["a", "b"], [{}],
    "auto", "required", {"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
]  # fmt: skip
FIELDS = [
    "model", "messages", "temperature", "max_tokens", "max_completion_tokens", "n", "top_p", "top_k", "seed", "stop", "presence_penalty",
    "frequency_penalty", "logprobs", "top_logprobs", "tools", "tool_choice", "response_format", "stream", "stream_options", "logit_bias",
]  # fmt: skip


def test_attack_83_every_request_of_any_shape_gets_an_answer_or_an_error():
    rng = random.Random(SEED)
    seen = collections.Counter()
    with httpx.Client(timeout=60) as http:
        for _ in range(400):
            body = {"model": MODEL, "messages": QUESTION, "temperature": 0, "max_tokens": 4}
            for _ in range(rng.randint(1, 2)):
                body[rng.choice(FIELDS)] = rng.choice(JUNK)
            raw = bytearray(json.dumps(body).encode())
            if rng.random() < 0.2:
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            answer = http.post(f"{ENDPOINT}/chat/completions", content=bytes(raw))
            assert answer.status_code in (200, 400, 404), f"seed {SEED}: {answer.status_code} {answer.text} for {bytes(raw)!r}"
            if answer.status_code != 200:
                assert answer.json()["error"]["message"], f"seed {SEED}: {bytes(raw)!r}"
            seen[answer.status_code] += 1
    assert seen[200] > 20 and seen[400] > 20, seen


def test_more_questions_than_places_are_all_answered_or_told_to_come_back(client):
    def ask(_):
        try:
            return client.chat.completions.create(model=MODEL, messages=QUESTION, temperature=0, max_tokens=8).usage.completion_tokens
        except openai.RateLimitError as error:
            assert error.response.headers["retry-after"]
            return error.code

    with concurrent.futures.ThreadPoolExecutor(150) as pool:
        results = collections.Counter(pool.map(ask, range(150)))
    assert set(results) <= {8, "overloaded"} and results[8] > 30, results
