//! Matrix-Game 2.0 and its relatives among Wan networks: what their `config.json` and shapes tell, which of their tensors are parts of one
//! published, and which are not what a forward pass applies (spec 2.13).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::found::Source;
use super::settings::Settings;
use crate::config::{ControlConfig, GameConfig};
use crate::import::{Entry, ImportError};

/// Features of a head of the action modules in every published network.
const HEAD_DIM: usize = 64;

/// What `config.json` beside a checkpoint says. Keys that shapes tell, or that change nothing, are looked for and not used.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outside {
    /// Whether there is such a file.
    pub found: bool,
    pub heads: Option<usize>,
    window: Option<usize>,
    sink: Option<usize>,
    modules: BTreeMap<String, Value>,
    /// Keys that are not known.
    pub unknown: Vec<String>,
}

/// Largest file that is read as a configuration.
const MOST: u64 = 1 << 20;

impl Outside {
    /// Reads the file beside a checkpoint, or in its folder, where there is one.
    ///
    /// # Errors
    /// It is no JSON object, or a key that is needed holds something else than it should.
    pub fn beside(checkpoint: Option<&Path>) -> Result<Self, ImportError> {
        let Some(path) = checkpoint.and_then(Path::parent).map(|folder| folder.join("config.json")) else {
            return Ok(Self::default());
        };
        match std::fs::metadata(&path) {
            Ok(about) if about.is_file() && about.len() <= MOST => {}
            _ => return Ok(Self::default()),
        }
        let text = std::fs::read_to_string(&path).map_err(ImportError::io("read", &path))?;
        Self::of(&text).map_err(|what| ImportError::Network(format!("{}: {what}", path.display())))
    }

    fn of(text: &str) -> Result<Self, String> {
        const KNOWN: [&str; 13] = [
            "_class_name",
            "_diffusers_version",
            "dim",
            "eps",
            "ffn_dim",
            "freq_dim",
            "in_dim",
            "inject_sample_info",
            "model_type",
            "num_layers",
            "out_dim",
            "text_len",
            "text_dim",
        ];
        const MODULES: [&str; 16] = [
            "blocks",
            "enable_keyboard",
            "enable_mouse",
            "heads_num",
            "hidden_size",
            "img_hidden_size",
            "keyboard_dim_in",
            "keyboard_hidden_dim",
            "mouse_dim_in",
            "mouse_hidden_dim",
            "patch_size",
            "rope_theta",
            "rope_dim_list",
            "mouse_qk_dim_list",
            "vae_time_compression_ratio",
            "windows_size",
        ];
        let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Value::Object(all) = value else { return Err("it is not a JSON object".into()) };
        let mut outside = Self { found: true, ..Self::default() };
        for (key, value) in all {
            let count = || whole(&key, &value);
            match key.as_str() {
                "num_heads" => outside.heads = Some(count()?),
                // -1 is no limit.
                "local_attn_size" => outside.window = if value == -1 { None } else { Some(count()?) },
                "sink_size" => outside.sink = Some(count()?),
                "action_config" => {
                    let Value::Object(modules) = value else { return Err(format!("{key} is no object")) };
                    for (inner, value) in modules {
                        // Both are as in all networks that were looked at; others would compute something else.
                        let right = match inner.as_str() {
                            "qk_norm" => value == true,
                            "qkv_bias" => value == false,
                            known if MODULES.contains(&known) => true,
                            _ => {
                                outside.unknown.push(format!("{key}.{inner}"));
                                continue;
                            }
                        };
                        if !right {
                            return Err(format!("{key}.{inner} is {value}, which is not run"));
                        }
                        outside.modules.insert(inner, value);
                    }
                }
                known if KNOWN.contains(&known) => {}
                _ => outside.unknown.push(key),
            }
        }
        Ok(outside)
    }

    /// A number of the modules', or what all published networks have.
    fn module(&self, key: &str, usual: usize) -> Result<usize, String> {
        self.modules.get(key).map_or(Ok(usual), |value| whole(key, value))
    }

    fn theta(&self) -> f32 {
        self.modules.get("rope_theta").and_then(Value::as_f64).unwrap_or(256.0) as f32
    }

    /// Leading features of a head that turn with time.
    fn rotated(&self) -> Result<usize, String> {
        let list = ["mouse_qk_dim_list", "rope_dim_list"].iter().find_map(|key| self.modules.get(*key));
        list.map_or(Ok(8), |list| whole("rope_dim_list[0]", &list[0]))
    }
}

