//! Folders of networks as they are published, with random values, and the commands that docs/models.md has for them.

use std::fs;

use super::torch;

/// Tensors by name, shape and size of their values.
pub type Published = Vec<(String, Vec<usize>, f32)>;

/// Adds a tensor whose values are so large that activations keep their size.
pub fn add(all: &mut Published, name: String, shape: &[usize]) {
    let fan_in = shape.iter().skip(1).product::<usize>().max(1) as f32;
    all.push((name, shape.to_vec(), if shape.len() < 2 { 0.3 } else { fan_in.sqrt().recip() }));
}

/// Values of tensors one after the other, the same on every run: uniform, of the size that each should have.
fn values(published: &Published) -> impl Iterator<Item = f32> {
    let mut random = 7u32;
    published.iter().flat_map(|(_, shape, size)| std::iter::repeat_n(*size, shape.iter().product())).map(move |size| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        size * 3f32.sqrt() * ((random >> 8) as f32 / (1 << 23) as f32 - 1.0)
    })
}

/// As bf16 in a safetensors file.
pub fn safetensors(published: &Published) -> Vec<u8> {
    let data: Vec<u8> = values(published).flat_map(|x| ((x.to_bits() >> 16) as u16).to_le_bytes()).collect();
    let (mut header, mut start) = (serde_json::Map::new(), 0);
    for (name, shape, _) in published {
        let end = start + 2 * shape.iter().product::<usize>();
        let about = serde_json::json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, end]});
        header.insert(name.clone(), about);
        start = end;
    }
    let header = serde_json::Value::from(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// As f32 in a PyTorch archive.
pub fn pth(published: &Published) -> Vec<u8> {
    let data: Vec<u8> = values(published).flat_map(f32::to_le_bytes).collect();
    let mut offset = 0;
    let tensors: Vec<(&str, Vec<u8>)> = published
        .iter()
        .map(|(name, shape, _)| {
            let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            let stride: Vec<i64> = (0..shape.len()).map(|at| shape[at + 1..].iter().product()).collect();
            let tensor = torch::tensor("FloatStorage", offset, &shape, &stride);
            offset += shape.iter().product::<i64>();
            (name.as_str(), tensor)
        })
        .collect();
    torch::checkpoint(&torch::pickle(&torch::dict(&tensors)), &data)
}

/// The commands of a section of docs/models.md, its first block: at most five, of which the first is the download, which is left out.
pub fn documented(section: &str) -> Vec<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/models.md")).unwrap();
    let section = page.split(&format!("## {section}\n")).nth(1).unwrap();
    let lines: Vec<&str> =
        section.split("```").nth(1).unwrap().lines().skip(1).filter(|line| !line.is_empty()).collect();
    assert!(lines.len() <= 5 && lines[0].starts_with("hf download "), "{lines:?}");
    lines[1..].iter().map(|line| line.strip_prefix("causeway ").unwrap().to_owned()).collect()
}
