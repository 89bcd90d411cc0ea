//! The bytes of publishes, as simulated producers send them.

use super::producer::Batch;

/// Appends the commands that publish `batch`: one PUB or MPUB, or a DPUB for each message.
pub(super) fn put(out: &mut Vec<u8>, topic: &str, first: u64, batch: &Batch) {
    let size = |len: usize| (len as u32).to_be_bytes();
    let numbers = first..first + u64::from(batch.count);
    if !batch.defer.is_zero() {
        for number in numbers {
            out.extend(format!("DPUB {topic} {}\n", batch.defer.as_millis()).as_bytes());
            out.extend(size(batch.body_len()));
            batch.put_body(number, out);
        }
    } else if batch.count == 1 {
        out.extend(format!("PUB {topic}\n").as_bytes());
        out.extend(size(batch.body_len()));
        batch.put_body(first, out);
    } else {
        out.extend(format!("MPUB {topic}\n").as_bytes());
        out.extend(size(4 + batch.count as usize * (4 + batch.body_len())));
        out.extend(batch.count.to_be_bytes());
        for number in numbers {
            out.extend(size(batch.body_len()));
            batch.put_body(number, out);
        }
    }
}
