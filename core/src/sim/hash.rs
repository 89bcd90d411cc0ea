//! A running hash of everything that happens: two runs with the same one did the same.

/// Integers in, 64 bits out; the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceHash(u64);

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl TraceHash {
    pub(super) fn new(seed: u64) -> Self {
        let mut hash = Self(0x5361_6e73_7120_7369);
        hash.add(seed);
        hash
    }

    #[inline]
    pub(super) fn add(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(MULTIPLIER);
        self.0 = mixed ^ mixed >> 32;
    }

    /// Two words at a time that do not wait for each other.
    pub(super) fn add_bytes(&mut self, bytes: &[u8]) {
        let (mut one, mut two) = (Self(self.0), Self(!self.0));
        let (pairs, rest) = bytes.as_chunks::<16>();
        for pair in pairs {
            let pair = u128::from_le_bytes(*pair);
            one.add(pair as u64);
            two.add((pair >> 64) as u64);
        }
        let mut last = [0; 16];
        last[..rest.len()].copy_from_slice(rest);
        let last = u128::from_le_bytes(last);
        one.add(last as u64);
        two.add((last >> 64) as u64);
        self.add(one.0);
        self.add(two.0);
        self.add(bytes.len() as u64);
    }

    pub(super) fn value(self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ mixed >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn order_and_length_count() {
        let of = |parts: &[&[u8]]| {
            let mut hash = TraceHash::new(1);
            parts.iter().for_each(|part| hash.add_bytes(part));
            hash.value()
        };
        assert_eq!(of(&[b"ab", b"c"]), of(&[b"ab", b"c"]));
        let all = [of(&[b"ab", b"c"]), of(&[b"c", b"ab"]), of(&[b"a", b"bc"]), of(&[b"abc\0"]), of(&[b"abc"]), of(&[])];
        let distinct: std::collections::BTreeSet<u64> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
