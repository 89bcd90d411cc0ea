//! A broker's options as JavaScript gives them: lines `name=value`, names as nsqd's flags, durations in milliseconds.

use std::time::Duration;

use sansq_core::config::{Config, PublishAck};

/// The configuration that `lines` ask for, the rest as nsqd has it.
///
/// # Errors
/// What is wrong with the first line that cannot be taken.
pub(crate) fn parse(lines: &str) -> Result<Config, String> {
    let mut config = Config::default();
    for line in lines.lines() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        set(&mut config, name, value)?;
    }
    Ok(config)
}

fn set(config: &mut Config, name: &str, value: &str) -> Result<(), String> {
    let bad = || format!("option {name}: {value} does not fit");
    let number = || value.parse::<u32>().map_err(|_| bad());
    let size = || number().map(|number| number as usize);
    let duration = || number().map(|ms| Duration::from_millis(u64::from(ms)));
    match name {
        "node-id" => config.node_id = value.parse().ok().filter(|id| *id < 1024).ok_or_else(bad)?,
        "mem-queue-size" => config.mem_queue_size = size()?,
        "msg-timeout" => config.msg_timeout = duration()?,
        "max-msg-timeout" => config.max_msg_timeout = duration()?,
        "max-msg-size" => config.max_msg_size = size()?,
        "max-body-size" => config.max_body_size = size()?,
        "max-req-timeout" => config.max_req_timeout = duration()?,
        "max-heartbeat-interval" => config.max_heartbeat_interval = duration()?,
        "max-rdy-count" => config.max_rdy_count = number()?,
        "max-channel-consumers" => config.max_channel_consumers = size()?,
        "magic-timeout" => config.magic_timeout = duration()?,
        "publish-ack" => {
            config.publish_ack = match value {
                "accepted" => PublishAck::Accepted,
                "written" => PublishAck::Written,
                "synced" => PublishAck::Synced,
                _ => return Err(bad()),
            }
        }
        _ => return Err(format!("there is no option {name}")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_nsqds_flags() {
        let config = parse("msg-timeout=1500\nmem-queue-size=7\npublish-ack=synced").unwrap();
        assert_eq!(config.msg_timeout, Duration::from_millis(1500));
        assert_eq!((config.mem_queue_size, config.publish_ack), (7, PublishAck::Synced));
        assert_eq!(parse("").unwrap().max_rdy_count, 2500);
    }

    #[test]
    fn what_cannot_be_taken_is_named() {
        assert_eq!(parse("msg-timeout=soon").unwrap_err(), "option msg-timeout: soon does not fit");
        assert_eq!(parse("node-id=1024").unwrap_err(), "option node-id: 1024 does not fit");
        assert_eq!(parse("no-such=1").unwrap_err(), "there is no option no-such");
    }
}
