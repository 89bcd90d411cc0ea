//! The NSQ daemons and tools on the sansq core.
