//! The file of a VAE holds what its plans read, in the order in which they first do.

use causeway_runtime::{
    config::{DecoderConfig, DecoderNetwork, FileConfig, VaeConfig},
    model::{DecoderPlan, EncoderPlan, Network},
};
use causeway_tests::tiny::codec_config;

fn vae(widths: &[usize], blocks: usize, time_down: &[bool], decode_only: bool) -> DecoderConfig {
    let (channels, widths, time_down) = (3, widths.to_vec(), time_down.to_vec());
    let (latent_mean, latent_std) = (vec![0.0; channels], vec![1.0; channels]);
    let vae = VaeConfig { channels, widths, blocks, time_down, latent_mean, latent_std, decode_only };
    codec_config("vae", DecoderNetwork::Vae(vae))
}

#[test]
fn a_vaes_tensors_are_those_that_its_plans_read() {
    for config in [
        vae(&[4, 8, 16, 16], 2, &[false, true, true], false),
        vae(&[4, 8, 16, 16], 2, &[false, true, true], true),
        vae(&[8, 4, 6, 2, 12], 1, &[true, false, true, true], false),
        vae(&[6, 6], 3, &[false], false),
        vae(&[2, 4, 4], 1, &[true, true], false),
        vae(&[2, 4, 8], 1, &[true, false], true),
    ] {
        config.validate().unwrap();
        let mut read = DecoderPlan::new(&config, (1, 1)).unwrap().plan.weights;
        read.extend(EncoderPlan::new(&config, (1, 1)).into_iter().flat_map(|plan| plan.plan.weights));
        let read: Vec<_> = read.into_iter().map(|weight| (weight.name, weight.shape)).collect();
        assert_eq!(config.tensors(), read, "{:?}", config.codec);
    }
}
