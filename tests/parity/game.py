"""Matrix-Game 2.0 by FastVideo's causal network (Apache-2.0), which nobody here wrote: its own KV caches, rolled by its own code.

What is ours is the loop around it (spec 2.2, 2.13): noise levels, fresh noise, x0 = x - sigma v, the pass over clean latents. Attention is
PyTorch's, since FastVideo's own needs a GPU. The weights of the action modules' norms are ones, as in the releases, which do not apply them.
"""

import json
import sys
from collections import OrderedDict
from types import SimpleNamespace

import torch
from safetensors.torch import save_file

LAYERS, DIM, HEADS, FFN, FREQ = 3, 48, 2, 96, 32
CHANNELS, HEIGHT, WIDTH = 4, 4, 6
FEATURES, TOKENS = 20, 5
ACTION_HEADS, KEY_DIM = 2, 16
BLOCKS = [0, 2]
CHUNK, FRAMES = 3, 18


def fastvideo():
    """FastVideo's module on a CPU."""
    from fastvideo.models.dits.matrixgame2 import action_module, causal_model

    class Attention(torch.nn.Module):
        def __init__(self, *args, **kwargs):
            super().__init__()

        def forward(self, q, k, v):
            q, k, v = (x.transpose(1, 2) for x in (q, k, v))
            return torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)

    import fastvideo.models.dits.matrixgame2.model as bidirectional

    for module in (action_module, causal_model, bidirectional):
        module.LocalAttention = Attention
    from fastvideo.models.dits import wanvideo

    wanvideo.LocalAttention = Attention
    # Masks of training, which the passes with a cache do not use.
    model = causal_model.CausalMatrixGame2WanModel
    for name in dir(model):
        if name.startswith("_prepare_blockwise"):
            setattr(model, name, staticmethod(lambda **kwargs: None))
    causal_model.get_sp_world_size = lambda: 1
    causal_model.get_forward_context = lambda: SimpleNamespace(forward_batch=None)
    return causal_model


def action_config(keys, mouse):
    config = {
        "blocks": BLOCKS, "enable_keyboard": True, "enable_mouse": mouse > 0, "heads_num": ACTION_HEADS,
        "hidden_size": KEY_DIM, "img_hidden_size": DIM, "keyboard_dim_in": keys, "keyboard_hidden_dim": 64 * ACTION_HEADS,
        "patch_size": [1, 2, 2], "qk_norm": True, "qkv_bias": False, "rope_dim_list": [8, 28, 28], "rope_theta": 256,
        "vae_time_compression_ratio": 4, "windows_size": 3,
    }
    if mouse > 0:
        config |= {"mouse_dim_in": mouse, "mouse_hidden_dim": 64 * ACTION_HEADS, "mouse_qk_dim_list": [8, 28, 28]}
    return config


def network(causal, keys, mouse, window, seed):
    """A random network whose weights survive bf16."""
    from fastvideo.configs.models.dits.matrixgame2 import MatrixGame2WanVideoConfig

    config = MatrixGame2WanVideoConfig()
    arch = config.arch_config
    arch.num_attention_heads, arch.attention_head_dim, arch.hidden_size = HEADS, DIM // HEADS, DIM
    arch.in_channels, arch.out_channels, arch.num_channels_latents = 2 * CHANNELS + 4, CHANNELS, CHANNELS
    arch.num_layers, arch.ffn_dim, arch.freq_dim, arch.image_dim = LAYERS, FFN, FREQ, FEATURES
    arch.added_kv_proj_dim, arch.cross_attn_norm, arch.local_attn_size = DIM, True, window
    arch.action_config = action_config(keys, mouse)
    torch.manual_seed(seed)
    net = causal.CausalMatrixGame2WanModel(config=config, hf_config={}).eval()
    with torch.no_grad():
        for name, p in net.named_parameters():
            fan = p[0].numel() if p.ndim > 1 else 1
            if name.endswith(("attn_q_norm.weight", "attn_k_norm.weight")):
                p.copy_(torch.ones_like(p))
                continue
            if "scale_shift_table" in name:
                values = 0.3 * torch.randn_like(p)
            elif p.ndim == 1 and name.endswith("weight"):
                values = 1 + 0.2 * torch.randn_like(p)
            elif p.ndim == 1:
                values = 0.1 * torch.randn_like(p)
            else:
                values = torch.randn_like(p) / fan**0.5
            values = values.bfloat16().float()
            p.copy_(torch.where(values.abs() < 2.0**-14, 0.0, values))
    return net


def original(net):
    """The network under the names of the releases."""
    renames = [
        ("condition_embedder.time_embedder.mlp.fc_in", "time_embedding.0"),
        ("condition_embedder.time_embedder.mlp.fc_out", "time_embedding.2"),
        ("condition_embedder.time_modulation.linear", "time_projection.1"),
        ("condition_embedder.image_embedder.norm1", "img_emb.proj.0"),
        ("condition_embedder.image_embedder.ff.fc_in", "img_emb.proj.1"),
        ("condition_embedder.image_embedder.ff.fc_out", "img_emb.proj.3"),
        ("condition_embedder.image_embedder.norm2", "img_emb.proj.4"),
        ("patch_embedding.proj", "patch_embedding"), ("proj_out", "head.head"),
        ("self_attn_residual_norm.norm", "norm3"), ("attn2.to_out", "cross_attn.o"), ("attn2.to_", "cross_attn."),
        ("attn2", "cross_attn"), ("ffn.fc_in", "ffn.0"), ("ffn.fc_out", "ffn.2"),
    ]
    out = OrderedDict()
    for name, value in net.state_dict().items():
        name = "head.modulation" if name == "scale_shift_table" else name.replace("scale_shift_table", "modulation")
        for theirs, ours in renames:
            name = name.replace(theirs, ours)
        parts = name.split(".")
        if parts[0] == "blocks" and parts[2] in ("to_q", "to_k", "to_v", "to_out", "norm_q", "norm_k"):
            parts[2] = "self_attn." + {"to_out": "o"}.get(parts[2], parts[2].replace("to_", ""))
            name = ".".join(parts)
        out[name] = value
    return out


