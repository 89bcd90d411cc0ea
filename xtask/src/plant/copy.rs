//! A copy of the checkout that may be broken: `target/plant/tree`, and what is built from it in `target/plant/target`.
//!
//! The copy is of the files as they lie in the checkout, committed or not, without what git ignores. A file is written only where
//! it differs, so that cargo builds anew only what a fault touches.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// See the [module](self).
pub(super) struct Copy {
    checkout: PathBuf,
    directory: PathBuf,
}

impl Copy {
    /// Brings the copy in `directory` to what `checkout` is now.
    pub(super) fn new(checkout: &Path, directory: &Path) -> Result<Self> {
        let copy = Self { checkout: checkout.to_owned(), directory: directory.to_owned() };
        fs::create_dir_all(copy.tree()).with_context(|| format!("create {}", copy.tree().display()))?;
        copy.restore()?;
        Ok(copy)
    }

    pub(super) fn tree(&self) -> PathBuf {
        self.directory.join("tree")
    }

    pub(super) fn target(&self) -> PathBuf {
        self.directory.join("target")
    }

    /// Makes the copy equal to the checkout again, with the files that a fault added taken away.
    pub(super) fn restore(&self) -> Result<()> {
        let (root, tree) = (&self.checkout, self.tree());
        let wanted = listed(root, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
        for name in &wanted {
            let (from, to) = (root.join(name), tree.join(name));
            if from.is_file() {
                write_if_different(&from, &to)?;
            } else if to.is_file() {
                // Deleted in the checkout, and not yet in git's index.
                fs::remove_file(&to).with_context(|| format!("remove {}", to.display()))?;
            }
        }
        for left in files_below(&tree)? {
            let name = left.strip_prefix(&tree)?;
            if !wanted.contains(name) && !is_installed(name) {
                fs::remove_file(&left).with_context(|| format!("remove {}", left.display()))?;
            }
        }
        Ok(())
    }

    /// Applies a patch to the copy.
    pub(super) fn apply(&self, patch: &Path) -> Result<()> {
        let output = Command::new("git")
            .args(["apply", "--whitespace=nowarn"])
            .arg(patch)
            .current_dir(self.tree())
            // The copy lies within the checkout's repository, and is not a part of it.
            .env("GIT_CEILING_DIRECTORIES", &self.directory)
            .output()
            .context("run git apply")?;
        ensure!(
            output.status.success(),
            "the patch does not apply: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }
}

/// The names that a git command lists, with NUL behind each.
fn listed(root: &Path, arguments: &[&str]) -> Result<BTreeSet<PathBuf>> {
    let output = Command::new("git").args(arguments).current_dir(root).output().context("run git")?;
    ensure!(output.status.success(), "git {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr).trim());
    let names = output.stdout.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name))).collect())
}

fn write_if_different(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("read {}", from.display()))?;
    if fs::read(to).is_ok_and(|there| there == content) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
    }
    fs::write(to, content).with_context(|| format!("write {}", to.display()))?;
    let mode = fs::metadata(from)?.permissions();
    fs::set_permissions(to, mode).with_context(|| format!("set the mode of {}", to.display()))
}

/// What a check has brought into the copy for itself: packages of npm.
fn is_installed(name: &Path) -> bool {
    name.components().any(|part| part.as_os_str() == "node_modules")
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).with_context(|| format!("read {}", directory.display()))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(directory: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git").args(arguments).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn a_fault_is_applied_to_the_copy_only_and_taken_back() {
        let top = tempfile::tempdir().unwrap();
        let top = top.path();
        let (file, plants) = (top.join("src/a.rs"), top.join("target/plant"));
        fs::create_dir_all(top.join("src")).unwrap();
        git(top, &["init", "-q"]);
        fs::write(top.join(".gitignore"), "/target\n").unwrap();
        fs::write(&file, "broken\n").unwrap();
        git(top, &["add", "."]);
        fs::write(&file, "right\n").unwrap();
        let patch = top.join("a.patch");
        fs::write(&patch, git(top, &["diff", "-R", "--src-prefix=a/", "--dst-prefix=b/"])).unwrap();

        let copy = Copy::new(top, &plants).unwrap();
        let copied = || fs::read_to_string(copy.tree().join("src/a.rs")).unwrap();
        assert_eq!(copied(), "right\n");
        assert!(!copy.tree().join("target").exists(), "what git ignores is not copied");
        copy.apply(&patch).unwrap();
        assert_eq!((copied(), fs::read_to_string(&file).unwrap()), ("broken\n".into(), "right\n".into()));
        let error = copy.apply(&patch).unwrap_err().to_string();
        assert!(error.contains("does not apply"), "{error}");
        fs::write(copy.tree().join("src/new.rs"), "").unwrap();
        copy.restore().unwrap();
        assert_eq!(copied(), "right\n");
        assert!(!copy.tree().join("src/new.rs").exists());
    }
}
