//! `cargo xtask sbom`: what the binary is made of, as CycloneDX 1.6 (ECMA-424) in target/sbom.cdx.json.
//!
//! The same tree gives the same bytes: no time, no random serial number.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use toml::Table;

use crate::generated::target_dir;

const BINARY: &str = "posthorn";

/// # Errors
/// Cargo does not know the dependencies, or the file cannot be written.
pub fn run(root: &Path) -> Result<bool> {
    let path = target_dir(root).join("sbom.cdx.json");
    let mut text = serde_json::to_string_pretty(&of(root)?)?;
    text.push('\n');
    fs::create_dir_all(path.parent().unwrap_or(root))?;
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    println!("{}", path.display());
    Ok(true)
}

fn of(root: &Path) -> Result<Value> {
    let words = ["metadata", "--locked", "--format-version", "1"];
    let output = Command::new("cargo").args(words).current_dir(root).output().context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    document(&serde_json::from_slice(&output.stdout)?, &lock.parse()?)
}

/// From what `cargo metadata` and the lock file say.
fn document(metadata: &Value, lock: &Table) -> Result<Value> {
    let packages = by_id(&metadata["packages"])?;
    let nodes = by_id(&metadata["resolve"]["nodes"])?;
    let members: Vec<&str> = texts(&metadata["workspace_members"]);
    let root = members.into_iter().find(|id| packages.get(id).is_some_and(|package| package["name"] == BINARY));
    let root = root.with_context(|| format!("no member of the workspace is named {BINARY}"))?;
    let hashes = checksums(lock);
    let (mut components, mut graph) = (BTreeMap::new(), BTreeMap::new());
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        let package = packages.get(id).with_context(|| format!("no package {id}"))?;
        let reference = purl(package);
        if graph.contains_key(&reference) {
            continue;
        }
        let needed = normal(nodes.get(id).with_context(|| format!("no dependencies of {id}"))?);
        let needs: BTreeSet<String> = needed.iter().filter_map(|id| packages.get(id).map(|p| purl(p))).collect();
        open.extend(needed);
        components.insert(reference.clone(), component(package, id == root, &hashes));
        graph.insert(reference, needs);
    }
    let main = components.remove(&purl(packages[root]));
    let dependencies: Vec<Value> =
        graph.iter().map(|(reference, needs)| json!({"ref": reference, "dependsOn": needs})).collect();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": main},
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies,
    }))
}

fn by_id(list: &Value) -> Result<BTreeMap<&str, &Value>> {
    let list = list.as_array().context("cargo metadata has no list of packages or of dependencies")?;
    list.iter().map(|item| Ok((item["id"].as_str().context("no id")?, item))).collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The packages that end up in the binary, on whichever platform: neither of tests nor of build scripts alone.
fn normal(node: &Value) -> Vec<&str> {
    let is_normal = |kinds: &Value| kinds.as_array().into_iter().flatten().any(|kind| kind["kind"].is_null());
    let all = node["deps"].as_array().into_iter().flatten();
    all.filter(|dependency| is_normal(&dependency["dep_kinds"])).filter_map(|d| d["pkg"].as_str()).collect()
}

fn purl(package: &Value) -> String {
    let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap_or_default());
    // Of what a version may hold, `+` alone must be encoded.
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// SHA-256 of each package that comes from outside.
fn checksums(lock: &Table) -> BTreeMap<(&str, &str), &str> {
    let packages = lock.get("package").and_then(|list| list.as_array()).into_iter().flatten();
    packages
        .filter_map(|package| {
            let word = |key: &str| package.get(key)?.as_str();
            Some(((word("name")?, word("version")?), word("checksum")?))
        })
        .collect()
}

fn component(package: &Value, is_main: bool, hashes: &BTreeMap<(&str, &str), &str>) -> Value {
    let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap_or_default());
    let reference = purl(package);
    let mut component = json!({
        "type": if is_main { "application" } else { "library" },
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
    });
    if let Some(license) = package["license"].as_str() {
        // Older manifests write a slash for what SPDX calls OR.
        component["licenses"] = json!([{"expression": license.replace(" / ", " OR ").replace('/', " OR ")}]);
    }
    if let Some(hash) = hashes.get(&(name, version)) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": hash}]);
    }
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(document: &Value) -> BTreeSet<String> {
        let components = document["components"].as_array().expect("a list");
        components.iter().map(|c| c["purl"].as_str().expect("a purl").to_owned()).collect()
    }

    #[test]
    fn it_names_what_is_in_the_binary_with_licence_and_hash_and_who_needs_what() {
        let normal = json!([{"kind": null}]);
        let metadata = json!({
            "packages": [
                {"id": "p", "name": "posthorn", "version": "0.1.0", "license": "Apache-2.0"},
                {"id": "a", "name": "a", "version": "1.0.0+x", "license": "MIT/Apache-2.0"},
                {"id": "t", "name": "t", "version": "3.0.0", "license": "MIT"},
            ],
            "workspace_members": ["p"],
            "resolve": {"nodes": [
                {"id": "p", "deps": [{"pkg": "a", "dep_kinds": normal}, {"pkg": "t", "dep_kinds": [{"kind": "dev"}]}]},
                {"id": "a", "deps": [{"pkg": "t", "dep_kinds": [{"kind": "build"}]}]},
                {"id": "t", "deps": []},
            ]},
        });
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\nchecksum = \"00ff\"\n".parse().expect("TOML");
        let (a, p) = ("pkg:cargo/a@1.0.0%2Bx", "pkg:cargo/posthorn@0.1.0");
        assert_eq!(
            document(&metadata, &lock).expect("a document"),
            json!({
                "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
                "bomFormat": "CycloneDX",
                "specVersion": "1.6",
                "version": 1,
                "metadata": {"component": {
                    "type": "application", "bom-ref": p, "name": "posthorn", "version": "0.1.0", "purl": p,
                    "licenses": [{"expression": "Apache-2.0"}],
                }},
                "components": [{
                    "type": "library", "bom-ref": a, "name": "a", "version": "1.0.0+x", "purl": a,
                    "licenses": [{"expression": "MIT OR Apache-2.0"}],
                    "hashes": [{"alg": "SHA-256", "content": "00ff"}],
                }],
                "dependencies": [{"ref": a, "dependsOn": []}, {"ref": p, "dependsOn": [a]}],
            })
        );
    }

    /// Another word for the same: `cargo tree` walks the lock file on its own.
    #[test]
    fn every_package_that_the_binary_depends_on_is_in_it() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder");
        let document = of(root).expect("a document");
        let mut tree = Command::new("cargo");
        tree.args(["tree", "--locked", "--package", BINARY, "--edges", "normal", "--target", "all"]);
        let output = tree.args(["--prefix", "none", "--format", "{p}"]).current_dir(root).output().expect("cargo");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let wanted: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.split_once(" v"))
            .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or_default()))
            .filter(|(name, _)| *name != BINARY)
            .map(|(name, version)| purl(&json!({"name": name, "version": version})))
            .collect();
        assert!(wanted.len() > 100, "cargo tree knows {} packages", wanted.len());
        let named = references(&document);
        let missing: Vec<&String> = wanted.difference(&named).collect();
        assert!(missing.is_empty(), "not in it: {missing:?}");
        let components = document["components"].as_array().expect("a list");
        let outside = components.iter().filter(|c| !c["name"].as_str().unwrap_or_default().starts_with("posthorn-"));
        assert!(outside.into_iter().all(|c| c["hashes"].is_array()), "what comes from outside has a hash");
        assert!(components.iter().all(|c| c["licenses"].is_array()), "each has a licence");
    }
}
