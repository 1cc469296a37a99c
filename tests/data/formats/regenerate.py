#!/usr/bin/env python3
"""Makes the files here that other libraries write, beside those that were found so: gguf, safetensors, ml_dtypes and numpy.

    pip install gguf==0.19.0 safetensors==0.8.0 ml_dtypes numpy && python3 regenerate.py

Files with a name that is not below are kept as they were found in use, each with the values it must give (NAME.expected.safetensors).
"""

import json
import pathlib

import gguf
import ml_dtypes
import numpy as np
import safetensors
from safetensors.numpy import load_file

HERE = pathlib.Path(__file__).parent
BASE = HERE.parent / "torch" / "base.safetensors"
TEXT = HERE.parent.parent / "parity" / "golden" / "umt5-hf"


def spec(value):
    return safetensors.TensorSpec(
        dtype=value.dtype.name, shape=value.shape, data_ptr=value.ctypes.data, data_len=value.nbytes)


def save(name, tensors, metadata=None):
    """The library's own writer, which knows types that numpy does not."""
    values = {k: np.ascontiguousarray(v).reshape(v.shape) for k, v in tensors.items()}
    specs = {k: spec(v) for k, v in values.items()}
    safetensors.serialize_file(specs, HERE / name, metadata)


def expected(name, tensors):
    save(f"{name}.expected.safetensors", {k: np.asarray(v).astype(np.float32) for k, v in tensors.items()})


def is_matrix(name, value):
    return name.startswith("blocks.") and value.ndim == 2 and name.endswith(".weight")


def network(change):
    """The base, its blocks' matrices as `change` stores them; what they are then worth."""
    base = {k: v.astype(np.float32) for k, v in load_file(BASE).items()}
    tensors, worth = {}, {}
    for name, value in base.items():
        if is_matrix(name, value):
            stored, worth[name] = change(name.removesuffix(".weight"), value)
            tensors |= stored
        else:
            tensors[name] = value.astype(ml_dtypes.bfloat16)
    return tensors, worth


def eight_bits():
    e4m3, e5m2 = ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2

    def plain(module, w):
        codes = w.astype(e5m2)
        return {f"{module}.weight": codes}, codes.astype(np.float32)

    tensors, worth = network(plain)
    save("fp8-e5m2.safetensors", tensors)
    expected("fp8-e5m2", worth)

    def rows(module, w):
        """A scale for each row, as LightX2V stores fp8; the activations' scale is not the weight's."""
        scale = (np.abs(w).max(1, keepdims=True) / 448).astype(ml_dtypes.bfloat16)
        codes = (w / scale.astype(np.float32)).astype(e4m3)
        stored = {f"{module}.weight": codes, f"{module}.weight_scale": scale,
                  f"{module}.input_scale": np.array([0.25], np.float32)}
        return stored, codes.astype(np.float64) * scale.astype(np.float64)

    tensors, worth = network(rows)
    save("fp8-rows.safetensors", tensors)
    expected("fp8-rows", worth)

    def runs(module, w):
        """A scale for each 16 values of a row, as musubi-tuner stores them: [rows, runs, 1]."""
        parts = w.reshape(len(w), -1, 16)
        scale = np.abs(parts).max(2, keepdims=True).astype(np.float32) / 448
        codes = (parts / scale).astype(e4m3)
        worth = (codes.astype(np.float64) * scale).reshape(w.shape)
        return {f"{module}.weight": codes.reshape(w.shape), f"{module}.scale_weight": scale}, worth

    tensors, worth = network(runs)
    save("fp8-runs.safetensors", tensors | {"scaled_fp8": np.zeros(2, e4m3)})
    expected("fp8-runs", worth)

    layers = {}

    def described(module, w):
        """ComfyUI's later layout: one number a tensor, and a description of each layer."""
        scale = np.float32(np.abs(w).max() / 448)
        codes = (w / scale).astype(e4m3)
        layers[module] = {"format": "float8_e4m3fn"}
        text = np.frombuffer(json.dumps(layers[module] | {"full_precision_matrix_mult": True}).encode(), np.uint8)
        stored = {f"{module}.weight": codes, f"{module}.weight_scale": np.array(scale), f"{module}.comfy_quant": text}
        return stored, codes.astype(np.float64) * scale

    tensors, worth = network(described)
    metadata = {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})}
    save("fp8-described.safetensors", tensors, metadata)
    expected("fp8-described", worth)

    def integers(module, w):
        scale = (np.abs(w).max(1) / 127).astype(np.float16)
        codes = np.clip(np.rint(w / scale[:, None].astype(np.float32)), -127, 127).astype(np.int8)
        return {f"{module}.weight": codes, f"{module}.weight_scale": scale}, codes.astype(np.float64) * scale[:, None]

    tensors, worth = network(integers)
    save("int8-rows.safetensors", tensors)
    expected("int8-rows", worth)

    # A matrix of 130 x 260 with a scale for each block of 128 x 128, and every code of both types.
    rng = np.random.default_rng(31)
    codes = (rng.standard_normal((130, 260)) * 100).astype(e4m3)
    scale = rng.uniform(0.001, 0.01, (2, 3)).astype(np.float32)
    every = np.arange(256, dtype=np.uint8)
    spread = np.repeat(np.repeat(scale, 128, 0), 128, 1)[:130, :260]
    save("fp8-blocks.safetensors", {"a.weight": codes, "a.weight_scale_inv": scale})
    expected("fp8-blocks", {"a.weight": codes.astype(np.float64) * spread})
    save("fp8-codes.safetensors", {"e4m3": every.view(e4m3), "e5m2": every.view(e5m2)})
    expected("fp8-codes", {"e4m3": every.view(e4m3), "e5m2": every.view(e5m2)})


