//! What Chromium wants to know of a key beside what a viewer's browser says of it: the Windows key code, by which pages and the
//! editor tell keys apart, and the editor's commands for the shortcuts of a Mac.

const META: u8 = 4;
const SHIFT: u8 = 8;
const ALT: u8 = 1;
/// `KeyboardEvent.location` of the number pad.
const NUMPAD: u8 = 3;

/// `keyCode` of a key, as a Windows keyboard would have it; 0 for one that has none.
pub(super) fn windows_key_code(key: &str, code: &str, location: u8) -> i64 {
    named(key, location).or_else(|| character(key, location)).or_else(|| by_place(code)).unwrap_or(0)
}

fn named(key: &str, location: u8) -> Option<i64> {
    if let Some(number) = key.strip_prefix('F').and_then(|number| number.parse::<i64>().ok()) {
        return (1..=24).contains(&number).then_some(0x6f + number);
    }
    Some(match key {
        "Backspace" => 0x08,
        "Tab" => 0x09,
        "Clear" => 0x0c,
        "Enter" => 0x0d,
        "Shift" => 0x10,
        "Control" => 0x11,
        "Alt" | "AltGraph" => 0x12,
        "Pause" => 0x13,
        "CapsLock" => 0x14,
        "Escape" => 0x1b,
        "Convert" => 0x1c,
        "NonConvert" => 0x1d,
        " " => 0x20,
        "PageUp" => 0x21,
        "PageDown" => 0x22,
        "End" => 0x23,
        "Home" => 0x24,
        "ArrowLeft" => 0x25,
        "ArrowUp" => 0x26,
        "ArrowRight" => 0x27,
        "ArrowDown" => 0x28,
        "PrintScreen" => 0x2c,
        "Insert" => 0x2d,
        "Delete" => 0x2e,
        "Help" => 0x2f,
        "Meta" if location == 2 => 0x5c,
        "Meta" => 0x5b,
        "ContextMenu" => 0x5d,
        "NumLock" => 0x90,
        "ScrollLock" => 0x91,
        "Process" => 0xe5,
        _ => return None,
    })
}

/// Keys that are named by what they type.
fn character(key: &str, location: u8) -> Option<i64> {
    let mut characters = key.chars();
    let (Some(character), None) = (characters.next(), characters.next()) else { return None };
    Some(match character {
        'a'..='z' | 'A'..='Z' => i64::from(character.to_ascii_uppercase() as u8),
        '0'..='9' if location == NUMPAD => 0x60 + i64::from(character as u8 - b'0'),
        '0'..='9' => i64::from(character as u8),
        '*' if location == NUMPAD => 0x6a,
        '+' if location == NUMPAD => 0x6b,
        '-' if location == NUMPAD => 0x6d,
        '.' | ',' if location == NUMPAD => 0x6e,
        '/' if location == NUMPAD => 0x6f,
        _ => return None,
    })
}

/// The rest by their place on the keyboard: what they type differs with the layout.
fn by_place(code: &str) -> Option<i64> {
    if let Some(letter) = code.strip_prefix("Key").or_else(|| code.strip_prefix("Digit")) {
        return letter.bytes().next().map(i64::from).filter(|_| letter.len() == 1);
    }
    Some(match code {
        "Semicolon" => 0xba,
        "Equal" => 0xbb,
        "Comma" => 0xbc,
        "Minus" => 0xbd,
        "Period" => 0xbe,
        "Slash" => 0xbf,
        "Backquote" => 0xc0,
        "BracketLeft" => 0xdb,
        "Backslash" => 0xdc,
        "BracketRight" => 0xdd,
        "Quote" => 0xde,
        "IntlBackslash" => 0xe2,
        _ => return None,
    })
}

/// The editor's commands for a Mac's shortcuts: the browser runs on Linux, whose own shortcuts it knows by itself.
pub(super) fn commands(key: &str, modifiers: u8) -> Vec<String> {
    let (shift, plain) = (modifiers & SHIFT != 0, modifiers & !SHIFT);
    let select = if shift { "AndModifySelection" } else { "" };
    let command = match (plain, key) {
        (META, "a" | "A") => "selectAll".into(),
        (META, "c" | "C") => "copy".into(),
        (META, "x" | "X") => "cut".into(),
        (META, "v" | "V") => "paste".into(),
        (META, "z" | "Z") if shift => "redo".into(),
        (META, "z" | "Z") => "undo".into(),
        (META, "ArrowLeft") => format!("moveToBeginningOfLine{select}"),
        (META, "ArrowRight") => format!("moveToEndOfLine{select}"),
        (META, "ArrowUp") => format!("moveToBeginningOfDocument{select}"),
        (META, "ArrowDown") => format!("moveToEndOfDocument{select}"),
        (META, "Backspace") => "deleteToBeginningOfLine".into(),
        (ALT, "ArrowLeft") => format!("moveWordLeft{select}"),
        (ALT, "ArrowRight") => format!("moveWordRight{select}"),
        (ALT, "Backspace") => "deleteWordBackward".into(),
        _ => return Vec::new(),
    };
    vec![command]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_codes_that_pages_know() {
        for (key, code, location, expected) in [
            ("a", "KeyA", 0, 65),
            ("A", "KeyA", 0, 65),
            // French: the key of Q types a.
            ("a", "KeyQ", 0, 65),
            // Russian: a letter that Windows names by its place.
            ("ф", "KeyA", 0, 65),
            ("é", "Digit2", 0, 50),
            ("1", "Digit1", 0, 49),
            ("1", "Numpad1", 3, 97),
            (";", "Semicolon", 0, 186),
            ("Enter", "NumpadEnter", 3, 13),
            ("F12", "F12", 0, 123),
            ("F", "KeyF", 0, 70),
            ("ArrowLeft", "ArrowLeft", 0, 37),
            ("Unidentified", "", 0, 0),
        ] {
            assert_eq!(windows_key_code(key, code, location), expected, "{key} {code}");
        }
    }

    #[test]
    fn a_macs_shortcuts_are_commands() {
        assert_eq!(commands("a", META), ["selectAll"]);
        assert_eq!(commands("z", META | SHIFT), ["redo"]);
        assert_eq!(commands("ArrowLeft", META | SHIFT), ["moveToBeginningOfLineAndModifySelection"]);
        assert!(commands("a", 2).is_empty());
        assert!(commands("ArrowLeft", ALT | META).is_empty());
    }
}
