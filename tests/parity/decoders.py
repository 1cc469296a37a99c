"""Golden files of the decoders: flashdreams' TAEHV streaming decoder and diffusers' AutoencoderKLWan."""

import re
import sys
import types

import torch
from safetensors.torch import save_file


def flashdreams_taehv():
    """The package's TAEHV module alone; what it imports beside torch loads checkpoints and compiles, which is not used here."""
    for name, members in {
        "flashdreams.core.checkpoint.load": ["load_checkpoint"],
        "flashdreams.infra.compile": ["compile_module"],
        "flashdreams.infra.cuda_graph": ["CUDAGraphWrapper"],
        "flashdreams.infra.decoder": [],
    }.items():
        module = types.ModuleType(name)
        for member in members:
            setattr(module, member, None)
        sys.modules[name] = module
    sys.modules["flashdreams.infra.cuda_graph"].set_or_copy = lambda state, key, value: state.__setitem__(key, value.clone())
    sys.modules["flashdreams.infra.decoder"].StreamingDecoderCache = object
    import flashdreams.recipes
    package = types.ModuleType("flashdreams.recipes.taehv")
    package.__path__ = [f"{flashdreams.recipes.__path__[0]}/taehv"]
    sys.modules[package.__name__] = package
    from flashdreams.recipes.taehv.impl import TAEHV
    return TAEHV


def randomise(net, gain):
    """Weights that every file can hold exactly and that keep signals alive through depth."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "gamma" in name:
                values = 1 + 0.2 * torch.randn_like(p)
            elif p.ndim == 1:
                values = 0.05 * torch.randn_like(p)
            else:
                values = gain * torch.randn_like(p) / p[0].numel() ** 0.5
            p.copy_(values.half().float())


def taehv(out):
    """A narrow taew2_1: latents whole, and the stream of chunks that the same latents make."""
    torch.manual_seed(21)
    net = flashdreams_taehv()(None, channels=(24, 16, 8, 8), latent_channels=4, use_cuda_graph=False)
    net.to_empty(device="cpu")
    randomise(net, 1.2)
    state = {k.replace("decoder.blocks.", "decoder."): v.half().clone() for k, v in net.state_dict().items()}
    # Checkpoints exist whose first TGrow makes two frames; the network takes the last rows.
    grown = state["decoder.7.conv.weight"]
    state["decoder.7.conv.weight"] = torch.cat([torch.randn_like(grown), grown])
    state["encoder.0.weight"] = torch.randn(8, 3, 3, 3).half()
    torch.save(state, out / "taehv.pth")

    latents = torch.randn(5, 4, 3, 5)
    frames = net.decode(latents[None])[0]
    cache = net.prepare_cache()
    stream = [net.decode(latents[None, a:b], cache)[0] for a, b in ((0, 2), (2, 3), (3, 5))]
    assert [len(part) for part in stream] == [5, 4, 8] and torch.allclose(torch.cat(stream), frames, atol=1e-5)
    assert 0.1 < frames.std() and frames.min() == 0 and frames.max() == 1, (frames.std(), frames.min(), frames.max())
    save_file({"latents": latents, "frames": frames.contiguous()}, out / "taehv-parity.safetensors")


def original(state):
    """The VAE under the original Wan names; diffusers' own converter must lead back."""
    outer = [
        ("post_quant_conv", "conv2"), ("quant_conv", "conv1"), ("conv_in", "conv1"), ("norm_out", "head.0"), ("conv_out", "head.2"),
        ("mid_block.resnets.0", "middle.0"), ("mid_block.resnets.1", "middle.2"), ("mid_block.attentions.0", "middle.1"),
        ("down_blocks", "downsamples"),
    ]
    inner = [("norm1", "residual.0"), ("conv1", "residual.2"), ("norm2", "residual.3"), ("conv2", "residual.6"),
             ("conv_shortcut", "shortcut")]
    names = {}
    for name in state:
        new = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"upsamples.{4 * int(m[1]) + int(m[2])}", name)
        new = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"upsamples.{4 * int(m[1]) + 3}", new)
        if re.search(r"resnets|down_blocks", name):
            for theirs, ours in inner:
                new = new.replace(f".{theirs}.", f".{ours}.")
        for theirs, ours in outer:
            new = new.replace(theirs, ours)
        names[name] = new
    from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
    back = convert_wan_vae_to_diffusers({new: state[name] for name, new in names.items()})
    assert set(back) == set(state), set(back) ^ set(state)
    assert all(torch.equal(back[name], state[name]) for name in state)
    return {names[name]: value for name, value in state.items()}


@torch.no_grad()
def vae(out):
    """Two small VAEs, one a file with original names, the other with diffusers names and the published latent statistics."""
    from diffusers import AutoencoderKLWan

    torch.manual_seed(22)
    data = {}
    for name, base, channels in (("vae", 8, 4), ("vae-diffusers", 4, 16)):
        net = AutoencoderKLWan(base_dim=base, z_dim=channels, dim_mult=[1, 2, 4, 4], num_res_blocks=2).eval()
        randomise(net, 1.0)
        state = {k: v.half() for k, v in net.state_dict().items()}
        mean, std = torch.zeros(channels), torch.ones(channels)
        if name == "vae":
            torch.save(original(state), out / "vae.pth")
        else:
            save_file(state, out / "vae-diffusers.safetensors")
            mean, std = torch.tensor(net.config.latents_mean), torch.tensor(net.config.latents_std)
        mean, std = (x.view(1, -1, 1, 1) for x in (mean, std))

        latents = torch.randn(4, channels, 3, 4)
        z = (latents * std + mean).permute(1, 0, 2, 3)[None]
        frames = net.decode(z, return_dict=False)[0][0].permute(1, 0, 2, 3)
        assert len(frames) == 13 and 0.1 < frames.std() < 1, frames.std()
        data[f"{name}.latents"], data[f"{name}.frames"] = latents, (frames + 1) / 2

        coarse = torch.rand(1, 3, 3, 3, 4)
        video = torch.nn.functional.interpolate(coarse, (9, 24, 32), mode="trilinear")
        mu = net.encode(2 * video - 1).latent_dist.mode()[0].permute(1, 0, 2, 3)
        data[f"{name}.video"], data[f"{name}.encoded"] = video[0].permute(1, 0, 2, 3), (mu - mean) / std
    save_file({k: v.contiguous() for k, v in data.items()}, out / "vae-parity.safetensors")
