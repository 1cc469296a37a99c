"""The references: diffusers' Wan transformer, bidirectional, made causal by a mask over whole frames.

A rollout with a KV cache must give what one forward over all frames so far gives in which every frame sees only the frames that
were visible when its chunk was made. No code is shared with the runtime.
"""

import torch
from diffusers.models.transformers import transformer_wan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

_attention = transformer_wan.dispatch_attention_fn
_mask = None


def _masked(query, key, value, *args, **kwargs):
    """Self-attention over whole sequences takes the mask; cross-attention has other lengths."""
    if _mask is not None and query.shape[1] == key.shape[1] == _mask.shape[0]:
        kwargs["attn_mask"] = _mask
    return _attention(query, key, value, *args, **kwargs)


transformer_wan.dispatch_attention_fn = _masked


def network(heads, head_dim, layers, ffn, channels, freq, text, seed):
    """A random network whose weights survive bf16 and f16, so that every file format can hold them exactly."""
    torch.manual_seed(seed)
    net = WanTransformer3DModel(
        num_attention_heads=heads, attention_head_dim=head_dim, in_channels=channels, out_channels=channels,
        text_dim=text, freq_dim=freq, ffn_dim=ffn, num_layers=layers, cross_attn_norm=True,
        qk_norm="rms_norm_across_heads", eps=1e-6, rope_max_seq_len=64,
    ).eval()
    with torch.no_grad():
        for name, p in net.named_parameters():
            fan = p[0].numel() if p.ndim > 1 else 1
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


@torch.no_grad()
def flow(net, latents, timesteps, text, length, sees=None):
    """Flow of `latents` [F, C, H, W] with a timestep a frame; `sees[f]` is the set of frames that frame f attends to."""
    global _mask
    frames, _, height, width = latents.shape
    tokens = height * width // 4
    context = torch.zeros(1, length, text.shape[1])
    context[0, : len(text)] = text
    if sees is not None:
        visible = torch.zeros(frames, frames, dtype=torch.bool)
        for f, seen in enumerate(sees):
            visible[f, list(seen)] = True
        _mask = visible.repeat_interleave(tokens, 0).repeat_interleave(tokens, 1)
    t = timesteps.repeat_interleave(tokens)[None]
    try:
        out = net(latents.permute(1, 0, 2, 3)[None], t, context, return_dict=False)[0]
    finally:
        _mask = None
    return out[0].permute(1, 0, 2, 3).contiguous()


def rollout(net, noise, renoise, sigmas, text, length, chunk, window, sink, first=None, context_noise=0.0):
    """The few-step sampler (warped noise levels) chunk by chunk; returns latents and the very first flow."""
    total = len(noise)
    latents, sees, first_flow = torch.zeros_like(noise), [], None
    start = 0
    while start < total:
        n = first if first and start == 0 else chunk
        history = window - chunk
        kept = set(range(min(sink, start))) | set(range(max(0, start - max(0, history - sink)), start))
        kept |= set() if start > history else set(range(start))
        own = range(start, start + n)
        sees = sees + [kept | set(own) for _ in own]
        x = noise[start : start + n].double()
        for step, sigma in enumerate(sigmas):
            sequence = torch.cat([latents[:start], x.float()])
            t = torch.cat([torch.full((start,), context_noise), torch.full((n,), 1000 * sigma)])
            v = flow(net, sequence, t.float(), text, length, sees)[start:].double()
            first_flow = v.float() if first_flow is None else first_flow
            x = x - sigma * v
            if step + 1 < len(sigmas):
                x = (1 - sigmas[step + 1]) * x + sigmas[step + 1] * renoise[step, start : start + n].double()
        latents[start : start + n] = x.float()
        start += n
    return latents, first_flow
