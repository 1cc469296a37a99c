//! The codec of a stream: the one thing between latents and pictures.

use causeway_ops::{
    BufferId, PlanBuilder,
    op::{Activate, Activation, Copy, FromPixels},
    plan::{BufferKind, Element},
};

use super::{Dense, ModelError, Taehv, layers::Map, vae::Vae};
use crate::config::{CodecConfig, CodecKind, DecoderNetwork, LatentConfig, ModelConfig};

/// Which codec a stream has: that of a world's own file, or that of a decoder's.
#[derive(Clone, Copy, Debug)]
pub enum CodecSource<'a> {
    /// A world's.
    World(&'a ModelConfig),
    /// A file's.
    File(&'a DecoderNetwork),
}

impl CodecSource<'_> {
    /// Channels of a latent.
    pub fn channels(&self) -> usize {
        match self {
            Self::World(config) => config.codec.channels,
            Self::File(network) => network.channels(),
        }
    }

    /// Pixels along one side for each latent.
    pub fn space_factor(&self) -> usize {
        match self {
            Self::World(config) => config.codec.space_factor(),
            Self::File(network) => network.space_factor(),
        }
    }

    /// Pictures of the stream's first latent frame.
    pub fn first_pictures(&self) -> usize {
        match self {
            Self::World(config) => config.codec.first_pictures(),
            Self::File(network) => network.first_pictures(),
        }
    }

    /// How often the first is decoded before it is shown.
    pub fn warmup(&self) -> usize {
        match self {
            Self::World(config) => config.codec.warmup,
            Self::File(DecoderNetwork::Taehv(codec)) => codec.warmup,
            Self::File(DecoderNetwork::Vae(_)) => 0,
        }
    }

    /// Pictures of each latent frame but the stream's first.
    pub fn time_factor(&self) -> usize {
        match self {
            Self::World(config) => config.codec.time_factor(),
            Self::File(network) => network.time_factor(),
        }
    }

    /// Whether it can encode.
    pub fn encodes(&self) -> bool {
        match self {
            Self::World(_) => true,
            Self::File(DecoderNetwork::Taehv(codec)) => codec.encoder > 0,
            Self::File(DecoderNetwork::Vae(vae)) => !vae.decode_only,
        }
    }
}

/// A codec, and what it remembers of the one stream that it decodes.
pub(super) struct Codec<'a> {
    network: Network<'a>,
    latent: LatentConfig,
    /// Means and standard deviations of latents, where the network takes them as they are.
    scale: Option<(&'a [f32], &'a [f32])>,
    /// The value that is black; 1 is white.
    pub black: f32,
    /// Side of the pixel shuffle's block next to the picture.
    pub patch: usize,
}

