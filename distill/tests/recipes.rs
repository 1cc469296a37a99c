//! Recipes: the committed ones are good, and a bad one is told where it is bad.

use std::path::{Path, PathBuf};

use causeway_distill::method::delta_forcing::Options;
use causeway_distill::method::resampling_forcing::{Degrade, Resampling};
use causeway_distill::method::self_forcing::Objective;
use causeway_distill::net::mask::Route;
use causeway_distill::run::recipe::{BUILT_IN, Data, History, Method, Recipe, Stage};
use causeway_distill::train::trainer::Span;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes")
}

fn complaint(text: &str) -> String {
    Recipe::parse(text, Path::new("r.toml")).expect_err("a bad recipe was accepted").to_string()
}

#[test]
fn committed_recipes_are_read_and_come_back_from_the_run_folder() {
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("recipes") {
        let path = entry.expect("a file").path();
        let recipe = Recipe::read(&path).expect("a good recipe");
        let text = recipe.write().expect("TOML");
        assert_eq!(Recipe::parse(&text, &path).expect("what was written"), recipe, "{text}");
        names.extend(path.file_name().and_then(|n| n.to_str()).map(String::from));
    }
    names.sort();
    assert_eq!(
        names,
        ["causal.toml", "delta.toml", "demo.toml", "gpu.toml", "rate.toml", "switches.toml", "tiny.toml"]
    );
    for (name, text) in BUILT_IN {
        Recipe::parse(text, Path::new(name)).expect("a built-in recipe");
    }
}

#[test]
fn what_is_left_out_is_filled_in() {
    let text = "out = 'o'\nseed = 5\ndata.folder = 'd'\ndefaults = { budget = { minutes = 3 }, ema = 0.9, drop_prev = 0.5, copies = 3, route = [2, 5] }\n\
        [[stage]]\nmethod = 'codec'\n[[stage]]\nmethod = 'teacher'\nema = 0\nseed = 77\nbudget = { steps = 9 }\n";
    let recipe = Recipe::parse(text, Path::new("r.toml")).expect("a recipe");
    let [codec, teacher] = &recipe.stages[..] else { panic!("{} stages", recipe.stages.len()) };
    assert_eq!((codec.name.as_str(), codec.budget, codec.rule.ema, codec.seed), ("codec", Span::Minutes(3.0), 0.9, 5));
    assert_eq!(
        (teacher.method, teacher.budget, teacher.rule.ema, teacher.seed),
        (Method::Teacher {}, Span::Steps(9), 0.0, 77)
    );
    assert_eq!((teacher.rule.rate, teacher.accumulate), (1.5e-3, 1));
    let shared = |stage: &Stage| (stage.drop_prev, stage.copies, stage.route);
    assert_eq!((shared(codec), shared(teacher)), ((0.0, 1, Route::Fixed(0)), (0.5, 3, Route::Between(2, 5))));
    assert_eq!(recipe.data, Data::Folder("d".into()));
}

