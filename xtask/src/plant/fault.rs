//! A planted fault as a file: `tests/faults/NAME.patch`. Lines before the diff say what it is:
//!
//! ```text
//! Breaks: a request target loses its `#` and what follows.
//! Found by: cargo build -p sansq && cargo test -p sansq-tests --test targets
//!
//! diff --git a/…
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// What is wrong once it is planted.
    pub(super) breaks: String,
    /// The command line whose last part must fail then.
    pub(super) found_by: String,
}

impl Fault {
    /// All faults in `directory`, by name.
    pub(super) fn all(directory: &Path) -> Result<Vec<Self>> {
        let mut faults = Vec::new();
        let entries = directory.read_dir().with_context(|| format!("read {}", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "patch") {
                faults.push(Self::read(path)?);
            }
        }
        ensure!(!faults.is_empty(), "there is no patch in {}", directory.display());
        faults.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(faults)
    }

    fn read(path: PathBuf) -> Result<Self> {
        let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let field = |name: &str| {
            let value = header(&text, name);
            value.with_context(|| format!("{}: no line begins with `{name}: `", path.display()))
        };
        let (breaks, found_by) = (field("Breaks")?.to_owned(), field("Found by")?.to_owned());
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, path, breaks, found_by })
    }

    /// The command lines, in order. All but the last prepare the check.
    pub(super) fn commands(&self) -> Vec<&str> {
        self.found_by.split("&&").map(str::trim).filter(|line| !line.is_empty()).collect()
    }
}

/// The value of a line `name: value` before the diff.
fn header<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let lines = text.lines().take_while(|line| !line.starts_with("diff ") && !line.starts_with("--- "));
    lines.filter_map(|line| line.split_once(": ")).find(|(key, _)| *key == name).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_ends_where_the_diff_begins() {
        let text = "Breaks: one thing: this.\nFound by: a && b -- c\n\ndiff --git a/x b/x\nLater: no\n";
        assert_eq!(header(text, "Breaks"), Some("one thing: this."));
        assert_eq!(header(text, "Found by"), Some("a && b -- c"));
        assert_eq!(header(text, "Later"), None);
    }

    #[test]
    fn the_last_command_is_the_check() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("b.patch"), "Breaks: b\nFound by: one  && two -- three\n").unwrap();
        std::fs::write(directory.path().join("a.patch"), "Breaks: a\nFound by: four\n").unwrap();
        std::fs::write(directory.path().join("README.md"), "not a patch").unwrap();
        let faults = Fault::all(directory.path()).unwrap();
        let commands: Vec<_> = faults.iter().map(|fault| (&*fault.name, fault.commands())).collect();
        assert_eq!(commands, [("a", vec!["four"]), ("b", vec!["one", "two -- three"])]);
        std::fs::write(directory.path().join("c.patch"), "Breaks: c\n").unwrap();
        let error = Fault::all(directory.path()).unwrap_err().to_string();
        assert!(error.contains("c.patch") && error.contains("Found by"), "{error}");
    }
}
