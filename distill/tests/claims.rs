//! The main effect of each paper, in its direction and with a margin, from a short version of what `reproduce` runs whole.

use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use causeway_distill::reproduce::{Lab, Plan, ReproduceError, causal, delta, resampling};

/// What `experiment` finds with one seed and a share `effort` of the steps.
fn short<T: Send>(
    name: &str,
    effort: f64,
    experiment: impl Fn(&Lab<'_>) -> Result<T, ReproduceError> + Sync,
) -> Result<T, ReproduceError> {
    let runs = std::env::temp_dir().join(format!("causeway-claims-{}-{name}", std::process::id()));
    let (device, stop) = (Device::flex(), AtomicBool::new(false));
    let plan = Plan { runs: &runs, seeds: 1, threads: 1, effort, stop: &stop, device, cpu: true };
    let found = plan.run(name, experiment).map(|mut found| found.remove(0));
    std::fs::remove_dir_all(&runs).ok();
    found
}

#[test]
fn a_causal_student_wants_a_causal_teacher() -> Result<(), ReproduceError> {
    let (teachers, legal) = short("causal", 0.15, |lab| {
        let walks = causal::Walks::new(lab);
        let teachers = walks.teachers()?;
        // From the autoregressive and from the bidirectional teacher, by the same distillation.
        let students = [walks.start(0, &teachers)?, walks.start(2, &teachers)?];
        Ok((walks.judge(&teachers), students.map(|net| walks.roll_out(&net, Some(4)).legal)))
    })?;
    let [causal, full] = teachers.map(|teacher| teacher.0);
    assert!(causal < 1e-6 && full > 0.1, "unexplained variance of the ends: {causal}, {full}");
    assert!(legal[0] > legal[1] + 0.05, "legal steps of the students: {legal:?}");
    Ok(())
}

#[test]
fn training_on_its_own_history_keeps_a_roll_out_together() -> Result<(), ReproduceError> {
    let ways = [0, 3].map(|way| resampling::WAYS[way]);
    let found = short("resampling", 0.25, |lab| resampling::drift(lab, &ways))?;
    // What is not a true picture at all, over the roll-out.
    let off = |way: usize| found[way].1.iter().map(|error| error.off).sum::<f64>() / found[way].1.len() as f64;
    assert!(off(0) > off(1) + 0.1, "what is not a picture: {}, {}", off(0), off(1));
    Ok(())
}

#[test]
fn a_change_of_event_takes_the_teacher_out_of_the_trust_region() -> Result<(), ReproduceError> {
    let [quiet, change] = short("delta", 0.4, |lab| {
        let clips = delta::Clips::new(lab);
        Ok(clips.trust_in_truth(&clips.teacher()?))
    })?;
    // Of true streams, so that only the change can be why.
    assert!(1.0 - change > 2.0 * (1.0 - quiet), "mean weight of supervision: {quiet}, {change}");
    Ok(())
}
