//! One kernel permutation: composed for every kind of device, checked against what it says it needs, reflected, written as a Rust constant.

use naga::{
    AddressSpace, Module, StorageAccess, TypeInner,
    valid::{Capabilities, ValidationFlags, Validator},
};

/// WebGPU's default limits, and those of kernels that need more than that anyway.
const MOST_STORAGE_BUFFERS: usize = 8;
const MOST_WORKGROUP_BYTES: u32 = 16 * 1024;
const MOST_WITH_MORE: u32 = 32 * 1024;
const MOST_BUFFERS_WITH_MORE: usize = 10;
const MOST_INVOCATIONS: u32 = 256;

/// Makes a permutation's text, with more flags and with these numbers.
type Made<'a> = &'a dyn Fn(&[&str], &[(&str, u32)]) -> Result<String, String>;

/// Devices that texts are made for, as `Target` in `src/lib.rs`, the portable one first: flags, edge of matrices, lanes of subgroups.
const TARGETS: [(&[&str], u32, u32); 6] = [
    (&[], 8, 32),
    (&["UNPACK"], 8, 8),
    (&["UNPACK", "LONE"], 8, 32),
    (&["UNPACK"], 8, 16),
    (&["UNPACK"], 16, 32),
    (&["UNPACK"], 16, 64),
];

/// Validates a permutation and returns its `pub const NAME: Kernel`.
pub fn row(file: &str, name: &str, flags: &[String], made: Made<'_>) -> Result<String, String> {
    let (mut first, mut halves): (Option<Reflected>, Vec<String>) = (None, Vec::new());
    let mut texts = Vec::new();
    for (more, edge, lanes) in TARGETS {
        let values = [("EDGE", edge), ("LANES", lanes)];
        let unpack = more.contains(&"UNPACK");
        // Most texts are the same for most devices.
        let mut check = |text: &str| -> Result<Option<Reflected>, String> {
            if texts.iter().any(|other| other == text) {
                return Ok(None);
            }
            texts.push(text.to_owned());
            reflect(name, text, unpack).map(Some)
        };
        let plain = made(more, &values)?;
        first = first.or(check(&plain)?);
        // Bindings of numbers may hold halves: each by itself, then all of them. `//!numbers` gave these such functions.
        let accessed = |name: &str| ["load", "store"].iter().any(|what| plain.contains(&format!("fn {what}_{name}(")));
        let names = first.iter().flat_map(|found| &found.bindings).filter(|binding| unpack && accessed(&binding.name));
        let names: Vec<String> = names.map(|binding| format!("HALVES_{}", binding.name)).collect();
        let mut all = more.to_vec();
        for flag in &names {
            let text = made(&[more, &[flag.as_str()]].concat(), &values)?;
            if text != plain {
                check(&text)?;
                all.push(flag);
                if !halves.contains(flag) {
                    halves.push(flag.clone());
                }
            }
        }
        check(&made(&all, &values)?)?;
    }
    let Some(Reflected { needs, entry, workgroup_size, workgroup_bytes, node_bytes, bindings, constants }) = first
    else {
        return Err(format!("{name}: no text"));
    };
    let bindings: String = bindings
        .iter()
        .map(|Binding { name, slot, access, bytes }| {
            let halves = halves.iter().any(|flag| flag.strip_prefix("HALVES_") == Some(name));
            format!(
                "Binding {{ name: {name:?}, slot: {slot}, access: Access::{access}, min_bytes: {bytes}, halves: {halves} }}, "
            )
        })
        .collect();
    Ok(format!(
        "/// `{file}.wgsl` with {}.\npub const {}: Kernel = Kernel {{ name: {name:?}, file: {}_FILE, flags: &{flags:?}, \
         needs: Needs::{needs}, entry: {entry:?}, workgroup_size: {workgroup_size:?}, workgroup_bytes: {workgroup_bytes}, \
         node_bytes: {node_bytes}, bindings: &[{bindings}], constants: &[{constants}] }};\n",
        if flags.is_empty() { "no flags".to_owned() } else { flags.join(", ") },
        name.to_uppercase(),
        file.to_uppercase(),
    ))
}

