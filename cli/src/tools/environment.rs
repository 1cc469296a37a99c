//! Variables of the environment that would get in the way, put right before anything looks at them.

/// A program that has one thread calls this first.
pub fn tidy() {
    // Set to nothing, as in `CAUSEWAY_MODEL= causeway`, means not set.
    if std::env::var_os("CAUSEWAY_MODEL").is_some_and(|path| path.is_empty()) {
        // SAFETY: no other thread reads the environment: there is none yet.
        unsafe { std::env::remove_var("CAUSEWAY_MODEL") };
    }
    // In containers and over ssh it is often missing, which graphics drivers complain about on standard error; none of what they would
    // keep there is needed.
    #[cfg(unix)]
    if !std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|folder| std::path::Path::new(&folder).is_dir()) {
        // SAFETY: as above.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}
