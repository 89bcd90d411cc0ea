//! What `sansq` shows: its help pages, and what it says when the broker runs.

use std::net::SocketAddr;
use std::path::Path;

use super::{own_command, quoted};
use crate::config::NSQ_VERSION;
use crate::daemon::Addresses;
use crate::terminal::Paint;

/// Where the broker listens, and where the small commands look for it, unless told otherwise.
pub(super) const TCP_ADDRESS: &str = "127.0.0.1:4150";
/// Where its HTTP API answers, unless told otherwise.
pub(super) const HTTP_ADDRESS: &str = "127.0.0.1:4151";

pub(super) const HOW_IT_WORKS: &str =
    "  Producers publish messages to a topic. Each channel of the topic gets a copy of every
  message, and hands it to one of its consumers: two programs that both need all messages
  use two channels, two workers that share the work use one. A consumer finishes each
  message (FIN) when it is done; one that is not finished in a minute is delivered again.
  A topic without a channel keeps its messages until the first one comes.
";

/// The words after `sansq`, and what they do.
const COMMANDS: [(&str, &str); 10] = [
    (
        "",
        "Starts nsqd for this machine on ports 4150 (clients) and 4151 (HTTP), nsqlookupd on 4160\nand 4161, ten further, and nsqadmin's pages on 4171. Every flag of nsqd may follow.",
    ),
    ("pub TOPIC [MESSAGE...]", "Publishes each MESSAGE, or each line of standard input."),
    ("tail TOPIC", "Prints messages as they come."),
    ("ping [ADDRESS]", "Asks a daemon whether it is well, for health checks."),
    ("sim", "The simulator: the broker against faults, in virtual time. `sansq sim --help`"),
    ("install DIRECTORY", "Puts nsqd, nsq_tail and NSQ's other programs there: this program, and links to it."),
    ("nsqd [FLAGS...]", "The daemon for servers: nsqd, flag for flag."),
    ("nsqlookupd [FLAGS...]", "The same for nsqlookupd, through which consumers find every nsqd of a cluster."),
    ("nsqadmin [FLAGS...]", "The same for nsqadmin, which shows a cluster in the browser."),
    (
        "nsq_tail, nsq_stat, nsq_to_file, nsq_to_http, nsq_to_nsq, to_nsq [FLAGS...]",
        "NSQ's tools, flag for flag. `sansq nsq_tail --help`",
    ),
];

/// The commands with what they do.
pub(super) fn commands(paint: Paint) -> String {
    let mut text = String::new();
    for (command, does) in COMMANDS {
        text += &format!("  {}\n", paint.flag(format!("sansq {command}").trim_end()));
        for line in does.lines() {
            text += &format!("      {line}\n");
        }
    }
    text
}

/// The page of `sansq --help`.
pub(super) fn help(paint: Paint) -> String {
    let own = own_command();
    let minute = [
        (own.clone(), "in one terminal; then, in another:"),
        (format!("{own} pub greetings hello"), "the topic exists from now on"),
        (format!("{own} tail greetings"), "prints hello, and what comes after it"),
    ];
    let more = [
        ("sansq pub --help, sansq tail --help", "the two commands in full"),
        ("sansq nsqd --help", "every flag: memory and disk, timeouts, limits, durability"),
        ("curl 'http://127.0.0.1:4151/stats'", "topics, channels, consumers, and what waits where"),
        ("http://127.0.0.1:4171", "the same in the browser, live, with what can be done about it"),
        ("curl 'http://127.0.0.1:4161/lookup?topic=greetings'", "which nsqd have a topic"),
        ("sansq nsqd --lookupd-tcp-address 127.0.0.1:4160 ...", "a second nsqd, which consumers find, too"),
        ("sansq --data-path DIR", "keeps messages in DIR"),
        ("source <(sansq --completions bash)", "completes its words with Tab. Also for zsh and fish"),
        (
            "sansq --tcp-address :4150 --http-address :4151",
            "lets other machines in. Whoever reaches the ports may use them",
        ),
    ];
    let mut page = format!("{} - a message queue: the NSQ broker, in one command\n", paint.flag("sansq"));
    page += &format!("\n{}\n", paint.heading("Usage"));
    page += &commands(paint);
    page += &format!("\n{}\n", paint.heading("A first minute"));
    let width = minute.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
    for (command, says) in &minute {
        page += &format!("  {}{:pad$}  {}\n", paint.flag(command), "", paint.dim(says), pad = width - command.len());
    }
    page += &format!("\n{}\n", paint.heading("How it works"));
    page += HOW_IT_WORKS;
    page += &format!("\n{}\n", paint.heading("Where to go on"));
    for (command, says) in more {
        page += &format!("  {}\n      {says}\n", paint.flag(command));
    }
    page
}

