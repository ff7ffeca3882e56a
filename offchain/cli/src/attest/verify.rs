//! `cocoon attest verify`: a quote in a file.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cocoon_attest::{Demands, appraise_quote};

use super::read_bytes;
use super::terms::TermsArgs;
use super::words::{facts, with_rules};
use crate::exit::Usage;
use crate::report::Report;
use crate::session::Session;

/// Largest quote that is read; real ones have some 5 KB, and buffers 16.
const MAX_QUOTE: u64 = 1 << 16;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct Verify {
    /// The quote, as bytes or hexadecimal digits; zeros after its end are cut off.
    #[arg(long, value_name = "FILE")]
    quote: PathBuf,
    /// The report data that the quote must have: 128 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    report_data: Option<String>,
    #[command(flatten)]
    terms: TermsArgs,
}

impl Verify {
    pub(super) async fn run(&self, session: &mut Session) -> Result<Report> {
        let report_data = self.report_data.as_ref().map(|text| {
            let mut bytes = [0; 64];
            let read = hex::decode_to_slice(text.trim(), &mut bytes);
            read.map_err(|_| Usage("report data have 128 hexadecimal digits".to_owned())).map(|()| bytes)
        });
        let report_data = report_data.transpose()?;
        let quote = read_bytes(&self.quote, MAX_QUOTE)?;
        let terms = self.terms.read(session).await?;
        let demands = Demands { policy: &terms.policy, image: terms.image, report_data, now: terms.now };
        let appraisal = appraise_quote(&quote, terms.collateral.as_ref(), &demands)
            .with_context(|| format!("in {}", self.quote.display()))?;
        let lines: Vec<_> = appraisal.rules.iter().map(Into::into).collect();
        Ok(with_rules("the quote", facts(&appraisal, &terms.policy_from, terms.now), &lines))
    }
}
