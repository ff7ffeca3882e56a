//! Contract states before and after, field by field.

use cocoon_actions::state::{Field, fields};
use cocoon_chain::NetworkConfig;

use crate::{Effect, SimulateError};

/// A field that changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its name, such as `lots.0.amount`.
    pub field: String,
    /// Its value now; none if it is not there.
    pub before: Option<String>,
    /// Its value then; none if it goes.
    pub after: Option<String>,
}

/// What changes in an account's state, in the order of its fields. Empty for accounts that are none of the project's contracts.
pub fn changes(effect: &Effect, config: &NetworkConfig) -> Result<Vec<Change>, SimulateError> {
    let read = |account| fields(account, config).map_err(Box::new);
    Ok(compare(&read(&effect.before)?, &read(&effect.after)?))
}

fn compare(before: &[Field], after: &[Field]) -> Vec<Change> {
    let find = |fields: &[Field], name: &str| fields.iter().find(|f| f.name == name).map(|f| f.value.clone());
    let gone = before.iter().filter(|old| after.iter().all(|new| new.name != old.name));
    let gone = gone.map(|old| Change { field: old.name.clone(), before: Some(old.value.clone()), after: None });
    let rest = after.iter().filter_map(|new| {
        let old = find(before, &new.name);
        let change = Change { field: new.name.clone(), before: old, after: Some(new.value.clone()) };
        (change.before != change.after).then_some(change)
    });
    rest.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;

    fn field(name: &str, value: &str) -> Field {
        Field { name: name.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn what_stays_is_not_shown_and_what_comes_or_goes_is() {
        let before = [field("same", "1"), field("grows", "1"), field("goes", "x")];
        let after = [field("same", "1"), field("grows", "2"), field("comes", "y")];
        let found: Vec<_> = compare(&before, &after).into_iter().map(|c| (c.field, c.before, c.after)).collect();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("grows".to_owned(), some("1"), some("2")),
                ("comes".to_owned(), None, some("y")),
                ("goes".to_owned(), some("x"), None),
            ]
        );
    }
}
