"""The visual tower of CLIP: transformers' vision model, under the names of open_clip as the Wan project has them.

Pictures are resized as that project does it (spec 2.13): cubic convolution to a square, whatever their shape, without smoothing before.
"""

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel

SIDE, PATCH, DIM, HEADS, FFN, LAYERS = 28, 7, 48, 3, 80, 4
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def network():
    """A random tower whose weights survive f16."""
    config = CLIPVisionConfig(
        hidden_size=DIM, intermediate_size=FFN, num_hidden_layers=LAYERS, num_attention_heads=HEADS, image_size=SIDE,
        patch_size=PATCH, hidden_act="gelu", layer_norm_eps=1e-5, attention_dropout=0.0)
    torch.manual_seed(51)
    net = CLIPVisionModel(config).eval()
    with torch.no_grad():
        for name, p in net.named_parameters():
            fan = p[0].numel() if p.ndim > 1 else 1
            if "embedding" in name and "patch" not in name:
                values = 0.5 * torch.randn_like(p)
            elif p.ndim == 1:
                values = (1 if name.endswith("weight") else 0) + 0.2 * torch.randn_like(p)
            else:
                values = torch.randn_like(p) * (1.5 / fan) ** 0.5
            values = values.half().float()
            p.copy_(torch.where(values.abs() < 2.0**-14, 0.0, values))
    return net


def original(net):
    """The network under open_clip's names, queries, keys and values as one tensor, beside a piece of its text tower."""
    renames = [
        ("vision_model.", ""), ("embeddings.class_embedding", "cls_embedding"), ("embeddings.patch_embedding.", "patch_embedding."),
        ("embeddings.position_embedding.weight", "pos_embedding"), ("pre_layrnorm.", "pre_norm."), ("post_layernorm.", "post_norm."),
        ("encoder.layers.", "transformer."), ("layer_norm1.", "norm1."), ("layer_norm2.", "norm2."), ("mlp.fc1.", "mlp.0."),
        ("mlp.fc2.", "mlp.2."), ("self_attn.out_proj.", "attn.proj."),
    ]
    out, parts = {}, {}
    for name, value in net.state_dict().items():
        if name.endswith("position_ids"):
            continue
        for theirs, ours in renames:
            name = name.replace(theirs, ours)
        for part in "qkv":
            if f"self_attn.{part}_proj." in name:
                parts.setdefault(name.replace(f"self_attn.{part}_proj.", "attn.to_qkv."), {})[part] = value
                break
        else:
            out[name] = value
    out |= {name: torch.cat([three[part] for part in "qkv"]) for name, three in parts.items()}
    out["cls_embedding"] = out["cls_embedding"].reshape(1, 1, DIM)
    out["pos_embedding"] = out["pos_embedding"][None]
    out = {f"visual.{name}": value for name, value in out.items()}
    return out | {"visual.head": torch.zeros(DIM, 8), "textual.token_embedding.weight": torch.zeros(4, 8), "log_scale": torch.zeros(())}


@torch.no_grad()
def features(net, picture):
    """What the last layer but one gives, of a picture [3, H, W] in 0 to 1."""
    x = F.interpolate(2 * picture[None] - 1, size=(SIDE, SIDE), mode="bicubic", align_corners=False)
    x = (0.5 * x + 0.5 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    return net(pixel_values=x, output_hidden_states=True).hidden_states[-2][0]


def write(out):
    net = network()
    torch.save({name: value.half() for name, value in original(net).items()}, out / "clip.pth")
    torch.manual_seed(52)
    data = {}
    # Smaller and larger than the tower's square, of its shape and others.
    for name, (height, width) in {"wide": (36, 64), "tall": (20, 12), "square": (SIDE, SIDE)}.items():
        # Bytes, as pictures have them.
        picture = torch.randint(0, 256, (3, height, width)).float() / 255
        data |= {f"{name}.frames": picture[None], f"{name}.context": features(net, picture).contiguous()}
    save_file(data, out / "clip.safetensors")
