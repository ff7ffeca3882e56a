//! The `cocoon` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    cocoon_cli::main()
}
