//! Connections: how they come, and how they end.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::net;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::routes::{Status, router};
use crate::service::StatusAddress;
use crate::service::control::Asker;

/// Connections at once; others wait in the system's queue. A page takes two.
const MOST_CONNECTIONS: usize = 64;
/// How long a client may take to ask, and how long it may be idle.
pub(super) const ASKING: Duration = Duration::from_secs(10);
/// How long a connection lasts at most, also one that is sent news: a page comes back by itself.
const LASTING: Duration = Duration::from_mins(10);
/// The pause before accepting a connection again when the system has refused.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a request's head at most, and of what waits to be written at once.
const BUFFER: usize = 16 << 10;

/// Where clients come from.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(net::TcpListener),
    Unix(unix::UnixListener),
}

/// A socket in the file system, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may have been removed already.
        let _ = fs::remove_file(&self.0);
    }
}

impl Listener {
    pub(super) fn bind(address: &StatusAddress) -> io::Result<(Self, Option<SocketFile>)> {
        match address {
            StatusAddress::Tcp(address) => {
                let listener = net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok((Self::Tcp(listener), None))
            }
            StatusAddress::Unix(path) => {
                remove_stale(path)?;
                let listener = unix::UnixListener::bind(path)?;
                let file = SocketFile(path.clone());
                // Users who are to read it are put into the group of the folder or of the process.
                fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
                listener.set_nonblocking(true)?;
                Ok((Self::Unix(listener), Some(file)))
            }
        }
    }
}

impl Listener {
    /// A URL for a browser, or a path. The system has replaced port 0.
    pub(super) fn address(&self, wanted: &StatusAddress) -> String {
        match self {
            Self::Tcp(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}/"),
                Err(_) => format!("http://{wanted}/"),
            },
            Self::Unix(_) => wanted.to_string(),
        }
    }
}

/// Removes the socket of a server that has ended without doing so.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(there) = fs::symlink_metadata(path) else { return Ok(()) };
    if !there.file_type().is_socket() {
        return Err(io::Error::other("a file is there already, and it is not a socket"));
    }
    match unix::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("another process listens there")),
    }
}

/// Serves all clients, forever.
pub(super) async fn serve(listener: Listener, status: Arc<Status>) -> io::Result<Infallible> {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    match listener {
        Listener::Tcp(listener) => {
            let listener = tokio::net::TcpListener::from_std(listener)?;
            loop {
                let permit = permit(&room).await;
                match listener.accept().await {
                    Ok((stream, _)) => attend(stream, None, Arc::clone(&status), permit),
                    Err(_) => sleep(PAUSE).await,
                }
            }
        }
        Listener::Unix(listener) => {
            let listener = tokio::net::UnixListener::from_std(listener)?;
            loop {
                let permit = permit(&room).await;
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let asker = stream.peer_cred().ok();
                        let asker = asker.map(|asker| Asker { uid: asker.uid(), pid: asker.pid() });
                        attend(stream, asker, Arc::clone(&status), permit);
                    }
                    Err(_) => sleep(PAUSE).await,
                }
            }
        }
    }
}

/// Waits until one more is allowed. The semaphore is never closed, so that will happen.
async fn permit(room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(room).acquire_owned().await.ok()
}

fn attend<S>(
    stream: S,
    asker: Option<Asker>,
    status: Arc<Status>,
    permit: Option<OwnedSemaphorePermit>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router(status, asker));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::spawn(async move {
        // A client that goes away, or sends a bad request, is not our failure.
        let _ = timeout(LASTING, connection).await;
        drop(permit);
    });
}
