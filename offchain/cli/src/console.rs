//! Progress on standard error: a spinner for people, one line per step with its time either way.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows which step is under way.
pub struct Console {
    bar: ProgressBar,
    started: Instant,
}

impl Console {
    pub fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, started: Instant::now() }
    }

    /// Says what is being done now.
    pub fn say(&self, what: &str) {
        if self.bar.is_hidden() {
            eprintln!("{:7.2} s  {what}", self.started.elapsed().as_secs_f64());
        }
        self.bar.set_message(what.to_owned());
    }

    /// Runs one step; its failure names it.
    pub async fn step<T>(&self, name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let began = Instant::now();
        self.say(name);
        let result = work.await.with_context(|| format!("step \"{name}\" failed"));
        if result.is_ok() && !self.bar.is_hidden() {
            self.bar.println(format!("✓ {name} ({:.2} s)", began.elapsed().as_secs_f64()));
        }
        result
    }

    /// The spinner goes away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
