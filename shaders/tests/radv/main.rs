//! What AMD's open compiler makes of kernels, on no card: RADV compiles for one that `RADV_FORCE_FAMILY` names. It tells what no run on a CPU
//! can: whether matrix and dot instructions are used, and whether anything is spilled.
//!
//! Ignored unless asked for, because a driver is needed that a machine does not have by itself:
//!
//! ```sh
//! export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="$PWD/tools/on-driver radv"
//! for card in navi21 navi31 gfx1201; do RADV_FORCE_FAMILY=$card cargo test -p causeway-shaders --test radv -- --ignored --nocapture; done
//! ```
#![cfg(target_os = "linux")]

mod compiler;

use causeway_shaders::{ALL, Kernel, Target};
use compiler::{Code, Compiler};

/// What the machine code of a kernel must be within.
struct Budget {
    kernel: &'static str,
    /// Least instructions of a kind: its name begins so.
    least: &'static [(&'static str, usize)],
    registers: u64,
    instructions: u64,
}

const fn budget(
    kernel: &'static str,
    least: &'static [(&'static str, usize)],
    registers: u64,
    instructions: u64,
) -> Budget {
    Budget { kernel, least, registers, instructions }
}

/// On every card: a tenth to a fifth above what was counted when they were written.
const PLAIN: [Budget; 8] = [
    budget("linear_q8_wide", &[("v_fma", 64)], 144, 1000),
    budget("linear_f16_wide", &[("v_fma", 64)], 144, 1000),
    budget("attention_128_f16", &[("v_fma", 64)], 128, 3000),
    budget("linear_dot4_q8_wide", &[("v_dot4", 256)], 144, 8000),
    budget("linear_half_q8", &[("v_pk_fma_f16", 32)], 256, 2000),
    budget("linear_half_f16", &[("v_pk_fma_f16", 32)], 256, 2000),
    budget("attention_half_128_f16", &[("v_pk_fma_f16", 240)], 256, 6000),
    budget("attention_half_64_f16", &[("v_pk_fma_f16", 128)], 256, 4500),
];

/// On cards with matrix units.
const MATRICES: [Budget; 5] = [
    budget("linear_matrices_q8", &[("v_wmma_f32_16x16x16_f16", 4)], 256, 2000),
    budget("linear_matrices_q8_broad", &[("v_wmma_f32_16x16x16_f16", 16)], 256, 4500),
    budget("linear_matrices_f16_broad", &[("v_wmma_f32_16x16x16_f16", 16)], 256, 4500),
    budget("attention_matrices_128_f16", &[("v_wmma_f32_16x16x16_f16", 16)], 256, 6000),
    budget("attention_matrices_64_f16", &[("v_wmma_f32_16x16x16_f16", 8)], 256, 5000),
];

fn kernel(name: &str) -> &'static Kernel {
    ALL.iter().find(|kernel| kernel.name == name).unwrap_or_else(|| panic!("there is no kernel {name}"))
}

/// What is wrong with the code of a kernel.
fn judge(budget: &Budget, code: &Code, workgroup_bytes: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut most = |what: &str, found: u64, most: u64| {
        if found > most {
            wrong.push(format!("{}: {what} {found}, at most {most}", budget.kernel));
        }
    };
    most("scratch", code.statistic("Scratch size"), 0);
    most("spilled registers", code.statistic("Spilled VGPRs"), 0);
    most("registers", code.statistic("VGPRs"), budget.registers);
    most("instructions", code.statistic("Instructions"), budget.instructions);
    most("workgroup memory", code.statistic("LDS size"), workgroup_bytes);
    for (name, least) in budget.least {
        let found = code.count(name);
        if found < *least {
            wrong.push(format!("{}: {found} of {name}, at least {least}", budget.kernel));
        }
    }
    wrong
}

#[test]
#[ignore = "needs tools/on-driver radv and RADV_FORCE_FAMILY"]
fn kernels_stay_within_their_budgets() {
    let compiler = Compiler::new();
    println!("{}", compiler.name());
    let mut wrong = Vec::new();
    let with_matrices = std::env::var("RADV_FORCE_FAMILY").is_ok_and(|card| card.starts_with("navi3"));
    assert!(compiler.matrices() || !with_matrices, "{} has no matrices", compiler.name());
    let matrices: &[Budget] = if compiler.matrices() { &MATRICES } else { &[] };
    for budget in PLAIN.iter().chain(matrices) {
        let kernel = kernel(budget.kernel);
        // RADV compiles every kernel here for 64 lanes.
        let target = Target { unpack: true, scalars: false, edge: 16, lanes: 64 };
        let code = compiler.compile(kernel, &target);
        let counts: Vec<String> = budget.least.iter().map(|(name, _)| format!("{} {name}", code.count(name))).collect();
        println!(
            "{}: {} lanes, {} VGPRs, {} instructions, {} bytes of LDS, latency {}, {}",
            budget.kernel,
            code.lanes,
            code.statistic("VGPRs"),
            code.statistic("Instructions"),
            code.statistic("LDS size"),
            code.statistic("Latency"),
            counts.join(", "),
        );
        assert!(!budget.kernel.contains("matrices") || code.lanes == 64, "{}", budget.kernel);
        wrong.extend(judge(budget, &code, 32 * 1024));
    }
    assert!(wrong.is_empty(), "{}:\n{}", compiler.name(), wrong.join("\n"));
}

/// A build without matrix instructions, or that spills, does not pass.
#[test]
fn what_exceeds_its_budget_is_named() {
    let budget = budget("linear_matrices_q8", &[("v_wmma", 2)], 100, 1000);
    let statistics =
        [("Scratch size", 0), ("Spilled VGPRs", 0), ("VGPRs", 100), ("Instructions", 900), ("LDS size", 10)];
    let code = |scratch: u64, text: &str| {
        let mut statistics = statistics.map(|(name, value)| (name.to_owned(), value)).to_vec();
        statistics[0].1 = scratch;
        Code { lanes: 64, statistics, text: text.to_owned() }
    };
    assert!(judge(&budget, &code(0, "\tv_wmma_f32 v0\n\tv_wmma_f32 v8\n"), 10).is_empty());
    assert_eq!(judge(&budget, &code(4, "v_wmma_f32 v0\nv_mov v1, v2\n"), 10).len(), 2);
}
