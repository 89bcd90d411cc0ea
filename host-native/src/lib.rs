//! The NSQ daemons and tools on the sansq core.

pub mod config;
pub mod log;
