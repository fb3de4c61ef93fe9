//! How Cargo called a bench that has a table of its own beside what criterion measures, or has
//! nothing but a table.

/// What the command line of a bench asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// To measure as criterion does: everywhere but where a table's own words are given. It is
    /// also what `cargo test --benches` asks for, which has each function run once.
    pub criterion: bool,
    /// To print the table: not for criterion's options, which a table can't follow.
    pub table: bool,
    /// Words that the table understands, in their order.
    pub words: Vec<String>,
}

impl Called {
    /// What this process was called for; `is_word` says which words the table understands.
    ///
    /// Says on standard error why the table of the bench `name` is left out, where it is.
    pub fn from_env(name: &str, is_word: impl Fn(&str) -> bool) -> Self {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let called = Self::parse(&arguments, is_word);
        if !called.table && arguments.iter().any(|argument| argument == "--bench") {
            eprintln!(
                "{name}: its table is left out, since baselines and filters are criterion's: \
                 `cargo bench --bench {name}` prints it"
            );
        }
        called
    }

    fn parse(arguments: &[String], is_word: impl Fn(&str) -> bool) -> Self {
        let is_bench = arguments.iter().any(|argument| argument == "--bench");
        let words: Vec<_> =
            arguments.iter().filter(|argument| *argument != "--bench").cloned().collect();
        let own = words.iter().all(|word| is_word(word));
        Self {
            criterion: words.is_empty() || !own,
            table: is_bench && own,
            words: if own { words } else { Vec::new() },
        }
    }

    /// The words that are numbers.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        self.words.iter().filter_map(|word| word.parse().ok())
    }
}

/// Whether a word is a number.
pub fn is_number(word: &str) -> bool {
    word.parse::<u64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(line: &str) -> Called {
        let arguments: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Called::parse(&arguments, is_number)
    }

    #[test]
    fn a_bench_by_itself_measures_and_prints() {
        let called = called("--bench");
        assert!(called.criterion && called.table);
    }

    #[test]
    fn numbers_are_for_the_table_only() {
        let called = called("64 10 --bench");
        assert!(!called.criterion && called.table);
        assert_eq!(called.numbers().collect::<Vec<_>>(), [64, 10]);
    }

    #[test]
    fn baselines_and_filters_are_for_criterion_only() {
        for line in ["--save-baseline 1 --bench", "--baseline x --bench", "frame --bench", "--list"]
        {
            let called = called(line);
            assert!(called.criterion && !called.table && called.words.is_empty(), "{line}");
        }
    }

    #[test]
    fn tests_of_benches_print_no_table() {
        assert!(!called("").table);
    }
}