#[test]
fn stages_find_what_they_go_on_from() {
    let read = |name: &str| Recipe::read(&folder().join(name)).expect("a good recipe");
    let links = |recipe: &Recipe| -> Vec<_> {
        let of = |name: &Option<String>| name.clone().unwrap_or("-".into());
        recipe.stages.iter().map(|s| format!("{} {} {}", s.name, of(&s.start), of(&s.teacher))).collect()
    };
    // A student starts from a causal stage and not from the score that judges it.
    let causal =
        ["codec - -", "teacher - -", "bidirectional teacher -", "ode teacher teacher", "self ode bidirectional"];
    assert_eq!(links(&read("causal.toml"))[..5], causal);
    let delta = read("delta.toml").stages[6].method;
    let Method::Delta { steps: 4, context: 6, overlap: 6, changes: 0, .. } = delta else {
        panic!("not the options that were left out");
    };
    assert_eq!(delta.guard(), Some(Options::default()));
    let text = "out = 'o'\ndata.folder = 'd'\ndefaults = { budget = { steps = 1 } }\nstage = [{ method = 'codec' }, \
        { method = 'bidirectional' }, { method = 'teacher' }, { method = 'ode', history = 'noisy', teacher = 'bidirectional' }, \
        { method = 'consistency', clean = 1, degrade = 'noise' }, { method = 'self', objective = 'identity' }, { method = 'delta', teacher = 'teacher' }]";
    let recipe = Recipe::parse(text, Path::new("r.toml")).expect("a recipe");
    let found = links(&recipe);
    assert_eq!(found[2..4], ["teacher - -", "ode teacher bidirectional"]);
    assert_eq!(found[4..], ["consistency ode teacher", "self consistency bidirectional", "delta self teacher"]);
    let causal = text.replace("bidirectional", "diffusion").replace(", teacher = 'diffusion'", "");
    let recipe = Recipe::parse(&causal, Path::new("r.toml")).expect("a recipe");
    assert_eq!(links(&recipe)[5], "self consistency teacher", "of causal ones the last");
    assert_eq!(recipe.stages[3].method, Method::Ode { history: History::Noisy, trajectories: 256 });
    let resampling = Resampling { how: Degrade::Noise, clean: 1.0, ..Resampling::default() };
    assert_eq!(recipe.stages[4].method, Method::Consistency(resampling));
    assert_eq!(recipe.stages[5].method, Method::SelfForcing { objective: Objective::Identity, steps: 4 });
}

