//! PyTorch checkpoints of all kinds: files that `torch.save` wrote (`tests/data/torch`), and such as only other writers make.

mod common;

use std::{fs, path::PathBuf};

use causeway_runtime::import::Checkpoint;
use common::{
    Place, Tensors, tensors,
    torch::{call, checkpoint, dict, global, int, ints, pickle, storage, tensor, tensor_v3, text, tuple},
};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/torch").join(name)
}

/// The tensors of a converted checkpoint, all as f32.
fn converted(folder: &Place, file: &str) -> Tensors {
    folder.good(&format!("convert {file} m.safetensors --heads 2 --to f32"));
    tensors(folder.path("m.safetensors"))
}

#[test]
fn files_of_training_scripts_convert() {
    let folder = Place::new("torch-files");
    let base = converted(&folder, &data("base.safetensors").display().to_string());
    // Numpy scalars and views beside the network, and views that are the network.
    for name in ["numpy-step.pt", "unneeded-view.pt", "needed-view.pt"] {
        assert_eq!(converted(&folder, &data(name).display().to_string()), base, "{name}");
    }
    // Matrices in F8_E4M3, which has four bits of precision above 2^-6, the rest in BF16, which has eight.
    let found = converted(&folder, &data("fp8.pt").display().to_string());
    assert!(found.keys().eq(base.keys()));
    let mut rough = 0;
    for (name, (shape, values)) in &base {
        assert_eq!(shape, &found[name].0, "{name}");
        let eight = name.contains("blocks.") && shape.len() == 2;
        let (relative, absolute) = if eight { (0.0625, 0.5f32.powi(10)) } else { (0.004, 0.0) };
        for (x, y) in found[name].1.iter().zip(values) {
            assert!((x - y).abs() <= relative * y.abs() + absolute, "{name}: {x} {y}");
            rough += usize::from((x - y).abs() > 0.004 * y.abs());
        }
    }
    assert!(rough > 100, "no matrix has eight bits");
}

fn open(folder: &Place, pickle: &[u8], storage: &[u8]) -> Checkpoint {
    folder.write("x.pt", &checkpoint(pickle, storage));
    Checkpoint::open(folder.path("x.pt")).unwrap()
}

/// Views of every kind over a storage whose values are their places, read whole and in parts.
#[test]
fn views_are_gathered() {
    let folder = Place::new("torch-views");
    let values: Vec<f32> = (0..400_000).map(|value| value as f32).collect();
    let storage: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    // Shape, stride, offset: transposed across the batches of the reader, five dimensions, spread wide, expanded, backwards order.
    let views: [(&[i64], &[i64], i64); 7] = [
        (&[500, 800], &[1, 500], 0),
        (&[800, 400], &[1, 800], 7),
        (&[3, 5, 2, 7, 11], &[1, 3, 1155, 165, 15], 100),
        (&[30, 10], &[13_000, 1200], 1),
        (&[300, 300], &[0, 1], 9),
        (&[2, 300, 400], &[0, 1, 0], 0),
        (&[20, 1, 30], &[1, 999_999_999, 20], 5),
    ];
    let names: Vec<String> = (0..views.len()).map(|n| n.to_string()).collect();
    let named = views.iter().zip(&names);
    let items: Vec<_> = named
        .map(|(&(shape, stride, offset), name)| (name.as_str(), tensor("FloatStorage", offset, shape, stride)))
        .collect();
    let file = open(&folder, &pickle(&dict(&items)), &storage);
    assert_eq!(file.entries().len(), views.len());
    for (entry, (shape, stride, offset)) in file.entries().iter().zip(views) {
        let place = |mut at: usize| {
            let mut place = offset as usize;
            for (&size, &stride) in shape.iter().zip(stride).rev() {
                place += at % size as usize * stride as usize;
                at /= size as usize;
            }
            place as f32
        };
        let expected: Vec<f32> = (0..entry.values()).map(place).collect();
        assert!(file.read_all(entry).unwrap() == expected, "{shape:?}");
        for (start, count) in [(0, 1), (3, 70_000), (expected.len() / 2 + 1, 64), (expected.len() - 1, 1)] {
            let count = count.min(expected.len() - start);
            let mut part = vec![0.0; count];
            file.read(entry, start, &mut part).unwrap();
            assert!(part == expected[start..start + count], "{shape:?} {start}");
        }
    }
}

