//! sansq.

fn main() {}
