//! Draws registries: the text format of `--seed`, the tests, the scenarios and the documentation, applied to a world.

mod read;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use self::read::{Item, Line, Noun, When};
use super::content::{Body, Kind, OCI_MANIFEST};
use super::digest::Digest;
use super::drawn::{self, Child, Drawn, Family, Look, Platform};
use super::name;
use super::quantity;
use super::world::{Locks, Manifest, Repository, World};

/// What was drawn.
#[derive(Debug, Default)]
pub struct Seed {
    /// The time that the drawing's `now` line says; ages are relative to it. A caller that wants the registry to live at that time hands the
    /// emulator a clock that says so.
    pub now: Option<Timestamp>,
    handles: BTreeMap<Arc<str>, HashMap<String, Digest>>,
}

impl Seed {
    /// The digest of a drawn image, index or artifact. The children of `index rel platforms linux/amd64` are called `rel/linux/amd64`.
    pub fn digest(&self, repository: &str, handle: &str) -> Option<Digest> {
        self.handles.get(repository)?.get(handle).copied()
    }
}

/// What is wrong with a drawing, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct SeedError {
    /// The line, counted from one.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl SeedError {
    fn new(line: usize, message: &str) -> Self {
        Self { line, message: message.to_owned() }
    }
}

/// The time that a drawing says it is, without drawing it.
pub(crate) fn now(text: &str) -> Result<Option<Timestamp>, SeedError> {
    Ok(read::drawing(text)?.now)
}

/// Draws `text` into `world`. What stands above a wrong line is drawn.
pub(crate) fn draw(world: &mut World, text: &str, clock: Timestamp) -> Result<Seed, SeedError> {
    let drawing = read::drawing(text)?;
    let now = drawing.now.unwrap_or(clock);
    let mut seed = Seed { now: drawing.now, handles: BTreeMap::new() };
    for block in &drawing.repositories {
        let (count, variable) = block.repository.repeat.as_ref().map_or((1, None), |repeat| (repeat.count, Some(repeat.variable.as_str())));
        for number in 1..=count {
            let filled = |line: &Line| variable.map_or_else(|| line.clone(), |variable| line.filled(variable, number));
            let lines: Vec<Line> = block.lines.iter().map(filled).collect();
            draw_repository(world, &mut seed, &filled(&block.repository), &lines, now)?;
        }
    }
    Ok(seed)
}

fn draw_repository(world: &mut World, seed: &mut Seed, header: &Line, lines: &[Line], now: Timestamp) -> Result<(), SeedError> {
    let item = header.item()?;
    if item.noun != Noun::Repository || !name::is_repository(&item.name) {
        return Err(
            header.error(format!("{:?} is not a repository name: lower-case letters, digits and single . _ - / between them", item.name))
        );
    }
    let name: Arc<str> = item.name.as_str().into();
    let is_new = world.repository(&name).is_err();
    let repository = world.repository_or_new(&name, now);
    if is_new || item.locks != Locks::OPEN {
        repository.locks = item.locks;
    }
    let handles = seed.handles.entry(Arc::clone(&name)).or_default();
    let mut pencil = Pencil { name, repository, handles, now, tags: HashSet::new(), last: None };
    for line in lines {
        pencil.draw(line)?;
    }
    let repository = pencil.repository;
    if repository.manifests.is_empty() {
        return Err(header.error("has no images: a repository without manifests does not exist, draw one in it"));
    }
    if is_new {
        repository.date_by_content();
    }
    Ok(())
}

/// Draws the lines of one repository.
struct Pencil<'a> {
    name: Arc<str>,
    repository: &'a mut Repository,
    handles: &'a mut HashMap<String, Digest>,
    now: Timestamp,
    /// The tags of this drawing; drawing one twice is an error, moving one that was there before is a push.
    tags: HashSet<String>,
    /// What a `tag` line belongs to.
    last: Option<Digest>,
}

