//! `retaind explain IMAGE`: why it stays or goes under each policy that names its repository.

use jiff::Timestamp;

use crate::clock::Clock;
use crate::config::Configuration;
use crate::layout::paragraph;
use crate::model::{Contents, Digest, Gap, Inventory, Listing, RepositoryName, TagName};
use crate::pipeline;
use crate::pipeline::evaluate::Evaluation;
use crate::pipeline::inventory::{self, Look};
use crate::pipeline::outlook::{Prospect, goes_from};
use crate::pipeline::plan::Decision;
use crate::pipeline::report::{self, Context, DecidedRepository, Item};
use crate::policy::Policy;

use super::args::ExplainArguments;
use super::{End, Failure, connect, open, print};

/// What is asked about.
struct Image {
    repository: RepositoryName,
    version: Version,
}

enum Version {
    Tag(TagName),
    Digest(Digest),
}

/// Explains.
pub(super) async fn explain(arguments: &ExplainArguments, clock: &Clock) -> Result<End, Failure> {
    let image = parse(&arguments.image)?;
    let configuration = Configuration::load(&arguments.selection.config)?;
    // The registry is looked at now, whatever day is asked for.
    let looked_at = clock.now();
    let now = arguments.source.at.map_or(looked_at, |at| at.seen_from(looked_at));
    let mut pairs = open::selected(&configuration, &arguments.selection)?;
    pairs.retain(|(policy, registry)| policy.names(&registry.name, &image.repository));
    let saved = arguments.source.inventory.as_deref().map(open::inventory).transpose()?;
    if let Some(saved) = &saved {
        pairs.retain(|(_, registry)| registry.name == saved.registry);
    }
    if pairs.is_empty() {
        print(&paragraph("", 2, &format!("{} stays: no policy names the repository {}", arguments.image, image.repository)));
        return Ok(End::Done);
    }
    let mut is_known = false;
    for (place, (acting, registry)) in pairs.into_iter().enumerate() {
        let fresh;
        let inventory: &Inventory = if let Some(saved) = &saved {
            saved
        } else {
            let client = connect::client(registry, clock)?;
            let state = open::state_to_plan(&configuration.state)?;
            let wanted = pipeline::wanted(&configuration.policies, client.registry(), [image.repository.clone()]);
            fresh = inventory::take(&Look { client, state, now: looked_at }, &wanted).await?;
            &fresh
        };
        if 0 < place {
            print("\n");
        }
        if let Some(sentence) = report::other_time(inventory.taken_at, now) {
            print(&paragraph("", 2, &sentence));
        }
        let decisions = pipeline::decide(inventory, &configuration.policies, acting, now);
        let mut decided = decisions.repositories.iter().zip(&decisions.plan.repositories);
        let decided = decided.find(|(decided, _)| decided.repository.name == image.repository);
        let (decided, planned) = decided.ok_or_else(|| Failure::unusable(format!("the listing has no repository {}", image.repository)))?;
        // Of a name with a typing error nobody should read that it stays.
        let is_there =
            !matches!(&decided.repository.listing, Listing::Incomplete(gaps) if gaps.iter().any(|gap| gap.0 == Gap::NO_REPOSITORY));
        is_known |= is_there;
        match (&decided.repository.listing, &decided.evaluation, &planned.decision) {
            _ if !is_there => print(&paragraph("", 2, &format!("registry {} has no repository {}", registry.name, image.repository))),
            (Listing::Complete(contents), Some(evaluation), _) => {
                let of = Of { configuration: &configuration, acting, image: &image, inventory, decided, now };
                print(&explained(&of, contents, evaluation)?);
            }
            (_, _, Decision::Nothing(gaps)) => {
                let gaps: Vec<&str> = gaps.iter().map(|gap| gap.0.as_str()).collect();
                let why = gaps.join("; ");
                print(&paragraph("", 2, &format!("{} stays: nothing in {} is touched, because {why}", arguments.image, image.repository)));
            }
            (Listing::Complete(_) | Listing::Incomplete(_), _, Decision::Steps(_)) => {}
        }
    }
    if !is_known {
        return Err(Failure::unusable(format!("there is no repository {}; look for a typing error", image.repository)));
    }
    Ok(End::Done)
}

/// What one policy decides about one image of a listing.
struct Of<'a> {
    configuration: &'a Configuration,
    acting: &'a Policy,
    image: &'a Image,
    inventory: &'a Inventory,
    decided: &'a DecidedRepository<'a>,
    now: Timestamp,
}

/// Why it stays or goes and, where it stays, from when on it would go.
fn explained(of: &Of<'_>, contents: &Contents, evaluation: &Evaluation) -> Result<String, Failure> {
    let Of { configuration, acting, image, inventory, decided, now } = *of;
    let item = find(contents, image)?;
    let (manifest, goes) = match item {
        Item::Manifest(manifest) => (manifest, evaluation.manifests.goes(manifest)),
        Item::Tag(tag) => (contents.owner_of(tag), evaluation.tags.goes(tag)),
    };
    let observations = &decided.repository.observations;
    let context = Context { contents, policies: &decided.policies, acting: decided.acting, observations, now };
    let mut text = report::explain(&context, image.repository.as_str(), evaluation, manifest);
    if !goes {
        let prospect = Prospect { policies: &configuration.policies, acting, repository: &image.repository, item };
        text += &report::outlook(goes_from(inventory, &prospect, now), now);
    }
    Ok(text)
}

fn parse(text: &str) -> Result<Image, Failure> {
    let invalid = |why: &dyn std::fmt::Display| Failure::unusable(format!("{text:?} is not an image: {why}"));
    let (repository, version) = if let Some((repository, digest)) = text.split_once('@') {
        (repository, Version::Digest(digest.parse().map_err(|error| invalid(&error))?))
    } else if let Some((repository, tag)) = text.rsplit_once(':') {
        (repository, Version::Tag(TagName::parse(tag).map_err(|error| invalid(&error))?))
    } else {
        return Err(invalid(&"write repository:tag or repository@sha256:…"));
    };
    Ok(Image { repository: RepositoryName::parse(repository).map_err(|error| invalid(&error))?, version })
}

fn find(contents: &Contents, image: &Image) -> Result<Item, Failure> {
    let repository = &image.repository;
    match &image.version {
        Version::Digest(digest) => contents
            .find(*digest)
            .map(Item::Manifest)
            .ok_or_else(|| Failure::unusable(format!("there is no manifest {digest} in {repository}"))),
        Version::Tag(name) => {
            contents.find_tag(name).map(Item::Tag).ok_or_else(|| Failure::unusable(format!("there is no tag {name} in {repository}")))
        }
    }
}
