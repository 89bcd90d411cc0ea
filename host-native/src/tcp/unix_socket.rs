//! A Unix socket that is listened on: removed when nobody listens any more, and taken over when its last owner has died.
//!
//! A daemon that is killed leaves the file of its socket, and the next one could not bind it. Whether somebody listens is found
//! out by connecting. What is not a socket is never removed, and neither is a socket that somebody listens on, also if two
//! daemons find a dead one at the same time: it is moved aside, looked at again, and moved back if it turns out to be alive.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

/// Somebody who has just bound a socket listens a moment later, and refuses until then.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// See the [module](self).
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: whoever has put another file there owns that.
    identity: Option<(u64, u64)>,
}

impl UnixSocket {
    /// Listens at `path`, in the place of a socket that nobody listens on.
    ///
    /// # Errors
    /// If somebody listens there, if there is something else than a socket, and as the system says.
    pub(super) async fn bind(path: &Path) -> io::Result<Self> {
        let listener = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                make_room(path).await?;
                tracing::info!("{}: nobody listens on this socket any more, taking its place", path.display());
                UnixListener::bind(path)?
            }
            bound => bound?,
        };
        Ok(Self { listener, path: path.to_owned(), identity: identity(path) })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The socket itself.
    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// The next client.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            // If it cannot be removed, the next daemon takes it over.
            _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Removes the socket at `path`, which is in the way, if nobody listens on it.
async fn make_room(path: &Path) -> io::Result<()> {
    let in_use = |reason: &str| Err(io::Error::new(ErrorKind::AddrInUse, reason));
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return in_use("there is a file which is not a socket"),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    const ALIVE: &str = "another process listens there";
    if !is_dead(path)? {
        return in_use(ALIVE);
    }
    tokio::time::sleep(SECOND_LOOK).await;
    // Short: the path of a socket has at most 107 bytes.
    let aside = path.with_file_name(format!(".{}", std::process::id()));
    match fs::rename(path, &aside) {
        Ok(()) => {}
        // Somebody else has made room.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match is_dead(&aside) {
        Ok(true) => fs::remove_file(&aside),
        // Between the two looks another daemon has taken its place.
        Ok(false) => fs::rename(&aside, path).and_then(|()| in_use(ALIVE)),
        Err(error) => fs::rename(&aside, path).and(Err(error)),
    }
}

/// Whether nobody listens on the socket at `path`. Does not wait for one that has no time to accept.
fn is_dead(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(false),
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => Ok(true),
            // So many want to connect that there is no room for another.
            ErrorKind::WouldBlock => Ok(false),
            kind => {
                Err(io::Error::new(kind, format!("cannot find out whether another process listens there: {error}")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net;

    use tempfile::TempDir;

    use super::*;

    fn directory() -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        (directory, path)
    }

    #[tokio::test]
    async fn it_goes_with_its_listener() {
        let (_directory, path) = directory();
        let socket = UnixSocket::bind(&path).await.unwrap();
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn one_that_nobody_listens_on_is_taken_over() {
        let (directory, path) = directory();
        drop(net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead socket stays");
        let _socket = UnixSocket::bind(&path).await.unwrap();
        assert!(UnixStream::connect(&path).await.is_ok());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[tokio::test]
    async fn one_that_somebody_listens_on_is_left_alone() {
        let (directory, path) = directory();
        let theirs = UnixSocket::bind(&path).await.unwrap();
        let error = UnixSocket::bind(&path).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::AddrInUse, "another process listens there"));
        assert!(UnixStream::connect(&path).await.is_ok());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        drop(theirs);
    }

    #[tokio::test]
    async fn one_whose_owner_has_no_time_to_accept_is_left_alone() {
        let (_directory, path) = directory();
        let theirs = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        theirs.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        theirs.listen(0).unwrap();
        let waiting = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        waiting.connect(&SockAddr::unix(&path).unwrap()).unwrap();
        assert!(!is_dead(&path).unwrap());
        assert_eq!(UnixSocket::bind(&path).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn what_is_not_a_socket_is_never_removed() {
        let (directory, path) = directory();
        fs::write(&path, "precious").unwrap();
        let error = UnixSocket::bind(&path).await.unwrap_err();
        assert_eq!(error.to_string(), "there is a file which is not a socket");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(UnixSocket::bind(&link).await.is_err() && link.is_symlink());
    }

    #[tokio::test]
    async fn what_somebody_else_has_put_there_stays() {
        let (_directory, path) = directory();
        let socket = UnixSocket::bind(&path).await.unwrap();
        fs::remove_file(&path).unwrap();
        let _theirs = net::UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    /// Both find it dead at the same time: one gets it, the other is told.
    #[tokio::test]
    async fn of_two_that_take_over_one_wins() {
        let (directory, path) = directory();
        drop(net::UnixListener::bind(&path).unwrap());
        let (one, other) = tokio::join!(UnixSocket::bind(&path), UnixSocket::bind(&path));
        assert_eq!([&one, &other].map(Result::is_ok).iter().filter(|&&won| won).count(), 1, "{one:?} {other:?}");
        assert!(UnixStream::connect(&path).await.is_ok());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
