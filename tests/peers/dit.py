"""The causal DiT of docs/model-file.md in PyTorch eager, written to be fast on a CPU.

Latents stay in patch layout [tokens, channels * ph * pw] through the whole denoise loop, so a step needs no permutes. Keys are
cached with their rotation, by absolute frame number. The chunk in flight writes straight into the ring slots it will be
committed to, which are those no visible frame holds: attention then reads a prefix of one buffer without copies or masks.
"""

import math
from types import SimpleNamespace

import torch
import torch.nn.functional as F

# The least noise level that the flow of a clean answer is computed with.
LEAST_SIGMA = 0.05


class Dit:
    """One stream. `tensors` are f32 by name; arithmetic is in `dtype`, norms of queries and keys and the sampler in f32."""

    def __init__(self, config, tensors, dtype, sigmas):
        c, history = config["dit"], config["history"]
        self.dtype, self.eps, self.heads, self.dim = dtype, c["eps"], c["heads"], c["dim"]
        self.head_dim = self.dim // self.heads
        _, self.ph, self.pw = c["patch"]
        self.channels = c["latent"]["channels"]
        self.grid = c["latent"]["height"] // self.ph, c["latent"]["width"] // self.pw
        self.tokens, self.chunk = self.grid[0] * self.grid[1], c["chunk"]
        self.window, self.sink = history["window"], history["sink"]
        self.route = history["route"] if history["route"] < self.window - self.chunk else 0
        self.compact = history["positions"] == "compact"
        self.sigmas, self.clean = sigmas, c.get("prediction", "flow") == "clean"
        self._weights(c, {name.removeprefix("dit."): w for name, w in tensors.items() if name.startswith("dit.")})
        self._conditions(c, config["schedule"]["context_noise"])
        self._rope(c["rope_theta"])
        state = (len(self.blocks), self.heads, self.window * self.tokens, self.head_dim)
        self.keys, self.values = torch.zeros(state, dtype=dtype), torch.zeros(state, dtype=dtype)
        self.means = torch.zeros(len(self.blocks), self.heads, self.window, self.head_dim)
        self.sink_keys = torch.zeros(len(self.blocks), self.heads, self.sink * self.tokens, self.head_dim)
        self.previous = torch.zeros(self.tokens, self.channels * self.ph * self.pw) if c["prev_frame"] else None
        self.frame = 0

    def _weights(self, c, w):
        cast = lambda name: w[name].to(self.dtype).contiguous()
        dense = lambda name: _transposed(w[name + ".weight"], w[name + ".bias"], self.dtype)
        embed, bias = w["patch_embedding.weight"].flatten(1), w["patch_embedding.bias"]
        features = self.channels * self.ph * self.pw
        _, self.embed = _transposed(embed[:, :features], bias, self.dtype)
        self.embed_previous = _transposed(embed[:, features:], bias, self.dtype)
        # The head's outputs have channels fastest; patches of this file have them slowest.
        order = torch.arange(features).view(self.ph, self.pw, self.channels).permute(2, 0, 1).flatten()
        self.head = _transposed(w["head.head.weight"][order], w["head.head.bias"][order], self.dtype)
        self.time, self.action = ([dense(f"{name}_embedding.{i}") for i in (0, 2)] for name in ("time", "action"))
        self.projection = dense("time_projection.1")
        self.block_modulation = torch.cat([w[f"blocks.{n}.modulation"] for n in range(c["layers"])]).to(self.dtype)
        self.head_modulation = cast("head.modulation")
        self.blocks, self.context = [], []
        context = cast("event_embedding").flatten(0, 1)
        for n in range(c["layers"]):
            own, cross = f"blocks.{n}.self_attn.", f"blocks.{n}.cross_attn."
            stack = lambda part: torch.cat([w[own + name + part] for name in "qkv"])
            self.blocks.append(SimpleNamespace(
                qkv=_transposed(stack(".weight"), stack(".bias"), self.dtype),
                norm_qk=torch.stack([w[own + "norm_q.weight"], w[own + "norm_k.weight"]]),
                o=dense(own + "o"),
                norm3=(cast(f"blocks.{n}.norm3.weight"), cast(f"blocks.{n}.norm3.bias")),
                cross_q=dense(cross + "q"),
                cross_norm=cast(cross + "norm_q.weight"),
                cross_o=dense(cross + "o"),
                up=dense(f"blocks.{n}.ffn.0"),
                down=dense(f"blocks.{n}.ffn.2"),
            ))
            # Keys and values of every event, [events, 1, heads, event_tokens, head_dim].
            k = F.rms_norm(_linear(context, dense(cross + "k")), (self.dim,), cast(cross + "norm_k.weight"), self.eps)
            v = _linear(context, dense(cross + "v"))
            split = lambda x: x.view(-1, 1, c["event_tokens"], self.heads, self.head_dim).transpose(2, 3).contiguous()
            self.context.append([split(k), split(v)])

    def _conditions(self, c, context_noise):
        """Time embeddings of every denoise step and, last, of the commit pass: they depend on nothing else."""
        half = c["freq_dim"] // 2
        times = torch.tensor([1000 * sigma for sigma in self.sigmas] + [context_noise], dtype=torch.float64)
        angles = times[:, None] * 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
        sinusoid = torch.cat([angles.cos(), angles.sin()], dim=1).to(self.dtype)
        self.time = _mlp(sinusoid, self.time)

    def _rope(self, theta):
        side = self.head_dim // 6
        dims = [self.head_dim - 4 * side, 2 * side, 2 * side]
        frequency = [theta ** (-torch.arange(0, d, 2, dtype=torch.float64) / d) for d in dims]
        row = torch.arange(self.grid[0], dtype=torch.float64).repeat_interleave(self.grid[1])
        column = torch.arange(self.grid[1], dtype=torch.float64).repeat(self.grid[0])
        self.spatial_angles = torch.cat([row[:, None] * frequency[1], column[:, None] * frequency[2]], dim=1)
        self.temporal_frequency = frequency[0]

    def _turns(self, frames):
        """Rotations of all tokens of some frames [frames * tokens, 1, 1, head_dim / 2], complex."""
        angles = torch.tensor(frames, dtype=torch.float64)[:, None, None] * self.temporal_frequency
        angles = [angles.expand(-1, self.tokens, -1), self.spatial_angles.expand(len(frames), -1, -1)]
        angles = torch.cat(angles, dim=2).flatten(0, 1)[:, None, None]
        return torch.polar(torch.ones_like(angles), angles).to(torch.complex64)

    def _split(self, x):
        return x.unflatten(-1, (self.heads, self.head_dim))

    def generate(self, action, event, noise):
        """Denoises one chunk and commits it; returns its patches [chunk * tokens, features].

        `action` is f32 [actions]; `noise(frame, step)` gives f32 patches of the chunk that begins at `frame`.
        """
        modulation = self._begin(action)
        context = [(k[event], v[event]) for k, v in self.context]
        x = noise(self.frame, 0)
        for step, sigma in enumerate(self.sigmas):
            hidden = self._blocks(x, [m[step] for m in modulation], context, commit=False)
            answer = _linear(hidden, self.head)
            if self.clean:
                answer = (x - answer) / max(sigma, LEAST_SIGMA)
            x = x.sub(answer, alpha=sigma)
            if step + 1 < len(self.sigmas):
                following = self.sigmas[step + 1]
                x.mul_(1 - following).add_(noise(self.frame, step + 1), alpha=following)
        self._blocks(x, [m[-1] for m in modulation], context, commit=True)
        self._end(x)
        return x

    def _begin(self, action):
        """Places the chunk in the ring and returns the modulations of all its passes."""
        frames = range(self.frame, self.frame + self.chunk)
        slots = [self._slot(frame) for frame in frames]
        self.slots = torch.tensor(slots)
        consecutive = all(slot == slots[0] + i for i, slot in enumerate(slots))
        rows = [torch.arange(slot * self.tokens, (slot + 1) * self.tokens) for slot in slots]
        self.own = slice(slots[0] * self.tokens, (slots[-1] + 1) * self.tokens) if consecutive else torch.cat(rows)
        self.visible = min(self.frame + self.chunk, self.window)
        self.turns = self._turns(list(frames))
        self._slide_sink()
        if self.previous is not None:
            base = _linear(self.previous.to(self.dtype), self.embed_previous)
            self.base = base if self.chunk == 1 else base.repeat(self.chunk, 1)
        else:
            self.base = self.embed_previous[0]
        # All frames of a chunk share one action, so every pass has one modulation, and one product serves them all.
        e = self.time + _mlp(action.to(self.dtype).unsqueeze(0), self.action)
        blocks = _linear(F.silu(e), self.projection).view(len(e), 1, 6, self.dim) + self.block_modulation
        blocks[:, :, [1, 4]] += 1
        head = self.head_modulation + e[:, None]
        head[:, 1] += 1
        return blocks, head

    def _blocks(self, x, modulation, context, commit):
        """The normed hidden rows [chunk * tokens, dim] that the head reads; a commit pass ends with the last keys and values."""
        blocks, head = modulation
        hidden = torch.addmm(self.base, x.to(self.dtype), self.embed)
        rows = self.visible * self.tokens
        norm = lambda shift, scale: F.layer_norm(hidden, (self.dim,), scale, shift, self.eps)
        for n, (b, m, (cross_k, cross_v)) in enumerate(zip(self.blocks, blocks, context)):
            shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = m.unbind()
            q = self._attend_to(n, b, norm(shift, scale), commit)
            if commit and n + 1 == len(self.blocks):
                return None
            mask = self._routes(n, q) if self.route else None
            keys, values = self.keys[n, None, :, :rows], self.values[n, None, :, :rows]
            y = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
            hidden.addcmul_(_linear(_merge(y), b.o), gate)
            q = _linear(norm(shift=b.norm3[1], scale=b.norm3[0]), b.cross_q)
            q = self._split(F.rms_norm(q, (self.dim,), b.cross_norm, self.eps)).transpose(0, 1).unsqueeze(0)
            hidden += _linear(_merge(F.scaled_dot_product_attention(q, cross_k, cross_v)), b.cross_o)
            y = F.gelu(_linear(norm(ffn_shift, ffn_scale), b.up), approximate="tanh")
            hidden.addcmul_(_linear(y, b.down), ffn_gate)
        return norm(*head.unbind())

    def _attend_to(self, n, b, y, commit):
        """Writes the chunk's keys and values to its slots; returns its queries [1, heads, rows, head_dim]."""
        qk, v = _linear(y, b.qkv).split([2 * self.dim, self.dim], dim=1)
        qk = F.rms_norm(qk.float().view(-1, 2, self.dim), (self.dim,), eps=self.eps) * b.norm_qk
        qk = torch.view_as_complex(qk.view(-1, 2, self.heads, self.head_dim // 2, 2)) * self.turns
        q, k = torch.view_as_real(qk).flatten(-2).permute(1, 2, 0, 3)
        self.keys[n, :, self.own] = k.to(self.dtype)
        self.values[n, :, self.own] = self._split(v).transpose(0, 1)
        if commit:
            if self.route:
                self.means[n, :, self.slots] = k.unflatten(1, (self.chunk, self.tokens)).mean(2)
            if self.frame < self.sink:
                room = self.sink_keys[n, :, self.frame * self.tokens:]
                rows = min(room.shape[1], k.shape[1])
                room[:, :rows] = k[:, :rows]
        return q.to(self.dtype).unsqueeze(0)

    def _routes(self, n, q):
        """Mask [1, heads, rows, visible rows] of the `route` history frames each query keeps, the newest always among them."""
        history = self.visible - self.chunk
        if history <= self.route:
            return None
        score = q[0].float() @ self.means[n, :, :self.visible].transpose(1, 2)
        score[..., self.slots] = -math.inf
        score[..., self._slot(self.frame - 1)] = math.inf
        mask = torch.zeros_like(score, dtype=torch.bool).scatter_(-1, score.topk(self.route).indices, True)
        mask[..., self.slots] = True
        return mask.repeat_interleave(self.tokens, -1).unsqueeze(0)

    def _slot(self, frame):
        """Sink frames keep their slot; the others rotate through the rest."""
        return frame if frame < self.sink else self.sink + (frame - self.sink) % (self.window - self.sink)

    def _slide_sink(self):
        """Compact positions put the sink directly before the rolling frames, so its keys turn on as the window moves."""
        gap = self.frame - (self.window - self.chunk)
        if not self.compact or not self.sink or gap <= 0:
            return
        turn = torch.zeros(self.head_dim // 2, dtype=torch.float64)
        turn[:len(self.temporal_frequency)] = gap * self.temporal_frequency
        turn = torch.polar(torch.ones_like(turn), turn).to(torch.complex64)
        rotate = lambda x, turn: torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turn).flatten(-2)
        keys = rotate(self.sink_keys, turn)
        self.keys[:, :, :self.sink * self.tokens] = keys.to(self.dtype)
        if self.route:
            self.means[:, :, :self.sink] = keys.unflatten(2, (self.sink, self.tokens)).mean(3)

    def _end(self, x):
        self.frame += self.chunk
        if self.previous is not None:
            self.previous = x[-self.tokens:]

    def patchify(self, latents):
        """Latents [frames, channels, height, width] as patches [frames * tokens, features]."""
        rows, columns = self.grid
        x = latents.reshape(-1, self.channels, rows, self.ph, columns, self.pw)
        return x.permute(0, 2, 4, 1, 3, 5).reshape(-1, self.channels * self.ph * self.pw)

    def unpatchify(self, patches):
        """The inverse of `patchify`."""
        rows, columns = self.grid
        x = patches.view(-1, rows, columns, self.channels, self.ph, self.pw)
        return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, self.channels, rows * self.ph, columns * self.pw)


def _transposed(weight, bias, dtype):
    """Bias and weight [in, out]: with few rows, products are a fifth faster than with PyTorch's own [out, in]."""
    return bias.to(dtype), weight.T.to(dtype).contiguous()


def _linear(x, layer):
    bias, weight = layer
    return torch.addmm(bias, x, weight)


def _mlp(x, layers):
    return _linear(F.silu(_linear(x, layers[0])), layers[1])


def _merge(y):
    """[1, heads, rows, head_dim] to [rows, dim]."""
    return y[0].transpose(0, 1).flatten(1)
