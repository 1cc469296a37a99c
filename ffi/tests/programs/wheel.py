"""What examples/c/headless.c plays, by the Python package, and a recording of a square that goes left and right (ffi/tests/packages.rs).

    wheel.py MODEL
"""
import sys

import causeway
import numpy

world = causeway.World(sys.argv[1], device="cpu", seed=7)
hashed = lambda frame: __import__("functools").reduce(lambda h, byte: (h ^ byte) * 0x100000001B3 % 2**64, frame.tobytes(), 0xCBF29CE484222325)
for n in range(5):
    action = numpy.zeros(len(world.actions))
    action[n // 3 % len(action)] = 1
    event = n // 7 % len(world.events) if n % 7 == 4 else None
    rgb = world.step(action, event)
    frame = numpy.dstack([rgb, numpy.full(rgb.shape[:2], 255, numpy.uint8)])
    print(world.receipt.frame, f"{hashed(frame):016x}")

# A snapshot has the same future, and a refusal is a sentence.
snapshot = world.snapshot()
first = world.step()
world.restore(snapshot)
assert (world.step() == first).all()
world.load(world.save())
for wrong in (lambda: causeway.World("nowhere.safetensors"), lambda: world.act([1, 2]), lambda: world.event(99)):
    try:
        wrong()
    except causeway.CausewayError as error:
        assert error.status < 0 and len(str(error)) > 10, error
    else:
        sys.exit("nothing was refused")

for part in ("train", "held"):
    about = dict(fps=15, actions=["left", "right"], events=["day"], license="CC0-1.0")
    with causeway.Recorder(f"data/{part}", (32, 32), shard=60, **about) as recorder:
        at = 16
        for n in range(120):
            right = n // 7 % 2 == 0
            at = min(at + 1, 28) if right else max(at - 1, 0)
            frame = numpy.full((32, 32, 3), (20, 40, 60), numpy.uint8)
            frame[12:16, at : at + 4] = (250, 200, 40)
            recorder.add(frame, action=[not right, right])
        try:
            recorder.add(frame[:16], action=[0, 0])
        except ValueError:
            pass
        else:
            sys.exit("half a frame was taken")
