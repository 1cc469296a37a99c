//! What videos begin with: pictures of every kind, folders of them, and tensors of frames (`tests/parity/pictures.py`).

mod common;

use std::{
    fs::{self, File},
    io::BufWriter,
    path::Path,
};

use common::{Place, golden, save, shown, tensors, text};

/// A PNG of one grey.
fn flat(path: &Path, grey: u8) {
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path).unwrap()), 32, 32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[grey; 32 * 32]).unwrap();
}

fn vae(name: &str) -> Place {
    let folder = Place::new(name);
    folder.good(&format!("convert {} v.safetensors --to f32", shown("vae.pth")));
    folder
}

/// Latents and what was said on the way.
fn encode(folder: &Place, input: &str) -> Result<(Vec<f32>, String), String> {
    let output = folder
        .run(&format!("encode --model v.safetensors --in {input} --size 32x32 --out l.safetensors --backend cpu"));
    let said = text(&output.stderr);
    if !output.status.success() {
        assert!(said.lines().count() == 1 && output.status.code() == Some(2), "{said}");
        return Err(said);
    }
    Ok((tensors(folder.path("l.safetensors")).remove("latents").unwrap().1, said))
}

#[test]
fn folders_are_in_numeric_order() {
    let folder = vae("starts-folders");
    let numbers = [1, 2, 3, 9, 10];
    for (name, digits) in [("plain", 1), ("padded", 4)] {
        fs::create_dir(folder.path(name)).unwrap();
        for number in numbers {
            flat(&folder.path(&format!("{name}/{number:0digits$}.png")), 20 * number);
        }
    }
    let (padded, said) = encode(&folder, "padded").unwrap();
    assert_eq!(said, "");
    assert_eq!(encode(&folder, "plain").unwrap().0, padded);
    // Frames that do not change in another order would prove nothing.
    fs::rename(folder.path("plain/1.png"), folder.path("plain/11.png")).unwrap();
    assert_ne!(encode(&folder, "plain").unwrap().0, padded);
    fs::rename(folder.path("plain/11.png"), folder.path("plain/1.png")).unwrap();

    // What is no picture is named, what is hidden is not.
    for name in ["plain/notes.txt", "plain/.DS_Store", "plain/._1.png"] {
        folder.write(name, b"no picture");
    }
    let (same, said) = encode(&folder, "plain").unwrap();
    assert_eq!(same, padded);
    assert!(said.contains("left out as no picture: ") && said.trim_end().ends_with("notes.txt"), "{said}");
    // What is meant as one and is none is an error.
    folder.write("plain/11.jpg", b"no picture");
    let error = encode(&folder, "plain").unwrap_err();
    assert!(error.contains("6 frames"), "{error}");
    fs::remove_file(folder.path("plain/11.jpg")).unwrap();
    for (second, names) in [("01.png", "01.png and 1.png"), ("1.jpg", "1.jpg and 1.png")] {
        flat(&folder.path(&format!("plain/{second}")), 7);
        let error = encode(&folder, "plain").unwrap_err();
        assert!(error.contains(names) && error.contains("same place"), "{error}");
        fs::remove_file(folder.path(&format!("plain/{second}"))).unwrap();
    }
    fs::create_dir(folder.path("empty")).unwrap();
    assert!(encode(&folder, "empty").unwrap_err().contains("no pictures"));
}

/// A game's condition is a mask beside the latents of its picture with grey ones behind it.
#[test]
fn a_games_condition_is_of_its_picture_and_what_comes_after_it() {
    let folder = vae("starts-condition");
    flat(&folder.path("shot.png"), 51);
    let frames: Vec<f32> = (0..9).flat_map(|n| [if n == 0 { 0.2 } else { 0.5 }; 3 * 32 * 32]).collect();
    save(folder.path("frames.safetensors"), &[("frames", &(vec![9, 3, 32, 32], frames))]);
    let latents = encode(&folder, "frames.safetensors").unwrap().0;
    let made = "encode --model v.safetensors --size 32x32 --out c.safetensors --backend cpu --condition";
    folder.good(&format!("{made} 3 --in shot.png"));
    let (shape, condition) = tensors(folder.path("c.safetensors")).remove("condition").unwrap();
    assert_eq!(shape[0], 3);
    let (row, values) = (condition.len() / 3, latents.len() / 3);
    let mask = row - values;
    assert_eq!(mask, 4 * shape[2] * shape[3], "a channel of the mask for each picture of a latent frame");
    for (n, row) in condition.chunks_exact(row).enumerate() {
        assert!(row[..mask].iter().all(|&known| known == if n == 0 { 1.0 } else { 0.0 }), "{n}");
        assert_eq!(row[mask..], latents[n * values..][..values], "{n}");
    }
    let output = folder.run(&format!("{made} --in frames.safetensors"));
    assert!(text(&output.stderr).contains("9 frames; a game's condition is of one picture"), "{output:?}");
}