#[test]
fn floats_of_eight_bits_have_their_types_values() {
    let folder = Place::new("torch-float8");
    let items = [
        ("e4m3", tensor_v3("float8_e4m3fn", &[2, 3], &[1, 2])),
        ("e5m2", tensor_v3("float8_e5m2", &[6], &[1])),
        ("other", tensor_v3("float8_e4m3fnuz", &[6], &[1])),
    ];
    let file = open(&folder, &pickle(&dict(&items)), &[0x38, 0x3c, 0xb9, 0x01, 0x7e, 0x40]);
    let [e4m3, e5m2, other] = file.entries() else { panic!("{:?}", file.entries()) };
    assert_eq!(file.read_all(e4m3).unwrap(), [1.0, -1.125, 448.0, 1.5, 0.001_953_125, 2.0]);
    let found = file.read_all(e5m2).unwrap();
    assert_eq!(found[..4], [0.5, 1.0, -0.625, 1.525_878_9e-5]);
    assert!(found[4].is_nan() && found[5] == 2.0);
    let error = file.read_all(other).unwrap_err().to_string();
    assert_eq!(error, "tensor other is stored as float8_e4m3fnuz, which cannot be converted");
}

/// Tensors that cannot be read: nothing where they are not needed, a sentence where they are.
#[test]
fn unreadable_tensors_are_errors_only_where_they_are_needed() {
    let folder = Place::new("torch-unreadable");
    let rebuild = |name: &str, arguments: &[Vec<u8>]| call("torch._utils", name, arguments);
    let over = |store: Vec<u8>, shape: Vec<u8>, stride: Vec<u8>| {
        rebuild("_rebuild_tensor_v2", &[store, int(0), shape, stride, b"\x89".to_vec(), b"}".to_vec()])
    };
    let float = || storage("FloatStorage", "0");
    let cases = [
        (tensor("FloatStorage", 0, &[17], &[1]), "takes 17 values from 0 on of a storage of 64 bytes"),
        (tensor("FloatStorage", 3, &[4, 2], &[1, 11]), "takes 8 values from 3 on of a storage of 64 bytes"),
        (tensor("FloatStorage", i64::MAX, &[1], &[1]), "takes 1 values"),
        (tensor("FloatStorage", 0, &[2, 2], &[i64::MAX, i64::MAX]), "takes 4 values"),
        (tensor("FloatStorage", 0, &[1 << 40, 1 << 40], &[0, 0]), "multiplies past what can be counted"),
        (tensor("FloatStorage", 0, &[1 << 40], &[0]), "repeats 1 stored values up to 1099511627776"),
        (tensor("FloatStorage", -1, &[1], &[1]), "has -1 for a size or place"),
        (tensor("FloatStorage", 0, &[2], &[-1]), "has -1 for a size or place"),
        (tensor("FloatStorage", 0, &[1; 17], &[1; 17]), "has 17 dimensions"),
        (tensor("FloatStorage", 0, &[2, 2], &[1]), "has 2 dimensions and 1 strides"),
        (over(storage("FloatStorage", "9"), ints(&[1]), ints(&[1])), "lies in storage 9, which is not in the archive"),
        (over(int(3), ints(&[1]), ints(&[1])), "is rebuilt from what is no storage"),
        (over(float(), text("x"), ints(&[1])), "has sizes that are no tuple"),
        (over(float(), tuple(&[text("x")]), ints(&[1])), "has a size or place that is no integer"),
        (tensor("ComplexFloatStorage", 0, &[1], &[1]), "is stored as ComplexFloatStorage, which cannot be converted"),
        (rebuild("_rebuild_sparse_tensor", &[]), "is made by _rebuild_sparse_tensor of 0 arguments"),
        (rebuild("_rebuild_tensor_v2", &[]), "is made by _rebuild_tensor_v2 of 0 arguments"),
        (tensor_v3("bits16", &[1], &[1]), "is stored as bits16, which cannot be converted"),
    ];
    for (broken, expected) in cases {
        let items = [("broken", broken), ("good", tensor("FloatStorage", 4, &[2, 2], &[2, 1]))];
        let file = open(&folder, &pickle(&dict(&items)), &[0; 64]);
        let [broken, good] = file.entries() else { panic!("{expected}: {:?}", file.entries()) };
        assert_eq!(file.read_all(good).unwrap(), [0.0; 4], "{expected}");
        let error = file.read_all(broken).unwrap_err().to_string();
        assert!(error.starts_with("tensor broken ") && error.contains(expected), "{error}");
    }
}

/// Another pickle in the place of a tensor's, by its name and shape.
type Spoil<'a> = &'a dyn Fn(&str, &[i64]) -> Option<Vec<u8>>;

