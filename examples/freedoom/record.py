"""Records Freedoom footage for training: a bot walks our map in ViZDoom and every frame is written with what was pressed.

Shards follow docs/model-file.md, "The recording format". The same arguments give the same bytes: each shard has a fresh
game and its own random numbers, so neither the number of processes nor their timing matters.
"""

import argparse
import json
import math
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np
import vizdoom
from safetensors.numpy import save_file

import map as level

ACTIONS = ["forward", "back", "left", "right", "attack"]
NOTHING = (0, 0, 0, 0, 0)
TICS = 35  # the game's clock, a second
TURN = 3.0  # degrees a tic
SCREEN = (256, 192)
COLUMNS = ["x", "y", "heading", "map"]  # of `poses`: map units, map units, degrees anticlockwise from east, map number


def open_game(wad, seed):
    """A silent, windowless game without HUD, decals or messages, so that only Freedoom's art is in the picture."""
    game = vizdoom.DoomGame()
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / "freedoom2.wad"))
    game.set_doom_scenario_path(str(wad))
    game.set_doom_config_path(str(Path(wad).parent / f"config-{os.getpid()}.ini"))
    game.set_screen_resolution(getattr(vizdoom.ScreenResolution, f"RES_{SCREEN[0]}X{SCREEN[1]}"))
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    # Cheats let us call the level's scripts; ammunition would run out; a bobbing view would hide in the footage how
    # actions move the picture.
    game.add_game_args("-nosound +sv_cheats 1 +sv_infiniteammo 1 +movebob 0")
    for part in ("hud", "minimal_hud", "crosshair", "decals", "particles", "messages", "screen_flashes"):
        getattr(game, f"set_render_{part}")(False)
    game.set_render_weapon(True)
    button, variable = vizdoom.Button, vizdoom.GameVariable
    # The turn is a fixed angle a tic: the turn keys of the game accelerate, and then one action has many effects.
    game.set_available_buttons(
        [button.MOVE_FORWARD, button.MOVE_BACKWARD, button.TURN_LEFT_RIGHT_DELTA, button.ATTACK])
    game.set_available_game_variables([variable.POSITION_X, variable.POSITION_Y, variable.ANGLE])
    game.set_episode_timeout(0)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_seed(seed)
    game.init()
    return game


