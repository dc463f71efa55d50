//! What may be done to a repository, manifest or tag. Does not know who set a lock or why.

/// The `changeableAttributes` of an item, in the words of the Azure SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locks {
    /// `deleteEnabled`.
    pub can_delete: bool,
    /// `writeEnabled`. False alone makes ACR refuse a delete too (Azure/acr-cli#134), so it protects as much.
    pub can_write: bool,
    /// `readEnabled`: whether it can be pulled.
    pub can_read: bool,
    /// `listEnabled`: whether it shows in lists.
    pub can_list: bool,
}

impl Locks {
    /// Everything allowed: what ACR gives to a fresh push.
    pub const OPEN: Self = Self { can_delete: true, can_write: true, can_read: true, can_list: true };
    /// How an item is treated whose attributes are missing: unknown means locked.
    pub const UNKNOWN: Self = Self { can_delete: false, can_write: false, can_read: true, can_list: true };

    /// These, once a change is carried out.
    pub fn after(self, change: LockChange) -> Self {
        let LockChange { can_delete, can_write, can_read, can_list } = change;
        Self {
            can_delete: can_delete.unwrap_or(self.can_delete),
            can_write: can_write.unwrap_or(self.can_write),
            can_read: can_read.unwrap_or(self.can_read),
            can_list: can_list.unwrap_or(self.can_list),
        }
    }

    /// Whether this holds the item and everything below it against deletion.
    pub const fn protects(self) -> bool {
        !self.can_delete || !self.can_write
    }
}

/// Attributes to set; None leaves one as it is. At least one is set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockChange {
    /// `deleteEnabled`.
    pub can_delete: Option<bool>,
    /// `writeEnabled`.
    pub can_write: Option<bool>,
    /// `readEnabled`.
    pub can_read: Option<bool>,
    /// `listEnabled`.
    pub can_list: Option<bool>,
}

/// Where a lock lies. ACR keeps the three apart: a tag's lock does not lock its manifest, nor the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// On the repository: everything in it stays.
    Repository,
    /// On the manifest: it, its tags and everything below it stay.
    Manifest,
    /// On one of the manifest's tags: the same.
    Tag,
}
