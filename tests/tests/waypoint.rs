//! Waypoint: bytes of its plan at real size, and what holds for sessions of a tiny one.

use causeway_ops::{
    Kv,
    cpu::{self, CpuOptions},
    quant::{DType, TensorView, WeightSource},
};
use causeway_runtime::{
    config::DecoderNetwork,
    file::may_quantise,
    import::waypoint,
    model::{CodecSource, Groups, Levels, Past, StreamPlan, StreamShape},
    sampler::Sampler,
};

/// Tensors of any size, matrices of blocks as bytes and all else in half precision; all zeros.
struct Sized(std::collections::HashMap<String, Vec<usize>>, Vec<u8>);

impl WeightSource for Sized {
    fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let shape = self.0.get(name)?;
        let dtype = if may_quantise(name, shape) { DType::Q8 } else { DType::F16 };
        let values = shape.iter().product();
        let scales = dtype.is_quantised().then(|| &self.1[..dtype.scale_bytes(values)]);
        Some(TensorView::here(dtype, shape, &self.1[..dtype.data_bytes(values)?], scales))
    }
}

/// At 360p with bytes for weights and rings, the codec in the plan.
#[test]
fn a_plan_at_real_size_stays_below_its_bound() {
    for (small, most) in [(true, 2_200_000_000), (false, 3_200_000_000usize)] {
        let config = waypoint(small);
        let past = |window, every| Past { window, every, kv: Kv::Q8, ..Past::new(window, 0) };
        let mut layers = vec![0; config.dit.layers];
        config.history.groups[0].layers.iter().for_each(|&layer| layers[layer] = 1);
        let global = &config.history.groups[0];
        let pasts = vec![past(config.history.window, 1), past(global.window, global.every)];
        let codec = DecoderNetwork::Taehv(config.codec.clone());
        let stream = StreamPlan::new(&StreamShape {
            dit: &config.dit,
            first: 1,
            given: [1, 1],
            groups: Groups { pasts, layers, actions: None },
            text_rows: 0,
            guided: false,
            recache: Vec::new(),
            levels: Levels::Table(config.dit.waypoint().unwrap().levels.clone()),
            sampler: Sampler::Euler,
            exact: false,
            codec: Some(CodecSource::File(&codec)),
            picture: false,
        })
        .unwrap();
        let weights = stream.plan.weights.iter().map(|weight| (weight.name.clone(), weight.shape.clone()));
        let weights = Sized(weights.collect(), vec![0; 64 << 20]);
        let memory = cpu::memory(&stream.plan, &weights, &CpuOptions::default()).unwrap();
        println!("{}: {memory:?}, {} in all", if small { "360p" } else { "720p" }, memory.total());
        assert!(memory.total() <= most, "{} bytes", memory.total());
    }
}