#[test]
fn frames_of_another_range_are_refused() {
    let folder = vae("starts-range");
    let bytes: Vec<u8> = (0..3 * 32 * 32).map(|at| (at * 7 % 256) as u8).collect();
    let shape = vec![1, 3, 32, 32];
    let put = |name: &str, value: &dyn Fn(f32) -> f32| {
        let values = bytes.iter().map(|&byte| value(f32::from(byte) / 255.0)).collect();
        save(folder.path(name), &[("frames", &(shape.clone(), values))]);
    };
    put("0to1.safetensors", &|x| x);
    put("minus1to1.safetensors", &|x| 2.0 * x - 1.0);
    put("0to255.safetensors", &|x| 255.0 * x);
    put("twice.safetensors", &|x| 1.5 * x);
    put("nan.safetensors", &|x| if x > 0.9 { f32::NAN } else { x });
    let header = br#"{"frames":{"dtype":"U8","shape":[1,3,32,32],"data_offsets":[0,3072]}}"#;
    folder.write("bytes.safetensors", &[&(header.len() as u64).to_le_bytes()[..], header, &bytes].concat());
    let header = br#"{"frames":{"dtype":"I8","shape":[1,3,32,32],"data_offsets":[0,3072]}}"#;
    folder.write("signed.safetensors", &[&(header.len() as u64).to_le_bytes()[..], header, &bytes].concat());
    save(folder.path("last.safetensors"), &[("frames", &(vec![1, 32, 32, 3], vec![0.5; 3072]))]);

    let (right, said) = encode(&folder, "0to1.safetensors").unwrap();
    assert_eq!(said, "");
    assert_eq!(encode(&folder, "bytes.safetensors").unwrap().0, right);
    for (name, words) in [
        ("minus1to1", "runs from -1 to 1, expected 0 to 1; it looks like -1 to 1: add 1 and halve it"),
        ("0to255", "runs from 0 to 255, expected 0 to 1; it looks like 0 to 255: divide it by 255, or store it as U8"),
        ("twice", "runs from 0 to 1.5, expected 0 to 1"),
        ("nan", "is NaN"),
        ("last", "its colours come last"),
    ] {
        let error = encode(&folder, &format!("{name}.safetensors")).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let output = folder.run("encode --model v.safetensors --in signed.safetensors --out l.safetensors");
    assert!(text(&output.stderr).contains("stored as I8"), "{output:?}");
}

/// Every command that takes a start picture takes every kind, by content, and says what it does to it.
#[test]
fn start_pictures_of_every_kind() {
    let folder = vae("starts-kinds");
    for (file, words) in [
        ("rgb.png", ""),
        ("plain.jpg", ""),
        ("lossy.webp", ""),
        ("alpha.png", "it is not opaque; it is laid over black"),
        ("lossless.webp", "it is not opaque; it is laid over black"),
        ("turned-6.jpg", "it is turned as its EXIF orientation says"),
        ("film.webp", "it is an animation; its first picture is taken"),
    ] {
        // The name says another kind.
        fs::copy(golden(&format!("pictures/{file}")), folder.path("start.png")).unwrap();
        let expected = if words.is_empty() { String::new() } else { format!("start.png: {words}\n") };
        assert_eq!(encode(&folder, "start.png").unwrap().1, expected, "{file}");
        let play = "play --model tiny.safetensors --backend cpu --frames 2 --record film.gif --start-image start.png";
        let output = folder.run(play);
        assert!(output.status.success() && text(&output.stderr).contains(expected.trim_end()), "{file}: {output:?}");
    }
    fs::copy(golden("pictures/plain.jpg"), folder.path("start")).unwrap();
    encode(&folder, "start").unwrap();
    folder.write("gif.png", b"GIF89a and so on");
    assert!(encode(&folder, "gif.png").unwrap_err().contains("neither a PNG, nor a JPEG, nor a WebP"));
}
