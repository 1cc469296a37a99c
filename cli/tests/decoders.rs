//! Decoders against implementations nobody here wrote: `tests/parity/decoders.py` makes the files and what they must give.

mod common;

use causeway_runtime::{BackendChoice, Decoder, DecoderFile, DecoderOptions, RolloutError, SessionError};
use common::{Place, Tensor, error, golden, save, shown, tensors, text};

fn backends() -> [BackendChoice; 2] {
    [BackendChoice::Cpu, BackendChoice::Gpu(String::new())]
}

/// A decoder for latents [F, C, H, W].
fn decoder(file: &DecoderFile<'_>, latents: &Tensor, backend: BackendChoice) -> Decoder {
    let options = DecoderOptions { backend, threads: 1, ..DecoderOptions::default() };
    Decoder::new(file, (latents.0[2], latents.0[3]), &options).unwrap()
}

/// Frames of a stream of latents, and how many each made.
fn decode(decoder: &mut Decoder, latents: &Tensor) -> (Vec<f32>, Vec<usize>) {
    let (width, height) = decoder.picture();
    let (mut frames, mut counts) = (Vec::new(), Vec::new());
    for latent in latents.1.chunks_exact(latents.1.len() / latents.0[0]) {
        let made = decoder.decode(latent).unwrap();
        counts.push(made.len() / (3 * width * height));
        frames.extend(made);
    }
    (frames, counts)
}

#[test]
fn taehv_streams_as_the_reference_decodes() {
    let folder = Place::new("decoders-taehv");
    folder.good(&format!("convert {} d.safetensors --to f32", shown("taehv.pth")));
    let file = DecoderFile::open(folder.path("d.safetensors")).unwrap();
    let all = tensors(golden("taehv-parity.safetensors"));
    for backend in backends() {
        let mut decoder = decoder(&file, &all["latents"], backend.clone());
        let (frames, counts) = decode(&mut decoder, &all["latents"]);
        assert_eq!(counts, [1, 4, 4, 4, 4]);
        let error = error(&frames, &all["frames"].1);
        println!("{backend:?}: {error:.1e}");
        assert!(error <= 1e-3, "{backend:?}: {error:e}");
        // A new stream remembers nothing of the old one.
        decoder.restart().unwrap();
        assert!(decode(&mut decoder, &all["latents"]).0 == frames);
    }
}

#[test]
fn what_is_no_decoder_is_refused_in_one_sentence() {
    let folder = Place::new("decoders-refused");
    let mut lacking = tensors(golden("taehv.pth"));
    lacking.remove("decoder.9.conv.2.bias").unwrap();
    let small = lacking.get_mut("decoder.13.conv.weight").unwrap();
    small.0[0] /= 2;
    small.1.truncate(small.1.len() / 2);
    let list: Vec<_> = lacking.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    save(folder.path("lacking.safetensors"), &list);
    folder.good(&format!("convert {} d.safetensors", shown("taehv.pth")));
    for (arguments, expected) in [
        (
            "convert lacking.safetensors out.safetensors",
            "missing: decoder.9.conv.2.bias; misshapen: decoder.13.conv.weight",
        ),
        ("play --model d.safetensors", "family \"decoder\", expected world or wan"),
    ] {
        let output = folder.run(arguments);
        let err = text(&output.stderr);
        assert!(
            !output.status.success() && err.contains(expected) && err.trim().lines().count() == 1,
            "{arguments}: {err}"
        );
    }
    assert_eq!(folder.list(), ["d.safetensors", "lacking.safetensors", "tiny.safetensors"]);
    let file = DecoderFile::open(folder.path("d.safetensors")).unwrap();
    let cap = |bytes| DecoderOptions { backend: BackendChoice::Cpu, memory_cap: Some(bytes), threads: 1 };
    let Err(error) = Decoder::new(&file, (6, 8), &cap(1000)) else { panic!("a thousand bytes are enough") };
    let RolloutError::Session(SessionError::MemoryCap { needed, cap: 1000 }) = error else { panic!("{error}") };
    let decoder = Decoder::new(&file, (6, 8), &cap(needed)).unwrap();
    assert_eq!(decoder.memory().total(), needed);
    assert!(Decoder::new(&file, (6, 8), &cap(needed - 1)).is_err());
    assert!(Decoder::new(&file, (0, 8), &cap(needed)).is_err());
}
