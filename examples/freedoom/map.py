"""Builds the recorder's levels: one floor plan, painted differently in every map, as a PWAD in UDMF.

The plan is text, one letter a cell of 128 map units, so that it can be read and changed here. Rooms take grey textures of
Freedoom and get their colour from sector light: that is smooth, any hue, and an event can change it (see `scripts`).
"""

import random
import struct
from dataclasses import dataclass, replace

CELL = 128

PLAN = """
#############
#rrrr###gggg#
#rrrrdwdgggg#
#rrrr#w#gggg#
##d###d###d##
#oo#sssss#tt#
#oodsssssdtt#
#oo#sssss#tt#
##d###d###d##
#bbbb#v#yyyy#
#bbbbdvdyyyy#
#bbbb###yyyy#
#############
""".split()

# Pillars stand on corners of cells (column, row), clear of every path over cell centres.
PILLARS = [(3, 2), (5, 6), (8, 7), (10, 3), (3, 11), (10, 10)]
PILLAR = 20  # half a pillar's side, in map units

ROOMS = "rgbyotwvs"  # a room's sector tag is its place here + 1
DOOR_TAG = len(ROOMS) + 1

# Maps whose paint a model must not see in training, to measure how it generalises.
MAPS = 8
HELD_OUT = (7, 8)


@dataclass(frozen=True)
class Paint:
    """What a room looks like: textures by name, and the colour of its light."""

    wall: str
    floor: str
    ceiling: str
    tint: tuple[int, int, int]


# The game's palette has long ramps of red, green, blue, orange and pink and little else: these tints stay smooth in it.
PAINTS = [
    Paint("GRAY5", "FLAT5_4", "FLAT19", (255, 72, 56)),
    Paint("GRAYBIG", "FLAT19", "FLAT19", (88, 255, 72)),
    Paint("SILVER1", "FLAT23", "FLAT19", (64, 64, 255)),
    Paint("SHAWN02", "FLAT19", "FLAT19", (255, 224, 88)),
    Paint("SHAWN2", "FLAT18", "FLAT19", (255, 136, 16)),
    Paint("DOGLDIR", "FLAT5_4", "FLAT19", (255, 255, 255)),
    Paint("GRAY1", "FLAT23", "FLAT19", (255, 255, 255)),
    Paint("SHAWN02", "FLAT18", "FLAT19", (255, 168, 168)),
]
COURTYARD = Paint("STUCCO", "GRASS1", "F_SKY1", (255, 255, 255))
DOORWAY = Paint("SHAWN02", "FLAT20", "FLAT20", (255, 248, 232))

# The conditions of light, in the order of their event numbers: a filter for every room's colour, how much of the filter is
# seen whatever the room's colour (else a blue room would be black in red light), and a sky.
LIGHTS = {
    "daylight": ((255, 255, 255), 0.0, "P-SKY1"),
    "amber": ((255, 160, 72), 0.4, "T-SKY1"),
    "alarm": ((255, 72, 56), 0.4, "T-SKY3"),
    "night": ((104, 112, 168), 0.1, "SKY1"),
}
FADE = 3  # steps of a change of light
FADE_TICS = 2  # game tics a step
START_SCRIPT = 1  # (x, y, angle): puts the player there; the angle is in 65536ths of a turn
SET_SCRIPT = 10  # + event: that light at once
FADE_SCRIPT = 20  # + 4 * old + new: that change of light, over FADE steps


def cell(x, y):
    """The letter at column x of row y; outside is wall."""
    return PLAN[y][x] if 0 <= y < len(PLAN) and 0 <= x < len(PLAN[0]) else "#"


def open_cells():
    """All cells one can stand in, as (column, row)."""
    return [(x, y) for y, row in enumerate(PLAN) for x, letter in enumerate(row) if letter != "#"]


def centre(x, y):
    """The middle of a cell in map units. Rows go south, map y goes north."""
    return (x + 0.5) * CELL, -(y + 0.5) * CELL


def paints(number):
    """Which room wears which paint in map `number` (1 is the plain one): a dict from letter to Paint."""
    rooms = list(PAINTS)
    if number > 1:
        rng = random.Random(number)
        rng.shuffle(rooms)
        # Tinted rooms also swap their walls, which are grey; a texture with its own colour keeps white light.
        walls = [p.wall for p in rooms if p.wall != "DOGLDIR"]
        rng.shuffle(walls)
        rooms = [p if p.wall == "DOGLDIR" else replace(p, wall=walls.pop()) for p in rooms]
    return {**dict(zip(ROOMS, rooms)), "s": COURTYARD, "d": DOORWAY}


def sectors():
    """Flood-fills the plan: a dict from cell to sector number, and the letter of every sector."""
    number, letters = {}, []
    for start in open_cells():
        if start in number:
            continue
        stack = [start]
        while stack:
            x, y = stack.pop()
            if (x, y) in number or cell(x, y) != cell(*start):
                continue
            number[x, y] = len(letters)
            stack += [(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)]
        letters.append(cell(*start))
    return number, letters


