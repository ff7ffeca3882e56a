//! What runs in a trust domain.

use cocoon_protocol::ImageId;
use dcap_qvl::quote::TDReport10;
use sha2::{Digest, Sha256, Sha384};

/// Domain separation of [`image_id`].
const IMAGE_DOMAIN: &[u8] = b"cocoon-image-v1\0";

/// Everything in a TD report that says what was launched and how, and that the platform measured rather than the guest
/// claimed. All fields are in the byte order of the report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Measurements {
    /// Measurement of the TDX module.
    pub mr_seam: [u8; 48],
    /// Signer of the TDX module; zero for Intel.
    pub mr_signer_seam: [u8; 48],
    /// Attributes of the TDX module.
    pub seam_attributes: [u8; 8],
    /// How the trust domain was launched: see [`TdAttribute`].
    pub td_attributes: [u8; 8],
    /// Processor features that the guest may use.
    pub xfam: [u8; 8],
    /// The initial memory: the firmware.
    pub mr_td: [u8; 48],
    /// Configuration chosen by the host at launch, not by the owner.
    pub mr_config_id: [u8; 48],
    /// Identity of the owner, as the host set it.
    pub mr_owner: [u8; 48],
    /// Configuration of the owner, as the host set it.
    pub mr_owner_config: [u8; 48],
    /// Virtual machine shape (memory, ACPI tables).
    pub rtmr0: [u8; 48],
    /// Kernel.
    pub rtmr1: [u8; 48],
    /// Kernel command line and initial file system.
    pub rtmr2: [u8; 48],
    /// Configuration measured at run time.
    pub rtmr3: [u8; 48],
}

/// Bits of [`Measurements::td_attributes`] that decide whether a trust domain can be trusted at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TdAttribute {
    /// The host can read and change the guest (attack 61).
    Debug,
    /// Accesses to pending pages stop the guest instead of calling its handler; off means the host can confuse it (attack 62).
    SeptVeDisable,
}

impl TdAttribute {
    const fn bit(self) -> u64 {
        match self {
            Self::Debug => 1,
            Self::SeptVeDisable => 1 << 28,
        }
    }
}

impl Measurements {
    /// Measurements of a simulated trust domain that differ for every `image`, with attributes as a sound launch has them.
    pub fn simulated(image: &[u8]) -> Self {
        let part =
            |name: &str| Sha384::new().chain_update(name).chain_update([0]).chain_update(image).finalize().into();
        let mut measurements = Self {
            mr_seam: Sha384::digest(b"simulated TDX module").into(),
            mr_signer_seam: [0; 48],
            seam_attributes: [0; 8],
            td_attributes: [0; 8],
            xfam: [0xe7, 0x02, 0x06, 0, 0, 0, 0, 0],
            mr_td: part("firmware"),
            mr_config_id: [0; 48],
            mr_owner: [0; 48],
            mr_owner_config: [0; 48],
            rtmr0: part("shape"),
            rtmr1: part("kernel"),
            rtmr2: part("command line and initrd"),
            rtmr3: part("configuration"),
        };
        measurements.set(TdAttribute::SeptVeDisable, true);
        measurements
    }

    /// Whether an attribute of the trust domain is set.
    pub fn has(&self, attribute: TdAttribute) -> bool {
        u64::from_le_bytes(self.td_attributes) & attribute.bit() != 0
    }

    /// Sets or clears an attribute; for the simulator.
    pub fn set(&mut self, attribute: TdAttribute, on: bool) {
        let bits = u64::from_le_bytes(self.td_attributes);
        let bits = if on { bits | attribute.bit() } else { bits & !attribute.bit() };
        self.td_attributes = bits.to_le_bytes();
    }
}

impl From<&TDReport10> for Measurements {
    fn from(report: &TDReport10) -> Self {
        Self {
            mr_seam: report.mr_seam,
            mr_signer_seam: report.mr_signer_seam,
            seam_attributes: report.seam_attributes,
            td_attributes: report.td_attributes,
            xfam: report.xfam,
            mr_td: report.mr_td,
            mr_config_id: report.mr_config_id,
            mr_owner: report.mr_owner,
            mr_owner_config: report.mr_owner_config,
            rtmr0: report.rt_mr0,
            rtmr1: report.rt_mr1,
            rtmr2: report.rt_mr2,
            rtmr3: report.rt_mr3,
        }
    }
}

/// The identity under which the registry approves an image.
///
/// SHA-256 over `"cocoon-image-v1\0"` and, in this order and without separators because every length is fixed: MRSEAM (48
/// bytes), MRSIGNERSEAM (48), SEAMATTRIBUTES (8), TDATTRIBUTES (8), XFAM (8), MRTD, MRCONFIGID, MROWNER, MROWNERCONFIG,
/// RTMR0, RTMR1, RTMR2, RTMR3 (48 each). The quote verifier leaves XFAM, MRCONFIGID, MROWNER and the module's measurement
/// unchecked, hence they are in here: a launch that differs in any of them is another image.
pub fn image_id(m: &Measurements) -> ImageId {
    let mut hash = Sha256::new();
    hash.update(IMAGE_DOMAIN);
    hash.update(m.mr_seam);
    hash.update(m.mr_signer_seam);
    for small in [&m.seam_attributes, &m.td_attributes, &m.xfam] {
        hash.update(small);
    }
    for register in [&m.mr_td, &m.mr_config_id, &m.mr_owner, &m.mr_owner_config, &m.rtmr0, &m.rtmr1, &m.rtmr2, &m.rtmr3]
    {
        hash.update(register);
    }
    ImageId(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_measured_field_changes_the_image() {
        let base = Measurements::simulated(b"image");
        let flips: [fn(&mut Measurements); 13] = [
            |m| m.mr_seam[0] ^= 1,
            |m| m.mr_signer_seam[0] ^= 1,
            |m| m.seam_attributes[0] ^= 1,
            |m| m.td_attributes[7] ^= 0x80,
            |m| m.xfam[0] ^= 0x10,
            |m| m.mr_td[47] ^= 1,
            |m| m.mr_config_id[0] ^= 1,
            |m| m.mr_owner[0] ^= 1,
            |m| m.mr_owner_config[0] ^= 1,
            |m| m.rtmr0[0] ^= 1,
            |m| m.rtmr1[0] ^= 1,
            |m| m.rtmr2[0] ^= 1,
            |m| m.rtmr3[0] ^= 1,
        ];
        let ids: BTreeSet<_> = flips
            .iter()
            .map(|flip| {
                let mut changed = base.clone();
                flip(&mut changed);
                image_id(&changed)
            })
            .chain([image_id(&base)])
            .collect();
        assert_eq!(ids.len(), 14);
    }
}
