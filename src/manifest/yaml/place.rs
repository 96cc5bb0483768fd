//! Where a value stands in its document: the way from the root, shared by all values below.

use std::sync::Arc;

/// A way from the root of a document to a value, or to the key before it. Cheap to copy.
#[derive(Clone, Debug, Default)]
pub(in crate::manifest) struct Place {
    last: Option<Arc<Link>>,
    /// The key is meant, not the value behind it.
    pub(super) is_key: bool,
}

#[derive(Debug)]
struct Link {
    parent: Place,
    index: usize,
    /// None for an item of a list.
    key: Option<String>,
}

impl Place {
    /// The value of the entry `index` of this map. By number and not by key, since a key may stand there twice.
    pub(in crate::manifest) fn entry(&self, index: usize, key: &str) -> Self {
        self.child(index, Some(key.to_owned()))
    }

    pub(in crate::manifest) fn item(&self, index: usize) -> Self {
        self.child(index, None)
    }

    fn child(&self, index: usize, key: Option<String>) -> Self {
        let parent = self.clone();
        Self {
            last: Some(Arc::new(Link { parent, index, key })),
            is_key: false,
        }
    }

    /// The key of this value; the value itself where there is no key.
    pub(in crate::manifest) fn key(&self) -> Self {
        let has_key = self.last.as_ref().is_some_and(|link| link.key.is_some());
        Self {
            last: self.last.clone(),
            is_key: has_key,
        }
    }

    /// `spec.rollout.gates[0].http`; empty for the root.
    pub(in crate::manifest) fn field(&self) -> String {
        let Some(link) = &self.last else {
            return String::new();
        };
        let parent = link.parent.field();
        match &link.key {
            None => format!("{parent}[{}]", link.index),
            Some(key) if parent.is_empty() => shown(key),
            Some(key) => format!("{parent}.{}", shown(key)),
        }
    }

    /// Whether this is the other place or stands within it.
    pub(in crate::manifest) fn is_below(&self, other: &Self) -> bool {
        self.steps().starts_with(&other.steps())
    }

    /// The numbers of the entries on the way, from the root on.
    pub(in crate::manifest) fn steps(&self) -> Vec<usize> {
        let mut steps = Vec::new();
        let mut here = self;
        while let Some(link) = &here.last {
            steps.push(link.index);
            here = &link.parent;
        }
        steps.reverse();
        steps
    }
}

/// A key as a part of a field's path: quoted where it would be taken for more than one.
pub(in crate::manifest) fn shown(key: &str) -> String {
    const LONGEST: usize = 60;
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.len() <= LONGEST && key.chars().all(is_plain) {
        key.to_owned()
    } else {
        format!("{:?}", key.chars().take(LONGEST).collect::<String>())
    }
}
