//! Which services a process runs.

use std::{fmt, str::FromStr};

/// A service of Posthorn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    Storage,
    Session,
    Routing,
    Push,
    Gateway,
}

impl Role {
    /// In the order of their start.
    pub const ALL: [Self; 5] = [Self::Storage, Self::Session, Self::Routing, Self::Push, Self::Gateway];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Session => "session",
            Self::Routing => "routing",
            Self::Push => "push",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|role| role.name() == text);
        known.ok_or_else(|| format!("there is no role `{text}`: gateway, session, routing, storage or push"))
    }
}

/// The services of one process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roles([bool; 5]);

impl Roles {
    /// All in one process.
    pub const ALL: Self = Self([true; 5]);

    /// Those named; all where none is.
    #[must_use]
    pub fn of(roles: &[Role]) -> Self {
        if roles.is_empty() { Self::ALL } else { Self(Role::ALL.map(|role| roles.contains(&role))) }
    }

    #[must_use]
    pub fn has(self, role: Role) -> bool {
        Role::ALL.iter().position(|known| *known == role).is_some_and(|at| self.0[at])
    }

    /// Whether the process needs a client of the service.
    #[must_use]
    pub fn calls(self, role: Role) -> bool {
        let callers: &[Role] = match role {
            Role::Storage => &[Role::Session, Role::Routing, Role::Push, Role::Gateway],
            Role::Session => &[Role::Routing, Role::Push, Role::Gateway],
            Role::Routing => &[Role::Routing, Role::Gateway],
            Role::Push => &[Role::Gateway],
            Role::Gateway => &[],
        };
        callers.iter().any(|caller| self.has(*caller))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Role::ALL.into_iter().filter(|role| self.has(*role)).map(Role::name).collect();
        f.write_str(&names.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_by_their_names_and_none_means_all() {
        let some = Roles::of(&["routing".parse().expect("a role"), Role::Storage]);
        assert_eq!(some.to_string(), "storage+routing");
        assert!(some.calls(Role::Session) && some.calls(Role::Storage));
        assert!(!Roles::of(&[Role::Storage]).calls(Role::Storage));
        assert_eq!(Roles::of(&[]), Roles::ALL);
        assert!("Gateway".parse::<Role>().is_err());
    }
}