enum Network<'a> {
    /// Convolutions (spec 3.2).
    Taehv(Taehv<'a>),
    /// One matrix each way.
    Linear(&'a CodecConfig),
    /// Convolutions over time (spec 3.1).
    Vae(Vae<'a>),
}

impl<'a> Codec<'a> {
    /// Declares the stream's state.
    pub fn new(b: &mut PlanBuilder, source: CodecSource<'a>, latent: LatentConfig) -> Self {
        match source {
            CodecSource::World(config) => {
                let codec = &config.codec;
                let network = match codec.kind {
                    CodecKind::Taehv => Network::Taehv(Taehv::of_world(b, codec, latent)),
                    CodecKind::Linear => Network::Linear(codec),
                };
                let scale = Some((config.dit.latent_mean.as_slice(), config.dit.latent_std.as_slice()));
                Self { network, latent, scale, black: 0.0, patch: codec.patch }
            }
            CodecSource::File(DecoderNetwork::Taehv(codec)) => {
                let network = Network::Taehv(Taehv::new(b, codec, latent));
                Self { network, latent, scale: None, black: 0.0, patch: codec.patch }
            }
            CodecSource::File(DecoderNetwork::Vae(vae)) => {
                Self { network: Network::Vae(Vae::new(vae)), latent, scale: None, black: -1.0, patch: 1 }
            }
        }
    }

    /// Whether the stream's first latent frame is decoded in another way than the others.
    pub fn begins_apart(&self) -> bool {
        matches!(self.network, Network::Vae(_))
    }

    /// Emits the decoding of a normalised latent frame, perhaps the stream's first. `emit` takes each frame it makes, before the pixel
    /// shuffle. Of the first latent frame the last of them is the picture.
    pub fn decode(
        &mut self,
        b: &mut PlanBuilder,
        x: BufferId,
        first: bool,
        emit: &mut dyn FnMut(&mut PlanBuilder, Map),
    ) {
        let LatentConfig { height, width, channels } = self.latent;
        let len = height * width * channels;
        let mut x = x;
        if let Some((mean, std)) = self.scale {
            // z * std + mean.
            let table = b.constant("denormalise", [std, mean].concat());
            let raw = b.scratch("raw_latent", len);
            let affine = Some((table, channels));
            b.push(Activate { x, y: raw, len, activation: Activation::None, affine });
            x = raw;
        }
        match &mut self.network {
            Network::Taehv(taehv) => taehv.decode(b, x, emit),
            Network::Linear(config) => {
                let pixels = 3 * config.patch * config.patch;
                let buffer = matrix("linear.decoder", height * width, channels, pixels).scratch(b, x, "unshuffled");
                emit(b, Map { buffer, height, width, channels: pixels });
            }
            Network::Vae(vae) => {
                let features = vae.features(b, Map { buffer: x, height, width, channels });
                vae.decode(b, features, first, emit);
            }
        }
    }

    /// Emits the encoding of the RGBA8 picture `image`, standing still for as many frames as a latent frame has, perhaps the stream's first,
    /// to the normalised latent frame `y`.
    ///
    /// # Errors
    /// [`ModelError`] of a network that only decodes.
    pub fn encode(&mut self, b: &mut PlanBuilder, image: BufferId, first: bool, y: BufferId) -> Result<(), ModelError> {
        let LatentConfig { height, width, channels } = self.latent;
        let len = height * width * channels;
        let raw = match &mut self.network {
            Network::Taehv(taehv) => match taehv.encode(b, image) {
                Some(raw) => raw,
                None => return Err(ModelError::Unsupported("its codec has no encoder".into())),
            },
            Network::Linear(CodecConfig { patch, .. }) => {
                let pixels = 3 * patch * patch;
                let x = b.scratch("unshuffled", height * width * pixels);
                b.push(FromPixels { x: image, y: x, height, width, patch: *patch, black: 0.0 });
                matrix("linear.encoder", height * width, pixels, channels).scratch(b, x, "raw_latent")
            }
            Network::Vae(vae) => {
                let side = vae.space_factor();
                let frame = Map { buffer: image, height: height * side, width: width * side, channels: 3 };
                for index in 0..if first { 1 } else { vae.time_factor() } {
                    // Each is changed on its way.
                    let frame = Map { buffer: b.scratch("image", frame.values()), ..frame };
                    let (x, black) = (image, self.black);
                    b.push(FromPixels {
                        x,
                        y: frame.buffer,
                        height: frame.height,
                        width: frame.width,
                        patch: 1,
                        black,
                    });
                    vae.encode(b, frame, index, first, &mut |b, x| {
                        b.push(Copy { x: x.buffer, x_offset: 0, y, y_offset: 0, len });
                    });
                }
                return Ok(());
            }
        };
        let Some((mean, std)) = self.scale else {
            // A file's latents are as its network makes them.
            b.push(Copy { x: raw, x_offset: 0, y, y_offset: 0, len });
            return Ok(());
        };
        // (z - mean) / std as z * scale + shift.
        let (scale, shift) = (std.iter().map(|std| 1.0 / std), mean.iter().zip(std).map(|(mean, std)| -mean / std));
        let table = b.constant("normalise", scale.chain(shift).collect());
        b.push(Activate { x: raw, y, len, activation: Activation::None, affine: Some((table, channels)) });
        Ok(())
    }
}

/// Gathers the frames that passes decode in an output, each in its place.
pub(super) struct Frames {
    most: usize,
    /// Frames of the pass in the making.
    pub taken: usize,
    /// Where they lie [most, height, width, 3 * patch^2], and their height and width.
    pub output: Option<(BufferId, [usize; 2])>,
}

impl Frames {
    pub fn new(most: usize) -> Self {
        Self { most, taken: 0, output: None }
    }

    pub fn take(&mut self, b: &mut PlanBuilder, frame: Map) {
        let (output, _) = *self.output.get_or_insert_with(|| {
            let output = b.buffer("frames", Element::F32, self.most * frame.values(), BufferKind::Output);
            (output, [frame.height, frame.width])
        });
        let len = frame.values();
        b.push(Copy { x: frame.buffer, x_offset: 0, y: output, y_offset: self.taken * len, len });
        self.taken += 1;
    }
}

fn matrix(name: &str, rows: usize, inputs: usize, outputs: usize) -> Dense<'_> {
    Dense { name, rows, inputs, outputs, activation: Activation::None }
}
