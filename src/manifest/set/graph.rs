//! Who waits for whom, and where that goes in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::{check::ServiceDraft, spec::Service, yaml::Document};
use crate::name::{GroupName, ServiceName};

/// A circle with more than this many services is told without the way of each.
const WAYS_MAX: usize = 200;

/// Services and groups by number. A service waits for what it depends on and, as a member of a group, for what any member depends on.
pub(super) struct Graph<'f> {
    services: Vec<&'f ServiceName>,
    numbers: BTreeMap<&'f ServiceName, usize>,
    /// Whom each waits for.
    edges: Vec<Vec<usize>>,
}

impl<'f> Graph<'f> {
    pub(super) fn of(drafts: &'f BTreeMap<ServiceName, (&'f Document, &'f ServiceDraft)>) -> Self {
        let services: Vec<&ServiceName> = drafts.keys().collect();
        let numbers = services.iter().enumerate();
        let mut graph = Self {
            numbers: numbers.map(|(number, name)| (*name, number)).collect(),
            edges: vec![Vec::new(); services.len()],
            services,
        };
        let mut groups: BTreeMap<&GroupName, usize> = BTreeMap::new();
        for (number, (_, draft)) in drafts.values().enumerate() {
            let service = &*draft.service;
            let group = service.rollout.group.as_ref().map(|name| {
                *groups.entry(name).or_insert_with(|| {
                    graph.edges.push(Vec::new());
                    graph.edges.len() - 1
                })
            });
            graph.edges[number].extend(group);
            graph.add(number, group, service, drafts);
        }
        graph
    }

    fn add(
        &mut self,
        number: usize,
        group: Option<usize>,
        service: &Service,
        drafts: &BTreeMap<ServiceName, (&Document, &ServiceDraft)>,
    ) {
        for dependency in &service.depends_on {
            let Some(other) = self.numbers.get(dependency).copied() else {
                continue;
            };
            self.edges[number].push(other);
            let others = drafts.get(dependency);
            let others = others.and_then(|(_, draft)| draft.service.rollout.group.as_ref());
            // What one member needs of another comes with the promotion of both.
            if let Some(group) = group
                && others != service.rollout.group.as_ref()
            {
                self.edges[group].push(other);
            }
        }
    }

    /// The service of a number; none for a group.
    pub(super) fn service(&self, node: usize) -> Option<&'f ServiceName> {
        self.services.get(node).copied()
    }

    /// Those that wait for one another: each set reaches itself from any of its members.
    pub(super) fn circles(&self) -> Vec<BTreeSet<usize>> {
        let back = self.reversed();
        let mut left = self.without_ends(&back);
        let mut circles = Vec::new();
        while let Some(node) = left.first().copied() {
            let ahead = reach(&self.edges, node, &left);
            let behind = reach(&back, node, &left);
            let circle: BTreeSet<usize> = ahead.intersection(&behind).copied().collect();
            left.remove(&node);
            left.retain(|other| !circle.contains(other));
            if !circle.is_empty() {
                circles.push(circle);
            }
        }
        circles
    }

    fn reversed(&self) -> Vec<Vec<usize>> {
        let mut back = vec![Vec::new(); self.edges.len()];
        for (node, edges) in self.edges.iter().enumerate() {
            for to in edges {
                back[*to].push(node);
            }
        }
        back
    }

    /// What is left when whoever waits for nobody is taken away, again and again: nothing, where there is no circle.
    fn without_ends(&self, back: &[Vec<usize>]) -> BTreeSet<usize> {
        let mut waits: Vec<usize> = self.edges.iter().map(Vec::len).collect();
        let mut free: Vec<usize> = (0..waits.len()).filter(|node| waits[*node] == 0).collect();
        let mut left: BTreeSet<usize> = (0..waits.len()).collect();
        while let Some(node) = free.pop() {
            left.remove(&node);
            for from in &back[node] {
                waits[*from] -= 1;
                if waits[*from] == 0 {
                    free.push(*from);
                }
            }
        }
        left
    }

    /// The shortest way from a service of a circle back to it, both ends included; empty where the circle is too long to tell.
    pub(super) fn way_back(
        &self,
        name: &ServiceName,
        circle: &BTreeSet<usize>,
    ) -> Vec<ServiceName> {
        let Some(start) = self.numbers.get(name).copied() else {
            return Vec::new();
        };
        if circle.len() > WAYS_MAX {
            return Vec::new();
        }
        let mut came_from = BTreeMap::new();
        let mut line = VecDeque::from([start]);
        while let Some(node) = line.pop_front() {
            for next in self.edges[node].iter().filter(|it| circle.contains(it)) {
                if !came_from.contains_key(next) {
                    came_from.insert(*next, node);
                    line.push_back(*next);
                }
            }
        }
        let mut way = vec![start];
        while let Some(before) = way.last().and_then(|node| came_from.get(node)) {
            way.push(*before);
            if *before == start {
                break;
            }
        }
        way.reverse();
        let services = way.into_iter().filter_map(|node| self.service(node));
        services.cloned().collect()
    }
}

/// What can be reached from a node in one step or more, without leaving a set.
fn reach(edges: &[Vec<usize>], from: usize, within: &BTreeSet<usize>) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut line = vec![from];
    while let Some(node) = line.pop() {
        for next in edges[node].iter().filter(|it| within.contains(it)) {
            if reached.insert(*next) {
                line.push(*next);
            }
        }
    }
    reached
}