impl Pencil<'_> {
    fn draw(&mut self, line: &Line) -> Result<(), SeedError> {
        let item = line.item()?;
        let (count, variable) = line.repeat.as_ref().map_or((1, None), |repeat| (repeat.count, Some(repeat.variable.clone())));
        let look = if item.noun == Noun::Image { Some(Arc::new(self.look(line, &item, variable.clone())?)) } else { None };
        let kind = look.as_ref().map(|look| Arc::new(look.kind()));
        for number in 1..=count {
            let filled = variable.as_ref().map_or_else(|| item.clone(), |variable| item.filled(variable, number));
            let drawn = match (&look, &kind) {
                (Some(look), Some(kind)) => self.image(&filled, look, kind, number),
                _ => self.other(&filled),
            };
            drawn.map_err(|message| line.error(message))?;
        }
        if line.repeat.is_some() && item.noun != Noun::Tag {
            self.last = None;
        }
        Ok(())
    }

    fn look(&self, line: &Line, item: &Item, variable: Option<String>) -> Result<Look, SeedError> {
        let platform = item.platforms.first().map_or(DEFAULT_PLATFORM, String::as_str);
        Ok(Look {
            repository: Arc::clone(&self.name),
            handle: item.name.clone(),
            variable,
            family: family(item),
            platform: Platform::parse(platform).ok_or_else(|| line.error(not_a_platform(platform)))?,
            annotations: item.annotations.clone(),
            labels: item.labels.clone(),
            config_media_type: item.config.clone(),
        })
    }

    fn image(&mut self, item: &Item, look: &Arc<Look>, kind: &Arc<Kind>, number: u32) -> Result<(), String> {
        let size_bytes = item.size.as_deref().map_or(Ok(drawn::layer_size_bytes()), quantity::size_bytes)?;
        let child = self.drawn_image(item, &item.name, Arc::clone(look), Arc::clone(kind), number, size_bytes)?;
        self.label(item, child.digest)
    }

    fn drawn_image(
        &mut self,
        item: &Item,
        handle: &str,
        look: Arc<Look>,
        kind: Arc<Kind>,
        number: u32,
        layer_size_bytes: u64,
    ) -> Result<Child, String> {
        let Drawn { manifest: bytes, config_size_bytes } = look.manifest(number, layer_size_bytes);
        let digest = Digest::of(&bytes);
        let child =
            Child { media_type: kind.media_type.clone(), digest, size_bytes: bytes.len() as u64, platform: Some(look.platform.clone()) };
        let manifest = Manifest {
            pushed: self.time(item)?,
            image_size_bytes: child.size_bytes + config_size_bytes + layer_size_bytes,
            kind,
            body: Body::Drawn { look, number, layer_size_bytes },
            locks: item.locks,
            ghost: item.ghost,
            quarantine: None,
        };
        self.insert(handle, digest, manifest)?;
        Ok(child)
    }

    fn other(&mut self, item: &Item) -> Result<(), String> {
        match item.noun {
            Noun::Image | Noun::Repository => Ok(()),
            Noun::Index => self.index(item),
            Noun::Artifact => self.artifact(item),
            Noun::Tag => self.tag(item),
        }
    }

    fn index(&mut self, item: &Item) -> Result<(), String> {
        let family = family(item);
        let layer_size_bytes = item.size.as_deref().map_or(Ok(drawn::layer_size_bytes()), quantity::size_bytes)?;
        let mut children = Vec::new();
        for platform in &item.platforms {
            let handle = format!("{}/{platform}", item.name);
            let platform = Platform::parse(platform).ok_or_else(|| not_a_platform(platform))?;
            let look = Arc::new(Look {
                repository: Arc::clone(&self.name),
                handle: handle.clone(),
                variable: None,
                family,
                platform,
                annotations: Vec::new(),
                labels: Vec::new(),
                config_media_type: None,
            });
            let kind = Arc::new(look.kind());
            let unlocked = Item { locks: Locks::OPEN, ghost: false, ..item.clone() };
            children.push(self.drawn_image(&unlocked, &handle, look, kind, 1, layer_size_bytes)?);
        }
        for handle in &item.of {
            children.push(self.child(handle)?);
        }
        if children.is_empty() {
            return Err("an index lists something: write `platforms linux/amd64, linux/arm64` or `of IMAGE, IMAGE`".to_owned());
        }
        let subject = item.subject.as_ref().map(|handle| self.subject(handle)).transpose()?;
        let bytes = drawn::index(family, &item.name, &children, &item.annotations, subject.as_ref());
        let sizes = children.iter().filter_map(|child| self.repository.manifests.get(&child.digest)).map(|child| child.image_size_bytes);
        let image_size_bytes = sizes.sum::<u64>() + bytes.len() as u64;
        let kind = Kind { media_type: family.index().to_owned(), config_media_type: None, architecture: None, os: None };
        self.kept(item, &bytes, kind, image_size_bytes, subject)
    }

    fn artifact(&mut self, item: &Item) -> Result<(), String> {
        let artifact_type = item.artifact_type.as_deref().ok_or("an artifact has a type: write `type application/vnd.example+json`")?;
        let subject = item.subject.as_ref().map(|handle| self.subject(handle)).transpose()?;
        let bytes = drawn::artifact(artifact_type, &item.name, &item.annotations, subject.as_ref());
        let kind = Kind {
            media_type: OCI_MANIFEST.to_owned(),
            config_media_type: Some(drawn::EMPTY_MEDIA_TYPE.to_owned()),
            architecture: None,
            os: None,
        };
        let image_size_bytes = bytes.len() as u64 + 2 * drawn::EMPTY_SIZE_BYTES;
        self.kept(item, &bytes, kind, image_size_bytes, subject)
    }

    fn kept(&mut self, item: &Item, bytes: &[u8], kind: Kind, image_size_bytes: u64, subject: Option<Child>) -> Result<(), String> {
        let digest = Digest::of(bytes);
        let body = Body::pushed(bytes, subject.map(|subject| subject.digest), Some(&item.name));
        let manifest = Manifest {
            pushed: self.time(item)?,
            image_size_bytes,
            kind: Arc::new(kind),
            body,
            locks: item.locks,
            ghost: item.ghost,
            quarantine: None,
        };
        self.insert(&item.name, digest, manifest)?;
        self.label(item, digest)
    }

    fn insert(&mut self, handle: &str, digest: Digest, manifest: Manifest) -> Result<(), String> {
        if handle.contains(['{', '}']) {
            return Err(format!("{handle:?} names a variable that no `repeat` on this line has"));
        }
        if self.handles.insert(handle.to_owned(), digest).is_some() {
            return Err(format!("{handle:?} is drawn twice: give each image of a repository its own name"));
        }
        self.repository.insert_manifest(digest, manifest);
        Ok(())
    }

    /// Gives a manifest its tags.
    fn label(&mut self, item: &Item, digest: Digest) -> Result<(), String> {
        let companion = match &item.companion {
            Some((handle, suffix)) => Some(format!("sha256-{}{suffix}", self.child(handle)?.digest.hex())),
            None => None,
        };
        let time = self.time(item)?;
        for tag in item.tags.iter().chain(&companion) {
            self.set_tag(tag, digest, time)?;
        }
        self.last = Some(digest);
        Ok(())
    }

    fn set_tag(&mut self, tag: &str, digest: Digest, time: Timestamp) -> Result<(), String> {
        if !name::is_tag(tag) {
            return Err(format!("{tag:?} is not a tag: letters, digits, . _ -, not . or - first, at most 128"));
        }
        if !self.tags.insert(tag.to_owned()) {
            return Err(format!("tag {tag:?} is drawn twice: a tag names one image"));
        }
        self.repository.set_tag(tag, digest, time);
        Ok(())
    }

    /// A tag line: the time and the lock of one tag of the image above.
    fn tag(&mut self, item: &Item) -> Result<(), String> {
        let digest = self.last.ok_or("stands below no single image: write it directly below the image it belongs to")?;
        let drawn_above = self.repository.tags.get(item.name.as_str()).is_some_and(|tag| tag.digest == digest);
        if !drawn_above {
            let pushed = self.repository.manifests.get(&digest).map_or(self.now, |manifest| manifest.pushed);
            self.set_tag(&item.name, digest, pushed)?;
        }
        let time = item.when.as_ref().map(|_| self.time(item)).transpose()?;
        if let Some(tag) = self.repository.tags.get_mut(item.name.as_str()) {
            tag.locks = item.locks;
        }
        if let Some(time) = time {
            self.repository.date_tag(&item.name, time);
        }
        Ok(())
    }

    /// Something drawn above, or by its digest something that is not there: then this is an orphan.
    fn subject(&self, handle: &str) -> Result<Child, String> {
        match handle.parse::<Digest>() {
            Ok(digest) => Ok(Child { media_type: Family::Oci.manifest().to_owned(), digest, size_bytes: 1, platform: None }),
            Err(_) => self.child(handle),
        }
    }

    /// Something drawn above, or there before this drawing.
    fn child(&self, handle: &str) -> Result<Child, String> {
        let there = || self.repository.manifests.iter().find(|(_, manifest)| manifest.body.handle().as_deref() == Some(handle));
        let digest = self.handles.get(handle).copied().or_else(|| there().map(|(digest, _)| *digest));
        let found = digest.and_then(|digest| Some((digest, self.repository.manifests.get(&digest)?)));
        let (digest, manifest) = found.ok_or_else(|| format!("{handle:?} is not drawn above in this repository"))?;
        let platform = match (&manifest.kind.os, &manifest.kind.architecture) {
            (Some(os), Some(architecture)) => Some(Platform { os: os.clone(), architecture: architecture.clone(), variant: None }),
            _ => None,
        };
        let size_bytes = manifest.body.bytes().len() as u64;
        Ok(Child { media_type: manifest.kind.media_type.clone(), digest, size_bytes, platform })
    }

    fn time(&self, item: &Item) -> Result<Timestamp, String> {
        match &item.when {
            None => Ok(self.now),
            Some(When::At(text)) => read::timestamp(text),
            Some(When::Age(text)) => {
                self.now.checked_sub(quantity::age(text)?).map_err(|_| format!("{text:?} is older than time: write an age such as 40d"))
            }
        }
    }
}

