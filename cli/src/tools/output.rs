//! Writing to standard output without falling over when the reader leaves.

use std::io::{ErrorKind, Write};

use crate::error::Error;

/// Writes `text`. A reader that has seen enough (`causeway info | head`) is no failure.
///
/// # Errors
/// Standard output cannot be written for another reason, such as a full disk.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(source) if source.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Io { action: "write", path: "standard output".to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Writes a JSON value on lines for people and for `jq`.
///
/// # Errors
/// As [`print`].
pub fn print_json(value: &serde_json::Value) -> Result<(), Error> {
    print(&format!("{value:#}\n"))
}
