//! Reads PyTorch's calls that rebuild a tensor: which storage, of which type, from where on, with which shape and strides.

use super::blocks::Encoding;
use super::pickle::{Pickle, Tuple, Value};
use crate::config::printable;

/// Most dimensions of a tensor that is read.
const MAX_RANK: usize = 16;
/// Calls within calls: a parameter of a tensor with attributes has three.
const MAX_DEPTH: usize = 4;

/// A tensor as the pickle has it, counted in elements. Nothing has been compared with the archive yet.
#[derive(Debug)]
pub struct Tensor<'a> {
    /// Name of the archive entry that holds its storage.
    pub key: &'a str,
    pub encoding: Encoding,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub stride: Vec<usize>,
}

/// Reads the call `rebuild` of a pickle.
///
/// # Errors
/// What follows the tensor's name in a sentence: a call of another form, or of a kind that is not read.
pub fn tensor<'a>(pickle: &Pickle<'a>, rebuild: Tuple) -> Result<Tensor<'a>, String> {
    call(pickle, rebuild, MAX_DEPTH)
}

fn call<'a>(pickle: &Pickle<'a>, rebuild: Tuple, depth: usize) -> Result<Tensor<'a>, String> {
    let &[Value::Name(function), Value::Tuple(arguments)] = pickle.items(rebuild) else {
        return Err("is no call".to_owned());
    };
    apply(pickle, function, arguments, depth)
}

fn apply<'a>(pickle: &Pickle<'a>, function: &str, arguments: Tuple, depth: usize) -> Result<Tensor<'a>, String> {
    let Some(depth) = depth.checked_sub(1) else { return Err("is wrapped too often".to_owned()) };
    match (function, pickle.items(arguments)) {
        ("_rebuild_tensor" | "_rebuild_tensor_v2", &[storage, offset, shape, stride, ..]) => {
            tensor_of(pickle, [storage, offset, shape, stride], None)
        }
        // Storage without a type, after which the gradients' settings and the type.
        ("_rebuild_tensor_v3", &[storage, offset, shape, stride, _, _, Value::Name(dtype), ..]) => {
            tensor_of(pickle, [storage, offset, shape, stride], Some(dtype))
        }
        ("_rebuild_parameter" | "_rebuild_parameter_with_state", &[Value::Rebuild(data), ..]) => {
            call(pickle, data, depth)
        }
        // A tensor with attributes: the function that rebuilds it, a class, and the arguments.
        ("_rebuild_from_type_v2", &[Value::Name(function), _, Value::Tuple(arguments), ..]) => {
            apply(pickle, function, arguments, depth)
        }
        (other, arguments) => {
            Err(format!("is made by {} of {} arguments, which is not read", printable(other), arguments.len()))
        }
    }
}

fn tensor_of<'a>(
    pickle: &Pickle<'a>,
    [storage, offset, shape, stride]: [Value<'a>; 4],
    dtype: Option<&str>,
) -> Result<Tensor<'a>, String> {
    let Value::Persistent(id) = storage else { return Err("is rebuilt from what is no storage".to_owned()) };
    // ('storage', type, key, device, elements).
    let &[Value::Text("storage"), Value::Name(kind), Value::Text(key), ..] = pickle.items(id) else {
        return Err("is rebuilt from what is no storage".to_owned());
    };
    let encoding = match dtype.unwrap_or(kind) {
        "DoubleStorage" => Encoding::F64,
        "FloatStorage" => Encoding::F32,
        "HalfStorage" => Encoding::F16,
        "BFloat16Storage" => Encoding::Bf16,
        "float8_e4m3fn" => Encoding::F8E4M3,
        "float8_e5m2" => Encoding::F8E5M2,
        other => Encoding::Other(printable(other)),
    };
    let (shape, stride) = (counts(pickle, shape)?, counts(pickle, stride)?);
    if stride.len() != shape.len() {
        return Err(format!("has {} dimensions and {} strides", shape.len(), stride.len()));
    }
    Ok(Tensor { key, encoding, offset: count(offset)?, shape, stride })
}

fn counts(pickle: &Pickle<'_>, value: Value<'_>) -> Result<Vec<usize>, String> {
    let Value::Tuple(tuple) = value else { return Err("has sizes that are no tuple".to_owned()) };
    let items = pickle.items(tuple);
    if items.len() > MAX_RANK {
        return Err(format!("has {} dimensions, at most {MAX_RANK} are read", items.len()));
    }
    items.iter().map(|&item| count(item)).collect()
}

fn count(value: Value<'_>) -> Result<usize, String> {
    match value {
        Value::Int(count) => usize::try_from(count).map_err(|_| format!("has {count} for a size or place")),
        _ => Err("has a size or place that is no integer".to_owned()),
    }
}
