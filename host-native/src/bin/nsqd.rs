//! nsqd.

fn main() {}
