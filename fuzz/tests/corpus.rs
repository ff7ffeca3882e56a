//! Each target holds on its samples, on those in its corpus, and on some hundred changes of them.
#![allow(clippy::unwrap_used, clippy::panic)]

use cocoon_fuzz::driver::{Until, run, samples};

#[test]
fn attack_71_no_sample_and_no_small_change_of_one_is_a_finding() {
    for target in cocoon_fuzz::all() {
        let samples = samples(&target).unwrap();
        assert!(!samples.is_empty(), "{} has no samples", target.name);
        let outcome = run(&target, samples, 7, Until::Inputs(300));
        assert!(outcome.findings.is_empty(), "{}: {:?}", target.name, outcome.findings);
        assert!(outcome.endings > 1, "{} always ends in the same way", target.name);
    }
}

#[test]
fn the_samples_themselves_are_accepted() {
    for target in cocoon_fuzz::all() {
        let ended: Vec<_> = target.samples().iter().map(|sample| target.run(sample)).collect();
        let fine = |end: &String| {
            end.contains("accepted") || end.contains("opens") || end.contains("pass") || end.contains("frames")
        };
        assert!(target.name == "evidence" || ended.iter().any(fine), "{}: {ended:?}", target.name);
    }
}
