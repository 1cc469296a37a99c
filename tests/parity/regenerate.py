"""Makes every file of golden/ anew from implementations nobody here wrote: PyTorch, diffusers, safetensors, gguf."""

import copy
import json
import os
import shutil
import sys
from collections import OrderedDict
from pathlib import Path

import gguf
import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors.torch import save_file

import clip
import decoders
import game
import loras
import pictures
import reference
import streams
import torchfiles
import umt5
import waypoint

OUT = Path(sys.argv[1])
LENGTH = 16


def original(net):
    """The network under the original Wan names: diffusers' own table, read backwards."""
    renames = [
        ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
        ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
        ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
        ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
        ("condition_embedder.time_proj", "time_projection.1"),
        ("attn1.to_out.0", "self_attn.o"), ("attn1.to_", "self_attn."), ("attn1", "self_attn"),
        ("attn2.to_out.0", "cross_attn.o"), ("attn2.to_", "cross_attn."), ("attn2", "cross_attn"),
        ("ffn.net.0.proj", "ffn.0"), ("ffn.net.2", "ffn.2"), ("norm2", "norm3"),
        ("proj_out", "head.head"),
    ]
    out = OrderedDict()
    for name, value in net.state_dict().items():
        if name == "scale_shift_table":
            name = "head.modulation"
        name = name.replace("scale_shift_table", "modulation")
        for theirs, ours in renames:
            name = name.replace(theirs, ours)
        out[name] = value
    from diffusers.loaders.single_file_utils import convert_wan_transformer_to_diffusers
    back = convert_wan_transformer_to_diffusers({k: v.clone() for k, v in out.items()})
    assert set(back) == set(net.state_dict()), set(back) ^ set(net.state_dict())
    assert all(torch.equal(back[k], v) for k, v in net.state_dict().items())
    return out


def checkpoints(net):
    """One network in every kind of file that projects publish."""
    state = original(net)
    wrapped = OrderedDict((f"model._fsdp_wrapped_module.{k}", v.bfloat16()) for k, v in state.items())
    wrapped._metadata = {"": {"version": 1}}
    other = OrderedDict((f"model.{k}", v.bfloat16() + 1) for k, v in state.items() if v.ndim == 1 and "blocks" not in k)
    torch.save({"generator": other, "generator_ema": wrapped, "critic": other, "step": 600, "lr": 1e-5}, OUT / "tiny.pt")

    folder = OUT / "tiny-diffusers"
    # A copy, because f16 and back is not the same for the tables of rotations.
    copy.deepcopy(net).half().save_pretrained(folder, max_shard_size="100KB")
    (folder / "config.json").unlink()

    writer = gguf.GGUFWriter(OUT / "tiny.gguf", "wan")
    for k, v in state.items():
        data = v.numpy() if v.ndim == 1 else v.half().numpy()
        if v.ndim > 4:
            writer.add_array(f"comfy.gguf.orig_shape.{k}", [int(d) for d in v.shape])
            data = data.reshape(data.shape[0], -1)
        writer.add_tensor(k, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    rank, alpha, lora, base = 4, 8.0, {}, {k: v.clone() for k, v in state.items()}
    for k in state:
        if k.startswith("blocks") and k.endswith("weight") and state[k].ndim == 2:
            a, b = torch.randn(rank, state[k].shape[1]) * 0.1, torch.randn(state[k].shape[0], rank) * 0.1
            base[k] = (state[k].double() - alpha / rank * (b.double() @ a.double())).float()
            stem = "base_model.model." + k.removesuffix(".weight")
            lora[f"{stem}.lora_A.weight"], lora[f"{stem}.lora_B.weight"] = a, b
    save_file(base, OUT / "tiny-base.safetensors")
    torch.save({"generator_lora": lora, "step": 1}, OUT / "tiny-lora.pt")


def parity(tiny, wide):
    """Inputs and what the reference makes of them."""
    torch.manual_seed(7)
    data = {}

    def forward(name, net, frames, channels, height, width, text_dim, rows):
        x, text = torch.randn(frames, channels, height, width), torch.randn(rows, text_dim)
        t = torch.tensor([1000.0, 0.0, 833.3333] + [float(625 - 10 * i) for i in range(frames)])[:frames]
        data[f"{name}.latents"], data[f"{name}.timesteps"], data[f"{name}.text"] = x, t, text
        data[f"{name}.flow"] = reference.flow(net, x, t, text, LENGTH)

    forward("tiny_forward", tiny, 3, 4, 8, 8, 24, 5)
    forward("unpadded_forward", tiny, 3, 4, 8, 8, 24, LENGTH)
    forward("wide_forward", wide, 5, 4, 6, 10, 24, 3)

    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=5.0)
    for steps in ([1000, 750, 500, 250], [1000, 500], [1000, 666, 333], [1000]):
        scheduler.set_timesteps(sigmas=[s / 1000 for s in steps])
        data[f"schedule.{len(steps)}.nominal"] = torch.tensor(steps, dtype=torch.float32)
        data[f"schedule.{len(steps)}.sigmas"] = scheduler.sigmas[:-1].clone()
        data[f"schedule.{len(steps)}.timesteps"] = scheduler.timesteps.float().clone()

    # name: frames, chunk, window, sink, steps, first, context noise
    cases = {
        "chunks": (9, 3, 9, 0, 4, None, 0.0),
        "frames": (6, 1, 6, 0, 2, None, 0.0),
        "evict": (12, 3, 6, 0, 2, None, 0.0),
        "sink": (15, 3, 9, 3, 2, None, 0.0),
        "odd_sink": (9, 1, 4, 2, 2, None, 0.0),
        "first": (7, 3, 7, 1, 2, 1, 0.0),
        "noisy_context": (6, 3, 6, 0, 2, None, 14.0),
    }
    described = {}
    for name, (frames, chunk, window, sink, steps, first, context_noise) in cases.items():
        sigmas = [float(s) for s in data[f"schedule.{steps}.sigmas"].double()]
        noise, renoise = torch.randn(frames, 4, 8, 8), torch.randn(steps - 1, frames, 4, 8, 8)
        text = torch.randn(5, 24)
        latents, first_flow = reference.rollout(
            tiny, noise, renoise, sigmas, text, LENGTH, chunk, window, sink, first, context_noise)
        data |= {f"{name}.noise": noise, f"{name}.renoise": renoise, f"{name}.context": text,
                 f"{name}.latents": latents, f"{name}.first_flow": first_flow}
        described[name] = {"chunk": chunk, "window": window, "sink": sink, "steps": steps, "first": first or chunk,
                           "context_noise": context_noise}
    save_file({k: v.contiguous() for k, v in data.items()}, OUT / "parity.safetensors", {"cases": json.dumps(described)})


