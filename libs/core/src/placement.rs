//! Which instance should own which shard: rendezvous hashing (Thaler and Ravishankar, 1998). An instance
//! that comes takes its part from all others, one that goes leaves its part to all others; nothing else
//! moves.

use crate::Shard;

/// The name that wins the shard; `None` without names. The order of the names does not matter.
#[must_use]
pub fn wanted<'a>(shard: Shard, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names.into_iter().max_by_key(|name| (score(shard, name), *name))
}

fn score(shard: Shard, name: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), u64::from(shard.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::SHARDS;

    fn placed<'a>(names: &[&'a str]) -> BTreeMap<u16, &'a str> {
        (0..SHARDS).filter_map(|n| Some((n, wanted(Shard(n), names.iter().copied())?))).collect()
    }

    #[test]
    fn every_name_gets_about_its_part() {
        for count in 2..=8 {
            let names: Vec<String> = (0..count).map(|n| format!("http://10.0.0.{n}:7201")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let placed = placed(&names);
            let fair = usize::from(SHARDS) / count;
            for name in names {
                let part = placed.values().filter(|owner| **owner == name).count();
                assert!(part > fair * 2 / 3 && part < fair * 3 / 2, "{name}: {part} of {fair}");
            }
        }
    }

    #[test]
    fn only_what_has_to_move_moves() {
        let (two, three) = (placed(&["a", "b"]), placed(&["b", "c", "a"]));
        assert!(two.iter().all(|(shard, owner)| three[shard] == *owner || three[shard] == "c"));
        assert!(placed(&[]).is_empty());
    }
}
