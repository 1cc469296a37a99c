//! The places: which cells are open, how rooms are painted, what hangs on each wall.

use std::sync::LazyLock;

use super::colour::Colour;

/// How one kind of room is painted.
#[derive(Debug)]
pub struct Room {
    /// Two tones of stones, and the mortar.
    pub wall: [Colour; 3],
    /// Two tones of floor.
    pub floor: [Colour; 2],
    /// Two tones of ceiling; `None` under open sky.
    pub ceiling: Option<[Colour; 2]>,
    /// Rows of stones on a wall, and stones a row.
    pub bricks: [f32; 2],
}

/// What hangs on a wall. The first four are facts: drawn anew for each episode, so that only history can tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decor {
    /// A banner, in one of [`BANNERS`].
    Banner(usize),
    /// A torch, which burns or does not. The flame's phase begins at its number.
    Torch(usize),
    /// A door, which is open or not. Behind it is a niche with a chest.
    Door(usize),
    /// A lever, which is up or down.
    Lever(usize),
    /// A round shield.
    Shield(Colour),
    /// A diamond.
    Diamond(Colour),
    /// Two half columns.
    Columns(Colour),
    /// A broad cross.
    Cross(Colour),
    /// A frieze.
    Frieze(Colour),
    /// A window of coloured glass.
    Window(Colour),
    /// A shelf of books.
    Shelf(Colour),
    /// A portrait.
    Portrait(Colour),
    /// A tapestry of chevrons.
    Tapestry(Colour),
    /// A statue in a niche.
    Statue(Colour),
}

impl Decor {
    /// The number of the switch (torch, door or lever) that a hand can change here.
    pub fn switch(self) -> Option<usize> {
        match self {
            Self::Torch(n) | Self::Door(n) | Self::Lever(n) => Some(n),
            _ => None,
        }
    }
}

/// Steps east, south, west, north.
pub const SIDES: [(i32, i32); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];
/// Colours a banner may have.
pub const BANNERS: [Colour; 6] = [
    c(0.90, 0.12, 0.12),
    c(0.12, 0.25, 0.92),
    c(0.98, 0.82, 0.12),
    c(0.10, 0.72, 0.25),
    c(0.70, 0.18, 0.80),
    c(0.95, 0.95, 0.95),
];

const fn c(r: f32, g: f32, b: f32) -> Colour {
    Colour([r, g, b])
}

/// Brick hall, blue vault, garden, crypt, passage, mossy passage.
static ROOMS: [(u8, Room); 6] = [
    (
        b'r',
        Room {
            wall: [c(0.72, 0.34, 0.24), c(0.61, 0.27, 0.20), c(0.36, 0.17, 0.15)],
            floor: [c(0.62, 0.46, 0.34), c(0.42, 0.30, 0.25)],
            ceiling: Some([c(0.34, 0.20, 0.17), c(0.26, 0.15, 0.14)]),
            bricks: [4.0, 2.0],
        },
    ),
    (
        b'b',
        Room {
            wall: [c(0.36, 0.50, 0.74), c(0.30, 0.42, 0.64), c(0.16, 0.22, 0.36)],
            floor: [c(0.40, 0.48, 0.60), c(0.24, 0.30, 0.42)],
            ceiling: Some([c(0.16, 0.20, 0.32), c(0.12, 0.15, 0.25)]),
            bricks: [2.0, 1.0],
        },
    ),
    (
        b'g',
        Room {
            wall: [c(0.56, 0.66, 0.42), c(0.47, 0.57, 0.36), c(0.24, 0.32, 0.20)],
            floor: [c(0.36, 0.62, 0.24), c(0.28, 0.50, 0.20)],
            ceiling: None,
            bricks: [4.0, 2.0],
        },
    ),
    (
        b'c',
        Room {
            wall: [c(0.62, 0.50, 0.68), c(0.52, 0.41, 0.60), c(0.27, 0.20, 0.34)],
            floor: [c(0.82, 0.78, 0.70), c(0.20, 0.17, 0.24)],
            ceiling: Some([c(0.30, 0.20, 0.34), c(0.22, 0.14, 0.26)]),
            bricks: [2.0, 2.0],
        },
    ),
    (
        b'd',
        Room {
            wall: [c(0.62, 0.58, 0.54), c(0.53, 0.49, 0.46), c(0.30, 0.28, 0.27)],
            floor: [c(0.46, 0.43, 0.42), c(0.38, 0.35, 0.35)],
            ceiling: Some([c(0.24, 0.22, 0.22), c(0.18, 0.17, 0.17)]),
            bricks: [2.0, 2.0],
        },
    ),
    (
        b'm',
        Room {
            wall: [c(0.30, 0.56, 0.50), c(0.24, 0.46, 0.42), c(0.12, 0.25, 0.24)],
            floor: [c(0.66, 0.62, 0.42), c(0.54, 0.50, 0.34)],
            ceiling: Some([c(0.14, 0.27, 0.26), c(0.10, 0.20, 0.20)]),
            bricks: [2.0, 2.0],
        },
    ),
];

/// A cell and the side of its wall.
type Wall = ((i32, i32), usize);

/// One place.
#[derive(Clone, Debug)]
pub struct Map {
    /// What recordings call it.
    pub name: &'static str,
    /// How many of `Light::ALL` it knows.
    pub lights: usize,
    /// Banners that hang in it.
    pub banners: usize,
    /// Torches, doors and levers.
    pub switches: usize,
    /// Frames of a movement, of which four are a second: the frame rate is this times [`super::PACE`].
    pub frames: u8,
    rows: Vec<&'static [u8]>,
    decor: Vec<[Option<Decor>; 4]>,
}