class Hostile:
    def __reduce__(self):
        return os.system, ("echo executed > hostile-was-executed",)


def formats():
    """What the readers must read, and what they must refuse."""
    torch.manual_seed(11)
    shared = torch.randn(60)
    tensors = {
        "double": torch.randn(3, 5, dtype=torch.float64), "float": torch.randn(2, 3, 4), "half": torch.randn(7).half(),
        "bf16": torch.randn(4, 4).bfloat16(), "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3),
        "view": shared[10:30].view(4, 5), "tail": shared[48:],
        "extremes": torch.tensor([float("nan"), float("inf"), -float("inf"), 1e-42, -0.0, 3.4e38]),
    }
    nested = {"a": tensors["double"], "b": {"c": tensors["float"], "d": OrderedDict(e=tensors["half"])},
              "list": [1, 2, (3, "x")], "none": None, "flag": True, "big": 2**40, "negative": -7,
              "parameter": torch.nn.Parameter(tensors["bf16"]), "scalar": tensors["scalar"], "empty": tensors["empty"],
              "view": tensors["view"], "tail": tensors["tail"], "extremes": tensors["extremes"], "ints": torch.arange(4)}
    torch.save(nested, OUT / "formats.pt")
    names = {"a": "double", "b.c": "float", "b.d.e": "half", "parameter": "bf16", "scalar": "scalar", "empty": "empty",
             "view": "view", "tail": "tail", "extremes": "extremes"}
    save_file({k: tensors[v].float().contiguous().clone() for k, v in names.items()}, OUT / "formats.safetensors")
    torch.save({"generator": Hostile()}, OUT / "hostile.pt")
    torch.save({"w": torch.zeros(3)}, OUT / "legacy.pt", _use_new_zipfile_serialization=False)

    rng = np.random.default_rng(5)
    writer, expected = gguf.GGUFWriter(OUT / "quants.gguf", "wan"), {}
    kinds = ["F64", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
    places = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
              "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
    for kind in kinds:
        dtype = gguf.GGMLQuantizationType[kind]
        if kind == "F64":
            values = rng.standard_normal((2, 256))
            writer.add_tensor(kind, values)
            expected[kind] = torch.tensor(values).float()
            continue
        block, size = gguf.GGML_QUANT_SIZES[dtype]
        raw = rng.integers(0, 256, (2, 512 // block * size), dtype=np.uint8)
        blocks = raw.reshape(-1, size)
        if kind == "BF16":
            raw = torch.randn(2, 512).bfloat16().view(torch.uint8).numpy().reshape(2, -1)
        for place in places.get(kind, []):
            scale = rng.uniform(-0.1, 0.1, len(blocks)).astype(np.float16)
            blocks[:, place : place + 2] = scale.view(np.uint8).reshape(-1, 2)
        writer.add_tensor(kind, raw, raw_dtype=dtype)
        expected[kind] = torch.tensor(gguf.quants.dequantize(raw, dtype).astype(np.float32).reshape(2, 512))
    writer.add_array("some.strings", ["a", "b"])
    writer.add_array("some.numbers", [1, 2, 3])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, OUT / "quants.safetensors")


def main():
    torch.set_num_threads(1)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    tiny = reference.network(heads=2, head_dim=32, layers=2, ffn=96, channels=4, freq=32, text=24, seed=1)
    wide = reference.network(heads=1, head_dim=128, layers=1, ffn=160, channels=4, freq=64, text=24, seed=2)
    checkpoints(tiny)
    save_file({k: v.half().contiguous() for k, v in original(wide).items()}, OUT / "wide.safetensors")
    parity(tiny, wide)
    streams.make(tiny, OUT)
    loras.make(tiny, OUT)
    pictures.make(OUT)
    formats()
    torchfiles.write(OUT)
    decoders.taehv(OUT)
    decoders.vae(OUT)
    umt5.write(OUT)
    clip.write(OUT)
    game.write(OUT)
    waypoint.write(OUT / "waypoint")


main()
