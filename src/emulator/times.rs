//! Names by time, so that a page in time order costs as much as a page in name order, however large the repository. Made when a listing first
//! asks for that order, kept up to date from then on. Knows no repositories.

use std::collections::BTreeSet;
use std::ops::Bound;

use jiff::Timestamp;

use super::paging::{Cut, Order, Page, key};

/// An index for each direction: equal times come in the order of names in both.
#[derive(Debug, Clone)]
pub(crate) struct Times<K> {
    ascending: Option<BTreeSet<(i64, K)>>,
    descending: Option<BTreeSet<(i64, K)>>,
}

impl<K> Default for Times<K> {
    fn default() -> Self {
        Self { ascending: None, descending: None }
    }
}

impl<K: Ord + Clone> Times<K> {
    /// Makes the index for `order`, if it is not there yet.
    pub(crate) fn prepare(&mut self, order: Order, items: impl Iterator<Item = (Timestamp, K)>) {
        let index = match order {
            Order::Name => return,
            Order::TimeAscending => &mut self.ascending,
            Order::TimeDescending => &mut self.descending,
        };
        if index.is_none() {
            *index = Some(items.map(|(time, name)| (key(order, time), name)).collect());
        }
    }

    pub(crate) fn insert(&mut self, time: Timestamp, name: &K) {
        for (order, index) in self.indexes() {
            index.insert((key(order, time), name.clone()));
        }
    }

    pub(crate) fn remove(&mut self, time: Timestamp, name: &K) {
        for (order, index) in self.indexes() {
            index.remove(&(key(order, time), name.clone()));
        }
    }

    fn indexes(&mut self) -> impl Iterator<Item = (Order, &mut BTreeSet<(i64, K)>)> {
        let Self { ascending, descending } = self;
        let ascending = ascending.as_mut().map(|index| (Order::TimeAscending, index));
        ascending.into_iter().chain(descending.as_mut().map(|index| (Order::TimeDescending, index)))
    }

    /// The page, if there is an index for its order.
    pub(crate) fn cut(&self, page: &Page, read_name: impl Fn(&str) -> Option<K>, is_listed: impl Fn(&K) -> bool) -> Option<Cut<(i64, K)>> {
        let index = match page.order {
            Order::Name => None,
            Order::TimeAscending => self.ascending.as_ref(),
            Order::TimeDescending => self.descending.as_ref(),
        }?;
        let after = page.time_cursor().and_then(|(key, name)| Some((key, read_name(&name)?)));
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Some(page.cut(index.range((from, Bound::Unbounded)).filter(|(_, name)| is_listed(name)).cloned()))
    }
}
