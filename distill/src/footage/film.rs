//! A recording for trainers elsewhere: clips as video files, with a list of captions in the form that FastVideo reads (`videos/` and
//! `videos2caption.json`), and what was pressed in each frame as a table.
//!
//! Videos are AVI files of plain pixels: every reader knows them, nothing is lost, and no encoder is needed.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use causeway_runtime::file::write_whole;
use serde_json::json;

use crate::footage::data::Episodes;
use crate::footage::recording::{Recording, RecordingError};

/// Writes `recording` to `dir` in clips of at most `frames` frames, none across an episode's start; the number of clips.
///
/// # Errors
/// [`RecordingError::Io`].
pub fn write(recording: &Recording, frames: usize, dir: &Path) -> Result<usize, RecordingError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| RecordingError::Io { path, source }
    };
    let (info, videos) = (&recording.info, dir.join("videos"));
    fs::create_dir_all(&videos).map_err(io(&videos))?;
    let whole = |path: &Path, bytes: &[u8]| write_whole(path, bytes).map_err(io(path));
    let named = info.actions.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(",");
    let (mut list, mut table) =
        (Vec::new(), format!("path,frame,{named}{}event\n", if named.is_empty() { "" } else { "," }));
    let episodes = Episodes::new(&recording.episode_starts).ranges();
    let cut = |episode: std::ops::Range<usize>| {
        episode.clone().step_by(frames).map(move |first| first..episode.end.min(first + frames))
    };
    for (number, clip) in episodes.into_iter().flat_map(cut).enumerate() {
        let name = format!("{number:06}.avi");
        let pictures: Vec<&[u8]> = clip.clone().map(|i| recording.frame(i)).collect();
        whole(&videos.join(&name), &avi([info.width, info.height], info.fps, &pictures))?;
        let event = |i: usize| info.events.get(usize::from(recording.events[i])).map_or("", String::as_str);
        let mut caption: Vec<&str> = clip.clone().map(event).collect();
        caption.dedup();
        list.push(json!({
            "path": name,
            "resolution": { "width": info.width, "height": info.height },
            "fps": info.fps,
            "duration": clip.len() as f32 / info.fps,
            "num_frames": clip.len(),
            "cap": [caption.join(", then ")],
        }));
        for (frame, i) in clip.enumerate() {
            let _ = write!(table, "{name},{frame}");
            for value in recording.action(i) {
                let _ = write!(table, ",{value}");
            }
            let _ = writeln!(table, ",{}", quoted(event(i)));
        }
    }
    whole(&dir.join("actions.csv"), table.as_bytes())?;
    // Last: where it is, all else is.
    let count = list.len();
    whole(&dir.join("videos2caption.json"), format!("{:#}\n", json!(list)).as_bytes())?;
    Ok(count)
}

/// A field of a table (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// An AVI file of sRGB `pictures` [H, W, 3].
fn avi([width, height]: [usize; 2], fps: f32, pictures: &[&[u8]]) -> Vec<u8> {
    // Rows go from the bottom up, blue first, and fill whole words.
    let (row, padded) = (3 * width, (3 * width).next_multiple_of(4));
    let size = (padded * height) as u32;
    let (w, h, n) = (width as u32, height as u32, pictures.len() as u32);
    let rate = (1000.0 * fps).round() as u32;
    let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let main = bytes(&[1_000_000_000 / rate.max(1), 0, 0, 0x10, n, 0, 1, size, w, h, 0, 0, 0, 0]);
    let stream = [&b"vidsDIB "[..], &bytes(&[0, 0, 0, 1000, rate, 0, n, size, u32::MAX, 0, 0, h << 16 | w])].concat();
    let format = bytes(&[40, w, h, 24 << 16 | 1, 0, size, 0, 0, 0, 0]);
    let header = [
        &b"hdrl"[..],
        &chunk(b"avih", &main),
        &chunk(b"LIST", &[&b"strl"[..], &chunk(b"strh", &stream), &chunk(b"strf", &format)].concat()),
    ];
    let (mut movie, mut index) = (b"movi".to_vec(), Vec::new());
    for picture in pictures {
        index.extend_from_slice(b"00db");
        index.extend(bytes(&[0x10, movie.len() as u32, size]));
        let mut pixels = vec![0; padded * height];
        for (to, from) in pixels.chunks_exact_mut(padded).rev().zip(picture.chunks_exact(row)) {
            let both = to.chunks_exact_mut(3).zip(from.chunks_exact(3));
            both.for_each(|(to, from)| to.copy_from_slice(&[from[2], from[1], from[0]]));
        }
        movie.extend(chunk(b"00db", &pixels));
    }
    let all = [&b"AVI "[..], &chunk(b"LIST", &header.concat()), &chunk(b"LIST", &movie), &chunk(b"idx1", &index)];
    chunk(b"RIFF", &all.concat())
}

/// A chunk of a RIFF file, whose length is even.
fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let pad = vec![0; data.len() % 2];
    [&name[..], &(data.len() as u32).to_le_bytes(), data, &pad].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The chunks of a RIFF list, by name.
    fn chunks(mut data: &[u8]) -> Vec<(String, &[u8])> {
        let mut out = Vec::new();
        while data.len() >= 8 {
            let size = u32::from_le_bytes(data[4..8].try_into().unwrap()) as usize;
            out.push((String::from_utf8_lossy(&data[..4]).into_owned(), &data[8..8 + size]));
            data = &data[8 + size.next_multiple_of(2)..];
        }
        assert!(data.is_empty());
        out
    }

    #[test]
    fn every_pixel_is_found_again_where_the_index_says() {
        // A width whose rows need filling.
        let [width, height] = [5, 3];
        let pictures: Vec<Vec<u8>> = (0..4u8).map(|f| (0..45).map(|i| f * 50 + i).collect()).collect();
        let file = avi([width, height], 20.0, &pictures.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let whole = chunks(&file);
        assert_eq!((whole.len(), whole[0].0.as_str(), &whole[0].1[..4]), (1, "RIFF", &b"AVI "[..]));
        let parts = chunks(&whole[0].1[4..]);
        assert_eq!(parts.iter().map(|part| part.0.as_str()).collect::<Vec<_>>(), ["LIST", "LIST", "idx1"]);
        let header = chunks(&parts[0].1[4..]);
        assert_eq!((header[0].1.len(), header[1].1.len()), (56, 4 + 8 + 56 + 8 + 40));
        let (movie, index) = (parts[1].1, parts[2].1);
        assert_eq!(index.len(), 16 * 4);
        for (entry, picture) in index.chunks_exact(16).zip(&pictures) {
            let [at, size] = [8, 12].map(|i| u32::from_le_bytes(entry[i..i + 4].try_into().unwrap()) as usize);
            assert_eq!(&movie[at..at + 4], b"00db");
            let pixels = &movie[at + 8..at + 8 + size];
            for (y, row) in pixels.chunks_exact(16).rev().enumerate() {
                for x in 0..width {
                    let [b, g, r] = [row[3 * x], row[3 * x + 1], row[3 * x + 2]];
                    assert_eq!([r, g, b], picture[3 * (y * width + x)..][..3], "{x}, {y}");
                }
            }
        }
    }

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        assert_eq!([quoted("a b"), quoted("a,b"), quoted("say \"a\"")], ["a b", "\"a,b\"", "\"say \"\"a\"\"\""]);
    }
}