fn whole(key: &str, value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| format!("{key} is {value}, expected a whole number"))
}

/// A game's network: what it has beside Wan's, and features of a row of a picture's.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub game: GameConfig,
    pub features: usize,
    pub mouse: usize,
    window: usize,
    sink: usize,
}

impl Found {
    /// What shapes and the file outside tell of a network with action modules that reads `inputs` channels and writes `channels`.
    pub fn infer(
        shape: &dyn Fn(&str) -> Option<Vec<usize>>,
        outside: &Outside,
        layers: usize,
        (inputs, channels): (usize, usize),
    ) -> Result<Self, ImportError> {
        let refused = |what: String| ImportError::Network(what);
        let matrix = |name: &str| match shape(name).as_deref() {
            Some(&[outputs, inputs]) => Ok([outputs, inputs]),
            Some(other) => Err(refused(format!("misshapen: {name} is {other:?}"))),
            None => Err(refused(format!("missing: {name}"))),
        };
        let module = |n: usize, name: &str| format!("blocks.{n}.action_model.{name}.weight");
        let with: Vec<usize> = (0..layers).filter(|&n| shape(&module(n, "mouse_attn_q")).is_some()).collect();
        let Some(&first) = with.first() else { return Err(refused("missing: action modules".into())) };
        if let Some(Value::Array(named)) = outside.modules.get("blocks")
            && !named.iter().map(Value::as_u64).eq(with.iter().map(|&n| Some(n as u64)))
        {
            return Err(refused(format!("action modules are in blocks {with:?}, config.json names {named:?}")));
        }
        let [wide, dim] = matrix(&module(first, "mouse_attn_q"))?;
        let [key_dim, keys] = matrix(&module(first, "keyboard_embed.0"))?;
        let heads = outside.module("heads_num", wide / HEAD_DIM).map_err(refused)?;
        let pictures = outside.module("vae_time_compression_ratio", 4).map_err(refused)?;
        let rows = outside.module("windows_size", 3).map_err(refused)?.saturating_mul(pictures);
        let mouse = match shape(&module(first, "mouse_mlp.0")).as_deref() {
            Some(&[_, all]) if all > dim && rows > 0 && (all - dim).is_multiple_of(rows) => (all - dim) / rows,
            Some(other) => return Err(refused(format!("misshapen: {} is {other:?}", module(first, "mouse_mlp.0")))),
            None => 0,
        };
        if heads == 0 || !wide.is_multiple_of(heads) {
            return Err(refused(format!("{heads} heads of {wide} features in all")));
        }
        let [_, features] = matrix("img_emb.proj.1.weight")?;
        let game = GameConfig {
            condition: inputs.saturating_sub(channels),
            layers: with,
            keys,
            rows,
            pictures,
            key_dim,
            heads,
            head_dim: wide / heads,
            rotated: outside.rotated().map_err(refused)?,
            theta: outside.theta(),
        };
        let (window, sink) = (outside.window.unwrap_or(6), outside.sink.unwrap_or(0));
        Ok(Self { game, features, mouse, window, sink })
    }

    /// Of these sizes and the usual window.
    pub fn published(game: GameConfig, features: usize, mouse: usize) -> Self {
        Self { game, features, mouse, window: 6, sink: 0 }
    }

    /// What the published networks of this kind use, as the checkpoint's file and folder are called (spec 2.13).
    pub fn settings(&self, path: Option<&Path>) -> Settings {
        let parts = path.into_iter().flat_map(|path| path.iter().rev().take(2));
        let name = parts.map(|part| part.to_string_lossy().to_ascii_lowercase()).collect::<Vec<_>>().join("/");
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let four = vec![1000.0, 750.0, 500.0, 250.0];
        let (steps, first) = if has(&["1step", "1-step"]) {
            (vec![1000.0], four)
        } else if has(&["2step", "2-step"]) {
            (vec![1000.0, 250.0], four)
        } else if self.mouse == 0 || has(&["forge", "stage3", "crossfps"]) {
            (four, Vec::new())
        } else {
            (vec![1000.0, 666.0, 333.0], Vec::new())
        };
        Settings {
            name: "matrix-game".to_owned(),
            steps: vec![steps],
            first_steps: first,
            window: self.window,
            sink: self.sink,
            latent: (44, 80),
            text_length: 257,
            fps: 25.0,
            ..Settings::default()
        }
    }

