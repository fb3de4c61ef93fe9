//! A web server that answers properly, or plays a trick.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What is done with one request instead of answering it properly.
#[derive(Clone, Debug)]
pub(super) enum Trick {
    /// The connection ends after this many bytes of the body.
    Cut(usize),
    /// The body stalls after this many bytes.
    Stall(usize),
    /// Bytes come one at a time, with a pause after each.
    Drip(Duration),
    /// A body shorter by this many bytes, with a length to match.
    Short(usize),
    /// Another status, with a body.
    Status(&'static str, &'static str),
    /// A redirection to there.
    Redirect(String),
    /// The answer to a request without range and condition.
    Plain,
    /// The part that was asked for, of whatever there is now.
    Unconditional,
}

/// A file on the server.
#[derive(Clone, Debug, Default)]
struct File {
    bytes: Vec<u8>,
    etag: Option<String>,
    tricks: VecDeque<Trick>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<String, File>,
    /// The first line and the headers of each request.
    requests: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Server {
    state: Arc<Mutex<State>>,
    pub(super) address: String,
}

impl Server {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, state) = (stream.unwrap(), Arc::clone(&shared));
                // A client that hangs up has seen enough.
                thread::spawn(move || drop(serve(&stream, &state)));
            }
        });
        Self { state, address }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Serves `bytes` at `path` under an entity tag, or without one.
    pub(super) fn put(&self, path: &str, bytes: &[u8], etag: Option<&str>) {
        let etag = etag.map(|etag| format!("\"{etag}\""));
        let mut state = self.state.lock().unwrap();
        let file = state.files.entry(path.to_owned()).or_default();
        (file.bytes, file.etag) = (bytes.to_vec(), etag);
    }

    pub(super) fn weaken(&self, path: &str) {
        let mut state = self.state.lock().unwrap();
        let etag = &mut state.files.get_mut(path).unwrap().etag;
        *etag = etag.take().map(|etag| format!("W/{etag}"));
    }

    pub(super) fn remove(&self, path: &str) {
        self.state.lock().unwrap().files.remove(path);
    }

    /// Plays these tricks with the next requests for `path`.
    pub(super) fn play(&self, path: &str, tricks: impl IntoIterator<Item = Trick>) {
        self.state.lock().unwrap().files.entry(path.to_owned()).or_default().tricks.extend(tricks);
    }

    /// The requests since the last call.
    pub(super) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    loop {
        let mut request = String::new();
        loop {
            let Some(line) = lines.next() else { return Ok(()) };
            let line = line?;
            if line.is_empty() {
                break;
            }
            request += &line.to_ascii_lowercase();
            request.push('\n');
        }
        let path = request.split(' ').nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default().to_owned();
        let file = {
            let mut state = state.lock().unwrap();
            state.requests.push(request.clone());
            let file = state.files.get_mut(&path);
            file.map(|file| (file.clone(), file.tricks.pop_front()))
        };
        match file {
            None => answer(stream, "404 Not Found", "", b"<html>oh</html>")?,
            Some((file, trick)) => answer_of(stream, &request, &file, trick)?,
        }
    }
}

fn answer_of(
    stream: &TcpStream,
    request: &str,
    file: &File,
    trick: Option<Trick>,
) -> std::io::Result<()> {
    let plain = matches!(trick, Some(Trick::Plain));
    let conditional = !plain && !matches!(trick, Some(Trick::Unconditional));
    let header = |name: &str| {
        let line = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::trim)
    };
    let etag = file.etag.clone().unwrap_or_default();
    let tag = if etag.is_empty() { String::new() } else { format!("ETag: {etag}\r\n") };
    if conditional && header("if-none-match").is_some_and(|known| known == etag) {
        return answer(stream, "304 Not Modified", &tag, b"");
    }
    if conditional && header("if-match").is_some_and(|known| known != etag) {
        return answer(stream, "412 Precondition Failed", "", b"");
    }
    let start = header("range").filter(|_| !plain).map(|range| {
        let start = range.trim_start_matches("bytes=").trim_end_matches('-');
        start.parse::<usize>().unwrap()
    });
    let size = file.bytes.len();
    let (status, range) = match start {
        Some(start) => {
            let range = format!("Content-Range: bytes {start}-{}/{size}\r\n", size - 1);
            ("206 Partial Content", range)
        }
        None => ("200 OK", String::new()),
    };
    let body = &file.bytes[start.unwrap_or(0).min(size)..];
    let headers = format!("{tag}{range}");
    match trick {
        None | Some(Trick::Plain | Trick::Unconditional) => answer(stream, status, &headers, body),
        Some(Trick::Short(by)) => answer(stream, status, &headers, &body[..body.len() - by]),
        Some(Trick::Status(status, body)) => answer(stream, status, "", body.as_bytes()),
        Some(Trick::Redirect(to)) => {
            answer(stream, "302 Found", &format!("Location: {to}\r\n"), b"")
        }
        Some(Trick::Cut(after)) => {
            start_answer(stream, status, &headers, body.len())?;
            let mut stream = stream;
            stream.write_all(&body[..after])?;
            stream.flush()?;
            stream.shutdown(Shutdown::Both)
        }
        Some(Trick::Stall(after)) => {
            start_answer(stream, status, &headers, body.len())?;
            let mut out = stream;
            out.write_all(&body[..after])?;
            // Until the client hangs up.
            let mut rest = BufReader::new(stream).lines();
            rest.next().map_or(Ok(()), |line| line.map(drop))
        }
        Some(Trick::Drip(pause)) => {
            start_answer(stream, status, &headers, body.len())?;
            let mut out = stream;
            for byte in body.chunks(1) {
                out.write_all(byte)?;
                thread::sleep(pause);
            }
            Ok(())
        }
    }
}

fn answer(stream: &TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    start_answer(stream, status, headers, body.len())?;
    let mut stream = stream;
    stream.write_all(body)
}

fn start_answer(
    mut stream: &TcpStream,
    status: &str,
    headers: &str,
    length: usize,
) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n")
}
