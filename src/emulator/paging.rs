//! Pages and cursors. In name order the cursor is the last name; in time order it is `<19 digits>&<name>`, and a bare name there is no cursor
//! at all: the first page comes again, which is what the real registry does to clients that build their own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;

use super::percent;

/// How a listing is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Name,
    TimeAscending,
    TimeDescending,
}

/// Which page of a listing is asked for.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) size: usize,
    pub(crate) last: Option<String>,
    pub(crate) order: Order,
    /// As it was given: the next link repeats it.
    orderby: String,
    /// The cursors of time order are not to be read.
    opaque: bool,
}

/// What fits on a page, and whether there is more behind it.
#[derive(Debug)]
pub(crate) struct Cut<T> {
    pub(crate) items: Vec<T>,
    pub(crate) more: bool,
}

impl Page {
    /// Sizes that are no positive number mean the default; sizes above the maximum are capped without a word.
    pub(crate) fn read(query: &[(String, String)], size_default: usize, size_max: usize, opaque: bool) -> Self {
        let get = |name: &str| query.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
        let size = get("n").and_then(|n| n.parse().ok()).filter(|n| 0 < *n).unwrap_or(size_default).min(size_max);
        let orderby = get("orderby").unwrap_or_default();
        let order = match orderby.as_str() {
            "timeasc" => Order::TimeAscending,
            "timedesc" => Order::TimeDescending,
            _ => Order::Name,
        };
        Self { size, last: get("last").filter(|last| !last.is_empty()), order, orderby, opaque }
    }

    /// Whether a page of no items was asked for, or of less.
    pub(crate) fn is_of_zero(query: &[(String, String)]) -> bool {
        let n = query.iter().find(|(name, _)| name == "n").and_then(|(_, n)| n.parse::<i64>().ok());
        n.is_some_and(|n| n < 1)
    }

    pub(crate) fn of_size(self, size: usize) -> Self {
        Self { size, ..self }
    }

    /// For listings that know no other order.
    pub(crate) fn in_name_order(self) -> Self {
        Self { order: Order::Name, ..self }
    }

    /// Cuts off what does not fit. One item more than the page is looked at, so that a full last page has no next link.
    pub(crate) fn cut<T>(&self, items: impl Iterator<Item = T>) -> Cut<T> {
        let mut items: Vec<T> = items.take(self.size + 1).collect();
        let more = self.size < items.len();
        items.truncate(self.size);
        Cut { items, more }
    }

    /// The page in time order. `items` come with their time and in any order; the smallest that fit are found without sorting all of them.
    pub(crate) fn cut_by_time<K: Ord>(
        &self,
        items: impl Iterator<Item = (Timestamp, K)>,
        read_name: impl Fn(&str) -> Option<K>,
    ) -> Cut<(i64, K)> {
        let after = self.time_cursor().and_then(|(key, name)| Some((key, read_name(&name)?)));
        let keyed = items.map(|(time, name)| (key(self.order, time), name));
        let mut items: Vec<(i64, K)> = keyed.filter(|item| after.as_ref().is_none_or(|after| after < item)).collect();
        let more = self.size < items.len();
        if more {
            items.select_nth_unstable(self.size);
            items.truncate(self.size);
        }
        items.sort_unstable();
        Cut { items, more }
    }

    /// Where the last page in time order ended, if that is what the client gave back.
    pub(crate) fn time_cursor(&self) -> Option<(i64, String)> {
        let last = self.last.as_deref()?;
        let text = if self.opaque { String::from_utf8(URL_SAFE_NO_PAD.decode(last).ok()?).ok()? } else { last.to_owned() };
        cursor(&text).map(|(key, name)| (key, name.to_owned()))
    }

    /// The `Link` to the page behind `cursor`, in the encoding of the path that was asked for.
    pub(crate) fn link(&self, path: &str, cursor: &str) -> String {
        let cursor = if self.opaque && self.order != Order::Name { URL_SAFE_NO_PAD.encode(cursor) } else { cursor.to_owned() };
        let (last, orderby) = (percent::encode(&cursor), percent::encode(&self.orderby));
        format!("<{path}?last={last}&n={}&orderby={orderby}>; rel=\"next\"", self.size)
    }
}

/// The number by which times sort upwards in this order: .NET ticks, subtracted from the largest when the newest comes first.
pub(crate) fn key(order: Order, time: Timestamp) -> i64 {
    let ticks = ticks(time);
    if order == Order::TimeDescending { i64::MAX - ticks } else { ticks }
}

/// The cursor of an item in time order.
pub(crate) fn time_cursor(key: i64, name: &str) -> String {
    format!("{key:019}&{name}")
}

fn cursor(text: &str) -> Option<(i64, &str)> {
    let (digits, name) = text.split_once('&')?;
    let is_key = digits.len() == 19 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_key { Some((digits.parse().ok()?, name)) } else { None }
}

/// 100-nanosecond steps since the year 1.
fn ticks(time: Timestamp) -> i64 {
    const UNIX_EPOCH_TICKS: i64 = 621_355_968_000_000_000;
    const TICKS_PER_SECOND: i64 = 10_000_000;
    UNIX_EPOCH_TICKS + time.as_second() * TICKS_PER_SECOND + i64::from(time.subsec_nanosecond()) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Page {
        Page::read(&percent::pairs(query), 100, 1000, false)
    }

    #[test]
    fn sizes_default_and_are_capped() {
        for (query, size) in [("", 100), ("n=7", 7), ("n=0", 100), ("n=-1", 100), ("n=x", 100), ("n=10000", 1000)] {
            assert_eq!(page(query).size, size, "{query}");
        }
    }

    #[test]
    fn a_recorded_cursor_means_its_recorded_time() {
        let time: Timestamp = "2020-03-26T10:09:31.3938861Z".parse().unwrap();
        assert_eq!(time_cursor(key(Order::TimeDescending, time), "12.04"), "8586163895140836946&12.04");
    }

    #[test]
    fn time_order_accepts_no_bare_name() {
        let items = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"];
        let items = || items.iter().zip(["c", "b", "a"]).map(|(time, name)| (time.parse().unwrap(), name.to_owned()));
        let names = |query: &str| {
            let cut = page(query).cut_by_time(items(), |name| Some(name.to_owned()));
            let last = cut.items.last().map(|(key, name)| percent::encode(&time_cursor(*key, name)));
            (cut.items.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(","), cut.more, last.unwrap_or_default())
        };
        let (first, more, cursor) = names("n=2&orderby=timedesc");
        assert_eq!((first.as_str(), more), ("a,b", true));
        let (second, more, _) = names(&format!("n=2&orderby=timedesc&last={cursor}"));
        assert_eq!((second.as_str(), more), ("c", false));
        let (again, _, _) = names("n=2&orderby=timedesc&last=b");
        assert_eq!(again, "a,b");
        assert_eq!(names("orderby=timeasc").0, "c,b,a");
    }

    #[test]
    fn links_are_relative_and_always_name_the_order() {
        let link = page("n=1&api-version=2021-07-01").link("/acr/v1/library%2Fhello-world/_tags", "latest");
        assert_eq!(link, "</acr/v1/library%2Fhello-world/_tags?last=latest&n=1&orderby=>; rel=\"next\"");
    }
}
