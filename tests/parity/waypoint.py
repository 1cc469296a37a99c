"""Waypoint 1.5 written anew from its description (docs/spec.md, 2.14) in PyTorch: it reads a published folder and shares no code with the
converter or the runtime. Keys and values of every frame are kept by the frame's number, and what a frame sees is chosen by the definition, so
that there is no ring that could wrap wrongly.

    python waypoint.py FOLDER INPUTS.safetensors OUTPUTS.safetensors [mlp]     a rollout of any folder; mlp is the other reading of bias_in
"""

import math
import sys
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file

EPS = 2.0**-7
BLOCK = "transformer.blocks."


def rms(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPS)


def silu(x):
    return x * torch.sigmoid(x)


class Twin:
    def __init__(self, folder, bias="apart"):
        self.w = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
        self.c = yaml.safe_load((folder / "config.yaml").read_text())
        self.bias = bias
        self.kept = [{} for _ in range(self.c["n_layers"])]
        self.frame = 0

    def get(self, *names):
        return next(self.w[name] for name in names if name in self.w)

    def condition(self, sigma):
        """The embedding of a level, which the release feeds rounded to bf16; in double precision."""
        s = 1000 * float(torch.tensor(sigma).bfloat16())
        half = self.w["denoise_step_emb.mlp.fc1.weight"].shape[1] // 2
        angle = s * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / (half - 1))
        e = math.sqrt(2) * torch.cat([angle.sin(), angle.cos()])
        up = silu(self.w["denoise_step_emb.mlp.fc1.weight"].double() @ e)
        return self.w["denoise_step_emb.mlp.fc2.weight"].double() @ up

    def vectors(self, layer, cond):
        at = f"{BLOCK}{layer}."
        out = []
        for half, name in enumerate(["attn", "mlp"]):
            own = "mlp" if self.bias == "mlp" else name
            bias = self.get(f"{at}{own}_cond_head.bias_in", f"{at}cond_head.bias_in").double()
            h = silu(cond + bias)
            for j in range(3):
                matrix = self.get(f"{at}{name}_cond_head.cond_proj.{j}.weight", f"{at}cond_head.cond_proj.{3 * half + j}.weight")
                out.append((matrix.double() @ h).float())
        return out

    def angles(self):
        """[tokens, head_dim / 2] angles of this frame: of the column, of the row, of time."""
        c = self.c
        gh, gw, hd = c["height"], c["width"], c["d_head"]
        n = hd // 16
        xy = math.pi * torch.linspace(1, c["rope_nyquist_frac"] * min(gh, gw) / 2, n, dtype=torch.float64).repeat_interleave(2)
        inv = (c["rope_theta"] ** (-2 * torch.arange(hd // 8, dtype=torch.float64) / (hd // 4))).repeat_interleave(2)
        rows = []
        for row in range(gh):
            for column in range(gw):
                x, y = (2 * column + 1) / gw - 1, (2 * row + 1) / gh - 1
                rows.append(torch.cat([x * xy, y * xy, self.frame * inv]))
        return torch.stack(rows)

    def rotate(self, x, angles):
        """x [tokens, heads, head_dim], pairs of consecutive features."""
        cos, sin = angles.cos().float()[:, None], angles.sin().float()[:, None]
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)

    def seen(self, layer):
        """Numbers of the frames that this frame sees of its past."""
        c, f = self.c, self.frame
        if (layer - c["global_attn_offset"]) % c["global_attn_period"]:
            return [g for g in range(f - c["local_window"] + 1, f) if g >= 0]
        d = c["global_pinned_dilation"]
        return [g for g in range(f - c["global_window"] + 1, f) if g >= 0 and g % d == 0]

    def forward(self, latent, sigma, controls, commit=False):
        c, w = self.c, self.w
        heads, kv, hd, dim = c["n_heads"], c["n_kv_heads"], c["d_head"], c["d_model"]
        cond = self.condition(sigma)
        ctrl = w["ctrl_emb.mlp.fc2.weight"] @ silu(w["ctrl_emb.mlp.fc1.weight"] @ controls)
        x = torch.nn.functional.conv2d(latent[None], w["patchify.weight"], stride=w["patchify.weight"].shape[-1])
        x = x[0].flatten(1).T
        angles = self.angles()
        first = None
        for layer in range(c["n_layers"]):
            at = f"{BLOCK}{layer}."
            s0, b0, g0, s1, b1, g1 = self.vectors(layer, cond)
            y = rms(x) * (1 + s0) + b0
            q = (y @ w[f"{at}attn.q_proj.weight"].T).unflatten(1, (heads, hd))
            k = (y @ w[f"{at}attn.k_proj.weight"].T).unflatten(1, (kv, hd))
            v = (y @ w[f"{at}attn.v_proj.weight"].T).unflatten(1, (kv, hd))
            first = v if first is None else first
            v = v + w[f"{at}attn.v_lamb"] * (first - v)
            q, k = self.rotate(rms(q), angles), self.rotate(rms(k), angles)
            past = [self.kept[layer][g] for g in self.seen(layer)]
            ks, vs = (torch.cat([part[i] for part in past] + [own]) for i, own in enumerate([k, v]))
            # Query head h reads head h // (heads / kv) of keys.
            ks, vs = (part.repeat_interleave(heads // kv, 1) for part in (ks, vs))
            p = torch.softmax(torch.einsum("qhd,khd->hqk", q, ks) / math.sqrt(hd), -1)
            o = torch.einsum("hqk,khd->qhd", p, vs).flatten(1)
            x = x + g0 * (o @ w[f"{at}attn.out_proj.weight"].T)
            if layer % c["ctrl_conditioning_period"] == 0:
                fused = w.get(f"{at}ctrl_mlpfusion.mlp.fc1.weight")
                of_x, of_c = (fused[:, :dim], fused[:, dim:]) if fused is not None else (
                    w[f"{at}ctrl_mlpfusion.fc1_x.weight"], w[f"{at}ctrl_mlpfusion.fc1_c.weight"])
                out = self.get(f"{at}ctrl_mlpfusion.fc2.weight", f"{at}ctrl_mlpfusion.mlp.fc2.weight")
                x = x + silu(rms(x) @ of_x.T + of_c @ rms(ctrl)) @ out.T
            up, down = (self.get(f"{at}dit_mlp.{n}.weight", f"{at}mlp.{n}.weight") for n in ("fc1", "fc2"))
            x = x + g1 * (silu((rms(x) * (1 + s1) + b1) @ up.T) @ down.T)
            if commit:
                self.kept[layer][self.frame] = (k, v)
        if commit:
            self.frame += 1
            return None
        a, b = (w["out_norm.fc.weight"].double() @ silu(cond)).float().chunk(2)
        z = silu(rms(x) * (1 + a) + b)
        weight, bias, p = w["unpatchify.weight"], w["unpatchify.bias"], c["patch"][0]
        if weight.ndim == 4:
            weight, bias = weight.flatten(1).T, bias.repeat_interleave(p * p)
        out = z @ weight.T + bias
        gh, gw = c["height"], c["width"]
        return out.reshape(gh, gw, -1, p, p).permute(2, 0, 3, 1, 4).reshape(-1, gh * p, gw * p)


@torch.no_grad()
def rollout(folder, inputs, bias="apart"):
    """Latents behind those given, and the first flow."""
    twin = Twin(folder, bias)
    sigmas = twin.c["scheduler_sigmas"]
    latents, first = [], None
    none = torch.zeros(inputs["controls"].shape[1])
    for latent in inputs.get("initial", []):
        twin.forward(latent, 0.0, none, commit=True)
        latents.append(latent)
    for x, controls in zip(inputs["noise"], inputs["controls"]):
        for now, after in zip(sigmas, sigmas[1:]):
            flow = twin.forward(x, now, controls)
            first = flow if first is None else first
            x = x + (after - now) * flow
        twin.forward(x, 0.0, controls, commit=True)
        latents.append(x)
    return {"latents": torch.stack(latents), "first_flow": first[None].contiguous()}


def taehv(channels, widths, encoder):
    """Random weights of a codec with the names and strides of taehv1_5; values that f16 holds."""
    w = {}

    def conv(name, outputs, inputs, kernel=3, bias=True):
        w[f"{name}.weight"] = (1.2 * torch.randn(outputs, inputs, kernel, kernel) / (inputs * kernel**2) ** 0.5).half()
        if bias:
            w[f"{name}.bias"] = (0.05 * torch.randn(outputs)).half()

    def memory(name, n):
        for part, inputs in (("0", 2 * n), ("2", n), ("4", n)):
            conv(f"{name}.conv.{part}", n, inputs)

    conv("encoder.0", encoder, 12)
    for stage, stride in enumerate([2, 2, 1]):
        at = 2 + 5 * stage
        conv(f"encoder.{at}.conv", encoder, stride * encoder, 1, False)
        conv(f"encoder.{at + 1}", encoder, encoder, 3, False)
        for block in range(3):
            memory(f"encoder.{at + 2 + block}", encoder)
    conv("encoder.17", channels, encoder)
    conv("decoder.1", widths[0], channels)
    for stage, stride in enumerate([1, 2, 2]):
        at = 3 + 6 * stage
        for block in range(3):
            memory(f"decoder.{at + block}", widths[stage])
        conv(f"decoder.{at + 4}.conv", stride * widths[stage], widths[stage], 1, False)
        conv(f"decoder.{at + 5}", widths[stage + 1], widths[stage], 3, False)
    conv("decoder.22", 12, widths[3])
    return w


class Codec:
    """taehv1_5 over a whole stream at once: frames are a batch, what a MemBlock remembers is the frame before, nothing before the first."""

    def __init__(self, weights):
        self.w = {name: value.float() for name, value in weights.items()}

    def conv(self, name, x, stride=1):
        weight = self.w[f"{name}.weight"]
        return torch.nn.functional.conv2d(x, weight, self.w.get(f"{name}.bias"), stride, weight.shape[-1] // 2)

    def memory(self, name, x):
        past = torch.cat([torch.zeros_like(x[:1]), x[:-1]])
        y = torch.relu(self.conv(f"{name}.conv.0", torch.cat([x, past], 1)))
        y = torch.relu(self.conv(f"{name}.conv.2", y))
        return torch.relu(self.conv(f"{name}.conv.4", y) + x)

    def encode(self, frames):
        """Pictures [4 n, 3, H, W] to latents [n, C, h, w]."""
        x = torch.relu(self.conv("encoder.0", torch.nn.functional.pixel_unshuffle(frames, 2)))
        for stage, stride in enumerate([2, 2, 1]):
            at = 2 + 5 * stage
            x = self.conv(f"encoder.{at}.conv", x.reshape(-1, stride * x.shape[1], *x.shape[2:]))
            x = self.conv(f"encoder.{at + 1}", x, 2)
            for block in range(3):
                x = self.memory(f"encoder.{at + 2 + block}", x)
        return self.conv("encoder.17", x)

    def decode(self, latents):
        """Latents [n, C, h, w] to pictures [4 n, 3, H, W]: the first is decoded four times, and what the first three make is left out."""
        x = torch.cat([latents[:1]] * 3 + [latents])
        x = torch.relu(self.conv("decoder.1", 3 * torch.tanh(x / 3)))
        for stage, stride in enumerate([1, 2, 2]):
            at = 3 + 6 * stage
            for block in range(3):
                x = self.memory(f"decoder.{at + block}", x)
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = self.conv(f"decoder.{at + 4}.conv", x)
            x = x.reshape(-1, x.shape[1] // stride, *x.shape[2:])
            x = self.conv(f"decoder.{at + 5}", x)
        x = self.conv("decoder.22", torch.relu(x))
        return torch.nn.functional.pixel_shuffle(x, 2).clamp(0, 1)[12:]


def picture(height, width):
    """A picture that a test can make too [1, 3, H, W]."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([255 * x // (width - 1), 255 * y // (height - 1), (3 * x + 5 * y) % 256])[None] / 255


@torch.no_grad()
def codec(out):
    """Latents to pictures, and a picture there and back again, of which every fourth row and column."""
    weights = taehv(4, [12, 10, 8, 8], 8)
    out.mkdir(parents=True)
    save_file(weights, out / "taehv1_5.safetensors")
    net = Codec(weights)
    latents = torch.randn(3, 4, 2, 3)
    there = net.encode(torch.cat([picture(64, 96)] * 4))
    back = net.decode(there)[..., ::4, ::4]
    save_file({"latents": latents, "frames": net.decode(latents).half().contiguous(), "encoded": there.contiguous(),
               "back": back.half().contiguous()}, out / "codec.safetensors")


def tensors(c, newer, same):
    """Random weights under the published names, or under those of newer exports; values that bf16 holds."""
    dim, heads, kv, hd, ffn = c["d_model"], c["n_heads"], c["n_kv_heads"], c["d_head"], c["d_model"] * c["mlp_ratio"]
    channels, p, freq = c["channels"], c["patch"][0], 32
    w = {}

    def add(name, *shape, scale=None):
        scale = scale if scale is not None else math.prod(shape[1:]) ** -0.5
        w[name] = (scale * torch.randn(shape)).bfloat16()

    add("patchify.weight", dim, channels, p, p)
    add("denoise_step_emb.mlp.fc1.weight", 2 * dim, freq)
    add("denoise_step_emb.mlp.fc2.weight", dim, 2 * dim)
    add("ctrl_emb.mlp.fc1.weight", ffn, c["n_buttons"] + 3)
    add("ctrl_emb.mlp.fc2.weight", dim, ffn)
    add("ctrl_cfg.null_emb", 1, 1, dim)
    add("out_norm.fc.weight", 2 * dim, dim, scale=0.5 * dim**-0.5)
    add("unpatchify.weight", *((channels * p * p, dim) if newer else (dim, channels, p, p)), scale=dim**-0.5)
    add("unpatchify.bias", channels * p * p if newer else channels, scale=0.1)
    tied = [(0.5 * dim**-0.5 * torch.randn(dim, dim)).bfloat16() for _ in range(6)]
    for layer in range(c["n_layers"]):
        at = f"{BLOCK}{layer}."
        add(f"{at}attn.q_proj.weight", dim, dim)
        add(f"{at}attn.k_proj.weight", kv * hd, dim)
        add(f"{at}attn.v_proj.weight", kv * hd, dim)
        add(f"{at}attn.out_proj.weight", dim, dim)
        add(f"{at}attn.v_lamb", scale=0.3)
        if newer:
            add(f"{at}cond_head.bias_in", dim, scale=0.5)
            w |= {f"{at}cond_head.cond_proj.{j}.weight": tied[j].clone() for j in range(6)}
            w[f"{at}attn.cond_heads.0.weight"] = tied[0].clone()
        else:
            add(f"{at}attn_cond_head.bias_in", dim, scale=0.5)
            add(f"{at}mlp_cond_head.bias_in", dim, scale=0.5)
            if same:
                w[f"{at}attn_cond_head.bias_in"] = w[f"{at}mlp_cond_head.bias_in"].clone()
            for half, name in enumerate(["attn", "mlp"]):
                w |= {f"{at}{name}_cond_head.cond_proj.{j}.weight": tied[3 * half + j].clone() for j in range(3)}
        mlp = "mlp" if newer else "dit_mlp"
        add(f"{at}{mlp}.fc1.weight", ffn, dim)
        add(f"{at}{mlp}.fc2.weight", dim, ffn)
        if layer % c["ctrl_conditioning_period"] == 0:
            if newer:
                add(f"{at}ctrl_mlpfusion.mlp.fc1.weight", dim, 2 * dim, scale=dim**-0.5)
                add(f"{at}ctrl_mlpfusion.mlp.fc2.weight", dim, dim)
            else:
                for part in ("fc1_x", "fc1_c", "fc2"):
                    add(f"{at}ctrl_mlpfusion.{part}.weight", dim, dim)
    return w


def config(**changes):
    return {
        "model_type": "waypoint-1.5", "d_model": 64, "n_layers": 4, "n_heads": 4, "n_kv_heads": 2, "d_head": 16, "mlp_ratio": 2,
        "channels": 4, "patch": [2, 2], "height": 2, "width": 3, "tokens_per_frame": 6, "local_window": 4, "global_window": 16,
        "global_pinned_dilation": 4, "global_attn_period": 2, "global_attn_offset": -1, "n_buttons": 8,
        "ctrl_conditioning_period": 3, "value_residual": True, "gated_attn": False, "moe": False, "noise_conditioning": "wan",
        "prompt_conditioning": None, "rope_impl": "ortho", "rope_theta": 10000.0, "rope_nyquist_frac": 0.8,
        "scheduler_sigmas": [1.0, 0.9, 0.75, 0.3, 0.0], "base_fps": 15, "inference_fps": 60, "temporal_compression": 4,
        "n_frames": 512, "taehv_ae": True, "auto_aspect_ratio": True,
    } | changes


def write(out):
    """A codec, and two networks as they are published, and what they make: of the one under both readings of bias_in, whose two differ; of the other, in
    the spelling of newer exports, behind latents that are given."""
    torch.manual_seed(41)
    cases = {
        # So many frames that both rings wrap twice.
        "waypoint": (config(), False, 41, 0),
        "waypoint-newer": (config(n_heads=2, n_kv_heads=1, d_head=32, height=4, width=2, tokens_per_frame=8), True, 9, 3),
    }
    for name, (c, newer, frames, given) in cases.items():
        folder = out / name
        folder.mkdir(parents=True)
        save_file(tensors(c, newer, False), folder / "model.safetensors")
        (folder / "config.yaml").write_text(yaml.safe_dump(c, sort_keys=False))
        shape = (c["channels"], 2 * c["height"], 2 * c["width"])
        entries = c["n_buttons"] + 3
        controls = (torch.rand(frames, entries) < 0.2).float()
        controls[:, :2] = 0.3 * torch.randn(frames, 2)
        controls[:, -1] = torch.randint(-1, 2, (frames,)).float()
        inputs = {"noise": torch.randn(frames, *shape), "controls": controls}
        if given:
            inputs["initial"] = torch.randn(given, *shape)
        made = rollout(folder, inputs)
        if not newer:
            made |= {f"{what}_mlp": value for what, value in rollout(folder, inputs, "mlp").items()}
        save_file(inputs | made, out / f"{name}.safetensors")
    codec(out / "codec")


if __name__ == "__main__":
    folder, given, made, *bias = sys.argv[1:]
    save_file(rollout(Path(folder), load_file(given), *bias), made)