def ggufs():
    base = {k: v.astype(np.float32) for k, v in load_file(BASE).items()}
    # Blocks of random codes; what they are worth is the library's word.
    rng = np.random.default_rng(32)
    writer, worth = gguf.GGUFWriter(HERE / "iq4.gguf", "wan"), {}
    for kind in ("IQ4_NL", "IQ4_XS"):
        dtype = gguf.GGMLQuantizationType[kind]
        block, size = gguf.GGML_QUANT_SIZES[dtype]
        raw = rng.integers(0, 256, (4, 1024 // block, size), np.uint8)
        raw[..., :2] = rng.uniform(-0.01, 0.01, raw.shape[:2]).astype(np.float16)[..., None].view(np.uint8)
        worth[kind] = gguf.quants.dequantize(raw.reshape(4, -1), dtype).reshape(4, 1024)
        writer.add_tensor(kind, raw.reshape(4, -1), raw_dtype=dtype)
    finish(writer)
    expected("iq4", worth)

    # A type that is not read.
    writer = gguf.GGUFWriter(HERE / "iq3.gguf", "wan")
    for name, value in base.items():
        if is_matrix(name, value):
            dtype = gguf.GGMLQuantizationType.IQ3_S
            block, size = gguf.GGML_QUANT_SIZES[dtype]
            wide = np.zeros((len(value), size), np.uint8)
            writer.add_tensor(name, wide, raw_dtype=dtype)
        else:
            writer.add_tensor(name, value.reshape(-1, *value.shape[-3:]) if value.ndim > 4 else value)
    finish(writer)

    # Outputs and channels of the patch embedding are one dimension, as stable-diffusion.cpp stores it; split in three files.
    writer = gguf.GGUFWriter(HERE / "patch-4d.gguf", "wan")
    split = gguf.GGUFWriter(HERE / "split.gguf", "wan", split_max_tensors=15)
    for name, value in base.items():
        value = value.reshape(-1, *value.shape[2:]) if value.ndim == 5 else value
        for one in (writer, split):
            one.add_tensor(name, value)
    finish(writer)
    finish(split)

    # A text encoder under GGUF's names.
    names = {"shared.weight": "token_embd.weight", "encoder.final_layer_norm.weight": "enc.output_norm.weight"}
    inner = {"layer.0.SelfAttention.relative_attention_bias": "attn_rel_b", "layer.0.layer_norm": "attn_norm",
             "layer.1.layer_norm": "ffn_norm", "layer.1.DenseReluDense.wi_0": "ffn_gate",
             "layer.1.DenseReluDense.wi_1": "ffn_up", "layer.1.DenseReluDense.wo": "ffn_down"}
    inner |= {f"layer.0.SelfAttention.{x}": f"attn_{x}" for x in "qkvo"}
    writer = gguf.GGUFWriter(HERE / "umt5-f16.gguf", "t5encoder")
    for shard in sorted(TEXT.glob("*.safetensors")):
        for name, value in load_file(shard).items():
            if name.startswith("encoder.block."):
                number, rest = name.removeprefix("encoder.block.").split(".", 1)
                name = f"enc.blk.{number}.{inner[rest.removesuffix('.weight')]}.weight"
            writer.add_tensor(names.get(name, name), value)
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def renamed():
    """The base under other projects' names."""
    base = load_file(BASE)
    outer = {"patch_embedding": "patch_embedding.proj", "head.head": "proj_out", "head.modulation": "scale_shift_table",
             "text_embedding.0": "condition_embedder.text_embedder.fc_in", "text_embedding.2": "condition_embedder.text_embedder.fc_out",
             "time_embedding.0": "condition_embedder.time_embedder.mlp.fc_in", "time_embedding.2": "condition_embedder.time_embedder.mlp.fc_out",
             "time_projection.1": "condition_embedder.time_modulation.linear"}
    inner = {"self_attn.q": "to_q", "self_attn.k": "to_k", "self_attn.v": "to_v", "self_attn.o": "to_out",
             "self_attn.norm_q": "norm_q", "self_attn.norm_k": "norm_k", "cross_attn.q": "attn2.to_q", "cross_attn.k": "attn2.to_k",
             "cross_attn.v": "attn2.to_v", "cross_attn.o": "attn2.to_out", "cross_attn.norm_q": "attn2.norm_q",
             "cross_attn.norm_k": "attn2.norm_k", "norm3": "self_attn_residual_norm.norm", "ffn.0": "ffn.fc_in",
             "ffn.2": "ffn.fc_out", "modulation": "scale_shift_table"}

    def theirs(name):
        stem, _, last = name.rpartition(".")
        if name in outer or stem in outer:
            return outer[name] if name in outer else f"{outer[stem]}.{last}"
        number, rest = name.removeprefix("blocks.").split(".", 1)
        stem, _, last = rest.rpartition(".")
        return f"blocks.{number}.{inner[rest]}" if rest in inner else f"blocks.{number}.{inner[stem]}.{last}"

    save("fastvideo.safetensors", {theirs(k): v for k, v in base.items()})
    save("prefix.safetensors", {f"net.dit.{k}": v for k, v in base.items()})
    keys = list(base)
    for part, half in enumerate((keys[:20], keys[20:]), 1):
        save(f"parts-{part:05}-of-00002.safetensors", {k: base[k] for k in half})


def loras():
    base = {k: v.astype(np.float64) for k, v in load_file(BASE).items()}
    rng = np.random.default_rng(33)
    factor = lambda *shape: (0.1 * rng.standard_normal(shape)).astype(np.float16)
    merged = lambda name, a, b, scale: base[name] + scale * (b.astype(np.float64) @ a.astype(np.float64))

    # kohya's way, in diffusers' spelling, with a convolution and a number of a prefix of its own.
    a, b = factor(4, 32), factor(32, 4)
    c, d = factor(2, 4, 1, 2, 2), factor(32, 2, 1, 1, 1)
    save("lora-kohya-diffusers.safetensors", {
        "lora_transformer_blocks_0_attn1_to_q.lora_down.weight": a, "lora_transformer_blocks_0_attn1_to_q.lora_up.weight": b,
        "lora_transformer_blocks_0_attn1_to_q.alpha": np.array(1, np.float32),
        "lora_transformer_patch_embedding.lora_down.weight": c, "lora_transformer_patch_embedding.lora_up.weight": d})
    patch = "patch_embedding.weight"
    expected("lora-kohya-diffusers", {
        "blocks.0.self_attn.q.weight": merged("blocks.0.self_attn.q.weight", a, b, 0.25),
        patch: base[patch] + (d.reshape(32, 2).astype(np.float64) @ c.reshape(2, -1).astype(np.float64)).reshape(base[patch].shape)})

    # PEFT's, with an adapter's name and a prefix that nobody knows, strength 0.5.
    a, b = factor(4, 32), factor(64, 4)
    save("lora-adapter.safetensors", {
        "pipe.net.blocks.0.ffn.net.0.proj.lora_A.my_style.weight": a, "pipe.net.blocks.0.ffn.net.0.proj.lora_B.my_style.weight": b})
    expected("lora-adapter", {"blocks.0.ffn.0.weight": merged("blocks.0.ffn.0.weight", a, b, 0.5)})

    # Old diffusers'.
    a, b = factor(4, 32), factor(32, 4)
    save("lora-old.safetensors", {
        "transformer.blocks.0.attn2.processor.to_v_lora.down.weight": a, "transformer.blocks.0.attn2.processor.to_v_lora.up.weight": b})
    expected("lora-old", {"blocks.0.cross_attn.v.weight": merged("blocks.0.cross_attn.v.weight", a, b, 1)})

    # Differences of a weight, a bias and modulation, strength -2.
    w, bias, table = factor(32, 64), factor(16), factor(1, 6, 32)
    save("lora-differences.safetensors", {
        "diffusion_model.blocks.0.ffn.2.diff": w, "diffusion_model.head.head.diff_b": bias, "diffusion_model.blocks.0.diff_m": table})
    expected("lora-differences", {
        "blocks.0.ffn.2.weight": base["blocks.0.ffn.2.weight"] - 2 * w.astype(np.float64),
        "head.head.bias": base["head.head.bias"] - 2 * bias.astype(np.float64),
        "blocks.0.modulation": base["blocks.0.modulation"] - 2 * table.astype(np.float64)})


def decoders():
    """A TAEHV with an encoder, under a name that says nothing."""
    tae = load_file(HERE / "tae-prefix.safetensors")
    tae = {k.removeprefix("taehv."): v for k, v in tae.items()}
    save("tae-both.safetensors", tae | {"encoder.0.weight": np.zeros((4, 3, 3, 3), np.float16)})


eight_bits()
ggufs()
renamed()
loras()
decoders()
