//! Decoders against implementations nobody here wrote: `tests/parity/decoders.py` makes the files and what they must give.

mod common;

use causeway_ops::philox;
use causeway_runtime::{
    Decoder, DecoderFile, Device, Encoder, Exact, Model, SessionError, SessionOptions, VideoDecoder,
    sampler::Sampling,
    session::{Change, Condition},
};
use causeway_tests::machine;
use common::{Place, Tensor, error, golden, save, shown, tensors, text};

fn devices() -> Vec<Device> {
    machine::and_gpu(Device::cpu(1))
}

/// A decoder for latents [F, C, H, W].
fn decoder(file: &DecoderFile<'_>, latents: &Tensor, device: &Device) -> Decoder {
    Decoder::new(file, device, (latents.0[2], latents.0[3]), None).unwrap()
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
    for device in devices() {
        let mut decoder = decoder(&file, &all["latents"], &device);
        let (frames, counts) = decode(&mut decoder, &all["latents"]);
        assert_eq!(counts, [1, 4, 4, 4, 4]);
        let error = error(&frames, &all["frames"].1);
        println!("{device:?}: {error:.1e}");
        assert!(error <= 1e-3, "{device:?}: {error:e}");
        // A new stream remembers nothing of the old one.
        decoder.restart().unwrap();
        assert!(decode(&mut decoder, &all["latents"]).0 == frames);
    }
}

#[test]
fn the_vae_decodes_and_encodes_as_diffusers_does() {
    let folder = Place::new("decoders-vae");
    let all = tensors(golden("vae-parity.safetensors"));
    for (case, name) in [("vae", "vae.pth"), ("vae-diffusers", "vae-diffusers.safetensors")] {
        folder.good(&format!("convert {} v.safetensors --to f32", shown(name)));
        let file = DecoderFile::open(folder.path("v.safetensors")).unwrap();
        let part = |name: &str| &all[&format!("{case}.{name}")];
        let latents = part("latents");
        for device in devices() {
            let mut decoder = decoder(&file, latents, &device);
            let (frames, counts) = decode(&mut decoder, latents);
            assert_eq!(counts, [1, 4, 4, 4]);
            let decoded = error(&frames, &part("frames").1);

            let mut encoder = Encoder::new(&file, &device, (latents.0[2], latents.0[3]), None).unwrap();
            let (video, len) = (&part("video").1, 3 * encoder.picture().0 * encoder.picture().1);
            let mut rest = video.as_slice();
            let mut encoded = Vec::new();
            while !rest.is_empty() {
                let (next, after) = rest.split_at(encoder.frames() * len);
                encoded.extend(encoder.encode(next).unwrap());
                rest = after;
            }
            let encoded = error(&encoded, &part("encoded").1);
            println!("{device:?} {case}: decoded {decoded:.1e}, encoded {encoded:.1e}");
            assert!(decoded <= 1e-3 && encoded <= 1e-3, "{device:?} {case}: {decoded:e} {encoded:e}");
            // New streams remember nothing of the old ones.
            decoder.restart().unwrap();
            assert!(decode(&mut decoder, latents).0 == frames);
            encoder.restart().unwrap();
            assert_eq!(encoder.frames(), 1);
        }
    }
}

/// Latents [F, C, H, W] that change smoothly in space, as those of pictures do.
fn smooth([frames, channels, height, width]: [usize; 4]) -> Tensor {
    let value = |at: usize| {
        let (x, y, plane) = (at % width, at / width % height, at / width / height);
        let (x, y, plane) = (x as f32 / 5.0, y as f32 / 6.0, plane as f32);
        1.5 * (x + 2.3 * plane).sin() * (y + 1.7 * plane).cos() + 0.5 * (2.9 * x - 1.9 * y + plane).sin()
    };
    (vec![frames, channels, height, width], (0..frames * channels * height * width).map(value).collect())
}

