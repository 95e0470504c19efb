//! The binary; everything it does is in the library.

use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1).collect();
    ExitCode::from(gate::cli::run(args, &mut io::stdout(), &mut io::stderr()))
}
