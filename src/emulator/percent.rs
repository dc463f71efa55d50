//! Percent-encoding of paths, queries and forms, as a Go server reads and writes them.

/// Undoes percent-encoding; `None` where a `%` is not followed by two hexadecimal digits or the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            decoded.push(*byte);
            continue;
        }
        let [high, low, after @ ..] = rest else { return None };
        let (high, low) = (char::from(*high).to_digit(16)?, char::from(*low).to_digit(16)?);
        decoded.push(u8::try_from(high * 16 + low).ok()?);
        rest = after;
    }
    String::from_utf8(decoded).ok()
}

/// Encodes a value for a query, as Go's `url.QueryEscape` does.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// Reads `a=1&b=2`, a query or a form. Pairs that cannot be decoded are left out, as Go's parser does.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_and_written_as_go_does() {
        assert_eq!(encode("library/a b&sha256:"), "library%2Fa+b%26sha256%3A");
        assert_eq!(
            pairs("last=8586%2612.04&n=1&orderby=&x"),
            [("last", "8586&12.04"), ("n", "1"), ("orderby", ""), ("x", "")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(decode("library%2fa"), Some("library/a".to_owned()));
        assert_eq!(decode("%2"), None);
    }
}
