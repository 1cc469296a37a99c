//! Writes the JavaScript through which a module of wasm-bindgen calls the browser, and the module without what only this needed.
//!
//!     causeway-glue MODULE FOLDER

use wasm_bindgen_cli_support::Bindgen;

fn main() {
    let mut given = std::env::args_os().skip(1);
    let (Some(module), Some(folder), None) = (given.next(), given.next(), given.next()) else {
        eprintln!("usage: causeway-glue MODULE FOLDER");
        std::process::exit(2);
    };
    let mut glue = Bindgen::new();
    let made = glue
        .input_path(&module)
        .out_name("causeway-webgpu")
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .web(true)
        .and_then(|glue| glue.generate(&folder));
    if let Err(error) = made {
        eprintln!("causeway-glue: {}: {error:#}", module.display());
        std::process::exit(1);
    }
}
