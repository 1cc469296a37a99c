//! Games against FastVideo's Matrix-Game 2.0 (`tests/parity/game.py`), from folders as they are published: no option says what
//! `config.json` or the file's name tells.

mod common;

use std::{fs, path::PathBuf};

use causeway_runtime::{Budget, Device};
use causeway_tests::{game::Game, machine, stream::next_frame};
use common::{Place, Tensor, error, golden, save, tensors, text};

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
        for backend in ["cpu", "gpu"].into_iter().filter(|backend| machine::runs_on(backend)) {
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
    for backend in ["cpu", "gpu"].into_iter().filter(|backend| machine::runs_on(backend)) {
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
