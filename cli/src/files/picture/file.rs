//! Picture files: PNG, JPEG and WebP, told apart by their first bytes, whatever they are called.

use std::{
    fmt,
    io::{Cursor, Read},
    path::Path,
};

use causeway_runtime::file::regular;
use zune_jpeg::zune_core::{colorspace::ColorSpace, options::DecoderOptions};

use causeway_runtime::picture::fit;

use super::exif;
use crate::error::Error;

/// Most pixels of a start picture, 64 million: more is a mistake or an attack.
const MAX_PIXELS: usize = 1 << 26;
/// Longest file, bytes: that many pixels of 16 bits a channel, and some.
const MAX_BYTES: u64 = 1 << 30;

/// Greatest ratio of what deflate unpacks to what it packed.
const DEFLATE: usize = 1032;

/// What was done to a picture that its file does not show by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// It is not opaque.
    Transparent,
    /// The camera was not held upright.
    Turned,
    /// It moves.
    Animated,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transparent => "it is not opaque; it is laid over black",
            Self::Turned => "it is turned as its EXIF orientation says",
            Self::Animated => "it is an animation; its first picture is taken",
        })
    }
}

/// A decoded picture: RGBA8, width and height, its EXIF data, whether it is the first of several.
struct Decoded {
    rgba: Vec<u8>,
    size: (usize, usize),
    exif: Option<Vec<u8>>,
    animated: bool,
}

/// The kinds of files that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Png,
    Jpeg,
    WebP,
}

impl Kind {
    /// Recognises a file by its first bytes.
    fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            _ => None,
        }
    }
}

/// Whether the file at `path` is a picture that can be read, by its first bytes.
///
/// # Errors
/// The file cannot be read.
pub fn is_picture(path: &Path) -> Result<bool, Error> {
    let mut start = Vec::new();
    let file = regular::open(path).map_err(Error::io("open", path))?;
    file.take(12).read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(Kind::of(&start).is_some())
}

/// Reads a picture, cuts the largest part of the wanted shape out of its middle and scales that to `width` x `height`. `say` hears what
/// was done besides.
///
/// # Errors
/// The file cannot be read, is none of the kinds or damaged, or is too large.
pub fn load(path: &Path, (width, height): (usize, usize), say: &mut dyn FnMut(Note)) -> Result<Vec<u8>, Error> {
    let refuse = |what: String| Error::Usage(format!("{}: {what}", path.display()));
    let mut bytes = Vec::new();
    let file = regular::open(path).map_err(Error::io("open", path))?;
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refuse(format!("more than {MAX_BYTES} bytes are no picture that is read")));
    }
    let (name, decoded) = match Kind::of(&bytes) {
        Some(Kind::Png) => ("PNG", png(&bytes)),
        Some(Kind::Jpeg) => ("JPEG", jpeg(&bytes)),
        Some(Kind::WebP) => ("WebP", webp(&bytes)),
        None => return Err(refuse("neither a PNG, nor a JPEG, nor a WebP picture by its first bytes".to_owned())),
    };
    let Decoded { mut rgba, mut size, exif, animated } =
        decoded.map_err(|what| refuse(format!("not a readable {name}: {what}")))?;
    if animated {
        say(Note::Animated);
    }
    if over_black(&mut rgba) {
        say(Note::Transparent);
    }
    let orientation = exif.as_deref().map_or(1, exif::orientation);
    if orientation != 1 {
        (rgba, size) = exif::turn(&rgba, size, orientation);
        say(Note::Turned);
    }
    Ok(fit(&rgba, size, (width, height)))
}

/// Lays a picture over black, as a transparent pixel's colour is black in most files; returns whether it was not opaque.
fn over_black(rgba: &mut [u8]) -> bool {
    let mut seen = false;
    for [colour @ .., alpha] in rgba.as_chunks_mut::<4>().0.iter_mut().filter(|pixel| pixel[3] != 255) {
        colour.iter_mut().for_each(|value| *value = ((u16::from(*value) * u16::from(*alpha) + 127) / 255) as u8);
        (*alpha, seen) = (255, true);
    }
    seen
}

/// Refuses sizes before memory is taken for them.
fn checked(w: usize, h: usize) -> Result<(usize, usize), String> {
    if w == 0 || h == 0 || w.saturating_mul(h) > MAX_PIXELS {
        return Err(format!("{w} x {h} pixels, expected 1 to {MAX_PIXELS}"));
    }
    Ok((w, h))
}

/// Pixels of `channels` bytes as RGBA8.
fn to_rgba(data: &[u8], channels: usize) -> Vec<u8> {
    let rgba = |pixel: &[u8]| match *pixel {
        [grey] => [grey, grey, grey, 255],
        [grey, alpha] => [grey, grey, grey, alpha],
        [red, green, blue] => [red, green, blue, 255],
        [red, green, blue, alpha] => [red, green, blue, alpha],
        _ => [0, 0, 0, 255],
    };
    data.chunks_exact(channels).flat_map(rgba).collect()
}

fn png(bytes: &[u8]) -> Result<Decoded, String> {
    let text = |error: png::DecodingError| error.to_string();
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(text)?;
    let size = checked(reader.info().width as usize, reader.info().height as usize)?;
    // Each byte of a file may stand for so many of pixels, not more, and a pixel has one bit at least.
    let bits = reader.info().bits_per_pixel();
    if (size.0 * size.1).saturating_mul(bits) / 8 > bytes.len().saturating_mul(DEFLATE) {
        return Err(format!("{} x {} pixels in {} bytes, more than there can be in them", size.0, size.1, bytes.len()));
    }
    let mut data = vec![0; reader.output_buffer_size().ok_or("too large")?];
    let info = reader.next_frame(&mut data).map_err(text)?;
    let channels = info.color_type.samples();
    let animated = reader.info().animation_control.is_some_and(|control| control.num_frames > 1);
    let exif = reader.info().exif_metadata.as_ref().map(|exif| exif.to_vec());
    Ok(Decoded { rgba: to_rgba(&data[..size.0 * size.1 * channels], channels), size, exif, animated })
}

