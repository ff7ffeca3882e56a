//! A short run of every world, and proof that a run can fail, shrink and be repeated. `scripts/fuzz-contracts` is the long one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use cocoon_model::channel::{self, ChannelWorld};
use cocoon_model::code::Codes;
use cocoon_model::coverage::{Coverage, Ending};
use cocoon_model::dao::{self, DaoWorld};
use cocoon_model::registry::{self, RegistryWorld};
use cocoon_model::reputation::{self, ReputationWorld};
use cocoon_model::rng::Rng;
use cocoon_model::run::{self, Failure, Story, World};

/// `COCOON_FUZZ_SEED`, or one that was chosen because it reaches everything in few steps.
fn seed() -> u64 {
    std::env::var("COCOON_FUZZ_SEED").map_or(1, |text| text.parse().expect("COCOON_FUZZ_SEED is a number"))
}

/// Plays `steps` steps. So few do not reach everything; what the long run must reach, they have to reach nine tenths of.
fn short_run<W: World>(steps: u64, expected: &[(&'static str, &[Ending])]) {
    let codes = Codes::committed().unwrap();
    let mut coverage = Coverage::default();
    let mut seeds = Rng::new(seed());
    while coverage.steps < steps {
        if let Err(found) = run::search::<W>(&codes, seeds.number(), 250, &mut coverage) {
            panic!("{found}\nfound with COCOON_FUZZ_SEED={}", seed());
        }
    }
    let missing = coverage.missing(expected);
    let wanted: usize = expected.iter().map(|(_, endings)| endings.len()).sum();
    assert!(missing.len() * 10 <= wanted, "of {wanted} endings that matter these never happened: {missing:?}");
}

#[test]
fn channels_do_what_the_specification_says() {
    short_run::<ChannelWorld>(15_000, channel::EXPECTED);
}

#[test]
fn the_dao_does_what_the_specification_says() {
    short_run::<DaoWorld>(7_500, dao::EXPECTED);
}

#[test]
fn records_do_what_the_specification_says() {
    short_run::<ReputationWorld>(6_000, reputation::EXPECTED);
}

#[test]
fn the_registry_does_what_the_specification_says() {
    short_run::<RegistryWorld>(6_500, registry::EXPECTED);
}

/// A world that breaks, or whose model panics, when two certain kinds of step have happened.
struct Fragile<const PANICS: bool>(Vec<u64>, Story);

impl<const PANICS: bool> World for Fragile<PANICS> {
    const NAME: &'static str = "fragile";

    fn begin(_: &Codes, _: u64, story: Story) -> Result<Self, Failure> {
        Ok(Self(vec![], story))
    }

    fn step(&mut self, seed: u64, _: &mut Coverage) -> Result<(), Failure> {
        self.1.tell(|| format!("step {seed:x}"));
        self.0.push(seed % 16);
        let broken = self.0.contains(&3) && self.0.last() == Some(&5);
        assert!(!(broken && PANICS), "a fault of the model");
        if broken { Err(Failure::new("broken")) } else { Ok(()) }
    }

    fn finish(&mut self, _: &mut Coverage) -> Result<(), Failure> {
        Ok(())
    }

    fn story(&self) -> &Story {
        &self.1
    }
}

#[test]
fn a_failing_run_is_cut_down_to_the_steps_that_matter() {
    let codes = Codes::committed().unwrap();
    let found = run::search::<Fragile<false>>(&codes, 7, 500, &mut Coverage::default()).unwrap_err();
    assert_eq!(found.steps.iter().map(|step| step % 16).collect::<Vec<_>>(), [3, 5]);
    assert!(found.to_string().contains("--run 0x7 --replay"), "{found}");
    let (story, failure) = run::retell::<Fragile<false>>(&codes, found.seed, &found.steps);
    assert_eq!((story.len(), failure.unwrap().to_string()), (2, "broken".to_owned()));
}

#[test]
fn a_model_that_panics_is_cut_down_to_the_steps_that_matter() {
    let codes = Codes::committed().unwrap();
    let found = run::search::<Fragile<true>>(&codes, 7, 500, &mut Coverage::default()).unwrap_err();
    assert_eq!((found.steps.len(), found.failure.to_string()), (2, "the model panicked".to_owned()));
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let codes = Codes::committed().unwrap();
    let tell = || run::retell::<ChannelWorld>(&codes, 42, &run::steps_of(42, 100));
    let (story, failure) = tell();
    assert!(failure.is_none() && story.len() > 80, "{story:?}");
    assert_eq!(tell().0, story);
}
