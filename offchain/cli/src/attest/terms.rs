//! What evidence is held against: policy, collateral and time, each from a file, from the network, or by default.

use std::path::PathBuf;

use anyhow::{Context, Result};
use cocoon_attest::{Collateral, ImageDemand, Policy};
use cocoon_node::RegistryView;
use cocoon_protocol::{GlobalId, Role, UnixSeconds};

use crate::args::entry::RoleArg;
use crate::input;
use crate::network::wall_clock;
use crate::session::Session;

/// Largest collateral and policy files; real ones have some 60 KB.
const MAX_BYTES: u64 = 1 << 20;

/// What evidence is held against.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct TermsArgs {
    /// Collateral of the platform: JSON as PCCS clients write it. Without it, a quote cannot be shown to be genuine.
    #[arg(long, value_name = "FILE")]
    collateral: Option<PathBuf>,
    /// Judge by this time, in Unix seconds. Otherwise by the network's newest block, or by the clock on the wall.
    #[arg(long, value_name = "UNIX")]
    at: Option<u32>,
    /// Policy: a JSON file. Otherwise the network's registry decides; without a network, any genuine platform under Intel's root
    /// will do.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The role for which the policy must approve the image; any, if absent.
    #[arg(long)]
    role: Option<RoleArg>,
}

/// The same, read.
pub(super) struct Terms {
    pub collateral: Option<Collateral>,
    pub policy: Policy,
    /// Where the policy is from, for people.
    pub policy_from: String,
    pub image: ImageDemand,
    pub now: UnixSeconds,
}

impl TermsArgs {
    pub(super) fn role(&self) -> Option<Role> {
        self.role.map(Role::from)
    }

    pub(super) async fn read(&self, session: &mut Session) -> Result<Terms> {
        let collateral = self.collateral.as_ref().map(|path| {
            let json = input::bytes(path, MAX_BYTES)?;
            Collateral::from_json(&json).with_context(|| format!("in {}", path.display()))
        });
        let image = self.role().map_or(ImageDemand::AnyRole, ImageDemand::Role);
        let given = self.at.map(UnixSeconds);
        let (policy, policy_from, image, now) = match &self.policy {
            Some(path) => {
                let policy = Policy::from_json(&input::bytes(path, MAX_BYTES)?);
                let policy = policy.with_context(|| format!("in {}", path.display()))?;
                let now = match given {
                    Some(now) => now,
                    None if session.has_network() => session.system().await?.chain().head().await?.utime,
                    None => wall_clock(),
                };
                (policy, path.display().to_string(), image, now)
            }
            None if session.has_network() => {
                let system = session.system().await?;
                let now = match given {
                    Some(now) => now,
                    None => system.chain().head().await?.utime,
                };
                let network = system.chain().network();
                let view = RegistryView::read(network, &system.registry_state().await?)?;
                (view.policy(now), format!("registry {}", system.registry()), image, now)
            }
            None => {
                let now = given.unwrap_or_else(wall_clock);
                (
                    Policy::new(GlobalId::MAINNET),
                    "none: any platform under Intel's root".to_owned(),
                    ImageDemand::Open,
                    now,
                )
            }
        };
        Ok(Terms { collateral: collateral.transpose()?, policy, policy_from, image, now })
    }
}
