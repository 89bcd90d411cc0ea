//! A client of NSQ for Rust programs, on tokio: [`Consumer`] and [`Producer`].
//!
//! ```no_run
//! use futures::StreamExt as _;
//! use sansq::client::Consumer;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), sansq::client::Error> {
//! let mut messages = Consumer::builder("greetings", "printer").lookupd("127.0.0.1:4161").max_in_flight(100).start()?;
//! while let Some(message) = messages.next().await {
//!     println!("{}", String::from_utf8_lossy(&message.body));
//!     message.finish();
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With a handler, which may fail:
//!
//! ```no_run
//! # use sansq::client::Consumer;
//! # async fn example() -> Result<(), sansq::client::Error> {
//! let consumer = Consumer::builder("greetings", "printer").nsqd("127.0.0.1:4150").max_in_flight(10).connect().await?;
//! consumer
//!     .run(10, async |message| {
//!         let text = std::str::from_utf8(&message.body)?;
//!         println!("{text}");
//!         Ok::<_, std::str::Utf8Error>(())
//!     })
//!     .await;
//! # Ok(())
//! # }
//! ```
//!
//! Publishing:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use sansq::client::Producer;
//! # async fn example() -> Result<(), sansq::client::Error> {
//! let producer = Producer::builder().nsqd("127.0.0.1:4150").start()?;
//! producer.publish("greetings", "hello").await?;
//! producer.multi_publish("greetings", &["hi", "good morning"]).await?;
//! producer.publish_deferred("greetings", "good night", Duration::from_secs(3600)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What a client decides is [`sansq_core::client`], the machines that the simulator runs too; this module has the sockets.
//! It works with any nsqd and nsqlookupd.
//!
//! TLS and compression are options, by go-nsq's names or as fields:
//!
//! ```no_run
//! # use sansq::client::{Options, Producer};
//! # async fn example() -> Result<(), sansq::client::Error> {
//! let mut options = Options::default();
//! options.set("tls_v1", "true")?;
//! options.set("tls_root_ca_file", "/etc/nsq/ca.pem")?;
//! options.client_mut().snappy = true;
//! let producer = Producer::builder().nsqd("broker.example:4150").options(options).connect().await?;
//! # Ok(())
//! # }
//! ```

mod change;
mod consumer;
mod driver;
pub mod http;
pub(crate) mod lookup;
mod options;
mod outbox;
mod producer;
#[cfg(test)]
mod scenes;

pub use consumer::{Consumer, ConsumerBuilder, ConsumerControl, Message};
pub use options::{Options, OptionsError};
pub use producer::{Producer, ProducerBuilder};
pub use sansq_core::client::{ConsumerStats, PublishError};

use thiserror::Error;

use crate::tls::TlsError;

/// Why a client cannot start, or a message is not known to be published.
#[derive(Debug, Error)]
pub enum Error {
    /// Not a valid topic name.
    #[error("invalid topic name: {0:?}")]
    Topic(String),
    /// Not a valid channel name.
    #[error("invalid channel name: {0:?}")]
    Channel(String),
    /// Neither an nsqd nor an nsqlookupd was named.
    #[error("no nsqd and no nsqlookupd to connect to")]
    Nobody,
    /// An option that makes no sense.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// A certificate or a key that cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// The address of an nsqlookupd that makes no sense.
    #[error("nsqlookupd: {0}")]
    Lookupd(String),
    /// An nsqd could not be reached, or refused.
    #[error("error connecting to nsqd {address}: {reason}")]
    Connect {
        /// Which.
        address: String,
        /// Why.
        reason: String,
    },
    /// See there.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// A number that differs from client to client and from run to run.
pub(crate) fn seed() -> u64 {
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id())
}

#[cfg(test)]
mod tests {
    /// The example above is a test; the one in the README is the same.
    #[test]
    fn the_readme_shows_the_example_of_the_docs() {
        let (docs, readme) = (include_str!("mod.rs"), include_str!("../../../README.md"));
        let section = readme.split("## A client in Rust").nth(1).unwrap();
        let example = section.split("```").nth(1).unwrap();
        for line in example.lines().skip(1).filter(|line| !line.is_empty()) {
            assert!(docs.contains(&format!("//! {line}\n")), "{line}");
        }
    }
}
