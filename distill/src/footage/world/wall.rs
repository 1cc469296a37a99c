//! What hangs on walls, painted in flat shapes. `u` runs from the viewer's left, `v` upwards, both 0 to 1 over the wall.

use super::colour::{Colour, floor};
use super::map::{BANNERS, Decor};
use super::view::{Seen, View, hash};

const DARK: Colour = Colour([0.16, 0.11, 0.09]);
const IRON: Colour = Colour([0.20, 0.20, 0.24]);
const GOLD: Colour = Colour([0.95, 0.80, 0.30]);
const CREAM: Colour = Colour([0.93, 0.90, 0.82]);

/// What a sample of a wall with `decor` sees; `stones` is the wall itself. `ahead` tells whether it is the one the player faces,
/// whose switch may be on its way.
pub(super) fn hung(decor: Decor, view: &View, ahead: bool, u: f32, v: f32, stones: impl FnOnce() -> Seen) -> Seen {
    let on = |n: usize| {
        let is = f32::from(u8::from(view.on >> n & 1 == 1));
        if ahead && view.change > 0.0 { is * view.change + (1.0 - is) * (1.0 - view.change) } else { is }
    };
    let (du, dv) = (u - 0.5, v - 0.5);
    let painted = |paint: Colour| Some(Seen::plain(paint, 0.0));
    let shining = |paint: Colour| Some(Seen { shines: true, ..Seen::plain(paint, 0.0) });
    let mut warm = false;
    let shape = match decor {
        Decor::Banner(n) => banner(n, view.banners / 6u32.pow(n as u32) % 6, du, v).and_then(painted),
        Decor::Torch(n) => {
            let burns = on(n);
            let phase = (usize::from(view.phase) + n) % 4;
            let ring = du * du + (v - 0.60) * (v - 0.60);
            warm = ring < burns * if phase % 2 == 0 { 0.16 } else { 0.13 };
            match flame(phase, burns, du, v) {
                Some(fire) => shining(fire),
                None if du.abs() < 0.045 && (0.28..0.52).contains(&v) => painted(DARK),
                None if du.abs() < 0.10 && (0.46..0.54).contains(&v) => painted(IRON),
                None => None,
            }
        }
        Decor::Door(n) => door(on(n), u, v).and_then(painted),
        Decor::Lever(n) => {
            lever(on(n), du, v).and_then(|(paint, lamp)| if lamp { shining(paint) } else { painted(paint) })
        }
        Decor::Shield(paint) => match du * du + dv * dv {
            r if r < 0.010 || (0.035..0.070).contains(&r) => painted(paint),
            r if r < 0.070 => painted(CREAM),
            _ => None,
        },
        Decor::Diamond(paint) => match du.abs() + dv.abs() {
            r if r < 0.15 => painted(Colour([0.10, 0.08, 0.12])),
            r if r < 0.34 => painted(paint),
            _ => None,
        },
        Decor::Columns(paint) => {
            let off = (du.abs() - 0.30).abs();
            if off < 0.09 || (off < 0.13 && dv.abs() > 0.40) { painted(paint) } else { None }
        }
        Decor::Cross(paint) => {
            let bars = (du.abs() < 0.08 && dv.abs() < 0.32) || (dv.abs() < 0.08 && du.abs() < 0.28);
            if bars { painted(paint) } else { None }
        }
        Decor::Frieze(paint) if (0.58..0.82).contains(&v) => {
            let tooth = floor((u + 1.0) * 8.0) & 1 == 0;
            painted(if v > 0.70 || tooth { paint } else { DARK })
        }
        Decor::Frieze(_) => None,
        Decor::Window(paint) => window(paint, du, v).and_then(painted),
        Decor::Shelf(paint) => shelf(paint, u, v).and_then(painted),
        Decor::Portrait(paint) => portrait(paint, du, v).and_then(painted),
        Decor::Tapestry(paint) if du.abs() < 0.28 && (0.14..0.86).contains(&v) => {
            painted(if floor((v + du.abs() + 1.0) * 6.0) & 1 == 0 { paint } else { CREAM.scale(0.5).mix(paint, 0.3) })
        }
        Decor::Tapestry(_) => None,
        Decor::Statue(paint) => statue(paint, du, v).and_then(painted),
    };
    shape.unwrap_or_else(|| Seen { warm, ..stones() })
}

fn banner(n: usize, colour: u32, du: f32, v: f32) -> Option<Colour> {
    let dv = v - 0.5;
    if du.abs() >= 0.24 || v >= 0.88 || v <= 0.18 + 0.5 * du.abs() {
        return None;
    }
    let sign = match n % 4 {
        0 => du * du + dv * dv < 0.011,
        1 => du.abs() < 0.06,
        2 => du.abs() + dv.abs() < 0.13,
        _ => dv.abs() < 0.07,
    };
    Some(match () {
        () if v > 0.82 => DARK,
        () if sign => Colour([0.08, 0.06, 0.10]),
        () => BANNERS[colour as usize],
    })
}

fn flame(phase: usize, burns: f32, du: f32, v: f32) -> Option<Colour> {
    let (lean, high) = [(0.0, 0.30), (0.05, 0.24), (0.0, 0.20), (-0.05, 0.26)][phase];
    let up = (v - 0.52) / (high * burns).max(1e-3);
    if burns == 0.0 || !(0.0..1.0).contains(&up) {
        return None;
    }
    let off = (du - lean * up).abs();
    let wide = (0.12 * (1.0 - up) + 0.02) * burns;
    match off {
        _ if off < 0.5 * wide => Some(Colour([1.0, 0.95, 0.55])),
        _ if off < wide => Some(Colour([1.0, 0.55, 0.10])),
        _ => None,
    }
}

