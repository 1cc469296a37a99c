//! Games against FastVideo's Matrix-Game 2.0 (`tests/parity/game.py`), from folders as they are published: no option says what
//! `config.json` or the file's name tells.

mod common;

use std::{fs, path::PathBuf};

use causeway_runtime::{Budget, Device, import::Checkpoint};
use causeway_tests::{game::Game, stream::next_frame};
use common::{
    Place, Tensor, error, golden,
    published::{Published, add, documented, pth, safetensors},
    save, tensors, text, torch,
};

/// Folder and file of a published network, and what its session is told beside.
const RELEASES: [(&str, &str); 3] = [
    ("base_distilled_model", "base_distill"),
    ("gta_distilled_model", "gta_keyboard2dim"),
    ("templerun_distilled_model", "templerun_7dim_onlykey"),
];

fn published((folder, file): (&str, &str)) -> PathBuf {
    golden(&format!("game/{folder}/{file}.safetensors"))
}

fn inputs(folder: &str) -> PathBuf {
    golden(&format!("game/{folder}.safetensors"))
}

/// Errors of the first flow and of the latents, against their scale, of what a command made of the inputs.
fn errors(place: &Place, folder: &str) -> [f32; 2] {
    let (expected, found) = (tensors(inputs(folder)), tensors(place.path("out.safetensors")));
    ["first_flow", "latents"].map(|name| error(&found[name].1, &expected[name].1))
}

#[test]
fn unconverted_files_make_what_another_implementation_makes() {
    let place = Place::new("games-parity");
    for release in RELEASES {
        for backend in ["cpu", "gpu"] {
            let (model, given) = (published(release), inputs(release.0));
            let (model, given) = (model.display(), given.display());
            place.good(&format!("rollout --model {model} --in {given} --out out.safetensors --backend {backend}"));
            let [flow, latents] = errors(&place, release.0);
            println!("{}, {backend}: first flow {flow:.1e}, latents {latents:.1e}", release.0);
            assert!(flow <= 1e-5 && latents <= 5e-4, "{}, {backend}: {flow:e}, {latents:e}", release.0);
        }
    }
}

/// Measured errors of packed weights and rings, with some room.
#[test]
fn packed_weights_and_rings_stay_close() {
    let place = Place::new("games-packed");
    let release = RELEASES[0];
    let given = inputs(release.0);
    for backend in ["cpu", "gpu"] {
        for (weights, kv, most) in [("f32", "q8", 4e-3), ("f32", "f16", 4e-4), ("q8", "f32", 5e-2), ("q4", "q8", 0.5)] {
            place.good(&format!("convert {} {weights}.safetensors --to {weights}", published(release).display()));
            place.good(&format!(
                "rollout --model {weights}.safetensors --in {} --out out.safetensors --kv {kv} --backend {backend}",
                given.display()
            ));
            let [_, latents] = errors(&place, release.0);
            println!("{weights} weights, {kv} ring, {backend}: latents {latents:.1e}");
            assert!(latents <= most, "{weights} weights, {kv} ring, {backend}: {latents:e}");
        }
    }
}