def config_json(net, keys, mouse, window):
    return {
        "_class_name": "CausalWanModel", "_diffusers_version": "0.35.0.dev0", "action_config": action_config(keys, mouse),
        "dim": DIM, "eps": 1e-06, "ffn_dim": FFN, "freq_dim": FREQ, "in_dim": 2 * CHANNELS + 4, "inject_sample_info": False,
        "local_attn_size": window, "model_type": "i2v", "num_heads": HEADS, "num_layers": LAYERS, "out_dim": CHANNELS,
        "sink_size": 0, "text_len": 512,
    }


def cache(frames, rows, heads, width):
    return {
        "k": torch.zeros(rows, frames, heads, width), "v": torch.zeros(rows, frames, heads, width),
        "global_end_index": torch.tensor([0]), "local_end_index": torch.tensor([0]),
    }


@torch.no_grad()
def rollout(net, window, inputs, sigmas):
    """Latents [F, C, H, W] and the very first flow."""
    tokens = HEIGHT * WIDTH // 4
    per_layer = lambda make: [make() for _ in range(LAYERS)]
    caches = dict(
        kv_cache=per_layer(lambda: cache(window * tokens, 1, HEADS, DIM // HEADS)),
        kv_cache_mouse=per_layer(lambda: cache(window, tokens, ACTION_HEADS, 64)),
        kv_cache_keyboard=per_layer(lambda: cache(window, 1, ACTION_HEADS, 64)),
        crossattn_cache=per_layer(lambda: {"is_init": False}),
    )
    noise, renoise, condition = inputs["noise"], inputs["renoise"], inputs["condition"]
    latents, first_flow = torch.zeros_like(noise), None
    for start in range(0, len(noise), CHUNK):
        rows = 1 + 4 * (start + CHUNK - 1)
        shown = condition[[min(f, len(condition) - 1) for f in range(start, start + CHUNK)]]

        def flow(x, timestep):
            joined = torch.cat([x, shown], 1).permute(1, 0, 2, 3)[None]
            mouse = inputs["mouse"][None, :rows] if "mouse" in inputs else None
            out = net(
                joined, None, torch.full((1, CHUNK), float(timestep)), inputs["image_context"][None], mouse_cond=mouse,
                keyboard_cond=inputs["keyboard"][None, :rows], current_start=start * tokens, start_frame=start,
                num_frame_per_block=CHUNK, **caches)
            return out[0].permute(1, 0, 2, 3)

        x = noise[start : start + CHUNK].double()
        for step, sigma in enumerate(sigmas):
            v = flow(x.float(), 1000 * sigma).double()
            first_flow = v.float() if first_flow is None else first_flow
            x = x - sigma * v
            if step + 1 < len(sigmas):
                x = (1 - sigmas[step + 1]) * x + sigmas[step + 1] * renoise[step, start : start + CHUNK].double()
        latents[start : start + CHUNK] = x.float()
        flow(x.float(), 0.0)
    return latents, first_flow


def inputs(keys, mouse, steps, seed):
    torch.manual_seed(seed)
    held = lambda rows, values: values.repeat_interleave(5, 0)[:rows]
    rows = 1 + 4 * (FRAMES - 1)
    given = {
        "noise": torch.randn(FRAMES, CHANNELS, HEIGHT, WIDTH),
        "renoise": torch.randn(steps - 1, FRAMES, CHANNELS, HEIGHT, WIDTH),
        "image_context": torch.randn(TOKENS, FEATURES),
        # Fewer rows than frames: the last one goes on for ever.
        "condition": torch.cat([torch.zeros(7, 4, HEIGHT, WIDTH), torch.randn(7, CHANNELS, HEIGHT, WIDTH)], 1),
        "keyboard": held(rows, (torch.rand(rows, keys) < 0.3).float()),
    }
    given["condition"][0, :4] = 1
    if mouse:
        given["mouse"] = held(rows, 0.2 * torch.rand(rows, mouse) - 0.1)
    return given


def warped(steps):
    return [5.0 * (s / 1000) / (1 + 4.0 * (s / 1000)) for s in steps]


def write(out):
    """Folders as they are published, and what their networks make."""
    causal = fastvideo()
    table = [
        ("base_distilled_model", "base_distill", 4, 2, 6, [1000, 666, 333]),
        ("gta_distilled_model", "gta_keyboard2dim", 2, 2, 4, [1000, 666, 333]),
        ("templerun_distilled_model", "templerun_7dim_onlykey", 7, 0, 6, [1000, 750, 500, 250]),
    ]
    for seed, (folder, file, keys, mouse, window, steps) in enumerate(table):
        net = network(causal, keys, mouse, window, seed)
        given = inputs(keys, mouse, len(steps), 100 + seed)
        latents, first_flow = rollout(net, window, given, warped(steps))
        home = out / "game" / folder
        home.mkdir(parents=True)
        save_file({f"model.{k}": v.bfloat16().contiguous() for k, v in original(net).items()}, home / f"{file}.safetensors")
        (home / "config.json").write_text(json.dumps(config_json(net, keys, mouse, window), indent=2) + "\n")
        save_file({**given, "latents": latents, "first_flow": first_flow.contiguous()}, out / "game" / f"{folder}.safetensors")


if __name__ == "__main__":
    from pathlib import Path

    write(Path(sys.argv[1]))
