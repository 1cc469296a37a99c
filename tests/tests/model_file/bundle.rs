//! Prompts of a bundle, which are read when they are wanted.

use std::fs;

use causeway_ops::quant::DType;
use causeway_runtime::file::{AnyFile, Bundler, FileError, PartKind};
use causeway_tests::tiny::{model_bytes, wan_config};
use safetensors::{Dtype, tensor::TensorView};

#[test]
fn prompts_are_read_into_memory_of_the_callers() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("bundle-prompts");
    fs::create_dir_all(&folder).unwrap();
    let (model, out) = (folder.join("model.safetensors"), folder.join("bundle.safetensors"));
    fs::write(&model, model_bytes(&wan_config(1, 128, (2, 2)), DType::Q8, 1)).unwrap();
    let mut bundler = Bundler::default();
    bundler.add(PartKind::Denoiser, "", &model).unwrap();
    // Eighths below 128, which half precision holds exactly: shorter than what is read at once, and much longer.
    let expected = [3, 300].map(|rows| (0..rows * 32).map(|n| (n % 1600) as f32 / 8.0 - 100.0).collect::<Vec<f32>>());
    for (name, dtype, values) in
        [("a", Dtype::F32, 0), ("b", Dtype::F32, 1), ("c", Dtype::F16, 0), ("d", Dtype::F16, 1)]
    {
        let values = &expected[values];
        let data: Vec<u8> = match dtype {
            Dtype::F32 => values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            _ => values.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect(),
        };
        let tensor = TensorView::new(dtype, vec![values.len() / 32, 32], &data).unwrap();
        let path = folder.join(name);
        fs::write(&path, safetensors::serialize([("context", tensor)], None).unwrap()).unwrap();
        bundler.add(PartKind::Prompt, name, &path).unwrap();
    }
    bundler.write(&out, |_| Ok(())).unwrap();
    let bytes = fs::read(&out).unwrap();
    let copy = AnyFile::from_filled(bytes.len(), |to| -> Result<(), FileError> {
        to.copy_from_slice(&bytes);
        Ok(())
    });
    for file in [AnyFile::open(&out), copy] {
        let Ok(AnyFile::Bundle(bundle)) = file else { panic!("no bundle") };
        for index in 0..4 {
            let expected = &expected[index % 2];
            let mut values = vec![0.0; expected.len()];
            assert!(bundle.read_prompt(index, &mut values).unwrap() && values == *expected, "{index}");
            assert_eq!(bundle.prompt(index).unwrap().as_ref(), Some(expected), "{index}");
            let mut short = vec![0.0; values.len() - 32];
            assert!(!bundle.read_prompt(index, &mut short).unwrap() && short.iter().all(|x| *x == 0.0));
        }
        assert!(!bundle.read_prompt(4, &mut [0.0; 96]).unwrap());
    }
    // Bytes that are gone are an error.
    let Ok(AnyFile::Bundle(bundle)) = AnyFile::open(&out) else { panic!("no bundle") };
    fs::OpenOptions::new().write(true).open(&out).unwrap().set_len(4096).unwrap();
    assert!(matches!(bundle.read_prompt(3, &mut vec![0.0; 300 * 32]), Err(FileError::Read(_))));
}
