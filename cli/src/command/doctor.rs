//! `causeway doctor`: what this machine offers, and whether every kernel computes the right thing on it.

use std::sync::Arc;

use causeway_ops::{
    Backend, BackendError,
    cpu::{CpuBackend, CpuOptions, Isa},
    parallel::ThreadPool,
    table::Table as Cases,
};
use serde_json::{Value, json};

use crate::{
    command::selftest::{Arithmetic, Outputs, Verdicts, compare, outputs},
    error::Error,
    tools::{
        output::{print, print_json},
        stop::Stop,
        table::Table,
    },
};

/// Options of `doctor`.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Say whether GPUs use this file of `bench tune`, and why not
    #[cfg(feature = "gpu")]
    #[arg(long, value_name = "FILE")]
    tuned: Option<std::path::PathBuf>,
}

/// Something that runs plans and is put to the test.
enum Candidate {
    Cpu(Isa),
    #[cfg(feature = "gpu")]
    Gpu(usize, causeway_ops::gpu::Gpu),
}

impl Candidate {
    fn name(&self) -> String {
        match self {
            Candidate::Cpu(isa) => isa.name().to_owned(),
            #[cfg(feature = "gpu")]
            Candidate::Gpu(index, gpu) => format!("gpu {index} {}", gpu.tier()),
        }
    }

    fn backend(&self, cases: &Cases) -> Result<Box<dyn Backend>, BackendError> {
        let plan = cases.plan.clone();
        match self {
            Candidate::Cpu(isa) => {
                let parallel = Arc::new(ThreadPool::new(2));
                let options = CpuOptions { isa: Some(*isa), parallel, memory_cap: None };
                Ok(Box::new(CpuBackend::new(plan, &cases.weights, options)?))
            }
            #[cfg(feature = "gpu")]
            Candidate::Gpu(_, gpu) => Ok(Box::new(causeway_ops::gpu::GpuBackend::on(gpu, plan, &cases.weights, None)?)),
        }
    }

    fn arithmetic(&self) -> Arithmetic {
        match self {
            Candidate::Cpu(_) => Arithmetic::Exact,
            #[cfg(feature = "gpu")]
            Candidate::Gpu(_, gpu) => {
                use causeway_ops::gpu::Tier;
                let half = matches!(gpu.tier(), Tier::Half | Tier::Cooperative);
                if half { Arithmetic::Half } else { Arithmetic::Gpu }
            }
        }
    }

    /// Runs every case and compares with the plain scalar kernels.
    fn test(&self, cases: &Cases, reference: &Outputs, stop: &Stop) -> Result<Verdicts, Error> {
        let found = outputs(cases, self.backend(cases)?.as_mut(), stop)?;
        Ok(compare(cases, reference, &found, self.arithmetic()))
    }
}

/// What became of a candidate.
struct Outcome {
    name: String,
    result: Result<Verdicts, String>,
}

impl Outcome {
    fn failures(&self) -> usize {
        self.result.as_ref().map_or(1, |verdicts| verdicts.values().filter(|verdict| !verdict.passed).count())
    }
}

/// Reports on the machine and tests it.
///
/// # Errors
/// A kernel failed, or Ctrl-C.
pub fn run(args: &DoctorArgs, stop: &Stop) -> Result<(), Error> {
    let machine = Machine::look(args);
    let cases = Cases::new().map_err(|error| Error::Failed(error.to_string()))?;
    let plain = CpuOptions { isa: Some(Isa::Portable), ..CpuOptions::default() };
    let reference = outputs(&cases, &mut CpuBackend::new(cases.plan.clone(), &cases.weights, plain)?, stop)?;
    let mut outcomes = Vec::new();
    for candidate in machine.candidates() {
        let result = match candidate.test(&cases, &reference, stop) {
            Ok(verdicts) => Ok(verdicts),
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => Err(error.to_string()),
        };
        outcomes.push(Outcome { name: candidate.name(), result });
    }
    let failures: usize = outcomes.iter().map(Outcome::failures).sum();
    if args.json {
        print_json(&machine.to_json(&outcomes, failures))?;
    } else {
        print(&format!("{machine}\n{}", findings(&outcomes)))?;
    }
    match failures {
        0 => Ok(()),
        count => Err(Error::Failed(format!("the self-test found {count} failures"))),
    }
}

/// What the machine has.
struct Machine {
    cpu: String,
    threads: usize,
    isas: Vec<Isa>,
    #[cfg(feature = "gpu")]
    adapters: Vec<Adapter>,
}

