//! NSQ as state machines. No I/O, no clock, no threads, no ambient randomness.
