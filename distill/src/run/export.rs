//! From a run folder to a model file, and the trainer's own answers for parity tests.

use std::path::Path;

use burn::tensor::Device;
use causeway_ops::quant::DType;
use causeway_runtime::config::{ModelConfig, StartConfig};
use causeway_runtime::file::{FileError, write_model};
use safetensors::tensor::{Dtype, TensorView};

use crate::footage::data::planes;
use crate::footage::latents::{self, Latents, Windows};
use crate::footage::recording::{self, Recording, RecordingError};
use crate::footage::sight::sharpness;
use crate::judge::eval::START;
use crate::method::teacher_forcing::judged_velocity;
use crate::net::codec::{self, Past};
use crate::net::dit;
use crate::net::mask::Mask;
use crate::net::weights::{Weights, floats};
use crate::rng::Rng;
use crate::run::folder::FolderError;
use crate::run::pipeline::{Pipeline, PipelineError};
use crate::train::state::{StateError, bytes_of, write_whole};

/// Why a model could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run folder is not complete.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The run folder lacks a stage.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The model file was refused or could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The recording could not be read again.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Another file could not be written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Writes the averaged weights of the stage called `stage`, or the newest, as a model file, and with `golden` the answers of
/// [`golden`].
///
/// # Errors
/// [`ExportError`].
pub fn export(
    p: &mut Pipeline<'_>,
    device: &Device,
    stage: Option<&str>,
    to: &Path,
    golden_to: Option<&Path>,
) -> Result<(), ExportError> {
    let (_, held) = p.latents()?;
    let (folder, mut config) = (p.folder(), p.config().clone());
    let ((stage, denoiser), codec) = (folder.playable(stage)?, folder.codec()?);
    let first = start_frame(&held, p.held());
    let events = (first..first + START).map(|i| usize::from(held.events[i])).collect();
    config.start = Some(StartConfig { latents: "start.latents".into(), events, count: START });
    if folder.recipe.model.name.is_none() {
        // The preset's name is that of no world; the run's folder has one that somebody chose.
        let name = std::path::absolute(folder.dir()).ok().and_then(|dir| Some(dir.file_name()?.to_str()?.to_owned()));
        config.name = name.filter(|name| !name.is_empty()).unwrap_or(config.name);
    }
    config.history.route = stage.route.usual().min(config.history.window - config.dit.chunk);
    config.provenance.command = format!("causeway-distill train, stage {}", stage.name);
    config.provenance.steps = folder.state(stage)?.map_or(0, |state| state.step);
    config.provenance.data_sha256 = recording::sha256(&folder.recipe.data().join("train"))?;
    let start = held.data[first * held.len..(first + START) * held.len].to_vec();
    write_model(to, &config, DType::F32, |name, _| {
        let found = [&denoiser, &codec].iter().find_map(|w| w.tensor(name).map(|t| t.1.to_vec()));
        found.unwrap_or_else(|| start.clone())
    })?;
    if let Some(path) = golden_to {
        golden(p, device, &config, &codec, &denoiser, &held, first, path)?;
    }
    Ok(())
}

/// The crispest held-out frame of the first event with a quiet time around it: no attack, no change of condition whose fade
/// could still be under way; and where actions last, none under way, as a session would not go on with it.
fn start_frame(held: &Latents, recording: &Recording) -> usize {
    const QUIET: usize = 8;
    let still = |k: usize| held.action(k).iter().all(|&action| action == 0.0);
    let calm = |i: &usize| {
        (i - QUIET..i + START).all(|k| held.events[k] == 0 && held.action(k).last().is_none_or(|&attack| attack == 0.0))
    };
    let at_rest = |&i: &usize| recording.info.latch == 1 || (i..i + START).all(still);
    let len = recording.frames.len() / held.frames();
    let crisp = |&i: &usize| sharpness(&recording.frames[i * len..(i + 1) * len], recording.info.width);
    let ranges = || held.episodes.ranges().into_iter();
    let fitting = || ranges().flat_map(|r| r.start + QUIET..r.end.saturating_sub(START)).filter(calm);
    let best = |frames: &mut dyn Iterator<Item = usize>| frames.max_by(|a, b| crisp(a).total_cmp(&crisp(b)));
    best(&mut fitting().filter(at_rest)).or_else(|| best(&mut fitting())).unwrap_or(0)
}

#[allow(clippy::too_many_arguments)]
fn golden(
    p: &Pipeline<'_>,
    device: &Device,
    config: &ModelConfig,
    codec: &Weights,
    denoiser: &Weights,
    held: &Latents,
    first: usize,
    path: &Path,
) -> Result<(), StateError> {
    let c = &config.dit;
    let latent = [START, c.latent.channels, c.latent.height, c.latent.width];
    let range = first..first + START;
    let clean = held.data[first * held.len..range.end * held.len].to_vec();
    let net = codec.leaves(device);
    let mut raw = clean.clone();
    latents::restore(&mut raw, latents::area(c), &c.latent_mean, &c.latent_std);
    let (w, h) = config.picture();
    let made = codec::decode(&net, &config.codec, net.constant(raw, latent), START, &mut Past::default());
    let decoded = floats(made.clamp(0.0, 1.0));
    let pictures = planes(p.held(), range.clone());
    let frames = net.constant(pictures.clone(), [START, 3, h, w]);
    let mut encoded = floats(codec::encode(&net, &config.codec, frames, START, &mut Past::default()));
    latents::normalise(&mut encoded, latents::area(c), &c.latent_mean, &c.latent_std);

    let mut rng = Rng::new(11);
    let sigma = [1.0, 0.9, 0.75, 0.5];
    let windows = Windows {
        batch: 1,
        frames: START,
        len: held.len,
        real: clean.clone(),
        before: vec![0.0; held.len],
        actions: range.clone().flat_map(|i| held.action(i).to_vec()).collect(),
        events: range.map(|i| held.events[i]).collect(),
        firsts: Vec::new(),
        blind: Vec::new(),
    };
    let noisy = windows.mix(&clean, &rng.normals(clean.len()), &sigma);
    let net = denoiser.leaves(device);
    let v = judged_velocity(&net, config, Mask::teacher_forcing(0), &windows.doubled(&clean, &noisy, &sigma));
    let v = dit::from_tokens(c, &floats(v));

    let t: Vec<f32> = sigma.iter().map(|s| s * 1000.0).collect();
    let events: Vec<f32> = windows.events.iter().map(|&e| f32::from(e)).collect();
    let picture = vec![START, 3, h, w];
    let entries = [
        ("latents", latent.to_vec(), clean),
        ("decoded", picture.clone(), decoded),
        ("frames", picture, pictures),
        ("encoded", latent.to_vec(), encoded),
        ("noisy", latent.to_vec(), noisy),
        ("t", vec![START], t),
        ("actions", vec![START, c.actions.len()], windows.actions),
        ("events", vec![START], events),
        ("v", latent.to_vec(), v),
    ];
    let bytes: Vec<Vec<u8>> = entries.iter().map(|(_, _, values)| bytes_of(values)).collect();
    let fail = |e: safetensors::SafeTensorError| StateError::Format { path: path.into(), reason: e.to_string() };
    let mut views = Vec::new();
    for ((name, shape, _), bytes) in entries.iter().zip(&bytes) {
        views.push((*name, TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(fail)?));
    }
    write_whole(path, &safetensors::serialize(views, None).map_err(fail)?)
}