    /// Names of the actions, as the published networks of so many keys mean them; others are numbered.
    pub fn actions(&self) -> Vec<String> {
        const RUN: [&str; 7] = ["nomove", "jump", "slide", "turnleft", "turnright", "leftside", "rightside"];
        const WALK: [&str; 4] = ["forward", "back", "left", "right"];
        // ForgeWM's CrossFPS: the buttons and the two sticks of a gamepad.
        const SHOOT: [&str; 6] = ["fire", "aim", "jump", "melee", "reload", "weapon"];
        const STICKS: [&str; 4] = ["move_x", "move_y", "look_x", "look_y"];
        let key = |n: usize| match (self.game.keys, self.mouse) {
            (7, _) => RUN[n].to_owned(),
            (6, 4) => SHOOT[n].to_owned(),
            _ => WALK.get(n).map_or_else(|| format!("key{}", n + 1), |&name| name.to_owned()),
        };
        let moved = |n: usize| match self.mouse {
            2 => ["pitch", "yaw"][n].to_owned(),
            4 => STICKS[n].to_owned(),
            _ => format!("mouse{}", n + 1),
        };
        (0..self.game.keys).map(key).chain((0..self.mouse).map(moved)).collect()
    }

    /// What they are played with. Of the mouse a tenth is what the networks saw in a picture frame in which it moved, of a stick 0.8; a stick's y
    /// goes down.
    pub fn controls(&self) -> Vec<ControlConfig> {
        const KEYS: [(&str, &str, f32); 4] =
            [("w", "forward", 1.0), ("s", "back", 1.0), ("a", "left", 1.0), ("d", "right", 1.0)];
        const MOUSE: [(&str, &str, f32); 6] = [
            ("up", "pitch", 0.1),
            ("down", "pitch", -0.1),
            ("right", "yaw", 0.1),
            ("left", "yaw", -0.1),
            ("mouse-x", "yaw", 0.01),
            ("mouse-y", "pitch", -0.01),
        ];
        const RUN: [(&str, &str, f32); 7] = [
            ("rest", "nomove", 1.0),
            ("up", "jump", 1.0),
            ("down", "slide", 1.0),
            ("left", "turnleft", 1.0),
            ("right", "turnright", 1.0),
            ("a", "leftside", 1.0),
            ("d", "rightside", 1.0),
        ];
        const PAD: [(&str, &str, f32); 14] = [
            ("w", "move_y", -0.8),
            ("s", "move_y", 0.8),
            ("a", "move_x", -0.8),
            ("d", "move_x", 0.8),
            ("up", "look_y", -0.8),
            ("down", "look_y", 0.8),
            ("left", "look_x", -0.8),
            ("right", "look_x", 0.8),
            ("mouse-left", "fire", 1.0),
            ("mouse-right", "aim", 1.0),
            ("space", "jump", 1.0),
            ("f", "melee", 1.0),
            ("e", "reload", 1.0),
            ("c", "weapon", 1.0),
        ];
        let actions = self.actions();
        let mut all = if self.mouse == 4 { PAD.to_vec() } else { [&KEYS[..], &MOUSE, &RUN].concat() };
        all.retain(|(_, action, _)| actions.iter().any(|name| name == action));
        ControlConfig::list(&all)
    }
}

/// The part of a game's checkpoint that is taken if nobody says which: ForgeWM's own program prefers `generator` to its moving average, where
/// others' files are meant for the average.
pub(super) fn key(names: &[&str]) -> Option<String> {
    let acts = names.iter().any(|name| name.contains(".action_model."));
    (acts && names.iter().any(|name| name.starts_with("generator."))).then(|| "generator".to_owned())
}

/// The parts that we make of one published tensor, which are its rows: queries, keys, values.
const PARTS: [(&str, &str, usize, usize); 5] = [
    (".t_q.", ".t_qkv.", 0, 3),
    (".t_k.", ".t_qkv.", 1, 3),
    (".t_v.", ".t_qkv.", 2, 3),
    (".keyboard_attn_k.", ".keyboard_attn_kv.", 0, 2),
    (".keyboard_attn_v.", ".keyboard_attn_kv.", 1, 2),
];

