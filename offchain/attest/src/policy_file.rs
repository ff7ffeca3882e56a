//! A policy in a file, for people who check evidence without a chain.

use cocoon_protocol::{GlobalId, Hash256, ImageId, Role, UnixSeconds};
use serde::Deserialize;

use crate::collateral::RootHash;
use crate::policy::{ImageWindow, PlatformId, Policy};

/// Largest file that is read.
const MAX_FILE: usize = 1 << 20;

/// A policy file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy file cannot be read: {why}")]
pub struct PolicyFileError {
    /// What is wrong and where.
    pub why: String,
}

impl PolicyFileError {
    fn of(why: impl ToString) -> Self {
        Self { why: why.to_string() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: GlobalId,
    #[serde(default)]
    roots: Vec<String>,
    #[serde(default)]
    images: Vec<Image>,
    #[serde(default)]
    min_tcb_evaluation: u32,
    #[serde(default)]
    banned_platforms: Vec<Hash256>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    role: Role,
    image: ImageId,
    #[serde(default)]
    active_from: Option<UnixSeconds>,
    #[serde(default)]
    sunset: Option<UnixSeconds>,
}

impl Policy {
    /// Reads a policy from JSON:
    ///
    /// ```
    /// let policy = cocoon_attest::Policy::from_json(br#"{
    ///   "network": -3,
    ///   "roots": ["intel"],
    ///   "images": [{
    ///     "role": "worker",
    ///     "image": "2222222222222222222222222222222222222222222222222222222222222222",
    ///     "active_from": 1751328000,
    ///     "sunset": 1767225600
    ///   }],
    ///   "min_tcb_evaluation": 17,
    ///   "banned_platforms": ["3333333333333333333333333333333333333333333333333333333333333333"]
    /// }"#)?;
    /// # assert!(policy.accepts_root(cocoon_attest::RootHash::intel()));
    /// # Ok::<(), cocoon_attest::PolicyFileError>(())
    /// ```
    ///
    /// `network` is TON's global id; on mainnet (-239) and testnet (-3) only Intel's root counts, whatever `roots` says. A root is
    /// `intel` or the SHA-256 of its SubjectPublicKeyInfo. All fields but `network` may be absent and then allow nothing, or in the
    /// case of the minimum and the bans, demand nothing. Unknown fields are refused: a misspelt demand must not be forgotten.
    pub fn from_json(json: &[u8]) -> Result<Self, PolicyFileError> {
        if json.len() > MAX_FILE {
            return Err(PolicyFileError::of(format!("{} bytes, over the limit of {MAX_FILE}", json.len())));
        }
        let file: File = serde_json::from_slice(json).map_err(PolicyFileError::of)?;
        let mut policy = Self::new(file.network);
        for root in &file.roots {
            policy.allow_root(match root.as_str() {
                "intel" => RootHash::intel(),
                hash => RootHash(hash.parse().map_err(|e| PolicyFileError::of(format!("root {root:?}: {e}")))?),
            });
        }
        for Image { role, image, active_from, sunset } in file.images {
            let active_from = active_from.unwrap_or(ImageWindow::ALWAYS.active_from);
            policy.allow_image(role, image, ImageWindow { active_from, sunset });
        }
        policy.require_tcb_evaluation(file.min_tcb_evaluation);
        for platform in file.banned_platforms {
            policy.ban_platform(PlatformId(platform));
        }
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    #[test]
    fn a_file_says_all_that_a_policy_can() {
        let (image, platform, root) = ("22".repeat(32), "33".repeat(32), "44".repeat(32));
        let json = format!(
            r#"{{"network":7,"roots":["intel","{root}"],"images":[{{"role":"worker","image":"{image}","sunset":9}}],
            "min_tcb_evaluation":17,"banned_platforms":["{platform}"]}}"#
        );
        let mut expected = Policy::new(GlobalId(7));
        expected.allow_root(RootHash::intel());
        expected.allow_root(RootHash(root.parse().unwrap()));
        let window = ImageWindow { active_from: UnixSeconds(0), sunset: Some(UnixSeconds(9)) };
        expected.allow_image(Role::Worker, image.parse().unwrap(), window);
        expected.require_tcb_evaluation(17);
        expected.ban_platform(PlatformId(platform.parse().unwrap()));
        assert_eq!(Policy::from_json(json.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn mistakes_are_refused_and_named() {
        for (json, word) in [
            ("{}", "network"),
            ("[]", "struct"),
            (r#"{"network":7,"min_tcb":17}"#, "min_tcb"),
            (r#"{"network":7,"roots":["amd"]}"#, "amd"),
            (r#"{"network":7,"images":[{"role":"boss","image":"00"}]}"#, "boss"),
            (r#"{"network":7,"images":[{"role":"worker","image":"00"}]}"#, "64"),
            (r#"{"network":7,"banned_platforms":["00"]}"#, "64"),
        ] {
            let error = Policy::from_json(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(word), "{json}: {error}");
        }
        assert!(Policy::from_json(&vec![b' '; MAX_FILE + 1]).is_err());
    }
}
