//! What differs is shown: each row of the table has a case.

use std::fs;
use std::path::Path;

use crate::common::DOCUMENTED;

#[test]
fn each_row_of_the_table_has_a_case() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/embedded_sqs");
    let files = fs::read_dir(folder).expect("this folder").map(|file| file.expect("a file").path());
    let cases: String = files.map(|file| fs::read_to_string(file).expect("a file")).collect();
    let rows = DOCUMENTED.lines().filter_map(|line| line.strip_prefix("//! | "));
    let names: Vec<_> = rows.filter_map(|row| row.split(" | ").next()).skip(1).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(cases.contains(&format!("\"{name}\"")), "no case shows `{name}`");
    }
}
