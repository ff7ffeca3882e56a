//! Runs: a list of steps on a fresh world, and the shortest list that still fails.
//!
//! A step is a number. What it does follows from the number and from what the world is at that moment, so that any part of
//! a run is a run, too: that is what makes shrinking work.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::code::Codes;
use crate::coverage::Coverage;
use crate::rng::Rng;

/// Something is not as the model says.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    what: String,
}

impl Failure {
    /// With an explanation.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }

    /// In this situation.
    pub fn in_context(self, context: &str) -> Self {
        Self { what: format!("{context}: {}", self.what) }
    }
}

/// Accounts, people and the model of both.
pub trait World: Sized {
    /// For reports.
    const NAME: &'static str;

    /// A fresh one. The same seed makes the same.
    fn begin(codes: &Codes, seed: u64, story: Story) -> Result<Self, Failure>;

    /// Carries out one step and compares.
    fn step(&mut self, seed: u64, coverage: &mut Coverage) -> Result<(), Failure>;

    /// Everybody leaves: what must hold at any end.
    fn finish(&mut self, coverage: &mut Coverage) -> Result<(), Failure>;

    /// What happened so far, if it was asked for.
    fn story(&self) -> &Story;
}

/// What happens in a run, in words, when somebody wants to read it.
#[derive(Clone, Default, Debug)]
pub struct Story {
    lines: Option<Vec<String>>,
}

impl Story {
    /// One that is written down.
    pub const fn told() -> Self {
        Self { lines: Some(vec![]) }
    }

    /// True if nobody wants to read it.
    pub const fn is_silent(&self) -> bool {
        self.lines.is_none()
    }

    /// Adds a line.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }

    /// All lines.
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

/// The steps of a run.
pub fn steps_of(seed: u64, count: usize) -> Vec<u64> {
    let mut rng = Rng::new(seed);
    (0..count).map(|_| rng.number()).collect()
}

/// A model that panics has a fault of its own: a failure like any other, so that it is cut down and told.
fn guarded(step: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(step)).unwrap_or_else(|_| Err(Failure::new("the model panicked")))
}

/// Carries out a run. A failure tells after how many steps.
pub fn play<W: World>(
    codes: &Codes,
    seed: u64,
    steps: &[u64],
    coverage: &mut Coverage,
) -> Result<(), (usize, Failure)> {
    let mut world = W::begin(codes, seed, Story::default()).map_err(|e| (0, e))?;
    for (i, step) in steps.iter().enumerate() {
        coverage.steps += 1;
        guarded(|| world.step(*step, coverage)).map_err(|e| (i + 1, e))?;
    }
    guarded(|| world.finish(coverage)).map_err(|e| (steps.len(), e))
}

/// A failing run, made as short as possible.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// Which world.
    pub world: &'static str,
    /// The seed of the run.
    pub seed: u64,
    /// Steps until it failed, as it was found.
    pub found_after: usize,
    /// The steps that are left.
    pub steps: Vec<u64>,
    /// What happens in them.
    pub story: Vec<String>,
    /// What is wrong at the end.
    pub failure: Failure,
}

impl std::fmt::Display for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { world, seed, found_after, steps, story, failure } = self;
        writeln!(
            f,
            "world {world}, run seed {seed:#x}: failed after {found_after} steps, {} are enough:",
            steps.len()
        )?;
        for line in story {
            writeln!(f, "  {line}")?;
        }
        writeln!(f, "{failure}")?;
        let steps: Vec<String> = steps.iter().map(|s| format!("{s:x}")).collect();
        write!(
            f,
            "to see it again: scripts/fuzz-contracts --world {world} --run {seed:#x} --replay {}",
            steps.join(",")
        )
    }
}

/// Carries out one run of `count` steps; when it fails, finds the shortest part of it that fails, too.
pub fn search<W: World>(
    codes: &Codes,
    seed: u64,
    count: usize,
    coverage: &mut Coverage,
) -> Result<(), Box<Counterexample>> {
    let steps = steps_of(seed, count);
    match play::<W>(codes, seed, &steps, coverage) {
        Ok(()) => Ok(()),
        Err((after, _)) => Err(Box::new(shrink::<W>(codes, seed, &steps[..after], after))),
    }
}

/// Delta debugging: leaves out ever smaller pieces, as long as the rest still fails.
fn shrink<W: World>(codes: &Codes, seed: u64, steps: &[u64], found_after: usize) -> Counterexample {
    let fails = |steps: &[u64]| match play::<W>(codes, seed, steps, &mut Coverage::default()) {
        Ok(()) => None,
        Err((after, _)) => Some(after),
    };
    let mut steps = steps.to_vec();
    let mut piece = steps.len().div_ceil(2);
    while piece > 0 && !steps.is_empty() {
        let mut from = 0;
        let mut shorter = false;
        while from < steps.len() {
            let mut rest = steps[..from].to_vec();
            rest.extend_from_slice(&steps[(from + piece).min(steps.len())..]);
            if let Some(after) = fails(&rest) {
                rest.truncate(after);
                steps = rest;
                shorter = true;
            } else {
                from += piece;
            }
        }
        if !(piece == 1 && shorter) {
            piece /= 2;
        }
    }
    let (story, failure) = retell::<W>(codes, seed, &steps);
    let failure = failure.unwrap_or_else(|| Failure::new("the run does not fail when it is repeated"));
    Counterexample { world: W::NAME, seed, found_after, steps, story, failure }
}

/// Carries out these steps and writes down what happens.
pub fn retell<W: World>(codes: &Codes, seed: u64, steps: &[u64]) -> (Vec<String>, Option<Failure>) {
    let mut coverage = Coverage::default();
    let mut world = match W::begin(codes, seed, Story::told()) {
        Ok(world) => world,
        Err(failure) => return (vec![], Some(failure)),
    };
    let failure = (|| {
        for step in steps {
            guarded(|| world.step(*step, &mut coverage))?;
        }
        guarded(|| world.finish(&mut coverage))
    })()
    .err();
    (world.story().lines().to_vec(), failure)
}