class Bot:
    """Walks from room to room and is distracted often, so that every action happens everywhere."""

    def __init__(self, rng):
        self.rng, self.path, self.held, self.frames, self.attack = rng, deque(), NOTHING, 0, 0

    def act(self, x, y, heading, step):
        """The next action. `heading` is in degrees, `step` the degrees one frame turns."""
        if self.frames == 0:
            whim = self.rng.random() < 0.4
            self.held, self.frames = self.whim() if whim else self.follow(x, y, heading, step)
            if self.rng.random() < 0.08:
                self.attack = self.rng.randint(1, 6)
        self.frames -= 1
        attack = int(self.attack > 0)
        self.attack = max(0, self.attack - 1)
        return (*self.held[:4], attack)

    def whim(self):
        left = self.rng.random() < 0.5
        turn, hold, p = (int(left), int(not left)), self.rng.randint(2, 8), self.rng.random()
        if p < 0.26:
            return (1, 0, 0, 0), hold
        if p < 0.42:
            return (0, 0, *turn), hold
        if p < 0.62:
            return (1, 0, *turn), hold
        if p < 0.79:
            return (0, 1, 0, 0), hold
        if p < 0.88:
            return (0, 1, *turn), hold
        if p < 0.95:
            return (0, 0, 0, 0), hold
        return (0, 0, *turn), self.rng.randint(10, 30)

    def follow(self, x, y, heading, step):
        here = (int(x // level.CELL), int(-y // level.CELL))
        while self.path and self.path[0] == here:
            self.path.popleft()
        lost = self.path and sum(abs(a - b) for a, b in zip(self.path[0], here)) > 1
        if not self.path or lost or self.rng.random() < 0.01:
            self.path = route(here, self.path[-1] if lost else self.rng.choice(level.open_cells()))
        if not self.path:
            return self.whim()
        cx, cy = level.centre(*self.path[0])
        angle = math.degrees(math.atan2(cy - y, cx - x)) - heading
        angle = (angle + 180) % 360 - 180
        if abs(angle) < 17:
            return (1, 0, 0, 0), self.rng.randint(3, 8)
        forward = int(abs(angle) < 45 and self.rng.random() < 0.85)
        return (forward, 0, int(angle > 0), int(angle < 0)), min(8, max(1, round(abs(angle) / step)))


def route(start, goal):
    """The shortest way over open cells, without the first one."""
    back, queue = {goal: goal}, deque([goal])
    while queue:
        x, y = queue.popleft()
        for near in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
            if level.cell(*near) != "#" and near not in back:
                back[near] = (x, y)
                queue.append(near)
    path = deque()
    while start != goal and start in back:
        start = back[start]
        path.append(start)
    return path


def shrink(picture, size):
    """Box-filters the screen to `size`: every output pixel is the mean of whole screen pixels."""
    width, height = size
    kx, ky = SCREEN[0] // width, SCREEN[1] // height
    blocks = picture.astype(np.uint16).reshape(height, ky, width, kx, 3)
    # Adding slices is ten times as fast as summing over short axes.
    rows = sum(blocks[:, j] for j in range(ky))
    total = sum(rows[:, :, i] for i in range(kx))
    return ((total + kx * ky // 2) // (kx * ky)).astype(np.uint8)


def play(game, rng, number, frames, options, keep):
    """One episode of `frames` frames in map `number`; `keep` gets frame, action, event and pose of each."""
    game.set_doom_map(f"MAP{number:02}")
    game.set_seed(rng.getrandbits(31))
    game.new_episode()
    light = rng.randrange(len(level.LIGHTS))
    x, y = level.centre(*rng.choice(level.open_cells()))
    x, y = round(x + rng.uniform(-30, 30)), round(y + rng.uniform(-30, 30))
    game.send_game_command(f"puke {level.START_SCRIPT} {x} {y} {rng.randrange(1 << 16)}")
    game.send_game_command(f"puke {level.SET_SCRIPT + light}")
    # The weapon is raised out of sight of the recording.
    game.make_action([0, 0, 0, 0], 40)
    bot, action, switch = Bot(rng), NOTHING, rng.randint(40, 120)
    for frame in range(frames):
        if frame:
            x, y, heading = game.get_state().game_variables
            action = bot.act(x, y, heading, TURN * options.skip)
            if frame == switch:
                switch += rng.randint(40, 120)
                new = (light + rng.randint(1, len(level.LIGHTS) - 1)) % len(level.LIGHTS)
                game.send_game_command(f"puke {level.FADE_SCRIPT + 4 * light + new}")
                light = new
            forward, back, left, right, attack = action
            game.make_action([forward, back, TURN * (right - left), attack], options.skip)
        state = game.get_state()
        keep(shrink(state.screen_buffer, options.size), action, light, [*state.game_variables, number], frame == 0)


def record_shard(job):
    """Records one shard and returns its number of frames."""
    options, wad, index = job
    rng = random.Random(f"{options.seed}/{index}")
    rows = []
    # The game leaves its own files in the working folder.
    os.chdir(wad.parent)
    game = open_game(wad, rng.getrandbits(31))
    try:
        while len(rows) < options.shard:
            length = min(rng.randint(400, 600), options.shard - len(rows))
            play(game, rng, rng.choice(options.maps), length, options, lambda *row: rows.append(row))
    finally:
        game.close()
    frames, actions, events, poses, starts = zip(*rows)
    tensors = {
        "frames": np.stack(frames),
        "actions": np.array(actions, np.uint8),
        "events": np.array(events, np.uint8),
        "poses": np.array(poses, np.float32),
        "episode_starts": np.array(starts, np.uint8),
    }
    about = {
        "width": options.size[0],
        "height": options.size[1],
        "fps": TICS / options.skip,
        "actions": ACTIONS,
        "events": list(level.LIGHTS),
        "license": "BSD-3-Clause",
        "credits": "Freedoom art, Copyright (c) 2001-2018 Contributors to the Freedoom project",
        "source": f"examples/freedoom, ViZDoom {vizdoom.__version__}, maps {options.maps}",
        "seed": options.seed,
    }
    path = options.out / f"{index:05}.safetensors"
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata={"recording": json.dumps(about)})
    with open(partial, "rb") as written:
        os.fsync(written.fileno())
    partial.rename(path)
    return len(rows)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder for the shards")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--frames", type=int, default=100_000, help="rounded up to whole shards")
    parser.add_argument("--shard", type=int, default=2000, help="frames a shard")
    parser.add_argument("--size", default="128x96", help="WIDTHxHEIGHT that divides 256x192, such as 128x96 or 64x48")
    parser.add_argument("--skip", type=int, default=2, help="game tics a frame, of 35 a second; a change of light takes 6 tics")
    parser.add_argument("--maps", default="1", help="numbers such as 1,2,3, or `train` or `held`")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    options.size = tuple(int(n) for n in options.size.split("x"))
    if len(options.size) != 2 or any(n < 1 or whole % n for n, whole in zip(options.size, SCREEN)):
        parser.error(f"--size must divide {SCREEN[0]}x{SCREEN[1]}")
    if min(options.frames, options.shard, options.skip, options.jobs) < 1:
        parser.error("--frames, --shard, --skip and --jobs must be at least 1")
    everything = range(1, level.MAPS + 1)
    named = {"train": [n for n in everything if n not in level.HELD_OUT], "held": list(level.HELD_OUT)}
    options.maps = named.get(options.maps) or [int(n) for n in options.maps.split(",")]
    if any(n not in everything for n in options.maps):
        parser.error(f"--maps must be between 1 and {level.MAPS}")
    return options


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    options.out = options.out.resolve()
    shards = -(-options.frames // options.shard)
    began, done = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as scratch:
        wad = Path(scratch) / "rooms.wad"
        wad.write_bytes(level.wad())
        jobs = [(options, wad, index) for index in range(shards)]
        # A fresh process for every shard: nothing of one game reaches the next.
        with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool:
            for frames in pool.imap_unordered(record_shard, jobs):
                done += frames
                speed = done / (time.monotonic() - began)
                left = (shards * options.shard - done) / speed
                print(f"\r{done} frames, {speed:.0f} a second, {left:.0f} s left ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


if __name__ == "__main__":
    main()
