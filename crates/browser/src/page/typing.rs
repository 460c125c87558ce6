//! Which key of a keyboard (a US one) types a character, and what Chromium is told of pressing it.

use crate::view::input::key_event;
use crate::view::message::KeyKind;
use vitrine_cdp::protocol::input::DispatchKeyEvent;

const SHIFT: u8 = 8;
/// Keys of two characters: the plain one and the one with Shift.
const PAIRS: [(&str, char, char); 21] = [
    ("Backquote", '`', '~'),
    ("Digit1", '1', '!'),
    ("Digit2", '2', '@'),
    ("Digit3", '3', '#'),
    ("Digit4", '4', '$'),
    ("Digit5", '5', '%'),
    ("Digit6", '6', '^'),
    ("Digit7", '7', '&'),
    ("Digit8", '8', '*'),
    ("Digit9", '9', '('),
    ("Digit0", '0', ')'),
    ("Minus", '-', '_'),
    ("Equal", '=', '+'),
    ("BracketLeft", '[', '{'),
    ("BracketRight", ']', '}'),
    ("Backslash", '\\', '|'),
    ("Semicolon", ';', ':'),
    ("Quote", '\'', '"'),
    ("Comma", ',', '<'),
    ("Period", '.', '>'),
    ("Slash", '/', '?'),
];

/// One press: what the key is called, where it is, what it types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    name: Name,
    types: bool,
    code: Name,
    shift: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Known(&'static str),
    Letter(char),
}

pub(super) const ENTER: Key = named("Enter", "Enter");
pub(super) const DELETE: Key = named("Delete", "Delete");
const TAB: Key = named("Tab", "Tab");

const fn named(key: &'static str, code: &'static str) -> Key {
    Key { name: Name::Known(key), types: false, code: Name::Known(code), shift: false }
}

/// The key for a character; none when there is none.
pub(super) fn key_of(char: char) -> Option<Key> {
    let typed = |code, shift| Key { name: Name::Letter(char), types: true, code, shift };
    match char {
        '\n' | '\r' => Some(ENTER),
        '\t' => Some(TAB),
        ' ' => Some(typed(Name::Known("Space"), false)),
        'a'..='z' | 'A'..='Z' => Some(typed(Name::Letter(char.to_ascii_uppercase()), char.is_ascii_uppercase())),
        _ => PAIRS.iter().find_map(|(code, plain, shifted)| {
            (char == *plain || char == *shifted).then(|| typed(Name::Known(code), char == *shifted))
        }),
    }
}

/// Down and up.
pub(super) fn strokes(key: Key) -> [DispatchKeyEvent; 2] {
    let name = match key.name {
        Name::Known(name) => name.to_owned(),
        Name::Letter(char) => char.to_string(),
    };
    let code = match key.code {
        Name::Known(code) => code.to_owned(),
        Name::Letter(char) => format!("Key{char}"),
    };
    let modifiers = if key.shift { SHIFT } else { 0 };
    let text = key.types.then(|| name.clone());
    [
        key_event(KeyKind::Down, name.clone(), code.clone(), 0, modifiers, false, text),
        key_event(KeyKind::Up, name, code, 0, modifiers, false, None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_us_keyboard_types_has_a_key() {
        for char in ' '..='~' {
            let [down, _] = strokes(key_of(char).expect("a key"));
            assert_eq!(down.text, Some(char.to_string()));
            assert_ne!(down.windows_virtual_key_code, Some(0), "{char}");
        }
        assert_eq!(strokes(key_of('A').expect("a key"))[0].modifiers, Some(i64::from(SHIFT)));
        assert_eq!(strokes(key_of('!').expect("a key"))[0].code.as_deref(), Some("Digit1"));
        assert_eq!(strokes(ENTER)[0].text.as_deref(), Some("\r"));
        assert_eq!(key_of('é'), None);
    }
}
