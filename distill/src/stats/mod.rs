//! What figures of a few seeds or starts can say: intervals, tests and effect sizes, in one place for the world score and the papers' claims.

pub mod bootstrap;
pub mod paired;
pub mod rank;
pub mod student;
