//! Every kernel permutation must reach every backend's language.

use std::{fs, path::Path, process::Command};

use causeway_shaders::{ALL, Halves, Kernel, Needs, Target};
use causeway_tests::machine;
use naga::{
    Module, ShaderStage,
    back::{glsl, hlsl, msl, spv},
    proc::{BoundsCheckPolicies, BoundsCheckPolicy},
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};

/// Runs `translate` on every permutation that needs at most this, for a device, and lists those that fail. Where the device has the builtins for
/// that, once more with all numbers in half precision that may lie in it. How many texts there were.
fn every(
    most: Needs,
    target: Target,
    translate: impl Fn(&Kernel, &Module, &ModuleInfo) -> Result<(), String>,
) -> usize {
    let (mut failures, mut count) = (String::new(), 0);
    for kernel in ALL.iter().filter(|kernel| kernel.needs <= most) {
        let halves = Some(kernel.halves()).filter(|halves| target.unpack && *halves != Halves::default());
        for halves in [Some(Halves::default()), halves].into_iter().flatten() {
            let text = kernel.text_with(&target, halves);
            let module = naga::front::wgsl::parse_str(&text).expect("parsed at build time");
            let info = validator(kernel, &target).validate(&module).expect("validated at build time");
            count += 1;
            if let Err(error) = translate(kernel, &module, &info) {
                failures += &format!("\n{}, {halves:?}: {error}", kernel.name);
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    count
}

fn validator(kernel: &Kernel, target: &Target) -> Validator {
    let plain = if target.unpack { Capabilities::SHADER_FLOAT16_IN_FLOAT32 } else { Capabilities::empty() };
    let half = Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP;
    let capabilities = match kernel.needs {
        Needs::Nothing => plain,
        Needs::Half => plain | half,
        Needs::Matrices => plain | half | Capabilities::COOPERATIVE_MATRIX,
    };
    let mut validator = Validator::new(ValidationFlags::all(), capabilities);
    validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
    validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
    validator
}

/// A device with matrices of 16 rows and columns.
const WITH_MATRICES: Target = Target { unpack: true, scalars: false, edge: 16, lanes: 32 };
/// One whose matrices come from arrays of numbers.
const ON_METAL: Target = Target { unpack: true, scalars: true, edge: 8, lanes: 32 };

#[test]
fn to_spirv() {
    for (version, most, target) in [((1, 3), Needs::Half, Target::PORTABLE), ((1, 6), Needs::Matrices, WITH_MATRICES)] {
        let options = spv::Options { lang_version: version, ..Default::default() };
        every(most, target, |_, module, info| {
            let words = spv::write_vec(module, info, &options, None).map_err(|e| e.to_string())?;
            if words.first() == Some(&0x0723_0203) { Ok(()) } else { Err("no SPIR-V magic".into()) }
        });
    }
}

/// What Khronos's validator says of every kernel, as a device with and without the compiler's own checks gets it.
#[test]
fn spirv_is_valid() {
    if !machine::has(&[&machine::SPIRV]) {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let other_matrices = Target { edge: 8, lanes: 8, ..WITH_MATRICES };
    let unchecked = spv::Options {
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Unchecked,
            buffer: BoundsCheckPolicy::Unchecked,
            ..Default::default()
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        ..Default::default()
    };
    let program = std::env::var("CAUSEWAY_SPIRV_VAL").unwrap_or_else(|_| "spirv-val".to_owned());
    let mut count = 0;
    for (version, environment, most, target) in [
        ((1, 3), "vulkan1.1", Needs::Half, Target::PORTABLE),
        ((1, 6), "vulkan1.3", Needs::Matrices, WITH_MATRICES),
        ((1, 6), "vulkan1.3", Needs::Matrices, other_matrices),
    ] {
        for (options, what) in [(spv::Options::default(), "checked"), (unchecked.clone(), "unchecked")] {
            let options = spv::Options { lang_version: version, ..options };
            // One call takes one module.
            count += every(most, target, |kernel, module, info| {
                let code = spv::write_vec(module, info, &options, None).map_err(|e| e.to_string())?;
                let file = folder.join(format!("{}-{environment}-{}-{what}.spv", kernel.name, target.edge));
                let bytes: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
                fs::write(&file, bytes).map_err(|e| e.to_string())?;
                let mut words = program.split(' ');
                let mut validator = Command::new(words.next().unwrap_or_default());
                let output = validator.args(words).args(["--target-env", environment]).arg(&file).output();
                let output = output.map_err(|e| e.to_string())?;
                if !output.status.success() {
                    return Err(format!("{}: {}", file.display(), String::from_utf8_lossy(&output.stderr).trim()));
                }
                fs::remove_file(&file).map_err(|e| e.to_string())
            });
        }
    }
    assert!(count > 9 * ALL.len() / 2, "{count} modules");
}

#[test]
fn to_metal() {
    for (version, most, target) in [((2, 0), Needs::Nothing, Target::PORTABLE), ((2, 4), Needs::Matrices, ON_METAL)] {
        let options = msl::Options { lang_version: version, fake_missing_bindings: true, ..Default::default() };
        every(most, target, |_, module, info| {
            let pipeline = msl::PipelineOptions::default();
            let (text, _) = msl::write_string(module, info, &options, &pipeline).map_err(|e| e.to_string())?;
            // Metal has no loads of matrices from vectors, which naga writes all the same. `Unit` is what shared/matrices.wgsl loads from.
            if text.contains("simdgroup_load") && !text.contains("typedef half Unit;") {
                return Err("a matrix is loaded from vectors".into());
            }
            if text.contains("kernel void main_") { Ok(()) } else { Err("no kernel function".into()) }
        });
    }
}

#[test]
fn to_hlsl() {
    // naga writes no matrices.
    let unpacks = Target { unpack: true, ..Target::PORTABLE };
    for (shader_model, most, target) in [
        (hlsl::ShaderModel::V5_1, Needs::Nothing, Target::PORTABLE),
        (hlsl::ShaderModel::V5_1, Needs::Nothing, unpacks),
        (hlsl::ShaderModel::V6_2, Needs::Half, unpacks),
    ] {
        let options = hlsl::Options { shader_model, fake_missing_bindings: true, ..Default::default() };
        every(most, target, |kernel, module, info| {
            let pipeline = hlsl::PipelineOptions { entry_point: Some((ShaderStage::Compute, kernel.entry.into())) };
            let mut text = String::new();
            hlsl::Writer::new(&mut text, &options, &pipeline).write(module, info, None).map_err(|e| e.to_string())?;
            if text.contains("[numthreads(") { Ok(()) } else { Err("no compute entry point".into()) }
        });
    }
}

#[test]
fn to_opengl_es() {
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
    let unpacks = Target { unpack: true, ..Target::PORTABLE };
    let translate = |kernel: &Kernel, module: &Module, info: &ModuleInfo| {
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
    };
    assert!(every(Needs::Nothing, Target::PORTABLE, translate) < every(Needs::Nothing, unpacks, translate));
}

/// What devices get that have the builtin for f16 numbers.
#[test]
fn texts_with_the_builtin_validate() {
    let (mut replaced, target) = (0, Target { unpack: true, ..Target::PORTABLE });
    for kernel in ALL {
        let text = kernel.text(&target);
        let module = naga::front::wgsl::parse_str(&text).expect("parses");
        validator(kernel, &target).validate(&module).unwrap_or_else(|error| panic!("{}: {error:?}", kernel.name));
        replaced += usize::from(text.contains("unpack2x16float"));
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
