//! Every kernel permutation must reach every backend's language.

use causeway_shaders::{ALL, Kernel};
use naga::{
    Module, ShaderStage,
    back::{glsl, hlsl, msl, spv},
    proc::BoundsCheckPolicies,
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};

/// Runs `translate` on every permutation and lists those that fail.
fn every(translate: impl Fn(&Kernel, &Module, &ModuleInfo) -> Result<(), String>) {
    let mut failures = String::new();
    for kernel in ALL {
        let module = naga::front::wgsl::parse_str(kernel.source).expect("parsed at build time");
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
        let info = validator.validate(&module).expect("validated at build time");
        if let Err(error) = translate(kernel, &module, &info) {
            failures += &format!("\n{}: {error}", kernel.name);
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

#[test]
fn to_spirv() {
    let options = spv::Options { lang_version: (1, 3), ..Default::default() };
    every(|_, module, info| {
        let words = spv::write_vec(module, info, &options, None).map_err(|e| e.to_string())?;
        if words.first() == Some(&0x0723_0203) { Ok(()) } else { Err("no SPIR-V magic".into()) }
    });
}

#[test]
fn to_metal() {
    let options = msl::Options { lang_version: (2, 0), fake_missing_bindings: true, ..Default::default() };
    every(|_, module, info| {
        let pipeline = msl::PipelineOptions::default();
        let (text, _) = msl::write_string(module, info, &options, &pipeline).map_err(|e| e.to_string())?;
        if text.contains("kernel void main_") { Ok(()) } else { Err("no kernel function".into()) }
    });
}

#[test]
fn to_hlsl() {
    let options =
        hlsl::Options { shader_model: hlsl::ShaderModel::V5_1, fake_missing_bindings: true, ..Default::default() };
    every(|kernel, module, info| {
        let pipeline = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, kernel.entry.into())) };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None).map_err(|e| e.to_string())?;
        if text.contains("[numthreads(") { Ok(()) } else { Err("no compute entry point".into()) }
    });
}

#[test]
fn to_opengl_es() {
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
    every(|kernel, module, info| {
        let pipeline = glsl::PipelineOptions {
            shader_stage: ShaderStage::Compute,
            entry_point: kernel.entry.into(),
            multiview: None,
        };
        let mut text = String::new();
        glsl::Writer::new(&mut text, module, info, &options, &pipeline, BoundsCheckPolicies::default())
            .and_then(|mut writer| writer.write())
            .map_err(|e| e.to_string())?;
        if text.starts_with("#version 310 es") { Ok(()) } else { Err("another version".into()) }
    });
}

/// What devices get that have the builtin for f16 numbers.
#[test]
fn texts_with_the_builtin_validate() {
    let mut replaced = 0;
    for kernel in ALL {
        let text = kernel.text(true);
        let module = naga::front::wgsl::parse_str(&text).expect("parses");
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16_IN_FLOAT32);
        validator.validate(&module).unwrap_or_else(|error| panic!("{}: {error:?}", kernel.name));
        assert_eq!(kernel.text(false), kernel.source);
        replaced += usize::from(text != kernel.source);
    }
    assert!(replaced >= 9, "{replaced} kernels decode f16 numbers");
}

/// Names are what backends look kernels, buffers and constants up by.
#[test]
fn names_are_unique() {
    for (at, kernel) in ALL.iter().enumerate() {
        assert!(ALL[..at].iter().all(|other| other.name != kernel.name), "{} twice", kernel.name);
        for (i, binding) in kernel.bindings.iter().enumerate() {
            let clash = |b: &causeway_shaders::Binding| b.name == binding.name || b.slot == binding.slot;
            assert!(!kernel.bindings[..i].iter().any(clash), "{}: {} twice", kernel.name, binding.name);
        }
        assert!(kernel.constants.iter().all(|constant| constant.offset + 4 <= kernel.node_bytes), "{}", kernel.name);
    }
}