/// Decodes whole and in tiles, and returns the tiles and PSNR that a memory cap leads to.
fn tiles(file: &DecoderFile<'_>, latents: &Tensor, device: &Device, caps: &[usize]) -> Vec<((usize, usize), f64)> {
    let size = (latents.0[2], latents.0[3]);
    let decode = |memory_cap: Option<usize>| {
        let mut decoder = VideoDecoder::new(file, device, size, memory_cap).unwrap();
        assert!(memory_cap.is_none_or(|cap| decoder.decoder().memory().total() <= cap));
        assert_eq!(decoder.picture(), (8 * size.1, 8 * size.0));
        (decoder.tiles(), decoder.decode::<SessionError>(&latents.1, || Ok(())).unwrap())
    };
    let (one, expected) = decode(None);
    assert_eq!((one, expected.len()), ((1, 1), (4 * latents.0[0] - 3) * 3 * 64 * size.0 * size.1));
    let tiled = |&cap: &usize| {
        let (tiles, found) = decode(Some(cap));
        assert_eq!(found.len(), expected.len());
        let squares = found.iter().zip(&expected).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>();
        let psnr = -10.0 * (squares / found.len() as f64).log10();
        println!("{device:?}, {tiles:?} tiles under {cap}: {psnr:.1} dB");
        (tiles, psnr)
    };
    caps.iter().map(tiled).collect()
}

/// Bytes that a video of this size takes whole, and in the smallest tiles.
fn needs(file: &DecoderFile<'_>, size: (usize, usize), device: &Device) -> (usize, usize) {
    let refused = |cap| {
        let refused = VideoDecoder::new(file, device, size, Some(cap)).map(|_| ()).unwrap_err();
        let SessionError::MemoryCap { needed, cap: named } = refused else { panic!("{refused}") };
        assert_eq!(named, cap);
        needed
    };
    let least = refused(1000);
    assert_eq!(refused(least - 1), least);
    (VideoDecoder::new(file, device, size, None).unwrap().decoder().memory().total(), least)
}

#[test]
fn tiles_fit_the_memory_cap_and_their_seams_do_not_show() {
    let folder = Place::new("decoders-tiles");
    // A random network, so its attention is as strong as all else.
    folder.good(&format!("convert {} v.safetensors --to f32", shown("vae.pth")));
    let file = DecoderFile::open(folder.path("v.safetensors")).unwrap();
    let device = Device::cpu(2);
    let (whole, least) = needs(&file, (38, 40), &device);
    println!("{whole} bytes whole, {least} at least");
    // The third latent is the first with all memories full.
    let found = tiles(&file, &smooth([3, 4, 38, 40]), &device, &[whole, whole - 1, least]);
    assert_eq!([found[0].0, found[1].0, found[2].0], [(1, 1), (1, 2), (2, 2)]);
    assert!(found.iter().all(|(_, psnr)| *psnr >= 90.0), "{found:?}");

    let Some(device) = machine::gpu(Device::gpu("")) else { return };
    let (whole, _) = needs(&file, (3, 40), &device);
    let found = tiles(&file, &smooth([2, 4, 3, 40]), &device, &[whole - 1]);
    assert!(found[0].0 == (1, 2) && found[0].1 >= 90.0, "{found:?}");
}

#[test]
fn taehv_decodes_whole_or_names_its_need() {
    let folder = Place::new("decoders-taehv-cap");
    folder.good(&format!("convert {} d.safetensors --to f32", shown("taehv.pth")));
    let file = DecoderFile::open(folder.path("d.safetensors")).unwrap();
    let device = Device::cpu(1);
    let (whole, least) = needs(&file, (40, 40), &device);
    assert_eq!(whole, least);
}