/// The part that a tensor of ours is, if it is one.
fn part(name: &str) -> Option<&'static (&'static str, &'static str, usize, usize)> {
    PARTS.iter().find(|(ours, ..)| name.contains(".action_model.") && name.contains(ours))
}

/// Where the tensor `name` of ours, of so many rows, comes from.
pub(super) fn source(name: &str, rows: usize) -> Source {
    match part(name) {
        Some((ours, theirs, part, _)) => {
            Source { name: name.replace(ours, theirs), rows: part * rows..(part + 1) * rows }
        }
        None => Source { name: name.to_owned(), rows: 0..rows },
    }
}

/// The published tensors that ours are made of.
pub(super) fn published(ours: Vec<(String, Vec<usize>)>) -> Vec<(String, Vec<usize>)> {
    let one = |(name, mut shape): (String, Vec<usize>)| match part(&name) {
        None => Some((name, shape)),
        Some((part, theirs, 0, parts)) => {
            shape[0] *= parts;
            Some((name.replace(part, theirs), shape))
        }
        Some(_) => None,
    };
    ours.into_iter().filter_map(one).collect()
}

/// Whether a tensor is the weight of a norm of an action module's heads, which no forward pass of the releases applies.
pub(super) fn unused(name: &str) -> bool {
    name.contains(".action_model.") && (name.ends_with("_attn_q_norm.weight") || name.ends_with("_attn_k_norm.weight"))
}

/// Whether all are ones, as the training left them.
pub(super) fn ones(entry: &Entry, values: &[f32]) -> Option<String> {
    values.iter().any(|&value| value != 1.0).then(|| entry.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_not_known_are_named() {
        let text = r#"{"num_heads": 2, "local_attn_size": 4, "sink_size": 0, "dim": 1, "fancy": 1,
            "action_config": {"heads_num": 3, "qk_norm": true, "qkv_bias": false, "odd": [], "rope_dim_list": [4, 30, 30]}}"#;
        let outside = Outside::of(text).unwrap();
        assert_eq!((outside.heads, outside.window, outside.sink), (Some(2), Some(4), Some(0)));
        assert_eq!((outside.module("heads_num", 1), outside.rotated()), (Ok(3), Ok(4)));
        assert_eq!(outside.unknown, ["action_config.odd", "fancy"]);
        for (text, what) in [
            ("[]", "not a JSON object"),
            (r#"{"num_heads": "two"}"#, "num_heads is \"two\", expected a whole number"),
            (r#"{"action_config": {"qkv_bias": true}}"#, "action_config.qkv_bias is true, which is not run"),
        ] {
            let error = Outside::of(text).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_gamepad_plays_by_names() {
        let game = crate::import::matrix_game(6, 4);
        assert_eq!(game.dit.actions.join(" "), "fire aim jump melee reload weapon move_x move_y look_x look_y");
        assert_eq!(game.controls.len(), 14);
        game.validate().unwrap();
        let forge = crate::import::matrix_game(6, 2);
        assert_eq!(forge.dit.actions.join(" "), "forward back left right key5 key6 pitch yaw");
    }

    #[test]
    fn of_a_training_run_the_generator_is_taken() {
        let names = ["critic.model.head.head.bias", "generator.model.blocks.0.action_model.proj_mouse.weight"];
        assert_eq!(key(&names).as_deref(), Some("generator"));
        assert_eq!(key(&["generator.blocks.0.ffn.0.bias"]), None);
        assert_eq!(key(&["model.blocks.0.action_model.proj_mouse.weight"]), None);
    }

    #[test]
    fn parts_are_rows_of_what_is_published() {
        let name = |part: &str| format!("blocks.0.action_model.{part}.weight");
        assert_eq!(source(&name("t_v"), 8), Source { name: name("t_qkv"), rows: 16..24 });
        assert_eq!(source(&name("keyboard_attn_v"), 8), Source { name: name("keyboard_attn_kv"), rows: 8..16 });
        assert_eq!(source("blocks.0.self_attn.q.weight", 8).rows, 0..8);
        let ours = ["t_q", "t_k", "t_v", "proj_mouse"].map(|part| (name(part), vec![8, 4]));
        assert_eq!(published(ours.to_vec()), [(name("t_qkv"), vec![24, 4]), (name("proj_mouse"), vec![8, 4])]);
    }
}
