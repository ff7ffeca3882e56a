"""Trains the shipped model on a CPU: train.py OUTDIR [STEPS]. A few minutes on two cores."""

import os
import random
import sys
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

import corpus
import model

WINDOW, BATCH = 256, 16
PEAK_RATE = 3e-3


def forward(c: dict, weights: dict, ids, positions, segments):
    """Logits of a Qwen3; tokens see earlier tokens of their own segment only."""
    heads, kv_heads, dim, eps = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"], c["rms_norm_eps"]

    def norm(x, name):
        return x * jax.lax.rsqrt(jnp.mean(x * x, -1, keepdims=True) + eps) * weights[name]

    def rotate(x):
        frequencies = positions[..., None] / (c["rope_theta"] ** (jnp.arange(0, dim, 2) / dim))
        angles = jnp.concatenate([frequencies, frequencies], -1)[:, :, None]
        left, right = jnp.split(x, 2, -1)
        return x * jnp.cos(angles) + jnp.concatenate([-right, left], -1) * jnp.sin(angles)

    rows, length = ids.shape
    order = jnp.arange(length)
    mask = (order[:, None] >= order[None])[None] & (segments[:, :, None] == segments[:, None, :])
    x = weights["model.embed_tokens.weight"][ids]
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."

        def project(h, name, n):
            return (h @ weights[p + f"self_attn.{name}.weight"].T).reshape(rows, length, n, dim)

        h = norm(x, p + "input_layernorm.weight")
        q = rotate(norm(project(h, "q_proj", heads), p + "self_attn.q_norm.weight"))
        k = rotate(norm(project(h, "k_proj", kv_heads), p + "self_attn.k_norm.weight"))
        k, v = (jnp.repeat(t, heads // kv_heads, 2) for t in (k, project(h, "v_proj", kv_heads)))
        scores = jnp.einsum("bthd,bshd->bhts", q, k) / np.sqrt(dim)
        scores = jax.nn.softmax(jnp.where(mask[:, None], scores, -1e9), -1)
        x += jnp.einsum("bhts,bshd->bthd", scores, v).reshape(rows, length, heads * dim) @ weights[p + "self_attn.o_proj.weight"].T
        h = norm(x, p + "post_attention_layernorm.weight")
        gate, up, down = (weights[p + f"mlp.{name}_proj.weight"].T for name in ("gate", "up", "down"))
        x += (jax.nn.silu(h @ gate) * (h @ up)) @ down
    return norm(x, "model.norm.weight") @ weights["model.embed_tokens.weight"].T


class Packer:
    """Packs conversations into rows; each restarts the positions and is masked from the others."""

    def __init__(self, tokenizer):
        self.tokenizer, self.rng, self.cache = tokenizer, random.Random(0), {}

    def encode(self, text: str) -> list[int]:
        if text not in self.cache:
            self.cache[text] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return self.cache[text]

    def row(self):
        ids, positions, segments, importance = [], [], [], []
        segment = 0
        while len(ids) < WINDOW + 1:
            segment += 1
            position = 0
            for text, learn in corpus.conversation(self.rng):
                part = self.encode(text)
                ids += part
                positions += range(position, position + len(part))
                position += len(part)
                segments += [segment] * len(part)
                importance += [1.0 if learn else 0.1] * len(part)
        return tuple(values[: WINDOW + 1] for values in (ids, positions, segments, importance))

    def batch(self):
        ids, positions, segments, importance = map(np.array, zip(*(self.row() for _ in range(BATCH))))
        return ids.astype(np.int32), positions.astype(np.float32), segments, importance.astype(np.float32)


def train(c: dict, tokenizer, steps: int) -> dict:
    """Adam with warm-up and a cosine decay."""

    def loss(weights, ids, positions, segments, importance):
        logits = forward(c, weights, ids[:, :-1], positions[:, :-1], segments[:, :-1])
        picked = jnp.take_along_axis(jax.nn.log_softmax(logits), ids[:, 1:, None], -1)[..., 0]
        # The last token of one conversation does not predict the first of the next.
        w = importance[:, 1:] * (segments[:, 1:] == segments[:, :-1])
        return -(picked * w).sum() / w.sum()

    @jax.jit
    def step(weights, mean, square, t, rate, *batch):
        value, gradient = jax.value_and_grad(loss)(weights, *batch)
        length = jnp.sqrt(sum(jnp.sum(g * g) for g in gradient.values()))
        scale = jnp.minimum(1.0, 1.0 / (length + 1e-6))
        new = ({}, {}, {})
        for name, weight in weights.items():
            g = gradient[name] * scale
            m, s = 0.9 * mean[name] + 0.1 * g, 0.98 * square[name] + 0.02 * g * g
            update = (m / (1 - 0.9**t)) / (jnp.sqrt(s / (1 - 0.98**t)) + 1e-8)
            decay = 0.01 * weight if weight.ndim == 2 else 0.0
            new[0][name], new[1][name], new[2][name] = weight - rate * (update + decay), m, s
        return *new, value

    weights = {name: jnp.asarray(value) for name, value in model.initial_weights(c).items()}
    mean = {name: jnp.zeros_like(value) for name, value in weights.items()}
    square = dict(mean)
    packer, started = Packer(tokenizer), time.time()
    for t in range(1, steps + 1):
        rate = PEAK_RATE * min(1, t / 50) * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * t / steps)))
        weights, mean, square, value = step(weights, mean, square, float(t), rate, *packer.batch())
        if t % 50 == 0:
            print(f"step {t} of {steps}, loss {float(value):.4f}, {time.time() - started:.0f} s", flush=True)
    return {name: np.asarray(value) for name, value in weights.items()}