#[test]
fn what_lies_beside_a_checkpoint_is_used_and_named() {
    let place = Place::new("games-config");
    let release = RELEASES[1];
    fs::copy(published(release), place.path("model.safetensors")).unwrap();
    let config = fs::read_to_string(published(release).with_file_name("config.json")).unwrap();
    place.write("config.json", config.replacen('{', "{\"fancy_norm\": 2,", 1).as_bytes());
    let out = place.run("convert model.safetensors m.safetensors --to f32");
    let said = text(&out.stderr);
    assert!(out.status.success() && said.contains("config.json has keys that are not known: fancy_norm"), "{said}");
    let info = place.good("info m.safetensors");
    for what in
        ["matrix-game", "window 4, sink 0", "forward, back, pitch, yaw", "257 rows of 20 features", "[3], 3 by default"]
    {
        assert!(info.contains(what), "{what}: {info}");
    }
    // Without it heads are asked for, for a head is not of 128 features here.
    fs::remove_file(place.path("config.json")).unwrap();
    let out = place.run("convert model.safetensors m.safetensors --to f32");
    assert!(text(&out.stderr).contains("--heads"), "{}", text(&out.stderr));
    // Another window than the file's gives another video.
    place.write("config.json", config.replace("\"local_attn_size\": 4", "\"local_attn_size\": 6").as_bytes());
    place
        .good(&format!("rollout --model model.safetensors --in {} --out out.safetensors", inputs(release.0).display()));
    assert!(errors(&place, release.0)[1] > 1e-2);
    // What is contradicted is an error.
    place.write("config.json", config.replace("\"qkv_bias\": false", "\"qkv_bias\": true").as_bytes());
    let out = place.run("convert model.safetensors m.safetensors");
    assert!(text(&out.stderr).contains("action_config.qkv_bias is true, which is not run"), "{}", text(&out.stderr));
}

/// `play` of a bundle makes what a session of its parts makes; its file says what it is played with.
#[test]
fn a_bundle_with_its_picture_is_played() {
    let place = Place::new("games-play");
    let game = Game::open();
    game.bundle(&place.path(""));
    let played = |to: &str, action: &str| {
        place.good(&format!(
            "play --model bundle.safetensors --record {to} --frames 21 --scale 1 --seed 7 --backend cpu --action {action}"
        ));
    };
    played("ahead", "1,0,0,0,0,0.1");
    played("still", "0,0,0,0,0,0");
    let mut session = game.session(&Device::cpu(2), game.options());
    session.set_action(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.1]).unwrap();
    for frame in 0..21 {
        let name = |folder: &str| place.read(&format!("{folder}/{frame:06}.png"));
        let picture = next_frame(&mut session, Budget::Frame);
        let rgb: Vec<u8> = picture.chunks_exact(4).flat_map(|pixel| &pixel[..3]).copied().collect();
        assert!(pixels(&name("ahead")) == rgb, "picture {frame}");
        assert!(frame < 13 || name("ahead") != name("still"), "picture {frame} shows nothing of the action");
    }
    let controls = &place.json("info bundle.safetensors --json")["denoiser"]["config"]["controls"];
    let has = |key: &str, action: &str| {
        controls.as_array().unwrap().iter().any(|control| control["key"] == key && control["action"] == action)
    };
    assert!(has("w", "forward") && has("mouse-x", "yaw"), "{controls}");
}

/// A game begins from a picture that it is told, other worlds from frames.
#[test]
fn bundles_with_the_wrong_start_are_refused() {
    let place = Place::new("games-starts");
    Game::open().bundle(&place.path(""));
    let latents = (vec![1, 4, 4, 6], vec![0.0; 96]);
    save(place.path("latents.safetensors"), &[("latents", &latents)]);
    let few = (vec![1, 7, 4, 6], vec![0.0; 168]);
    save(place.path("few.safetensors"), &[("condition", &few)]);
    for (start, expected) in [
        ("latents", "start hall has a tensor `latents`, the denoiser begins from `condition`"),
        ("few", "start hall has 7 channels, the denoiser 8"),
    ] {
        let out =
            place.run(&format!("bundle --model game.safetensors --start hall={start}.safetensors --out b.safetensors"));
        let said = text(&out.stderr);
        assert!(!out.status.success() && said.contains(expected), "{said}");
    }
    // One without a picture says so when it is played.
    place.good("bundle --model game.safetensors --decoder codec.safetensors --out bare.safetensors");
    let out = place.run("play --model bare.safetensors --record out.png --frames 2 --backend cpu");
    assert!(text(&out.stderr).contains("picture condition"), "{}", text(&out.stderr));
}

fn pixels(file: &[u8]) -> Vec<u8> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut data).unwrap();
    data
}