def textmap(look):
    """The level in UDMF, painted as `look` says."""
    number, letters = sectors()
    vertices, lines, sides = {}, [], []

    def vertex(x, y):
        return vertices.setdefault((x, y), len(vertices))

    def line(a, b, front, back=None):
        """A line from a to b, its front (right-hand) side in sector `front`."""
        sides.append((front, look[letters[front]].wall, back is not None))
        fields = {"v1": vertex(*a), "v2": vertex(*b), "sidefront": len(sides) - 1}
        if back is None:
            fields["blocking"] = "true"
        else:
            sides.append((back, look[letters[back]].wall, True))
            fields |= {"sideback": len(sides) - 1, "twosided": "true"}
        lines.append(fields)

    for (x, y), here in number.items():
        left, right, top, bottom = x * CELL, (x + 1) * CELL, -y * CELL, -(y + 1) * CELL
        # Clockwise around the cell, so that the cell is on the right.
        borders = [
            ((left, top), (right, top), (x, y - 1)),
            ((right, top), (right, bottom), (x + 1, y)),
            ((right, bottom), (left, bottom), (x, y + 1)),
            ((left, bottom), (left, top), (x - 1, y)),
        ]
        for a, b, beyond in borders:
            there = number.get(beyond)
            if there is None:
                line(a, b, here)
            elif here < there:
                line(a, b, here, there)
    for x, y in PILLARS:
        here = number[x, y]
        cx, cy = x * CELL, -y * CELL
        corners = [(cx + PILLAR * i, cy + PILLAR * j) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        for a, b in zip(corners, corners[1:] + corners[:1]):
            line(a, b, here)

    def block(kind, **fields):
        body = "".join(f"{k}={v};" for k, v in fields.items())
        return f"{kind}{{{body}}}\n"

    text = ['namespace="zdoom";\n']
    x, y = centre(6, 6)
    text.append(block("thing", x=x, y=y, angle=0, type=1, skill1="true", skill2="true", skill3="true", skill4="true",
                      skill5="true", single="true"))
    text += [block("vertex", x=float(x), y=float(y)) for x, y in vertices]
    text += [block("linedef", **fields) for fields in lines]
    for sector, wall, two_sided in sides:
        used = {"texturetop": f'"{wall}"'} if two_sided else {"texturemiddle": f'"{wall}"'}
        text.append(block("sidedef", sector=sector, **used))
    for letter in letters:
        paint = look[letter]
        ceiling, light, tag = {"s": (160, 255), "d": (96, 200)}.get(letter, (128, 224)) + (tag_of(letter),)
        text.append(block("sector", heightfloor=0, heightceiling=ceiling, texturefloor=f'"{paint.floor}"',
                          textureceiling=f'"{paint.ceiling}"', lightlevel=light, id=tag))
    return "".join(text).encode()


def tag_of(letter):
    """The tag of the sectors of a room."""
    return DOOR_TAG if letter == "d" else ROOMS.index(letter) + 1


def lit(tint, light, share):
    """The colour of a room's light under a condition of light."""
    return [t * f / 255 * (1 - share) + f * share for t, f in zip(tint, light)]


def scripts(look):
    """Compiles the level's scripts to the original ACS byte code (no compiler needed): placing the player, and the light.

    A change of light is a change of the sectors' colour, which the game's renderer applies to walls, floors and sprites.
    """
    drop, delay, terminate, change_sky, set_position, set_angle = 54, 56, 1, 266, 283, 276
    push, push_argument, multiply, special5, sector_set_color = 3, 28, 16, 13, 212
    skies = [sky for _, _, sky in LIGHTS.values()]
    looks = [{tag_of(k): lit(p.tint, *light[:2]) for k, p in look.items()} for light in LIGHTS.values()]

    def colours(old, new, step):
        code = []
        for tag, after in new.items():
            colour = [round(b + (a - b) * step / FADE) for a, b in zip(after, old[tag])]
            code += [special5, sector_set_color, tag, *colour, 0]
        return code

    def sky(light):
        return [push, light, push, light, change_sky]

    def fixed(argument):
        return [push_argument, argument, push, 1 << 16, multiply]

    here = [push, 0]
    place = here + fixed(0) + fixed(1) + [push, 0, push, 0, set_position, drop]
    table = {START_SCRIPT: (place + here + [push_argument, 2, set_angle, terminate], 3)}
    for new, after in enumerate(looks):
        table[SET_SCRIPT + new] = (colours(after, after, FADE) + sky(new) + [terminate], 0)
        for old, before in enumerate(looks):
            code = sky(new)
            for step in range(1, FADE + 1):
                code += colours(before, after, step)
                code += [delay, FADE_TICS] if step < FADE else [terminate]
            table[FADE_SCRIPT + 4 * old + new] = (code, 0)

    data, directory = b"", []
    for number, (code, arguments) in table.items():
        directory.append((number, 8 + len(data), arguments))
        data += struct.pack(f"<{len(code)}i", *code)
    strings = []
    for name in skies:
        strings.append(8 + len(data))
        data += name.encode() + b"\0"
    data += b"\0" * (-len(data) % 4)
    tail = struct.pack("<i", len(directory)) + b"".join(struct.pack("<3i", *entry) for entry in directory)
    tail += struct.pack(f"<{1 + len(strings)}i", len(strings), *strings)
    return b"ACS\0" + struct.pack("<i", 8 + len(data)) + data + tail


def wad():
    """All maps as the bytes of a PWAD: MAP01, MAP02, ..."""
    info = "".join(f'map MAP{n:02} "rooms" {{ sky1 = "{LIGHTS["daylight"][2]}" }}\n' for n in range(1, MAPS + 1))
    lumps = [("MAPINFO", info.encode())]
    for n in range(1, MAPS + 1):
        look = paints(n)
        lumps += [(f"MAP{n:02}", b""), ("TEXTMAP", textmap(look)), ("BEHAVIOR", scripts(look)), ("ENDMAP", b"")]
    body, directory, offset = b"", b"", 12
    for name, content in lumps:
        directory += struct.pack("<2i8s", offset, len(content), name.encode())
        body += content
        offset += len(content)
    return b"PWAD" + struct.pack("<2i", len(lumps), offset) + body + directory


if __name__ == "__main__":
    import sys

    with open(sys.argv[1], "wb") as out:
        out.write(wad())
