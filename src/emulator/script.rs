//! Reads scripts of faults, the format of `--faults` and of the admin endpoint: one fault a line. Knows the words, not how faults strike.

use std::time::Duration;

use super::alter::{Alteration, DEPTH_MAX};
use super::faults::{Armed, Failure, Matching, Response};
use super::quantity::{self, SignedSpan, Span};
use super::words::{LineError, words};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

/// What a line looks like.
const USAGE: &str = "METHOD PATH [nth N | after N | every N | percent P] [times N | always] WHAT";
/// What can go wrong.
const WHAT: &str = "status, proxy-error, delay, hang, close, close-mid-body, shorten, wrong-bytes, wrong-digest, garbage, deep, huge, gzip, \
                    set, add or date";
/// The answer of the proxy before a registry that is not there, as that server writes it.
const PROXY_ERROR: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n\
                           <hr><center>openresty</center>\r\n</body>\r\n</html>\r\n";

/// Reads a whole script, or says what is wrong with its first wrong line.
pub(crate) fn read(text: &str) -> Result<Vec<Armed>, LineError> {
    let mut script = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let wrong = |message| LineError { line, message };
        let words = words(text).map_err(wrong)?;
        if !words.is_empty() {
            script.push(fault(&words, line as u64).map_err(wrong)?);
        }
    }
    Ok(script)
}

fn fault(words: &[String], lot: u64) -> Result<Armed, String> {
    let mut words = Words(words);
    let method = match words.next("a method, or `any`")? {
        "any" => None,
        method => {
            let known = [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::PATCH, Method::DELETE];
            let known = known.into_iter().find(|known| known.as_str() == method);
            Some(known.ok_or_else(|| format!("{method:?} is no method: write {USAGE}"))?)
        }
    };
    let path = match words.next("a path, or `*`")? {
        "*" => Matching::Any,
        path if path.contains('{') => Matching::Route(path.to_owned()),
        path => Matching::Contains(path.to_owned()),
    };
    let mut armed = Armed::new(method, path, lot);
    select(&mut words, &mut armed)?;
    armed.failure = failure(&mut words)?;
    match words.0 {
        [] => Ok(armed),
        [word, ..] => Err(format!("{word:?} is too much: write {USAGE}")),
    }
}

/// Which of the requests that match.
fn select(words: &mut Words<'_>, armed: &mut Armed) -> Result<(), String> {
    let mut times = None;
    while let Some(word) = words.peek() {
        match word {
            "nth" => {
                words.skip();
                armed.after = words.number("which request, from 1")? - 1;
                times = times.or(Some(1));
            }
            "after" => {
                words.skip();
                armed.after = words.number("how many requests pass")?;
            }
            "every" => {
                words.skip();
                armed.every = words.number("every how many requests")?;
                times = times.or(Some(usize::MAX));
            }
            "percent" => {
                words.skip();
                let percent = words.number("how many of a hundred requests")?;
                armed.percent = u8::try_from(percent).ok().filter(|percent| *percent <= 100).ok_or("percent goes from 1 to 100")?;
                times = times.or(Some(usize::MAX));
            }
            "times" => {
                words.skip();
                times = Some(words.number("how often")?);
            }
            "always" => {
                words.skip();
                times = Some(usize::MAX);
            }
            _ => break,
        }
    }
    armed.times = times.unwrap_or(1);
    Ok(())
}

fn failure(words: &mut Words<'_>) -> Result<Failure, String> {
    let what = words.next(&format!("what goes wrong: {WHAT}"))?;
    Ok(match what {
        "status" => status(words)?,
        "proxy-error" => {
            let headers = HeaderMap::from_iter([(::http::header::CONTENT_TYPE, HeaderValue::from_static("text/html"))]);
            let response = Response { status: StatusCode::BAD_GATEWAY, headers, body: PROXY_ERROR.to_owned() };
            if words.after_effect() { Failure::RespondAfterEffect(response) } else { Failure::Respond(response) }
        }
        "delay" => Failure::Delay(span(words)?),
        "hang" => {
            if words.after_effect() {
                Failure::HangAfterEffect
            } else {
                Failure::Hang
            }
        }
        "close" => {
            if words.after_effect() {
                Failure::DropAfterEffect
            } else {
                Failure::DropBeforeEffect
            }
        }
        "close-mid-body" => Failure::Truncate(words.number("after how many bytes of the body")?),
        "shorten" => Failure::Alter(Alteration::Shorten(words.number("how many bytes of the body are left")?)),
        "wrong-bytes" => Failure::Alter(Alteration::WrongBytes),
        "wrong-digest" => Failure::Alter(Alteration::WrongDigest),
        "garbage" => Failure::Alter(Alteration::Garbage),
        "gzip" => Failure::Alter(Alteration::Gzip),
        "deep" => {
            let levels = words.number("how many levels")?;
            if DEPTH_MAX < levels {
                return Err(format!("{levels} levels are too deep: at most {DEPTH_MAX}"));
            }
            Failure::Alter(Alteration::Deep(levels))
        }
        "huge" => Failure::Alter(Alteration::Huge(quantity::size_bytes(words.next("a size such as 1GB")?)?)),
        "set" | "add" => {
            let (name, value) = header(words)?;
            Failure::Alter(if what == "set" { Alteration::Set(name, value) } else { Alteration::Add(name, value) })
        }
        "date" => {
            let SignedSpan(off) = words.next("how far the date is off, such as 10m or -10m")?.parse()?;
            Failure::Alter(Alteration::Date(off))
        }
        other => return Err(format!("{other:?} is unknown: what goes wrong is {WHAT}")),
    })
}

