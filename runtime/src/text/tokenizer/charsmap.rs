//! Checks the table of replaced characters that SentencePiece files carry: what looks things up in it trusts every number there.
//!
//! The table is a 32-bit length, a double-array trie of so many bytes, and texts that end with a zero (darts-clone, and
//! `normalizer.cc` of SentencePiece). A unit of the trie holds a label, the distance of its children, and whether a value lies
//! among them; values are places of texts.

/// Most bytes of a table; the usual one, nmt_nfkc, has 240 thousand.
const MOST_BYTES: usize = 4 << 20;

/// Decodes base64 with padding (RFC 4648).
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 || text.len() / 4 * 3 > MOST_BYTES {
        return None;
    }
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len() / 4 * 3), 0u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

/// Encodes base64 with padding.
pub fn to_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().chain([&0; 2]).take(3).fold(0u32, |word, &byte| word << 8 | u32::from(byte));
        for digit in 0..4 {
            let value = DIGITS[(word >> (18 - 6 * digit)) as usize & 63];
            text.push(if digit <= three.len() { char::from(value) } else { '=' });
        }
    }
    text
}

/// Checks a table; returns how many times longer it can make a text.
///
/// # Errors
/// What follows "the table of characters" in a sentence.
pub fn check(table: &[u8]) -> Result<usize, String> {
    let Some((length, rest)) = table.split_first_chunk::<4>() else { return Err("is cut short".to_owned()) };
    let length = u32::from_le_bytes(*length) as usize;
    if length == 0 || !length.is_multiple_of(4) || length > rest.len() {
        return Err(format!("claims a trie of {length} bytes and has {}", rest.len()));
    }
    let (trie, texts) = rest.split_at(length);
    let units: Vec<u32> = trie.as_chunks::<4>().0.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
    let texts = std::str::from_utf8(texts).map_err(|_| "has texts that are not UTF-8".to_owned())?;

    let (mut growth, mut seen) = (1, vec![false; units.len()]);
    // Units whose children are still to be looked at, nearest to the root first, with the bytes that lead there.
    let mut level = vec![0];
    let mut depth = 0;
    while !level.is_empty() {
        let mut next = Vec::new();
        for unit in level {
            let children = unit ^ offset(units[unit]);
            if children | 0xff >= units.len() {
                return Err(format!("leads to unit {children} of {}", units.len()));
            }
            if depth > 0 && units[unit] >> 8 & 1 == 1 {
                let at = (units[children] & 0x7fff_ffff) as usize;
                let Some(text) = texts.get(at..) else {
                    return Err(format!("leads to text {at} of {} bytes", texts.len()));
                };
                let length = text.find('\0').unwrap_or(text.len());
                growth = growth.max(length.div_ceil(depth));
            }
            for label in 1..=0xff {
                let child = children ^ label;
                if units[child] & 0x8000_00ff == label as u32 && !seen[child] {
                    seen[child] = true;
                    next.push(child);
                }
            }
        }
        level = next;
        depth += 1;
    }
    Ok(growth)
}

fn offset(unit: u32) -> usize {
    ((unit >> 10) as usize) << ((unit & 1 << 9) >> 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trie of one block: `a` becomes text 0. The root's children begin at unit 0 ^ 0, `a` is unit 97, its own at 97 ^ 97 = 0.
    fn table(texts: &[u8]) -> Vec<u8> {
        let mut units = [0u32; 256];
        units[0] = 0;
        units[97] = 97 | 1 << 8 | 2 << 10;
        // The value of `a` lies where its children do.
        units[97 ^ 2] = 1 << 31;
        [&1024u32.to_le_bytes()[..], &units.map(u32::to_le_bytes).concat(), texts].concat()
    }

    #[test]
    fn tables_are_walked() {
        assert_eq!(check(&table(b"xyz\0")), Ok(3));
        assert_eq!(check(&table(b"")), Ok(1));
        let spoilt = |at: usize, unit: u32| {
            let mut table = table(b"xyz\0");
            table[4 + 4 * at..][..4].copy_from_slice(&unit.to_le_bytes());
            check(&table)
        };
        assert!(spoilt(97, 97 | 1 << 20).unwrap_err().contains("leads to unit"));
        assert!(spoilt(97 ^ 2, 1 << 31 | 5).unwrap_err().contains("leads to text 5"));
        assert!(spoilt(0, 1 << 9 | 1 << 30).unwrap_err().contains("leads to unit"));
        assert!(check(&table("é\0".as_bytes())).is_ok());
        assert!(check(&table(b"\xff")).unwrap_err().contains("UTF-8"));
        for cut in [&b""[..], b"\0\0\0\0", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\x04\0\0\0\0\0\0\0", b"\x03\0\0\0abc"]
        {
            assert!(check(cut).is_err(), "{cut:?}");
        }
    }

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64("AAECAwT/").as_deref(), Some(&[0, 1, 2, 3, 4, 255][..]));
        assert_eq!(base64("AA==").as_deref(), Some(&[0][..]));
        assert_eq!(base64("AAE=").as_deref(), Some(&[0, 1][..]));
        for text in ["AAECAwT/", "AA==", "AAE=", ""] {
            assert_eq!(to_base64(&base64(text).unwrap()), text);
        }
        assert_eq!((base64("A"), base64("A==="), base64("AA-_")), (None, None, None));
    }
}
