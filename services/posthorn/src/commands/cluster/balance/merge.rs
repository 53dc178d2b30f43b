//! The metrics of all processes as one page: each family once, each sample with the name of its process.

use std::collections::BTreeMap;

/// What a family is, and its samples.
#[derive(Default)]
struct Family {
    about: Vec<String>,
    samples: Vec<String>,
}

/// Pages in the OpenMetrics form, by the name of who they came from.
pub fn merge(pages: &[(String, String)]) -> String {
    let mut families: BTreeMap<&str, Family> = BTreeMap::new();
    for (instance, page) in pages {
        let mut name = "";
        let mut known = false;
        for line in page.lines() {
            if let Some(about) = line.strip_prefix("# ") {
                // `HELP`, `TYPE` or `UNIT`, and the family.
                let Some(of) = about.split(' ').nth(1) else { continue };
                if of != name {
                    (name, known) = (of, families.contains_key(of));
                }
                if !known {
                    families.entry(name).or_default().about.push(line.to_owned());
                }
            } else if !line.is_empty() {
                families.entry(name).or_default().samples.push(labelled(line, instance));
            }
        }
    }
    let mut text = String::new();
    for line in families.values().flat_map(|family| family.about.iter().chain(&family.samples)) {
        text.push_str(line);
        text.push('\n');
    }
    text + "# EOF\n"
}

fn labelled(sample: &str, instance: &str) -> String {
    let end = sample.find(['{', ' ']).unwrap_or(sample.len());
    let (name, rest) = sample.split_at(end);
    match rest.strip_prefix('{') {
        Some(rest) if rest.starts_with('}') => format!("{name}{{instance=\"{instance}\"{rest}"),
        Some(rest) => format!("{name}{{instance=\"{instance}\",{rest}"),
        None => format!("{name}{{instance=\"{instance}\"}}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_of_two_processes_is_told_once_with_the_samples_of_both() {
        let page = |value: u32| {
            format!(
                "# HELP a Things.\n# TYPE a counter\na_total {value}\n# TYPE b histogram\nb_sum{{x=\"y z\"}} 1\nb_count{{x=\"y z\"}} 2\n# EOF\n"
            )
        };
        let merged = merge(&[("p-1".to_owned(), page(1)), ("p-2".to_owned(), page(2))]);
        let expected = [
            "# HELP a Things.",
            "# TYPE a counter",
            "a_total{instance=\"p-1\"} 1",
            "a_total{instance=\"p-2\"} 2",
            "# TYPE b histogram",
            "b_sum{instance=\"p-1\",x=\"y z\"} 1",
            "b_count{instance=\"p-1\",x=\"y z\"} 2",
            "b_sum{instance=\"p-2\",x=\"y z\"} 1",
            "b_count{instance=\"p-2\",x=\"y z\"} 2",
            "# EOF",
        ];
        assert_eq!(merged.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn nothing_is_a_page_too() {
        assert_eq!(merge(&[]), "# EOF\n");
    }
}
