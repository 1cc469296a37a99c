//! Writes `.pt` files without PyTorch: a zip of stored entries, and pickles operation by operation.

/// A zip archive of stored entries.
pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let sizes = [data.len() as u32; 2].map(u32::to_le_bytes).concat();
        let lengths = [(name.len() as u16).to_le_bytes(), [0; 2]].concat();
        // Version, flags, method, time, date, checksum (which readers of tensors do not look at).
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &sizes, &lengths].concat();
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &(out.len() as u32).to_le_bytes()].concat());
        directory.extend(name.as_bytes());
        out.extend([b"PK\x03\x04", &common[..], name.as_bytes(), data].concat());
    }
    let counts = [(entries.len() as u16).to_le_bytes(); 2].concat();
    let place = [directory.len() as u32, out.len() as u32].map(u32::to_le_bytes).concat();
    out.extend(directory);
    out.extend([b"PK\x05\x06\0\0\0\0", &counts[..], &place, &[0; 2]].concat());
    out
}

/// A checkpoint of one pickle and one storage.
pub fn checkpoint(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    zip(&[("a/data.pkl", pickle), ("a/byteorder", b"little"), ("a/data/0", storage)])
}

pub fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

pub fn int(value: i64) -> Vec<u8> {
    [&[0x8a, 8][..], &value.to_le_bytes()].concat()
}

pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub fn ints(values: &[i64]) -> Vec<u8> {
    tuple(&values.iter().map(|&value| int(value)).collect::<Vec<_>>())
}

pub fn call(module: &str, name: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
    [global(module, name), tuple(arguments), b"R".to_vec()].concat()
}

/// A dict, filled an item at a time.
pub fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items = items.iter().flat_map(|(key, value)| [&text(key)[..], value, b"s"].concat());
    [b"}".to_vec(), items.collect()].concat()
}

pub fn pickle(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02", value, b"."].concat()
}

/// Storage `key` of a type of PyTorch's.
pub fn storage(kind: &str, key: &str) -> Vec<u8> {
    let id = [text("storage"), global("torch", kind), text(key), text("cpu"), int(0)];
    [tuple(&id), b"Q".to_vec()].concat()
}

/// A tensor over storage 0.
pub fn tensor(kind: &str, offset: i64, shape: &[i64], stride: &[i64]) -> Vec<u8> {
    let arguments = [storage(kind, "0"), int(offset), ints(shape), ints(stride), b"\x89".to_vec(), b"}".to_vec()];
    call("torch._utils", "_rebuild_tensor_v2", &arguments)
}

/// As [`tensor`], of a type that has no storage of its own.
pub fn tensor_v3(dtype: &str, shape: &[i64], stride: &[i64]) -> Vec<u8> {
    let id = [text("storage"), global("torch.storage", "UntypedStorage"), text("0"), text("cpu"), int(0)];
    let storage = [tuple(&id), b"Q".to_vec()].concat();
    let hooks = call("collections", "OrderedDict", &[]);
    let arguments =
        [storage, int(0), ints(shape), ints(stride), b"\x89".to_vec(), hooks, global("torch", dtype), b"N".to_vec()];
    call("torch._utils", "_rebuild_tensor_v3", &arguments)
}