fn jpeg(bytes: &[u8]) -> Result<Decoded, String> {
    // Otherwise what a damaged file lacks would come out grey.
    let options = DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
    let options = options.set_max_width(u16::MAX.into()).set_max_height(u16::MAX.into());
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(Cursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("it has no size")?;
    let size = checked(info.width.into(), info.height.into())?;
    let data = decoder.decode().map_err(|error| error.to_string())?;
    if data.len() != 3 * size.0 * size.1 {
        return Err("its colours are of a kind that is not read".to_owned());
    }
    Ok(Decoded { rgba: to_rgba(&data, 3), size, exif: decoder.exif().cloned(), animated: false })
}

fn webp(bytes: &[u8]) -> Result<Decoded, String> {
    let text = |error: image_webp::DecodingError| error.to_string();
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(text)?;
    let (width, height) = decoder.dimensions();
    let size = checked(width as usize, height as usize)?;
    decoder.set_memory_limit(8 * MAX_PIXELS);
    let mut data = vec![0; decoder.output_buffer_size().ok_or("too large")?];
    decoder.read_image(&mut data).map_err(text)?;
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let exif = decoder.exif_metadata().map_err(text)?;
    Ok(Decoded { rgba: to_rgba(&data, channels), size, exif, animated: decoder.is_animated() })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use causeway_runtime::import::Checkpoint;

    use super::*;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/parity/golden").join(name)
    }

    /// Every kind of file against Pillow's pixels (`tests/parity/pictures.py`).
    #[test]
    fn pictures_look_as_pillow_shows_them() {
        let expected = Checkpoint::open(golden("pictures.safetensors")).unwrap();
        assert!(expected.entries().len() >= 20);
        for entry in expected.entries() {
            let (name, pixels) = (&entry.name, expected.integers(entry).unwrap());
            let mut notes = Vec::new();
            let size = (entry.shape[1], entry.shape[0]);
            let path = golden(&format!("pictures/{name}"));
            let rgba = load(&path, size, &mut |note| notes.push(note)).unwrap_or_else(|error| panic!("{error}"));
            let found = rgba.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec());
            let worst = found.zip(pixels.iter()).map(|(x, &y)| (i64::from(x) - y).abs()).max().unwrap();
            // Decoders of lossy files may round their way.
            let most = if name.ends_with(".jpg") || name == "lossy.webp" { 4 } else { 1 };
            assert!(worst <= most, "{name}: {worst}");
            let mut right = Vec::new();
            right.extend((name == "film.webp").then_some(Note::Animated));
            let transparent = ["alpha.png", "grey-alpha.png", "palette.png", "lossless.webp"].contains(&name.as_str());
            right.extend(transparent.then_some(Note::Transparent));
            right.extend((name.starts_with("turned") && name != "turned-1.jpg").then_some(Note::Turned));
            assert_eq!(notes, right, "{name}");
        }
    }

    /// A few bytes that claim to be as many pixels as are read: half a gigabyte was taken for them.
    #[test]
    fn a_small_file_is_no_large_picture() {
        let path = std::env::temp_dir().join(format!("causeway-claims-{}", std::process::id()));
        let mut file = std::fs::File::create(&path).unwrap();
        let mut encoder = png::Encoder::new(&mut file, 8192, 8192);
        encoder.set_color(png::ColorType::Rgba);
        let mut writer = encoder.write_header().unwrap();
        writer.write_chunk(png::chunk::IDAT, &[0x78, 0x9c, 0x03, 0, 0, 0, 0, 1]).unwrap();
        drop(writer);
        let error = load(&path, (8, 8), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("8192 x 8192 pixels in ") && error.contains("more than there can be"), "{error}");
        // The densest there is: one colour in one bit.
        let mut encoder = png::Encoder::new(std::fs::File::create(&path).unwrap(), 8192, 8192);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder.set_compression(png::Compression::High);
        encoder.write_header().unwrap().write_image_data(&vec![0; 8192 * 1024]).unwrap();
        load(&path, (8, 8), &mut |_| {}).unwrap();
        std::fs::remove_file(&path).unwrap();
    }

    /// A file cut anywhere is refused, and no damaged byte makes a reader panic.
    #[test]
    fn damaged_pictures_are_refused() {
        let path = std::env::temp_dir().join(format!("causeway-damaged-{}", std::process::id()));
        let open = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            load(&path, (8, 8), &mut |_| {}).map(drop).map_err(|error| error.to_string())
        };
        for name in ["rgb.png", "plain.jpg", "progressive.jpg", "cmyk.jpg", "lossy.webp", "lossless.webp", "film.webp"]
        {
            let whole = std::fs::read(golden(&format!("pictures/{name}"))).unwrap();
            open(&whole).unwrap();
            for length in [0, 2, 11, 20, whole.len() / 3, whole.len() / 2] {
                assert!(open(&whole[..length]).is_err(), "{name} cut to {length} bytes");
            }
            for at in (0..whole.len()).step_by(3) {
                let mut bytes = whole.clone();
                bytes[at] ^= 0x55;
                let _ = open(&bytes);
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
}
