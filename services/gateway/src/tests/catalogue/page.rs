//! docs/bad-inputs.md, made from the catalogue.

use std::{fmt::Write, fs, path::PathBuf};

use super::Section;

const HEAD: &str = "# Bad inputs

<!-- Generated from services/gateway/src/tests/catalogue by the gateway's tests. -->

What the server answers to what it should never be sent. A test sends every row to a gateway over the real services,
compares the answer, and after each one finds that new sockets are taken and that somebody else's connection is served.
Codes and close codes are those of [errors.md](errors.md). *taken* means that the input is harmless and is answered
like any other; a status alone, without a code, that no HTTP request could be read; after *error* the connection goes
on.
";

fn page(sections: &[Section]) -> String {
    let mut page = HEAD.to_owned();
    for (title, rows) in sections {
        let _ = write!(page, "\n## {title}\n\n| name | input | answer |\n| --- | --- | --- |\n");
        for row in rows {
            let _ = writeln!(page, "| {} | {} | {} |", row.name, row.input.replace('|', "\\|"), row.expected);
        }
    }
    page
}

/// Goal: the page is what is tested. `POSTHORN_UPDATE=1` writes it.
pub fn check(sections: &[Section]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/bad-inputs.md");
    let page = page(sections);
    if std::env::var_os("POSTHORN_UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/bad-inputs.md is old: run the tests with POSTHORN_UPDATE=1");
}
