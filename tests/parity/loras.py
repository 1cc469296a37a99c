"""LoRAs of the tiny network as diffusers, PEFT and kohya's trainers save them, and the weights that these merge."""

import copy
import shutil

import torch
from diffusers import WanPipeline
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file


def randomised(net):
    """Factors that are not 0, as B is before training."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "lora_" in name:
                p.copy_((0.2 * torch.randn_like(p)).half().float())


def diffusers(net, out):
    """Ranks and alphas of their own for some layers, all of it only in the metadata."""
    net = copy.deepcopy(net)
    net.add_adapter(LoraConfig(
        r=4, lora_alpha=8, target_modules=["attn1.to_q", "ffn.net.2"], init_lora_weights=False,
        rank_pattern={"blocks.1.attn1.to_q": 2}, alpha_pattern={"ffn.net.2": 2, "blocks.1.attn1.to_q": 12}))
    randomised(net)
    WanPipeline.save_lora_weights(
        out / "lora-diffusers", transformer_lora_layers=get_peft_model_state_dict(net),
        transformer_lora_adapter_metadata=net.peft_config["default"].to_dict(), weight_name="diffusers.safetensors")
    shutil.move(out / "lora-diffusers" / "diffusers.safetensors", out / "lora-diffusers.safetensors")
    (out / "lora-diffusers").rmdir()
    net.fuse_lora()
    return {
        "blocks.0.self_attn.q.weight": net.blocks[0].attn1.to_q.base_layer.weight,
        "blocks.1.self_attn.q.weight": net.blocks[1].attn1.to_q.base_layer.weight,
        "blocks.1.ffn.2.weight": net.blocks[1].ffn.net[2].base_layer.weight,
    }


def peft(net, out):
    """A folder whose adapter_config.json says by what to scale, and over the root of the rank."""
    net = get_peft_model(copy.deepcopy(net), LoraConfig(
        r=4, lora_alpha=6, use_rslora=True, target_modules=["attn2.to_k"], init_lora_weights=False,
        alpha_pattern={"blocks.1.attn2.to_k": 3}))
    randomised(net)
    net.save_pretrained(out / "lora-peft")
    (out / "lora-peft" / "README.md").unlink()
    net = net.merge_and_unload()
    return {f"blocks.{i}.cross_attn.k.weight": net.blocks[i].attn2.to_k.weight for i in range(2)}


def kohya(net, out):
    """Tensors of alpha, integers of several types."""
    lora, merged = {}, {}
    for i, (alpha, dtype) in enumerate([(2, torch.int64), (1, torch.uint8)]):
        weight = net.blocks[i].attn1.to_v.weight
        a, b = (0.2 * torch.randn(4, weight.shape[1])).half(), (0.2 * torch.randn(weight.shape[0], 4)).half()
        stem = f"diffusion_model.blocks.{i}.self_attn.v"
        lora |= {f"{stem}.lora_down.weight": a, f"{stem}.lora_up.weight": b,
                 f"{stem}.alpha": torch.tensor(alpha, dtype=dtype)}
        merged[f"blocks.{i}.self_attn.v.weight"] = (weight.double() + alpha / 4 * (b.double() @ a.double())).float()
    metadata = {"ss_network_alpha": "16", "ss_network_dim": "4", "ss_network_module": "networks.lora_wan"}
    save_file(lora, out / "lora-kohya.safetensors", metadata)
    return merged


def make(net, out):
    torch.manual_seed(23)
    merged = {}
    for name, write in [("diffusers", diffusers), ("peft", peft), ("kohya", kohya)]:
        merged |= {f"{name}.{key}": value.detach().clone().contiguous() for key, value in write(net, out).items()}
    save_file(merged, out / "loras.safetensors")
