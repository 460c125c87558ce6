//! Percent-encoding (RFC 3986, 2.1): the one form in which any text can stand in a URL.

/// The text with every byte encoded that is not unreserved; `kept` stays as it is.
pub fn encoded(text: &str, kept: &[u8]) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The text with every `%XX` decoded; what is not one stays.
pub fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_comes_back() {
        for text in ["", "a b/c", "100%", "%41", "日本語.pdf", "a&b=c#d?e", "\u{0}\r\n"] {
            assert_eq!(decoded(&encoded(text, b"")), text);
        }
        assert_eq!(encoded("downloads/a b.pdf", b"/"), "downloads/a%20b.pdf");
        assert_eq!(decoded("a%zz%4"), "a%zz%4");
    }
}
