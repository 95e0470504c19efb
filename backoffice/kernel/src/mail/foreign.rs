//! Texts of others in our mail. A mail speaks in the house's name and may carry a secret: what
//! somebody called their organization brings neither a link nor a place for the secret into it.

#[cfg(test)]
mod tests;

/// Stands where nothing of a name is left.
const NAMELESS: &str = "an organization";
/// What mail programs take for the dot of a domain.
const DOTS: &[char] = &['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// A name on one line, without braces, angle brackets and characters that nobody sees, without words
/// that look like a link, and with a space behind each dot that could stand in a domain.
pub(crate) fn shown(name: &str) -> String {
    // Before anything is looked for, so that taking these out does not put a link together.
    let plain: String = name
        .chars()
        .filter(|c| !is_unseen(*c) && !matches!(c, '{' | '}' | '<' | '>'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<String> = plain.split_whitespace().filter(|w| !is_link(w)).map(apart).collect();
    if words.is_empty() { NAMELESS.to_owned() } else { words.join(" ") }
}

/// Of no width, or turning the direction of what follows.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_link(word: &str) -> bool {
    let www = word.to_lowercase().contains("www.");
    word.contains("://") || www || (word.contains('/') && word.contains(DOTS))
}

fn apart(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for c in word.chars() {
        if c.is_alphanumeric() && text.ends_with(DOTS) {
            text.push(' ');
        }
        text.push(c);
    }
    text
}
