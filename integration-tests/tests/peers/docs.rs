//! What `docs/proxies.md` shows is what is tested here.

use std::path::Path;

/// Each snippet stands under a link to the file that it is of, word for word.
#[test]
fn what_the_page_shows_is_what_is_tested() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = std::fs::read_to_string(folder.join("proxies.md")).expect("the page");
    let mut shown = Vec::new();
    let (mut file, mut snippet): (Option<&str>, Option<String>) = (None, None);
    for line in page.lines() {
        match (&mut snippet, line.strip_prefix("```")) {
            (Some(text), None) => text.extend([line, "\n"]),
            (Some(text), Some(_)) => {
                if let Some(file) = file.take() {
                    let whole = std::fs::read_to_string(folder.join(file)).expect("a file");
                    assert!(holds(&whole, text), "{file} is not what the page shows:\n{text}");
                    shown.push(file);
                }
                snippet = None;
            }
            (None, Some(_)) => snippet = Some(String::new()),
            (None, None) => {
                let link = line.split_once("](proxies/").and_then(|(_, rest)| rest.split_once(')'));
                if let Some((name, _)) = link {
                    let at = line.find("proxies/").unwrap_or_default();
                    file = Some(&line[at..at + "proxies/".len() + name.len()]);
                }
            }
        }
    }
    let files = std::fs::read_dir(folder.join("proxies")).expect("a folder");
    for file in files {
        let name = file.expect("a file").file_name();
        let name = format!("proxies/{}", name.to_string_lossy());
        assert!(shown.contains(&&*name), "the page doesn't show {name}");
    }
}

/// Whether these lines stand in the text, one after the other, however far they are indented.
fn holds(text: &str, lines: &str) -> bool {
    let trimmed = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let (text, lines) = (trimmed(text), trimmed(lines));
    !lines.is_empty() && text.windows(lines.len()).any(|window| window == lines)
}
