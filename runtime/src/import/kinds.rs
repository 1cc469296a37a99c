//! What a file is: the first row of the tables that fits, by its first bytes (`source::bytes`) or, here, by its tensors' names and
//! shapes and how they are stored. docs/models.md shows all rows.

use super::Answer::{self, Read, Refused, Warned};
use super::network::{Outline, keys};
use super::source::FILES;
use super::{Checkpoint, Encoding, ImportError, Kind, Section};

impl Kind {
    /// All kinds, in the order in which they are looked for.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        FILES.iter().map(|(kind, _)| kind).chain(TENSORS.iter().map(|(kind, _)| kind))
    }
}

impl Checkpoint {
    /// What is in the part under `key` (or the best wrapper); `None` for what no row of the table fits.
    pub fn kind(&self, key: Option<&str>) -> Option<&'static Kind> {
        let outline = Outline::new(self, key);
        let fits = |(kind, test): &&Row| match kind.section() {
            // Values that can be read say nothing about what they are for.
            Section::Storage => matches!(kind.answer, Refused(_)) && test(&outline),
            Section::Networks => test(&outline),
            Section::Files | Section::Loras => false,
        };
        TENSORS.iter().find(fits).map(|(kind, _)| kind)
    }

    /// As [`Self::kind`], where a kind that cannot be converted is an error.
    ///
    /// # Errors
    /// `Kind`.
    pub fn known(&self, key: Option<&str>) -> Result<Option<&'static Kind>, ImportError> {
        match self.kind(key) {
            Some(kind) if matches!(kind.answer, Refused(_)) => Err(ImportError::Kind { kind, detail: String::new() }),
            kind => Ok(kind),
        }
    }

    /// How its values are stored: the rows of the table that fit.
    pub fn storage(&self) -> Vec<&'static Kind> {
        self.rows(Section::Storage)
    }

    /// The rows for LoRA files that fit.
    pub(super) fn lora_kinds(&self) -> Vec<&'static Kind> {
        self.rows(Section::Loras)
    }

    fn rows(&self, section: Section) -> Vec<&'static Kind> {
        let outline = Outline::new(self, None);
        let fits = |(kind, test): &&Row| kind.section() == section && test(&outline);
        TENSORS.iter().filter(fits).map(|(kind, _)| kind).collect()
    }

    /// Keys under which there is a network of Wan's, best first; empty where it is not under any.
    pub fn keys(&self) -> Vec<String> {
        let all: Vec<(usize, &str)> = self.entries().iter().map(|entry| entry.name.as_str()).enumerate().collect();
        keys(&all)
    }
}

/// A kind, and the test by which a checkpoint is known to be of it.
type Row = (Kind, fn(&Outline<'_>) -> bool);

const fn storage(name: &'static str, answer: Answer, test: fn(&Outline<'_>) -> bool) -> Row {
    (Kind::new(Section::Storage, name, answer), test)
}

const fn network(name: &'static str, answer: Answer, test: fn(&Outline<'_>) -> bool) -> Row {
    (Kind::new(Section::Networks, name, answer), test)
}

const fn lora(name: &'static str, answer: Answer, test: fn(&Outline<'_>) -> bool) -> Row {
    (Kind::new(Section::Loras, name, answer), test)
}

/// What all networks that are Wan's and more come to.
const TEXT_TO_VIDEO: &str = "only text-to-video networks are run; take the T2V checkpoint of that size";

