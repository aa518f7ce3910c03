//! `--usage`: all options in a few lines, as CTDB prints them. Made of the grammar, so that it cannot be out of date.

use clap::{Arg, Command};

/// Where lines end.
const WIDTH: usize = 78;
/// What further lines begin with.
const INDENT: &str = "        ";

/// The usage of a command and all its options.
pub(crate) fn text(command: &Command) -> String {
    let mut lines = vec!["Usage: ctdb".to_owned()];
    let options = command.get_arguments().filter(|a| !a.is_positional()).map(option);
    for word in options.chain(["COMMAND".to_owned(), "[ARGS]".to_owned()]) {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= WIDTH => *line += &format!(" {word}"),
            _ => lines.push(format!("{INDENT}{word}")),
        }
    }
    lines.join("\n") + "\n"
}

/// `[-n|--node=NODES]`.
fn option(arg: &Arg) -> String {
    let short = arg.get_short().map(|c| format!("-{c}"));
    let long = arg.get_long().map(|word| format!("--{word}"));
    let names: Vec<String> = short.into_iter().chain(long).collect();
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.and_then(|names| names.first()).map(|name| format!("={name}"));
    format!("[{}{}]", names.join("|"), value.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_there_and_lines_are_short() {
        let text = text(&crate::cli::command());
        assert!(text.starts_with("Usage: ctdb [-n|--node=NODES] [-Y|--machinereadable] "), "{text}");
        for word in [
            "[-X|",
            "[-x|--separator=CHAR]",
            "[-j|--json]",
            "[-t|--timelimit=SEC]",
            "[--usage]",
            "[-?|--help]",
        ] {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(text.lines().all(|l| l.len() <= WIDTH), "{text}");
        assert!(text.ends_with(" COMMAND [ARGS]\n"), "{text}");
    }
}
