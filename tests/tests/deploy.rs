//! The files in `docs/deploy`: what can be known about them without Docker and without starting a unit. Flags must exist,
//! addresses must lead to each other, the image must get what the build needs, units must be valid and hardened.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sansq_tests::nsqd::newest_build;
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

/// The exposure that systemd computes, times ten: up to 2.0 is its best word, "OK" without a but.
const EXPOSURE_MAX: &str = "--threshold=20";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn units() -> Vec<PathBuf> {
    let directory = root().join("docs/deploy/systemd");
    let units: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!units.is_empty());
    units
}

/// The programs that are built here, each with the flags that its help explains.
fn programs() -> BTreeMap<String, BTreeSet<String>> {
    let mut programs = BTreeMap::new();
    let installed = tempfile::tempdir().unwrap();
    let install = Command::new(newest_build("sansq").unwrap()).arg("install").arg(installed.path()).output().unwrap();
    assert!(install.status.success(), "{install:?}");
    for entry in fs::read_dir(installed.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let help = Command::new(newest_build(&name).unwrap()).arg("--help").output().unwrap();
        assert!(help.status.success(), "{name} --help");
        let help = String::from_utf8(help.stdout).unwrap();
        let flags = help.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
        programs.insert(name, flags.map(|flag| name_of(flag).to_owned()).collect());
    }
    programs
}

/// The name in `name=value`, `name[=BOOL]`, `name VALUE`.
fn name_of(flag: &str) -> &str {
    flag.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default()
}

/// The flags that `text` gives to programs: those in a line behind a program's name, or in its `NAME_FLAGS=`.
fn flags_given(text: &str, programs: &BTreeMap<String, BTreeSet<String>>) -> Vec<(String, String)> {
    let mut given = Vec::new();
    for line in text.lines() {
        let mut program = None;
        for word in line.split(|c: char| c.is_whitespace() || "'\"`[],".contains(c)) {
            let (before, flag) = word.split_once("_FLAGS=").map_or(("", word), |(name, rest)| (name, rest));
            let name = if before.is_empty() { word.rsplit('/').next().unwrap_or(word) } else { before };
            if let Some((name, _)) = programs.get_key_value(&name.to_lowercase()).filter(|(name, _)| *name != "sansq") {
                program = Some(name);
            }
            if let (Some(program), Some(flag)) = (program, flag.strip_prefix("--")) {
                given.push((program.clone(), name_of(flag).to_owned()));
            }
        }
    }
    given
}

#[test]
fn every_flag_exists() {
    let programs = programs();
    let mut files = vec![read("docs/deploy/README.md"), read("docs/deploy/Dockerfile")];
    files.extend(units().iter().map(|unit| fs::read_to_string(unit).unwrap()));
    // A command is a list there; on one line it is like any other.
    files.extend(services().values().map(|service| command(service).join(" ")));
    let given: Vec<_> = files.iter().flat_map(|text| flags_given(text, &programs)).collect();
    assert!(given.len() > 20, "only {given:?}");
    for (program, flag) in given {
        assert!(programs[&program].contains(&flag), "{program} has no flag --{flag}");
    }
}

/// The services of `compose.yaml`, with what is merged into them (`<<`).
fn services() -> BTreeMap<String, Hash> {
    let services = &compose()["services"];
    let services = services.as_hash().unwrap().iter();
    services.map(|(name, service)| (name.as_str().unwrap().to_owned(), merged(service))).collect()
}

fn compose() -> Yaml {
    YamlLoader::load_from_str(&read("docs/deploy/compose.yaml")).unwrap().remove(0)
}

fn merged(map: &Yaml) -> Hash {
    let mut all = map.as_hash().unwrap().clone();
    let base = all.remove(&Yaml::from_str("<<"));
    for (key, value) in base.iter().flat_map(merged) {
        if !all.contains_key(&key) {
            all.insert(key, value);
        }
    }
    all
}

