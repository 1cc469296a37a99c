"""Files that torch.save writes of more than plain tensors: views, floats of eight bits, and values that are no tensors."""

import argparse
import collections
import enum
import json
import pathlib
import random
import sys
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import load_file, save_file


class Settings(dict):
    """Dicts of such classes hold configurations, and now and then weights."""


class Kind(enum.Enum):
    SMALL = 1


class Run:
    def __init__(self):
        self.name, self.steps = "run", [1, 2, 3]


def plain(tensors):
    return {name: value.detach().float().contiguous().clone() for name, value in tensors.items()}


def views(out):
    """PyTorch keeps strides and shares storages."""
    torch.manual_seed(21)
    base = torch.randn(12, 20)
    small = torch.randn(6, 4, 3, 5).half()
    tensors = {
        "transposed": base.t(), "columns": base[:, 3:11], "rows": base[4:7], "every_third": base[::3, 1::2],
        "row": base[5], "column": base[:, 7], "value": base[2, 9], "expanded": base[3].expand(4, 20),
        "expanded_inside": base[:, 2:3].expand(12, 5), "diagonal": base.diagonal(), "whole": base,
        "channels_last": small.to(memory_format=torch.channels_last),
        "channels_last_3d": torch.randn(3, 4, 2, 3, 5).bfloat16().to(memory_format=torch.channels_last_3d),
        "permuted": torch.randn(4, 5, 6, dtype=torch.float64).permute(2, 0, 1), "empty": torch.zeros(3, 0).t(),
        "ones": torch.randn(7, 1).t(), "windows": base.flatten().unfold(0, 6, 2),
    }
    torch.save(tensors, out / "views.pt")
    save_file(plain(tensors), out / "views.safetensors")


def float8(out):
    """Every code of both kinds, and a view of them; unsigned integers are rebuilt by the same function."""
    codes = torch.arange(256, dtype=torch.uint8).view(16, 16)
    tensors = {
        "e4m3": codes.view(torch.float8_e4m3fn), "e5m2": codes.view(torch.float8_e5m2),
        "view": codes.view(torch.float8_e4m3fn).t()[2:9],
    }
    others = {"uint16": torch.arange(5).to(torch.uint16), "e8m0": codes[0].view(torch.float8_e8m0fnu)}
    torch.save(tensors | others, out / "float8.pt")
    save_file(plain(tensors), out / "float8.safetensors")


def opaque(out):
    """A training checkpoint with all that scripts leave in one."""
    torch.manual_seed(22)
    weights = OrderedDict((name, torch.randn(3, 4)) for name in ("a.weight", "b.weight"))
    weights._metadata = OrderedDict({"": {"version": 2}})
    weights.note = "attributes of an ordered dict"
    tagged, parameter = torch.randn(5), torch.nn.Parameter(torch.randn(2, 3))
    tagged.tag, parameter.tag = "attribute", "attribute"
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.randn(3))])
    optimizer.param_groups[0]["params"][0].grad = torch.ones(3)
    optimizer.step()
    cycle = {"name": "refers to itself"}
    cycle["self"] = cycle
    file = {
        "model": weights, "step": np.int64(1200), "loss": np.float64(0.25), "lr": np.float32(1e-4), "best": 1e-3,
        "args": argparse.Namespace(lr=1e-4, betas=(0.9, 0.99), name="run"), "dtype": torch.bfloat16,
        "device": torch.device("cpu"), "size": torch.Size([1, 2]), "set": {1, "two"}, "frozen": frozenset({3}),
        "big": 2**100, "negative_big": -(2**80), "long": 2**2100, "bytes": b"\x00\xff", "array": bytearray(b"ab"),
        "complex": 1 + 2j, "range": range(4), "slice": slice(1, 2), "path": pathlib.PurePosixPath("a/b"), "enum": Kind.SMALL,
        "class": Run, "object": Run(), "function": torch.nn.functional.relu, "numbers": np.arange(6).reshape(2, 3),
        "strings": np.array(["a", "b"]), "random": random.getstate(), "numpy_random": np.random.get_state(),
        "torch_random": torch.get_rng_state(), "counter": collections.Counter("abca"), "queue": collections.deque([1, 2]),
        "default": collections.defaultdict(list, {"inner": torch.randn(2)}), "settings": Settings(deep=Settings(w=torch.randn(3))),
        "odd_keys": {("a", 1): torch.zeros(1), None: torch.zeros(1), 1.5: torch.zeros(1), 7: torch.randn(2)},
        "half_character": "\ud800", "ellipsis": ..., "optimizer": optimizer.state_dict(), "tagged": tagged, "parameter": parameter,
        "sparse": torch.eye(3).to_sparse(), "quantized": torch.quantize_per_tensor(torch.ones(4), 0.1, 3, torch.quint8),
        "meta": torch.zeros(2, 2, device="meta"), "ints": torch.arange(4), "complex_tensor": torch.ones(2, dtype=torch.complex64),
        "cycle": cycle, "list": [torch.ones(2), {"w": torch.ones(2)}],
        "deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}},
    }
    for protocol in (2, 4, 5):
        torch.save(file, out / f"opaque{protocol}.pt", pickle_protocol=protocol)
    expected = {f"model.{name}": value for name, value in weights.items()}
    expected |= {"default.inner": file["default"]["inner"], "settings.deep.w": file["settings"]["deep"]["w"],
                 "odd_keys.7": file["odd_keys"][7], "tagged": tagged, "parameter": parameter}
    state = file["optimizer"]["state"][0]
    expected |= {f"optimizer.state.0.{name}": value for name, value in state.items()}
    save_file(plain(expected), out / "opaque.safetensors")


def shards(out):
    """A checkpoint in three files with an index, each written by torch.save as transformers' own shards are."""
    base = load_file(pathlib.Path(__file__).parent.parent / "data" / "torch" / "base.safetensors")
    names, folder, index = list(base), out / "bin-shards", {}
    folder.mkdir(exist_ok=True)
    for number in range(3):
        name = f"pytorch_model-0000{number + 1}-of-00003.bin"
        part = names[number::3]
        torch.save(OrderedDict((key, base[key]) for key in part), folder / name)
        index |= dict.fromkeys(part, name)
    size = sum(value.numel() * value.element_size() for value in base.values())
    text = json.dumps({"metadata": {"total_size": size}, "weight_map": dict(sorted(index.items()))}, indent=2)
    (folder / "pytorch_model.bin.index.json").write_text(text + "\n")


def write(out):
    shards(out)
    views(out)
    float8(out)
    opaque(out)


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