/// The page of `sansq pub --help`.
pub(super) fn pub_help() -> String {
    format!(
        "\
sansq pub TOPIC [MESSAGE...] [--nsqd-tcp-address HOST:PORT]

Publishes each MESSAGE to TOPIC; without any, each line of standard input, in batches.
Empty lines are left out. A message that begins with a dash goes after `--`.
When it says that messages are published, the broker has them.

  --nsqd-tcp-address HOST:PORT   the broker, or the path of its Unix socket (default {TCP_ADDRESS})

  sansq pub greetings hello 'good morning'
  seq 1000000 | sansq pub numbers
  sansq pub temperatures -- -5
"
    )
}

/// The page of `sansq tail --help`.
pub(super) fn tail_help() -> String {
    format!(
        "\
sansq tail TOPIC [--channel CHANNEL] [-n COUNT] [--nsqd-tcp-address HOST:PORT]

Prints the messages of TOPIC, each on a line, and finishes them: this channel will not deliver
them again. Other channels of the topic have copies of their own and notice nothing.

  --channel CHANNEL              read through this channel, and share its messages with its other
                                 consumers. Without it, a channel of its own, gone at the end
  -n COUNT                       stop after COUNT messages
  --nsqd-tcp-address HOST:PORT   the broker, or the path of its Unix socket (default {TCP_ADDRESS})

The first channel of a topic gets what was published before it; every later one starts with
the next message. A channel of tail's own is in memory only: what is more than --mem-queue-size
(10000 messages) ahead of tail is dropped. To miss nothing, name a channel.

  sansq tail greetings
  sansq tail numbers --channel=archive -n 1000000 > numbers.txt
"
    )
}

/// The page of `sansq ping --help`.
pub(super) fn ping_help() -> String {
    format!(
        "\
sansq ping [ADDRESS]

Asks a daemon whether it is well: GET /ping. Prints what it says and ends with 0 if it is, and
else with 1; with nsqd, that is when it can write its files. It waits 5 seconds at most.

  ADDRESS   HOST:PORT or a URL of nsqd, nsqlookupd or nsqadmin (default {HTTP_ADDRESS})

  sansq ping
  sansq ping https://queue1:4152
"
    )
}

/// The page of `sansq install --help`.
pub(super) const INSTALL_HELP: &str = "\
sansq install DIRECTORY [--force]

Puts this program into DIRECTORY as sansq, and beside it a link to it for each of NSQ's programs:
nsqd, nsqlookupd, nsqadmin, nsq_tail, nsq_stat, nsq_to_file, nsq_to_http, nsq_to_nsq, to_nsq. Each
does what its name says; a copy of one of them works on its own, too.

  --force   replace programs of these names that are there already

  sudo sansq install /usr/local/bin
";

/// Where the daemons listen.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) nsqd: Addresses,
    pub(super) nsqlookupd: Option<Addresses>,
    /// Where its pages are.
    pub(super) nsqadmin: Option<String>,
}