/// A needed tensor that cannot be read is named before anything is written, and so is a scale that would be left out.
#[test]
fn conversions_say_what_they_cannot_read() {
    let folder = Place::new("torch-needed");
    let base = tensors(data("base.safetensors"));
    let write = |spoil: Spoil<'_>, more: &[(&str, Vec<u8>)]| {
        let (mut items, mut values) = (Vec::new(), Vec::<u8>::new());
        for (name, (shape, data)) in &base {
            let shape: Vec<i64> = shape.iter().map(|&dim| dim as i64).collect();
            let mut stride = vec![1; shape.len()];
            (1..shape.len()).rev().for_each(|dim| stride[dim - 1] = stride[dim] * shape[dim]);
            let offset = values.len() as i64 / 4;
            let plain = tensor("FloatStorage", offset, &shape, &stride);
            items.push((name.as_str(), spoil(name, &shape).unwrap_or(plain)));
            values.extend(data.iter().flat_map(|x| x.to_le_bytes()));
        }
        items.extend(more.iter().cloned());
        folder.write("x.pt", &checkpoint(&pickle(&dict(&items)), &values));
    };
    write(&|_, _| None, &[]);
    let first = converted(&folder, "x.pt");
    assert_eq!(first, converted(&folder, &data("base.safetensors").display().to_string()));
    // Beside the network, things that are no tensors and tensors that cannot be read.
    let odd = call("torch._utils", "_rebuild_qtensor", &[]);
    write(&|_, _| None, &[("odd", odd), ("args", call("argparse", "Namespace", &[])), ("step", int(3))]);
    assert_eq!(first, converted(&folder, "x.pt"));

    let name = "blocks.0.self_attn.q.weight";
    let sparse = |at: &str, _: &[i64]| (at == name).then(|| call("torch._utils", "_rebuild_sparse_tensor", &[]));
    let eight = |at: &str, shape: &[i64]| (at == name).then(|| tensor_v3("float8_e5m2", shape, &[32, 1]));
    let scale = |name, shape: &[i64]| [(name, tensor("FloatStorage", 0, shape, &vec![1; shape.len()]))];
    let unfit = scale("blocks.0.self_attn.q.scale_weight", &[7]);
    let unknown = scale("blocks.0.self_attn.q.weight_scale_x", &[]);
    for (spoil, more, expected) in [
        (&sparse as Spoil<'_>, &[][..], "unreadable: blocks.0.self_attn.q.weight is made by"),
        (&eight, &unfit, "blocks.0.self_attn.q.scale_weight is [7], which do not fit"),
        (&eight, &unknown, "has blocks.0.self_attn.q.weight_scale_x beside it, which is not read"),
    ] {
        write(spoil, more);
        let before = folder.list();
        let output = folder.run("convert x.pt out.safetensors --heads 2");
        let err = common::text(&output.stderr);
        assert!(output.status.code() == Some(1) && err.contains(expected) && err.lines().count() == 1, "{err}");
        assert_eq!(folder.list(), before);
    }
}

/// Whatever a pickle names is passed over and never called; what only an attack names is refused.
#[test]
fn nothing_is_executed() {
    let folder = Place::new("torch-names");
    let run = |module: &str, name: &str| call(module, name, &[text("touch executed")]);
    let good = || tensor("FloatStorage", 0, &[2], &[1]);
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("os.path", "exists"),
        ("subprocess", "Popen"),
        ("sys", "exit"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("__builtin__", "eval"),
        ("builtins", "__import__"),
        ("runpy", "run_path"),
    ] {
        let stacked = [text(module), text(name), b"\x93".to_vec(), tuple(&[text("x")]), b"R".to_vec()].concat();
        for value in [run(module, name), stacked, global(module, name)] {
            folder.write("x.pt", &checkpoint(&pickle(&dict(&[("x", value), ("w", good())])), &[0; 64]));
            let error = Checkpoint::open(folder.path("x.pt")).unwrap_err().to_string();
            assert!(error.contains(&format!("it asks for `{module}.{name}`")), "{error}");
        }
    }
    let state = |value: Vec<u8>| [value, dict(&[("x", good())]), b"b".to_vec()].concat();
    for value in [
        run("argparse", "Namespace"),
        run("numpy._core.multiarray", "scalar"),
        state(run("my.module", "Class")),
        // A class with arguments by name, an object made anew, a set of things, an integer of 300 bytes.
        [global("a", "B"), tuple(&[]), dict(&[]), b"\x92".to_vec()].concat(),
        [global("a", "B"), tuple(&[]), b"\x81".to_vec()].concat(),
        [b"\x8f(".to_vec(), int(1), text("x"), b"\x90".to_vec()].concat(),
        [b"(".to_vec(), int(1), b"\x91".to_vec()].concat(),
        [&[0x8b, 44, 1, 0, 0][..], &[7; 300]].concat(),
        // A result that is called again.
        [run("functools", "partial"), tuple(&[]), b"R".to_vec()].concat(),
    ] {
        let file = open(&folder, &pickle(&dict(&[("x", value), ("w", good())])), &[0; 64]);
        assert_eq!(file.entries().iter().map(|entry| &entry.name).collect::<Vec<_>>(), ["w"]);
        assert_eq!(file.read_all(&file.entries()[0]).unwrap(), [0.0; 2]);
    }
    // Items that are set on an object are those of a dict.
    let object = [global("a", "Settings"), tuple(&[]), b"\x81".to_vec(), text("w"), good(), b"s".to_vec()].concat();
    let file = open(&folder, &pickle(&dict(&[("model", object)])), &[0; 64]);
    assert_eq!(file.entries()[0].name, "model.w");
    assert!(!folder.list().contains(&"executed".to_owned()));
    assert!(!fs::exists("executed").unwrap());
}
