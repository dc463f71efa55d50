//! A histogram that is handed counted buckets. The library's own takes single observations only, and the client counts by itself so
//! that it need not know the library.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto;

use crate::acr::{LATENCY_BOUNDS, Latencies};

use super::families::{Described, Family};

/// Latencies by the values of the labels.
#[derive(Clone)]
pub(super) struct LatencyHistogram(Arc<Inner>);

struct Inner {
    desc: Desc,
    counted: Mutex<BTreeMap<Vec<String>, Latencies>>,
}

impl LatencyHistogram {
    /// Adds what was counted.
    pub(super) fn add(&self, labels: &[&str], more: &Latencies) {
        let mut counted = self.lock();
        let Latencies { buckets, total } = counted.entry(labels.iter().map(ToString::to_string).collect()).or_default();
        buckets.iter_mut().zip(more.buckets).for_each(|(count, more)| *count += more);
        *total += more.total;
    }

    /// A poisoned lock still holds whole numbers.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<String>, Latencies>> {
        self.0.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn labelled(&self, values: &[String]) -> Vec<proto::LabelPair> {
        let mut pairs: Vec<_> = self.0.desc.variable_labels.iter().zip(values).map(|(name, value)| pair(name, value)).collect();
        // The library's own metrics are in this order too.
        pairs.sort_by(|left, right| left.name().cmp(right.name()));
        pairs
    }
}

impl Family for LatencyHistogram {
    const KIND: &'static str = "histogram";

    fn make(described: &Described) -> prometheus::Result<Self> {
        let labels = described.labels.iter().map(ToString::to_string).collect();
        let desc = Desc::new(described.name.to_owned(), described.help.to_owned(), labels, HashMap::new())?;
        Ok(Self(Arc::new(Inner { desc, counted: Mutex::default() })))
    }

    fn forget(&self, labels: &[(&str, &str)]) {
        let carries = |values: &[String]| {
            let pairs = self.labelled(values);
            labels.iter().all(|(name, value)| pairs.iter().any(|pair| pair.name() == *name && pair.value() == *value))
        };
        self.lock().retain(|values, _| !carries(values));
    }
}

impl Collector for LatencyHistogram {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.0.desc]
    }

    fn collect(&self) -> Vec<proto::MetricFamily> {
        let mut family = proto::MetricFamily::default();
        family.set_name(self.0.desc.fq_name.clone());
        family.set_help(self.0.desc.help.clone());
        family.set_field_type(proto::MetricType::HISTOGRAM);
        let metric = |(values, latencies): (&Vec<String>, &Latencies)| {
            let mut metric = proto::Metric::from_label(self.labelled(values));
            metric.set_histogram(histogram(latencies));
            metric
        };
        family.set_metric(self.lock().iter().map(metric).collect());
        vec![family]
    }
}

fn pair(name: &str, value: &str) -> proto::LabelPair {
    let mut pair = proto::LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

/// Prometheus counts in each bucket what is in those before it, too.
fn histogram(latencies: &Latencies) -> proto::Histogram {
    let mut cumulative = 0;
    let buckets = LATENCY_BOUNDS.iter().zip(latencies.buckets).map(|(bound, count)| {
        cumulative += count;
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(latencies.buckets.iter().sum());
    histogram.set_sample_sum(latencies.total.as_secs_f64());
    histogram
}
