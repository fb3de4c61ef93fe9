//! Serves one boot over a link as the replaced tool does, to be timed beside `bootserver`:
//! `naive-server LINK IMAGE`. Needs root.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::fs::File;
    use std::io::{Seek, SeekFrom, copy};
    use std::path::Path;

    use boot_backends::{OpenOptions, TxPath, open};
    use boot_benches::naive::Naive;
    use boot_benches::naive_server::boot_one;
    use boot_image::Contents;

    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [link, image] = arguments.as_slice() else {
        return Err("usage: naive-server LINK IMAGE".into());
    };
    let contents = Contents::load(Path::new(image))?;
    let mut raw: File = tempfile::tempfile()?;
    copy(&mut contents.held().expect("what is loaded is held"), &mut raw)?;
    raw.seek(SeekFrom::Start(0))?;
    let mut socket = Naive::open(link)?;
    let options = OpenOptions { tx: TxPath::Mmsg, ..OpenOptions::default() };
    let address = open(link, options)?.address();
    socket.listen()?;
    let sent = boot_one(&mut socket, address, &raw, &contents.offer()?)?;
    println!("{sent} DATA frames");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    std::process::exit(1);
}
