//! What tests need of the machine beyond Rust and a C compiler. What is not there is left out, and said on standard error, past the test
//! harness, which hides what good tests print; with `CAUSEWAY_HOSTS=1` it fails the test. `.ci/run` sets that, and installs everything.

use std::{
    fmt::Display,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use causeway_runtime::Device;

/// Something that a machine has or has not.
pub struct Part {
    /// Behind "there is no".
    what: &'static str,
    /// The command that gets it, on Debian.
    from: &'static str,
    /// A command of the shell that succeeds where it is there.
    probe: &'static str,
}

impl Part {
    const fn new(what: &'static str, from: &'static str, probe: &'static str) -> Self {
        Self { what, from, probe }
    }
}

/// g++.
pub const CPP: Part = Part::new("C++ compiler", "apt-get install g++", "g++ --version");
/// curl.
pub const CURL: Part = Part::new("curl", "apt-get install curl", "curl --version");
/// Mono and its C# compiler.
pub const MONO: Part = Part::new(
    "Mono",
    "apt-get install mono-mcs mono-runtime libmono-system-core4.0-cil",
    "mcs --version && mono --version",
);
/// A Python interpreter.
pub const PYTHON: Part = Part::new("Python", "apt-get install python3", "python3 --version");
/// SDL 2 with its headers.
pub const SDL: Part = Part::new("SDL 2", "apt-get install libsdl2-dev", "sdl2-config --version");
/// The validator of SPIR-V.
pub const SPIRV: Part = Part::new(
    "SPIR-V validator that knows cooperative matrices",
    "export CAUSEWAY_SPIRV_VAL=\"$PWD/tools/on-driver spirv spirv-val\"",
    "${CAUSEWAY_SPIRV_VAL:-spirv-val} --version | grep -qE 'v(2023[.][3-9]|202[4-9]|20[3-9])'",
);
/// Valgrind.
pub const VALGRIND: Part = Part::new("Valgrind", "apt-get install valgrind", "valgrind --version");
/// Vulkan's headers and loader, for C programs.
pub const VULKAN: Part = Part::new(
    "Vulkan for C",
    "apt-get install libvulkan-dev",
    "echo 'int main(void) { return 0; }' | gcc -include vulkan/vulkan.h -x c - -lvulkan -o /dev/null",
);

const GPU: Part = Part::new("GPU", "apt-get install mesa-vulkan-drivers (lavapipe, a GPU in software)", "");
const CORECLR: Part = Part::new("CoreCLR", ".ci/run gets it", "");

/// Whether all `parts` are there; says which is not.
///
/// # Panics
/// One is not there, and `CAUSEWAY_HOSTS=1` says that all are.
#[must_use]
pub fn has(parts: &[&Part]) -> bool {
    let there = |part: &&&Part| {
        let mut shell = Command::new("sh");
        let probe = shell.args(["-c", part.probe]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    };
    match parts.iter().find(|part| !there(part)) {
        Some(part) => missing(part, &""),
        None => true,
    }
}

/// A GPU that was opened; None where there is none, which is said.
///
/// # Panics
/// There is none, and `CAUSEWAY_HOSTS=1`.
pub fn gpu<T, E: Display>(opened: Result<T, E>) -> Option<T> {
    opened.map_err(|error| missing(&GPU, &error)).ok()
}

/// A GPU that was opened with a tier of kernels; None where its adapter lacks a feature that the tier asks for, which is said.
///
/// # Panics
/// Anything else is wrong, or it lacks one and `CAUSEWAY_ALL_TIERS=1`, as `.ci/run` says of the driver of `tools/on-driver`.
pub fn tier<T, E: Display>(opened: Result<T, E>) -> Option<T> {
    let error = match opened {
        Ok(opened) => return Some(opened),
        Err(error) => error.to_string(),
    };
    let required = std::env::var_os("CAUSEWAY_ALL_TIERS").is_some_and(|value| value == "1");
    assert!(error.contains("the adapter has no ") && !required, "{error}");
    let test = std::thread::current();
    let _ = writeln!(std::io::stderr(), "LEFT OUT, {}: {error}; see tools/on-driver", test.name().unwrap_or("a test"));
    None
}

/// `cpu`, and the GPU where there is one.
///
/// # Panics
/// There is none, and `CAUSEWAY_HOSTS=1`.
pub fn and_gpu(cpu: Device) -> Vec<Device> {
    [Some(cpu), gpu(Device::gpu(""))].into_iter().flatten().collect()
}

/// Whether `--backend` can be that: the GPU's only where there is one.
///
/// # Panics
/// There is none, and `CAUSEWAY_HOSTS=1`.
#[must_use]
pub fn runs_on(backend: &str) -> bool {
    backend != "gpu" || gpu(Device::gpu("")).is_some()
}

/// Whether CoreCLR is at that path.
///
/// # Panics
/// It is not, and `CAUSEWAY_HOSTS=1`.
#[must_use]
pub fn coreclr(at: &Path) -> bool {
    at.exists() || missing(&CORECLR, &at.display())
}

/// Says what is left out; false.
fn missing(part: &Part, why: &dyn Display) -> bool {
    let (test, why) = (std::thread::current(), why.to_string());
    let why = if why.is_empty() { why } else { format!(" ({})", why.lines().next().unwrap_or_default()) };
    let said = format!("{}: there is no {}{why}; {}", test.name().unwrap_or("a test"), part.what, part.from);
    assert!(std::env::var_os("CAUSEWAY_HOSTS").is_none_or(|value| value != "1"), "{said}");
    let _ = writeln!(std::io::stderr(), "LEFT OUT, {said}");
    false
}
