//! `sansq install DIRECTORY`: puts the executable there, and a link to it for each of NSQ's programs.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::words::{Misuse, Words};
use super::{Failure, print, screen};
use crate::programs::PROGRAMS;

/// The name of the executable that the others are links to.
const OWN_NAME: &str = "sansq";

/// See the [module](self).
pub(super) fn run(args: Vec<OsString>) -> Result<(), Failure> {
    let is_force = |word: &OsString| word == "--force" || word == "-force";
    let force = args.iter().any(is_force);
    let words = Words::sort("install", &[], args.into_iter().filter(|word| !is_force(word)).collect())?;
    if words.help {
        print(screen::INSTALL_HELP);
        return Ok(());
    }
    let directory = match &words.others[..] {
        [directory] => directory,
        [] => return Err(Misuse::NoWord { command: "install", what: "a directory", usage: "install DIRECTORY" }.into()),
        [_, second, ..] => return Err(Misuse::TooMany(second.to_string_lossy().into_owned()).into()),
    };
    let own = std::env::current_exe().context("find the file of this program")?;
    install(&own, Path::new(directory), force)?;
    let names = PROGRAMS.map(|program| program.name).join(", ");
    print(&format!("{}: {OWN_NAME}, and as links to it {names}\n", Path::new(directory).display()));
    Ok(())
}

/// Copies `own` into `directory` unless it is there, and makes the links. Nothing is changed where a name is taken by something else,
/// unless `force` says so.
fn install(own: &Path, directory: &Path, force: bool) -> Result<()> {
    std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    let target = directory.join(OWN_NAME);
    let taken: Vec<String> = PROGRAMS
        .iter()
        .map(|program| directory.join(program.name))
        .filter(|path| path.symlink_metadata().is_ok() && !is_ours(path, &target))
        .map(|path| path.display().to_string())
        .collect();
    if !taken.is_empty() && !force {
        bail!("{} {} there already; --force replaces what is there", taken.join(", "), plural(taken.len()));
    }
    if !same_file(own, &target) {
        replace(&target, |new| std::fs::copy(own, new).map(drop))?;
    }
    for program in &PROGRAMS {
        replace(&directory.join(program.name), |new| symlink(OWN_NAME, new))?;
    }
    Ok(())
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// Whether `path` is a link to the executable beside it, as an earlier installation made it.
fn is_ours(path: &Path, target: &Path) -> bool {
    let link = std::fs::read_link(path);
    link.is_ok_and(|to| to == Path::new(OWN_NAME) || to == target)
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.metadata(), b.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Makes `path` anew beside what is there, and then takes its place: a program that runs from there goes on, and nobody finds half
/// of a file.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(new);
    let made = make(&new).and_then(|()| std::fs::rename(&new, path));
    if made.is_err() {
        drop(std::fs::remove_file(&new));
    }
    made.with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn each_program_is_a_link_to_the_one() {
        let top = tempfile::tempdir().unwrap();
        let own = top.path().join("built");
        std::fs::write(&own, "one").unwrap();
        let directory = top.path().join("usr/bin");
        install(&own, &directory, false).unwrap();
        for program in &PROGRAMS {
            assert_eq!(std::fs::read_link(directory.join(program.name)).unwrap(), Path::new("sansq"));
            assert_eq!(read(&directory.join(program.name)), "one");
        }
        // Again, with a newer one; and from the place itself.
        std::fs::write(&own, "two").unwrap();
        install(&own, &directory, false).unwrap();
        install(&directory.join("sansq"), &directory, false).unwrap();
        assert_eq!(read(&directory.join("nsqd")), "two");
    }

    #[test]
    fn what_belongs_to_somebody_else_is_left_alone() {
        let top = tempfile::tempdir().unwrap();
        let own = top.path().join("built");
        std::fs::write(&own, "ours").unwrap();
        let nsqd = top.path().join("nsqd");
        std::fs::write(&nsqd, "theirs").unwrap();
        let error = install(&own, top.path(), false).unwrap_err().to_string();
        assert!(error.contains(&format!("{} is there already", nsqd.display())), "{error}");
        assert!(read(&nsqd) == "theirs" && !top.path().join("nsqlookupd").exists());
        install(&own, top.path(), true).unwrap();
        assert_eq!(read(&nsqd), "ours");
    }
}