/// Ways of storing values, networks, and files for `--lora`. The first row that fits counts.
static TENSORS: &[Row] = &[
    storage("weights of bitsandbytes", Refused("codes of 4 or 8 bits that only it unpacks; take another file"), |n| {
        n.names(&[".quant_state.bitsandbytes__", ".absmax", ".SCB"])
    }),
    storage("weights of GPTQ, AWQ or SVDQuant", Refused("packed codes of few bits; take fp8, GGUF or bf16"), |n| {
        n.names(&[".qweight", ".qzeros", ".wscales"])
    }),
    storage("weights in NVFP4 or MXFP", Refused("packed codes of few bits; take fp8, GGUF or bf16"), |n| {
        n.names(&[".weight_scale_2"]) || n.any(|entry| entry.encoding.to_string().starts_with("F8_E8M0"))
    }),
    storage("floats of 16 bits and more (F64, F32, F16, BF16)", Read("in every format"), |n| {
        n.any(|entry| matches!(entry.encoding, Encoding::F64 | Encoding::F32 | Encoding::F16 | Encoding::Bf16))
    }),
    storage("floats of 8 bits (F8_E4M3, F8_E5M2)", Read("codes as they are"), |n| {
        n.any(|entry| eight(&entry.encoding) && entry.scale.is_none())
    }),
    storage(
        "floats of 8 bits with scales",
        Read("`scale_weight` or `weight_scale` for a tensor, a row or a block; one that is missing is an error"),
        |n| n.any(|entry| eight(&entry.encoding) && entry.scale.is_some()),
    ),
    storage("integers of 8 bits with scales (LightX2V)", Read("as above; without their scale never"), |n| {
        n.any(|entry| entry.encoding.is_int8() && entry.scale.is_some())
    }),
    storage(
        "blocks of GGUF",
        Read("Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ4_NL, IQ4_XS; others by name not"),
        |n| n.any(|entry| entry.encoding.block().is_some_and(|(values, _)| values > 1)),
    ),
    //
    network(
        "a model file of Causeway",
        Refused("it is converted already; give it to --model, or to `causeway quantize` for other types"),
        |n| n.checkpoint.metadata().iter().any(|(key, _)| key == "causeway"),
    ),
    network("a LoRA", Refused("convert the model that it belongs to, and give this with --lora"), |n| {
        n.names(&["lora_A", "lora_B", "lora_down", "lora_up", "lora.down", "lora.up", ".diff_b", ".diff_m"])
            && n.shape("patch_embedding.weight").is_none()
    }),
    network(
        "CLIP, as Wan and Matrix-Game publish it",
        Read("an image encoder for games; its text tower is left out"),
        |n| n.names(&["visual.cls_embedding"]) && n.names(&["visual.transformer."]),
    ),
    network(
        "another CLIP",
        Refused("games take models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth; prompts go through umT5"),
        |n| n.names(&["visual.transformer.", "vision_model.encoder.", "text_model.encoder.", "visual.cls_embedding"]),
    ),
    network("Wan VACE", Refused(TEXT_TO_VIDEO), |n| n.names(&["vace_blocks.", "vace_patch_embedding."])),
    network("Wan Animate", Refused(TEXT_TO_VIDEO), |n| n.names(&["face_adapter.", "motion_encoder."])),
    network("Wan with sound (S2V, MultiTalk, InfiniteTalk)", Refused(TEXT_TO_VIDEO), |n| {
        n.names(&["audio_injector.", "casual_audio_encoder.", "audio_proj.", "audio_cross_attn."])
    }),
    network(
        "Matrix-Game 2.0, ForgeWM",
        Read("a world with keys and mouse; `config.json` beside it is read too"),
        |n| n.names(&["action_model."]) && n.names(&["img_emb.", "image_embedder."]) && !n.names(&["text_embed"]),
    ),
    network("Matrix-Game of another version", Refused("only networks of version 2.0 are run"), |n| {
        n.names(&["action_model."])
    }),
    network("Wan with a camera (Fun-Control-Camera, ReCamMaster)", Refused(TEXT_TO_VIDEO), |n| {
        n.names(&["control_adapter.", "cam_encoder."])
    }),
    network("Wan Fun-Control", Refused(TEXT_TO_VIDEO), |n| {
        n.names(&["ref_conv."])
            || n.wan().is_some_and(|(inputs, outputs)| outputs == 16 && (inputs == 48 || inputs == 52))
    }),
    network(
        "Wan image-to-video (I2V, FLF2V, Fun-InP)",
        Refused("take the T2V checkpoint of that size; `generate --start` lets a T2V student begin with a picture"),
        |n| {
            n.wan().is_some_and(|(inputs, outputs)| inputs == 36 && outputs == 16)
                || n.names(&["img_emb.", "image_embedder."])
        },
    ),
    network("Wan with further inputs", Refused(TEXT_TO_VIDEO), |n| {
        n.wan().is_some_and(|(inputs, outputs)| inputs != outputs)
    }),
    network(
        "Wan 2.2 TI2V-5B",
        Warned("its latents are those of the Wan 2.2 VAE, of which there is no decoder here"),
        |n| n.wan() == Some((48, 48)),
    ),
    network(
        "one expert of Wan 2.2 A14B",
        Warned("it denoises one part of the steps and the other expert the rest; alone it makes no good video"),
        |n| n.wan().is_some() && expert(n),
    ),
    network("Wan 2.1 text-to-video", Read("a denoiser; students with a KV cache make videos"), |n| n.wan().is_some()),
    network("the VAE of Wan 2.2", Refused("only that of Wan 2.1 is run; take Wan2.1_VAE.pth or taew2_1"), |n| {
        n.decoder() == Some((48, 5)) || n.names(&["decoder.upsamples.0.upsamples."])
    }),
    network("the VAE of another model", Refused("it is not for Wan's latents; take Wan2.1_VAE.pth or taew2_1"), |n| {
        n.names(&["decoder.conv_in.conv."])
            || n.decoder().is_some_and(|(_, rank)| rank == 4) && n.taehv().is_none() && !tiny(n)
    }),
    network("the decoder of the Wan 2.1 VAE, without its encoder", Read("decodes only"), |n| {
        n.decoder().is_some_and(|(_, rank)| rank == 5) && !n.names(&["encoder."])
    }),
    network("the Wan 2.1 VAE", Read("decodes and encodes"), |n| n.decoder().is_some_and(|(_, rank)| rank == 5)),
    network("TAESD", Refused("it decodes pictures, not videos; take taew2_1"), |n| n.taehv().is_none() && tiny(n)),
    network("the TAEHV of Wan 2.2 (taew2_2)", Warned("for the latents of TI2V-5B alone; others are Wan 2.1's"), |n| {
        n.taehv() == Some(48)
    }),
    network("the TAEHV of Waypoint 1.5 (taehv1_5)", Read("decodes and encodes; of HunyuanVideo 1.5 too"), |n| {
        n.taehv() == Some(32)
    }),
    network(
        "the TAEHV of HunyuanVideo",
        Warned("Wan's latents are others, and come out wrong; for them take taew2_1"),
        |n| n.taehv().is_some() && n.file().starts_with("taehv"),
    ),
    network(
        "the TAEHV of CogVideoX, Open-Sora, Mochi or LTX",
        Warned("Wan's latents are others, and come out wrong; for them take taew2_1"),
        |n| n.taehv().is_some() && ["taecvx", "taeos", "taemochi", "taeltx"].iter().any(|tae| n.file().contains(tae)),
    ),
    network("TAEHV with its encoder", Read("the decoder is taken, the encoder left out"), |n| {
        n.taehv().is_some() && n.names(&["encoder."])
    }),
    network("TAEHV (taew2_1)", Read("decodes only"), |n| n.taehv().is_some()),
    network("umT5", Read("a text encoder"), |n| {
        n.names(&[
            "block.1.layer.0.SelfAttention.relative_attention_bias.",
            "blocks.1.pos_embedding.",
            "enc.blk.1.attn_rel_b.",
        ])
    }),
    network("T5", Read("a text encoder; Wan's own is umT5, which has biases in every layer"), |n| {
        n.names(&["block.0.layer.0.SelfAttention.relative_attention_bias.", "enc.blk.0.attn_rel_b."])
            || n.shape("pos_embedding.embedding.weight").is_some()
    }),
    network(
        "a denoiser of another model (HunyuanVideo, Flux, LTX, CogVideoX, Stable Diffusion)",
        Refused("only networks of Wan 2.1's architecture are run"),
        |n| n.names(&["double_blocks.", "transformer_blocks.", "input_blocks.", "joint_blocks."]),
    ),
    network("Waypoint 1.5", Read("a world with keys and mouse; `config.yaml` beside it is read too"), |n| {
        n.names(&["ctrl_emb.mlp.fc1.weight"]) && n.names(&["attn_cond_head.", "cond_head.", "v_lamb"])
    }),
    network("a language model", Refused("prompts go through umT5: models_t5_umt5-xxl-enc-bf16.pth or its GGUF"), |n| {
        n.names(&["layers.0.self_attn.q_proj.", "blk.0.attn_q.", "h.0.attn.c_attn."])
    }),
    network("the state of an optimizer", Refused("the weights are in another file beside it"), |n| {
        n.names(&[".exp_avg"]) && !n.names(&["blocks."])
    }),
    //
    lora("LoHa, LoKr or OFT", Refused("only low-rank pairs and full differences are merged"), |n| {
        n.names(&[".hada_w1", ".lokr_w1", ".oft_", ".lora_mid."])
    }),
    lora("DoRA", Refused("its weights have lengths of their own, which is not merged"), |n| {
        n.names(&[".dora_scale", ".lora_magnitude_vector"])
    }),
    lora("kohya's names (`lora_unet_...`)", Read("points are told from underscores by the model's own names"), |n| {
        n.any(|entry| entry.name.split('.').next().is_some_and(|stem| stem.contains("_blocks_")))
    }),
    lora("full differences (`.diff`, `.diff_b`, `.diff_m`)", Read("added times the strength"), |n| {
        n.any(|entry| [".diff", ".diff_b", ".diff_m"].iter().any(|end| entry.name.ends_with(end)))
    }),
    lora("`lora_A` and `lora_B`, of any adapter's name", Read("PEFT, diffusers"), |n| n.names(&[".lora_A"])),
    lora("`lora_down` and `lora_up`, `lora.down` and `lora.up`", Read("kohya, old diffusers"), |n| {
        n.names(&["lora_down", "lora.down"])
    }),
];

fn eight(encoding: &Encoding) -> bool {
    matches!(encoding, Encoding::F8E4M3 | Encoding::F8E5M2)
}

/// Whether names say that this is one of two networks.
fn expert(n: &Outline<'_>) -> bool {
    let words =
        ["high_noise", "low_noise", "highnoise", "lownoise", "high-noise", "low-noise", "a14b", "transformer_2/"];
    let second = n.checkpoint.path().and_then(|path| Some(path.parent()?.parent()?.join("transformer_2")));
    let pair = n.path.starts_with("transformer/") && second.is_some_and(|second| second.is_dir());
    pair || words.iter().any(|word| n.path.contains(word))
}

/// Whether these are the names of the tiny autoencoders.
fn tiny(n: &Outline<'_>) -> bool {
    n.shape("decoder.3.conv.0.weight").is_some()
}
