//! Waypoint 1.5 against a twin written from its description alone (`tests/parity/waypoint.py`), from folders as they are published.

mod common;

use causeway_tests::machine;
use std::{fs, path::PathBuf};

use common::{Place, Tensor, error, golden, save, tensors, text, torch};

fn published(name: &str) -> PathBuf {
    golden(&format!("waypoint/{name}/model.safetensors"))
}

fn inputs(name: &str) -> PathBuf {
    golden(&format!("waypoint/{name}.safetensors"))
}

/// Errors of the first flow and of the latents, against their scale, of what a command made; `reading` ends the names of what is expected.
fn errors(place: &Place, name: &str, reading: &str) -> [f32; 2] {
    let (expected, found) = (tensors(inputs(name)), tensors(place.path("out.safetensors")));
    ["first_flow", "latents"].map(|what| error(&found[what].1, &expected[&format!("{what}{reading}")].1))
}

#[test]
fn unconverted_files_make_what_the_twin_makes() {
    let place = Place::new("waypoint-parity");
    for (name, bias, reading, backend) in [
        ("waypoint", "apart", "", "cpu"),
        ("waypoint", "mlp", "_mlp", "cpu"),
        ("waypoint-newer", "apart", "", "cpu"),
        ("waypoint", "apart", "", "gpu"),
        ("waypoint-newer", "mlp", "", "gpu"),
    ] {
        if !machine::runs_on(backend) {
            continue;
        }
        let (model, given) = (published(name), inputs(name));
        let (model, given) = (model.display(), given.display());
        place.good(&format!(
            "rollout --model {model} --in {given} --out out.safetensors --bias-in {bias} --backend {backend}"
        ));
        let [flow, latents] = errors(&place, name, reading);
        println!("{name}, {bias}, {backend}: first flow {flow:.1e}, latents {latents:.1e}");
        assert!(flow <= 1e-5 && latents <= 5e-4, "{name}, {bias}, {backend}: {flow:e}, {latents:e}");
        if (name, bias, backend) == ("waypoint", "apart", "cpu") {
            // The two readings are not the same here.
            assert!(errors(&place, name, "_mlp")[1] > 1e-2);
        }
    }
}

/// Measured errors of packed weights and rings, with some room.
#[test]
fn packed_weights_and_rings_stay_close() {
    let place = Place::new("waypoint-packed");
    let given = inputs("waypoint");
    for (weights, kv, backend, most) in [
        ("f32", "q8", "cpu", 5e-3),
        ("f32", "f16", "cpu", 5e-4),
        ("q8", "f32", "cpu", 2e-2),
        ("q4", "q8", "cpu", 0.2),
        ("q8", "q8", "gpu", 2e-2),
    ] {
        if !machine::runs_on(backend) {
            continue;
        }
        place.good(&format!("convert {} {weights}.safetensors --to {weights}", published("waypoint").display()));
        place.good(&format!(
            "rollout --model {weights}.safetensors --in {} --out out.safetensors --kv {kv} --backend {backend}",
            given.display()
        ));
        let [_, latents] = errors(&place, "waypoint", "");
        println!("{weights} weights, {kv} ring, {backend}: latents {latents:.1e}");
        assert!(latents <= most, "{weights} weights, {kv} ring, {backend}: {latents:e}");
    }
}

