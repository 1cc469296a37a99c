//! The library inside other people's programs: every host plays one walk and must show the frames that the Rust API makes; those that read
//! prompts, what `causeway generate` makes.
//!
//! Each test needs its host; without it, it is left out, and says so (`causeway_tests::machine`).

mod bindings;
mod csharp;
mod ctypes;
mod program;
mod prompts;
mod sdl2;
mod unity;
mod unreal;
mod walk;

// The library itself is loaded by the hosts; depending on it makes cargo build it first.
use causeway as _;