/// What an image without `platform` runs on.
const DEFAULT_PLATFORM: &str = "linux/amd64";

fn family(item: &Item) -> Family {
    if item.docker { Family::Docker } else { Family::Oci }
}

fn not_a_platform(text: &str) -> String {
    format!("{text:?} is not a platform: write linux/amd64 or linux/arm/v7")
}

impl Item {
    /// The item with a number in the place of its line's variable.
    fn filled(&self, variable: &str, number: u32) -> Self {
        let fill = |text: &String| drawn::fill(text, variable, number);
        let fill_all = |texts: &[String]| texts.iter().map(fill).collect();
        let fill_pairs = |pairs: &[(String, String)]| pairs.iter().map(|(key, value)| (fill(key), fill(value))).collect();
        Self {
            noun: self.noun,
            name: fill(&self.name),
            tags: fill_all(&self.tags),
            when: self.when.as_ref().map(|when| match when {
                When::Age(text) => When::Age(fill(text)),
                When::At(text) => When::At(fill(text)),
            }),
            size: self.size.as_ref().map(fill),
            platforms: fill_all(&self.platforms),
            of: fill_all(&self.of),
            subject: self.subject.as_ref().map(fill),
            companion: self.companion.as_ref().map(|(of, suffix)| (fill(of), suffix.clone())),
            artifact_type: self.artifact_type.as_ref().map(fill),
            config: self.config.clone(),
            annotations: fill_pairs(&self.annotations),
            labels: fill_pairs(&self.labels),
            locks: self.locks,
            docker: self.docker,
            ghost: self.ghost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw_text(text: &str) -> Result<(World, Seed), SeedError> {
        let mut world = World::default();
        let seed = draw(&mut world, text, "2026-01-01T00:00:00Z".parse().unwrap())?;
        Ok((world, seed))
    }

    #[test]
    fn mistakes_are_told_with_their_line_and_what_to_write() {
        for (text, expected) in [
            ("image a", "line 1: stands in no repository: write `repository NAME` above it"),
            (
                "repository app\n\n  picture a",
                "line 3: \"picture\" is unknown: a line starts with now, repository, image, index, artifact, tag or repeat",
            ),
            (
                "repository App\n  image a",
                "line 1: \"App\" is not a repository name: lower-case letters, digits and single . _ - / between them",
            ),
            ("repository app", "line 1: has no images: a repository without manifests does not exist, draw one in it"),
            ("repository app\n  image a age 40", "line 2: \"40\" is not an age: write 40d, 36h, 90m, 10s or 1w2d"),
            ("repository app\n  image a size 3", "line 2: \"3\" is not a size: write 120MB, 4KiB or 17B"),
            ("repository app\n  image a\n  image a", "line 3: \"a\" is drawn twice: give each image of a repository its own name"),
            ("repository app\n  image a tags x\n  image b tags x", "line 3: tag \"x\" is drawn twice: a tag names one image"),
            ("repository app\n  image a tags -x", "line 2: \"-x\" is not a tag: letters, digits, . _ -, not . or - first, at most 128"),
            ("repository app\n  image a tags x untagged", "line 2: is `untagged` and has `tags`: leave one of them out"),
            ("repository app\n  index a of b", "line 2: \"b\" is not drawn above in this repository"),
            (
                "repository app\n  index a",
                "line 2: an index lists something: write `platforms linux/amd64, linux/arm64` or `of IMAGE, IMAGE`",
            ),
            ("repository app\n  artifact a", "line 2: an artifact has a type: write `type application/vnd.example+json`"),
            ("repository app\n  image a-{n}", "line 2: \"a-{n}\" names a variable that no `repeat` on this line has"),
            (
                "repository app\n  repeat 0 n image a",
                "line 2: `repeat` takes a count, a variable and a line: repeat 40 n image pr-{n} tags pr-{n} age {n}d",
            ),
            (
                "repository app\n  repeat 2 n image a-{n}\n  tag x",
                "line 3: stands below no single image: write it directly below the image it belongs to",
            ),
            ("repository app\n  image a platform linux", "line 2: \"linux\" is not a platform: write linux/amd64 or linux/arm/v7"),
            (
                "repository app\n  image a locked",
                "line 2: `locked` needs what is locked: locked delete, locked write or locked delete,write",
            ),
            ("repository app\n  image a annotation k=\"v", "line 2: a quotation mark is not closed"),
            ("now yesterday", "line 1: \"yesterday\" is not a time: write 2026-01-01T00:00:00Z"),
            (
                "repository app age 3d\n  image a",
                "line 1: \"age\" does not go with this kind of line: repository NAME [locked delete,write]",
            ),
        ] {
            assert_eq!(draw_text(text).map(drop).map_err(|error| error.to_string()), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_tag_line_dates_and_locks_one_tag() {
        let text = "repository app\n  image a tags v1, v2 age 40d\n  tag v1 age 3d locked delete\n  tag v3\n  image b companion a .sig";
        let (world, seed) = draw_text(text).unwrap();
        let repository = world.repository("app").unwrap();
        let tag = |name: &str| repository.tags[name];
        assert_eq!((tag("v1").updated.to_string().as_str(), tag("v1").locks), ("2025-12-29T00:00:00Z", Locks::NO_DELETE));
        assert_eq!((tag("v2").updated.to_string().as_str(), tag("v2").locks), ("2025-11-22T00:00:00Z", Locks::OPEN));
        assert_eq!(tag("v3").digest, tag("v1").digest);
        let companion = format!("sha256-{}.sig", seed.digest("app", "a").unwrap().hex());
        assert_eq!(tag(&companion).digest, seed.digest("app", "b").unwrap());
    }

    #[test]
    fn repeated_repositories_hold_repeated_images() {
        let text = "now 2026-03-01T00:00:00Z\nrepeat 3 r repository team-{r}\n  repeat 4 n image i-{n} tags t-{r}-{n:02} age {n}d";
        let (world, seed) = draw_text(text).unwrap();
        assert_eq!(seed.now, Some("2026-03-01T00:00:00Z".parse().unwrap()));
        let repository = world.repository("team-3").unwrap();
        assert_eq!(repository.manifests.len(), 4);
        assert_eq!(repository.tags["t-3-04"].updated.to_string(), "2026-02-25T00:00:00Z");
        assert_ne!(seed.digest("team-1", "i-1"), seed.digest("team-2", "i-1"), "repositories do not share digests");
    }
}
