"""Streams by their definition: diffusers' Wan transformer over everything a stream ever computed, with attention written out.

Whatever a stream commits is an *item*: a frame's latents under one prompt, and the items it saw then. Nothing is cached: each forward
computes all items anew, each seeing what it saw. A recache adds items. Self-attention turns queries and keys by the temporal
positions of each query's own view, which may be absolute or compact, and may route. No code is shared with the runtime.
"""

import json

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from diffusers.models.transformers import transformer_wan
from safetensors.torch import save_file

LENGTH = 16


class Item:
    def __init__(self, latent, time, text, number, history, own, positions):
        self.latent, self.time, self.text, self.number = latent, time, text, number
        self.history, self.own, self.positions = history, own, positions


class Attention:
    """Takes the place of diffusers' attention function during one forward."""

    def __init__(self, net, items, tokens, rows, route):
        self.items, self.tokens, self.rows, self.route = items, tokens, rows, route
        self.pairs = net.rope.t_dim // 2
        self.self_next = True
        # Additive masks of cross-attention: a frame sees its own prompt only.
        self.cross = torch.full((len(items), sum(rows)), float("-inf"))
        for i, item in enumerate(items):
            first = sum(rows[: item.text])
            self.cross[i, first : first + rows[item.text]] = 0
        self.cross = self.cross.repeat_interleave(tokens, 0)

    def turn(self, x, position):
        """Rotates the temporal pairs of [tokens, heads, dim]."""
        frequency = 10000.0 ** (-torch.arange(self.pairs, dtype=torch.float64) / self.pairs)
        angle = position * frequency
        cos, sin = angle.cos().float(), angle.sin().float()
        a, b = x[..., 0 : 2 * self.pairs : 2], x[..., 1 : 2 * self.pairs : 2]
        y = x.clone()
        y[..., 0 : 2 * self.pairs : 2] = a * cos - b * sin
        y[..., 1 : 2 * self.pairs : 2] = a * sin + b * cos
        return y

    def __call__(self, query, key, value, **kwargs):
        mine, self.self_next = self.self_next, not self.self_next
        if not mine:
            scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5 + self.cross
            return torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), value)
        part = lambda x, i: x[0, i * self.tokens : (i + 1) * self.tokens]
        out = torch.zeros_like(query)
        for i, item in enumerate(self.items):
            seen = item.history + item.own
            q = self.turn(part(query, i), item.positions[i])
            keys = [self.turn(part(key, j), item.positions[j]) for j in seen]
            k = torch.stack(keys)  # [frames, tokens, heads, dim]
            v = torch.stack([part(value, j) for j in seen])
            scores = torch.einsum("qhd,fkhd->hqfk", q, k) / q.shape[-1] ** 0.5
            if self.route and item.history:
                most, sink, recent = self.route
                past = len(item.history)
                match = torch.einsum("qhd,fhd->hqf", q, k[:past].mean(1))
                forced = [f for f in range(past) if f < sink or f + recent >= past]
                match[..., forced] = float("inf")
                chosen = match.topk(min(most, past), -1).indices
                hidden = torch.ones_like(match, dtype=torch.bool).scatter(-1, chosen, False)
                scores[:, :, :past] = scores[:, :, :past].masked_fill(hidden[..., None], float("-inf"))
            weights = scores.flatten(2).softmax(-1).view_as(scores)
            out[0, i * self.tokens : (i + 1) * self.tokens] = torch.einsum("hqfk,fkhd->qhd", weights, v)
        return out


@torch.no_grad()
def forward(net, items, texts, route=None):
    """Flow of all items [n, C, H, W]."""
    latents = torch.stack([item.latent for item in items])
    tokens = latents.shape[2] * latents.shape[3] // 4
    context = torch.zeros(1, LENGTH * len(texts), texts[0].shape[1])
    for n, text in enumerate(texts):
        context[0, LENGTH * n : LENGTH * n + len(text)] = text
    t = torch.tensor([float(item.time) for item in items]).repeat_interleave(tokens)[None]
    attention = Attention(net, items, tokens, [LENGTH] * len(texts), route)
    saved, rope = transformer_wan.dispatch_attention_fn, net.rope.forward
    transformer_wan.dispatch_attention_fn = attention
    # Spatial rotations only: every frame is frame 0.
    net.rope.forward = lambda x: tuple(r.repeat(1, x.shape[2], 1, 1) for r in rope(x[:, :, :1]))
    try:
        out = net(latents.permute(1, 0, 2, 3)[None], t, context, return_dict=False)[0]
    finally:
        transformer_wan.dispatch_attention_fn = saved
        del net.rope.forward
    return out[0].permute(1, 0, 2, 3)


