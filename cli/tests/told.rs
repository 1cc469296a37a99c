//! Networks that a public trainer made and somebody gave our embeddings of actions and events: they come back by `convert`, in the layout of
//! their checkpoints, and play as a world of the same weights does.

mod common;

use causeway_ops::quant::DType;
use causeway_runtime::{
    Budget, Device, Model, Session, SessionOptions, Start,
    session::{Change, Condition, Output},
};
use causeway_tests::tiny::{model_bytes, tiny_config};
use common::{
    Place, Tensor, Tensors,
    play::{Given, at, play, random},
    save, shown, tensors, text,
};

/// What the checkpoint does not say: the settings of [`tiny_config`].
const SETTINGS: &str = "--heads 2 --to f32 --chunk 1 --window 6 --compact --size 64x64 --steps 1000,750,500,250";
/// How `film` names them.
const NAMES: &str = "--actions forward,back,left,right,attack --events daylight,amber,night";

/// A folder with a small world, and the checkpoint of its denoiser as those trainers write one.
fn place(name: &str) -> (Place, Tensors) {
    let folder = Place::new(name);
    let mut config = tiny_config();
    config.dit.prev_frame = false;
    (config.dit.latent_mean, config.dit.latent_std) = (vec![0.0; 4], vec![1.0; 4]);
    folder.write("world.safetensors", &model_bytes(&config, DType::F32, 3));
    let theirs = |(name, tensor): (String, Tensor)| {
        Some((format!("generator_ema.model._fsdp_wrapped_module.{}", name.strip_prefix("dit.")?), tensor))
    };
    let all: Tensors = tensors(folder.path("world.safetensors")).into_iter().filter_map(theirs).collect();
    write(&folder, "theirs.safetensors", &all);
    (folder, all)
}

fn write(folder: &Place, name: &str, all: &Tensors) {
    save(folder.path(name), &all.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect::<Vec<_>>());
}

/// Twelve latent frames with keys and changes of event.
fn latents(model: &Model<'_>) -> Vec<Given> {
    let options = SessionOptions {
        seed: 7,
        start: Start::Latents(random(2, 2 * 4 * 8 * 8)),
        output: Output::Latents,
        ..SessionOptions::default()
    };
    let mut session = Session::new(model, &Device::cpu(1), options).unwrap();
    for (latent, condition) in [(4, Condition::Event(2)), (8, Condition::Mix(&[0.25, 0.5, 0.25]))] {
        let change = Change { time: at(&session, latent), ..Change::to(condition) };
        session.queue(change).unwrap();
    }
    play(&mut session, 12, || Budget::Frame)
}

#[test]
fn they_play_as_worlds_of_the_same_weights() {
    let (folder, _) = place("told-plays");
    folder.good(&format!("convert theirs.safetensors m.safetensors {SETTINGS} {NAMES}"));
    let [world, back] = ["world", "m"].map(|name| Model::open(folder.path(&format!("{name}.safetensors"))).unwrap());
    let [ours, theirs] = [&world, &back].map(|model| &model.config().dit);
    assert_eq!((&ours.actions, &ours.events), (&theirs.actions, &theirs.events));
    let (ours, theirs) = (latents(&world), latents(&back));
    assert!(ours.len() == 12 && ours == theirs);
    assert!(ours[3].1 != ours[11].1);
    // With a codec of its own file it is played by everything that plays worlds.
    folder.good(&format!("convert {} c.safetensors --to f32", shown("taehv.pth")));
    folder.good("bundle --model m.safetensors --decoder c.safetensors --out b.safetensors");
    assert!(folder.good("info b.safetensors").contains("forward"));
}

#[test]
fn what_does_not_fit_is_said() {
    let (folder, all) = place("told-refused");
    let refused = |arguments: String, said: &str| {
        let output = folder.run(&arguments);
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(said), "{arguments}: {error}");
        assert!(!folder.list().contains(&"m.safetensors".to_owned()));
    };
    let convert = |file: &str, more: &str| format!("convert {file} m.safetensors {SETTINGS} {more}");
    refused(convert("theirs.safetensors", "--actions w,a"), "it is told 5 actions, and 2 are named");
    refused(convert("theirs.safetensors", "--events day,day,night"), "dit.events");
    let without = |what: &str, name: &str| {
        let rest = all.iter().filter(|(name, _)| !name.contains(what));
        write(&folder, name, &rest.map(|(name, tensor)| (name.clone(), tensor.clone())).collect());
    };
    without("event_embedding", "deaf.safetensors");
    refused(convert("deaf.safetensors", ""), "no event_embedding");
    without("action_embedding.2", "half.safetensors");
    refused(convert("half.safetensors", ""), "missing: action_embedding.2");
    let mut both = all.clone();
    let named = both.keys().find(|name| name.contains("time_embedding.0.weight")).cloned().unwrap();
    both.insert(named.replace("time_embedding", "text_embedding"), both[&named].clone());
    write(&folder, "both.safetensors", &both);
    refused(convert("both.safetensors", ""), "events or texts");
    // Names for what a network is not told.
    let plain = shown("tiny.pt");
    refused(format!("convert {plain} m.safetensors --heads 2 --actions w"), "it is told 0 actions, and 1 are named");
    refused(format!("convert {} m.safetensors --events day", shown("taehv.pth")), "--actions and --events");
}
