//! Streams by address, for code that connects by itself.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::stage::Stage;
use super::stream::{End, SharedWorld};

struct Door {
    world: SharedWorld,
    callers: mpsc::UnboundedSender<End>,
}

static DOORS: Mutex<BTreeMap<String, Door>> = Mutex::new(BTreeMap::new());

/// Begins the addresses of scenes.
const SCHEME: &str = "scripted-";

/// An address at which streams of a scene can be had, as long as this lives.
pub(crate) struct Listening {
    address: String,
    callers: mpsc::UnboundedReceiver<End>,
}

impl Listening {
    /// A new address, as a client of a daemon names it.
    pub(crate) fn new(stage: &mut Stage) -> Self {
        static NEXT: Mutex<u64> = Mutex::new(0);
        let number = {
            let mut next = NEXT.lock();
            *next += 1;
            *next
        };
        // Of one length, so that what is said of it is too.
        let address = format!("{SCHEME}{number:012}:1");
        let (sender, callers) = mpsc::unbounded_channel();
        DOORS.lock().insert(address.clone(), Door { world: stage.world(), callers: sender });
        Self { address, callers }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The next who connects.
    pub(crate) async fn accept(&mut self) -> End {
        self.callers.recv().await.expect("the door has the sender")
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        DOORS.lock().remove(&self.address);
    }
}

/// A stream to `address`, if it is one of a scene.
pub(crate) fn dial(address: &str) -> Option<io::Result<End>> {
    address.starts_with(SCHEME).then(|| {
        let doors = DOORS.lock();
        let door = doors.get(address).ok_or(ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = End::pair(&door.world, false);
        door.callers.send(theirs).map_err(|_| ErrorKind::ConnectionRefused)?;
        Ok(ours)
    })
}