fn strings(service: &Hash, key: &str) -> Vec<String> {
    let list = service.get(&Yaml::from_str(key)).and_then(Yaml::as_vec);
    list.into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn command(service: &Hash) -> Vec<String> {
    strings(service, "command")
}

/// The values of a flag in a service's command.
fn values(service: &Hash, flag: &str) -> Vec<String> {
    let prefix = format!("--{flag}=");
    command(service).iter().filter_map(|word| word.strip_prefix(&prefix).map(str::to_owned)).collect()
}

fn count(services: &BTreeMap<String, Hash>, program: &str) -> usize {
    services.values().filter(|service| command(service)[0] == program).count()
}

#[test]
fn the_services_of_the_cluster_find_each_other() {
    let services = services();
    assert_eq!(["nsqd", "nsqlookupd", "nsqadmin"].map(|program| count(&services, program)), [3, 2, 1]);
    let volumes = compose()["volumes"].as_hash().unwrap().clone();
    let mut node_ids = BTreeSet::new();
    for (name, service) in &services {
        // A service is known to the others by its name; the port is the default of what is asked.
        for (flag, port) in [("lookupd-tcp-address", "4160"), ("lookupd-http-address", "4161")] {
            let lookups = values(service, flag);
            for address in &lookups {
                let (host, found) = address.split_once(':').unwrap();
                assert_eq!((command(&services[host])[0].as_str(), found), ("nsqlookupd", port), "{name}: {address}");
            }
            assert!(lookups.is_empty() || lookups.len() == count(&services, "nsqlookupd"), "{name} knows {lookups:?}");
        }
        let broadcasts = values(service, "broadcast-address");
        assert!(broadcasts.iter().all(|address| address == name), "{name} is told as {broadcasts:?}");
        if command(service)[0] == "nsqd" {
            assert_eq!(strings(service, "volumes"), [format!("{name}:/data")]);
            assert!(volumes.contains_key(&Yaml::from_str(name)), "{name} has no volume");
            assert!(node_ids.insert(values(service, "node-id")), "{name} has a node ID of another");
        }
    }
}

#[test]
fn every_service_is_asked_whether_it_is_well() {
    let ports = BTreeMap::from([("nsqd", "4151"), ("nsqlookupd", "4161"), ("nsqadmin", "4171")]);
    for (name, service) in services() {
        let check = merged(&service[&Yaml::from_str("healthcheck")]);
        let port = ports[command(&service)[0].as_str()];
        assert_eq!(strings(&check, "test"), ["CMD", "sansq", "ping", &format!("127.0.0.1:{port}")], "{name}");
    }
}

#[test]
fn the_image_gets_what_the_build_needs() {
    let manifest = read("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).unwrap();
    let members = members.trim_end_matches(']').split(", ").map(|member| member.trim_matches('"'));
    let sent = read("docs/deploy/Dockerfile.dockerignore");
    for needed in members.chain(["Cargo.toml", "Cargo.lock", "docs/deploy/image.sh"]) {
        assert!(sent.lines().any(|line| line.strip_prefix('!') == Some(needed)), "{needed} is not sent to Docker");
    }
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    let dockerfile = read("docs/deploy/Dockerfile");
    assert!(dockerfile.contains(&format!("ARG RUST_VERSION={version}\n")), "the image is built with another Rust");
}

#[test]
fn units_are_valid_and_hardened() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: there is no systemd-analyze");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    for unit in units() {
        let name = unit.file_stem().unwrap().to_string_lossy().into_owned();
        let installed = format!("/usr/local/bin/{name}");
        let text = fs::read_to_string(&unit).unwrap();
        assert!(text.contains(&format!("ExecStart={installed} ")), "{name} starts something else");
        let copy = directory.path().join(unit.file_name().unwrap());
        // It has to start a program that is there.
        fs::write(&copy, text.replace(&installed, &program.to_string_lossy())).unwrap();
        for check in [&["verify"][..], &["security", "--offline=true", EXPOSURE_MAX]] {
            let output = Command::new("systemd-analyze").args(check).arg(&copy).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !said.contains(&*name), "{name}: {check:?}: {said}");
        }
    }
}
