//! How many colours a terminal shows, as its environment says, and the codes for them.

use std::fmt::Write;

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// Any colour.
    True,
    /// The 6 x 6 x 6 cube and 24 greys that xterm has.
    Cube,
    /// The eight of the Linux console, each in two strengths.
    Few,
    /// None: brightness by characters.
    None,
}

impl Colours {
    /// What the environment says.
    pub fn of_environment() -> Self {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(get: impl Fn(&str) -> Option<String>) -> Self {
        let term = get("TERM").unwrap_or_default();
        // By no-color.org any value but an empty one.
        if get("NO_COLOR").is_some_and(|value| !value.is_empty()) || term == "dumb" {
            return Self::None;
        }
        let named = |words: &[&str]| words.iter().any(|word| term.contains(word));
        match get("COLORTERM").as_deref() {
            Some("truecolor" | "24bit") => return Self::True,
            _ if named(&["direct", "truecolor", "kitty", "alacritty", "ghostty", "wezterm", "foot", "iterm"]) => {
                return Self::True;
            }
            _ => {}
        }
        // Terminals of these name themselves here and say no more.
        if get("WT_SESSION").is_some() || get("TERM_PROGRAM").is_some_and(|name| name == "iTerm.app") {
            return Self::True;
        }
        if named(&["256color"]) {
            Self::Cube
        } else if term.is_empty() && cfg!(windows) {
            Self::True
        } else if named(&["linux", "ansi", "vt", "cygwin", "color", "xterm", "screen", "tmux", "rxvt", "konsole"]) {
            Self::Few
        } else {
            Self::None
        }
    }

    /// The nearest colour there is, as what [`Colours::code`] takes: equal ones need no new code.
    pub fn nearest(self, [r, g, b]: [u8; 3]) -> [u8; 3] {
        match self {
            Self::True => [r, g, b],
            Self::Cube => [cube([r, g, b]), 0, 0],
            Self::Few => [few([r, g, b]), 0, 0],
            Self::None => [luma([r, g, b]), 0, 0],
        }
    }

    /// Adds the code that sets the foreground or the background to a colour of [`Colours::nearest`].
    pub fn code(self, out: &mut String, [first, g, b]: [u8; 3], background: bool) {
        let layer = if background { 48 } else { 38 };
        // Writing to a string cannot fail.
        let _ = match self {
            Self::True => write!(out, "\x1b[{layer};2;{first};{g};{b}m"),
            Self::Cube => write!(out, "\x1b[{layer};5;{first}m"),
            Self::Few => {
                let base = if background { 40 } else { 30 };
                // The strong ones have codes of their own, 60 above.
                write!(out, "\x1b[{}m", base + u32::from(first & 7) + if first > 7 { 60 } else { 0 })
            }
            Self::None => Ok(()),
        };
    }
}

/// Brightness, Rec. 601.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    ((299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b) + 500) / 1000) as u8
}

fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(b).map(|(&a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

/// Number of the nearest colour of xterm's 256, without the first 16, which users choose themselves.
fn cube(colour: [u8; 3]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let nearest = |value: u8| (0..6).min_by_key(|&i| LEVELS[i].abs_diff(value)).unwrap_or(0);
    let at = colour.map(nearest);
    let grey = ((u32::from(luma(colour)).saturating_sub(3)) / 10).min(23) as u8;
    let level = 8 + 10 * grey;
    if distance(colour, [level; 3]) < distance(colour, at.map(|i| LEVELS[i])) {
        232 + grey
    } else {
        (16 + 36 * at[0] + 6 * at[1] + at[2]) as u8
    }
}

/// Number of the nearest of the 16 colours that all terminals have.
fn few(colour: [u8; 3]) -> u8 {
    let shown = |number: u8| {
        let on = if number > 7 { 255 } else { 170 };
        let off = if number > 7 { 85 } else { 0 };
        [0, 1, 2].map(|bit| if number >> bit & 1 == 1 { on } else { off })
    };
    (0..16).min_by_key(|&number| distance(colour, shown(number))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides() {
        let of = |pairs: &[(&str, &str)]| {
            Colours::of(|name| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned()))
        };
        for (pairs, expected) in [
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")][..], Colours::True),
            (&[("TERM", "xterm-256color")], Colours::Cube),
            (&[("TERM", "screen-256color"), ("COLORTERM", "")], Colours::Cube),
            (&[("TERM", "xterm-kitty")], Colours::True),
            (&[("TERM", "linux")], Colours::Few),
            (&[("TERM", "dumb"), ("COLORTERM", "truecolor")], Colours::None),
            (&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")], Colours::None),
            (&[("TERM", "xterm-256color"), ("NO_COLOR", "")], Colours::Cube),
        ] {
            assert_eq!(of(pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_nearest_colour_is_near() {
        let near = |colours: Colours, colour| colours.nearest(colour)[0];
        for (colour, expected) in
            [([0, 0, 0], 16), ([255, 255, 255], 231), ([255, 0, 0], 196), ([95, 135, 175], 67), ([118, 118, 118], 243)]
        {
            assert_eq!(near(Colours::Cube, colour), expected, "{colour:?}");
        }
        for (colour, expected) in [([0, 0, 0], 0), ([255, 255, 255], 15), ([180, 10, 10], 1), ([90, 90, 250], 12)] {
            assert_eq!(near(Colours::Few, colour), expected, "{colour:?}");
        }
        let code = |colours: Colours, colour, background| {
            let mut out = String::new();
            colours.code(&mut out, colours.nearest(colour), background);
            out
        };
        assert_eq!(code(Colours::True, [1, 2, 3], false), "\x1b[38;2;1;2;3m");
        assert_eq!(code(Colours::Cube, [255, 0, 0], true), "\x1b[48;5;196m");
        assert_eq!(code(Colours::Few, [180, 10, 10], false), "\x1b[31m");
        assert_eq!(code(Colours::Few, [255, 255, 255], true), "\x1b[107m");
        assert_eq!(code(Colours::None, [255, 255, 255], true), "");
    }
}
