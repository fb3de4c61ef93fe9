//! An S3 server, of the package `s3s-fs`.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::SOON;
use crate::tool::Desk;

/// In a namespace of its own, every port is free.
const ADDRESS: &str = "127.0.0.1:8014";
pub(crate) const LOGIN: [(&str, &str); 3] = [
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:8014"),
    ("AWS_ACCESS_KEY_ID", "who"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
];

/// An S3 server with the bucket `images`.
pub(crate) struct Store(Child);

impl Store {
    pub(crate) fn start(desk: &Desk) -> Self {
        fs::create_dir_all(desk.path("store/images")).unwrap();
        let login = ["--access-key", "who", "--secret-key", "secret", "--host", "127.0.0.1"];
        let mut command = Command::new("s3s-fs");
        command.args(login).arg("store").current_dir(desk.path("."));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("s3s-fs (cargo install s3s-fs --features binary): {error}")
        });
        let store = Self(child);
        let until = Instant::now() + SOON;
        while TcpStream::connect(ADDRESS).is_err() {
            assert!(Instant::now() < until, "s3s-fs does not listen");
            sleep(Duration::from_millis(5));
        }
        store
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
