//! The main effect of each paper, in its direction and with a margin, from a short version of what `reproduce` runs whole.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use causeway_distill::reproduce::routing::{Look, Rooms};
use causeway_distill::reproduce::{Lab, Plan, ReproduceError, causal, delta, place, resampling};

/// What `experiment` finds with one seed and a share `effort` of the steps.
fn short<T: Send>(
    name: &str,
    effort: f64,
    experiment: impl Fn(&Lab<'_>) -> Result<T, ReproduceError> + Sync,
) -> Result<T, ReproduceError> {
    let runs = std::env::temp_dir().join(format!("causeway-claims-{}-{name}", std::process::id()));
    let (device, stop) = (Device::flex(), AtomicBool::new(false));
    let plan = Plan { runs: &runs, seeds: 1, threads: 1, effort, stop: &stop, device, cpu: true };
    let found = plan.run(name, experiment).map(|(mut found, _)| found.remove(0));
    std::fs::remove_dir_all(&runs).ok();
    found
}

#[test]
fn a_causal_student_wants_a_causal_teacher() -> Result<(), ReproduceError> {
    let (teachers, legal, [ends, answers], trips) = short("causal", 0.15, |lab| {
        let walks = causal::Walks::new(lab);
        let teachers = walks.teachers()?;
        // Of the autoregressive and of the bidirectional trajectories, each from its teacher's weights.
        let [causal, full] = [0, 3].map(|i| causal::STARTS[i]);
        let students = [walks.start(causal.0, causal.1, &teachers)?, walks.start(full.0, full.1, &teachers)?];
        let (ends, answers) = walks.falsifier(&teachers, students.each_ref());
        let answers = [[ends[0], ends[1]], [answers[1].mean, answers[1].nearest]];
        let legal = students.map(|net| walks.roll_out(&net, Some(4)).legal);
        Ok((walks.judge(&teachers), legal, answers, walks.round_trip(&teachers[0])))
    })?;
    let full = teachers[1].0;
    assert!(full > 0.1 && ends[0] > 0.1, "unexplained variance of the bidirectional teacher's ends: {full}, {ends:?}");
    assert!(legal[0] > legal[1] + 0.05, "legal steps of the students: {legal:?}");
    assert!(answers[0] < 0.8 * answers[1], "one-step answer to the mean of ends, and to the nearest: {answers:?}");
    // A frame comes back from the noise that it leads to, also where history is the teacher's own.
    let [near, far] = [trips[0], trips[trips.len() - 1]];
    assert!(near.0 == 1 && far.0 == 32 && near.1[1] < 0.2 && far.1[1] < 0.2, "errors of round trips: {trips:?}");
    Ok(())
}

#[test]
fn training_on_its_own_history_keeps_a_roll_out_together() -> Result<(), ReproduceError> {
    let ways = [0, 3].map(|way| resampling::WAYS[way]);
    let found = short("resampling", 0.25, |lab| resampling::drift(lab, &ways))?.drift;
    // How far frames are from any true picture, in powers of ten, over the roll-out.
    let off = |way: usize| found[way].1.off.iter().sum::<f64>() / found[way].1.off.len() as f64;
    assert!(off(0) > off(1) + 0.1, "how far from any true picture: {}, {}", off(0), off(1));
    Ok(())
}

#[test]
fn training_on_its_own_history_holds_a_place() -> Result<(), ReproduceError> {
    // Any turns, smooth pictures: what is hardest.
    let [forced, resampled] = short("place", 1.0, |lab| place::both(lab, false, false))?;
    println!("in the right place at frames 1, 16, 64, 256: teacher forcing {forced:?}, resampling {resampled:?}");
    assert!(forced[0] > 0.95 && resampled[0] > 0.95, "{forced:?}, {resampled:?}");
    assert!(resampled[2] > forced[2] + 0.2 && resampled[3] > forced[3] + 0.25, "{forced:?}, {resampled:?}");
    Ok(())
}

/// Not what the paper hopes for: the delta tells how much a judge asks for, and not whether it is right.
#[test]
fn the_delta_is_smaller_for_a_biased_judge_than_for_one_that_is_right_to_object() -> Result<(), ReproduceError> {
    let found = short("delta", 0.4, |lab| {
        let streams = delta::Streams::new(lab);
        Ok(streams.proxy(&streams.teacher()?))
    })?;
    let (level, [agreement, change, still, _]) = found[2];
    assert!(level == 0.5 && change < 0.3 && still < 0.3, "areas under the curve by level: {found:?}");
    assert!(agreement > change + 0.2, "areas under the curve by level: {found:?}");
    Ok(())
}

#[test]
fn a_few_routed_frames_remember_what_a_window_of_their_cost_has_lost() -> Result<(), ReproduceError> {
    let [dense, routed, plain, window] = short("routing", 0.5, |lab| {
        let rooms = Rooms::new(lab, 0);
        let (dense, window) = (rooms.dense()?, rooms.window()?);
        let looks = [(&dense, Look::DENSE), (&dense, Look::ROUTED), (&dense, Look::PLAIN), (&window, Look::WINDOW)];
        Ok(looks.map(|(net, look)| rooms.recall(net, look).kinds[1].told))
    })?;
    println!(
        "rooms last seen 6 to 20 frames ago, told: dense {dense}, routed {routed}, by plain descriptors {plain}, window {window}"
    );
    assert!(dense > 0.5 && routed > window + 0.3 && window < 0.2, "told: {dense}, {routed}, {window}");
    // Content alone tells which frames are worth seeing, where age tells too a few are missed.
    assert!(plain > 0.9 * dense && plain > routed, "told: {dense}, routed {routed}, by plain descriptors {plain}");
    Ok(())
}
