//! Walking through all states of a model, and what came of it.

use std::{collections::BTreeMap, fmt::Display, hash::Hash, time::Instant};

use stateright::{Checker, HasDiscoveries, Model, Property};

/// What an exploration found.
struct Explored {
    unique: usize,
    /// By property: the steps to a state that breaks it, or to one that shows what was to happen.
    found: BTreeMap<&'static str, Vec<String>>,
}

/// Breadth first on one thread: what it finds, the next run finds by the same path, and hardly one
/// is shorter. Ends when there are no more states, or soon after the first that decides about `until`.
fn explore<M>(name: &str, model: M, until: Option<&'static str>) -> Explored
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Clone + PartialEq + Send + Sync + 'static,
    M::Action: Clone + PartialEq + Display,
{
    #[allow(clippy::disallowed_methods, reason = "how long it takes is for people")]
    let begun = Instant::now();
    let finish = HasDiscoveries::AllOf([until.unwrap_or("no property has this name")].into());
    let checker = model.checker().finish_when(finish).spawn_bfs().join();
    let mut found = BTreeMap::new();
    for property in checker.model().properties() {
        let Some(path) = checker.discovery(property.name) else { continue };
        let shows = |state: &M::State| {
            (property.condition)(checker.model(), state) != property.expectation.discovery_is_failure()
        };
        let steps = path.into_vec().into_iter().take_while(|(state, _)| !shows(state));
        found.insert(property.name, steps.filter_map(|(_, action)| Some(action?.to_string())).collect());
    }
    let (unique, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {unique} states, {depth} deep, {:.1} s", begun.elapsed().as_secs_f64());
    Explored { unique, found }
}

fn holds<M: Model>(property: &Property<M>, explored: &Explored) -> bool {
    property.expectation.discovery_is_failure() != explored.found.contains_key(property.name)
}

/// All of it: nothing that must not be, everything that was to be seen, and no fewer states than there were.
pub fn check<M>(name: &str, model: M, at_least: usize)
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Hash + Clone + PartialEq + Send + Sync + 'static,
    M::Action: Clone + PartialEq + Display,
{
    let explored = explore(name, model.clone(), None);
    for property in model.properties() {
        let steps = explored.found.get(property.name).map(|steps| steps.join("\n  ")).unwrap_or_default();
        assert!(holds(&property, &explored), "{name}: `{}` does not hold:\n  {steps}", property.name);
    }
    assert!(explored.unique >= at_least, "{name}: {} states, there were {at_least}", explored.unique);
}

/// A wrong model breaks `property`; prints the steps to it.
pub fn check_broken<M>(name: &str, model: M, property: &'static str)
where
    M: Model + Send + Sync + 'static,
    M::State: Hash + Clone + PartialEq + Send + Sync + 'static,
    M::Action: Clone + PartialEq + Display,
{
    let explored = explore(name, model, Some(property));
    let steps = explored.found.get(property).unwrap_or_else(|| panic!("{name}: `{property}` holds"));
    println!("  breaks `{property}`:\n    {}", steps.join("\n    "));
}

/// Whether the large configurations are asked for.
#[must_use]
pub fn full() -> bool {
    std::env::var("POSTHORN_MODEL").is_ok_and(|wanted| wanted == "full")
}