/// A buffer of group 1, but for `node`.
struct Binding {
    name: String,
    slot: u32,
    access: &'static str,
    bytes: u32,
}

struct Reflected {
    needs: &'static str,
    entry: String,
    workgroup_size: [u32; 3],
    workgroup_bytes: u32,
    node_bytes: u32,
    bindings: Vec<Binding>,
    constants: String,
}

/// What a text needs, and with that what it may use.
fn needs(text: &str, unpack: bool) -> (&'static str, Capabilities, usize, u32) {
    let plain = if unpack { Capabilities::SHADER_FLOAT16_IN_FLOAT32 } else { Capabilities::empty() };
    let half = plain | Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP;
    if text.contains("enable wgpu_cooperative_matrix;") {
        ("Matrices", half | Capabilities::COOPERATIVE_MATRIX, MOST_BUFFERS_WITH_MORE, MOST_WITH_MORE)
    } else if text.contains("enable f16;") {
        ("Half", half, MOST_STORAGE_BUFFERS, MOST_WITH_MORE)
    } else {
        ("Nothing", plain, MOST_STORAGE_BUFFERS, MOST_WORKGROUP_BYTES)
    }
}

fn reflect(name: &str, text: &str, unpack: bool) -> Result<Reflected, String> {
    let module = naga::front::wgsl::parse_str(text).map_err(|e| format!("{name}: {}", e.emit_to_string(text)))?;
    let (needs, capabilities, most_storage, most_workgroup_bytes) = needs(text, unpack);
    Validator::new(ValidationFlags::all(), capabilities)
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all())
        .validate(&module)
        .map_err(|e| format!("{name}: {}", e.emit_to_string(text)))?;
    let [entry] = module.entry_points.as_slice() else {
        return Err(format!("{name}: a kernel has one entry point"));
    };
    let Bound { bindings, constants, node_bytes, storage, workgroup_bytes } = bound(name, &module)?;
    let invocations: u32 = entry.workgroup_size.iter().product();
    if storage > most_storage || workgroup_bytes > most_workgroup_bytes || invocations > MOST_INVOCATIONS {
        return Err(format!(
            "{name}: {storage} storage buffers, {workgroup_bytes} bytes of workgroup memory, {invocations} invocations \
             are more than it may have"
        ));
    }
    let (entry, workgroup_size) = (entry.name.clone(), entry.workgroup_size);
    Ok(Reflected { needs, entry, workgroup_size, workgroup_bytes, node_bytes, bindings, constants })
}

#[derive(Default)]
struct Bound {
    bindings: Vec<Binding>,
    constants: String,
    node_bytes: u32,
    storage: usize,
    workgroup_bytes: u32,
}

/// What a module's variables are bound to.
fn bound(name: &str, module: &Module) -> Result<Bound, String> {
    let mut this = Bound::default();
    for (_, variable) in module.global_variables.iter() {
        let ty = &module.types[variable.ty];
        let bytes = ty.inner.size(module.to_ctx());
        let access = match variable.space {
            AddressSpace::WorkGroup => {
                this.workgroup_bytes += bytes.next_multiple_of(16);
                continue;
            }
            AddressSpace::Uniform => "Uniform",
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => "ReadWrite",
            AddressSpace::Storage { .. } => "Read",
            _ => continue,
        };
        let at = variable.binding.as_ref().ok_or_else(|| format!("{name}: a variable without binding"))?;
        let label = variable.name.as_deref().unwrap_or_default();
        this.storage += usize::from(access != "Uniform");
        match (at.group, label) {
            (0, "params") => {}
            (1, "node") => {
                let TypeInner::Struct { members, span } = &ty.inner else {
                    return Err(format!("{name}: node must be a struct"));
                };
                this.node_bytes = *span;
                for member in members {
                    let field = member.name.as_deref().unwrap_or_default();
                    this.constants += &format!("Constant {{ name: {field:?}, offset: {} }}, ", member.offset);
                }
            }
            (1, _) => {
                this.bindings.push(Binding { name: label.to_owned(), slot: at.binding, access, bytes });
            }
            _ => return Err(format!("{name}: `{label}` lies in group {}, which means nothing here", at.group)),
        }
    }
    Ok(this)
}
