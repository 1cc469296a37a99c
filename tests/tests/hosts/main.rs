//! The library inside other people's programs: every host plays one walk and must show the frames that the Rust API makes; those that read
//! prompts, what `causeway generate` makes.
//!
//! Each test needs its host installed and fails without it; `.ci/run` installs them.

mod bindings;
mod csharp;
mod program;
mod prompts;
mod sdl2;
mod unity;
mod unreal;
mod walk;

// The library itself is loaded by the hosts; depending on it makes cargo build it first.
use causeway as _;