class Stream:
    def __init__(self, net, chunk, window, sink, first=None, compact=False, route=None, negative=None):
        self.net, self.chunk, self.window, self.sink, self.first = net, chunk, window, sink, first or chunk
        self.compact, self.route, self.negative = compact, route, negative
        self.items, self.shown, self.texts, self.number = [], [], [], 0

    def prompt(self, text):
        self.texts.append(text)

    def view(self, history, frames):
        """Positions of a view: of its history and of own items that begin at number `frames[0]`."""
        numbers = [self.items[j].number for j in history] + [number for _, number in frames]
        order = list(history) + [index for index, _ in frames]
        return dict(zip(order, range(len(order)) if self.compact else numbers))

    def history(self):
        most = self.window - self.chunk
        if len(self.shown) <= most:
            return list(self.shown)
        rolling = most - self.sink
        return self.shown[: self.sink] + (self.shown[-rolling:] if rolling else [])

    def add(self, latents, time, history, numbers):
        """Items of some frames that see `history` and each other."""
        own = [len(self.items) + i for i in range(len(latents))]
        positions = self.view(history, list(zip(own, numbers)))
        return [Item(x, time, len(self.texts) - 1, n, history, own, positions) for x, n in zip(latents, numbers)]

    def size(self):
        return self.first if self.number == 0 else self.chunk

    def flow(self, x, time):
        items = self.items + self.add(x, time, self.history(), range(self.number, self.number + len(x)))
        flow = forward(self.net, items, self.texts, self.route)[len(self.items) :]
        if self.negative is None:
            return flow, flow
        text, guidance = self.negative
        for item in items:
            item.kept, item.text = item.text, 0
        u = forward(self.net, items, [text], self.route)[len(self.items) :]
        for item in items:
            item.text = item.kept
        return u + guidance * (flow - u), flow

    def commit(self, x):
        fresh = self.add(x, 0.0, self.history(), range(self.number, self.number + len(x)))
        self.shown += range(len(self.items), len(self.items) + len(x))
        self.items += fresh
        self.number += len(x)

    def recache(self, refresh):
        held = min(self.window, len(self.shown))
        # LongLive's code protects the sink only where the recached range does not begin at frame 0.
        refresh = refresh or held == len(self.shown)
        sink = [] if refresh else self.shown[: self.sink]
        frames = self.shown[len(self.shown) - held :]
        frames = frames if refresh else frames[min(self.sink, held) :]
        fresh = self.add([self.items[j].latent for j in frames], 0.0, sink, [self.items[j].number for j in frames])
        indices = list(range(len(self.items), len(self.items) + len(fresh)))
        self.items += fresh
        self.shown = indices if refresh else self.shown[: len(self.shown) - len(frames)] + indices

    def reset(self):
        self.shown = []


def few(sigmas, renoise):
    def step(i, x, flow):
        x = x.double() - sigmas[i] * flow.double()
        if i + 1 < len(sigmas):
            x = (1 - sigmas[i + 1]) * x + sigmas[i + 1] * renoise[i].double()
        return x.float()

    return [1000 * s for s in sigmas], step


def scheduled(make, steps):
    scheduler = make(steps)

    def step(i, x, flow):
        return scheduler.step(flow, scheduler.timesteps[i], x, return_dict=False)[0]

    return [float(t) for t in scheduler.timesteps], step


def euler(steps):
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=5.0)
    scheduler.set_timesteps(sigmas=[1 - i / steps for i in range(steps)])
    return scheduler


def unipc(steps, shift=5.0):
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, num_train_timesteps=1000)
    scheduler.set_timesteps(steps)
    return scheduler


def warped(steps):
    return [5.0 * (s / 1000) / (1 + 4.0 * (s / 1000)) for s in steps]


def run(stream, noise, sampler, switches=()):
    """Latents and the very first flow. `sampler(chunk's first frame, its frames)` gives timesteps and a step function."""
    latents, at, first_flow = [], 0, None
    while at < len(noise):
        for frame, how in switches:
            if frame == stream.number:
                how(stream)
        n = stream.size()
        x = noise[at : at + n]
        times, step = sampler(at, n)
        for i, time in enumerate(times):
            guided, flow = stream.flow(x, time)
            first_flow = flow if first_flow is None else first_flow
            x = step(i, x, guided)
        stream.commit(x)
        latents.append(x)
        at += n
        if hasattr(stream, "later"):
            stream.later()
    return torch.cat(latents), first_flow


def blend(stream, old, new, parts, recache):
    """Puts equal parts of a change of prompt in force, one a chunk."""
    rows = max(len(old), len(new))
    pad = lambda text: torch.cat([text, torch.zeros(rows - len(text), text.shape[1])])
    done = 0

    def part():
        nonlocal done
        if done < parts:
            done += 1
            share = done / parts
            stream.prompt((1 - share) * pad(old) + share * pad(new))
            if recache:
                stream.recache(False)

    stream.later = part
    part()


