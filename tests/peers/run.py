"""Times one world in PyTorch eager (f32, bf16) and in Causeway, in turns, on the same cores.

    python run.py --causeway PATH [--model FILE] [--size 128x96] [--frames 60] [--rounds 5] [--threads 2] [--clock wall|cpu]
                  [--out FILE.json]

A round plays `frames` frames on each, in an order that rotates, so that a busy moment of the machine hits all alike. A frame
is a chunk's share of noise, denoise steps, decoding to RGBA8 and commit pass, with a full window.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from model import World, picture
from weights import kind, load

SHIPPED = Path(__file__).resolve().parents[2] / "models" / "rooms.safetensors"
OURS = "causeway"


def main():
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    players = {
        "torch f32": Peer(arguments, torch.float32),
        "torch bf16": Peer(arguments, torch.bfloat16),
        OURS: lambda: causeway(arguments),
    }
    blocks = {name: [] for name in players}
    load_before = os.getloadavg()[0]
    for turn in range(arguments.rounds):
        names = list(players)
        for name in names[turn % 3:] + names[:turn % 3]:
            # OpenMP's idle threads spin for a while after their last work.
            time.sleep(0.3)
            blocks[name].append(players[name]())
    result = summary(arguments, blocks) | {"load": [load_before, os.getloadavg()[0]]}
    print(table(result))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


def parse():
    size = lambda text: tuple(int(side) for side in text.split("x"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--causeway", type=Path, required=True, help="the release binary")
    parser.add_argument("--model", type=Path, default=SHIPPED, help="model file (default: the shipped one)")
    parser.add_argument("--size", type=size, metavar="WxH", help="play at another picture size")
    parser.add_argument("--frames", type=int, default=60, help="frames a block")
    parser.add_argument("--rounds", type=int, default=5, help="blocks of each")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, help="denoise steps (default: the model's)")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: processor time of all threads, for a machine that others keep busy; with --threads 1, or PyTorch's threads "
        "that spin while they wait count as work",
    )
    parser.add_argument("--out", type=Path, help="where to write the JSON")
    return parser.parse_args()


class Peer:
    """A PyTorch stream that plays on from call to call."""

    def __init__(self, arguments, dtype):
        self.frames = arguments.frames
        self.clock = {"wall": time.perf_counter, "cpu": time.process_time}[arguments.clock]
        with torch.inference_mode():
            self.world = World.open(arguments.model, dtype, arguments.size, arguments.steps)
            config = self.world.config["dit"]
            self.action = torch.zeros(len(config["actions"]))
            # Attention costs most once the window is full.
            for _ in range(self.world.dit.window // config["chunk"] + 2):
                self.play()

    def __call__(self):
        """Milliseconds of a frame: the median of a block."""
        chunk, found = self.world.dit.chunk, []
        with torch.inference_mode():
            for _ in range(-(-self.frames // chunk)):
                self.action[0] = 1 - self.action[0]
                start = self.clock()
                self.play()
                found.append(1e3 * (self.clock() - start) / chunk)
        return statistics.median(found)

    def play(self):
        self.world.decode(self.world.generate(self.action, 0))


def causeway(arguments):
    """Milliseconds of a frame: the median of one run of the program, or what more frames cost in processor time."""
    if arguments.clock == "wall":
        return run(arguments, arguments.frames)[0]["frame_ms_median"]
    # Opening the model and filling the window cost the same in both; many frames, for the two differ in luck.
    short, long = arguments.frames, 5 * arguments.frames
    return 1e3 * (run(arguments, long)[1] - run(arguments, short)[1]) / (long - short)


def run(arguments, frames):
    """What a run of the program reports, and its processor time in seconds."""
    command = [arguments.causeway, "bench", "demo", "--json", "--backend", "cpu", "--model", arguments.model]
    command += ["--threads", str(arguments.threads), "--frames", str(frames)]
    if arguments.size:
        command += ["--size", "x".join(map(str, arguments.size))]
    if arguments.steps:
        command += ["--steps", str(arguments.steps)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return json.loads(done.stdout), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def summary(arguments, blocks):
    config, _ = load(arguments.model)
    peers = {name: {"ms": statistics.median(found), "blocks_ms": found} for name, found in blocks.items()}
    better = min((name for name in peers if name != OURS), key=lambda name: peers[name]["ms"])
    for peer in peers.values():
        # Turn by turn, because what disturbs one block of a round often disturbs them all.
        ratios = [theirs / ours for theirs, ours in zip(peer["blocks_ms"], blocks[OURS])]
        peer |= {"fps": 1e3 / peer["ms"], "causeway_is": statistics.median(ratios), "worst_round": min(ratios)}
    return {
        "model": arguments.model.name,
        "weights": kind(arguments.model),
        "size": arguments.size or picture(config),
        "steps": arguments.steps or config["schedule"]["default_steps"],
        "threads": arguments.threads,
        "clock": arguments.clock,
        "frames": arguments.frames * arguments.rounds,
        "processor": processor(),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "peers": peers,
        "better_peer": better,
        "ratio_to_better": peers[better]["causeway_is"],
    }


def processor():
    """The processor's name, where the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def table(result):
    (width, height), (before, after) = result["size"], result["load"]
    lines = [
        f"{result['model']} ({result['weights']}), {width}x{height}, {result['steps']} steps, {result['threads']} threads, {result['clock']} clock, "
        f"{result['frames']} frames each; load {before:.1f} to {after:.1f}",
        f"{result['processor']}; torch {result['torch']}, {result['capability']}",
        f"{'':<12} {'ms/frame':>9} {'FPS':>7} {'fastest':>9} {'slowest':>9} {'causeway is':>12} {'worst round':>12}",
    ]
    for name, peer in result["peers"].items():
        spread = f"{min(peer['blocks_ms']):>9.2f} {max(peer['blocks_ms']):>9.2f}"
        ratios = f"{peer['causeway_is']:>11.2f}x {peer['worst_round']:>11.2f}x"
        lines.append(f"{name:<12} {peer['ms']:>9.2f} {peer['fps']:>7.1f} {spread} {ratios}")
    lines.append(f"{result['ratio_to_better']:.2f} times as fast as {result['better_peer']}, the better of the two")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