#[test]
fn what_lies_beside_a_checkpoint_is_used_and_named() {
    let place = Place::new("waypoint-config");
    fs::copy(published("waypoint"), place.path("model.safetensors")).unwrap();
    let config = fs::read_to_string(published("waypoint").with_file_name("config.yaml")).unwrap();
    place.write("config.yaml", format!("{config}fancy: 1\n").as_bytes());
    let out = place.run("convert model.safetensors m.safetensors --to f32 --mouse-scale 0.5");
    let said = text(&out.stderr);
    assert!(out.status.success() && said.contains("config.yaml has keys that are not known: fancy"), "{said}");
    assert!(said.contains("the two bias_in differ in 4 layers, by up to"), "{said}");
    let out = place.run(&format!("convert {} newer.safetensors", published("waypoint-newer").display()));
    assert!(text(&out.stderr).contains("the two bias_in of every layer are the same"), "{}", text(&out.stderr));
    let info = place.good("info m.safetensors");
    for what in ["waypoint", "96 x 64, 60 frames/s", "mouse_x, mouse_y", "layers [1, 3]: window 4", "one frame of 4"] {
        assert!(info.contains(what), "{what}: {info}");
    }
    assert!(place.good("info m.safetensors --json").contains("\"mouse_scale\": 0.5"));
    // Half the mouse twice as far is the same mouse.
    let given = tensors(inputs("waypoint"));
    let (shape, mut controls) = given["controls"].clone();
    controls.chunks_exact_mut(shape[1]).for_each(|row| row[..2].iter_mut().for_each(|way| *way *= 2.0));
    let controls: Tensor = (shape, controls);
    save(place.path("in.safetensors"), &[("noise", &given["noise"]), ("controls", &controls)]);
    place.good("rollout --model m.safetensors --in in.safetensors --out out.safetensors");
    assert!(errors(&place, "waypoint", "")[1] <= 5e-4);
    // Other rings than the file's make another video.
    for change in ["local_window: 4", "global_window: 16"] {
        let (key, value) = change.split_once(": ").unwrap();
        let other = format!("{key}: {}", 2 * value.parse::<usize>().unwrap());
        place.write("config.yaml", config.replace(change, &other).as_bytes());
        place.good(&format!(
            "rollout --model model.safetensors --in {} --out out.safetensors",
            inputs("waypoint").display()
        ));
        let [flow, latents] = errors(&place, "waypoint", "");
        assert!(flow <= 1e-5 && latents > 1e-3, "{change}: {flow:e}, {latents:e}");
    }
    // What is not run is an error.
    place.write("config.yaml", config.replace("moe: false", "moe: true").as_bytes());
    let out = place.run("convert model.safetensors m.safetensors");
    assert!(text(&out.stderr).contains("config.yaml: moe is true, which is not run"), "{}", text(&out.stderr));
    // Without it a head has 64 features, and the picture is the larger one's.
    fs::remove_file(place.path("config.yaml")).unwrap();
    let out = place.run("convert model.safetensors m.safetensors");
    assert!(text(&out.stderr).contains("1 heads of 64, but keys of 32 features"), "{}", text(&out.stderr));
}

#[test]
fn what_does_not_fit_is_refused() {
    let place = Place::new("waypoint-refusals");
    let given = tensors(inputs("waypoint"));
    let model = published("waypoint");
    let said = |controls: Option<Tensor>, options: &str| {
        let controls = controls.unwrap_or_else(|| given["controls"].clone());
        save(place.path("in.safetensors"), &[("noise", &given["noise"]), ("controls", &controls)]);
        let out = place
            .run(&format!("rollout --model {} --in in.safetensors --out out.safetensors {options}", model.display()));
        assert!(!out.status.success());
        text(&out.stderr)
    };
    let text = said(Some((vec![41, 10], vec![0.0; 410])), "");
    assert!(text.contains("`controls` has 41 rows of 10, the model takes 41 rows of 11"), "{text}");
    let text = said(Some((vec![40, 11], vec![0.0; 440])), "");
    assert!(text.contains("`controls` has 40 rows of 11, the model takes 41 rows of 11"), "{text}");
    let text = said(None, "--steps 500");
    assert!(
        text.contains("timestep 500: the file has conditions for [1000.0, 900.0, 750.0, 300.0, 0.0] only"),
        "{text}"
    );
    let text = said(None, "--switch 4:keep");
    assert!(text.contains("this model reads no prompts"), "{text}");
    let text = said(None, "--chunk 3");
    assert!(text.contains("passes of 3 latent frames; this network takes one"), "{text}");
    let text = said(None, "--heads 4");
    assert!(text.contains("do not belong to a Waypoint network"), "{text}");
    // A tensor that is missing is named.
    let mut all = tensors(model.clone());
    all.remove("transformer.blocks.2.attn.v_lamb");
    let list: Vec<(&str, &Tensor)> = all.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    save(place.path("model.safetensors"), &list);
    fs::copy(model.with_file_name("config.yaml"), place.path("config.yaml")).unwrap();
    let out = place.run("convert model.safetensors m.safetensors");
    let text = common::text(&out.stderr);
    assert!(
        text.contains("not a Waypoint 1.5 network") && text.contains("missing: transformer.blocks.2.attn.v_lamb"),
        "{text}"
    );
}