def make(net, out):
    torch.manual_seed(23)
    data, described = {}, {}
    for name, schedule in [("euler.32", euler(32)), ("euler.8", euler(8)), ("unipc.50", unipc(50)),
                           ("unipc.8", unipc(8)), ("unipc.20_shift3", unipc(20, 3.0))]:
        data[f"{name}.sigmas"] = schedule.sigmas[:-1].clone()
        data[f"{name}.timesteps"] = schedule.timesteps.float().clone()

    def case(name, frames, options, sampler, rows=0, first=None, initial=None, negative=None, guidance=1.0,
             switches=None, texts=2, **ring):
        noise, renoise = torch.randn(frames, 4, 8, 8), torch.randn(rows, frames, 4, 8, 8)
        prompts = [torch.randn(5 + 2 * i, 24) for i in range(texts)]
        data[f"{name}.noise"], data[f"{name}.renoise"] = noise, renoise
        for i, text in enumerate(prompts):
            data[f"{name}.context{i + 1 if i else ''}"] = text
        if negative:
            data[f"{name}.negative"] = torch.randn(4, 24)
        sink = ring.pop("sink", 3)
        stream = Stream(net, 3, 9, sink, first=first,
                        negative=(data[f"{name}.negative"], guidance) if negative else None, **ring)
        stream.prompt(prompts[0])
        if initial:
            data[f"{name}.initial"] = torch.randn(initial, 4, 8, 8)
            given = data[f"{name}.initial"]
            while len(given):
                n = stream.size()
                stream.commit(given[:n])
                given = given[n:]
        pick = lambda at, n: sampler(stream, at, [r[at : at + n] for r in renoise])
        latents, first_flow = run(stream, noise, pick, switches(stream, prompts) if switches else ())
        if initial:
            latents = torch.cat([data[f"{name}.initial"], latents])
        data[f"{name}.latents"], data[f"{name}.first_flow"] = latents, first_flow
        described[name] = f"--chunk 3 --window 9 --sink {sink} {options}"

    two = warped([1000, 500])
    steps = lambda sigmas: lambda stream, at, fresh: few(sigmas, fresh)
    first_four = lambda sigmas: lambda stream, at, fresh: few(
        warped([1000, 750, 500, 250]) if stream.number == 0 else sigmas, fresh)

    # Schedules.
    case("two_steps", 9, "--steps 1000,500 --first-steps 1000,750,500,250", first_four(two), 3, texts=1)
    case("one_step", 9, "--steps 1000 --first-steps 1000,750,500,250", first_four([1.0]), 3, texts=1)
    case("one_step_only", 6, "--steps 1000", steps([1.0]), 0, texts=1)
    case("initial", 6, "--steps 1000,500", steps(two), 1, initial=6, texts=1)
    case("image", 6, "--steps 1000,500 --first-chunk 1", steps(two), 1, first=1, initial=1, texts=1)
    case("euler", 6, "--sampler euler --steps-count 8 --guidance 5", lambda *_: scheduled(euler, 8), 0,
         negative=True, guidance=5.0, texts=1)
    case("unipc", 9, "--sampler unipc --steps-count 8 --guidance 3", lambda *_: scheduled(unipc, 8), 0,
         negative=True, guidance=3.0, texts=1)

    # Changes of prompt. With 9 frames visible the ring of 6 rolling frames has wrapped around at frame 12.
    def switch(frame, what):
        def switches(stream, prompts):
            def how(stream):
                stream.prompt(prompts[1])
                what(stream)
            return [(frame, how)]
        return switches

    protect, refresh = (lambda stream: stream.recache(False)), (lambda stream: stream.recache(True))
    few_two = "--steps 1000,500"
    case("protect", 18, f"{few_two} --switch 12:recache", steps(two), 1, switches=switch(12, protect))
    case("refresh", 21, f"{few_two} --switch 12:recache --refresh-sink", steps(two), 1, switches=switch(12, refresh))
    case("young", 12, f"{few_two} --switch 6:recache", steps(two), 1, switches=switch(6, protect))
    case("compact", 18, f"{few_two} --switch 12:recache --compact", steps(two), 1, switches=switch(12, protect),
         compact=True)
    case("compact_refresh", 18, f"{few_two} --switch 12:recache --refresh-sink --compact", steps(two), 1,
         switches=switch(12, refresh), compact=True)
    case("no_sink", 15, f"{few_two} --switch 9:recache", steps(two), 1, switches=switch(9, protect), sink=0)
    case("keep", 12, f"{few_two} --switch 6:keep", steps(two), 1, switches=switch(6, lambda stream: None))
    case("reset", 12, f"{few_two} --switch 6:reset", steps(two), 1, switches=switch(6, Stream.reset))
    mixed = lambda recache: lambda stream, prompts: [(6, lambda s: blend(s, prompts[0], prompts[1], 2, recache))]
    case("blend", 12, f"{few_two} --switch 6:keep --blend 2", steps(two), 1, switches=mixed(False))
    case("blend_recache", 12, f"{few_two} --switch 6:recache --blend 2", steps(two), 1, switches=mixed(True))

    # Routes.
    case("route", 12, f"{few_two} --route 2", steps(two), 1, texts=1, route=(2, 0, 1))
    case("route_forced", 12, f"{few_two} --route 3 --route-sink 1 --route-recent 1", steps(two), 1, texts=1,
         route=(3, 1, 1))
    case("route_free", 12, f"{few_two} --route 1 --route-recent 0", steps(two), 1, texts=1, route=(1, 0, 0))
    case("dense", 12, f"{few_two} --route 0", steps(two), 1, texts=1)

    save_file({k: v.float().contiguous() for k, v in data.items()}, out / "streams.safetensors",
              {"cases": json.dumps(described)})
