//! placeholder
use super::args::DemoArguments;
use super::{End, Failure};
use crate::clock::Clock;
pub(super) async fn demo(_arguments: &DemoArguments, _clock: &Clock) -> Result<End, Failure> {
    Ok(End::Done)
}
