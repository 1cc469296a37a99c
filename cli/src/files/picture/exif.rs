//! Which way up a picture is: the orientation of EXIF (CIPA DC-008, 4.6.4), one number in the first directory of a TIFF.

/// The tag of the orientation.
const ORIENTATION: u16 = 0x0112;
/// The type of 16-bit numbers.
const SHORT: u16 = 3;

/// The orientation, 1 to 8, in EXIF data; 1, upright, where they are damaged or say nothing.
pub fn orientation(exif: &[u8]) -> u8 {
    find(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)).unwrap_or(1)
}

fn find(tiff: &[u8]) -> Option<u8> {
    let big = match tiff.first_chunk::<4>()? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *tiff.get(at..)?.first_chunk::<2>()?;
        Some(if big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    };
    let long = *tiff.get(4..)?.first_chunk::<4>()?;
    let start = if big { u32::from_be_bytes(long) } else { u32::from_le_bytes(long) } as usize;
    let count = usize::from(short(start)?);
    let mut entries = (0..count).filter_map(|entry| start.checked_add(2 + 12 * entry));
    let at = entries.find(|&at| short(at) == Some(ORIENTATION) && short(at + 2) == Some(SHORT))?;
    u8::try_from(short(at + 8)?).ok().filter(|value| (1..=8).contains(value))
}

/// Turns an RGBA8 picture of width and height upright.
pub fn turn(rgba: &[u8], (w, h): (usize, usize), orientation: u8) -> (Vec<u8>, (usize, usize)) {
    let (width, height) = if orientation >= 5 { (h, w) } else { (w, h) };
    let mut out = Vec::with_capacity(rgba.len());
    for y in 0..height {
        for x in 0..width {
            let (column, row) = match orientation {
                2 => (w - 1 - x, y),
                3 => (w - 1 - x, h - 1 - y),
                4 => (x, h - 1 - y),
                5 => (y, x),
                6 => (y, h - 1 - x),
                7 => (w - 1 - y, h - 1 - x),
                8 => (w - 1 - y, x),
                _ => (x, y),
            };
            out.extend_from_slice(&rgba[4 * (row * w + column)..][..4]);
        }
    }
    (out, (width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_data_mean_upright() {
        let whole = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        assert_eq!(orientation(whole), 6);
        assert_eq!(orientation(&[b"Exif\0\0", &whole[..]].concat()), 6);
        for length in 0..20 {
            assert_eq!(orientation(&whole[..length]), 1);
        }
        let mut far = whole.to_vec();
        far[4..8].fill(0xff);
        assert_eq!(orientation(&far), 1);
        let mut ninth = whole.to_vec();
        ninth[19] = 9;
        assert_eq!(orientation(&ninth), 1);
    }
}