#[test]
fn what_one_method_is_told_another_is_not() {
    let head = "out = 'o'\ndata.folder = 'd'\ndefaults = { budget = { steps = 1 } }\n";
    let known = "stage = [{ method = 'codec' }, { method = 'teacher' }, { method = 'bidirectional' },\n";
    for (stage, wanted) in [
        (
            "method = 'teacher', name = 'x', overlap = 2",
            "line 5: stage 4: unknown field `overlap`, there are no fields",
        ),
        ("method = 'self', shift = 0.6", "stage 4: unknown field `shift`, expected `objective` or `steps`"),
        ("method = 'resampling', history = 'clean'", "stage 4: unknown field `history`, expected one of `degrade`"),
        ("method = 'ode', history = 'both'", "unknown variant `both`, expected `clean` or `noisy`"),
        ("method = 'self', objective = 'gan'", "line 5, column 32"),
        ("method = 'delta', weighting = 0.5", "line 5, column 33"),
        (
            "method = 'self', steps = 3",
            "line 5: stage 4, `steps`: expected one of the model's `steps`, [4, 2], found 3",
        ),
        (
            "method = 'streaming', frames = 5, context = 5",
            "`context`: expected at least 1 and less than `frames`, found 5",
        ),
        ("method = 'streaming', overlap = 0", "`overlap`: expected at least 1 and at most `context`, found 0"),
        ("method = 'delta', context = 3, overlap = 4", "`overlap`: expected at least 1 and at most `context`, found 4"),
        ("method = 'delta', fall = -1", "`fall`: expected a number from 0 up, found -1"),
        ("method = 'delta', quantile = 1", "`quantile`: expected a share from 0 up and below 1, found 1"),
        ("method = 'delta', levels = [0.7, 0.3]", "`levels`: expected [low, high] between 0 and 1, found [0.7, 0.3]"),
        ("method = 'delta', radius = 2", "line 5, column 30"),
        ("method = 'streaming', approach = true", "stage 4: unknown field `approach`, expected one of `steps`"),
        ("method = 'delta', continuity = -1", "`continuity`: expected a number from 0 up, found -1"),
        ("method = 'resampling', shift = 0", "`shift`: expected a positive number, found 0"),
        ("method = 'consistency', clean = 1.5", "`clean`: expected a share from 0 to 1, found 1.5"),
        ("method = 'ode', trajectories = 3", "`trajectories`: expected at least as many as `batch`, found 3"),
        (
            "method = 'teacher', name = 'x', drop_prev = 1",
            "line 5: stage 4, `drop_prev`: expected a share from 0 up and below 1; for all, `prev_frame = false` in [model], found 1",
        ),
        ("method = 'resampling', own = 1.5", "`own`: expected a share from 0 to 1, found 1.5"),
        ("method = 'resampling', own_steps = 0", "`own_steps`: expected at least 1, found 0"),
        ("method = 'teacher', name = 'x', own = 0.5", "line 5: stage 4: unknown field `own`, there are no fields"),
        ("method = 'resampling', route = [5, 4]", "`route`: expected at least 1 and then no less, found [5, 4]"),
        ("method = 'resampling', route = [0, 4]", "`route`: expected at least 1 and then no less, found [0, 4]"),
        (
            "method = 'dmd', route = [1, 4]",
            "line 5: stage 4, `route`: expected a number: only `teacher` and `resampling` draw one",
        ),
        ("method = 'resampling', route = 'all'", "line 5, column 34"),
        ("method = 'resampling', route = 'all'", "expected a number of frames, or [least, most]"),
        ("method = 'teacher', name = 'x', copies = 0", "`copies`: expected at least 1, found 0"),
        (
            "method = 'consistency', copies = 3",
            "line 5: stage 4, `copies`: expected 1: only `teacher` and `resampling` have more, found 3",
        ),
        (
            "method = 'dmd', drop_prev = 0.5",
            "`drop_prev`: expected 0: it does not learn from windows of the data, found 0.5",
        ),
        ("method = 'teacher', name = 'x', pure = 1.5", "`pure`: expected a share from 0 to 1, found 1.5"),
        (
            "method = 'consistency', pure = 0.5",
            "`pure`: expected 0: only `teacher` and `resampling` have it, found 0.5",
        ),
        ("method = 'teacher', name = 'x', returns = -1", "`returns`: expected a number from 0 up, found -1"),
        ("method = 'dmd', returns = 2", "`returns`: expected 0: only `teacher` and `resampling` weigh, found 2"),
        ("method = 'self', teacher = 'codec'", "`teacher`: expected a stage that learns a flow before it, found codec"),
        (
            "method = 'dmd', teacher = 'bidirectional'",
            "`teacher`: expected a stage that learns a causal flow before it",
        ),
        ("method = 'ode', teacher = 'codec'", "`teacher`: expected a stage that learns a flow before it, found codec"),
        ("method = 'resampling', teacher = 'teacher'", "`teacher`: expected none: nothing is distilled, found teacher"),
        ("method = 'polish', start = 'teacher'", "`start`: expected none: it goes on with the codec, found teacher"),
    ] {
        let found = complaint(&format!("{head}{known}{{ {stage} }}]"));
        assert!(found.contains(wanted), "{found}\n  does not say: {wanted}");
    }
    for (text, wanted) in [
        ("defaults = { steps = 2 }\n", "defaults, `options of a method`: expected none of them, found steps"),
        (
            "stage = [{ method = 'codec', budget = { steps = 1 } },\n{ method = 'self', budget = { steps = 1 } }]",
            "stage 2, `method`: expected a stage that learns a flow before it, found self",
        ),
        (
            "stage = [{ method = 'codec', budget = { steps = 1 } }, { method = 'bidirectional', budget = { steps = 1 } },\n\
             { method = 'self', budget = { steps = 1 } }]",
            "stage 3, `method`: expected a causal stage before it, to start from, found self",
        ),
    ] {
        let found = complaint(&format!("out = 'o'\ndata.folder = 'd'\n{text}"));
        assert!(found.contains(wanted), "{found}\n  does not say: {wanted}");
    }
}