/// Tensors by name, shape and size of their values.
type Published = Vec<(String, Vec<usize>, f32)>;

/// The published network, every width an eighth of what it is; heads stay as wide, so there is an eighth of them.
fn network() -> Published {
    let (dim, kv, ffn) = (256, 128, 1024);
    let mut all: Published = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        let fan_in = shape.iter().skip(1).product::<usize>().max(1) as f32;
        all.push((name, shape.to_vec(), if shape.len() < 2 { 0.3 } else { fan_in.sqrt().recip() }));
    };
    add("patchify.weight".into(), &[dim, 32, 2, 2]);
    add("denoise_step_emb.mlp.fc1.weight".into(), &[ffn, 512]);
    add("denoise_step_emb.mlp.fc2.weight".into(), &[dim, ffn]);
    add("ctrl_emb.mlp.fc1.weight".into(), &[ffn, 259]);
    add("ctrl_emb.mlp.fc2.weight".into(), &[dim, ffn]);
    add("ctrl_cfg.null_emb".into(), &[1, 1, dim]);
    add("out_norm.fc.weight".into(), &[2 * dim, dim]);
    add("unpatchify.weight".into(), &[dim, 32, 2, 2]);
    add("unpatchify.bias".into(), &[32]);
    for n in 0..24 {
        let mut add = |part: &str, shape: &[usize]| add(format!("transformer.blocks.{n}.{part}"), shape);
        for (part, rows) in [("q", dim), ("k", kv), ("v", kv), ("out", dim)] {
            add(&format!("attn.{part}_proj.weight"), &[rows, dim]);
        }
        add("attn.v_lamb", &[]);
        for half in ["attn", "mlp"] {
            add(&format!("{half}_cond_head.bias_in"), &[dim]);
            (0..3).for_each(|at| add(&format!("{half}_cond_head.cond_proj.{at}.weight"), &[dim, dim]));
        }
        add("dit_mlp.fc1.weight", &[ffn, dim]);
        add("dit_mlp.fc2.weight", &[dim, ffn]);
        for part in ["fc1_x", "fc1_c", "fc2"].iter().filter(|_| n % 3 == 0) {
            add(&format!("ctrl_mlpfusion.{part}.weight"), &[dim, dim]);
        }
    }
    all
}

/// taehv1_5, every width an eighth of what it is.
fn codec() -> Published {
    let (widths, encoder) = ([32, 16, 8, 8], 8);
    let mut all: Published = Vec::new();
    let mut conv = |name: String, outputs: usize, inputs: usize, kernel: usize, bias: bool| {
        let fan_in = (inputs * kernel * kernel) as f32;
        all.push((format!("{name}.weight"), vec![outputs, inputs, kernel, kernel], (2.0 / fan_in).sqrt()));
        if bias {
            all.push((format!("{name}.bias"), vec![outputs], 0.05));
        }
    };
    let memory = |conv: &mut dyn FnMut(String, usize, usize, usize, bool), name: String, width: usize| {
        for (part, inputs) in [(0, 2 * width), (2, width), (4, width)] {
            conv(format!("{name}.conv.{part}"), width, inputs, 3, true);
        }
    };
    conv("encoder.0".into(), encoder, 12, 3, true);
    for (stage, stride) in [2, 2, 1].into_iter().enumerate() {
        let at = 2 + 5 * stage;
        conv(format!("encoder.{at}.conv"), encoder, stride * encoder, 1, false);
        conv(format!("encoder.{}", at + 1), encoder, encoder, 3, false);
        (0..3).for_each(|block| memory(&mut conv, format!("encoder.{}", at + 2 + block), encoder));
    }
    conv("encoder.17".into(), 32, encoder, 3, true);
    conv("decoder.1".into(), widths[0], 32, 3, true);
    for (stage, stride) in [1, 2, 2].into_iter().enumerate() {
        let at = 3 + 6 * stage;
        (0..3).for_each(|block| memory(&mut conv, format!("decoder.{}", at + block), widths[stage]));
        conv(format!("decoder.{}.conv", at + 4), stride * widths[stage], widths[stage], 1, false);
        conv(format!("decoder.{}", at + 5), widths[stage + 1], widths[stage], 3, false);
    }
    conv("decoder.22".into(), 12, widths[3], 3, true);
    all
}

