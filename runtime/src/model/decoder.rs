//! A decoder's plan: one latent frame in, the pixel frames that it makes out.

use alloc::{format, vec, vec::Vec};

use causeway_ops::{
    BufferId, Plan, PlanBuilder,
    op::Copy,
    plan::{BufferKind, Element, PassId},
};

use super::{Map, ModelError, Taehv, codec::Frames, vae::Vae};
use crate::config::{DecoderConfig, DecoderNetwork, LatentConfig};

/// One pass and what it leaves in [`DecoderPlan::frames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecoderPass {
    /// The pass.
    pub id: PassId,
    /// Frames that it makes.
    pub frames: usize,
    /// How many of them, from the first on, are not shown.
    pub skipped: usize,
    /// Runs before the one that counts.
    pub repeats: usize,
}

/// A decoder's plan and the buffers a host touches.
#[derive(Clone, Debug)]
pub struct DecoderPlan {
    /// The plan.
    pub plan: Plan,
    /// Runs before the others for each latent, where tiles share what it makes of the whole.
    pub features: Option<PassId>,
    /// Each cuts its tile for the passes that follow; none where there is one tile.
    pub cuts: Vec<PassId>,
    /// For the first latent of a stream.
    pub first: DecoderPass,
    /// For all others.
    pub next: DecoderPass,
    /// Normalised latent [height, width, channels].
    pub latent: BufferId,
    /// Frames of a tile [most frames, height, width, 3 * patch^2], before the pixel shuffle.
    pub frames: BufferId,
    /// Height and width of `frames`.
    pub size: [usize; 2],
    /// Side of the pixel shuffle's block.
    pub patch: usize,
    /// The value that is black; 1 is white.
    pub black: f32,
}

/// How a picture is cut, in latents. A single tile is the whole.
pub(crate) struct Tiles {
    /// Height and width of each.
    pub(crate) size: (usize, usize),
    /// First row and column of each.
    pub(crate) corners: Vec<(usize, usize)>,
}

impl Tiles {
    pub(crate) fn whole(size: (usize, usize)) -> Self {
        Self { size, corners: vec![(0, 0)] }
    }

    /// Emits a pass a tile that copies it from `x`, and what it copies to.
    fn cut(&self, b: &mut PlanBuilder, x: Map) -> (Vec<PassId>, Map) {
        let (height, width) = self.size;
        let mut tile = Map { height, width, ..x };
        // It goes from pass to pass.
        tile.buffer = b.state("tile", tile.values());
        let len = width * x.channels;
        let cuts = self.corners.iter().enumerate().map(|(index, &(top, left))| {
            let pass = b.pass(format!("cut.{index}"));
            for row in 0..height {
                let x_offset = ((top + row) * x.width + left) * x.channels;
                b.push(Copy { x: x.buffer, x_offset, y: tile.buffer, y_offset: row * len, len });
            }
            pass
        });
        (cuts.collect(), tile)
    }
}

impl DecoderPlan {
    /// Emits the plan of `config` for latents of this size.
    ///
    /// # Errors
    /// [`ModelError`] for a size without pixels or beyond 1024.
    pub fn new(config: &DecoderConfig, size: (usize, usize)) -> Result<Self, ModelError> {
        Self::tiled(config, size, &Tiles::whole(size))
    }

    /// Emits the plan of `config` that takes latents of this size and decodes one of `tiles`, which lie within, a run. What the VAE
    /// computes at the latents' size it computes of the whole. TAEHV takes a single tile.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn tiled(
        config: &DecoderConfig,
        (height, width): (usize, usize),
        tiles: &Tiles,
    ) -> Result<Self, ModelError> {
        check_size((height, width))?;
        check_size(tiles.size)?;
        let mut b = PlanBuilder::new();
        let channels = config.codec.channels();
        let input = b.buffer("latent", Element::F32, channels * height * width, BufferKind::Input);
        let latent = Map { buffer: input, height, width, channels };
        match &config.codec {
            DecoderNetwork::Taehv(codec) => {
                let network = Taehv::new(&mut b, codec, LatentConfig { channels, height, width });
                let pass = b.pass("decode");
                let (mut frames, skipped) =
                    (Frames::new(codec.time_factor()), codec.time_factor() - codec.first_pictures());
                network.decode(&mut b, input, &mut |b, frame| frames.take(b, frame));
                let pass = DecoderPass { id: pass, frames: frames.taken, skipped, repeats: codec.warmup };
                let next = DecoderPass { skipped: 0, repeats: 0, ..pass };
                frames.finish(b, [pass, next], input, codec.patch, 0.0)
            }
            DecoderNetwork::Vae(vae) => {
                let mut network = Vae::new(vae);
                let mut frames = Frames::new(vae.time_factor());
                let shared = (tiles.corners.len() > 1).then(|| {
                    let pass = b.pass("features");
                    let x = network.features(&mut b, latent);
                    let features = Map { buffer: b.state("features", x.values()), ..x };
                    b.push(Copy { x: x.buffer, x_offset: 0, y: features.buffer, y_offset: 0, len: x.values() });
                    (pass, tiles.cut(&mut b, features))
                });
                let mut pass = |name: &str, first: bool| {
                    let id = b.pass(name);
                    frames.taken = 0;
                    let x = shared.as_ref().map_or_else(|| network.features(&mut b, latent), |(_, (_, tile))| *tile);
                    network.decode(&mut b, x, first, &mut |b, frame| frames.take(b, frame));
                    DecoderPass { id, frames: frames.taken, skipped: 0, repeats: 0 }
                };
                let passes = [pass("decode.first", true), pass("decode", false)];
                let plan = frames.finish(b, passes, input, 1, -1.0)?;
                let (features, cuts) = shared.map_or_else(Default::default, |(pass, (cuts, _))| (Some(pass), cuts));
                Ok(Self { features, cuts, ..plan })
            }
        }
    }
}

/// Latents of a size that plans are made for.
pub(super) fn check_size((height, width): (usize, usize)) -> Result<(), ModelError> {
    if (1..=1024).contains(&height) && (1..=1024).contains(&width) {
        return Ok(());
    }
    Err(ModelError::Unsupported(format!("latents of {height} x {width}; sides are from 1 to 1024")))
}

impl Frames {
    fn finish(
        self,
        b: PlanBuilder,
        [first, next]: [DecoderPass; 2],
        latent: BufferId,
        patch: usize,
        black: f32,
    ) -> Result<DecoderPlan, ModelError> {
        let Some((frames, size)) = self.output else {
            return Err(ModelError::Unsupported("a decoder without frames".into()));
        };
        let plan = b.build()?;
        Ok(DecoderPlan { plan, features: None, cuts: Vec::new(), first, next, latent, frames, size, patch, black })
    }
}
