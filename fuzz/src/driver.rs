//! Runs a target on mutated samples.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use crate::mutate::mutate;
use crate::targets::Target;

/// One input may take so long.
const SLOW: Duration = Duration::from_secs(2);
/// Samples that are kept in memory.
const MOST_SAMPLES: usize = 4096;

/// How long to go on.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// A span of time.
    Elapsed(Duration),
    /// A number of inputs.
    Inputs(u64),
}

/// Something is wrong with the code under test.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What the panic said, or how long it took.
    pub what: String,
    /// With what.
    pub input: Vec<u8>,
}

/// What a run has done.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Inputs that were run.
    pub inputs: u64,
    /// Seconds.
    pub seconds: f64,
    /// Different ways to end.
    pub endings: usize,
    /// Samples that were found, one for each new way to end.
    pub found: Vec<Vec<u8>>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Runs a target once; a panic or a long time is a finding.
pub fn run_one(target: &Target, input: &[u8]) -> Result<String, Finding> {
    let mut begun = Instant::now();
    let mut ended = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    if begun.elapsed() > SLOW {
        // A busy machine may have taken the processor away; not twice for the same input.
        begun = Instant::now();
        ended = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    }
    let finding = |what: String| Finding { what, input: input.to_vec() };
    let ending = ended.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        finding(text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default())
    })?;
    let took = begun.elapsed();
    if took > SLOW { Err(finding(format!("one input took {} s", took.as_secs()))) } else { Ok(ending) }
}

/// What an ending is about: its words without numbers and hashes, which vary without end.
fn shape(ending: &str) -> String {
    let short: String = ending.chars().take(400).collect();
    // What stands in quotation marks is the input itself.
    let own: String = short.split(['`', '"']).step_by(2).collect::<Vec<_>>().join(" ");
    let words = own.split(|c: char| !c.is_ascii_alphanumeric());
    let fixed = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic());
    let told = words.filter(fixed).filter(|word| !word.chars().all(|c| c.is_ascii_hexdigit()));
    told.take(40).collect::<Vec<_>>().join(" ")
}

/// Mutates samples until it is time to stop, or something is found.
pub fn run(target: &Target, samples: Vec<Vec<u8>>, seed: u64, until: Until) -> Outcome {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut outcome = Outcome::default();
    let mut endings = HashSet::new();
    let begun = Instant::now();
    let mut samples = samples;
    for sample in &samples {
        match run_one(target, sample) {
            Ok(ending) => drop(endings.insert(shape(&ending))),
            Err(finding) => outcome.findings.push(finding),
        }
    }
    let go_on = |inputs: u64| match until {
        Until::Elapsed(span) => begun.elapsed() < span,
        Until::Inputs(most) => inputs < most,
    };
    while go_on(outcome.inputs) && outcome.findings.is_empty() {
        let mut pick = || samples.get(rng.gen_range(0..samples.len().max(1))).cloned().unwrap_or_default();
        let (mut input, other) = (pick(), pick());
        mutate(&mut input, &other, &mut rng);
        outcome.inputs += 1;
        match run_one(target, &input) {
            Ok(ending) => {
                if endings.insert(shape(&ending)) {
                    outcome.found.push(input.clone());
                    if samples.len() < MOST_SAMPLES {
                        samples.push(input);
                    }
                }
            }
            Err(finding) => outcome.findings.push(finding),
        }
    }
    outcome.endings = endings.len();
    outcome.seconds = begun.elapsed().as_secs_f64();
    outcome
}

/// Where a target's samples are.
pub fn corpus(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name)
}

/// The target's own samples and those in its folder.
pub fn samples(target: &Target) -> Result<Vec<Vec<u8>>> {
    let mut samples = target.samples();
    let folder = corpus(target);
    if folder.is_dir() {
        let mut paths = vec![];
        for entry in std::fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            paths.push(entry?.path());
        }
        paths.sort();
        for path in paths {
            samples.push(std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?);
        }
    }
    Ok(samples)
}

/// Writes an input under its hash.
pub fn write(folder: &Path, input: &[u8]) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let name: String = hex::encode(Sha256::digest(input)).chars().take(16).collect();
    let path = folder.join(name);
    std::fs::write(&path, input).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
