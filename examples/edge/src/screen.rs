//! Linux's framebuffer: a file of rows of pixels. Its size is in /sys/class/graphics, so nothing but files is asked.

use std::{fs, io, os::unix::fs::FileExt, path::Path};

/// What is shown on.
pub struct Screen {
    file: fs::File,
    shape: Shape,
    /// A row of the screen.
    row: Vec<u8>,
    /// Size of the picture that the rest was blackened for.
    shown: (usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    width: usize,
    height: usize,
    /// 32 bits are bytes of blue, green, red and nothing; 16 are 5 of red, 6 of green, 5 of blue.
    bits: usize,
    /// Bytes from row to row.
    stride: usize,
}

impl Screen {
    /// Opens `PATH`, or `PATH,WxHxBITS` where the system does not tell the size, as of a file.
    pub fn open(text: &str) -> Result<Self, String> {
        let (path, told) = text.split_once(',').map_or((text, None), |(path, told)| (path, Some(told)));
        let shape = match told {
            Some(told) => parse(told)?,
            None => asked(Path::new(path))?,
        };
        let Shape { width, height, bits, stride } = shape;
        if width == 0 || height == 0 || ![16, 32].contains(&bits) || stride < width * bits / 8 {
            return Err(format!("{path} is {width}x{height} with {bits} bits a pixel; 16 and 32 bits can be shown on"));
        }
        let file = fs::OpenOptions::new().write(true).open(path).map_err(|error| format!("{path}: {error}"))?;
        Ok(Self { file, shape, row: vec![0; width * bits / 8], shown: (0, 0) })
    }

    /// Shows an RGBA picture in the middle, as large as a whole number of screen pixels for each of its own lets it be; a larger one shows its middle.
    pub fn show(&mut self, width: usize, height: usize, pixels: &[u8]) -> io::Result<()> {
        let Shape { width: wide, height: high, bits, stride } = self.shape;
        let scale = (wide / width).min(high / height).max(1);
        let place = |size: usize, screen: usize| {
            (screen.saturating_sub(size * scale) / 2, size.saturating_sub(screen / scale) / 2)
        };
        let ((left, from), (top, above)) = (place(width, wide), place(height, high));
        if self.shown != (width, height) {
            self.shown = (width, height);
            self.row.fill(0);
            (0..high).try_for_each(|y| self.file.write_all_at(&self.row, (y * stride) as u64))?;
        }
        for y in 0..(height - above).min(high / scale) {
            self.row.fill(0);
            let source = &pixels[((above + y) * width + from) * 4..(above + y + 1) * width * 4];
            let room = &mut self.row[left * bits / 8..];
            for (pixel, out) in source.as_chunks::<4>().0.iter().zip(room.chunks_exact_mut(scale * bits / 8)) {
                let [red, green, blue, _] = *pixel;
                if bits == 32 {
                    out.as_chunks_mut::<4>().0.fill([blue, green, red, 0]);
                } else {
                    let packed = u16::from(red >> 3) << 11 | u16::from(green >> 2) << 5 | u16::from(blue >> 3);
                    out.as_chunks_mut::<2>().0.fill(packed.to_le_bytes());
                }
            }
            let first = top + y * scale;
            (first..first + scale).try_for_each(|y| self.file.write_all_at(&self.row, (y * stride) as u64))?;
        }
        Ok(())
    }
}

/// `WxHxBITS`.
fn parse(text: &str) -> Result<Shape, String> {
    let numbers: Vec<usize> = text.split('x').map_while(|number| number.parse().ok()).collect();
    match numbers[..] {
        [width, height, bits] => Ok(Shape { width, height, bits, stride: width * bits / 8 }),
        _ => Err(format!("`{text}` is no size of a screen, as 320x240x16 is")),
    }
}

/// What the system tells of a framebuffer.
fn asked(path: &Path) -> Result<Shape, String> {
    let folder = Path::new("/sys/class/graphics").join(path.file_name().unwrap_or_default());
    let read = |name: &str| {
        let at = folder.join(name);
        fs::read_to_string(&at)
            .map_err(|error| format!("{}: {error}; is {} a framebuffer?", at.display(), path.display()))
    };
    let wrong = |text: &str| format!("{} tells `{}`", folder.display(), text.trim());
    let number = |text: &str| text.trim().parse().map_err(|_| wrong(text));
    let size = read("virtual_size")?;
    let (width, height) = size.split_once(',').ok_or_else(|| wrong(&size))?;
    Ok(Shape {
        width: number(width)?,
        height: number(height)?,
        bits: number(&read("bits_per_pixel")?)?,
        stride: number(&read("stride")?)?,
    })
}
