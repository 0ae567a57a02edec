//! The page on the law names the versions that the workspace has. Its code is a doctest.
#![allow(clippy::expect_used, reason = "a page that says nothing says so")]

const PAGE: &str = include_str!("../../../docs/the-context-law.md");
const WORKSPACE: &str = include_str!("../../../Cargo.toml");
const CRATE: &str = include_str!("../Cargo.toml");

/// The name that a line of a manifest begins with, and the version it asks for.
fn dependency(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(" = ")?;
    let version = rest.split_once("version = ").map_or(rest, |(_, version)| version);
    Some((name, version.strip_prefix('"')?.split_once('"')?.0))
}

#[test]
fn the_dependencies_are_those_of_the_workspace() {
    let (_, block) = PAGE.split_once("```toml\n").expect("a manifest");
    let (block, _) = block.split_once("```").expect("its end");
    let asked: Vec<_> = block.lines().filter_map(dependency).collect();
    let names: Vec<_> = asked.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["throughline-core", "http", "opentelemetry", "throughline-testing", "tokio"]
    );
    for (name, version) in asked {
        // The workspace lists no crate that only tests depend on.
        let mut known = WORKSPACE.lines().chain(CRATE.lines()).filter_map(dependency);
        let (_, held) = known.find(|(known, _)| *known == name).expect("a dependency");
        assert!(held.starts_with(version), "{name} is {held}, and the page says {version}");
    }
}
