//! Generates the Rust bindings of the contracts from the compiler's ABI.
//!
//! Input: `wrappers/artifacts/NAME.abi` and `NAME.code.boc`, written by `scripts/build-contracts`. Output:
//! `wrappers/src/generated/`, one module per contract, committed. A contract written for the tests of this generator
//! lies in `wrappers/codegen/fixtures/`; its bindings go to `wrappers/src/fixture/`.

mod abi;
mod emit;
mod layout;
mod names;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// A folder of artefacts and the folder that its bindings go to, both relative to `wrappers/`.
struct Set {
    artifacts: &'static str,
    output: &'static str,
    about: &'static str,
}

const SETS: [Set; 2] = [
    Set { artifacts: "artifacts", output: "src/generated", about: "Bindings of the contracts, one module for each." },
    Set {
        artifacts: "codegen/fixtures",
        output: "src/fixture",
        about: "Bindings of the contract that tests the generator.",
    },
];

/// The folder `wrappers/` of this checkout.
pub fn wrappers_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// All files to be generated, with their text. Paths are relative to `wrappers/`.
pub fn generate(wrappers: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut files = BTreeMap::new();
    for set in &SETS {
        generate_set(wrappers, set, &mut files).with_context(|| format!("bindings of wrappers/{}", set.artifacts))?;
    }
    Ok(files)
}

/// Files that differ from what [`generate`] gives, are missing, or should not exist. Paths are relative to `wrappers/`.
pub fn stale(wrappers: &Path) -> Result<Vec<PathBuf>> {
    let files = generate(wrappers)?;
    let mut stale: Vec<PathBuf> = files
        .iter()
        .filter(|(path, text)| std::fs::read_to_string(wrappers.join(path)).ok().as_ref() != Some(text))
        .map(|(path, _)| path.clone())
        .collect();
    stale.extend(orphans(wrappers, &files)?);
    Ok(stale)
}

/// Writes all files and removes those of contracts that are gone. Returns what changed, relative to `wrappers/`.
pub fn write(wrappers: &Path) -> Result<Vec<PathBuf>> {
    let files = generate(wrappers)?;
    let changed = stale(wrappers)?;
    for path in &changed {
        let target = wrappers.join(path);
        let result = match files.get(path) {
            Some(text) => std::fs::create_dir_all(target.parent().unwrap_or(wrappers))
                .and_then(|()| std::fs::write(&target, text)),
            None => std::fs::remove_file(&target),
        };
        result.with_context(|| format!("cannot write {}", target.display()))?;
    }
    Ok(changed)
}

fn orphans(wrappers: &Path, files: &BTreeMap<PathBuf, String>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for set in &SETS {
        let Ok(entries) = std::fs::read_dir(wrappers.join(set.output)) else { continue };
        for entry in entries {
            let path = Path::new(set.output).join(entry?.file_name());
            if !files.contains_key(&path) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn generate_set(wrappers: &Path, set: &Set, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    let dir = wrappers.join(set.artifacts);
    let mut modules = String::new();
    let mut list = String::new();
    let mut names: Vec<PathBuf> = std::fs::read_dir(&dir)
        .with_context(|| format!("cannot read {}; run scripts/build-contracts", dir.display()))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    names.retain(|path| path.extension() == Some(OsStr::new("abi")));
    names.sort();
    ensure!(!names.is_empty(), "no .abi files in {}; run scripts/build-contracts", dir.display());

    let abis = names.iter().map(|path| read_abi(path)).collect::<Result<Vec<_>>>()?;
    let shared = emit::shared_names(&abis)?;
    let output = Path::new(set.output);
    if !shared.is_empty() {
        let text = emit::shared(&abis, &shared, &format!("wrappers/{}/*.abi", set.artifacts))?;
        files.insert(output.join("shared.rs"), format_source(wrappers, &text)?);
        modules.push_str("pub mod shared;\n");
    }
    for abi in &abis {
        let boc_path = dir.join(format!("{}.code.boc", abi.name));
        let boc = std::fs::read(&boc_path).with_context(|| format!("cannot read {}", boc_path.display()))?;
        let cell = tycho_types::boc::Boc::decode(&boc)
            .with_context(|| format!("{} is not a bag of cells", boc_path.display()))?;
        let code =
            emit::Code { hash: cell.repr_hash().0, path: format!("../../{}/{}.code.boc", set.artifacts, abi.name) };
        let source = format!("wrappers/{}/{}.abi", set.artifacts, abi.name);
        let module = names::snake(&abi.name);
        let text = emit::contract(abi, &shared, &source, &code)?;
        files.insert(output.join(format!("{module}.rs")), format_source(wrappers, &text)?);
        writeln!(modules, "pub mod {module};")?;
        writeln!(
            list,
            "Contract {{ name: {:?}, code: {module}::code, code_hash: {module}::CODE_HASH, errors: {module}::ERRORS }},",
            abi.name
        )?;
    }
    let visits = modules.replace("pub mod ", "").replace(";\n", "::visit(v);\n");
    let text = format!(
        "{}//! {}\n\n{modules}\n\
         use crate::codec::Contract;\n\n\
         /// All of them, in the order of their names.\n\
         pub const CONTRACTS: &[Contract] = &[\n{list}];\n\n\
         /// Shows every struct to a test.\n\
         #[cfg(test)]\n\
         pub(crate) fn visit(v: &mut impl crate::tests::Visitor) {{\n{visits}}}\n",
        emit::header(&format!("wrappers/{}", set.artifacts)),
        set.about
    );
    files.insert(Path::new(set.output).join("mod.rs"), format_source(wrappers, &text)?);
    Ok(())
}

fn read_abi(path: &Path) -> Result<abi::Abi> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not an ABI", path.display()))
}

/// Runs rustfmt with the workspace's settings, so that `cargo fmt --check` agrees with the output.
fn format_source(wrappers: &Path, source: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config-path"])
        .arg(wrappers.join("../rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run rustfmt; install it with `rustup component add rustfmt`")?;
    let mut stdin = child.stdin.take().context("rustfmt has no standard input")?;
    let input = source.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().context("rustfmt died")?;
    let written = writer.join().map_err(|_| anyhow::anyhow!("the thread that feeds rustfmt died"))?;
    ensure!(
        output.status.success(),
        "the generated code is not valid Rust, which is a fault of the generator:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    written.context("rustfmt did not read its input")?;
    String::from_utf8(output.stdout).context("rustfmt wrote something that is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_bindings_are_fresh() {
        let stale = stale(&wrappers_dir()).unwrap();
        assert!(
            stale.is_empty(),
            "stale, run `cargo run -p cocoon-codegen` and commit:\n{}",
            stale.iter().map(|p| format!("  wrappers/{}\n", p.display())).collect::<String>()
        );
    }
}