#[test]
fn faults_name_the_place() {
    let head = "out = 'o'\ndata.folder = 'd'\n";
    let codec = "[[stage]]\nmethod = 'codec'\nbudget = { steps = 1 }\n";
    let teacher = "[[stage]]\nmethod = 'teacher'\nbudget = { steps = 1 }\n";
    for (text, wanted) in [
        (format!("{head}sede = 3\n{codec}"), "line 3, column 1"),
        (format!("{head}sede = 3\n{codec}"), "unknown field `sede`"),
        (format!("{head}{codec}rat = 1.0\n"), "unknown field `rat`"),
        (format!("{head}{codec}rate = 'fast'\n"), "line 6, column 8"),
        (format!("{head}[model]\nwidth = 3\n{codec}"), "unknown field `width`"),
        (format!("{head}[model]\nlayers = -3\n{codec}"), "line 4, column 10"),
        (format!("{head}[[stage]]\nmethod = 'magic'\n"), "unknown variant `magic`"),
        (format!("{head}[[stage]]\nmethod = 'codec'\nbudget = {{ hours = 2 }}\n"), "unknown variant `hours`"),
        ("out = 'o'\ndata.world = { seed = 1, frames = 9 }\n".into(), "missing field `held`"),
        (
            "out = 'o'\ndata.world = { seed = 1, frames = 9, held = 9, away = 2 }\n".into(),
            "`away`: expected a share from 0 to 1, found 2",
        ),
        (
            "out = 'o'\ndata.world = { seed = 1, frames = 0, held = 9 }\n".into(),
            "r.toml, line 2: data, `frames`: expected at least 1, found 0",
        ),
        (head.into(), "expected at least one [[stage]], found 0"),
        (
            format!("{head}defaults.name = 'x'\n{codec}"),
            "defaults, `method, name, start, teacher`: expected none of them, found x",
        ),
        (
            format!("{head}[[stage]]\nbudget = {{ steps = 1 }}\n"),
            "r.toml, line 3: stage 1, `method`: expected one, found none",
        ),
        (
            format!("{head}[[stage]]\nmethod = 'codec'\n"),
            "stage 1, `budget`: expected { steps = N } or { minutes = N }, found none",
        ),
        (format!("{head}{codec}\n{codec}"), "line 7: stage 2, `name`: expected a name no other stage has, found codec"),
        (format!("{head}{codec}name = '../x'\n"), "stage 1, `name`: expected letters"),
        (
            format!("{head}[model]\nprev_frame = false\n{codec}{teacher}drop_prev = 0.5\n"),
            "line 8: stage 2, `drop_prev`: expected 0: the model is never shown the frame before, found 0.5",
        ),
        (format!("{head}[model]\nprev_frame = 0\n{codec}"), "line 4, column 14"),
        (format!("{head}{codec}batch = 0\n"), "line 3: stage 1, `batch`: expected at least 1, found 0"),
        (format!("{head}{codec}ema = 1.0\n"), "`ema`: expected a number from 0 up and below 1, found 1"),
        (format!("{head}{codec}rate = nan\n"), "`rate`: expected a positive number, found NaN"),
        (format!("{head}{codec}checkpoint = {{ minutes = 0 }}\n"), "`checkpoint`: expected more than nothing"),
        (format!("{head}{teacher}"), "stage 1, `method`: expected stage `codec` before it, found teacher"),
        (
            format!("{head}{codec}{teacher}start = 'codec'\n"),
            "`start`: expected an earlier stage of the denoiser, found codec",
        ),
        (
            format!("{head}{codec}{}", teacher.replace("teacher", "dmd")),
            "expected a stage that learns a causal flow before it, found dmd",
        ),
    ] {
        let found = complaint(&text);
        assert!(found.contains(wanted), "{found}\n  does not say: {wanted}");
    }
    let missing = Recipe::read(Path::new("no/such.toml")).expect_err("no file").to_string();
    assert!(missing.contains("no/such.toml"), "{missing}");
}
