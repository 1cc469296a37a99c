"""The TAEHV decoder of docs/model-file.md in PyTorch eager, streaming one latent frame at a time."""

import torch
import torch.nn.functional as F


class Decoder:
    """One stream; convolutions and activations are channels-last, which oneDNN runs fastest on a CPU."""

    def __init__(self, config, tensors, dtype):
        dit, self.config, self.dtype = config["dit"], config["codec"], dtype
        if self.config["time_up"] != [1, 1, 1]:
            raise ValueError("codecs with several frames a latent are not supported")
        place = lambda w: w.to(dtype).contiguous(memory_format=torch.channels_last) if w.dim() == 4 else w.to(dtype)
        own = {name for name in tensors if name.startswith("taehv.decoder.")}
        self.weights = {name.removeprefix("taehv.decoder."): place(tensors[name]) for name in own}
        self.std, self.mean = (torch.tensor(dit[f"latent_{name}"]).view(-1, 1, 1) for name in ("std", "mean"))
        self.past = {}

    def decode(self, latent):
        """RGBA8 picture [height, width, 4] of one normalised latent frame f32 [channels, h, w]."""
        c = self.config
        x = torch.tanh((latent * self.std + self.mean) / 3).mul_(3).to(self.dtype)
        x = x.unsqueeze(0).contiguous(memory_format=torch.channels_last)
        x = F.relu_(self._conv(1, x))
        index = 3
        for stage in range(3):
            for _ in range(c["blocks"]):
                x = self._mem_block(index, x)
                index += 1
            # A 1x1 convolution commutes with nearest upsampling and is four times cheaper before it.
            x = F.conv2d(x, self.weights[f"{index + 1}.conv.weight"])
            if c["space_up"][stage]:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = self._conv(index + 2, x)
            index += 3
        x = self._conv(index + 1, F.relu_(x)).float().clamp_(0, 1)
        x = F.pixel_shuffle(x, c["patch"]).mul_(255).add_(0.5).to(torch.uint8)[0].permute(1, 2, 0)
        return torch.cat([x, x.new_full((*x.shape[:2], 1), 255)], dim=2)

    def _conv(self, name, x):
        return F.conv2d(x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias"), padding=1)

    def _mem_block(self, index, x):
        past = self.past.get(index)
        self.past[index] = x
        y = torch.cat([x, torch.zeros_like(x) if past is None else past], dim=1)
        y = F.relu_(self._conv(f"{index}.conv.0", y))
        y = F.relu_(self._conv(f"{index}.conv.2", y))
        return F.relu_(self._conv(f"{index}.conv.4", y).add_(x))