#[test]
fn decode_and_encode_give_what_diffusers_gives() {
    let folder = Place::new("decoders-commands");
    let all = tensors(golden("vae-parity.safetensors"));
    folder.good(&format!("convert {} v.safetensors --to f32", shown("vae.pth")));
    save(folder.path("latents.safetensors"), &[("latents", &all["vae.latents"])]);
    let decode = "decode --model v.safetensors --in latents.safetensors --backend cpu";
    folder.good(&format!("{decode} --out frames.safetensors"));
    let frames = tensors(folder.path("frames.safetensors")).remove("frames").unwrap();
    assert_eq!(frames.0, all["vae.frames"].0);
    let clamped: Vec<f32> = all["vae.frames"].1.iter().map(|value| value.clamp(0.0, 1.0)).collect();
    assert!(error(&frames.1, &clamped) <= 1e-3);
    for output in ["film.mp4", "film.gif", "sheet.png", "folder"] {
        folder.good(&format!("{decode} --out {output}"));
    }
    assert_eq!(std::fs::read_dir(folder.path("folder")).unwrap().count(), 13);

    save(folder.path("video.safetensors"), &[("frames", &all["vae.video"])]);
    folder.good("encode --model v.safetensors --in video.safetensors --out encoded.safetensors --backend cpu");
    let encoded = tensors(folder.path("encoded.safetensors")).remove("latents").unwrap();
    assert_eq!(encoded.0, all["vae.encoded"].0);
    assert!(error(&encoded.1, &all["vae.encoded"].1) <= 1e-3);
    // A picture is a stream of one frame.
    folder.good("encode --model v.safetensors --in folder/000000.png --size 32x32 --out one.safetensors");
    assert_eq!(tensors(folder.path("one.safetensors"))["latents"].0, [1, 4, 4, 4]);

    let list = folder.list();
    save(folder.path("odd.safetensors"), &[("latents", &(vec![1, 3, 1, 1], vec![0.0; 3]))]);
    for (arguments, expected) in [
        ("decode --model v.safetensors --in odd.safetensors --out x", "3 channels, the decoder takes 4"),
        ("decode --model v.safetensors --in video.safetensors --out x", "no tensor `latents`"),
        ("decode --model v.safetensors --in latents.safetensors --out x.avi", "cannot record as `.avi`"),
        ("decode --model v.safetensors --in latents.safetensors --out x --memory-cap 100KB", "memory cap is 100000"),
        (
            "encode --model v.safetensors --in folder --size 32x32 --out x.safetensors --threads 1 --backend gpu --adapter x",
            "no GPU adapter",
        ),
        (
            "encode --model v.safetensors --in video.safetensors --out x.safetensors --backend cpu --adapter x",
            "--backend is cpu",
        ),
    ] {
        let output = folder.run(arguments);
        let err = text(&output.stderr);
        let one = err.trim().lines().count() == 1;
        assert!(!output.status.success() && err.contains(expected) && one, "{arguments}: {err}");
    }
    std::fs::remove_file(folder.path("odd.safetensors")).unwrap();
    assert_eq!(folder.list(), list);
}

