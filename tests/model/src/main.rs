//! The long run: `scripts/fuzz-contracts`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use cocoon_model::channel::{self, ChannelWorld};
use cocoon_model::code::Codes;
use cocoon_model::coverage::{Coverage, Ending};
use cocoon_model::dao::{self, DaoWorld};
use cocoon_model::registry::{self, RegistryWorld};
use cocoon_model::reputation::{self, ReputationWorld};
use cocoon_model::rng::Rng;
use cocoon_model::run::{self, Counterexample, World};

/// Random operations on the contracts, compared with a model of the specification.
#[derive(Parser)]
#[command(name = "fuzz-contracts")]
struct Args {
    /// How many steps, over all worlds.
    #[arg(long, default_value_t = 100_000)]
    steps: u64,
    /// Where to begin.
    #[arg(long, env = "COCOON_FUZZ_SEED", value_parser = number, default_value = "1")]
    seed: u64,
    /// Steps in one run.
    #[arg(long, default_value_t = 250)]
    length: usize,
    /// Only this world.
    #[arg(long)]
    world: Option<String>,
    /// Folder with the compiled contracts; the committed ones by default.
    #[arg(long)]
    artifacts: Option<PathBuf>,
    /// Repeat the run of this seed, and tell what happens.
    #[arg(long, value_parser = number)]
    run: Option<u64>,
    /// With --run: only these steps.
    #[arg(long, value_delimiter = ',', value_parser = hexadecimal)]
    replay: Vec<u64>,
}

fn number(text: &str) -> Result<u64, String> {
    match text.strip_prefix("0x") {
        Some(digits) => hexadecimal(digits),
        None => text.parse().map_err(|e| format!("{e}")),
    }
}

fn hexadecimal(text: &str) -> Result<u64, String> {
    u64::from_str_radix(text, 16).map_err(|e| format!("{e}"))
}

/// The worlds, and what each must have seen after a long run.
const WORLDS: &[WorldUnderTest] = &[
    ("channel", play::<ChannelWorld>, channel::EXPECTED),
    ("dao", play::<DaoWorld>, dao::EXPECTED),
    ("reputation", play::<ReputationWorld>, reputation::EXPECTED),
    ("registry", play::<RegistryWorld>, registry::EXPECTED),
];

type WorldUnderTest = (&'static str, Play, &'static [(&'static str, &'static [Ending])]);

type Play = fn(&Codes, &Args, u64, &mut Coverage) -> Result<(), Box<Counterexample>>;

fn play<W: World>(codes: &Codes, args: &Args, seed: u64, coverage: &mut Coverage) -> Result<(), Box<Counterexample>> {
    if args.run.is_none() {
        return run::search::<W>(codes, seed, args.length, coverage);
    }
    let steps = if args.replay.is_empty() { run::steps_of(seed, args.length) } else { args.replay.clone() };
    let (story, failure) = run::retell::<W>(codes, seed, &steps);
    story.iter().for_each(|line| println!("{line}"));
    match failure {
        None => Ok(()),
        Some(failure) => Err(Box::new(Counterexample {
            world: W::NAME,
            seed,
            found_after: steps.len(),
            steps,
            story: vec![],
            failure,
        })),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let codes = match &args.artifacts {
        Some(folder) => Codes::from_folder(folder),
        None => Codes::committed(),
    };
    let codes = match codes {
        Ok(codes) => codes,
        Err(e) => {
            eprintln!("fuzz-contracts: {e}");
            return ExitCode::from(2);
        }
    };
    let worlds: Vec<_> = WORLDS.iter().filter(|(name, ..)| args.world.as_deref().is_none_or(|w| w == *name)).collect();
    let mut seeds = Rng::new(args.seed);
    let mut coverages = vec![Coverage::default(); worlds.len()];
    let started = Instant::now();
    while coverages.iter().map(|c| c.steps).sum::<u64>() < args.steps && !worlds.is_empty() {
        for ((_, play, _), coverage) in worlds.iter().zip(&mut coverages) {
            let seed = args.run.unwrap_or_else(|| seeds.number());
            if let Err(found) = play(&codes, &args, seed, coverage) {
                println!("{found}");
                println!("found with --seed {} after {} steps in all", args.seed, coverage.steps);
                return ExitCode::FAILURE;
            }
        }
        if args.run.is_some() {
            return ExitCode::SUCCESS;
        }
    }
    report(&args, started.elapsed().as_secs_f64(), &worlds, &coverages)
}

fn report(args: &Args, seconds: f64, worlds: &[&WorldUnderTest], coverages: &[Coverage]) -> ExitCode {
    let mut complete = true;
    let mut total = Coverage::default();
    for ((name, _, expected), coverage) in worlds.iter().zip(coverages) {
        println!("## {name}: {} steps, {} transactions\n", coverage.steps, coverage.transactions);
        println!("| operation | ending | times |\n|---|---|---:|");
        for (operation, ending, times) in coverage.seen() {
            println!("| {operation} | {ending} | {times} |");
        }
        println!();
        for (operation, ending) in coverage.missing(expected) {
            println!("NEVER: {operation} ending with “{ending}”");
            complete = false;
        }
        total.add(coverage);
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = total.steps as f64 / seconds;
    println!(
        "seed {}: {} steps, {} transactions in {seconds:.0} s: {rate:.0} steps/s",
        args.seed, total.steps, total.transactions
    );
    if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
