//! Every field of a configuration is checked, and the error names it.

use causeway_runtime::config::{ConfigError, Descriptors, ModelConfig, printable};
use causeway_tests::tiny::tiny_config;
use serde_json::{Value, json};

fn changed(path: &str, value: Value) -> Result<ModelConfig, ConfigError> {
    let mut config: Value = serde_json::from_str(&tiny_config().to_json().unwrap()).unwrap();
    *config.pointer_mut(path).unwrap_or_else(|| panic!("no {path}")) = value;
    ModelConfig::from_json(&config.to_string())
}

#[test]
fn json_round_trips() {
    let mut config = tiny_config();
    config.provenance.other.insert("loss".to_owned(), json!([0.25, {"deep": null}]));
    assert_eq!(ModelConfig::from_json(&config.to_json().unwrap()).unwrap(), config);
    assert!(!config.to_json().unwrap().contains("descriptors"), "older readers take what is as they know it");
    (config.start, config.history.descriptors) = (None, Descriptors::Plain);
    assert_eq!(ModelConfig::from_json(&config.to_json().unwrap()).unwrap(), config);
}

#[test]
fn the_documented_example_is_valid() {
    let page = include_str!("../../../docs/model-file.md");
    let json = page.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let json = json.replace(r#"[0.0, "... one per channel"]"#, "[0, 0, 0, 0, 0, 0, 0, 0]");
    let json = json.replace(r#"[1.0, "... one per channel"]"#, "[1, 1, 1, 1, 1, 1, 1, 1]");
    let config = ModelConfig::from_json(&json).unwrap();
    assert_eq!(config.picture(), (64, 64));
    assert_eq!(config.dit.rope_dims(), [12, 10, 10]);
    assert_eq!((config.dit.tokens_per_frame(), config.dit.in_channels(), config.dit.head_out()), (16, 16, 32));
    let sigmas = config.schedule.sigmas(4).unwrap();
    for (sigma, expected) in sigmas.iter().zip([1.0, 0.9375, 0.833_333, 0.625]) {
        assert!((sigma - expected).abs() < 1e-6, "{sigmas:?}");
    }
    assert_eq!(config.schedule.sigmas(3), None);
}

#[test]
fn what_is_printed_reads_as_it_is_written() {
    assert_eq!(printable("CC0 \u{202e}0CC\u{202c}\u{2028}next\u{e0041}\u{1b}[2J"), "CC0  0CC  next  [2J");
    for text in ["na\u{ef}ve \u{4e16}\u{754c} \u{1f98a}", "\u{5d0}\u{5d1}\u{5d2}"] {
        assert_eq!(printable(text), text);
    }
}

#[test]
fn every_wrong_field_is_named() {
    let many = |count: usize| -> Value { (0..count).map(|i| json!(format!("n{i}"))).collect() };
    let table = [
        ("/name", json!(""), "name"),
        ("/name", json!("rooms\u{7}"), "name"),
        ("/name", json!("rooms\u{202e}gnp.txt"), "name"),
        ("/name", json!("ro\u{200b}oms"), "name"),
        ("/dit/events/1", json!("amber\u{2066}"), "dit.events[1]"),
        ("/dit/actions/0", json!("\u{feff}forward"), "dit.actions[0]"),
        ("/name", json!("x".repeat(300)), "name"),
        ("/dit/dim", json!(0), "dit.dim"),
        ("/dit/dim", json!(1 << 20), "dit.dim"),
        ("/dit/heads", json!(0), "dit.heads"),
        ("/dit/heads", json!(5), "dit.heads"),
        ("/dit/heads", json!(16), "dit.dim / dit.heads"),
        ("/dit/dim", json!(50), "dit.dim / dit.heads"),
        ("/dit/layers", json!(0), "dit.layers"),
        ("/dit/layers", json!(1000), "dit.layers"),
        ("/dit/ffn_dim", json!(0), "dit.ffn_dim"),
        ("/dit/freq_dim", json!(0), "dit.freq_dim"),
        ("/dit/freq_dim", json!(33), "dit.freq_dim"),
        ("/dit/eps", json!(0.0), "dit.eps"),
        ("/dit/eps", json!(1e300), "dit.eps"),
        ("/dit/patch", json!([2, 2, 2]), "dit.patch[0]"),
        ("/dit/patch", json!([1, 3, 2]), "dit.patch[1]"),
        ("/dit/patch", json!([1, 2, 0]), "dit.patch[2]"),
        ("/dit/latent/channels", json!(0), "dit.latent.channels"),
        ("/dit/latent/channels", json!(5), "dit.latent_mean"),
        ("/dit/latent/height", json!(1u64 << 40), "dit.latent.height"),
        ("/dit/latent/width", json!(0), "dit.latent.width"),
        ("/dit/chunk", json!(0), "dit.chunk"),
        ("/dit/chunk", json!(6), "history.window"),
        ("/dit/rope_theta", json!(0.5), "dit.rope_theta"),
        ("/dit/actions", json!([]), "dit.actions"),
        ("/dit/actions", json!(["a", "b", "a"]), "dit.actions[2]"),
        ("/dit/actions", json!(["a", ""]), "dit.actions[1]"),
        ("/dit/actions", many(513), "dit.actions"),
        ("/dit/events", json!([]), "dit.events"),
        ("/dit/events", json!(["x", "x"]), "dit.events[1]"),
        ("/dit/event_tokens", json!(0), "dit.event_tokens"),
        ("/dit/latent_mean", json!([0, 0, 0]), "dit.latent_mean"),
        ("/dit/latent_mean", json!([0, 0, 1e39, 0]), "dit.latent_mean[2]"),
        ("/dit/latent_std", json!([1, 1, 1, 1, 1]), "dit.latent_std"),
        ("/dit/latent_std", json!([1, 0, 1, 1]), "dit.latent_std[1]"),
        ("/dit/latent_std", json!([1, 1, 1, -1]), "dit.latent_std[3]"),
        ("/codec/channels", json!(8), "codec.channels"),
        ("/codec/patch", json!(0), "codec.patch"),
        ("/codec/widths", json!([16, 12, 0, 8]), "codec.widths[2]"),
        ("/codec/blocks", json!(0), "codec.blocks"),
        ("/codec/time_up", json!([1, 5, 1]), "codec.time_up[1]"),
        ("/schedule/shift", json!(0), "schedule.shift"),
        ("/schedule/steps", json!({}), "schedule.steps"),
        ("/schedule/steps", json!({"0": []}), "schedule.steps.0"),
        ("/schedule/steps", json!({"2": [1000]}), "schedule.steps.2"),
        ("/schedule/steps", json!({"4": [1000, 750, 750, 250]}), "schedule.steps.4[2]"),
        ("/schedule/steps", json!({"1": [1000.5]}), "schedule.steps.1[0]"),
        ("/schedule/steps", json!({"1": [0]}), "schedule.steps.1[0]"),
        ("/schedule/default_steps", json!(3), "schedule.default_steps"),
        ("/schedule/context_noise", json!(1000), "schedule.context_noise"),
        ("/schedule/context_noise", json!(-1), "schedule.context_noise"),
        ("/history/window", json!(1), "history.window"),
        ("/history/window", json!(100_000), "history.window"),
        ("/history/sink", json!(6), "history.sink"),
        ("/history/route", json!(7), "history.route"),
        ("/start/latents", json!("dit.head.head.weight"), "start.latents"),
        ("/start/count", json!(0), "start.count"),
        ("/start/events", json!([]), "start.events"),
        ("/start/events", json!([0, 3]), "start.events[1]"),
        ("/start/events", json!([0, 0, 0]), "start.events"),
        ("/fps", json!(0), "fps"),
    ];
    for (path, value, expected) in table {
        match changed(path, value.clone()) {
            Err(ConfigError::Field { field, .. }) => assert_eq!(field, expected, "{path} = {value}"),
            other => panic!("{path} = {value}: {other:?}"),
        }
    }
}

#[test]
fn wrong_types_and_unknown_or_repeated_keys_are_refused() {
    let table = [
        ("/dit/dim", json!(-1), "-1"),
        ("/dit/dim", json!(48.5), "48.5"),
        ("/dit/dim", json!("48"), "48"),
        ("/dit/prev_frame", json!(1), "boolean"),
        ("/dit/latent_std", json!([1, 1, 1, null]), "null"),
        ("/codec/kind", json!("vae"), "vae"),
        ("/codec/widths", json!([1, 2, 3]), "4"),
        ("/history/positions", json!("relative"), "relative"),
        ("/schedule/steps", json!({"two": [1000, 500]}), "number in quotes"),
        ("/schedule", json!({"shift": 5}), "missing field"),
    ];
    for (path, value, part) in table {
        match changed(path, value.clone()) {
            Err(ConfigError::Json(text)) => assert!(text.contains(part), "{path} = {value}: {text}"),
            other => panic!("{path} = {value}: {other:?}"),
        }
    }
    let good = tiny_config().to_json().unwrap();
    for (from, to, part) in [
        ("\"dim\":48", "\"dim\":48,\"dim\":48", "duplicate field `dim`"),
        ("\"dim\":48", "\"dim\":48,\"dimension\":48", "unknown field `dimension`"),
        ("\"route\":0", "\"route\":0,\"descriptors\":\"turned\"", "unknown variant `turned`"),
        ("\"2\":[1000.0,500.0]", "\"2\":[1000,500],\"2\":[1000,400]", "names 2 twice"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let error = ModelConfig::from_json(&text).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(ModelConfig::from_json(&" ".repeat(2 << 20)), Err(ConfigError::TooLong(2 << 20)));
}
