//! Versions of nsqds, in the order of semver.org: `1.2.1-alpha` before `1.2.1`.

use std::cmp::Ordering;

/// A version. What does not read as one is `0.0.0`, older than all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    numbers: [u64; 3],
    /// What follows the dash.
    pre: Vec<String>,
}

impl Version {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.split('+').next().unwrap_or_default();
        let (numbers, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut parts = numbers.split('.').map(|part| part.parse().ok());
        match (parts.next().flatten(), parts.next().flatten(), parts.next().flatten(), parts.next()) {
            (Some(major), Some(minor), Some(patch), None) => {
                let pre = pre.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
                Self { numbers: [major, minor, patch], pre }
            }
            _ => Self::default(),
        }
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let released = |version: &Self| version.pre.is_empty();
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| released(self).cmp(&released(other)))
            .then_with(|| self.pre.iter().map(|part| rank(part)).cmp(other.pre.iter().map(|part| rank(part))))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Numbers come before words, and are compared as numbers.
fn rank(part: &str) -> (bool, u64, &str) {
    part.parse().map_or((true, 0, part), |number| (false, number, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn versions_are_ordered() {
        let ascending =
            ["unknown", "0.3.8", "1.2.1-alpha", "1.2.1-alpha.2", "1.2.1-alpha.10", "1.2.1", "1.3.0", "1.10.0"];
        for pair in ascending.windows(2) {
            assert!(Version::parse(pair[0]) < Version::parse(pair[1]), "{pair:?}");
        }
        assert_eq!(Version::parse("1.3.0+build.7"), Version::parse("1.3.0"));
        assert_eq!(Version::parse("1.3"), Version::default());
    }
}