fn status(words: &mut Words<'_>) -> Result<Failure, String> {
    let code = words.next("a status such as 503")?;
    let status = code.parse().map_err(|_| format!("{code:?} is no status: write three digits"))?;
    let mut response = Response { status, ..Response::default() };
    let mut after_effect = false;
    while let Some(word) = words.peek() {
        match word {
            "header" => {
                words.skip();
                let (name, value) = header(words)?;
                response.headers.append(name, value);
            }
            "body" => {
                words.skip();
                words.next("the body")?.clone_into(&mut response.body);
            }
            "after-effect" => {
                words.skip();
                after_effect = true;
            }
            _ => break,
        }
    }
    Ok(if after_effect { Failure::RespondAfterEffect(response) } else { Failure::Respond(response) })
}

fn header(words: &mut Words<'_>) -> Result<(HeaderName, HeaderValue), String> {
    let word = words.next("a header such as \"Retry-After: 2\"")?;
    let read = || {
        let (name, value) = word.split_once(':')?;
        Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
    };
    read().ok_or_else(|| format!("{word:?} is no header: write \"Retry-After: 2\""))
}

fn span(words: &mut Words<'_>) -> Result<Duration, String> {
    let Span(span) = words.next("a time such as 200ms")?.parse()?;
    Ok(span.unsigned_abs())
}

struct Words<'a>(&'a [String]);

impl<'a> Words<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.0.first().map(String::as_str)
    }

    fn skip(&mut self) {
        self.0 = &self.0[1..];
    }

    fn next(&mut self, expected: &str) -> Result<&'a str, String> {
        let word = self.peek().ok_or_else(|| format!("the line ends where {expected} should stand: write {USAGE}"))?;
        self.skip();
        Ok(word)
    }

    /// A number from one on.
    fn number(&mut self, expected: &str) -> Result<usize, String> {
        let word = self.next(expected)?;
        word.parse().ok().filter(|number| 0 < *number).ok_or_else(|| format!("{word:?} is not {expected}: write a number from 1 on"))
    }

    fn after_effect(&mut self) -> bool {
        let is_next = self.peek() == Some("after-effect");
        if is_next {
            self.skip();
        }
        is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_faults() {
        let script = read(
            "# comment\n\
             DELETE /_tags/ nth 3 status 503 header \"Retry-After: 2\" body '{\"errors\":[]}' after-effect\n\
             any * percent 10 close\n\
             GET /acr/v1/{name}/_tags every 2 delay 30ms\n",
        )
        .unwrap();
        let [status, close, delay] = script.try_into().unwrap();
        assert_eq!((status.method, status.after, status.times), (Some(Method::DELETE), 2, 1));
        let Failure::RespondAfterEffect(response) = status.failure else { panic!("{:?}", status.failure) };
        assert_eq!((response.status.as_u16(), response.body.as_str()), (503, "{\"errors\":[]}"));
        assert_eq!((close.percent, close.times), (10, usize::MAX));
        assert_eq!((delay.path, delay.every), (Matching::Route("/acr/v1/{name}/_tags".to_owned()), 2));
        assert!(matches!(delay.failure, Failure::Delay(time) if time == Duration::from_millis(30)));
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, expected) in [
            ("\nFETCH * close", "line 2: \"FETCH\" is no method: write METHOD PATH"),
            ("GET", "line 1: the line ends where a path, or `*` should stand"),
            ("GET * explode", "line 1: \"explode\" is unknown: what goes wrong is status, proxy-error"),
            ("GET * nth 0 close", "line 1: \"0\" is not which request, from 1: write a number from 1 on"),
            ("GET * close now", "line 1: \"now\" is too much"),
            ("GET * status x", "line 1: \"x\" is no status: write three digits"),
            ("GET * set Link", "line 1: \"Link\" is no header: write \"Retry-After: 2\""),
            ("GET * huge 1", "line 1: \"1\" is not a size"),
            ("GET * percent 101 close", "line 1: percent goes from 1 to 100"),
            ("GET * status 500 body \"x", "line 1: a quotation mark is not closed"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
