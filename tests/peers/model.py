"""A Causeway world in PyTorch eager: actions and events in, pictures out."""

import torch

import linear
import taehv
from dit import Dit
from weights import load


class World:
    """One stream, from an empty start. A context of `torch.inference_mode()` is the caller's."""

    def __init__(self, config, tensors, dtype=torch.float32, steps=None):
        self.config = config
        self.sigmas = sigmas(config["schedule"], steps)
        self.dit = Dit(config, tensors, dtype, self.sigmas)
        codec = {"taehv": taehv, "linear": linear}[config["codec"].get("kind", "taehv")]
        self.decoder = codec.Decoder(config, tensors, dtype)

    @classmethod
    def open(cls, path, dtype=torch.float32, size=None, steps=None):
        """The model of a file; `size` (width, height) in pixels plays it at another size: no weight depends on it."""
        config, tensors = load(path)
        if size:
            resize(config, *size)
        return cls(config, tensors, dtype, steps)

    def generate(self, action, event, noise=None):
        """The next chunk's latents f32 [frames, channels, height, width].

        `noise(frame, step)` gives the normal latents of the chunk that begins at `frame`; by default PyTorch draws them.
        """
        dit = self.dit
        shape = dit.chunk * dit.tokens, dit.channels * dit.ph * dit.pw
        draw = (lambda *at: dit.patchify(noise(*at))) if noise else (lambda *_: torch.randn(shape))
        return dit.unpatchify(dit.generate(action, event, draw))

    def decode(self, latents):
        """Pictures RGBA8 [frames, H, W, 4] of the latents that follow those decoded before."""
        return torch.stack([self.decoder.decode(latent) for latent in latents])


def sigmas(schedule, steps=None):
    """The warped noise levels of one of the model's step lists."""
    shift = schedule["shift"]
    nominal = [step / 1000 for step in schedule["steps"][str(steps or schedule["default_steps"])]]
    return [shift * sigma / (1 + (shift - 1) * sigma) for sigma in nominal]


def picture(config):
    """Width and height of the pictures in pixels."""
    scale = config["codec"]["patch"] * 2 ** sum(config["codec"]["space_up"])
    latent = config["dit"]["latent"]
    return latent["width"] * scale, latent["height"] * scale


def resize(config, width, height):
    """Gives the latents the size that makes pictures of `width` x `height`."""
    latent = config["dit"]["latent"]
    scale = picture(config)[0] // latent["width"]
    _, ph, pw = config["dit"]["patch"]
    if width % (scale * pw) or height % (scale * ph):
        raise ValueError(f"{width}x{height}: sides must be multiples of {scale * pw} and {scale * ph}")
    latent["width"], latent["height"] = width // scale, height // scale
