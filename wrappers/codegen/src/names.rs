//! Names of Tact in the manner of Rust.

/// `queryId` → `query_id`, `PayChannel` → `pay_channel`.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|j| chars.get(j));
        let after = chars.get(i + 1);
        let starts_word = c.is_uppercase()
            && before.is_some_and(|b| *b != '_' && (!b.is_uppercase() || after.is_some_and(|a| a.is_lowercase())));
        if starts_word {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}

/// A name that may be used where an identifier is expected.
pub fn ident(name: &str) -> String {
    let name = snake(name);
    match name.as_str() {
        // These cannot even be raw identifiers.
        "self" | "super" | "crate" | "_" => format!("{name}_"),
        "abstract" | "as" | "async" | "await" | "become" | "box" | "break" | "const" | "continue" | "do" | "dyn"
        | "else" | "enum" | "extern" | "false" | "final" | "fn" | "for" | "gen" | "if" | "impl" | "in" | "let"
        | "loop" | "macro" | "match" | "mod" | "move" | "mut" | "override" | "priv" | "pub" | "ref" | "return"
        | "static" | "struct" | "trait" | "true" | "try" | "type" | "typeof" | "unsafe" | "unsized" | "use"
        | "virtual" | "where" | "while" | "yield" => format!("r#{name}"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rust() {
        for (tact, rust) in [
            ("queryId", "query_id"),
            ("PayChannel", "pay_channel"),
            ("type", "r#type"),
            ("self", "self_"),
            ("minTCBNumber", "min_tcb_number"),
            ("TCBPolicy", "tcb_policy"),
            ("snake_case", "snake_case"),
            ("amountX2", "amount_x2"),
            ("x", "x"),
        ] {
            assert_eq!(ident(tact), rust);
        }
    }
}
