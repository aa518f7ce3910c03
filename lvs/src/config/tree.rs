//! Statements and blocks, whatever they mean: `KEYWORD WORD… [{ … }]`, with included files in their place.
//!
//! This is also what [`crate::import`] reads: a whole keepalived.conf has the same shape.

use super::Surroundings;
use super::report::{Place, Report};
use super::token::{Token, Word, tokens};
use std::iter::Peekable;
use std::sync::Arc;
use std::vec::IntoIter;

/// Files within files within files.
const DEEPEST: usize = 16;
/// Blocks within blocks: keepalived's own go four deep.
const INNERMOST: usize = 16;

/// One keyword with its arguments and, when braces follow, what is within.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// First word.
    pub keyword: Word,
    /// The other words of the line.
    pub args: Vec<Word>,
    /// What stands in braces.
    pub block: Option<Vec<Self>>,
}

impl Statement {
    /// Where it stands.
    #[must_use]
    pub fn at(&self) -> &Place {
        &self.keyword.at
    }

    /// The keyword's text.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.keyword.text
    }

    /// The texts of the arguments.
    #[must_use]
    pub fn texts(&self) -> Vec<&str> {
        self.args.iter().map(|w| w.text.as_str()).collect()
    }
}

/// Reads a file and all that it includes. What cannot be read goes to `report`, and the rest is still read.
pub fn read(file: &str, around: &dyn Surroundings, report: &mut Report) -> Vec<Statement> {
    let file: Arc<str> = file.into();
    match around.read(&file) {
        Ok(text) => parse(&text, &[file], around, report),
        Err(why) => {
            report.error(&Place { file, line: 1 }, format!("cannot be read: {why}"));
            Vec::new()
        }
    }
}

/// Reads the text of the last file of `chain`, which is included by the one before it, and so on.
fn parse(text: &str, chain: &[Arc<str>], around: &dyn Surroundings, report: &mut Report) -> Vec<Statement> {
    let Some(file) = chain.last() else { return Vec::new() };
    let mut tokens = tokens(file, text, report).into_iter().peekable();
    let mut reader = Reader { around, report, chain, blocks: 0 };
    let mut all = Vec::new();
    loop {
        all.extend(reader.statements(&mut tokens, None));
        // `statements` stops at the end, or at a brace too many.
        let Some(Token::Close(at)) = tokens.next() else { return all };
        reader.report.error(&at, "a } too many: no block is open here");
    }
}

struct Reader<'a> {
    around: &'a dyn Surroundings,
    report: &'a mut Report,
    /// This file, after those that include it.
    chain: &'a [Arc<str>],
    /// How many blocks are open.
    blocks: usize,
}

type Tokens = Peekable<IntoIter<Token>>;

impl Reader<'_> {
    /// Statements up to the closing brace (not taken) or the end. `opened` is where the block began.
    fn statements(&mut self, tokens: &mut Tokens, opened: Option<&Statement>) -> Vec<Statement> {
        let mut all = Vec::new();
        loop {
            match tokens.peek() {
                Some(Token::End) => {
                    tokens.next();
                }
                Some(Token::Close(_)) => return all,
                Some(Token::Open(at)) => {
                    self.report.error(at, "a { without a keyword before it");
                    self.block(tokens, None);
                }
                Some(Token::Word(_)) => all.extend(self.statement(tokens)),
                None => {
                    if let Some(s) = opened {
                        self.report.error(
                            s.at(),
                            format!("the block of {} is not closed: a }} is missing", s.name()),
                        );
                    }
                    return all;
                }
            }
        }
    }

    /// A block with both its braces.
    fn block(&mut self, tokens: &mut Tokens, opened: Option<&Statement>) -> Vec<Statement> {
        if let (Some(Token::Open(at)), true) = (tokens.next(), self.blocks >= INNERMOST) {
            self.report.error(
                &at,
                format!("more than {INNERMOST} blocks within each other: nothing is read from here"),
            );
            tokens.by_ref().for_each(drop);
            return Vec::new();
        }
        self.blocks += 1;
        let within = self.statements(tokens, opened);
        self.blocks -= 1;
        tokens.next();
        within
    }

    /// One statement, or those of the file that it includes.
    fn statement(&mut self, tokens: &mut Tokens) -> Vec<Statement> {
        let mut words = Vec::new();
        while let Some(Token::Word(word)) = tokens.next_if(|t| matches!(t, Token::Word(_))) {
            words.push(word);
        }
        let mut words = words.into_iter();
        let Some(keyword) = words.next() else { return Vec::new() };
        let mut statement = Statement { keyword, args: words.collect(), block: None };
        while tokens.next_if(|t| *t == Token::End).is_some() {}
        if matches!(tokens.peek(), Some(Token::Open(_))) {
            statement.block = Some(self.block(tokens, Some(&statement)));
        }
        match statement.name() {
            "include" | "includer" | "includem" | "includew" | "includeb" | "includea" => {
                self.include(&statement)
            }
            _ => vec![statement],
        }
    }

    /// `include PATTERN`: relative to the file that says so. A pattern with wildcards may match nothing, except for the strict variants.
    fn include(&mut self, s: &Statement) -> Vec<Statement> {
        let [pattern] = s.args.as_slice() else {
            self.report.error(s.at(), format!("{} takes one file name", s.name()));
            return Vec::new();
        };
        if self.chain.len() > DEEPEST {
            self.report.error(s.at(), format!("more than {DEEPEST} files within each other"));
            return Vec::new();
        }
        let path = match s.at().file.rsplit_once('/') {
            Some((dir, _)) if !pattern.text.starts_with('/') => format!("{dir}/{}", pattern.text),
            _ => pattern.text.clone(),
        };
        let wild = path.contains(['*', '?', '[', '{']);
        let files = if wild { self.around.expand(&path) } else { Ok(vec![path.clone()]) };
        let files = files.unwrap_or_else(|why| {
            self.report.error(s.at(), format!("cannot look for {path}: {why}"));
            Vec::new()
        });
        if files.is_empty() && matches!(s.name(), "includem" | "includew" | "includea") {
            self.report.error(s.at(), format!("no file matches {path}"));
        }
        let mut all = Vec::new();
        for file in files {
            let chain: Vec<Arc<str>> = self.chain.iter().cloned().chain([file.as_str().into()]).collect();
            if self.chain.contains(&chain[chain.len() - 1]) {
                self.report.error(s.at(), format!("{file} includes itself: {}", chain.join(" -> ")));
                continue;
            }
            match self.around.read(&file) {
                Ok(text) => all.extend(parse(&text, &chain, self.around, self.report)),
                Err(why) => self.report.error(s.at(), format!("cannot include {file}: {why}")),
            }
        }
        all
    }
}
