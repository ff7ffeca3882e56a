"""The model's shape, its chat template, its tokenizer and its files: a Qwen3 of about a million parameters."""

import json
import os
import struct

import numpy as np
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import corpus

VOCABULARY = 1280
CONTEXT = 2048
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]  # ids 0, 1, 2
# Added but not control tokens: they stay visible in the model's output.
TAGS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]

CHAT_TEMPLATE = (
    "{%- if tools %}"
    "{{- '<|im_start|>system\n' }}"
    "{%- if messages[0]['role'] == 'system' %}{{- messages[0]['content'] + '\n' }}{%- endif %}"
    "{{- 'Tools:' }}"
    "{%- for tool in tools %}{{- '\n' + (tool | tojson) }}{%- endfor %}"
    "{{- '\nAnswer with <tool_call>{\"name\": ..., \"arguments\": ...}</tool_call> to call one.<|im_end|>\n' }}"
    "{%- elif messages[0]['role'] == 'system' %}"
    "{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
    "{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'user' or (message['role'] == 'system' and not loop.first) %}"
    "{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{%- elif message['role'] == 'assistant' %}"
    "{{- '<|im_start|>assistant\n' }}"
    "{%- if message['content'] %}{{- message['content'] }}{%- endif %}"
    "{%- for tc in message['tool_calls'] or [] %}"
    "{%- if tc['function'] %}{%- set tc = tc['function'] %}{%- endif %}"
    "{{- '<tool_call>{\"name\": \"' + tc['name'] + '\", \"arguments\": ' }}"
    "{%- if tc['arguments'] is string %}{{- tc['arguments'] }}{%- else %}{{- tc['arguments'] | tojson }}{%- endif %}"
    "{{- '}</tool_call>' }}"
    "{%- endfor %}"
    "{{- '<|im_end|>\n' }}"
    "{%- elif message['role'] == 'tool' %}"
    "{{- '<|im_start|>user\n<tool_response>' + message['content'] + '</tool_response><|im_end|>\n' }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)


def config(vocabulary: int) -> dict:
    """What config.json says."""
    layers = 4
    return dict(
        architectures=["Qwen3ForCausalLM"], model_type="qwen3", vocab_size=vocabulary, hidden_size=128,
        num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2, head_dim=32,
        intermediate_size=384, max_position_embeddings=CONTEXT, rms_norm_eps=1e-6, rope_theta=10000.0,
        rope_scaling=None, hidden_act="silu", attention_bias=False, attention_dropout=0.0,
        tie_word_embeddings=True, use_sliding_window=False, sliding_window=None, max_window_layers=layers,
        bos_token_id=0, eos_token_id=2, pad_token_id=0, torch_dtype="bfloat16", use_cache=True,
        initializer_range=0.02, transformers_version="4.51.0",
    )


def build_tokenizer() -> Tokenizer:
    """A byte-level BPE tokenizer learned from the corpus."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=False))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TAGS), special_tokens=CONTROL, min_frequency=2,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False,
    )
    tokenizer.train_from_iterator(corpus.tokenizer_texts(), trainer)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return tokenizer


def shapes(c: dict) -> dict:
    """Name and shape of every tensor."""
    hidden, dim, inner = c["hidden_size"], c["head_dim"], c["intermediate_size"]
    out = {"model.embed_tokens.weight": (c["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}."
        out[p + "input_layernorm.weight"] = (hidden,)
        out[p + "post_attention_layernorm.weight"] = (hidden,)
        out[p + "self_attn.q_proj.weight"] = (c["num_attention_heads"] * dim, hidden)
        out[p + "self_attn.k_proj.weight"] = (c["num_key_value_heads"] * dim, hidden)
        out[p + "self_attn.v_proj.weight"] = (c["num_key_value_heads"] * dim, hidden)
        out[p + "self_attn.o_proj.weight"] = (hidden, c["num_attention_heads"] * dim)
        out[p + "self_attn.q_norm.weight"] = (dim,)
        out[p + "self_attn.k_norm.weight"] = (dim,)
        out[p + "mlp.gate_proj.weight"] = (inner, hidden)
        out[p + "mlp.up_proj.weight"] = (inner, hidden)
        out[p + "mlp.down_proj.weight"] = (hidden, inner)
    return out


def initial_weights(c: dict) -> dict:
    """Random weights, always the same."""
    rng = np.random.default_rng(0)
    out = {}
    for name, shape in shapes(c).items():
        if len(shape) == 1:
            out[name] = np.ones(shape, np.float32)
            continue
        std = 0.02 if "embed" in name else 1 / np.sqrt(shape[1])
        if "o_proj" in name or "down_proj" in name:
            std /= np.sqrt(2 * c["num_hidden_layers"])
        out[name] = (rng.standard_normal(shape) * std).astype(np.float32)
    return out


def bfloat16(values: np.ndarray) -> np.ndarray:
    """The upper halves of 32-bit floats, rounded to nearest, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def rounded(values: np.ndarray) -> np.ndarray:
    """The values as they will be read back from the file."""
    return (bfloat16(values).astype(np.uint32) << 16).view(np.float32)


def save_safetensors(path: str, tensors: dict) -> None:
    """Length of the header, JSON header, raw data; sorted, so that the same weights give the same bytes."""
    header, offset, blobs = {"__metadata__": {"format": "pt"}}, 0, []
    for name in sorted(tensors):
        blob = bfloat16(tensors[name]).tobytes()
        header[name] = {"dtype": "BF16", "shape": list(tensors[name].shape), "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def save(directory: str, c: dict, tokenizer: Tokenizer, tensors: dict) -> None:
    """Writes the model directory: these files and nothing else are the model's identity."""
    os.makedirs(directory, exist_ok=True)

    def write(name: str, value: dict) -> None:
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    write("config.json", c)
    write("generation_config.json", dict(bos_token_id=0, eos_token_id=[2, 0], pad_token_id=0, do_sample=False))
    added = {
        str(tokenizer.token_to_id(token)): dict(
            content=token, lstrip=False, normalized=False, rstrip=False, single_word=False, special=token in CONTROL
        )
        for token in CONTROL + TAGS
    }
    write("tokenizer_config.json", dict(
        tokenizer_class="Qwen2Tokenizer", add_bos_token=False, add_prefix_space=False, bos_token=None,
        eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token=None, model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False, additional_special_tokens=["<|im_start|>", "<|im_end|>"],
        added_tokens_decoder=added, chat_template=CHAT_TEMPLATE,
    ))
    tokenizer.save(os.path.join(directory, "tokenizer.json"))
    save_safetensors(os.path.join(directory, "model.safetensors"), tensors)