impl Map {
    /// A map of `plan`, a letter of [`ROOMS`] an open cell. `facts` hang where they say; ornaments fill the other walls, no two
    /// alike in kind and paint.
    fn new(name: &'static str, lights: usize, plan: &[&'static str], facts: &[(Wall, Decor)]) -> Self {
        let rows: Vec<&[u8]> = plan.iter().map(|row| row.as_bytes()).collect();
        let decor = vec![[None; 4]; rows.len() * rows[0].len()];
        let banners = facts.iter().filter(|(_, d)| matches!(d, Decor::Banner(_))).count();
        let mut map = Self { name, lights, banners, switches: facts.len() - banners, frames: 5, rows, decor };
        let mut n = 0;
        for cell in map.cells() {
            for (side, (dx, dy)) in SIDES.into_iter().enumerate() {
                if !map.solid((cell.0 + dx, cell.1 + dy)) {
                    continue;
                }
                let fact = facts.iter().find(|(wall, _)| *wall == (cell, side)).map(|(_, decor)| *decor);
                let hung = fact.unwrap_or_else(|| {
                    n += 1;
                    ornament(n - 1)
                });
                let at = map.place(cell);
                map.decor[at][side] = Some(hung);
            }
        }
        map
    }

    fn kind(&self, (x, y): (i32, i32)) -> u8 {
        let row = usize::try_from(y).ok().and_then(|y| self.rows.get(y));
        row.and_then(|row| row.get(usize::try_from(x).ok()?)).copied().unwrap_or(b'#')
    }

    /// Whether a cell is no place to stand.
    pub fn solid(&self, cell: (i32, i32)) -> bool {
        self.kind(cell) == b'#'
    }

    /// The paint of an open cell.
    pub fn room(&self, cell: (i32, i32)) -> Option<&'static Room> {
        let kind = self.kind(cell);
        ROOMS.iter().find(|(letter, _)| *letter == kind).map(|(_, room)| room)
    }

    /// What hangs on the wall on `side` of the open cell.
    pub fn decor(&self, cell: (i32, i32), side: usize) -> Option<Decor> {
        if self.solid(cell) { None } else { self.decor[self.place(cell)][side] }
    }

    /// All open cells, row by row.
    pub fn cells(&self) -> Vec<(i32, i32)> {
        let (width, height) = (self.rows[0].len() as i32, self.rows.len() as i32);
        let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        all.filter(|&cell| !self.solid(cell)).collect()
    }

    /// Cells of the plan, open or not: indices of [`Self::place`] are below it.
    pub fn size(&self) -> usize {
        self.decor.len()
    }

    /// A number of its own for each cell of the plan.
    pub fn place(&self, (x, y): (i32, i32)) -> usize {
        y as usize * self.rows[0].len() + x as usize
    }
}

/// The n-th ornament: kinds change fastest, and kind and paint together repeat after 70.
fn ornament(n: usize) -> Decor {
    let paints = [
        c(0.95, 0.75, 0.15),
        c(0.15, 0.75, 0.75),
        c(0.90, 0.92, 0.88),
        c(0.85, 0.20, 0.25),
        c(0.45, 0.85, 0.30),
        c(0.75, 0.35, 0.85),
        c(0.95, 0.50, 0.15),
    ];
    let paint = paints[(n + n / 10) % paints.len()];
    let kinds: [fn(Colour) -> Decor; 10] = [
        Decor::Shield,
        Decor::Window,
        Decor::Portrait,
        Decor::Columns,
        Decor::Shelf,
        Decor::Diamond,
        Decor::Statue,
        Decor::Frieze,
        Decor::Tapestry,
        Decor::Cross,
    ];
    kinds[n % kinds.len()](paint)
}

/// Sixteen cells around a loop: a brick hall, a blue vault, a crypt, a garden under the sky, and passages between them.
pub static KEEP: LazyLock<Map> = LazyLock::new(|| {
    use Decor::{Banner, Door, Lever, Torch};
    Map::new(
        "keep",
        3,
        &["#######", "#rrdbb#", "##r##d#", "##d##c#", "#ggmcc#", "#gg####", "#######"],
        &[
            (((1, 1), 2), Banner(0)),
            (((5, 1), 0), Banner(1)),
            (((5, 4), 0), Banner(2)),
            (((1, 5), 1), Banner(3)),
            (((1, 1), 3), Torch(0)),
            (((5, 1), 3), Torch(1)),
            (((2, 2), 0), Torch(2)),
            (((5, 3), 2), Torch(3)),
            (((2, 5), 0), Torch(4)),
            (((1, 1), 1), Door(5)),
            (((4, 1), 1), Door(6)),
            (((1, 4), 2), Door(7)),
            (((3, 4), 3), Lever(8)),
        ],
    )
});

/// The same at 12 frames per second, a movement in three of them.
pub static KEEP_12: LazyLock<Map> = LazyLock::new(|| Map { name: "keep-12", frames: 3, ..KEEP.clone() });

/// The same at 40 frames per second, a movement in ten of them.
pub static KEEP_40: LazyLock<Map> = LazyLock::new(|| Map { name: "keep-40", frames: 10, ..KEEP.clone() });

/// All places.
pub fn all() -> [&'static Map; 3] {
    [&KEEP, &KEEP_12, &KEEP_40]
}

/// The place called `name`.
pub fn named(name: &str) -> Option<&'static Map> {
    all().into_iter().find(|map| map.name == name)
}