#[test]
fn a_prompt_becomes_a_video() {
    let folder = Place::new("decoders-generate");
    folder.good(&format!(
        "convert {} m.safetensors --heads 2 --text-len 16 --size 64x64 --to f32 --chunk 2",
        shown("tiny.pt")
    ));
    folder.good(&format!("convert {} d.safetensors --to f32", shown("taehv.pth")));
    let all = tensors(golden("parity.safetensors"));
    save(folder.path("prompt.safetensors"), &[("context", &all["chunks.context"])]);
    let generate = "generate --model m.safetensors --decoder d.safetensors --prompt prompt.safetensors --steps 1000,500 --backend cpu";
    folder.good(&format!("{generate} --frames 11 --record a"));
    folder.good(&format!("{generate} --frames 11 --record b"));
    folder.good(&format!("{generate} --frames 11 --record c --seed 1"));
    let frame = |folder_name: &str, index: usize| folder.read(&format!("{folder_name}/{index:06}.png"));
    assert!((0..11).all(|index| frame("a", index) == frame("b", index)));
    assert!((0..11).all(|index| frame("a", index) != frame("c", index)));
    assert_eq!(std::fs::read_dir(folder.path("a")).unwrap().count(), 11);

    // A change of prompt shows from its chunk on (two latents, 1 + 4 pictures, before it).
    let (context, changed) = (&all["chunks.context"], "--switch 2:keep --frames 11 --record d");
    let other: Vec<f32> = context.1.iter().map(|x| -x).collect();
    let other = (context.0.clone(), other);
    save(folder.path("prompt.safetensors"), &[("context", context), ("context2", &other)]);
    folder.good(&format!("{generate} {changed}"));
    assert!((0..11).all(|index| (frame("a", index) == frame("d", index)) == (index < 5)));
    // And a first chunk of more steps from the start.
    save(folder.path("prompt.safetensors"), &[("context", context)]);
    folder.good(&format!("{generate} --first-steps 1000,750,250 --frames 11 --record e"));
    assert!((0..11).all(|index| frame("a", index) != frame("e", index)));

    // Teachers' samplers and guidance away from a second prompt; without that prompt there is no video.
    save(folder.path("guided.safetensors"), &[("context", context), ("negative", &other)]);
    let guided = |prompt: &str| {
        let teacher = "--sampler unipc --steps-count 3 --guidance 2 --frames 6 --record g";
        folder.run(&format!("{generate} {teacher}").replace("prompt.safetensors", prompt))
    };
    let refused = guided("prompt.safetensors");
    assert!(text(&refused.stderr).contains("needs the tensor `negative`"), "{refused:?}");
    assert!(refused.status.code() == Some(2) && !folder.path("g").exists());
    let made = guided("guided.safetensors");
    assert!(made.status.success() && (0..6).all(|index| frame("a", index) != frame("g", index)), "{made:?}");

    #[cfg(unix)]
    folder.interrupt_recording(&format!("{generate} --frames 999999 --record long.gif"), "long.gif");

    // The same by hand: noise, rollout, decoder.
    let model = Model::open(folder.path("m.safetensors")).unwrap();
    let latent = model.config().dit.latent;
    let (area, channels) = (latent.height * latent.width, latent.channels);
    let draw = |frame: u32, step: u32, at: usize| {
        let element = at % area * channels + at / area;
        philox::normal4([0, 0], frame, step, element as u32 / 4)[element % 4]
    };
    let noise =
        |step| (0..4).flat_map(move |f| (0..channels * area).map(move |at| draw(f, step, at))).collect::<Vec<f32>>();
    let sampling = Some(Sampling::few(&model.config().schedule.sigmas(2).unwrap()));
    let mut exact =
        Exact::new(&model, &Device::cpu(0), SessionOptions { sampling, ..SessionOptions::default() }).unwrap();
    exact.session().set_prompt(0, &all["chunks.context"].1).unwrap();
    exact.session().queue(Change::to(Condition::Prompt(0))).unwrap();
    let latents = exact.run(&noise(0), &noise(1), |_| Ok::<_, SessionError>(())).unwrap();
    let file = DecoderFile::open(folder.path("d.safetensors")).unwrap();
    let latents = (vec![4, channels, latent.height, latent.width], latents);
    // A video that begins with the clean latents of its first chunk goes on as it did; noise belongs to frames.
    let half = latents.1[..latents.1.len() / 2].to_vec();
    save(folder.path("start.safetensors"), &[("latents", &(vec![2, channels, latent.height, latent.width], half))]);
    folder.good(&format!("{generate} --start start.safetensors --frames 11 --record f"));
    assert!((0..11).all(|index| frame("a", index) == frame("f", index)));
    let (frames, _) = decode(&mut decoder(&file, &latents, &Device::cpu(1)), &latents);
    for (index, expected) in frames.chunks_exact(3 * 64 * 64).take(11).enumerate() {
        let png = png::Decoder::new(std::io::Cursor::new(frame("a", index)));
        let mut reader = png.read_info().unwrap();
        let mut found = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut found).unwrap();
        for (at, &byte) in found.iter().enumerate() {
            let expected = expected[at % 3 * 64 * 64 + at / 3] * 255.0;
            assert!((f32::from(byte) - expected).abs() <= 0.51, "frame {index}, {at}: {byte} {expected}");
        }
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
    let new = |size, cap| Decoder::new(&file, &Device::cpu(1), size, Some(cap));
    let Err(error) = new((6, 8), 1000) else { panic!("a thousand bytes are enough") };
    let SessionError::MemoryCap { needed, cap: 1000 } = error else { panic!("{error}") };
    let decoder = new((6, 8), needed).unwrap();
    assert_eq!(decoder.memory().total(), needed);
    assert!(new((6, 8), needed - 1).is_err());
    assert!(new((0, 8), needed).is_err());
}
