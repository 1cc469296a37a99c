//! What every command uses: output, tables, progress, signals, counted memory.

pub mod allocation;
pub mod environment;
pub mod output;
pub mod progress;
pub mod stop;
pub mod synthetic;
pub mod table;