/// Values of tensors one after the other, the same on every run: uniform, of the size that each should have.
fn values(published: &Published) -> impl Iterator<Item = f32> {
    let mut random = 7u32;
    published.iter().flat_map(|(_, shape, size)| std::iter::repeat_n(*size, shape.iter().product())).map(move |size| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        size * 3f32.sqrt() * ((random >> 8) as f32 / (1 << 23) as f32 - 1.0)
    })
}

/// As bf16 in a safetensors file.
fn safetensors(published: &Published) -> Vec<u8> {
    let data: Vec<u8> = values(published).flat_map(|x| ((x.to_bits() >> 16) as u16).to_le_bytes()).collect();
    let (mut header, mut start) = (serde_json::Map::new(), 0);
    for (name, shape, _) in published {
        let end = start + 2 * shape.iter().product::<usize>();
        let about = serde_json::json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), about);
        start = end;
    }
    let header = serde_json::Value::from(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// As f32 in a PyTorch archive.
fn pth(published: &Published) -> Vec<u8> {
    let data: Vec<u8> = values(published).flat_map(f32::to_le_bytes).collect();
    let mut offset = 0;
    let tensors: Vec<(&str, Vec<u8>)> = published
        .iter()
        .map(|(name, shape, _)| {
            let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            let stride: Vec<i64> = (0..shape.len()).map(|at| shape[at + 1..].iter().product()).collect();
            let tensor = torch::tensor("FloatStorage", offset, &shape, &stride);
            offset += shape.iter().product::<i64>();
            (name.as_str(), tensor)
        })
        .collect();
    torch::checkpoint(&torch::pickle(&torch::dict(&tensors)), &data)
}

/// The commands of docs/models.md, all but the download, on folders with the published names, types and tensors at an eighth of the width: from the
/// files to a world that is played.
#[test]
fn documented_commands_run_on_a_folder_as_published() {
    let place = Place::new("waypoint-release");
    let network = network();
    assert_eq!(network.len(), 393);
    fs::create_dir(place.path("Waypoint-1.5-1B-360P")).unwrap();
    place.write("Waypoint-1.5-1B-360P/model.safetensors", &safetensors(&network));
    let config = fs::read_to_string(published("waypoint").with_file_name("config.yaml")).unwrap();
    let config = [
        ("d_model: 64", "d_model: 256"),
        ("n_layers: 4", "n_layers: 24"),
        ("d_head: 16", "d_head: 64"),
        ("mlp_ratio: 2", "mlp_ratio: 4"),
        ("channels: 4", "channels: 32"),
        ("height: 2", "height: 8"),
        ("width: 3", "width: 16"),
        ("tokens_per_frame: 6", "tokens_per_frame: 128"),
        ("local_window: 4", "local_window: 16"),
        ("global_window: 16", "global_window: 128"),
        ("global_pinned_dilation: 4", "global_pinned_dilation: 8"),
        ("global_attn_period: 2", "global_attn_period: 4"),
        ("n_buttons: 8", "n_buttons: 256"),
    ]
    .into_iter()
    .fold(config, |config, (from, to)| {
        assert!(config.contains(from), "{from}");
        config.replace(from, to)
    });
    place.write("Waypoint-1.5-1B-360P/config.yaml", config.as_bytes());
    place.write("taehv1_5.pth", &pth(&codec()));
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/models.md")).unwrap();
    let section = page.split("## Waypoint 1.5\n").nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap();
    let commands: Vec<&str> = block.lines().skip(1).filter(|line| !line.is_empty()).collect();
    let mut played = false;
    for command in &commands[1..] {
        let command = command.strip_prefix("causeway ").unwrap();
        if command.starts_with("play") {
            // Without a terminal it records; a few pictures will do.
            place.good(&format!("{command} --record out.png --frames 6 --action W,SPACE"));
            assert!(place.path("out.png").exists());
            played = true;
        } else {
            place.good(command);
        }
    }
    assert!(played && commands.len() <= 5, "{commands:?}");
    let info = place.good("info wp.safetensors --json");
    for what in ["\"kv_heads\": 2", "\"SPACE\"", "\"MOUSE1\"", "\"sampler\": \"euler\""] {
        assert!(info.contains(what), "{what}");
    }
}
