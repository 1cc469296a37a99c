"""Reading a Causeway model file (docs/model-file.md) into float tensors."""

import json

import torch
from safetensors import safe_open

BLOCK = 32


def load(path):
    """Returns the `causeway` JSON as a dict and all weights in f32 by name, quantised ones dequantised."""
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["causeway"])
        names = [name for name in file.keys() if not name.startswith("_pad.")]
        raw = {name: file.get_tensor(name) for name in names}
    scales = {name for name in names if name.endswith(".scale") and name.removesuffix(".scale") in raw}
    return config, {name: dequantise(raw[name], raw.get(name + ".scale")) for name in names if name not in scales}


def kind(path):
    """How the file stores its matrices: f32, f16, q8 or q4."""
    with safe_open(path, "pt") as file:
        stored = file.get_slice("dit.blocks.0.ffn.2.weight").get_dtype()
    return {"F32": "f32", "F16": "f16", "I8": "q8", "U8": "q4"}[stored]


def dequantise(codes, scale):
    """f32 values of a tensor; `scale` [out, in/32] belongs to q8 (I8) and q4 (two codes a byte, the low nibble first)."""
    if scale is None:
        return codes.float()
    if codes.dtype == torch.uint8:
        codes = torch.stack([codes & 15, codes >> 4], dim=-1).flatten(1).float() - 8
    return (codes.float().unflatten(1, (-1, BLOCK)) * scale.float().unsqueeze(-1)).flatten(1)
