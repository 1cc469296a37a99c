//! A kind of file, and what is said of it.

use core::fmt;

/// A row of the table of kinds.
#[derive(Debug)]
#[non_exhaustive]
pub struct Kind {
    /// What it is, with its article.
    pub name: &'static str,
    /// What is done with it.
    pub answer: Answer,
    section: Section,
}

/// What is done with a kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is read; what is special about that.
    Read(&'static str),
    /// It is read, with this warning.
    Warned(&'static str),
    /// It is refused; why, and what to do instead.
    Refused(&'static str),
}

/// A group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Files by their format.
    Files,
    /// Ways of storing values.
    Storage,
    /// Networks.
    Networks,
    /// Files for `--lora`.
    Loras,
}

impl Kind {
    pub(super) const fn new(section: Section, name: &'static str, answer: Answer) -> Self {
        Self { name, answer, section }
    }

    /// What it is a kind of.
    pub fn section(&self) -> Section {
        self.section
    }

    /// What is said of it.
    pub fn sentence(&self) -> &'static str {
        match self.answer {
            Answer::Read(sentence) | Answer::Warned(sentence) | Answer::Refused(sentence) => sentence,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.sentence())
    }
}