/// A wooden door that slides up by `open`; in the niche stands a chest.
fn door(open: f32, u: f32, v: f32) -> Option<Colour> {
    let du = u - 0.5;
    if du.abs() < 0.34 && (0.72..0.82).contains(&v) {
        return Some(IRON);
    }
    if du.abs() >= 0.28 || v > 0.72 {
        return None;
    }
    let slab = v - 0.72 * open;
    Some(match () {
        () if slab < 0.0 => match () {
            () if du.abs() < 0.17 && v < 0.26 && (v - 0.16).abs() > 0.03 => Colour([0.98, 0.78, 0.20]),
            () if du.abs() < 0.17 && v < 0.26 => Colour([0.55, 0.20, 0.10]),
            () => Colour([0.10, 0.07, 0.12]),
        },
        () if (slab - 0.18).abs() < 0.03 || (slab - 0.52).abs() < 0.03 => IRON,
        () if (du - 0.17).abs() < 0.035 && (slab - 0.36).abs() < 0.04 => GOLD,
        () if floor((u + 1.0) * 8.0) & 1 == 0 => Colour([0.50, 0.31, 0.16]),
        () => Colour([0.40, 0.24, 0.12]),
    })
}

/// A lever on a plate, its handle low or, by `on`, high; and whether the sample is of its lamp.
fn lever(on: f32, du: f32, v: f32) -> Option<(Colour, bool)> {
    let lamp = du * du + (v - 0.76) * (v - 0.76);
    if lamp < 0.006 {
        return Some((Colour([0.95, 0.15, 0.10]).mix(Colour([0.25, 0.95, 0.30]), on), true));
    }
    if lamp < 0.010 {
        return Some((DARK, false));
    }
    let knob = 0.28 + 0.30 * on;
    if du * du + (v - knob) * (v - knob) < 0.006 {
        return Some((GOLD, false));
    }
    let handle = du.abs() < 0.035 && (v - 0.43).abs() < (knob - 0.43).abs();
    match () {
        () if handle => Some((CREAM, false)),
        () if du.abs() < 0.06 && (0.22..0.64).contains(&v) => Some((DARK, false)),
        () if du.abs() < 0.18 && (0.16..0.68).contains(&v) => Some((IRON.scale(1.8), false)),
        () => None,
    }
}

fn window(paint: Colour, du: f32, v: f32) -> Option<Colour> {
    let arch = v - 0.62;
    let inside = |wide: f32| du.abs() < wide && v > 0.24 && (arch < 0.0 || du * du + arch * arch < wide * wide);
    if !inside(0.29) {
        return None;
    }
    // Two panes a row, three rows.
    let row = floor((v - 0.28) * 5.0);
    let bar = du.abs() < 0.03 || (v - 0.48).abs() < 0.03 || (v - 0.68).abs() < 0.03;
    Some(match () {
        () if !inside(0.23) || v < 0.29 => CREAM.scale(0.75),
        () if bar => DARK,
        () if (du > 0.0) == (row & 1 == 0) => paint,
        () => Colour([0.70, 0.88, 0.98]),
    })
}

/// Three boards of books.
fn shelf(paint: Colour, u: f32, v: f32) -> Option<Colour> {
    if (u - 0.5).abs() > 0.34 || !(0.06..0.90).contains(&v) {
        return None;
    }
    if (u - 0.5).abs() > 0.29 || v > 0.85 {
        return Some(Colour([0.38, 0.22, 0.12]));
    }
    let (board, book) = (floor((v - 0.06) * 3.8), floor(u * 11.0));
    let up = (v - 0.06) * 3.8 - board as f32;
    let spines = [paint, Colour([0.80, 0.22, 0.18]), Colour([0.20, 0.36, 0.70]), CREAM, Colour([0.24, 0.52, 0.30])];
    let pick = hash([board, book, 7, (paint.0[0] * 255.0) as i32]);
    Some(match () {
        () if up < 0.22 => Colour([0.46, 0.28, 0.15]),
        () if up > 0.72 + 0.06 * (pick % 4) as f32 => DARK,
        () => spines[(pick / 8 % 5) as usize],
    })
}

fn portrait(paint: Colour, du: f32, v: f32) -> Option<Colour> {
    let dv = v - 0.52;
    if du.abs() > 0.28 || dv.abs() > 0.34 {
        return None;
    }
    let face = du * du * 1.6 + (v - 0.58) * (v - 0.58);
    Some(match () {
        () if du.abs() > 0.22 || dv.abs() > 0.28 => GOLD.scale(0.85),
        () if face < 0.012 && v < 0.66 => Colour([0.92, 0.72, 0.56]),
        () if face < 0.022 => DARK,
        () if du.abs() < 0.16 && v < 0.42 => paint,
        () => paint.scale(0.35).plus(Colour([0.05, 0.08, 0.10])),
    })
}

fn statue(paint: Colour, du: f32, v: f32) -> Option<Colour> {
    let arch = v - 0.66;
    if v < 0.06 || du.abs() > 0.26 || (arch > 0.0 && du * du + arch * arch > 0.0676) {
        return None;
    }
    let head = du * du + (v - 0.68) * (v - 0.68) < 0.0085;
    let body = (0.20..0.60).contains(&v) && du.abs() < 0.15 - 0.12 * (v - 0.40).abs();
    Some(match () {
        () if v < 0.20 => CREAM.scale(0.7),
        () if head || body => paint.mix(CREAM, 0.35),
        () => DARK.scale(0.8),
    })
}
