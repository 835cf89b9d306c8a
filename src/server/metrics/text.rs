//! Converts OpenMetrics to Prometheus' older text format, for `curl`, `promtool check metrics` and agents
//! without OpenMetrics.
//!
//! Samples are the same in both. In the older format, the description of a counter or an info has the name of
//! its samples, and there are no units and no end mark.

/// The content type of the older format.
pub(super) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Converts an OpenMetrics text to the older format.
pub(super) fn plain(open: &str) -> String {
    let mut plain = String::with_capacity(open.len());
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(comment) = line.strip_prefix("# ") else {
            plain.extend([line, "\n"]);
            continue;
        };
        // A description is the HELP line followed by the TYPE line.
        let Some((name, help)) = comment
            .strip_prefix("HELP ")
            .and_then(|rest| rest.split_once(' '))
        else {
            continue;
        };
        let kind = lines
            .peek()
            .and_then(|line| line.strip_prefix("# TYPE "))
            .and_then(|rest| rest.split_once(' '));
        let (suffix, kind) = match kind.map(|(_, kind)| kind) {
            Some("counter") => ("_total", "counter"),
            Some("info") => ("_info", "gauge"),
            Some("unknown") | None => ("", "untyped"),
            Some(kind) => ("", kind),
        };
        plain.extend([
            "# HELP ",
            name,
            suffix,
            " ",
            help,
            "\n# TYPE ",
            name,
            suffix,
            " ",
            kind,
            "\n",
        ]);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_named_as_their_samples_and_nothing_else_changes() {
        let open = "# HELP a_seconds How long.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds{x=\"# HELP y\"} 1.5\n\
                    # HELP b How often.\n# TYPE b counter\nb_total 2\n# HELP c Which.\n# TYPE c info\nc_info{v=\"1\"} 1\n\
                    # HELP d What.\n# TYPE d unknown\nd 1\n# HELP e Spread.\n# TYPE e histogram\ne_sum 0.0\n# EOF\n";
        let expected = "# HELP a_seconds How long.\n# TYPE a_seconds gauge\na_seconds{x=\"# HELP y\"} 1.5\n\
                        # HELP b_total How often.\n# TYPE b_total counter\nb_total 2\n# HELP c_info Which.\n# TYPE c_info gauge\n\
                        c_info{v=\"1\"} 1\n# HELP d What.\n# TYPE d untyped\nd 1\n# HELP e Spread.\n# TYPE e histogram\ne_sum 0.0\n";
        assert_eq!(plain(open), expected);
    }
}