/// A GPU, and the kernels that it gets.
#[cfg(feature = "gpu")]
struct Adapter {
    report: causeway_ops::gpu::AdapterReport,
    /// What sessions get.
    tier: Option<causeway_ops::gpu::Tier>,
    /// What of it which operator takes.
    taken: Vec<(&'static str, causeway_ops::gpu::Tier)>,
    /// Tiers that sessions do not get, and why.
    dropped: Vec<causeway_ops::gpu::Dropped>,
    /// What becomes of a file of measured choices, in words.
    tuned: Option<String>,
    /// Open, with every tier that passes its test.
    open: Vec<causeway_ops::gpu::Gpu>,
}

#[cfg(feature = "gpu")]
impl Adapter {
    fn look(report: causeway_ops::gpu::AdapterReport, tuned: Option<&std::path::Path>) -> Self {
        use causeway_ops::gpu::{AdapterChoice, Dropped, Gpu, GpuOptions, Tier};
        let (taken, dropped, open) = (Vec::new(), Vec::new(), Vec::new());
        let mut this = Self { tier: None, taken, dropped, tuned: None, open, report };
        if this.report.unfit.is_some() {
            return this;
        }
        let adapter = Some(AdapterChoice::Index(this.report.index));
        let options = GpuOptions { adapter, software: true, ..GpuOptions::default() };
        if let Ok(mut gpu) = Gpu::open(&options) {
            this.tuned = tuned.map(|file| match gpu.read_tuned(file) {
                Ok(tuned) => {
                    gpu = gpu.clone().with(&tuned);
                    format!("{} is used: {} shapes", file.display(), gpu.measured().len())
                }
                Err(why) => format!("{} is not used: {why}; the table of tiers decides instead", file.display()),
            });
            this.tier = Some(gpu.tier());
            this.taken = shapes().into_iter().map(|(what, shape)| (what, gpu.tier_of(shape))).collect();
            this.dropped.extend_from_slice(gpu.dropped());
        }
        for tier in Tier::ALL {
            match Gpu::open(&GpuOptions { tier: Some(tier), ..options.clone() }) {
                Ok(gpu) => this.open.push(gpu),
                // What the table refuses is not tried for sessions; here it was.
                Err(error) if this.dropped.iter().all(|dropped| dropped.tier != tier) => {
                    this.dropped.push(Dropped { tier, why: error.to_string() });
                }
                Err(_) => {}
            }
        }
        this
    }
}

/// Shapes that tell what sessions get: of a world of 1.3 billion weights, of a small one.
#[cfg(feature = "gpu")]
fn shapes() -> Vec<(&'static str, causeway_ops::gpu::Shape)> {
    use causeway_ops::{Kv, gpu::Shape, quant::DType};
    let linear = |rows, inputs, outputs, dtype| Shape::Linear { rows, inputs, outputs, dtype };
    vec![
        ("large q8 linear layers", linear(4680, 1536, 1536, DType::Q8)),
        ("large f16 linear layers", linear(4680, 1536, 1536, DType::F16)),
        ("small q8 linear layers", linear(64, 224, 224, DType::Q8)),
        ("attention", Shape::Attention { rows: 4680, keys: 18720, heads: 12, head_dim: 128, kv: Kv::F16 }),
        ("convolutions", Shape::Conv { rows: 1 << 16, outputs: 64 }),
    ]
}

impl Machine {
    #[cfg_attr(not(feature = "gpu"), expect(unused_variables, reason = "it asks of GPUs"))]
    fn look(args: &DoctorArgs) -> Self {
        #[cfg(feature = "gpu")]
        let adapter = |report| Adapter::look(report, args.tuned.as_deref());
        Self {
            cpu: cpu_name(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            isas: Isa::ALL.into_iter().filter(|isa| isa.available()).collect(),
            #[cfg(feature = "gpu")]
            adapters: causeway_ops::gpu::adapters().into_iter().map(adapter).collect(),
        }
    }

    fn candidates(&self) -> Vec<Candidate> {
        let cpu = self.isas.iter().map(|&isa| Candidate::Cpu(isa));
        #[cfg(feature = "gpu")]
        let cpu = {
            let open = self
                .adapters
                .iter()
                .flat_map(|adapter| adapter.open.iter().map(|gpu| Candidate::Gpu(adapter.report.index, gpu.clone())));
            cpu.chain(open)
        };
        cpu.collect()
    }

    fn to_json(&self, outcomes: &[Outcome], failures: usize) -> Value {
        let tests = outcomes.iter().map(|outcome| match &outcome.result {
            Ok(verdicts) => {
                let kernels = verdicts.iter().map(|(kernel, verdict)| {
                    let value = json!({"buffers": verdict.buffers, "error": verdict.error, "passed": verdict.passed});
                    (kernel.clone(), value)
                });
                json!({"name": outcome.name, "kernels": Value::Object(kernels.collect())})
            }
            Err(why) => json!({"name": outcome.name, "failed": why}),
        });
        let isas: Vec<&str> = self.isas.iter().map(|isa| isa.name()).collect();
        json!({
            "cpu": {"name": self.cpu, "threads": self.threads, "isas": isas, "chosen": Isa::best().name()},
            "gpus": self.gpus_json(),
            "auto": auto_choice(),
            "tests": tests.collect::<Vec<_>>(),
            "failures": failures,
        })
    }

    #[cfg(feature = "gpu")]
    fn gpus_json(&self) -> Value {
        let list = self.adapters.iter().map(|Adapter { report: a, tier, taken, dropped, tuned, .. }| {
            let taken = taken.iter().map(|(what, tier)| json!({"what": what, "tier": tier.name()})).collect::<Vec<_>>();
            let dropped = dropped.iter().map(|d| json!({"tier": d.tier.name(), "why": d.why})).collect::<Vec<_>>();
            json!({
                "tier": tier.map(|tier| tier.name()), "taken": taken, "dropped": dropped, "tuned": tuned,
                "index": a.index, "name": a.name, "kind": a.kind, "api": a.backend, "driver": a.driver,
                "max_buffer_bytes": a.max_buffer_bytes, "max_binding_bytes": a.max_binding_bytes,
                "workgroup_bytes": a.workgroup_bytes, "workgroup_invocations": a.workgroup_invocations,
                "storage_buffers": a.storage_buffers, "f16": a.f16, "subgroups": a.subgroups, "matrices": a.matrices, "timestamps": a.timestamps, "unfit": a.unfit,
            })
        });
        list.collect()
    }

    #[cfg(not(feature = "gpu"))]
    fn gpus_json(&self) -> Value {
        json!([])
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let isas: Vec<&str> = self.isas.iter().map(|isa| isa.name()).collect();
        writeln!(
            f,
            "CPU   {}, {} threads; kernels {}, using {}",
            self.cpu,
            self.threads,
            isas.join(", "),
            Isa::best()
        )?;
        #[cfg(feature = "gpu")]
        for Adapter { report: adapter, tier, taken, dropped, tuned, .. } in &self.adapters {
            writeln!(f, "GPU   {adapter}")?;
            writeln!(
                f,
                "      buffers to {}, bindings to {}, workgroups of {} with {} bytes, {} storage buffers, f16 {}, subgroups of {} to {}, \
                 matrices {}, timestamps {}",
                crate::tools::table::bytes(adapter.max_buffer_bytes as usize),
                crate::tools::table::bytes(adapter.max_binding_bytes as usize),
                adapter.workgroup_invocations,
                adapter.workgroup_bytes,
                adapter.storage_buffers,
                if adapter.f16 { "yes" } else { "no" },
                adapter.subgroups[0],
                adapter.subgroups[1],
                adapter.matrices.map_or("none".to_owned(), |edge| format!("of {edge}x{edge}")),
                if adapter.timestamps { "yes" } else { "no" },
            )?;
            if tier.is_some() {
                let taken: Vec<String> = taken.iter().map(|(what, tier)| format!("{what}: {tier}")).collect();
                writeln!(f, "      sessions get {}", taken.join(", "))?;
            }
            for dropped in dropped {
                writeln!(f, "      not {}: {}", dropped.tier, dropped.why)?;
            }
            if let Some(tuned) = tuned {
                writeln!(f, "      {tuned}")?;
            }
        }
        #[cfg(feature = "gpu")]
        if self.adapters.is_empty() {
            writeln!(f, "GPU   none")?;
        }
        #[cfg(not(feature = "gpu"))]
        writeln!(f, "GPU   this build has no GPU backend")?;
        writeln!(f, "auto  {}", auto_choice())
    }
}

/// What `--backend auto` means here: a GPU that is no CPU in disguise, else the CPU.
pub fn auto_choice() -> String {
    #[cfg(feature = "gpu")]
    if let Some(adapter) = causeway_ops::gpu::adapters().into_iter().find(|a| a.unfit.is_none() && a.kind != "Cpu") {
        return adapter.name;
    }
    format!("CPU, {}", Isa::best())
}

/// The processor's name, where the system tells.
pub fn cpu_name() -> String {
    let list = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = list.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// Kernels against candidates.
fn findings(outcomes: &[Outcome]) -> String {
    let tested: Vec<(&str, &Verdicts)> =
        outcomes.iter().filter_map(|o| Some((o.name.as_str(), o.result.as_ref().ok()?))).collect();
    let mut headings = vec!["largest error"];
    headings.extend(tested.iter().map(|(name, _)| *name));
    let mut table = Table::new(&headings);
    let mut kernels: Vec<&String> = tested.iter().flat_map(|(_, verdicts)| verdicts.keys()).collect();
    kernels.sort_unstable();
    kernels.dedup();
    for kernel in kernels {
        let cell = |verdicts: &Verdicts| match verdicts.get(kernel) {
            Some(verdict) if verdict.passed => format!("{:.1e}", verdict.error),
            Some(verdict) => format!("{:.1e} FAILED", verdict.error),
            None => "-".to_owned(),
        };
        table.row(std::iter::once(kernel.clone()).chain(tested.iter().map(|(_, verdicts)| cell(verdicts))));
    }
    let mut text = table.to_string();
    for outcome in outcomes {
        if let Err(why) = &outcome.result {
            text += &format!("{}: FAILED, {why}\n", outcome.name);
        }
    }
    text
}
