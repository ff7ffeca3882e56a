//! Rebuilds: who has built an image from its source signs that it is the same.

use cocoon_chain::cell_hash;
use cocoon_protocol::{Hash256, ImageId, NodePublicKey, Role, Signature};
use cocoon_wrappers::generated::registry::{Rebuild, RegistryState};
use tycho_types::cell::HashBytes;

use crate::dao::{Approval, Intent};
use crate::{ActionError, System};

/// First word of what rebuilders sign: ASCII `RBL1`.
const TAG: u32 = 0x5242_4c31;

/// The hash that a rebuilder signs: this source, built by this recipe, gives this image for this role.
pub fn to_sign(
    system: &System,
    image: &ImageId,
    role: Role,
    source_commit: &Hash256,
    recipe: &Hash256,
) -> Result<Hash256, ActionError> {
    let statement = Rebuild {
        tag: TAG,
        global_id: system.chain().network().0,
        registry: system.registry().clone(),
        role: role.code(),
        image: HashBytes(image.0),
        source_commit: HashBytes(source_commit.0),
        recipe_hash: HashBytes(recipe.0),
    };
    Ok(cell_hash(&statement.to_cell()?))
}

/// Makes sure that enough registered rebuilders have signed, before people vote on an approval that would fail.
pub(crate) fn check(system: &System, state: &RegistryState, intent: &Intent) -> Result<(), ActionError> {
    let Intent::Image { id, role, approval, rebuilds } = intent else { return Ok(()) };
    let Approval { source_commit, recipe_hash, .. } = approval;
    let hash = to_sign(system, id, *role, source_commit, recipe_hash)?;
    let mut good = 0;
    for (key, signature) in rebuilds {
        let key = NodePublicKey::from_bytes(&key.0).map_err(|e| ActionError::invalid("rebuilds", e))?;
        if !state.rebuilders.contains_key(&HashBytes(*key.as_bytes())) {
            return Err(ActionError::invalid("rebuilds", format!("{key} is no registered rebuilder")));
        }
        key.verify(&hash, &Signature(*signature)).map_err(|e| {
            ActionError::invalid("rebuilds", format!("{e}; it may be for another role, source or recipe"))
        })?;
        good += 1;
    }
    if good < usize::from(state.rebuild_threshold) {
        let why = format!(
            "{good} of {} rebuilders have signed, and {} must: see cocoon registry sign-rebuild",
            state.rebuilders.len(),
            state.rebuild_threshold
        );
        return Err(ActionError::invalid("rebuilds", why));
    }
    Ok(())
}
