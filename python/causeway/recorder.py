"""Recordings, which `causeway-distill train` learns a world from (docs/model-file.md, "The recording format")."""

import json
import os
import pathlib
import warnings

import numpy


class Recorder:
    """Writes frames with the actions that caused them into a folder of shards.

        with causeway.Recorder("data", (64, 64), fps=20, actions=["forward", "left"], events=["day", "night"]) as recorder:
            recorder.add(frame, action=[1, 0], event=0, start=True)

    A frame is height x width x 3, uint8, sRGB; `action` is what was pressed between the frame before and this one, `event` the condition in force,
    `start` begins an episode. A shard appears whole, under its name, once it has `shard` frames. All have as many: at the end
    frames that fill no shard are left out, with a warning, but where they are all there are.
    """

    def __init__(self, folder, size, *, fps, actions, events, shard=1024, **about):
        known = {"license", "credits", "source", "seed"}
        if set(about) - known:
            raise ValueError(f"{', '.join(sorted(set(about) - known))}: a recording tells {', '.join(sorted(known))}")
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(self.folder.glob("*.safetensors")):
            raise FileExistsError(f"{folder} holds a recording")
        self.width, self.height = size
        self.actions, self.events, self.shard = list(actions), list(events), shard
        self.told = {"width": self.width, "height": self.height, "fps": fps, "actions": self.actions, "events": self.events}
        self.told |= {"license": "", "credits": "", "source": "", "seed": 0} | about
        self.rows, self.shards = [], 0

    def add(self, frame, *, action, event=0, start=False):
        """One more frame; what does not fit is refused, and nothing is lost."""
        frame, action = numpy.asarray(frame), numpy.asarray(action, numpy.float32)
        if frame.shape != (self.height, self.width, 3) or frame.dtype != numpy.uint8:
            raise ValueError(f"a frame is {frame.dtype} {frame.shape}, not uint8 {(self.height, self.width, 3)}")
        if action.shape != (len(self.actions),) or not numpy.isfinite(action).all():
            raise ValueError(f"an action is {len(self.actions)} finite numbers, not {action.tolist()}")
        if not 0 <= event < max(len(self.events), 1):
            raise ValueError(f"event {event}; there are {len(self.events)}")
        self.rows.append((frame.copy(), action, event, bool(start) or not self.rows))
        if len(self.rows) == self.shard:
            self._write()

    def _write(self):
        frames, actions, events, starts = (numpy.stack(column) for column in zip(*self.rows))
        tensors = {
            "actions": ("F32", actions.astype("<f4")),
            "episode_starts": ("U8", starts.astype(numpy.uint8)),
            "events": ("U8", events.astype(numpy.uint8)),
            "frames": ("U8", frames),
        }
        header, end = {"__metadata__": {"recording": json.dumps(self.told)}}, 0
        for name, (kind, values) in tensors.items():
            header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [end, end + values.nbytes]}
            end += values.nbytes
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        path = self.folder / f"{self.shards:05}.safetensors"
        partial = path.with_suffix(".partial")
        with open(partial, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _, values in tensors.values():
                file.write(values.tobytes())
        os.replace(partial, path)
        self.shards, self.rows = self.shards + 1, []

    def close(self):
        """Ends the recording."""
        if self.rows and self.shards == 0:
            self._write()
        elif self.rows:
            warnings.warn(f"the last {len(self.rows)} frames fill no shard of {self.shard}, and were left out", stacklevel=2)
            self.rows = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()
