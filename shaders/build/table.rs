//! One kernel permutation: checked against the portable tier, reflected, written as a Rust constant.

use naga::{
    AddressSpace, StorageAccess, TypeInner,
    valid::{Capabilities, ValidationFlags, Validator},
};

/// The portable tier: WebGPU's default limits.
const MOST_STORAGE_BUFFERS: usize = 8;
const MOST_WORKGROUP_BYTES: u32 = 16 * 1024;
const MOST_INVOCATIONS: u32 = 256;

/// Validates `source` and returns its `pub const NAME: Kernel`.
pub fn row(name: &str, source: &str) -> Result<String, String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|e| format!("{name}: {}", e.emit_to_string(source)))?;
    Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .map_err(|e| format!("{name}: {}", e.emit_to_string(source)))?;
    let [entry] = module.entry_points.as_slice() else {
        return Err(format!("{name}: a kernel has one entry point"));
    };
    let (mut bindings, mut constants) = (Vec::new(), String::new());
    let (mut node_bytes, mut storage, mut workgroup_bytes) = (0, 0, 0);
    for (_, variable) in module.global_variables.iter() {
        let ty = &module.types[variable.ty];
        let bytes = ty.inner.size(module.to_ctx());
        let access = match variable.space {
            AddressSpace::WorkGroup => {
                workgroup_bytes += bytes.next_multiple_of(16);
                continue;
            }
            AddressSpace::Uniform => "Uniform",
            AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => "ReadWrite",
            AddressSpace::Storage { .. } => "Read",
            _ => continue,
        };
        let at = variable.binding.as_ref().ok_or_else(|| format!("{name}: a variable without binding"))?;
        let label = variable.name.as_deref().unwrap_or_default();
        storage += usize::from(access != "Uniform");
        match (at.group, label) {
            (0, "params") => {}
            (1, "node") => {
                let TypeInner::Struct { members, span } = &ty.inner else {
                    return Err(format!("{name}: node must be a struct"));
                };
                node_bytes = *span;
                for member in members {
                    let field = member.name.as_deref().unwrap_or_default();
                    constants += &format!("Constant {{ name: {field:?}, offset: {} }}, ", member.offset);
                }
            }
            (1, _) => bindings.push(format!(
                "Binding {{ name: {label:?}, slot: {}, access: Access::{access}, min_bytes: {bytes} }}, ",
                at.binding
            )),
            _ => return Err(format!("{name}: `{label}` lies in group {}, which means nothing here", at.group)),
        }
    }
    let invocations: u32 = entry.workgroup_size.iter().product();
    if storage > MOST_STORAGE_BUFFERS || workgroup_bytes > MOST_WORKGROUP_BYTES || invocations > MOST_INVOCATIONS {
        return Err(format!(
            "{name}: {storage} storage buffers, {workgroup_bytes} bytes of workgroup memory, {invocations} invocations \
             leave the portable tier"
        ));
    }
    Ok(format!(
        "/// `{name}.wgsl` after composition.\npub const {}: Kernel = Kernel {{ name: {name:?}, \
         source: include_str!(concat!(env!(\"OUT_DIR\"), \"/{name}.wgsl\")), entry: {:?}, workgroup_size: {:?}, \
         workgroup_bytes: {workgroup_bytes}, node_bytes: {node_bytes}, bindings: &[{}], constants: &[{constants}] }};\n",
        name.to_uppercase(),
        entry.name,
        entry.workgroup_size,
        bindings.concat(),
    ))
}
