//! Letters of 3 x 5 pixels for labels in charts, so that no font has to be carried.

/// Columns of a letter's cell, the gap included.
pub const ADVANCE: usize = 4;
/// Rows of a letter.
pub const ROWS: usize = 5;

/// Letters and their rows from the top, three bits each, the left pixel highest.
const LETTERS: [(char, [u8; ROWS]); 41] = [
    ('0', [7, 5, 5, 5, 7]),
    ('1', [2, 6, 2, 2, 7]),
    ('2', [7, 1, 7, 4, 7]),
    ('3', [7, 1, 7, 1, 7]),
    ('4', [5, 5, 7, 1, 1]),
    ('5', [7, 4, 7, 1, 7]),
    ('6', [7, 4, 7, 5, 7]),
    ('7', [7, 1, 1, 1, 1]),
    ('8', [7, 5, 7, 5, 7]),
    ('9', [7, 5, 7, 1, 7]),
    ('a', [7, 5, 7, 5, 5]),
    ('b', [6, 5, 6, 5, 6]),
    ('c', [7, 4, 4, 4, 7]),
    ('d', [6, 5, 5, 5, 6]),
    ('e', [7, 4, 6, 4, 7]),
    ('f', [7, 4, 6, 4, 4]),
    ('g', [7, 4, 5, 5, 7]),
    ('h', [5, 5, 7, 5, 5]),
    ('i', [7, 2, 2, 2, 7]),
    ('j', [1, 1, 1, 5, 7]),
    ('k', [5, 5, 6, 5, 5]),
    ('l', [4, 4, 4, 4, 7]),
    ('m', [5, 7, 7, 5, 5]),
    ('n', [6, 5, 5, 5, 5]),
    ('o', [2, 5, 5, 5, 2]),
    ('p', [7, 5, 7, 4, 4]),
    ('q', [7, 5, 5, 7, 1]),
    ('r', [6, 5, 6, 5, 5]),
    ('s', [3, 4, 2, 1, 6]),
    ('t', [7, 2, 2, 2, 2]),
    ('u', [5, 5, 5, 5, 7]),
    ('v', [5, 5, 5, 5, 2]),
    ('w', [5, 5, 7, 7, 5]),
    ('x', [5, 5, 2, 5, 5]),
    ('y', [5, 5, 2, 2, 2]),
    ('z', [7, 1, 2, 4, 7]),
    ('.', [0, 0, 0, 0, 2]),
    ('-', [0, 0, 7, 0, 0]),
    ('_', [0, 0, 0, 0, 7]),
    (',', [0, 0, 0, 2, 4]),
    (' ', [0, 0, 0, 0, 0]),
];

/// Pixels of `text` as (column, row); capitals look like small letters, unknown letters like a dash.
pub fn pixels(text: &str) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    for (at, letter) in text.to_lowercase().chars().enumerate() {
        let known = LETTERS.iter().find(|(known, _)| *known == letter);
        let rows = known.map_or([0, 0, 7, 0, 0], |(_, rows)| *rows);
        for (y, row) in rows.into_iter().enumerate() {
            out.extend((0..3).filter(|x| row >> (2 - x) & 1 == 1).map(|x| (at * ADVANCE + x, y)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_differ_and_stay_in_their_cells() {
        for (i, (letter, rows)) in LETTERS.iter().enumerate() {
            assert!(rows.iter().all(|row| *row < 8), "{letter}");
            assert!(LETTERS[..i].iter().all(|(other, drawn)| other != letter && drawn != rows), "{letter}");
        }
        assert_eq!(pixels("1."), [(1, 0), (0, 1), (1, 1), (1, 2), (1, 3), (0, 4), (1, 4), (2, 4), (5, 4)]);
    }
}
