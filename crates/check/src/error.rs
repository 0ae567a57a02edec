use std::io;
use std::path::PathBuf;

/// Why it cannot be told whether anything is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "there is no Cargo.lock in {} or above it: run `cargo generate-lockfile`, or give its path",
        from.display()
    )]
    NoLock { from: PathBuf },
    #[error("{} can't be read: {cause}", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("{} can't be written: {cause}", path.display())]
    Write { path: PathBuf, cause: io::Error },
    #[error("{} is not a lock file: {why}; give the path of a Cargo.lock", path.display())]
    NotALock { path: PathBuf, why: String },
    #[error(
        "{} is not a baseline: {why}; delete it, and write it anew with --write-baseline",
        path.display()
    )]
    NotABaseline { path: PathBuf, why: String },
    #[error("there is no baseline {}: write it with --write-baseline", path.display())]
    NoBaseline { path: PathBuf },
    #[error(
        "clippy has no list of raw ways out, and would find none: {why}; put the list into the \
         clippy.toml beside the workspace's Cargo.toml, as \
         https://github.com/throughline-rs/throughline/blob/main/docs/lint.md says, or name the \
         folder that has it in CLIPPY_CONF_DIR"
    )]
    NoList { why: String },
    #[error(
        "nothing is counted in {}: {why}, and clippy merges none; put the list of the workspace \
         there too, or, where nothing is to be counted, `disallowed-methods = []`",
        member.display()
    )]
    NotListed { member: PathBuf, why: String },
    #[error("{} is no configuration of clippy's: {why}; mend it", path.display())]
    NotAConf { path: PathBuf, why: String },
    #[error(
        "clippy.toml can't be looked for in {}: {cause}; if CLIPPY_CONF_DIR names it, name a folder \
         that is there, seen from the root of the workspace",
        path.display()
    )]
    ConfDir { path: PathBuf, cause: io::Error },
    #[error(
        "`cargo metadata` doesn't tell what the workspace is: {why}; go to its folder, or give \
         `-- --manifest-path <PATH>`"
    )]
    NoWorkspace { why: String },
    #[error("cargo can't be run: {0}; is it in the PATH?")]
    Cargo(io::Error),
    #[error("clippy's messages can't be read: {0}")]
    Messages(io::Error),
    #[error(
        "line {line} is no message of cargo's: {cause}; give `cargo clippy --message-format=json` \
         as input"
    )]
    NotAMessage { line: usize, cause: serde_json::Error },
    #[error(
        "the messages stop before the end of the build: give all that `cargo clippy \
         --message-format=json` prints, and see what it says on standard error"
    )]
    Unfinished,
    #[error(
        "clippy didn't get through, so a count would be too low: {0}; mend that first, or, where \
         it's a lint that is denied, run clippy with `-- --cap-lints=warn`"
    )]
    Failed(String),
    #[error("what was found can't be printed: {0}")]
    Json(serde_json::Error),
    #[error("the baseline can't be printed: {0}")]
    Toml(toml::ser::Error),
}
