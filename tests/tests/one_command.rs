//! `sansq` as a newcomer meets it: the daemons it starts, the lines it prints to paste, its two small commands, and what it
//! says when something is in the way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sansq_tests::client::eventually;
use sansq_tests::daemon::Setup;
use sansq_tests::lookupd::Lookupd;
use sansq_tests::nsqd::newest_build;
use sansq_tests::{http, tool};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);
const ANY_PORTS: [&str; 2] = ["--tcp-address=127.0.0.1:0", "--http-address=127.0.0.1:0"];

fn sansq() -> Command {
    Command::new(newest_build("sansq").unwrap())
}

fn run(args: &[&str]) -> Output {
    sansq().args(args).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A broker started by `sansq`; killed when dropped.
struct Broker {
    child: Child,
    lines: Receiver<String>,
    /// What it printed until it ran.
    shown: Vec<String>,
}

impl Broker {
    fn start(data: &Path) -> Broker {
        Broker::start_with(sansq().arg("--data-path").arg(data).args(ANY_PORTS))
    }

    fn start_with(command: &mut Command) -> Broker {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut broker = Broker { child, lines, shown: Vec::new() };
        while !broker.shown.last().is_some_and(|line| line.contains("Ctrl-C")) {
            let line = broker.lines.recv_timeout(PATIENCE).unwrap();
            broker.shown.push(line);
        }
        broker
    }

    /// The value of a row of its block.
    fn row(&self, name: &str) -> &str {
        self.shown.iter().find_map(|line| line.trim_start().strip_prefix(name)).unwrap().trim()
    }

    fn tcp(&self) -> &str {
        self.row("clients ")
    }

    fn http(&self) -> SocketAddr {
        self.row("HTTP ").strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// The line to paste that contains `text`.
    fn paste(&self, text: &str) -> &str {
        self.shown.iter().find(|line| line.starts_with("  ") && line.contains(text)).unwrap().trim()
    }

    fn run(&self, command: &str, args: &[&str]) -> Output {
        run(&[&[command, "--nsqd-tcp-address", self.tcp()], args].concat())
    }

    /// Presses Ctrl-C: what it says then.
    fn stop(mut self) -> String {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let mut last = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            last = line;
        }
        assert!(self.child.wait().unwrap().success());
        last
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Either may fail when the process has exited already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data() -> TempDir {
    tempfile::Builder::new().prefix("sansq-test-").tempdir().unwrap()
}

#[test]
fn the_lines_to_paste_deliver_a_message() {
    let data = data();
    let broker = Broker::start(data.path());
    assert_eq!(broker.row("open to "), "this machine only");
    assert_eq!(Path::new(broker.row("data ")), data.path());
    assert!(broker.shown.iter().all(|line| !line.contains('\x1b')), "colours are for terminals");

    let url = format!("'http://{}/pub?topic=greetings'", broker.http());
    assert_eq!(broker.paste("curl"), format!("curl -d 'hello' {url}"));
    http::post(broker.http(), "/pub?topic=greetings", b"hello").unwrap();

    let tail = format!("{} -n 1", broker.paste(" tail greetings"));
    let read = Command::new("sh").args(["-c", &tail]).output().unwrap();
    assert_eq!(stdout(&read), "hello\n", "{}", stderr(&read));
    assert!(read.status.success());
}

/// The tutorial of three messages, through discovery: a consumer that knows only where to ask.
#[test]
fn what_is_published_is_found_by_asking() {
    let data = data();
    let broker = Broker::start(data.path());
    for body in ["one", "two", "three"] {
        http::post(broker.http(), "/pub?topic=test", body.as_bytes()).unwrap();
    }
    let lookup = broker.row("lookup ").strip_prefix("http://").unwrap().to_owned();
    let asking = format!("--lookupd-http-address={lookup}");
    let lookup: SocketAddr = lookup.parse().unwrap();
    // Told at once; whoever asks a moment too early asks again a minute later.
    assert!(eventually(|| http::get(lookup, "/lookup?topic=test").unwrap().status == 200));
    let read = tool::run("nsq_tail", &["--topic=test", "--channel=c", "-n=3", &asking], b"").unwrap();
    assert_eq!(stdout(&read), "one\ntwo\nthree\n", "{}", stderr(&read));
    let look_up = || -> serde_json::Value {
        serde_json::from_slice(&http::get(lookup, "/lookup?topic=test").unwrap().body).unwrap()
    };
    // The channel is told after the consumer has what it wants.
    assert!(eventually(|| look_up()["channels"] == serde_json::json!(["c"])), "{}", look_up());
    let found = look_up();
    assert_eq!(found["producers"][0]["broadcast_address"], "127.0.0.1");

    let page: SocketAddr = broker.row("admin page ").strip_prefix("http://").unwrap().parse().unwrap();
    let shown = http::get(page, "/api/topics/test").unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!((&shown["message_count"], &shown["message"]), (&serde_json::json!(3), &serde_json::json!("")));
    assert_eq!(http::get(page, "/").unwrap().status, 200);

    // A second nsqd, with the row that says where to register.
    let register = broker.row("other nsqd ").strip_prefix("register at ").unwrap();
    let second = Setup::new().unwrap().flag(format!("--lookupd-tcp-address={register}")).start().unwrap();
    http::post(second.http, "/topic/create?topic=elsewhere", b"").unwrap();
    assert!(eventually(|| http::get(lookup, "/lookup?topic=elsewhere").unwrap().status == 200));
}

#[test]
fn others_to_register_with_take_its_place() {
    let data = data();
    let lookupd = Lookupd::start(&[]).unwrap();
    let mut command = sansq();
    command.arg("--data-path").arg(data.path()).args(ANY_PORTS);
    let broker = Broker::start_with(command.arg(format!("--lookupd-tcp-address={}", lookupd.tcp)));
    let other = |line: &String| line.starts_with("  lookup") || line.starts_with("  admin");
    assert!(!broker.shown.iter().any(other), "{:?}", broker.shown);
    http::post(broker.http(), "/topic/create?topic=t", b"").unwrap();
    assert!(eventually(|| !lookupd.producers("t").is_empty()));
}

#[test]
fn messages_outlive_the_broker() {
    let data = data();
    let broker = Broker::start(data.path());
    let published = broker.run("pub", &["kept", "one", "two"]);
    assert_eq!(stdout(&published), "2 messages published to kept\n");
    assert_eq!(broker.stop(), format!("Stopped. Everything is on disk in {}", data.path().display()));

    let broker = Broker::start(data.path());
    assert_eq!(stdout(&broker.run("tail", &["kept", "-n", "2"])), "one\ntwo\n");
}

#[test]
fn lines_become_messages_and_tail_takes_no_more_than_it_prints() {
    const LINES: usize = 5000;
    let data = data();
    let broker = Broker::start(data.path());
    let mut publisher = sansq()
        .args(["pub", "numbers", "--nsqd-tcp-address", broker.tcp()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = (0..LINES).map(|number| format!("{number}\n")).collect();
    // The last line has no end, and one between is empty.
    let lines = lines.trim_end().replacen('\n', "\n\n", 1);
    publisher.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let published = publisher.wait_with_output().unwrap();
    assert_eq!(stdout(&published), "5000 messages published to numbers\n");

    let expected = |range: std::ops::Range<usize>| range.map(|number| format!("{number}\n")).collect::<String>();
    let tail = |count: &str| stdout(&broker.run("tail", &["numbers", "--channel=c", "-n", count]));
    assert_eq!(tail("1"), expected(0..1));
    assert_eq!(tail("2999"), expected(1..3000));
    assert_eq!(tail("2000"), expected(3000..LINES));
    let stats = http::get(broker.http(), "/stats?format=json&topic=numbers").unwrap();
    let stats: serde_json::Value = serde_json::from_slice(&stats.body).unwrap();
    let channel = &stats["topics"][0]["channels"][0];
    let counts = ["depth", "in_flight_count", "requeue_count", "timeout_count"].map(|count| channel[count].clone());
    assert_eq!(counts, [0, 0, 0, 0], "{channel}");
}

#[test]
fn the_data_directory_is_the_users_by_default() {
    let home = data();
    let mut command = sansq();
    command.args(ANY_PORTS).env_remove("XDG_DATA_HOME").env("HOME", home.path());
    let broker = Broker::start_with(&mut command);
    assert_eq!(PathBuf::from(broker.row("data ")), home.path().join(".local/share/sansq"));
    assert!(home.path().join(".local/share/sansq/nsqd.dat").is_file());
}

#[test]
fn what_is_in_the_way_is_said() {
    let (first, second) = (data(), data());
    let broker = Broker::start(first.path());
    let again = |data: &Path, tcp: &str| {
        let output = run(&["--data-path", data.to_str().unwrap(), ANY_PORTS[1], "--tcp-address", tcp]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stdout(&output), "");
        stderr(&output)
    };
    let said = again(second.path(), broker.tcp());
    assert!(said.contains(&format!("cannot listen on {}: something listens there already", broker.tcp())), "{said}");
    let said = again(first.path(), "127.0.0.1:0");
    assert!(said.contains("a broker is running already"), "{said}");
    assert!(said.contains("--data-path"), "{said}");
}

#[test]
fn a_missing_broker_is_said() {
    // The port of tcpmux, which nobody runs any more.
    let address = "127.0.0.1:1";
    for command in [&["pub", "t", "x"][..], &["tail", "t"]] {
        let output = run(&[command, &["--nsqd-tcp-address", address]].concat());
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(said.contains(&format!("no broker answers at {address}")), "{said}");
        assert!(said.contains("Start one"), "{said}");
    }
}

#[test]
fn its_page_looks_into_messages_with_its_own_token() {
    let data = data();
    let token = data.path().join("token");
    std::fs::write(&token, "sesame").unwrap();
    let mut command = sansq();
    command.arg("--data-path").arg(data.path()).args(ANY_PORTS).arg("--auth-http-address=127.0.0.1:1");
    let broker = Broker::start_with(command.arg(format!("--http-token-file={}", token.display())));
    let page: SocketAddr = broker.row("admin page ").strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(http::post(broker.http(), "/pub?topic=t", b"hello").unwrap().status, 200);
    assert_eq!(http::get(broker.http(), "/topic/peek?topic=t").unwrap().status, 401);
    let shown = || http::get(page, "/api/topics/t/peek?limit=5").unwrap().body;
    // Names that a web page made up get nothing out of it.
    let mut stream = std::net::TcpStream::connect(page).unwrap();
    stream.write_all(b"GET /ping HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut refused = String::new();
    stream.read_to_string(&mut refused).unwrap();
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    assert!(eventually(|| String::from_utf8_lossy(&shown()).contains(r#""body":"hello""#)));
}

#[test]
fn the_wrong_port_is_said() {
    let data = data();
    let broker = Broker::start(data.path());
    let output = run(&["pub", "t", "x", "--nsqd-tcp-address", &broker.http().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("it is the port for curl"), "{}", stderr(&output));
}

#[test]
fn ping_tells_whether_a_daemon_is_well() {
    let data = data();
    let broker = Broker::start(data.path());
    let address = broker.http().to_string();
    let well = run(&["ping", &address]);
    assert_eq!((well.status.code(), stdout(&well).as_str()), (Some(0), "OK\n"), "{}", stderr(&well));
    assert!(run(&["ping", &format!("http://{address}/")]).status.success());

    let elsewhere = run(&["ping", &format!("{address}/nowhere")]);
    assert_eq!(elsewhere.status.code(), Some(1));
    assert!(stderr(&elsewhere).contains("answers 404 Not Found"), "{}", stderr(&elsewhere));
    broker.stop();
    let gone = run(&["ping", &address]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).starts_with(&format!("sansq: no answer from http://{address}/ping: ")), "{}", stderr(&gone));
    assert_eq!(run(&["ping", "ftp://queue1"]).status.code(), Some(2));
}

#[test]
fn errors_of_the_broker_are_said() {
    let data = data();
    let mut command = sansq();
    command.arg("--data-path").arg(data.path()).args(ANY_PORTS).arg("--max-msg-size=4");
    let broker = Broker::start_with(&mut command);
    let output = broker.run("pub", &["t", "12345"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("E_BAD_MESSAGE"), "{}", stderr(&output));
}

#[test]
fn misuse_is_said() {
    for (args, said) in [
        (&["tial"][..], "there is no command \"tial\" (did you mean tail?)"),
        (&["tail", "t", "--chanel=c"], "did you mean --channel?"),
        (&["--completions"], "--completions needs a value"),
        (&["--completions", "tcsh"], "it takes bash, zsh or fish"),
        (&["pub"], "pub needs a topic"),
        (&["pub", "t", "-x"], "goes after `--`"),
        (&["pub", "t", ""], "at least one byte"),
        (&["tail", "a/b"], "name is not valid"),
        (&["tail", "t", "u"], "\"u\" is one word too many"),
        (&["tail", "t", "-n", "0"], "1 or more"),
        (&["--tcp-adress", "x"], "did you mean --tcp-address?"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains(said), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn help_leads_on() {
    let page = stdout(&run(&["--help"]));
    for text in ["sansq pub", "sansq tail", "sansq nsqd --help", "A first minute"] {
        assert!(page.contains(text), "{page}");
    }
    assert!(stdout(&run(&["tail", "--help"])).contains("--channel"));
    assert!(stdout(&run(&["pub", "--help"])).contains("MESSAGE"));
    assert!(stdout(&run(&["nsqd", "--help"])).contains("--mem-queue-size"));
    assert!(stdout(&run(&["nsqd", "--version"])).starts_with("nsqd v1.3.0"));
    assert!(stdout(&run(&["nsqlookupd", "--version"])).starts_with("nsqlookupd v1.3.0"));
    assert!(stdout(&run(&["nsqadmin", "--version"])).starts_with("nsqadmin v1.3.0"));
    assert!(stdout(&run(&["--version"])).starts_with("sansq v1.3.0"));
    assert!(stdout(&run(&["--man"])).contains(".TH sansq 1"));
    assert!(stdout(&run(&["--completions", "bash"])).contains("_sansq()"));
}

/// A broker made of bytes: what `tail` sends to stay connected does not wait for 30 seconds.
#[test]
fn tail_answers_heartbeats() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut tail = sansq()
        .args(["tail", "t", "--nsqd-tcp-address", &address])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut received = Vec::new();
    let mut answer = |until: &[u8], frame: &[u8]| {
        while !received.ends_with(until) {
            let mut chunk = [0; 4096];
            let len = socket.read(&mut chunk).unwrap();
            assert!(len > 0, "{}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&chunk[..len]);
        }
        socket.write_all(frame).unwrap();
    };
    let ok = b"\0\0\0\x06\0\0\0\0OK";
    answer(b"}", ok);
    answer(b"#ephemeral\n", ok);
    answer(b"RDY 200\n", b"\0\0\0\x0f\0\0\0\0_heartbeat_");
    answer(b"NOP\n", b"");
    assert!(received.starts_with(b"  V2IDENTIFY\n"));
    let _ = tail.kill();
    tail.wait().unwrap();
}

#[test]
fn each_program_is_installed_and_works_alone() {
    let directory = TempDir::new().unwrap();
    let bin = directory.path().join("bin");
    let output = run(&["install", bin.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    for name in stdout(&output).trim().rsplit_once("to it ").unwrap().1.split(", ") {
        // As somebody does who takes one of them to another machine.
        let alone = directory.path().join(name);
        // Not by this process: another thread's child would inherit the open file, and nothing is executed that is open for writing.
        assert!(Command::new("cp").arg(bin.join(name)).arg(&alone).status().unwrap().success());
        let version = Command::new(&alone).arg("--version").output().unwrap();
        assert!(stdout(&version).starts_with(&format!("{name} ")), "{name}: {version:?}");
        let help = Command::new(bin.join(name)).arg("--help").output().unwrap();
        assert!(help.status.success() && stdout(&help).starts_with(name), "{help:?}");
        assert_eq!(stdout(&help), stdout(&run(&[name, "--help"])));
    }
    let output = run(&["install"]);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(2), "sansq: install needs a directory: sansq install DIRECTORY\n".into())
    );
}