/// ForgeWM's files are called by their steps, and those of one and two steps have a list of their own for the first chunk.
#[test]
fn few_steps_have_an_own_list_for_the_first_chunk() {
    let place = Place::new("games-forge");
    fs::create_dir(place.path("2step")).unwrap();
    fs::copy(published(RELEASES[0]), place.path("2step/model.safetensors")).unwrap();
    fs::copy(published(RELEASES[0]).with_file_name("config.json"), place.path("2step/config.json")).unwrap();
    let given = tensors(inputs(RELEASES[0].0));
    let (shape, noise) = &given["renoise"];
    let one: usize = shape[1..].iter().product();
    // One more row: the first chunk has four steps.
    let renoise: Tensor = ([vec![3], shape[1..].to_vec()].concat(), [&noise[..], &noise[..one]].concat());
    let mut list: Vec<(&str, &Tensor)> = given.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    list.retain(|(name, _)| !["renoise", "latents", "first_flow"].contains(name));
    list.push(("renoise", &renoise));
    save(place.path("in.safetensors"), &list);
    let roll = |options: &str| {
        place.good(&format!(
            "rollout --model 2step/model.safetensors --in in.safetensors --out out.safetensors {options}"
        ));
        tensors(place.path("out.safetensors")).remove("latents").unwrap().1
    };
    let own = roll("");
    assert_eq!(own, roll("--steps 1000,250 --first-steps 1000,750,500,250"));
    place.good("convert 2step/model.safetensors m.safetensors --to f32");
    let info = place.good("info m.safetensors --json");
    assert!(info.contains("\"first\""), "{info}");
}

#[test]
fn norms_that_are_not_ones_are_named_and_not_applied() {
    let place = Place::new("games-norms");
    let release = RELEASES[0];
    let mut all = tensors(published(release));
    let name = "model.blocks.2.action_model.img_attn_q_norm.weight";
    all.get_mut(name).unwrap().1[3] = 1.5;
    let list: Vec<(&str, &Tensor)> = all.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    save(place.path("model.safetensors"), &list);
    fs::copy(published(release).with_file_name("config.json"), place.path("config.json")).unwrap();
    let given = inputs(release.0);
    let out = place.run(&format!("rollout --model model.safetensors --in {} --out out.safetensors", given.display()));
    let said = text(&out.stderr);
    assert!(out.status.success() && said.contains("not ones") && said.contains(name), "{said}");
    assert!(errors(&place, release.0)[1] <= 5e-4);
}

#[test]
fn actions_of_another_shape_are_refused() {
    let place = Place::new("games-refusals");
    let release = RELEASES[0];
    let given = tensors(inputs(release.0));
    for (name, changed, what) in [
        ("mouse", None, "`mouse` has 0 rows of 0, the model takes 69 rows of 2"),
        ("keyboard", Some((vec![70, 4], vec![0.0; 280])), "`keyboard` has 70 rows of 4, the model takes 69 rows of 4"),
        ("condition", None, "the start picture condition has 0 values, this model takes 192"),
        ("image_context", Some((vec![5, 7], vec![0.0; 35])), "the prompt has rows of 7, the model takes 20"),
    ] {
        let mut all = given.clone();
        match changed {
            Some(tensor) => _ = all.insert(name.to_owned(), tensor),
            None => _ = all.remove(name),
        }
        let list: Vec<(&str, &Tensor)> = all.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        save(place.path("in.safetensors"), &list);
        let model = published(release);
        let out = place.run(&format!("rollout --model {} --in in.safetensors --out out.safetensors", model.display()));
        let said = text(&out.stderr);
        assert!(!out.status.success() && said.contains(what), "{name}: {said}");
    }
}

