//! Who watches whom. The two sides of it lie in different places and cannot change together: a
//! connection's own list is the truth, and whoever changes it corrects the other side afterwards.

use std::collections::BTreeSet;

use posthorn_core::UserKey;
use posthorn_presence::{ConnectionRef, Result};
use redis::{Value, cmd};

use crate::{
    keys::{Place, connection_of, field, name, user_of},
    presence::{RedisPresence, number, read},
    scripts::WATCH,
};

impl RedisPresence {
    pub(crate) async fn replace_watched(&self, at: &ConnectionRef, users: &[UserKey]) -> Result<bool> {
        let Some(place) = self.place_of(at).await? else { return Ok(false) };
        let keys = [self.keys.index(place, &at.gateway), self.keys.watching(place, at)];
        let mut arguments = vec![at.connection.to_string(), self.config.keep_ms.to_string()];
        arguments.extend(users.iter().map(name));
        let Value::Array(answer) = self.link.script("watch", &WATCH, &keys, &arguments).await? else {
            return Ok(false);
        };
        let mut answer = answer.into_iter();
        if answer.next().as_ref().map(number) != Some(1) {
            return Ok(false);
        }
        let before: BTreeSet<String> = answer.next().map_or_else(|| Ok(Vec::new()), read)?.into_iter().collect();
        let wanted: BTreeSet<String> = users.iter().map(name).collect();
        self.unwatch(at, before.difference(&wanted)).await?;
        self.watch_all(at, &wanted).await?;

        // The connection may have ended meanwhile, or have asked for others: its list says what holds.
        let [index, list] = &keys;
        let asked = vec![
            (place, cmd("HEXISTS").arg(index).arg(at.connection).to_owned()),
            (place, cmd("SMEMBERS").arg(list).to_owned()),
        ];
        let mut now = self.link.batch("watch", asked).await?.into_iter();
        let registered = now.next().as_ref().map(number) == Some(1);
        let holds: BTreeSet<String> = now.next().map_or_else(|| Ok(Vec::new()), read)?.into_iter().collect();
        self.unwatch(at, wanted.difference(&holds)).await?;
        Ok(registered)
    }

    async fn watch_all(&self, at: &ConnectionRef, names: &BTreeSet<String>) -> Result<()> {
        let mut commands = Vec::with_capacity(2 * names.len());
        for user in names.iter().filter_map(|name| user_of(name)) {
            let key = self.keys.watchers(&user);
            commands.push((Place::of(&user), cmd("SADD").arg(&key).arg(field(at)).to_owned()));
            commands.push((Place::of(&user), cmd("PEXPIRE").arg(&key).arg(self.config.keep_ms).to_owned()));
        }
        self.link.batch("watch", commands).await?;
        Ok(())
    }

    /// Takes the connection from the watchers of these users.
    pub(crate) async fn unwatch(&self, at: &ConnectionRef, names: impl Iterator<Item = &String>) -> Result<()> {
        let users = names.filter_map(|name| user_of(name));
        let commands = users.map(|user| {
            let key = self.keys.watchers(&user);
            (Place::of(&user), cmd("SREM").arg(key).arg(field(at)).to_owned())
        });
        self.link.batch("unwatch", commands.collect()).await?;
        Ok(())
    }

    /// Where the connection is registered: all cells are asked, its user not being known here.
    async fn place_of(&self, at: &ConnectionRef) -> Result<Option<Place>> {
        let ask = |place: Place| {
            let index = self.keys.index(place, &at.gateway);
            (place, cmd("HEXISTS").arg(index).arg(at.connection).to_owned())
        };
        let there = self.link.batch("watch", Place::cells().map(ask).collect()).await?;
        Ok(Place::cells().zip(there).find(|(_, there)| number(there) == 1).map(|(place, _)| place))
    }

    pub(crate) async fn watchers_of(&self, user: &UserKey) -> Result<Vec<ConnectionRef>> {
        let command = cmd("SMEMBERS").arg(self.keys.watchers(user)).to_owned();
        let found = self.link.batch("watchers", vec![(Place::of(user), command)]).await?;
        let found = found.into_iter().next().map_or_else(|| Ok(Vec::new()), read)?;
        self.alive(found.iter().filter_map(|field| connection_of(field)).collect()).await
    }
}
