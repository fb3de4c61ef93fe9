//! Tracks how fast this project is: measures what matters beside its peers and floors, all by
//! turns, and keeps a history of it. `benches/README.md` says how to use it.

#[cfg(target_os = "linux")]
mod cli;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    cli::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("track: what it measures is Linux's");
    std::process::ExitCode::FAILURE
}