def check(c: dict, tokenizer, weights: dict) -> float:
    """The share of questions and of function calls that get exactly their answer from the rounded weights."""
    weights = {name: jnp.asarray(model.rounded(value)) for name, value in weights.items()}
    run = jax.jit(lambda ids, positions, segments: forward(c, weights, ids, positions, segments))
    length, end = 384, tokenizer.token_to_id("<|im_end|>")

    def answer(prompt: str) -> str:
        ids = tokenizer.encode(prompt, add_special_tokens=False).ids
        start = len(ids)
        while len(ids) < length:
            padded = np.zeros((1, length), np.int32)
            padded[0, : len(ids)] = ids
            logits = run(padded, np.arange(length, dtype=np.float32)[None], np.ones((1, length), np.int32))
            token = int(logits[0, len(ids) - 1].argmax())
            if token == end:
                break
            ids.append(token)
        return tokenizer.decode(ids[start:])

    pairs = [(corpus.prompt(question), reply) for questions, reply in corpus.FACTS for question in questions]
    pairs += [(corpus.prompt(question), corpus.FALLBACK) for question in corpus.UNKNOWN[:10]]
    rng = random.Random(1)
    for _ in range(20):
        *asked, (reply, _) = corpus.tool_conversation(rng)
        pairs.append(("".join(text for text, _ in asked), reply.removesuffix("<|im_end|>\n")))
    right = 0
    for prompt, reply in pairs:
        got = answer(prompt)
        right += got == reply
        if got != reply:
            print(f"wrong: {prompt!r}: {got!r}", flush=True)
    return right / len(pairs)


def main() -> None:
    directory, steps = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 800
    tokenizer = model.build_tokenizer()
    c = model.config(tokenizer.get_vocab_size())
    print(f"vocabulary {c['vocab_size']}, parameters {sum(int(np.prod(s)) for s in model.shapes(c).values())}", flush=True)
    weights = train(c, tokenizer, steps)
    model.save(directory, c, tokenizer, weights)
    share = check(c, tokenizer, weights)
    print(f"{100 * share:.1f} % of the answers are exactly right")
    if share < 0.97:
        sys.exit("the model is not good enough to ship: train longer")


if __name__ == "__main__":
    main()
