//! The code for gRPC is what its description says: made once, so that a build needs no compiler of
//! descriptions.

use std::path::Path;

const DESCRIPTION: &str = "shipping/v1/shipping.proto";
const MADE: &str = "src/legs/shipping.v1.rs";

/// To make it anew: `THROUGHLINE_WRITE_PROTO=1 cargo test -p three-services proto`.
#[test]
fn the_code_is_what_its_description_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let set = protox::compile([DESCRIPTION], [here.join("proto")]).expect("a valid description");
    let folder = super::harness::file("proto");
    std::fs::create_dir_all(&folder).expect("a folder");
    tonic_prost_build::configure().out_dir(&folder).compile_fds(set).expect("code");
    let made = std::fs::read_to_string(folder.join("shipping.v1.rs")).expect("one file");
    if std::env::var_os("THROUGHLINE_WRITE_PROTO").is_some() {
        std::fs::write(here.join(MADE), &made).expect("written");
    }
    let kept = std::fs::read_to_string(here.join(MADE)).expect("it is in the tree");
    assert!(kept == made, "{MADE} is not what {DESCRIPTION} says: see this test");
}
