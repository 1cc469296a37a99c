//! Hosts that do everything wrong, with a library every access of which is watched by the address sanitizer. Not run by a bare `cargo test`:
//! `tests/sanitizer.sh` builds that library and then asks for this test.

mod common;

use std::{fs, path::Path, process::Command};

use causeway_tests::{tiny::tiny_model_bytes, wan::Student};

#[test]
fn the_address_sanitizer_sees_nothing_inside_the_library() {
    let library = std::env::var("CAUSEWAY_SANITIZED").expect("CAUSEWAY_SANITIZED names the folder of libcauseway.so");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sanitized");
    fs::create_dir_all(&folder).unwrap();
    let model = folder.join("tiny.safetensors");
    fs::write(&model, tiny_model_bytes(1)).unwrap();
    let compile = |name: &str| {
        let program = folder.join(name);
        let mut gcc = Command::new("gcc");
        gcc.args(["-std=gnu99", "-g", "-fsanitize=address", "-DWITHOUT_VULKAN", "-I"])
            .arg(common::root().join("include"));
        gcc.arg(common::root().join(format!("ffi/tests/programs/{name}.c"))).arg("-o").arg(&program);
        gcc.args(["-L", &library, "-l:libcauseway.so", "-lpthread", "-ldl"]);
        common::run(gcc.arg(format!("-Wl,-rpath,{library}")));
        let mut command = Command::new(program);
        // Cargo points it at the tests' own library, which nobody watches.
        command.env_remove("LD_LIBRARY_PATH");
        command
    };
    common::run(compile("misuse").arg(&model));
    let student = Student::write(&folder);
    let files = [&student.model, &student.codec, &student.prompts[0]];
    common::run(compile("latents").args(files).arg("7"));
    common::run(compile("withdraw").args(files));
    // Every n is refused in `misuse.rs`; watched, each life takes longer.
    print!("{}", common::run(compile("refusals").arg(&model).arg("7")));
    common::run(compile("unload").arg(Path::new(&library).join("libcauseway.so")).arg(&model));
}
