"""Checks that PyTorch and the runtime generate the same worlds from the same noise.

    python parity.py --dump PATH [--model FILE]

PATH is the built example `dump` of crate causeway-tests. It plays streams on the CPU; each is played again here in f32 with the
same actions, events and Philox noise. Errors are the largest difference of a chunk's latents relative to their largest value.
The decoder is given the runtime's latents, so that its pictures answer for the decoder alone.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

import philox
from model import World
from weights import kind, load

# The runtime multiplies quantised weights by activations rounded to eight bits, PyTorch by exact ones.
LIMIT = {"f32": 1e-3, "f16": 1e-3, "q8": 5e-2, "q4": 5e-2}
# A pixel may differ by one level where rounding falls the other way.
PIXEL_LIMIT = 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dump", type=Path, required=True, help="the built example `dump`")
    parser.add_argument("--model", type=Path, help="a model file; without one, a table of small random models")
    arguments = parser.parse_args()
    philox.check()
    with tempfile.TemporaryDirectory() as directory:
        given = [arguments.model.resolve()] if arguments.model else []
        subprocess.run([arguments.dump.resolve(), directory, *given], check=True)
        failed = 0
        print(f"{'model':<10} {'frames':>6} {'latents':>9} {'limit':>7} {'pixels':>7} {'differ':>7}")
        for path in sorted(Path(directory).glob("*.rollout.safetensors")):
            name = path.name.split(".")[0]
            model = given[0] if given else path.with_name(f"{name}.model.safetensors")
            limit = LIMIT[kind(model)]
            with torch.inference_mode():
                frames, latents, pixels, share = compare(model, load_file(path))
            fails = not latents <= limit or pixels > PIXEL_LIMIT
            failed += fails
            print(f"{name:<10} {frames:>6} {latents:>9.1e} {limit:>7.0e} {pixels:>7} {share:>7.2%}{'  FAILS' * fails}")
    sys.exit(1 if failed else 0)


def compare(path, rollout):
    """Frames, largest relative error of latents, largest difference of pixels in levels, share of pixels that differ."""
    config, tensors = load(path)
    world = World(config, tensors)
    chunk, shape = config["dit"]["chunk"], rollout["latents"].shape[1:]
    seed = rollout["seed"].item()

    def noise(frame, step):
        frames = [philox.normal(seed, frame + f, step, shape.numel()).reshape(shape) for f in range(chunk)]
        return torch.stack([torch.from_numpy(f) for f in frames]).permute(0, 3, 1, 2)

    worst, levels, differ = 0.0, 0, 0
    for n, (action, event) in enumerate(zip(rollout["actions"], rollout["events"].tolist())):
        own = slice(n * chunk, (n + 1) * chunk)
        expected = rollout["latents"][own].permute(0, 3, 1, 2)
        latents = world.generate(action, event, noise)
        worst = max(worst, ((latents - expected).abs().max() / expected.abs().max()).item())
        difference = (world.decode(expected).int() - rollout["pixels"][own].int()).abs()
        levels = max(levels, difference.max().item())
        differ += difference.count_nonzero().item()
    return len(rollout["latents"]), worst, levels, differ / rollout["pixels"].numel()


if __name__ == "__main__":
    main()
