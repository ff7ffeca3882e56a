//! `cocoon-fuzz`: runs one target for a while.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use cocoon_fuzz::driver::{self, Until};

/// Fuzz one target and report what was found.
#[derive(Parser)]
struct Args {
    /// Which; all are listed if it is none of them.
    target: String,
    /// For how many seconds.
    seconds: u64,
    /// Where the chain of random numbers begins.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Keep inputs of up to this many bytes that end in a new way, at most 48, in the target's corpus.
    #[arg(long, value_name = "BYTES")]
    keep: Option<usize>,
}

/// Samples that one run may add to a corpus.
const MOST_KEPT: usize = 48;

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let targets = cocoon_fuzz::all();
    let names: Vec<_> = targets.iter().map(|target| target.name).collect();
    let found = targets.iter().find(|target| target.name == args.target);
    let target =
        found.with_context(|| format!("there is no target {:?}; there are {}", args.target, names.join(", ")))?;
    // Findings are told below; a backtrace for each would drown them.
    std::panic::set_hook(Box::new(|_| ()));
    let outcome =
        driver::run(target, driver::samples(target)?, args.seed, Until::Elapsed(Duration::from_secs(args.seconds)));
    println!(
        "{}: {} inputs in {:.0} s, {:.0} a second; {} ways to end; {} findings",
        target.name,
        outcome.inputs,
        outcome.seconds,
        outcome.inputs as f64 / outcome.seconds.max(f64::EPSILON),
        outcome.endings,
        outcome.findings.len()
    );
    if let Some(most) = args.keep {
        for input in outcome.found.iter().filter(|input| input.len() <= most).take(MOST_KEPT) {
            driver::write(&driver::corpus(target), input)?;
        }
    }
    for finding in &outcome.findings {
        let folder = std::env::current_dir()?.join("findings").join(target.name);
        println!("  {} — input in {}", finding.what, driver::write(&folder, &finding.input)?.display());
    }
    Ok(if outcome.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
