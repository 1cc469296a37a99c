"""Runs every case of CASES by the program given and packs what came out: latents [F, C, H, W], frames [N, H, W, 4] as bytes."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image
from safetensors.numpy import load_file, save_file

GOLDEN = pathlib.Path(__file__).parent.parent / "golden"
RING = "--chunk 3 --window 9 --sink 3"
FEW = f"{RING} --steps 1000,500"
# Changes come when the window no longer begins at frame 0: there LongLive treats the sink otherwise, and so shall we.
# Name, case of streams.safetensors whose noise and prompts it takes, options of the stream.
CASES = [
    ("few", "two_steps", f"{RING} --steps 1000,500 --first-steps 1000,750,500,250"),
    ("euler", "euler", f"{RING} --sampler euler --steps-count 50 --guidance 3"),
    ("unipc", "unipc", f"{RING} --sampler unipc --steps-count 50 --guidance 3"),
    ("keep", "keep", f"{FEW} --switch 6:keep"),
    ("recache", "protect", f"{FEW} --switch 12:recache"),
    ("refresh", "refresh", f"{FEW} --switch 12:recache --refresh-sink"),
    ("reset", "reset", f"{FEW} --switch 6:reset"),
    ("blend", "keep", f"{FEW} --switch 3:keep --blend 3"),
    ("blend_recache", "protect", f"{FEW} --switch 12:recache --blend 3"),
    ("compact", "compact", f"{FEW} --switch 12:recache --compact"),
    ("route", "route", f"{FEW} --route 2"),
]
# Pictures are wider than high, so that neither can stand for the other; the second decoder is left to few cases.
SIZE, FRAMES = "32x16", 57
BOTH = ("few", "unipc", "recache", "reset")
PROMPTS = ("context", "context2", "negative")


def main(program, output):
    program = str(pathlib.Path(program).resolve())
    inputs = load_file(GOLDEN / "streams.safetensors")
    packed = {}
    with tempfile.TemporaryDirectory() as work:
        run = lambda line: subprocess.run([program, *line.split()], cwd=work, check=True, stdout=subprocess.DEVNULL)
        run(f"convert {GOLDEN}/tiny.pt m.safetensors --heads 2 --text-len 16 --to f32")
        for codec in ("taehv", "vae"):
            run(f"convert {GOLDEN}/{codec}.pth {codec}.safetensors --to f32")
        for name, source, options in CASES:
            own = {key[len(source) + 1 :]: value for key, value in inputs.items() if key.startswith(f"{source}.")}
            given = {key: value for key, value in own.items() if key not in ("latents", "first_flow") and value.size}
            if "--switch" not in options:
                given.pop("context2", None)
            save_file(given, f"{work}/in.safetensors")
            run(f"rollout --model m.safetensors --in in.safetensors --out out.safetensors --backend cpu {options}")
            packed[f"{name}.latents"] = load_file(f"{work}/out.safetensors")["latents"]
            save_file({key: given[key] for key in PROMPTS if key in given}, f"{work}/prompt.safetensors")
            for codec in ("taehv", "vae") if name in BOTH else ("taehv",):
                run(
                    f"generate --model m.safetensors --decoder {codec}.safetensors --prompt prompt.safetensors --backend cpu"
                    f" --seed 7 --size {SIZE} --frames {FRAMES} --record {name}-{codec} {options}"
                )
                pictures = sorted(pathlib.Path(work, f"{name}-{codec}").glob("*.png"))
                frames = [np.asarray(Image.open(picture).convert("RGBA")) for picture in pictures]
                packed[f"{name}.{codec}"] = np.stack(frames)
            print(name, file=sys.stderr)
    cases = {name: {"inputs": source, "options": options} for name, source, options in CASES}
    metadata = {"cases": json.dumps(cases), "pictures": f"--seed 7 --size {SIZE} --frames {FRAMES}"}
    save_file(packed, output, metadata)


main(*sys.argv[1:])