/// What to say when the daemons listen.
pub(super) fn running(running: &Running, data_path: &Path, paint: Paint) -> String {
    let own = own_command();
    let Running { nsqd: addresses, nsqlookupd, nsqadmin } = running;
    let tcp = reachable(&addresses.tcp);
    let http = addresses.http.as_deref();
    let name = paint.flag("sansq");
    let what = match (nsqlookupd, nsqadmin) {
        (Some(_), Some(_)) => "nsqd, nsqlookupd and nsqadmin",
        (Some(_), None) => "nsqd and nsqlookupd",
        (None, _) => "nsqd",
    };
    let mut page = format!("\n{name} is running: an NSQ broker ({what} {NSQ_VERSION})\n\n");
    let mut row = |name: &str, value: &str| page += &format!("  {name:<12}{value}\n");
    row("clients", &addresses.tcp);
    match http {
        Some(address) if address.parse::<SocketAddr>().is_ok() => row("HTTP", &format!("http://{address}")),
        Some(path) => row("HTTP", path),
        None => row("HTTP", "off"),
    }
    let https = addresses.https.as_deref();
    if let Some(address) = https {
        row("HTTPS", &format!("https://{address}"));
    }
    if let Some(Addresses { tcp, http: Some(http), .. }) = nsqlookupd {
        row("lookup", &format!("http://{http}"));
        row("other nsqd", &format!("register at {tcp}"));
    }
    if let Some(address) = nsqadmin {
        row("admin page", &format!("http://{}", reachable(address)));
    }
    row("data", &data_path.display().to_string());
    let lookup = nsqlookupd.iter().flat_map(|found| [Some(found.tcp.as_str()), found.http.as_deref()]);
    let listening = [Some(addresses.tcp.as_str()), http, https, nsqadmin.as_deref()];
    row("open to", open_to(listening.into_iter().chain(lookup).flatten()));

    let at = if tcp == TCP_ADDRESS { String::new() } else { format!(" --nsqd-tcp-address {}", quoted(tcp.as_ref())) };
    let publish = match http.map(|address| (address, address.parse::<SocketAddr>())) {
        Some((address, Ok(_))) => format!("curl -d 'hello' 'http://{}/pub?topic=greetings'", reachable(address)),
        Some((path, Err(_))) => {
            format!("curl --unix-socket {} -d 'hello' 'http://nsqd/pub?topic=greetings'", quoted(path.as_ref()))
        }
        None => format!("{own} pub greetings hello{at}"),
    };
    page += "\nPublish a message and read it, in another terminal:\n\n";
    page += &format!("  {}\n", paint.flag(&publish));
    page += &format!("  {}\n", paint.flag(&format!("{own} tail greetings{at}")));
    let hint = format!("Ctrl-C stops it and keeps all messages. {own} --help leads on.");
    page += &format!("\n{}\n", paint.dim(&hint));
    page
}

/// Who can connect.
fn open_to<'a>(mut addresses: impl Iterator<Item = &'a str>) -> &'static str {
    let inside = |address: &str| address.parse().map_or(true, |address: SocketAddr| address.ip().is_loopback());
    if addresses.all(inside) {
        "this machine only"
    } else {
        "everyone who can reach these addresses: there is no password"
    }
}

/// An address to connect to, for one to listen on.
pub(super) fn reachable(address: &str) -> String {
    match address.parse::<SocketAddr>() {
        Ok(SocketAddr::V4(v4)) if v4.ip().is_unspecified() => format!("127.0.0.1:{}", v4.port()),
        Ok(SocketAddr::V6(v6)) if v6.ip().is_unspecified() => format!("[::1]:{}", v6.port()),
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tcp: &str, http: Option<&str>) -> String {
        let addresses = Addresses { tcp: tcp.to_owned(), http: http.map(str::to_owned), https: None };
        let nsqlookupd =
            Addresses { tcp: "127.0.0.1:4160".to_owned(), http: Some("127.0.0.1:4161".to_owned()), https: None };
        let nsqlookupd = http.is_some().then_some(nsqlookupd);
        let nsqadmin = nsqlookupd.is_some().then(|| "127.0.0.1:4171".to_owned());
        running(&Running { nsqd: addresses, nsqlookupd, nsqadmin }, Path::new("/data"), Paint(false))
    }

    #[test]
    fn the_usual_addresses_need_no_flags() {
        let page = shown("127.0.0.1:4150", Some("127.0.0.1:4151"));
        assert!(page.contains("  curl -d 'hello' 'http://127.0.0.1:4151/pub?topic=greetings'\n"), "{page}");
        assert!(page.contains(" tail greetings\n"), "{page}");
        assert!(page.contains("this machine only"), "{page}");
        assert!(page.contains("  lookup      http://127.0.0.1:4161\n"), "{page}");
        assert!(page.contains("  admin page  http://127.0.0.1:4171\n"), "{page}");
        assert!(!page.contains('\x1b'));
    }

    #[test]
    fn other_addresses_are_in_the_lines_to_paste() {
        let page = shown("0.0.0.0:5150", None);
        assert!(page.contains(" pub greetings hello --nsqd-tcp-address 127.0.0.1:5150\n"), "{page}");
        assert!(page.contains("no password"), "{page}");
        let page = shown("/run/nsqd.sock", Some("[::]:1"));
        assert!(page.contains(" tail greetings --nsqd-tcp-address /run/nsqd.sock\n"), "{page}");
        assert!(page.contains("'http://[::1]:1/pub?topic=greetings'"), "{page}");
    }

    #[test]
    fn help_fits_a_terminal() {
        for page in [help(Paint(false)), pub_help(), tail_help()] {
            // The lines with the program's own path are as long as that is.
            let own = own_command();
            for line in page.lines().filter(|line| !line.contains(&own)) {
                assert!(line.chars().count() <= 100, "{line}");
            }
        }
    }
}
