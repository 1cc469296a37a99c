"""The linear decoder of docs/model-file.md in PyTorch eager: one matrix, then pixel shuffle."""

import torch
import torch.nn.functional as F


class Decoder:
    """One stream; a frame knows nothing of those before it."""

    def __init__(self, config, tensors, dtype):
        dit, self.patch, self.dtype = config["dit"], config["codec"]["patch"], dtype
        # The scale and mean of normalised latents go into the matrix.
        std, mean = (torch.tensor(dit[f"latent_{name}"]) for name in ("std", "mean"))
        weight, bias = tensors["linear.decoder.weight"], tensors["linear.decoder.bias"]
        self.weight = (weight * std)[..., None, None].to(dtype)
        self.bias = (bias + weight @ mean).to(dtype)

    def decode(self, latent):
        """RGBA8 picture [height, width, 4] of one normalised latent frame f32 [channels, h, w]."""
        x = F.conv2d(latent.unsqueeze(0).to(self.dtype), self.weight, self.bias).float().clamp_(0, 1)
        x = F.pixel_shuffle(x, self.patch).mul_(255).add_(0.5).to(torch.uint8)[0].permute(1, 2, 0)
        return torch.cat([x, x.new_full((*x.shape[:2], 1), 255)], dim=2)