/// Training files of ForgeWM: of their parts `generator` is taken, whatever wrapped its modules; there is no `config.json`.
#[test]
fn training_files_are_read_as_their_own_program_reads_them() {
    let place = Place::new("games-pt");
    let all = tensors(published(RELEASES[0]));
    let (mut data, mut generator, mut average) = (Vec::new(), Vec::new(), Vec::new());
    for (name, (shape, values)) in &all {
        let [sizes, strides] = [0, 1].map(|from| {
            let of = |at: usize| if from == 0 { shape[at] } else { shape[at + 1..].iter().product() };
            (0..shape.len()).map(|at| of(at) as i64).collect::<Vec<_>>()
        });
        let tensor = |start| torch::tensor("FloatStorage", start, &sizes, &strides);
        let name = name.replace("blocks.", "blocks._fsdp_wrapped_module.").replacen(
            "model.",
            "model._fsdp_wrapped_module.",
            1,
        );
        generator.push((name.clone(), tensor(data.len() as i64 / 4)));
        // The average is of the same shapes and begins elsewhere.
        average.push((name, tensor(0)));
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    let dict = |list: &[(String, Vec<u8>)]| {
        torch::dict(&list.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect::<Vec<_>>())
    };
    let parts = [("generator_ema", dict(&average)), ("critic", dict(&average)), ("generator", dict(&generator))];
    let file = torch::checkpoint(&torch::pickle(&torch::dict(&parts)), &data);
    fs::create_dir(place.path("stage3")).unwrap();
    place.write("stage3/model.pt", &file);
    let given = inputs(RELEASES[0].0);
    let (out, given) = ("out.safetensors", given.display());
    let run =
        place.run(&format!("rollout --model stage3/model.pt --in {given} --out {out} --heads 2 --steps 1000,666,333"));
    let said = text(&run.stderr);
    assert!(run.status.success() && said.contains("there is no config.json beside it"), "{said}");
    let [flow, latents] = errors(&place, RELEASES[0].0);
    assert!(flow <= 1e-5 && latents <= 5e-4, "{flow:e}, {latents:e}");
    place.good("convert stage3/model.pt m.safetensors --heads 2 --to f32");
    assert!(place.good("info m.safetensors").contains("[4], 4 by default"));
    // The average, where it is asked for.
    place.good(&format!(
        "rollout --model stage3/model.pt --in {given} --out {out} --heads 2 --steps 1000,666,333 --key generator_ema"
    ));
    assert!(errors(&place, RELEASES[0].0)[1] > 1e-2);
}

/// The published network of 4 keys and a mouse, every width an eighth of what it is.
fn network() -> Published {
    let (dim, ffn, wide, features) = (192, 1120, 128, 160);
    let mut all = Published::new();
    let mut add = |name: String, shape: &[usize]| add(&mut all, format!("model.{name}"), shape);
    let mut linear = |name: &str, [outputs, inputs]: [usize; 2], bias: bool| {
        add(format!("{name}.weight"), &[outputs, inputs]);
        if bias {
            add(format!("{name}.bias"), &[outputs]);
        }
    };
    linear("time_embedding.0", [dim, 32], true);
    linear("time_embedding.2", [dim, dim], true);
    linear("time_projection.1", [6 * dim, dim], true);
    linear("head.head", [64, dim], true);
    linear("img_emb.proj.1", [features, features], true);
    linear("img_emb.proj.3", [dim, features], true);
    for n in 0..30 {
        let mut linear = |part: &str, sizes: [usize; 2], bias: bool| linear(&format!("blocks.{n}.{part}"), sizes, bias);
        for part in ["self_attn", "cross_attn"] {
            ["q", "k", "v", "o"].iter().for_each(|one| linear(&format!("{part}.{one}"), [dim, dim], true));
        }
        linear("ffn.0", [ffn, dim], true);
        linear("ffn.2", [dim, ffn], true);
        let mut linear = |part: &str, sizes, bias| linear(&format!("action_model.{part}"), sizes, bias);
        if n < 15 {
            linear("keyboard_embed.0", [16, 4], true);
            linear("keyboard_embed.2", [16, 16], true);
            linear("mouse_attn_q", [wide, dim], false);
            linear("keyboard_attn_kv", [2 * wide, 12 * 16], false);
            linear("proj_keyboard", [dim, wide], false);
            linear("mouse_mlp.0", [wide, dim + 24], true);
            linear("mouse_mlp.2", [wide, wide], true);
            linear("t_qkv", [3 * wide, wide], false);
            linear("proj_mouse", [dim, wide], false);
        }
    }
    add("patch_embedding.weight".into(), &[dim, 36, 1, 2, 2]);
    add("patch_embedding.bias".into(), &[dim]);
    add("head.modulation".into(), &[1, 2, dim]);
    for (name, width) in [("img_emb.proj.0", features), ("img_emb.proj.4", dim)] {
        ["weight", "bias"].iter().for_each(|part| add(format!("{name}.{part}"), &[width]));
    }
    for n in 0..30 {
        let mut add = |part: &str, shape: &[usize]| add(format!("blocks.{n}.{part}"), shape);
        add("modulation", &[1, 6, dim]);
        for part in ["self_attn.norm_q", "self_attn.norm_k", "cross_attn.norm_q", "cross_attn.norm_k", "norm3"] {
            add(&format!("{part}.weight"), &[dim]);
        }
        add("norm3.bias", &[dim]);
        if n < 15 {
            for part in ["key_attn_q", "key_attn_k", "img_attn_q", "img_attn_k"] {
                add(&format!("action_model.{part}_norm.weight"), &[64]);
            }
            ["weight", "bias"].iter().for_each(|part| add(&format!("action_model.mouse_mlp.3.{part}"), &[wide]));
        }
    }
    all
}

/// Its `config.json`; heads of the action modules stay as wide, so there is an eighth of them.
fn config() -> String {
    serde_json::json!({
        "_class_name": "CausalWanModel", "_diffusers_version": "0.35.0.dev0", "dim": 192, "eps": 1e-6, "ffn_dim": 1120,
        "freq_dim": 32, "in_dim": 36, "inject_sample_info": false, "local_attn_size": 6, "model_type": "i2v",
        "num_heads": 12, "num_layers": 30, "out_dim": 16, "sink_size": 0, "text_len": 512,
        "action_config": {
            "blocks": (0..15).collect::<Vec<_>>(), "enable_keyboard": true, "enable_mouse": true, "heads_num": 2,
            "hidden_size": 16, "img_hidden_size": 192, "keyboard_dim_in": 4, "keyboard_hidden_dim": 128,
            "mouse_dim_in": 2, "mouse_hidden_dim": 128, "mouse_qk_dim_list": [8, 28, 28], "patch_size": [1, 2, 2],
            "qk_norm": true, "qkv_bias": false, "rope_dim_list": [8, 28, 28], "rope_theta": 256,
            "vae_time_compression_ratio": 4, "windows_size": 3,
        },
    })
    .to_string()
}

/// Wan's VAE, which the golden one is but for its widths, at an eighth of those.
fn vae() -> Published {
    let golden = Checkpoint::open(golden("vae.pth")).unwrap();
    let mut all = Published::new();
    for entry in golden.entries() {
        let mut shape = entry.shape.clone();
        match entry.name.as_str() {
            // The latents' own channels, and twice as many.
            "conv1.weight" => (shape[0], shape[1]) = (32, 32),
            "conv1.bias" | "encoder.head.2.bias" => shape[0] = 32,
            "conv2.weight" => (shape[0], shape[1]) = (16, 16),
            "conv2.bias" => shape[0] = 16,
            "encoder.head.2.weight" => (shape[0], shape[1]) = (32, 48),
            "decoder.conv1.weight" => (shape[0], shape[1]) = (48, 16),
            _ => shape.iter_mut().take(2).filter(|size| size.is_multiple_of(8)).for_each(|size| *size = *size / 2 * 3),
        }
        add(&mut all, entry.name.clone(), &shape);
    }
    all
}

/// CLIP's two towers, of the text's only a piece; heads stay as wide.
fn clip() -> Published {
    let (dim, ffn) = (160, 640);
    let mut all = Published::new();
    let mut add = |name: &str, shape: &[usize]| add(&mut all, name.to_owned(), shape);
    add("log_scale", &[]);
    add("textual.token_embedding.weight", &[64, 128]);
    add("visual.cls_embedding", &[1, 1, dim]);
    add("visual.pos_embedding", &[1, 257, dim]);
    add("visual.patch_embedding.weight", &[dim, 3, 14, 14]);
    add("visual.head", &[dim, 128]);
    let norms = (0..32).flat_map(|n| ["norm1", "norm2"].map(|norm| format!("transformer.{n}.{norm}")));
    for name in norms.chain(["pre_norm".into(), "post_norm".into()]) {
        ["weight", "bias"].iter().for_each(|part| add(&format!("visual.{name}.{part}"), &[dim]));
    }
    for n in 0..32 {
        for (part, outputs, inputs) in
            [("attn.to_qkv", 3 * dim, dim), ("attn.proj", dim, dim), ("mlp.0", ffn, dim), ("mlp.2", dim, ffn)]
        {
            add(&format!("visual.transformer.{n}.{part}.weight"), &[outputs, inputs]);
            add(&format!("visual.transformer.{n}.{part}.bias"), &[outputs]);
        }
    }
    all
}

/// The commands of docs/models.md, all but the download, on a folder with the published names, types and tensors at an eighth of the width: from
/// the files and a picture to a game that is played. Pictures are smaller than the network's own.
#[test]
fn documented_commands_run_on_a_folder_as_published() {
    let place = Place::new("games-release");
    let network = network();
    assert_eq!(network.len(), 1114);
    fs::create_dir_all(place.path("Matrix-Game-2.0/base_distilled_model")).unwrap();
    place.write("Matrix-Game-2.0/base_distilled_model/base_distill.safetensors", &safetensors(&network));
    place.write("Matrix-Game-2.0/base_distilled_model/config.json", config().as_bytes());
    place.write("Matrix-Game-2.0/Wan2.1_VAE.pth", &pth(&vae()));
    place.write("Matrix-Game-2.0/models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth", &pth(&clip()));
    fs::copy(golden("pictures/plain.jpg"), place.path("shot.png")).unwrap();
    let mut played = false;
    for command in documented("Games: Matrix-Game 2.0, ForgeWM") {
        if command.starts_with("play") {
            // Without a terminal it records; the pictures of a chunk and some will do.
            place.good(&format!("{command} --record out.png --frames 11 --action 1,0,0,0,0,0.1"));
            assert!(place.path("out.png").exists());
            played = true;
        } else if command.contains("base_distill.safetensors") {
            let out = place.run(&format!("{command} --size 64x32"));
            let said = text(&out.stderr);
            assert!(out.status.success() && !said.contains("not known") && !said.contains("not part"), "{said}");
        } else {
            place.good(&command);
        }
    }
    assert!(played);
    let info = place.json("info mg2.bundle.safetensors --json");
    assert_eq!(info["prompts"], serde_json::json!([{"name": "hall", "rows": 257, "width": 160}]));
    assert_eq!(info["starts"], serde_json::json!(["hall"]));
    assert_eq!(info["denoiser"]["config"]["dit"]["layers"], 30);
    // The picture's parts are what the commands make that make one each.
    place.good("embed-image --model Matrix-Game-2.0/models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth --in shot.png --size 64x32 --out f.safetensors");
    place.good("encode --model vae.safetensors --in shot.png --size 64x32 --condition --out c.safetensors");
    place.good("bundle --model mg2.safetensors --decoder vae.safetensors --prompt hall=f.safetensors --start hall=c.safetensors --out b.safetensors");
    assert!(place.read("b.safetensors") == place.read("mg2.bundle.safetensors"));
}
