//! `cargo run -p cocoon-codegen`: writes the bindings. With `--check`: writes nothing and fails, naming the files, if the
//! committed ones are stale.

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let wrappers = cocoon_codegen::wrappers_dir();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => {
            for path in cocoon_codegen::write(&wrappers)? {
                println!("wrappers/{}", path.display());
            }
            Ok(())
        }
        ["--check"] => {
            let stale = cocoon_codegen::stale(&wrappers)?;
            for path in &stale {
                eprintln!("stale: wrappers/{}", path.display());
            }
            if stale.is_empty() { Ok(()) } else { bail!("run `cargo run -p cocoon-codegen` and commit the result") }
        }
        _ => bail!("usage: cocoon-codegen [--check]"),
    }
}
