//! Pictures as text: two pixels a character, in the colours that the terminal has.

use std::fmt::Write as _;

use causeway_runtime::picture::mean;

use crate::stage::colour::Colours;

/// The upper half of a character cell, in the foreground colour over the background colour.
const UPPER_HALF: char = '\u{2580}';

/// Characters from dark to bright, for a terminal without colours.
const SHADES: [char; 10] = [' ', '.', ':', '-', '=', '+', '*', '#', '%', '@'];

/// The colours of one cell: upper and lower pixel.
type Cell = [[u8; 3]; 2];

/// What the terminal shows, so that only what changes is sent.
#[derive(Debug)]
pub struct Screen {
    columns: usize,
    rows: usize,
    colours: Colours,
    cells: Vec<Option<Cell>>,
    status: String,
    out: String,
}

impl Screen {
    /// A screen of this many character cells; the last row is for the status line.
    pub fn new(columns: usize, rows: usize, colours: Colours) -> Self {
        let rows = rows.max(2);
        let columns = columns.max(1);
        let cells = vec![None; columns * (rows - 1)];
        Self { columns, rows, colours, cells, status: String::new(), out: String::new() }
    }

    /// The text that brings the terminal from the last picture to this one (RGBA8 of `size` pixels).
    pub fn draw(&mut self, pixels: &[u8], size: (usize, usize), status: &str) -> &str {
        self.out.clear();
        // Terminals that know synchronised output show the whole picture at once; others ignore the marks.
        self.out.push_str("\x1b[?2026h");
        if self.cells.iter().all(Option::is_none) {
            self.out.push_str("\x1b[0m\x1b[2J");
        }
        self.picture(pixels, size);
        self.line(status);
        self.out.push_str("\x1b[?2026l");
        &self.out
    }

    fn picture(&mut self, pixels: &[u8], size: (usize, usize)) {
        let shown = fit(size, (self.columns, 2 * (self.rows - 1)));
        let (left, top) = ((self.columns - shown.0) / 2, (self.rows - 1 - shown.1 / 2) / 2);
        let mut colours: Option<Cell> = None;
        for row in 0..shown.1 / 2 {
            let mut cursor = None;
            for column in 0..shown.0 {
                let at = |y| mean(pixels, size, shown, (column, y));
                let cell = [at(2 * row), at(2 * row + 1)].map(|colour| self.colours.nearest(colour));
                let index = (top + row) * self.columns + left + column;
                if self.cells[index] == Some(cell) {
                    continue;
                }
                self.cells[index] = Some(cell);
                if cursor != Some(column) {
                    put(&mut self.out, format_args!("\x1b[{};{}H", top + row + 1, left + column + 1));
                }
                cursor = Some(column + 1);
                if self.colours == Colours::None {
                    let bright = (u16::from(cell[0][0]) + u16::from(cell[1][0])) / 2;
                    self.out.push(SHADES[usize::from(bright) * SHADES.len() / 256]);
                    continue;
                }
                for (layer, colour) in cell.into_iter().enumerate() {
                    if colours.is_none_or(|old| old[layer] != colour) {
                        self.colours.code(&mut self.out, colour, layer == 1);
                    }
                }
                colours = Some(cell);
                self.out.push(UPPER_HALF);
            }
        }
        self.out.push_str("\x1b[0m");
    }

    fn line(&mut self, status: &str) {
        let status: String = status.chars().take(self.columns).collect();
        if status != self.status {
            put(&mut self.out, format_args!("\x1b[{};1H{status}\x1b[K", self.rows));
            self.status = status;
        }
    }
}

/// Writing to a string cannot fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// The size at which a picture fits into `room` pixels: a whole multiple if there is room, else smaller with its shape kept;
/// rows come in pairs.
fn fit((width, height): (usize, usize), room: (usize, usize)) -> (usize, usize) {
    let factor = (room.0 / width).min(room.1 / height);
    let (w, h) = if factor > 0 {
        (width * factor, height * factor)
    } else if room.0 * height < room.1 * width {
        (room.0, height * room.0 / width)
    } else {
        (width * room.1 / height, room.1)
    };
    (w.clamp(1, room.0), h.next_multiple_of(2).clamp(2, room.1 / 2 * 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_fit() {
        for (picture, room, expected) in [
            ((64, 64), (80, 46), (46, 46)),
            ((64, 64), (200, 130), (128, 128)),
            ((64, 64), (64, 64), (64, 64)),
            ((128, 96), (80, 100), (80, 60)),
            ((64, 63), (64, 64), (64, 64)),
            ((64, 64), (1, 2), (1, 2)),
        ] {
            assert_eq!(fit(picture, room), expected, "{picture:?} into {room:?}");
        }
    }

    #[test]
    fn two_pixels_make_one_cell_and_nothing_is_sent_twice() {
        let mut screen = Screen::new(2, 2, Colours::True);
        let pixels = [1, 2, 3, 255, 9, 9, 9, 255, 4, 5, 6, 255, 9, 9, 9, 255];
        let text = screen.draw(&pixels, (2, 2), "status").to_owned();
        assert!(text.contains("\x1b[1;1H\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m\u{2580}"), "{text:?}");
        assert!(text.contains("\x1b[38;2;9;9;9m\x1b[48;2;9;9;9m\u{2580}"), "{text:?}");
        assert!(text.contains("\x1b[2;1Hst\x1b[K"), "{text:?}");
        let again = screen.draw(&pixels, (2, 2), "status");
        assert!(!again.contains(UPPER_HALF) && !again.contains("st"), "{again:?}");
    }

    #[test]
    fn fewer_colours_need_no_more_than_they_have() {
        let pixels = [255, 0, 0, 255, 255, 0, 0, 255];
        let draw = |colours| Screen::new(1, 2, colours).draw(&pixels, (1, 2), "").to_owned();
        assert!(draw(Colours::Cube).contains("\x1b[38;5;196m\x1b[48;5;196m\u{2580}"));
        let few = draw(Colours::Few);
        assert!(few.contains("m\u{2580}") && !few.contains(";2;") && !few.contains(";5;"), "{few:?}");
        // Brightness 76 of 255.
        let none = draw(Colours::None);
        assert!(none.contains("\x1b[1;1H:") && !none.contains("38") && !none.contains("48"), "{none:?}");
    }

    #[test]
    fn any_terminal_size_works() {
        let pixels = vec![7; 4 * 5 * 3];
        for columns in 0..12 {
            for rows in 0..12 {
                assert!(
                    Screen::new(columns, rows, Colours::True).draw(&pixels, (5, 3), "x").contains(UPPER_HALF),
                    "{columns} x {rows}"
                );
            }
        }
    }
}
