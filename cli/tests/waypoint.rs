//! Waypoint 1.5 against a twin written from its description alone (`tests/parity/waypoint.py`), from folders as they are published.

mod common;

use std::{fs, path::PathBuf};

use common::{Place, Tensor, error, golden, save, tensors, text};

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
